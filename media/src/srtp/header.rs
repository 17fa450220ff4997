//! The length of an RTP header, and the form `webrtc-srtp` takes it in.
//!
//! Its own reader takes an extension element at its word and panics beyond the end, before any tag is
//! looked at; so it is given headers that are checked here and whose extension it never reads. Knows
//! nothing of keys.

use webrtc_rtp::header::Header;

const FIXED_BYTES: usize = 12;

/// The header of an RTP packet with at least `behind` bytes after it; none where it does not fit
/// (RFC 3550 §5.1, docs/threats.md A9).
pub(super) fn read(packet: &[u8], behind: usize) -> Option<Header> {
    let fixed: &[u8; FIXED_BYTES] = packet.first_chunk()?;
    let [flags, kind, seq_high, seq_low, time @ .., a, b, c, d] = *fixed;
    if flags >> 6 != 2 {
        return None;
    }
    let csrcs = usize::from(flags & 0xf);
    let has_extension = flags & 0x10 != 0;
    let mut length = FIXED_BYTES + 4 * csrcs;
    let mut extension_bytes = 0;
    if has_extension {
        let [_, _, high, low]: &[u8; 4] = packet.get(length..)?.first_chunk()?;
        extension_bytes = 4 * usize::from(u16::from_be_bytes([*high, *low]));
        length += 4 + extension_bytes;
    }
    if packet.len() < length + behind {
        return None;
    }
    Some(Header {
        version: 2,
        padding: flags & 0x20 != 0,
        extension: has_extension,
        marker: kind & 0x80 != 0,
        payload_type: kind & 0x7f,
        sequence_number: u16::from_be_bytes([seq_high, seq_low]),
        timestamp: u32::from_be_bytes(time),
        ssrc: u32::from_be_bytes([a, b, c, d]),
        // Only their count is looked at.
        csrc: vec![0; csrcs],
        extension_profile: 0,
        extensions: Vec::new(),
        extensions_padding: extension_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_ends_where_rtp_says() {
        // CSRCs, then the bytes of the extension behind its four.
        let table: [(&[u8], usize, Option<usize>); 4] = [
            (&[0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3], 0, None),
            (
                &[0x82, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5],
                2,
                None,
            ),
            (
                &[
                    0x90, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x5f, 1, 2, 3,
                ],
                0,
                Some(4),
            ),
            (
                &[0x90, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x10, 0, 0, 0],
                0,
                Some(0),
            ),
        ];
        for (packet, csrcs, extension) in table {
            let header = read(packet, 0).unwrap();
            assert_eq!((header.sequence_number, header.timestamp, header.ssrc), (1, 2, 3));
            assert_eq!(header.csrc.len(), csrcs, "{packet:x?}");
            assert_eq!(header.extension, extension.is_some(), "{packet:x?}");
            assert_eq!(header.extensions_padding, extension.unwrap_or(0), "{packet:x?}");
            assert!(read(packet, 1).is_none(), "{packet:x?}");
            for cut in 0..packet.len() {
                assert!(read(&packet[..cut], 0).is_none(), "{packet:x?} cut to {cut}");
            }
        }
        assert!(read(&[0x40; 12], 0).is_none(), "version 1");
    }
}
