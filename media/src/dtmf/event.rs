//! The four bytes of a telephone-event (RFC 4733 §2.3).
//!
//! ```text
//!  0       1 2 3          8        16              31
//!  +--------+-+-+----------+------------------------+
//!  | event  |E|R| volume   | duration               |
//!  +--------+-+-+----------+------------------------+
//! ```

/// One telephone-event block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPayload {
    /// 0 to 15 are digits.
    pub event: u8,
    /// The event is over.
    pub is_end: bool,
    /// Power below 0 dBm0, 0 to 63.
    pub volume: u8,
    /// Since the timestamp, in its units.
    pub duration: u16,
}

impl EventPayload {
    /// Reads the first block of a payload; `None` when it is shorter.
    pub fn parse(payload: &[u8]) -> Option<EventPayload> {
        let [event, flags, high, low] = *payload.first_chunk::<4>()?;
        Some(EventPayload {
            event,
            is_end: flags & END != 0,
            volume: flags & VOLUME,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// As on the wire.
    pub const fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [
            self.event,
            (self.volume & VOLUME) | if self.is_end { END } else { 0 },
            high,
            low,
        ]
    }
}

const END: u8 = 0x80;
const VOLUME: u8 = 0x3f;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_read_back() {
        let payload = EventPayload {
            event: 11,
            is_end: true,
            volume: 10,
            duration: 1600,
        };
        assert_eq!(payload.to_bytes(), [11, 0x8a, 0x06, 0x40]);
        assert_eq!(EventPayload::parse(&payload.to_bytes()), Some(payload));
        assert_eq!(EventPayload::parse(&[1, 2, 3]), None);
        assert_eq!(
            EventPayload::parse(&[1, 0, 0, 160, 2, 0, 0, 160]).unwrap().event,
            1
        );
    }
}
