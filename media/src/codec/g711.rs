//! G.711 µ-law and A-law, bit-exact with the ITU's own software tool library (G.191 `ulaw_compress`,
//! `alaw_compress` and their inverses).
//!
//! Encoding computes instead of looking up: a 64 KiB table would push packets out of the first-level
//! cache, and the segment of a sample is one leading-zero count. Decoding is 256 entries.

/// Encodes µ-law as far as both slices reach; says how many samples were done.
pub fn encode_ulaw(samples: &[i16], payload: &mut [u8]) -> usize {
    for (byte, sample) in payload.iter_mut().zip(samples) {
        *byte = ulaw_of(*sample);
    }
    samples.len().min(payload.len())
}

/// Encodes A-law as far as both slices reach; says how many samples were done.
pub fn encode_alaw(samples: &[i16], payload: &mut [u8]) -> usize {
    for (byte, sample) in payload.iter_mut().zip(samples) {
        *byte = alaw_of(*sample);
    }
    samples.len().min(payload.len())
}

/// Decodes µ-law as far as both slices reach; says how many samples were done.
pub fn decode_ulaw(payload: &[u8], samples: &mut [i16]) -> usize {
    decode(&ULAW_DECODED, payload, samples)
}

/// Decodes A-law as far as both slices reach; says how many samples were done.
pub fn decode_alaw(payload: &[u8], samples: &mut [i16]) -> usize {
    decode(&ALAW_DECODED, payload, samples)
}

fn decode(table: &[i16; 256], payload: &[u8], samples: &mut [i16]) -> usize {
    for (sample, byte) in samples.iter_mut().zip(payload) {
        // A byte cannot leave 256 entries, so the compiler drops the check and the default.
        *sample = table.get(usize::from(*byte)).copied().unwrap_or(0);
    }
    payload.len().min(samples.len())
}

/// One sample as µ-law: 14 bits, one's complement for negatives, bias 33 (G.711 table 2).
#[inline]
pub const fn ulaw_of(sample: i16) -> u8 {
    let sign = (sample >> 15) as u16;
    let biased = (((sample as u16) ^ sign) >> 2) + 33;
    let magnitude = if biased > 0x1fff { 0x1fff } else { biased };
    // 33..=63 is segment 1, each doubling is one more, up to 8.
    let segment = 11 - magnitude.leading_zeros() as u16;
    let high = 8 - segment;
    let low = 0x0f - ((magnitude >> segment) & 0x0f);
    ((high << 4) | low | (!sign & 0x80)) as u8
}

/// One sample as A-law: 13 bits, one's complement for negatives, even bits inverted (G.711 table 1).
#[inline]
pub const fn alaw_of(sample: i16) -> u8 {
    let sign = (sample >> 15) as u16;
    let magnitude = ((sample as u16) ^ sign) >> 4;
    // Below 16 is the first half of the linear segment; from there each doubling is one more.
    let exponent = (magnitude >> 4).checked_ilog2();
    let code = match exponent {
        None => magnitude,
        Some(shift) => ((shift as u16 + 1) << 4) | ((magnitude >> shift) & 0x0f),
    };
    ((code | (!sign & 0x80)) ^ 0x55) as u8
}

const fn linear_of_ulaw(byte: u8) -> i16 {
    let code = !byte;
    let segment = (code >> 4) & 0x07;
    let step = (code & 0x0f) as i16;
    let magnitude = (((step << 1) + 33) << segment) - 33;
    let scaled = magnitude << 2;
    if byte & 0x80 == 0 { -scaled } else { scaled }
}

