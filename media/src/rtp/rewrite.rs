//! Turns a received packet into one of ours by changing the fixed header in the receive buffer: the payload
//! is neither copied nor looked at.
//!
//! ```text
//!  0      1      2         4               8               12
//!  +------+------+---------+---------------+---------------+------- - -
//!  |VPXCC | M PT | seq     | timestamp     | SSRC          | CSRC, extension, payload, padding
//!  +------+------+---------+---------------+---------------+------- - -
//!          ^^^^^^ ^^^^^^^^^ ^^^^^^^^^^^^^^^ ^^^^^^^^^^^^^^^  written
//! ```
//! CSRC list, extension and padding travel on as they came: they name no address and a relay may pass them
//! (RFC 3550 §7.1). [`Rewrite::stripped`] is for a peer that must not see them.

use super::{Header, HeaderError, Packet, RtpTime, SeqNo, Ssrc};

/// How one stream's packets become another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The payload type the listener agreed to.
    pub payload_type: u8,
    /// Our SSRC towards the listener.
    pub ssrc: Ssrc,
    /// Added to the sequence number.
    pub seq_offset: u16,
    /// Added to the timestamp.
    pub time_offset: u32,
}

impl Rewrite {
    /// A rewrite under which `first` goes out as `seq` at `time`, so that our outgoing stream runs on
    /// unbroken when its source changes.
    pub const fn joining(first: &Header, payload_type: u8, ssrc: Ssrc, seq: SeqNo, time: RtpTime) -> Rewrite {
        Rewrite {
            payload_type,
            ssrc,
            seq_offset: seq.0.wrapping_sub(first.seq.0),
            time_offset: time.0.wrapping_sub(first.time.0),
        }
    }

    /// The header a packet goes out with.
    pub const fn header(&self, received: &Header) -> Header {
        Header {
            marker: received.marker,
            payload_type: self.payload_type,
            seq: received.seq.add(self.seq_offset),
            time: received.time.add(self.time_offset),
            ssrc: self.ssrc,
        }
    }

    /// Rewrites a datagram that [`Packet::parse`] has read as `received`; anything shorter than a header is
    /// left alone. `marker` sets the marker bit too, for the first packet after a change of source.
    pub fn apply(&self, received: &Header, marker: bool, datagram: &mut [u8]) -> Header {
        let mut header = self.header(received);
        header.marker |= marker;
        overwrite(datagram, &header);
        header
    }

    /// Rewrites like [`Rewrite::apply`] but drops CSRC list, extension and padding by moving the header up
    /// against the payload; gives the packet to send, still inside the same buffer.
    pub fn stripped<'a>(&self, marker: bool, datagram: &'a mut [u8]) -> Result<&'a mut [u8], HeaderError> {
        let packet = Packet::parse(datagram)?;
        let mut header = self.header(&packet.header);
        header.marker |= marker;
        let payload_bytes = packet.payload.len();
        let payload_start = payload_start(datagram);
        let header_start = payload_start
            .checked_sub(Header::BYTES)
            .ok_or(HeaderError::Truncated)?;
        let sent = datagram
            .get_mut(header_start..payload_start.saturating_add(payload_bytes))
            .ok_or(HeaderError::Truncated)?;
        if let Some(bytes) = sent.first_chunk_mut::<{ Header::BYTES }>() {
            *bytes = header.to_bytes();
        }
        Ok(sent)
    }
}

/// Writes everything of `header` but the first byte, whose flags belong to the packet's layout.
fn overwrite(datagram: &mut [u8], header: &Header) {
    let Some(bytes) = datagram.first_chunk_mut::<{ Header::BYTES }>() else {
        return;
    };
    let flags = bytes[0];
    *bytes = header.to_bytes();
    bytes[0] = flags;
}

/// Where the payload of a parsed packet starts.
fn payload_start(datagram: &[u8]) -> usize {
    rtp_rs::RtpReader::new(datagram).map_or(datagram.len(), |reader| reader.payload_offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: Header = Header {
        marker: false,
        payload_type: 8,
        seq: SeqNo(65_535),
        time: RtpTime(u32::MAX),
        ssrc: Ssrc(1),
    };
    const REWRITE: Rewrite = Rewrite {
        payload_type: 0,
        ssrc: Ssrc(0xaabb_ccdd),
        seq_offset: 3,
        time_offset: 161,
    };

    fn plain() -> Vec<u8> {
        let mut datagram = RECEIVED.to_bytes().to_vec();
        datagram.extend([1, 2, 3, 4]);
        datagram
    }

    /// Two CSRCs, an extension of one word, three bytes of payload, two of padding.
    fn dressed() -> Vec<u8> {
        let mut datagram = RECEIVED.to_bytes().to_vec();
        datagram[0] = 0x80 | 0x20 | 0x10 | 2;
        datagram.extend([9, 9, 9, 9, 8, 8, 8, 8]);
        datagram.extend([0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
        datagram.extend([1, 2, 3, 0, 2]);
        datagram
    }

    #[test]
    fn the_fixed_fields_change_and_wrap_and_the_payload_stays() {
        let mut datagram = plain();
        let header = REWRITE.apply(&RECEIVED, false, &mut datagram);
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!(packet.header, header);
        assert_eq!((header.seq, header.time), (SeqNo(2), RtpTime(160)));
        assert_eq!((header.payload_type, header.ssrc), (0, Ssrc(0xaabb_ccdd)));
        assert_eq!(packet.payload, [1, 2, 3, 4]);
    }

    #[test]
    fn csrc_extension_and_padding_travel_on() {
        let mut datagram = dressed();
        REWRITE.apply(&RECEIVED, true, &mut datagram);
        let packet = Packet::parse(&datagram).unwrap();
        assert!(packet.header.marker);
        assert_eq!(packet.payload, [1, 2, 3]);
        assert_eq!(datagram[12..], dressed()[12..]);
        assert_eq!(datagram[0], dressed()[0]);
    }

    #[test]
    fn stripping_leaves_header_and_payload_only() {
        let mut datagram = dressed();
        let sent = REWRITE.stripped(false, &mut datagram).unwrap();
        assert_eq!(sent.len(), 15);
        assert_eq!(sent[0], 0x80);
        let packet = Packet::parse(sent).unwrap();
        assert_eq!(packet.header, REWRITE.header(&RECEIVED));
        assert_eq!(packet.payload, [1, 2, 3]);
    }

    #[test]
    fn joining_continues_our_numbers() {
        let rewrite = Rewrite::joining(&RECEIVED, 0, Ssrc(5), SeqNo(100), RtpTime(16_000));
        let header = rewrite.header(&RECEIVED);
        assert_eq!((header.seq, header.time), (SeqNo(100), RtpTime(16_000)));
    }

    #[test]
    fn too_few_bytes_are_left_alone() {
        let mut bytes = [0x80; 11];
        REWRITE.apply(&RECEIVED, false, &mut bytes);
        assert_eq!(bytes, [0x80; 11]);
        assert_eq!(
            REWRITE.stripped(false, &mut bytes).unwrap_err(),
            HeaderError::Short
        );
    }
}
