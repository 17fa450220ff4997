//! Which SSRC of the right address is believed (docs/threats.md A2, F5).
//!
//! Where packets may be spoofed the address proves little: a second SSRC beside a speaking one is refused
//! for as long as the first speaks. Knows nothing of addresses; sequence statistics are
//! [`crate::rtp::Reception`]'s.

use std::time::{Duration, Instant};

use crate::rtp::{Header, SeqNo, Ssrc};

/// In-sequence packets that let a new SSRC in soon after the old one fell silent.
pub const NEW_SSRC_PACKETS: u32 = 3;

/// Silence of the old SSRC such a new one needs: more than one packet of 20 ms is missing.
pub const NEW_SSRC_SILENCE: Duration = Duration::from_millis(45);

/// Silence of the old SSRC after which a new one is let in with its first packet.
pub const OLD_SSRC_SILENCE: Duration = Duration::from_millis(100);

/// What a packet's SSRC means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// The one we hear.
    Known,
    /// The one we hear from here on.
    New,
    /// Not believed.
    Refused,
}

/// The SSRC heard, and one that may follow it.
#[derive(Debug, Default)]
pub struct Speaker {
    heard: Option<(Ssrc, Instant)>,
    candidate: Option<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    ssrc: Ssrc,
    last: SeqNo,
    packets: u32,
}

impl Speaker {
    /// Judges the SSRC of one packet.
    pub fn judge(&mut self, header: &Header, now: Instant) -> Belief {
        let Some((ssrc, heard_at)) = self.heard else {
            return self.believe(header, now);
        };
        if ssrc == header.ssrc {
            self.heard = Some((ssrc, now));
            self.candidate = None;
            return Belief::Known;
        }
        let packets = match &self.candidate {
            Some(known) if known.ssrc == header.ssrc && known.last.next() == header.seq => known.packets + 1,
            Some(_) | None => 1,
        };
        let silence = now.saturating_duration_since(heard_at);
        let is_proved = packets >= NEW_SSRC_PACKETS && silence >= NEW_SSRC_SILENCE;
        if is_proved || silence >= OLD_SSRC_SILENCE {
            return self.believe(header, now);
        }
        self.candidate = Some(Candidate {
            ssrc: header.ssrc,
            last: header.seq,
            packets,
        });
        Belief::Refused
    }

    /// Forgets whom we hear: signalling announced a change, the next packet decides.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    fn believe(&mut self, header: &Header, now: Instant) -> Belief {
        self.heard = Some((header.ssrc, now));
        self.candidate = None;
        Belief::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::RtpTime;

    struct Feeder(Speaker, Instant);

    impl Feeder {
        fn feed(&mut self, after_ms: u64, ssrc: u32, seq: u16) -> Belief {
            self.1 += Duration::from_millis(after_ms);
            let header = Header {
                marker: false,
                payload_type: 0,
                seq: SeqNo(seq),
                time: RtpTime(0),
                ssrc: Ssrc(ssrc),
            };
            self.0.judge(&header, self.1)
        }
    }

    fn feeder() -> Feeder {
        Feeder(Speaker::default(), Instant::now())
    }

    #[test]
    fn a_fast_intruder_never_gets_in_beside_a_speaker() {
        let mut feeder = feeder();
        for round in 0..100u16 {
            feeder.feed(10, 1, round);
            for step in 0..10 {
                assert_eq!(feeder.feed(1, 2, round * 10 + step), Belief::Refused);
            }
        }
    }

    #[test]
    fn a_change_is_followed_at_the_third_packet() {
        let mut feeder = feeder();
        assert_eq!(feeder.feed(0, 1, 1), Belief::New);
        assert_eq!(feeder.feed(20, 1, 2), Belief::Known);
        let beliefs = [
            feeder.feed(20, 2, 7),
            feeder.feed(20, 2, 8),
            feeder.feed(20, 2, 9),
        ];
        assert_eq!(beliefs, [Belief::Refused, Belief::Refused, Belief::New]);
    }

    #[test]
    fn after_silence_or_a_new_agreement_the_first_packet_decides() {
        let mut feeder = feeder();
        feeder.feed(0, 1, 1);
        assert_eq!(feeder.feed(100, 2, 1), Belief::New);
        feeder.0.forget();
        assert_eq!(feeder.feed(1, 3, 1), Belief::New);
    }
}
