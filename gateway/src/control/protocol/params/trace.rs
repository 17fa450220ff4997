//! Parameters of traces.

use super::params;
use crate::control::protocol::failure::Failure;
use crate::control::protocol::id::{Id, Name};
use crate::control::protocol::within::Within;
use crate::control::protocol::words::TraceNumbers;

params! {
    /// Writes the SIP messages of a trunk, a call or a leg down as text and as pcap, secrets left out. What is
    /// given must all fit a message.
    TraceStart {
        /// Messages with the peers of this trunk.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub trunk: Option<Name>,
        /// Messages of this call's legs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub call: Option<Id>,
        /// Messages of this leg.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub leg: Option<Id>,
        /// For so long.
        pub ms: Within<1, 600_000>,
        /// Whether numbers and names are written as they are; `masked` when left out.
        #[serde(default)]
        pub numbers: TraceNumbers,
    }
    check fn check(&self) -> Result<(), Failure> {
        if self.trunk.is_none() && self.call.is_none() && self.leg.is_none() {
            return Err(Failure::invalid_params("params", "must have `trunk`, `call` or `leg`"));
        }
        Ok(())
    }
}

params! {
    /// Ends a trace before its time.
    TraceStop {
        /// The trace.
        pub trace: Id,
    }
}
