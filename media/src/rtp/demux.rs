//! Tells apart what may share one port, by the first two bytes (RFC 7983 §7, RFC 5761 §4).
//!
//! Looks at two bytes only; whether the rest is well formed is the business of each reader.

/// What a datagram claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// Media.
    Rtp,
    /// Reports.
    Rtcp,
    /// A connectivity check or binding.
    Stun,
    /// A DTLS record.
    Dtls,
    /// None of those this gateway speaks: ZRTP, TURN channels, garbage.
    Unknown,
}

impl PacketKind {
    /// The kind of a datagram.
    pub fn of(datagram: &[u8]) -> PacketKind {
        match datagram {
            [0..=3, ..] => PacketKind::Stun,
            [20..=63, ..] => PacketKind::Dtls,
            // RTP payload types 64-95 with the marker bit would look the same, so RFC 5761 §4 forbids them.
            [128..=191, 192..=223, ..] => PacketKind::Rtcp,
            [128..=191, _, ..] => PacketKind::Rtp,
            _ => PacketKind::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_of_rfc_7983_and_5761_hold() {
        for (bytes, kind) in [
            (&[0x80, 0x00][..], PacketKind::Rtp),
            (&[0x80, 0x80], PacketKind::Rtp),
            (&[0xbf, 0xe5], PacketKind::Rtp),
            (&[0x80, 191], PacketKind::Rtp),
            (&[0x80, 192], PacketKind::Rtcp),
            (&[0x81, 200], PacketKind::Rtcp),
            (&[0x81, 223], PacketKind::Rtcp),
            (&[0x80, 224], PacketKind::Rtp),
            (&[0x00, 0x01], PacketKind::Stun),
            (&[22, 254], PacketKind::Dtls),
            (&[16, 0], PacketKind::Unknown),
            (&[64, 0], PacketKind::Unknown),
            (&[127, 0], PacketKind::Unknown),
            (&[192, 0], PacketKind::Unknown),
            (&[0x80], PacketKind::Unknown),
            (&[], PacketKind::Unknown),
        ] {
            assert_eq!(PacketKind::of(bytes), kind, "{bytes:?}");
        }
    }
}
