//! The one random source of the stack: tags, branches, Call-IDs and cnonces nobody can guess.
//!
//! SHA-256 over a secret seed and a counter: the same seed gives the same stream, so a simulated call
//! can be replayed, and nobody without the seed can tell what comes next. Reads no clock and no system
//! source: the seed is an argument.

use std::fmt;

use sha2::{Digest, Sha256};

/// A stream of unguessable bytes from a 32-byte seed.
pub struct Rng {
    seed: [u8; 32],
    blocks: u64,
    block: [u8; 32],
    /// Bytes of `block` handed out already.
    used: usize,
}

/// Letters and digits of a token, 5 bits each; none that look alike.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Letters of a tag, branch or cnonce: 20 × 5 = 100 bits; RFC 3261 §19.3 wants at least 32.
pub const TOKEN_LETTERS: usize = 20;

impl Rng {
    /// A stream of this seed.
    pub fn new(seed: [u8; 32]) -> Rng {
        Rng {
            seed,
            blocks: 0,
            block: [0; 32],
            used: 32,
        }
    }

    /// A token of letters and digits with 5 bits of secret each.
    pub fn token(&mut self, letters: usize) -> String {
        let letter = |byte: u8| ALPHABET.get(usize::from(byte & 31)).copied().unwrap_or(b'a');
        (0..letters).map(|_| char::from(letter(self.byte()))).collect()
    }

    /// Fills a key with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.byte());
    }

    /// 32 random bits.
    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// 64 random bits.
    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number below `n`, each as likely as the others; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        let unfair = u64::MAX - u64::MAX % n;
        loop {
            let drawn = self.u64();
            if drawn < unfair {
                return drawn % n;
            }
        }
    }

    /// 8 random bits.
    pub fn byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            let hash = Sha256::new()
                .chain_update(self.seed)
                .chain_update(self.blocks.to_be_bytes());
            self.block = hash.finalize().into();
            self.blocks += 1;
            self.used = 0;
        }
        let byte = self.block.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        byte
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rng")
            .field("blocks", &self.blocks)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn one_seed_gives_one_stream() {
        let (mut left, mut right) = (Rng::new([7; 32]), Rng::new([7; 32]));
        assert_eq!(left.token(40), right.token(40));
        assert_eq!((left.u32(), left.u64()), (right.u32(), right.u64()));
        assert_ne!(Rng::new([8; 32]).token(40), Rng::new([7; 32]).token(40));
    }

    #[test]
    fn stream_is_sha_256_of_seed_and_counter() {
        let hash: [u8; 32] = Sha256::digest([&[7u8; 32][..], &0u64.to_be_bytes()[..]].concat()).into();
        assert_eq!(Rng::new([7; 32]).u64().to_be_bytes(), hash[..8]);
    }

    #[test]
    fn tokens_do_not_repeat_and_use_all_letters() {
        let mut rng = Rng::new([1; 32]);
        let tokens: BTreeSet<_> = (0..1000).map(|_| rng.token(TOKEN_LETTERS)).collect();
        assert_eq!(tokens.len(), 1000);
        let letters: BTreeSet<_> = tokens.iter().flat_map(|token| token.bytes()).collect();
        assert_eq!(letters.len(), 32);
    }

    #[test]
    fn below_stays_below_and_reaches_all() {
        let mut rng = Rng::new([2; 32]);
        let seen: BTreeSet<_> = (0..1000).map(|_| rng.below(7)).collect();
        assert_eq!(seen, (0..7).collect());
        assert_eq!((rng.below(0), rng.below(1)), (0, 0));
        assert!(rng.below(u64::MAX) < u64::MAX);
    }
}
