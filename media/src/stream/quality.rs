//! Whether a stream is well, looked at once a second: what was lost over a period, and whether the kernel takes what
//! is sent.
//!
//! Knows nothing of reports, codecs or time but by looks.

/// Counts of a stream since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Packets the party should have been heard with.
    pub expected: u64,
    /// Of these, those that came.
    pub received: u64,
    /// Those that came too late, or twice.
    pub late: u64,
    /// Packets sent to it.
    pub sent: u64,
    /// Packets the kernel refused to send.
    pub refused: u64,
}

/// One direction of a stream over a period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// The part of the packets that was lost or came too late, 0 to 1.
    pub loss: f32,
    /// Interarrival jitter, milliseconds (RFC 3550 §6.4.1).
    pub jitter_ms: f32,
    /// Mean opinion score, 1.0 to 4.5.
    pub mos: f32,
}

/// Both directions over a period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    /// What we hear of the party; none where it said nothing.
    pub rx: Option<Figures>,
    /// What it hears of us, by its reports; none without a fresh one.
    pub tx: Option<Figures>,
    /// Round trip, milliseconds, once a report told it.
    pub rtt_ms: Option<f32>,
}

/// What one look shows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Look {
    /// A period is over: the part of the packets that was lost in it; none in it where nothing was expected.
    pub period: Option<Option<f32>>,
    /// For two looks now everything we sent was refused.
    pub is_refused: bool,
}

/// The looks of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looks {
    /// In the period under way.
    count: u32,
    /// At the begin of the period.
    begin: Counted,
    /// At the last look.
    before: Counted,
    /// In a row at which all was refused.
    refused: u32,
}

impl Looks {
    /// The next look.
    pub fn look(&mut self, counted: Counted) -> Look {
        let before = std::mem::replace(&mut self.before, counted);
        if counted.sent > before.sent {
            self.refused = 0;
        } else if counted.refused > before.refused {
            self.refused = self.refused.saturating_add(1);
        }
        self.count += 1;
        let period = (self.count >= PERIOD_LOOKS).then(|| {
            self.count = 0;
            lost_part(std::mem::replace(&mut self.begin, counted), counted)
        });
        Look {
            period,
            is_refused: self.refused >= REFUSED_LOOKS,
        }
    }
}

/// The part that was lost between two moments. What comes behind its successor may make up for an earlier loss.
fn lost_part(begin: Counted, end: Counted) -> Option<f32> {
    let expected = end.expected.saturating_sub(begin.expected);
    let received = end.received.saturating_sub(begin.received);
    let late = end.late.saturating_sub(begin.late);
    let missing = expected.saturating_sub(received) + late;
    (expected > 0).then(|| (missing as f32 / expected as f32).min(1.0))
}

/// Looks in a period: 5 s, about as often as reports come (RFC 3550 §6.2).
pub const PERIOD_LOOKS: u32 = 5;
/// Looks at which all was refused before that counts: 2 s.
const REFUSED_LOOKS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(expected: u64, received: u64, late: u64) -> Counted {
        Counted {
            expected,
            received,
            late,
            ..Counted::default()
        }
    }

    /// What the period shows that ends with these counts.
    fn period(looks: &mut Looks, end: Counted) -> Option<f32> {
        for _ in 1..PERIOD_LOOKS {
            assert_eq!(looks.look(end).period, None);
        }
        looks.look(end).period.unwrap()
    }

    #[test]
    fn a_period_shows_its_own_losses_alone() {
        let mut looks = Looks::default();
        assert_eq!(period(&mut looks, counted(250, 200, 0)), Some(0.2));
        assert_eq!(period(&mut looks, counted(500, 450, 0)), Some(0.0));
        assert_eq!(
            period(&mut looks, counted(600, 550, 25)),
            Some(0.25),
            "late is lost"
        );
        assert_eq!(
            period(&mut looks, counted(600, 550, 25)),
            None,
            "nothing was said"
        );
        assert_eq!(
            period(&mut looks, counted(700, 670, 25)),
            Some(0.0),
            "packets of before came after all"
        );
    }

    #[test]
    fn two_seconds_of_refusals_count_and_one_packet_ends_them() {
        let mut looks = Looks::default();
        let mut of = |sent, refused| {
            let counted = Counted {
                sent,
                refused,
                ..Counted::default()
            };
            looks.look(counted).is_refused
        };
        assert!(!of(50, 0));
        assert!(!of(50, 50));
        assert!(of(50, 100));
        assert!(of(50, 100), "nothing was tried since");
        assert!(!of(51, 149));
        assert!(!of(51, 199));
    }
}
