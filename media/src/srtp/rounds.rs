//! Rounds of a sequence: what the rollover counter of each SSRC is, and how a fresh context comes to one.
//!
//! After a new key RFC 3711 §3.3.1 lets the counter go on, RFC 4568 §7.1.4 begins it at zero where the address
//! changes too, and peers do either (docs/decisions/0016-a-new-key-may-keep-its-round.md). Knows nothing of keys.

use webrtc_srtp::context::Context;

use super::header;

/// Rounds a context is brought forward, at most: nearly four days at 50 packets a second. Each costs three
/// packets that are encrypted and thrown away.
pub const ROUNDS_MAX: u32 = 255;

/// Packets of one round that are passed over on the way: further apart the context would take the next one
/// for the round before.
const STEP: u64 = 0x7000;

/// The highest index of each SSRC (RFC 3711 §3.3.1: 2^16 · ROC + SEQ).
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    /// As many as a receiver takes SSRCs.
    highest: Vec<(u32, u64)>,
}

impl Rounds {
    /// Takes note of a packet that was proved.
    pub fn note(&mut self, ssrc: u32, sequence: u16) {
        match self.highest.iter_mut().find(|(of, _)| *of == ssrc) {
            Some((_, highest)) => *highest = (*highest).max(nearest(*highest, sequence)),
            None => self.highest.push((ssrc, u64::from(sequence))),
        }
    }

    /// It began in a later round than the first.
    pub fn begin(&mut self, ssrc: u32, index: u64) {
        self.highest.retain(|(of, _)| *of != ssrc);
        self.highest.push((ssrc, index));
    }

    /// The index that a packet has if the counter goes on; none where that is the first round, or too far off.
    pub fn later(&self, ssrc: u32, sequence: u16) -> Option<u64> {
        let (_, highest) = self.highest.iter().find(|(of, _)| *of == ssrc)?;
        let index = nearest(*highest, sequence);
        (1..=u64::from(ROUNDS_MAX))
            .contains(&(index >> 16))
            .then_some(index)
    }
}

/// The index nearest to the highest one.
fn nearest(highest: u64, sequence: u16) -> u64 {
    let ahead = sequence.wrapping_sub(highest as u16) as i16;
    highest
        .checked_add_signed(ahead.into())
        .unwrap_or(u64::from(sequence))
}

/// Brings a context that has seen nothing of an SSRC to an index. Its library has no way to say so but to
/// have packets go by; what they become is not kept, so no key stream is used.
pub(super) fn bring_forward(context: &mut Context, ssrc: u32, index: u64) {
    let mut at = 0_u64;
    loop {
        let [high, low] = (at as u16).to_be_bytes();
        let [a, b, c, d] = ssrc.to_be_bytes();
        let packet = [0x80, 0, high, low, 0, 0, 0, 0, a, b, c, d];
        if let Some(header) = header::read(&packet, 0) {
            let _ = context.encrypt_rtp_with_header(&packet, &header);
        }
        if at == index {
            return;
        }
        at = (at + STEP).min(index);
    }
}
