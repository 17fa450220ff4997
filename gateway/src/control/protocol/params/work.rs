//! Parameters of plays, digit collection and recordings.

use super::{is_false, params};
use crate::control::protocol::failure::Failure;
use crate::control::protocol::id::Id;
use crate::control::protocol::source::Sources;
use crate::control::protocol::text::{Digits, Text};
use crate::control::protocol::view::Db;
use crate::control::protocol::within::Within;
use crate::control::protocol::words::{BargeIn, RecordChannels, RecordFormat, RecordInclude};

params! {
    /// Plays sounds to a leg, or to the un-held members of a bridge.
    PlayStart {
        /// A leg or a bridge.
        pub target: Id,
        /// What, in order.
        pub sources: Sources,
        /// Start again after the last piece.
        #[serde(rename = "loop", default, skip_serializing_if = "is_false")]
        pub repeat: bool,
        /// Loudness.
        #[serde(default)]
        pub gain_db: Db,
        /// What interrupts it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub barge_in: Option<BargeIn>,
        /// Over speech instead of in its place.
        #[serde(default, skip_serializing_if = "is_false")]
        pub mix_over: bool,
    }
}

params! {
    /// Ends a play, a collection or the sending of digits.
    PlayStop {
        /// The op.
        pub op: Id,
    }
}

params! {
    /// Stops the clock of a play.
    PlayPause {
        /// The op.
        pub op: Id,
    }
}

params! {
    /// Lets a paused play go on.
    PlayResume {
        /// The op.
        pub op: Id,
    }
}

params! {
    /// Collects digits of a party.
    CollectStart {
        /// The leg.
        pub leg: Id,
        /// Played first; the first digit ends it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub prompt: Option<Sources>,
        /// With fewer digits the collect fails, whatever ended it.
        pub min: Within<0, 64>,
        /// Ended when so many came.
        pub max: Within<1, 64>,
        /// Digits that end it and are not part of the result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub terminators: Option<Digits>,
        /// Longest wait for the first digit, counted from the end of the prompt.
        pub first_ms: Within<1, 600_000>,
        /// Longest wait for each next digit.
        pub inter_ms: Within<1, 600_000>,
        /// Card data: no `leg.dtmf` events, and no digits outside `collect.ended`.
        #[serde(default, skip_serializing_if = "is_false")]
        pub pci: bool,
    }
    check fn check(&self) -> Result<(), Failure> {
        if self.min.get() > self.max.get() {
            return Err(Failure::invalid_params("params.min", "must not be above `max`"));
        }
        Ok(())
    }
}

params! {
    /// Records what the parties of a call, a bridge or a leg say.
    RecordStart {
        /// A call, a bridge or a leg.
        pub target: Id,
        /// How its parties are laid out.
        #[serde(default = "per_party")]
        pub channels: RecordChannels,
        /// The file format.
        #[serde(default = "wav")]
        pub format: RecordFormat,
        /// The new recording's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub id: Option<Id>,
        /// Stopped after so long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_ms: Option<Within<1, 604_800_000>>,
        /// Sealed; not available in this version.
        #[serde(default, skip_serializing_if = "is_false")]
        pub encrypt: bool,
        /// Also what muted or held parties say.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub include: Vec<RecordInclude>,
    }
    check fn check(&self) -> Result<(), Failure> {
        if self.encrypt {
            return Err(Failure::invalid_params("params.encrypt", "sealed recordings are not available in this version"));
        }
        if self.include.len() > RecordInclude::ALL.len() {
            return Err(Failure::invalid_params("params.include", "must name each word once"));
        }
        Ok(())
    }
}

fn per_party() -> RecordChannels {
    RecordChannels::PerParty
}

fn wav() -> RecordFormat {
    RecordFormat::Wav
}

params! {
    /// Lets a recording grow by silence.
    RecordPause {
        /// The recording.
        pub recording: Id,
        /// Why; kept in the manifest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text<128>>,
    }
}

params! {
    /// Lets a paused recording go on.
    RecordResume {
        /// The recording.
        pub recording: Id,
        /// Why; kept in the manifest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text<128>>,
    }
}

params! {
    /// Ends a recording.
    RecordStop {
        /// The recording.
        pub recording: Id,
        /// Why; kept in the manifest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text<128>>,
    }
}
