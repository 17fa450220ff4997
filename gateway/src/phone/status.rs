//! How a phone's call stands.

use std::time::Instant;

/// What scripts wait for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The current call.
    pub stage: Stage,
    /// Calls that are over.
    pub ends: u64,
    /// How the last of them ended.
    pub last_end: Option<End>,
    /// Digits heard in the current call, or the last one.
    pub digits: String,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// There is none.
    #[default]
    Idle,
    /// Our INVITE is out.
    Calling,
    /// It rings, here or there.
    Ringing,
    /// It was answered.
    Up {
        /// When.
        since: Instant,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By us.
    HungUp,
    /// By the far side's BYE.
    FarHungUp,
    /// The caller gave up.
    Cancelled,
    /// The far side refused with this status.
    Refused(u16),
    /// No answer, no ACK, or a dialog that is gone.
    Failed,
}

/// Why waiting for a phone was in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// The call is over.
    #[error("the call ended: {0:?}")]
    Ended(End),
    /// There was no call.
    #[error("there is no call")]
    Idle,
    /// It took longer than allowed.
    #[error("it took too long")]
    TooLate,
    /// The phone is not running.
    #[error("the phone is not running")]
    Gone,
}
