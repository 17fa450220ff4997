//! Reads compound packets. Total: every length is checked against the datagram before it is used.

use super::{
    CNAME, EXTENDED_REPORT, GOODBYE, NtpTime, RECEIVER_REPORT, REPORT_BLOCK_BYTES, ReportBlock, RtpTime,
    SENDER_REPORT, SOURCE_DESCRIPTION, SenderInfo, Ssrc, VoipMetrics,
};

/// A compound packet whose parts all lie inside the datagram.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks a datagram as RFC 3550 appendix A.2 says: version 2 throughout, a report first, padding only at
    /// the end, lengths that add up to the datagram exactly.
    pub fn parse(datagram: &'a [u8]) -> Result<Compound<'a>, RtcpError> {
        if datagram.len() < COMPOUND_BYTES_MIN {
            return Err(RtcpError::Short);
        }
        let mut rest = datagram;
        let mut is_first = true;
        while !rest.is_empty() {
            let (part, after) = split(rest)?;
            if is_first && part.kind != SENDER_REPORT && part.kind != RECEIVER_REPORT {
                return Err(RtcpError::NoReport);
            }
            if part.padded && !after.is_empty() {
                return Err(RtcpError::Padding);
            }
            read(&part)?;
            (rest, is_first) = (after, false);
        }
        Ok(Compound { bytes: datagram })
    }

    /// The parts in order.
    pub fn packets(&self) -> impl Iterator<Item = RtcpPacket<'a>> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (part, after) = split(rest).ok()?;
            rest = after;
            read(&part).ok()
        })
    }
}

/// One part of a compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// A report of one that sends.
    SenderReport {
        /// Who reports.
        ssrc: Ssrc,
        /// Of its own sending.
        info: SenderInfo,
        /// Of what it hears.
        blocks: Blocks<'a>,
    },
    /// A report of one that does not send.
    ReceiverReport {
        /// Who reports.
        ssrc: Ssrc,
        /// Of what it hears.
        blocks: Blocks<'a>,
    },
    /// A description; only the first chunk's canonical name is read.
    SourceDescription {
        /// Who is described.
        ssrc: Ssrc,
        /// Its canonical name.
        cname: Option<&'a [u8]>,
    },
    /// Sources that leave.
    Bye(Ssrcs<'a>),
    /// An extended report (RFC 3611), of which the block on voice is read.
    ExtendedReport(Option<VoipMetrics>),
    /// Any other type: application data, feedback.
    Other(u8),
}

/// Report blocks, 24 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks<'a>(&'a [u8]);

impl<'a> Blocks<'a> {
    /// Block by block.
    pub fn iter(self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.0.as_chunks::<REPORT_BLOCK_BYTES>().0.iter().map(block)
    }
}

/// Sources named in a BYE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssrcs<'a>(&'a [u8]);

impl<'a> Ssrcs<'a> {
    /// One by one.
    pub fn iter(self) -> impl Iterator<Item = Ssrc> + use<'a> {
        self.0
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| Ssrc(u32::from_be_bytes(*bytes)))
    }
}

/// Why a datagram is no compound RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// Fewer than 8 bytes.
    #[error("shorter than any RTCP packet")]
    Short,
    /// Version other than 2.
    #[error("RTCP version {0}")]
    Version(u8),
    /// A length word points beyond the datagram, or a count beyond its packet.
    #[error("RTCP packet longer than the datagram")]
    Truncated,
    /// Padding before the last part, or of an impossible length.
    #[error("RTCP padding")]
    Padding,
    /// The first part is neither SR nor RR.
    #[error("RTCP compound does not begin with a report")]
    NoReport,
}

/// One part, without its common header and padding.
struct Part<'a> {
    kind: u8,
    count: u8,
    padded: bool,
    body: &'a [u8],
}

