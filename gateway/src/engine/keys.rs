//! Keys of the engine's rows: ours, `Copy`, never used twice. What came from outside is an id.

use media::recorder::TrackKey;
use media::{PlayKey, StreamKey};

use sip::rng::Rng;

use crate::control::protocol::Id;

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub u64);

/// A leg; its stream and its outbound session carry the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegKey(pub u64);

impl LegKey {
    /// The leg's RTP session.
    pub fn stream(self) -> StreamKey {
        StreamKey(self.0)
    }

    /// The leg of a stream.
    pub fn of_stream(stream: StreamKey) -> LegKey {
        LegKey(stream.0)
    }
}

/// A bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeKey(pub u64);

/// A long-running piece of work a client may watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpKey(pub u64);

/// A recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingKey(pub u64);

/// What a name in the one name space of ids stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A call.
    Call(CallKey),
    /// A leg.
    Leg(LegKey),
    /// A bridge.
    Bridge(BridgeKey),
    /// An op.
    Op(OpKey),
    /// A recording.
    Recording(RecordingKey),
}

/// Gives out keys and the ids made from them.
#[derive(Debug)]
pub struct KeyMaker {
    next: u64,
    rng: Rng,
    /// Part of every id made here, so that ids of two runs never meet in the recordings folder.
    run: String,
}

impl KeyMaker {
    /// Starts at 1; `run` names this run of the process.
    pub fn new(run: &str, seed: [u8; 32]) -> Self {
        KeyMaker {
            next: 1,
            rng: Rng::new(seed),
            run: run.to_owned(),
        }
    }

    /// A number below `bound`, for draws.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.rng.below(bound.max(1))
    }

    /// Unguessable text of the token alphabet.
    pub fn token(&mut self, length: usize) -> String {
        self.rng.token(length)
    }

    /// The source of secrets.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The next number, and the id that goes with it under `prefix`.
    pub fn next(&mut self, prefix: &str) -> (u64, Id) {
        let number = self.number();
        let text = format!("{prefix}_{}{number:x}", self.run);
        #[expect(
            clippy::expect_used,
            reason = "prefix, run and number are short and of the id alphabet"
        )]
        let id = Id::new(&text).expect("made of the id alphabet");
        (number, id)
    }

    /// The next number alone.
    pub fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// The next play.
    pub fn play(&mut self) -> PlayKey {
        PlayKey(self.number())
    }

    /// The next track.
    pub fn track(&mut self) -> TrackKey {
        TrackKey(self.number())
    }
}
