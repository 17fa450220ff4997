//! Parameters of transfers.

use super::{CallerId, params};
use crate::control::protocol::id::{Id, Name};
use crate::control::protocol::text::Text;
use crate::control::protocol::within::Within;

params! {
    /// Transfers a party to whom `to` names. Where its trunk has `refer_out = "send"` the peer is asked by REFER,
    /// and where it refuses, or the trunk has `bridge`, a leg of ours is dialled: once that answers it takes the place
    /// of the other party. If it fails, all stays as it was.
    TransferBlind {
        /// The party to be transferred: an answered leg.
        pub leg: Id,
        /// E.164, a `tel:` or a `sip:` URI.
        pub to: Text<256>,
        /// Where a leg of ours is dialled; its own trunk when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub trunk: Option<Name>,
        /// What the callee of that leg is shown; the trunk's first number when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub caller_id: Option<CallerId>,
        /// Given up after so long.
        #[serde(default)]
        pub ring_timeout_ms: Within<1, 3_600_000, 60_000>,
    }
}

params! {
    /// Transfers a party to another that is up: the two talk, whoever else was with them does not. A hold stays.
    TransferAttended {
        /// The party to be transferred: an answered leg.
        pub leg: Id,
        /// The other: an answered leg.
        pub with: Id,
    }
}

params! {
    /// Does what a peer asked for by REFER (`leg.transfer_requested`).
    TransferAccept {
        /// The leg whose peer asked.
        pub leg: Id,
        /// Whom to call instead of whom the peer named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to: Option<Text<256>>,
        /// Where; the leg's own trunk when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub trunk: Option<Name>,
        /// What the callee is shown; the trunk's first number when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub caller_id: Option<CallerId>,
        /// Given up after so long.
        #[serde(default)]
        pub ring_timeout_ms: Within<1, 300_000, 60_000>,
    }
}

params! {
    /// Refuses what a peer asked for by REFER.
    TransferReject {
        /// The leg whose peer asked.
        pub leg: Id,
        /// What the peer is told.
        #[serde(default)]
        pub status: Within<400, 699, 603>,
    }
}
