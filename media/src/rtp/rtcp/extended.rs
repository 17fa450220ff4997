//! Extended reports (RFC 3611): of all their blocks, the one on voice.
//!
//! Total, as the reader of compound packets is: a block that says it is longer than its packet is an error.

use super::{RtcpError, Ssrc};

/// What a receiver says of the voice of one source (RFC 3611 §4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoipMetrics {
    /// The source reported on.
    pub ssrc: Ssrc,
    /// Lost since the beginning, 1/256.
    pub loss_rate: u8,
    /// Discarded since the beginning as they came too late or too early, 1/256.
    pub discard_rate: u8,
    /// The last round trip, milliseconds; 0: not known.
    pub round_trip_ms: u16,
    /// Its delay from packet to ear, milliseconds; 0: not known.
    pub end_system_ms: u16,
    /// Listening quality times ten, 10 to 50; none: not known.
    pub mos_listening: Option<u8>,
    /// Conversational quality times ten, 10 to 50; none: not known.
    pub mos_conversational: Option<u8>,
}

impl VoipMetrics {
    /// The first block on voice behind the reporter's SSRC; none where there is none.
    pub(super) fn find(mut blocks: &[u8]) -> Result<Option<VoipMetrics>, RtcpError> {
        while let Some(([kind, _, words_high, words_low], rest)) = blocks.split_first_chunk::<4>() {
            let bytes = 4 * usize::from(u16::from_be_bytes([*words_high, *words_low]));
            let (content, after) = rest.split_at_checked(bytes).ok_or(RtcpError::Truncated)?;
            if *kind == VOIP_METRICS {
                let content = content.first_chunk().ok_or(RtcpError::Truncated)?;
                return Ok(Some(VoipMetrics::read(content)));
            }
            blocks = after;
        }
        if blocks.is_empty() {
            Ok(None)
        } else {
            Err(RtcpError::Truncated)
        }
    }

    fn read(content: &[u8; CONTENT_BYTES]) -> VoipMetrics {
        let [
            ssrc_0,
            ssrc_1,
            ssrc_2,
            ssrc_3,
            loss_rate,
            discard_rate,
            _burst_density,
            _gap_density,
            _burst_high,
            _burst_low,
            _gap_high,
            _gap_low,
            trip_high,
            trip_low,
            end_high,
            end_low,
            _signal,
            _noise,
            _echo,
            _gap_min,
            _rating,
            _rating_outside,
            listening,
            conversational,
            ..,
        ] = *content;
        VoipMetrics {
            ssrc: Ssrc(u32::from_be_bytes([ssrc_0, ssrc_1, ssrc_2, ssrc_3])),
            loss_rate,
            discard_rate,
            round_trip_ms: u16::from_be_bytes([trip_high, trip_low]),
            end_system_ms: u16::from_be_bytes([end_high, end_low]),
            mos_listening: score(listening),
            mos_conversational: score(conversational),
        }
    }
}

/// 127 says that it is not known; beyond 10 to 50 nothing is a score.
fn score(tenths: u8) -> Option<u8> {
    (10..=50).contains(&tenths).then_some(tenths)
}

/// Block type (RFC 3611 §4.7).
const VOIP_METRICS: u8 = 7;
/// Behind its first word (RFC 3611 §4.7: block length 8).
const CONTENT_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// A block as it is on the wire.
    fn block(ssrc: u32, listening: u8) -> Vec<u8> {
        let mut bytes = vec![7, 0, 0, 8];
        bytes.extend(ssrc.to_be_bytes());
        bytes.extend([
            26, 13, 1, 2, 0, 3, 0, 4, 0, 120, 0, 60, 1, 2, 3, 16, 90, 127, listening, 41, 0, 0,
        ]);
        bytes.extend([0, 40, 0, 80, 0, 160]);
        bytes
    }

    #[test]
    fn the_block_on_voice_is_found_behind_others() {
        let mut blocks = vec![4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8];
        blocks.extend(block(9, 43));
        blocks.extend([9, 0, 0, 0]);
        let found = VoipMetrics::find(&blocks).unwrap().unwrap();
        let expected = VoipMetrics {
            ssrc: Ssrc(9),
            loss_rate: 26,
            discard_rate: 13,
            round_trip_ms: 120,
            end_system_ms: 60,
            mos_listening: Some(43),
            mos_conversational: Some(41),
        };
        assert_eq!(found, expected);
        assert_eq!(VoipMetrics::find(&[9, 0, 0, 0]), Ok(None));
        assert_eq!(VoipMetrics::find(&[]), Ok(None));
    }

    #[test]
    fn a_score_that_is_none_is_not_taken_for_one() {
        for (listening, expected) in [
            (127, None),
            (0, None),
            (9, None),
            (10, Some(10)),
            (50, Some(50)),
            (51, None),
        ] {
            let found = VoipMetrics::find(&block(1, listening)).unwrap().unwrap();
            assert_eq!(found.mos_listening, expected, "{listening}");
        }
    }

    #[test]
    fn blocks_of_every_wrong_length_are_refused() {
        let whole = block(1, 40);
        for cut in 1..whole.len() {
            assert_eq!(
                VoipMetrics::find(&whole[..cut]),
                Err(RtcpError::Truncated),
                "{cut}"
            );
        }
        for words in 0..8 {
            let mut short = whole[..4 + 4 * usize::from(words)].to_vec();
            short[3] = words;
            assert_eq!(VoipMetrics::find(&short), Err(RtcpError::Truncated), "{words}");
        }
    }
}