const fn linear_of_alaw(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let segment = (code >> 4) & 0x07;
    let middle = (((code & 0x0f) as i16) << 4) + 8;
    let magnitude = match segment {
        0 => middle,
        shift => (middle + 0x100) << (shift - 1),
    };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

static ULAW_DECODED: [i16; 256] = table_of_ulaw();
static ALAW_DECODED: [i16; 256] = table_of_alaw();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses to leave the array"
)]
const fn table_of_ulaw() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = linear_of_ulaw(code as u8);
        code += 1;
    }
    table
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses to leave the array"
)]
const fn table_of_alaw() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = linear_of_alaw(code as u8);
        code += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decision values of the positive half, from the Recommendation's own construction: 16 steps a
    /// segment, each segment's step twice the last (G.711 tables 1 and 2), in the law's own units.
    fn decisions(
        first: &[i32],
        segments: std::ops::RangeInclusive<u32>,
        step_of: impl Fn(u32) -> i32,
    ) -> Vec<i32> {
        let mut values = first.to_vec();
        for segment in segments {
            for _ in 0..16 {
                let last = *values.last().unwrap();
                values.push(last + step_of(segment));
            }
        }
        values
    }

    fn interval_of(decisions: &[i32], magnitude: i32) -> usize {
        decisions.partition_point(|d| *d <= magnitude) - 1
    }

    #[test]
    fn every_ulaw_code_lies_in_its_interval_of_the_recommendation() {
        // Segment 1 has 16 intervals, the first half as wide: 0, 1, 3, 5, … 31, then steps of 4, 8, … 256.
        let mut first = vec![0, 1];
        for n in 1..16 {
            first.push(1 + 2 * n);
        }
        let table = decisions(&first, 2..=8, |segment| 1 << segment);
        assert_eq!(
            *table.last().unwrap(),
            8159,
            "virtual decision value of G.711 table 2a"
        );
        for sample in i16::MIN..=i16::MAX {
            let magnitude = if sample < 0 {
                i32::from(!sample) >> 2
            } else {
                i32::from(sample) >> 2
            };
            let interval = interval_of(&table[..128], magnitude) as u8;
            let expected = if sample < 0 {
                0x7f - interval
            } else {
                0xff - interval
            };
            assert_eq!(ulaw_of(sample), expected, "sample {sample}");
        }
    }

    #[test]
    fn every_alaw_code_lies_in_its_interval_of_the_recommendation() {
        // Segment 1 is 32 intervals of 2 (in units of 4096 full scale), then steps of 4, 8, … 128.
        let first: Vec<i32> = (0..=32).map(|n| 2 * n).collect();
        let table = decisions(&first, 2..=7, |segment| 1 << segment);
        assert_eq!(
            *table.last().unwrap(),
            4096,
            "virtual decision value of G.711 table 1a"
        );
        for sample in i16::MIN..=i16::MAX {
            let magnitude = if sample < 0 {
                i32::from(!sample) >> 3
            } else {
                i32::from(sample) >> 3
            };
            let interval = interval_of(&table[..128], magnitude) as u8;
            let expected = (interval | if sample < 0 { 0 } else { 0x80 }) ^ 0x55;
            assert_eq!(alaw_of(sample), expected, "sample {sample}");
        }
    }

    #[test]
    fn decoded_values_are_the_middle_of_their_interval() {
        // G.711 tables 1a and 2a, quantised values of the highest, second and lowest codes.
        let ulaw = |byte: u8| ULAW_DECODED[usize::from(byte)] / 4;
        assert_eq!(
            (ulaw(0x80), ulaw(0x8f), ulaw(0xdf), ulaw(0xfe), ulaw(0xff)),
            (8031, 4191, 99, 2, 0)
        );
        let alaw = |byte: u8| ALAW_DECODED[usize::from(byte ^ 0x55)] / 8;
        assert_eq!(
            (alaw(0xff), alaw(0xf0), alaw(0x9f), alaw(0x80)),
            (4032, 2112, 63, 1)
        );
    }

    #[test]
    fn encoding_what_was_decoded_gives_the_same_code() {
        for byte in 0..=255u8 {
            assert_eq!(alaw_of(ALAW_DECODED[usize::from(byte)]), byte);
            // µ-law has two zeros; the negative one encodes as the positive.
            let expected = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(ulaw_of(ULAW_DECODED[usize::from(byte)]), expected);
        }
    }

    #[test]
    fn decoding_grows_with_the_sample() {
        let mut last = (i16::MIN, i16::MIN);
        for sample in i16::MIN..=i16::MAX {
            let here = (
                ULAW_DECODED[usize::from(ulaw_of(sample))],
                ALAW_DECODED[usize::from(alaw_of(sample))],
            );
            assert!(here.0 >= last.0 && here.1 >= last.1, "sample {sample}");
            last = here;
        }
    }
}