fn split(bytes: &[u8]) -> Result<(Part<'_>, &[u8]), RtcpError> {
    let ([flags, kind, words_high, words_low], after_header) =
        bytes.split_first_chunk::<4>().ok_or(RtcpError::Truncated)?;
    if flags >> 6 != 2 {
        return Err(RtcpError::Version(flags >> 6));
    }
    let body_bytes = 4 * usize::from(u16::from_be_bytes([*words_high, *words_low]));
    let (mut body, after) = after_header
        .split_at_checked(body_bytes)
        .ok_or(RtcpError::Truncated)?;
    let padded = flags & 0x20 != 0;
    if padded {
        let padding = usize::from(*body.last().ok_or(RtcpError::Padding)?);
        if padding == 0 || padding % 4 != 0 {
            return Err(RtcpError::Padding);
        }
        body = body
            .len()
            .checked_sub(padding)
            .and_then(|end| body.get(..end))
            .ok_or(RtcpError::Padding)?;
    }
    Ok((
        Part {
            kind: *kind,
            count: flags & 0x1f,
            padded,
            body,
        },
        after,
    ))
}

fn read<'a>(part: &Part<'a>) -> Result<RtcpPacket<'a>, RtcpError> {
    match part.kind {
        SENDER_REPORT => {
            let (ssrc, rest) = take_ssrc(part.body)?;
            let (info, rest) = rest.split_first_chunk::<20>().ok_or(RtcpError::Truncated)?;
            Ok(RtcpPacket::SenderReport {
                ssrc,
                info: sender_info(info),
                blocks: blocks(part.count, rest)?,
            })
        }
        RECEIVER_REPORT => {
            let (ssrc, rest) = take_ssrc(part.body)?;
            Ok(RtcpPacket::ReceiverReport {
                ssrc,
                blocks: blocks(part.count, rest)?,
            })
        }
        SOURCE_DESCRIPTION if part.count > 0 => {
            let (ssrc, items) = take_ssrc(part.body)?;
            Ok(RtcpPacket::SourceDescription {
                ssrc,
                cname: cname(items)?,
            })
        }
        GOODBYE => {
            let bytes = part
                .body
                .get(..4 * usize::from(part.count))
                .ok_or(RtcpError::Truncated)?;
            Ok(RtcpPacket::Bye(Ssrcs(bytes)))
        }
        EXTENDED_REPORT => {
            let (_, blocks) = take_ssrc(part.body)?;
            Ok(RtcpPacket::ExtendedReport(VoipMetrics::find(blocks)?))
        }
        other => Ok(RtcpPacket::Other(other)),
    }
}

fn take_ssrc(body: &[u8]) -> Result<(Ssrc, &[u8]), RtcpError> {
    let (ssrc, rest) = body.split_first_chunk::<4>().ok_or(RtcpError::Truncated)?;
    Ok((Ssrc(u32::from_be_bytes(*ssrc)), rest))
}

fn blocks(count: u8, bytes: &[u8]) -> Result<Blocks<'_>, RtcpError> {
    bytes
        .get(..REPORT_BLOCK_BYTES * usize::from(count))
        .map(Blocks)
        .ok_or(RtcpError::Truncated)
}

fn sender_info(bytes: &[u8; 20]) -> SenderInfo {
    let word = |at: usize| word_at(bytes, at);
    SenderInfo {
        ntp: NtpTime((u64::from(word(0)) << 32) | u64::from(word(4))),
        time: RtpTime(word(8)),
        packets: word(12),
        bytes: word(16),
    }
}

fn block(bytes: &[u8; REPORT_BLOCK_BYTES]) -> ReportBlock {
    let word = |at: usize| word_at(bytes, at);
    let loss = word(4);
    ReportBlock {
        ssrc: Ssrc(word(0)),
        fraction_lost: (loss >> 24) as u8,
        // 24 bits with sign, moved to the top of 32 and back.
        cumulative_lost: ((loss << 8) as i32) >> 8,
        highest_seq: word(8),
        jitter: word(12),
        last_sr: word(16),
        delay_since_last_sr: word(20),
    }
}

/// A big-endian word inside a block whose size is fixed; 0 beyond it, which no caller asks for.
fn word_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<4>())
        .map_or(0, |word| u32::from_be_bytes(*word))
}

/// The canonical name among the items of one chunk (RFC 3550 §6.5).
fn cname(mut items: &[u8]) -> Result<Option<&[u8]>, RtcpError> {
    loop {
        match items {
            [] | [0, ..] => return Ok(None),
            [_] => return Err(RtcpError::Truncated),
            [kind, length, rest @ ..] => {
                let (text, after) = rest
                    .split_at_checked(usize::from(*length))
                    .ok_or(RtcpError::Truncated)?;
                if *kind == CNAME {
                    return Ok(Some(text));
                }
                items = after;
            }
        }
    }
}

