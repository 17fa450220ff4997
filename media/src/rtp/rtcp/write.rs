//! Writes compound packets into given bytes.

use super::{
    CNAME, GOODBYE, RECEIVER_REPORT, REPORT_BLOCK_BYTES, ReportBlock, SENDER_REPORT, SOURCE_DESCRIPTION,
    SenderInfo, Ssrc, VERSION_2,
};

/// A compound packet in the making; begin with a report, end with [`CompoundWriter::finish`].
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    buffer: &'a mut [u8],
    /// Bytes wanted so far; beyond the buffer when it was too small.
    length: usize,
}

impl<'a> CompoundWriter<'a> {
    /// Into `buffer`. A report with one block, a name and a BYE take at most 84 bytes and the name.
    pub fn new(buffer: &'a mut [u8]) -> CompoundWriter<'a> {
        CompoundWriter { buffer, length: 0 }
    }

    /// A report of one that sends.
    pub fn sender_report(mut self, ssrc: Ssrc, info: &SenderInfo, block: Option<&ReportBlock>) -> Self {
        self.head(u8::from(block.is_some()), SENDER_REPORT, 24 + block_bytes(block));
        self.put(&ssrc.0.to_be_bytes());
        self.put(&info.ntp.0.to_be_bytes());
        self.put(&info.time.0.to_be_bytes());
        self.put(&info.packets.to_be_bytes());
        self.put(&info.bytes.to_be_bytes());
        self.block(block);
        self
    }

    /// A report of one that does not send.
    pub fn receiver_report(mut self, ssrc: Ssrc, block: Option<&ReportBlock>) -> Self {
        self.head(u8::from(block.is_some()), RECEIVER_REPORT, 4 + block_bytes(block));
        self.put(&ssrc.0.to_be_bytes());
        self.block(block);
        self
    }

    /// Our canonical name, cut at [`CNAME_BYTES_MAX`].
    pub fn cname(mut self, ssrc: Ssrc, name: &[u8]) -> Self {
        let name = name.get(..CNAME_BYTES_MAX).unwrap_or(name);
        let items = 2 + name.len();
        // At least one zero ends the items, up to the next word.
        let zeros = 4 - items % 4;
        self.head(1, SOURCE_DESCRIPTION, 4 + items + zeros);
        self.put(&ssrc.0.to_be_bytes());
        self.put(&[CNAME, name.len() as u8]);
        self.put(name);
        self.put([0; 4].get(..zeros).unwrap_or_default());
        self
    }

    /// We leave.
    pub fn bye(mut self, ssrc: Ssrc) -> Self {
        self.head(1, GOODBYE, 4);
        self.put(&ssrc.0.to_be_bytes());
        self
    }

    /// Bytes written; `None` when the buffer was too small.
    pub fn finish(self) -> Option<usize> {
        (self.length <= self.buffer.len()).then_some(self.length)
    }

    fn head(&mut self, count: u8, kind: u8, body_bytes: usize) {
        debug_assert!(body_bytes.is_multiple_of(4));
        let [words_high, words_low] = ((body_bytes / 4) as u16).to_be_bytes();
        self.put(&[VERSION_2 | count, kind, words_high, words_low]);
    }

    fn block(&mut self, block: Option<&ReportBlock>) {
        let Some(block) = block else { return };
        let loss = (u32::from(block.fraction_lost) << 24) | (block.cumulative_lost as u32 & 0x00ff_ffff);
        for word in [
            block.ssrc.0,
            loss,
            block.highest_seq,
            block.jitter,
            block.last_sr,
            block.delay_since_last_sr,
        ] {
            self.put(&word.to_be_bytes());
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.buffer.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
        }
        self.length = end;
    }
}

fn block_bytes(block: Option<&ReportBlock>) -> usize {
    block.map_or(0, |_| REPORT_BLOCK_BYTES)
}

/// Longest canonical name we write, bytes; the item's length is one byte.
pub const CNAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::super::{Compound, NtpTime, RtcpPacket, RtpTime};
    use super::*;

    const INFO: SenderInfo = SenderInfo {
        ntp: NtpTime(0x0102_0304_0506_0708),
        time: RtpTime(99),
        packets: 5,
        bytes: 800,
    };

    #[test]
    fn a_whole_compound_reads_back() {
        let mut buffer = [0; 128];
        let length = CompoundWriter::new(&mut buffer)
            .sender_report(Ssrc(1), &INFO, None)
            .cname(Ssrc(1), b"gateway")
            .bye(Ssrc(1))
            .finish()
            .unwrap();
        let compound = Compound::parse(&buffer[..length]).unwrap();
        let packets: Vec<_> = compound.packets().collect();
        assert!(matches!(
            packets[0],
            RtcpPacket::SenderReport {
                ssrc: Ssrc(1),
                info: INFO,
                ..
            }
        ));
        assert_eq!(
            packets[1],
            RtcpPacket::SourceDescription {
                ssrc: Ssrc(1),
                cname: Some(b"gateway")
            }
        );
        let RtcpPacket::Bye(leaving) = packets[2] else {
            panic!("a BYE was written")
        };
        assert_eq!(leaving.iter().collect::<Vec<_>>(), [Ssrc(1)]);
        assert_eq!(packets.len(), 3);
    }

    #[test]
    fn names_of_every_length_are_padded_with_at_least_one_zero() {
        for length in 0..=CNAME_BYTES_MAX + 10 {
            let name = vec![b'n'; length];
            let mut buffer = [0xff; 512];
            let written = CompoundWriter::new(&mut buffer)
                .receiver_report(Ssrc(1), None)
                .cname(Ssrc(1), &name)
                .finish()
                .unwrap();
            assert_eq!(buffer[written - 1], 0);
            let compound = Compound::parse(&buffer[..written]).unwrap();
            let Some(RtcpPacket::SourceDescription {
                cname: Some(read), ..
            }) = compound.packets().nth(1)
            else {
                panic!("a description was written")
            };
            assert_eq!(read.len(), length.min(CNAME_BYTES_MAX));
        }
    }

    #[test]
    fn a_small_buffer_gives_nothing() {
        let mut buffer = [0; 20];
        assert_eq!(
            CompoundWriter::new(&mut buffer)
                .sender_report(Ssrc(1), &INFO, None)
                .finish(),
            None
        );
    }
}
