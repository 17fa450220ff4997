//! Sequence numbers that wrap, and their extension that does not (RFC 3550 appendix A.1).

/// A sequence number as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeqNo(pub u16);

impl SeqNo {
    /// The number `steps` later.
    pub const fn add(self, steps: u16) -> SeqNo {
        SeqNo(self.0.wrapping_add(steps))
    }

    /// The next number.
    pub const fn next(self) -> SeqNo {
        self.add(1)
    }

    /// Steps from `earlier` to this one, the shorter way round: −32,768 to 32,767.
    pub const fn since(self, earlier: SeqNo) -> i16 {
        self.0.wrapping_sub(earlier.0) as i16
    }
}

/// A sequence number with its wraps counted. Starts above zero, so that numbers before the first stay
/// positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtendedSeq(pub u64);

impl ExtendedSeq {
    /// The first number heard of a source.
    pub const fn first(seq: SeqNo) -> ExtendedSeq {
        ExtendedSeq((1 << 16) | seq.0 as u64)
    }

    /// The number as on the wire.
    pub const fn seq(self) -> SeqNo {
        SeqNo(self.0 as u16)
    }

    /// Extends `seq`, taking it for the one nearest to this.
    pub const fn nearest(self, seq: SeqNo) -> ExtendedSeq {
        ExtendedSeq(self.0.saturating_add_signed(seq.since(self.seq()) as i64))
    }

    /// The lower 32 bits with the first number's wrap counted as none, as a report block wants it.
    pub const fn on_wire(self) -> u32 {
        self.0.wrapping_sub(1 << 16) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_takes_the_shorter_way_round() {
        assert_eq!(SeqNo(2).since(SeqNo(65_535)), 3);
        assert_eq!(SeqNo(65_535).since(SeqNo(2)), -3);
        assert_eq!(SeqNo(0x8000).since(SeqNo(0)), i16::MIN);
        assert_eq!(SeqNo(65_535).next(), SeqNo(0));
    }

    #[test]
    fn extension_counts_wraps_both_ways() {
        let before = ExtendedSeq::first(SeqNo(65_534));
        let after = before.nearest(SeqNo(1));
        assert_eq!(after.0 - before.0, 3);
        assert_eq!(after.on_wire(), 0x1_0001);
        assert_eq!(after.nearest(SeqNo(65_534)), before);
        let start = ExtendedSeq::first(SeqNo(0));
        assert_eq!(start.0 - start.nearest(SeqNo(65_535)).0, 1);
    }
}
