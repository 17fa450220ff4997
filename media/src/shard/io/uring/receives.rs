//! What a request says about itself, so that its completion finds its way, and how far the receive of a stream is.
//!
//! Knows nothing of rings: values only.

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Takes packets of a slot's socket; the detail is the generation of its sockets.
    Receive,
    /// Sends from a slot's socket; the detail is the buffer it reads.
    Send,
    /// Ends a receive.
    Cancel,
}

/// The user data of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    pub kind: Kind,
    pub slot: u32,
    /// 24 bits.
    pub detail: u32,
}

/// Bits of a tag's detail.
const DETAIL: u64 = 0x00ff_ffff;

impl Tag {
    pub fn to_bits(self) -> u64 {
        let kind = match self.kind {
            Kind::Receive => 1,
            Kind::Send => 2,
            Kind::Cancel => 3u64,
        };
        kind << 56 | (u64::from(self.detail) & DETAIL) << 32 | u64::from(self.slot)
    }

    pub fn from_bits(bits: u64) -> Option<Tag> {
        let kind = match bits >> 56 {
            1 => Kind::Receive,
            2 => Kind::Send,
            3 => Kind::Cancel,
            _ => return None,
        };
        Some(Tag {
            kind,
            slot: bits as u32,
            detail: (bits >> 32 & DETAIL) as u32,
        })
    }
}

/// The receive of one stream's socket.
#[derive(Clone, Copy, Debug)]
pub struct Receive {
    /// Tells a completion of these sockets from one of those that had the slot before. 24 bits.
    pub generation: u32,
    pub state: State,
    turn: u64,
    packets: u32,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not armed; to be armed in the next turn.
    Due,
    /// Armed.
    Armed,
    /// Cancelled because the socket is flooded; rests when it has ended.
    Flooded,
    /// Cancelled because the socket closes or moves.
    Ending,
    /// Not armed.
    Ended,
}

impl Receive {
    pub fn new(generation: u32) -> Receive {
        Receive {
            generation: generation & DETAIL as u32,
            state: State::Due,
            turn: 0,
            packets: 0,
        }
    }

    /// Counts a packet; how many the socket has had in this turn.
    pub fn count(&mut self, turn: u64) -> u32 {
        if self.turn != turn {
            (self.turn, self.packets) = (turn, 0);
        }
        self.packets += 1;
        self.packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_comes_back_as_it_was() {
        for kind in [Kind::Receive, Kind::Send, Kind::Cancel] {
            for (slot, detail) in [(0, 0), (u32::MAX, DETAIL as u32), (4095, 65_535)] {
                let tag = Tag { kind, slot, detail };
                assert_eq!(Tag::from_bits(tag.to_bits()), Some(tag));
            }
        }
        assert_eq!(Tag::from_bits(0), None);
        assert_eq!(Tag::from_bits(u64::MAX), None);
    }

    #[test]
    fn packets_are_counted_by_turn() {
        let mut receive = Receive::new(u32::MAX);
        assert_eq!(receive.generation, DETAIL as u32);
        assert_eq!([1, 1, 2, 2, 2].map(|turn| receive.count(turn)), [1, 2, 1, 2, 3]);
    }
}