/// The shortest report is a receiver report without blocks.
const COMPOUND_BYTES_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::CompoundWriter;
    use super::*;

    #[test]
    fn all_lengths_up_to_64_are_either_read_or_refused() {
        // A7, A8: every type and count, every length word that could matter, every datagram length.
        for kind in 192..=223u8 {
            for flags in [0x80u8, 0x81, 0x9f, 0xa0, 0xbf] {
                for words in 0..=17u8 {
                    for length in 0..=64usize {
                        let mut datagram = vec![4u8; length];
                        for (byte, value) in datagram.iter_mut().zip([flags, kind, 0, words]) {
                            *byte = value;
                        }
                        if let Ok(compound) = Compound::parse(&datagram) {
                            assert!(length >= 8);
                            assert_eq!(length % 4, 0);
                            assert!(compound.packets().count() >= 1);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn four_bytes_are_no_report() {
        assert_eq!(Compound::parse(&[0x80, 201, 0, 0]).unwrap_err(), RtcpError::Short);
        assert_eq!(
            Compound::parse(&[0x80, 201, 0, 0, 0x80, 201, 0, 0]).unwrap_err(),
            RtcpError::Truncated
        );
    }

    #[test]
    fn a_bye_alone_or_beyond_its_length_is_refused() {
        assert_eq!(
            Compound::parse(&[0x81, 203, 0, 1, 0, 0, 0, 7]).unwrap_err(),
            RtcpError::NoReport
        );
        let mut datagram = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
        datagram.extend([0x9f, 203, 0, 1, 0, 0, 0, 7]);
        assert_eq!(Compound::parse(&datagram).unwrap_err(), RtcpError::Truncated);
    }

    #[test]
    fn a_name_beyond_its_packet_is_refused() {
        let mut datagram = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
        datagram.extend([0x81, 202, 0, 2, 0, 0, 0, 7, 1, 3, b'a', b'b']);
        assert_eq!(Compound::parse(&datagram).unwrap_err(), RtcpError::Truncated);
    }

    #[test]
    fn padding_belongs_to_the_last_part_only() {
        let mut datagram = vec![0xa0, 201, 0, 2, 0, 0, 0, 7, 0, 0, 0, 4];
        assert!(Compound::parse(&datagram).is_ok());
        datagram.extend([0x80, 201, 0, 1, 0, 0, 0, 7]);
        assert_eq!(Compound::parse(&datagram).unwrap_err(), RtcpError::Padding);
    }

    #[test]
    fn negative_loss_keeps_its_sign() {
        let block = ReportBlock {
            ssrc: Ssrc(9),
            fraction_lost: 3,
            cumulative_lost: -2,
            highest_seq: 70_000,
            jitter: 5,
            last_sr: 6,
            delay_since_last_sr: 7,
        };
        let mut buffer = [0; 64];
        let length = CompoundWriter::new(&mut buffer)
            .receiver_report(Ssrc(1), Some(&block))
            .finish()
            .unwrap();
        let compound = Compound::parse(&buffer[..length]).unwrap();
        let Some(RtcpPacket::ReceiverReport { ssrc, blocks }) = compound.packets().next() else {
            panic!("a receiver report was written")
        };
        assert_eq!(ssrc, Ssrc(1));
        assert_eq!(blocks.iter().collect::<Vec<_>>(), [block]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(datagram in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(compound) = Compound::parse(&datagram) {
                for packet in compound.packets() {
                    match packet {
                        RtcpPacket::SenderReport { blocks, .. } | RtcpPacket::ReceiverReport { blocks, .. } => {
                            assert!(blocks.iter().count() <= 31);
                        }
                        RtcpPacket::Bye(ssrcs) => assert!(ssrcs.iter().count() <= 31),
                        RtcpPacket::SourceDescription { .. }
                        | RtcpPacket::ExtendedReport(_)
                        | RtcpPacket::Other(_) => {}
                    }
                }
            }
        }

        #[test]
        fn plausible_bytes_panic_neither(
            head in (0x80u8..=0xbf, 200u8..=207, 0u8..=20),
            tail in proptest::collection::vec(any::<u8>(), 4..200),
        ) {
            let mut datagram = vec![head.0, head.1, 0, head.2];
            datagram.extend(tail);
            let _ = Compound::parse(&datagram).map(|compound| compound.packets().count());
        }
    }
}
