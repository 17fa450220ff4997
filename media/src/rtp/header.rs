//! One RTP packet as bytes: a checked view of a received one and the fixed header of one to send.
//!
//! The layout is read by `rtp-rs`; this module adds what this gateway relies on and turns its errors into
//! ones that carry no input. Demultiplex first: an RTCP packet would pass as RTP here.

use rtp_rs::{RtpReader, RtpReaderError};

use super::{RtpTime, SeqNo, Ssrc};

/// A received packet whose header, extension and padding lie inside the datagram.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The fixed fields.
    pub header: Header,
    /// What the codec gets: without header, CSRC list, extension and padding.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    pub fn parse(datagram: &'a [u8]) -> Result<Packet<'a>, HeaderError> {
        let reader = RtpReader::new(datagram).map_err(HeaderError::from)?;
        Ok(Packet {
            header: Header {
                marker: reader.mark(),
                payload_type: reader.payload_type(),
                seq: SeqNo(u16::from(reader.sequence_number())),
                time: RtpTime(reader.timestamp()),
                ssrc: Ssrc(reader.ssrc()),
            },
            payload: reader.payload(),
        })
    }
}

/// The fields of the fixed header that change from packet to packet (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// First packet of a talkspurt, or of an event.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub seq: SeqNo,
    /// Media time of the first sample.
    pub time: RtpTime,
    /// Who sends.
    pub ssrc: Ssrc,
}

impl Header {
    /// Bytes of a header without CSRC list and extension.
    pub const BYTES: usize = 12;

    /// The header of a packet to send: version 2, no padding, no extension, no CSRC.
    pub const fn to_bytes(self) -> [u8; Header::BYTES] {
        let [seq_high, seq_low] = self.seq.0.to_be_bytes();
        let [time_a, time_b, time_c, time_d] = self.time.0.to_be_bytes();
        let [ssrc_a, ssrc_b, ssrc_c, ssrc_d] = self.ssrc.0.to_be_bytes();
        let type_byte = (self.payload_type & 0x7f) | if self.marker { 0x80 } else { 0 };
        [
            VERSION_2, type_byte, seq_high, seq_low, time_a, time_b, time_c, time_d, ssrc_a, ssrc_b, ssrc_c,
            ssrc_d,
        ]
    }
}

/// Why a datagram is no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Fewer than 12 bytes.
    #[error("shorter than an RTP header")]
    Short,
    /// Version other than 2.
    #[error("RTP version {0}")]
    Version(u8),
    /// CSRC list or extension beyond the end.
    #[error("RTP header longer than the datagram")]
    Truncated,
    /// Padding of 0 or beyond the payload.
    #[error("RTP padding of {0} bytes")]
    Padding(u8),
}

impl From<RtpReaderError> for HeaderError {
    fn from(error: RtpReaderError) -> HeaderError {
        match error {
            RtpReaderError::BufferTooShort(_) => HeaderError::Short,
            RtpReaderError::UnsupportedVersion(version) => HeaderError::Version(version),
            RtpReaderError::HeadersTruncated { .. } => HeaderError::Truncated,
            RtpReaderError::PaddingLengthInvalid(length) => HeaderError::Padding(length),
        }
    }
}

const VERSION_2: u8 = 2 << 6;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The layout of RFC 3550 §5.1 read a second way: where the payload starts and ends, or none.
    fn payload_range(datagram: &[u8]) -> Option<std::ops::Range<usize>> {
        let first = *datagram.first()?;
        if datagram.len() < 12 || first >> 6 != 2 {
            return None;
        }
        let mut start = 12 + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let words = datagram.get(start + 2..start + 4)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        let padding = if first & 0x20 != 0 {
            usize::from(*datagram.last()?)
        } else {
            0
        };
        if first & 0x20 != 0 && padding == 0 {
            return None;
        }
        let end = datagram.len().checked_sub(padding)?;
        (start <= end).then_some(start..end)
    }

    #[test]
    fn all_first_bytes_and_lengths_agree_with_the_rfc() {
        // A9: 256 first bytes, lengths 0 to 80, with fillings that make the extension and padding vary.
        for fill in [0u8, 1, 2, 5, 0x40, 0xff] {
            for first in 0..=255u8 {
                for length in 0..=80usize {
                    let mut datagram = vec![fill; length];
                    if let Some(byte) = datagram.first_mut() {
                        *byte = first;
                    }
                    let expected = payload_range(&datagram).map(|range| datagram[range].to_vec());
                    let actual = Packet::parse(&datagram)
                        .ok()
                        .map(|packet| packet.payload.to_vec());
                    assert_eq!(actual, expected, "first {first:#x} length {length} fill {fill}");
                }
            }
        }
    }

    #[test]
    fn a_written_header_reads_back() {
        let header = Header {
            marker: true,
            payload_type: 101,
            seq: SeqNo(0xfffe),
            time: RtpTime(0x0102_0304),
            ssrc: Ssrc(0xdead_beef),
        };
        let mut datagram = header.to_bytes().to_vec();
        datagram.extend([7, 8, 9]);
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!(packet.header, header);
        assert_eq!(packet.payload, [7, 8, 9]);
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(Packet::parse(&[0x80; 11]).unwrap_err(), HeaderError::Short);
        assert_eq!(Packet::parse(&[0x40; 12]).unwrap_err(), HeaderError::Version(1));
        let mut csrcs = [0; 12];
        csrcs[0] = 0x8f;
        assert_eq!(Packet::parse(&csrcs).unwrap_err(), HeaderError::Truncated);
        let mut padded = [0; 13];
        padded[0] = 0xa0;
        padded[12] = 2;
        assert_eq!(Packet::parse(&padded).unwrap_err(), HeaderError::Padding(2));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(datagram in proptest::collection::vec(any::<u8>(), 0..1600)) {
            let _ = Packet::parse(&datagram);
        }
    }
}
