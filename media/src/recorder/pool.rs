//! Sample memory for blocks: taken at the start, lent to tracks, given back by the writer.

use super::BLOCK_SAMPLES;

/// A fixed number of sample vectors, each of one block's capacity. Empty: the frame is lost, nothing grows.
#[derive(Debug)]
pub struct BlockPool {
    free: Vec<Vec<i16>>,
    total: usize,
}

impl BlockPool {
    /// Takes memory for `blocks` blocks, 3.2 kB each.
    pub fn new(blocks: usize) -> BlockPool {
        let free = (0..blocks).map(|_| Vec::with_capacity(BLOCK_SAMPLES)).collect();
        BlockPool { free, total: blocks }
    }

    /// Lends one, empty.
    pub fn take(&mut self) -> Option<Vec<i16>> {
        self.free.pop()
    }

    /// Takes one back. Foreign memory, too small or beyond the number, is let go.
    pub fn give(&mut self, mut samples: Vec<i16>) {
        if samples.capacity() >= BLOCK_SAMPLES && self.free.len() < self.total {
            samples.clear();
            self.free.push(samples);
        }
    }

    /// How many can be lent.
    pub fn free(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_fixed() {
        let mut pool = BlockPool::new(2);
        let (a, b) = (pool.take().unwrap(), pool.take().unwrap());
        assert!(pool.take().is_none());
        pool.give(a);
        pool.give(b);
        pool.give(Vec::with_capacity(BLOCK_SAMPLES));
        assert_eq!(pool.free(), 2);
        let _ = pool.take();
        pool.give(Vec::new());
        assert_eq!(pool.free(), 1);
    }
}
