//! Parameters of policy, limits, lists and drain.

use super::params;
use crate::control::protocol::failure::Failure;
use crate::control::protocol::id::{Id, Name};
use crate::control::protocol::text::Text;
use crate::control::protocol::within::Within;

params! {
    /// What `leg.dial` would decide about a number; takes no token and dials nothing.
    PolicyCheck {
        /// E.164, a `tel:` or a `sip:` URI.
        pub to: Text<256>,
        /// The number that would be shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub from: Option<Text<64>>,
        /// Whose caller ids, home country and limits; the first trunk's when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub trunk: Option<Name>,
    }
}

params! {
    /// Where calls to a number go, or the whole number map.
    NumberMapAsk {
        /// As an INVITE would have it: E.164, national where the trunk brings those, a `tel:` or a `sip:` URI. The
        /// whole map when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub number: Option<Text<256>>,
        /// The trunk that brings it, whose `number_in` and `home_country` tell how it is read; as E.164 when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub trunk: Option<Name>,
    }
    check fn check(&self) -> Result<(), Failure> {
        if self.number.is_none() && self.trunk.is_some() {
            return Err(Failure::invalid_params("params.trunk", "needs `number`: it tells how that is read"));
        }
        Ok(())
    }
}

params! {
    /// Limits and how full they are.
    LimitsGet {}
}

params! {
    /// Changes limits, live; calls that are up stay. Kept over a restart.
    LimitsSet {
        /// Calls up at once (with `trunk`, its legs).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub calls: Option<Within<0, 100_000>>,
        /// New calls a second.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub calls_per_second: Option<Within<0, 100_000>>,
        /// A trunk's limits instead of the instance's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub trunk: Option<Name>,
    }
    check fn check(&self) -> Result<(), Failure> {
        if self.calls.is_none() && self.calls_per_second.is_none() {
            return Err(Failure::invalid_params("params", "must have `calls` or `calls_per_second`"));
        }
        Ok(())
    }
}

params! {
    /// The trunks and whether they are up.
    TrunkList {}
}

params! {
    /// Takes calls of a trunk again.
    TrunkEnable {
        /// The trunk.
        pub trunk: Name,
    }
}

params! {
    /// Takes no new calls of a trunk and sends it none; calls that are up stay. Kept over a restart.
    TrunkDisable {
        /// The trunk.
        pub trunk: Name,
    }
}

params! {
    /// What led to what in a call or for a leg.
    Explain {
        /// The call, also one that is over or was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub call: Option<Id>,
        /// The leg, with what concerned its whole call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub leg: Option<Id>,
    }
    check fn check(&self) -> Result<(), Failure> {
        if self.call.is_some() == self.leg.is_some() {
            return Err(Failure::invalid_params("params", "must have either `call` or `leg`"));
        }
        Ok(())
    }
}

params! {
    /// The prompts that can be played.
    PromptList {}
}

params! {
    /// The recordings, also those that grow.
    RecordingList {
        /// Only those of this call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub call: Option<Id>,
    }
}

params! {
    /// Takes no more new calls.
    DrainStart {
        /// After so long the remaining calls are ended; never when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub deadline_ms: Option<Within<0, 604_800_000>>,
    }
}

params! {
    /// Takes new calls again.
    DrainCancel {}
}

params! {
    /// How far the drain is.
    DrainStatus {}
}
