//! One party's audio on the grid, cut into blocks of 200 ms.
//!
//! A sample's place is its tick, never a count of what was handed on: a frame that was missed, a block for
//! which there was no memory, or one that the full queue refused, leaves a gap that the writer fills with
//! silence, and what follows still lies where it belongs.

use super::{BlockPool, TrackKey};
use crate::frame::FRAME_SAMPLES;

/// A track while it grows.
#[derive(Debug)]
pub struct Track {
    key: TrackKey,
    first_tick: u64,
    /// Samples from the start to the next frame expected.
    position: u64,
    /// Where the block in the making starts, and its samples.
    block: Option<(u64, Vec<i16>)>,
    /// Frames for which there was no memory.
    lost_frames: u64,
}

/// A stretch of one track, handed to the writer.
#[derive(Debug)]
pub struct Block {
    /// Which track.
    pub track: TrackKey,
    /// The shard's tick at which the track began.
    pub first_tick: u64,
    /// Where these samples lie, samples from the track's start.
    pub position: u64,
    /// At most [`BLOCK_SAMPLES`]; goes back to the pool.
    pub samples: Vec<i16>,
    /// Nothing follows; the track is as long as `position` and these samples.
    pub is_last: bool,
}

impl Track {
    /// Begins with the frame of `first_tick`.
    pub const fn new(key: TrackKey, first_tick: u64) -> Track {
        Track {
            key,
            first_tick,
            position: 0,
            block: None,
            lost_frames: 0,
        }
    }

    /// Takes the frame of one tick, `None` for silence; gives a block when one is full or ends at a gap.
    pub fn push(
        &mut self,
        tick: u64,
        frame: Option<&[i16; FRAME_SAMPLES]>,
        pool: &mut BlockPool,
    ) -> Option<Block> {
        let position = tick
            .saturating_sub(self.first_tick)
            .saturating_mul(FRAME_SAMPLES as u64);
        if position < self.position {
            return None;
        }
        let before_gap = if position > self.position {
            self.cut()
        } else {
            None
        };
        self.position = position + FRAME_SAMPLES as u64;
        if self.block.is_none() {
            self.block = pool.take().map(|samples| (position, samples));
        }
        let Some((_, samples)) = &mut self.block else {
            self.lost_frames += 1;
            return before_gap;
        };
        samples.extend_from_slice(frame.unwrap_or(&SILENCE));
        if before_gap.is_some() || samples.len() < BLOCK_SAMPLES {
            return before_gap;
        }
        self.cut()
    }

    /// Ends the track; the last block may be empty.
    pub fn stop(mut self) -> Block {
        let last = self.cut();
        let (track, first_tick, position) = (self.key, self.first_tick, self.position);
        match last {
            Some(block) => Block {
                is_last: true,
                ..block
            },
            None => Block {
                track,
                first_tick,
                position,
                samples: Vec::new(),
                is_last: true,
            },
        }
    }

    /// Which track.
    pub const fn key(&self) -> TrackKey {
        self.key
    }

    /// Frames lost for want of memory.
    pub const fn lost_frames(&self) -> u64 {
        self.lost_frames
    }

    /// Ends the block in the making before its time; the track goes on with the next frame.
    pub fn cut(&mut self) -> Option<Block> {
        let (position, samples) = self.block.take()?;
        let (track, first_tick) = (self.key, self.first_tick);
        Some(Block {
            track,
            first_tick,
            position,
            samples,
            is_last: false,
        })
    }
}

/// Samples of a full block: 200 ms, so that a crash costs less than half a second.
pub const BLOCK_SAMPLES: usize = 10 * FRAME_SAMPLES;
static SILENCE: [i16; FRAME_SAMPLES] = [0; FRAME_SAMPLES];

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TrackKey = TrackKey(4);

    #[test]
    fn ten_frames_make_a_block() {
        let mut pool = BlockPool::new(2);
        let mut track = Track::new(KEY, 100);
        for tick in 100..109 {
            assert!(track.push(tick, Some(&[1; FRAME_SAMPLES]), &mut pool).is_none());
        }
        let block = track.push(109, None, &mut pool).unwrap();
        assert_eq!(
            (block.track, block.first_tick, block.position, block.is_last),
            (KEY, 100, 0, false)
        );
        assert_eq!(block.samples.len(), BLOCK_SAMPLES);
        assert_eq!((block.samples[1439], block.samples[1440]), (1, 0));
        track.push(110, None, &mut pool);
        let last = track.stop();
        assert_eq!(
            (last.position, last.samples.len(), last.is_last),
            (1600, 160, true)
        );
    }

    #[test]
    fn a_missed_tick_ends_the_block_and_moves_the_next() {
        let mut pool = BlockPool::new(3);
        let mut track = Track::new(KEY, 0);
        track.push(0, None, &mut pool);
        let before = track.push(5, Some(&[2; FRAME_SAMPLES]), &mut pool).unwrap();
        assert_eq!((before.position, before.samples.len()), (0, 160));
        let last = track.stop();
        assert_eq!(
            (last.position, last.samples.len(), last.samples[0]),
            (800, 160, 2)
        );
    }

    #[test]
    fn a_tick_twice_or_before_the_start_is_ignored() {
        let mut pool = BlockPool::new(1);
        let mut track = Track::new(KEY, 10);
        track.push(10, Some(&[1; FRAME_SAMPLES]), &mut pool);
        track.push(10, Some(&[2; FRAME_SAMPLES]), &mut pool);
        track.push(3, Some(&[3; FRAME_SAMPLES]), &mut pool);
        assert_eq!(track.stop().samples, [1; FRAME_SAMPLES]);
    }

    #[test]
    fn without_memory_frames_are_lost_and_the_place_is_kept() {
        let mut pool = BlockPool::new(1);
        let held = pool.take().unwrap();
        let mut track = Track::new(KEY, 0);
        track.push(0, Some(&[1; FRAME_SAMPLES]), &mut pool);
        track.push(1, Some(&[1; FRAME_SAMPLES]), &mut pool);
        pool.give(held);
        track.push(2, Some(&[7; FRAME_SAMPLES]), &mut pool);
        assert_eq!(track.lost_frames(), 2);
        let last = track.stop();
        assert_eq!((last.position, last.samples[0]), (320, 7));
    }

    #[test]
    fn an_empty_track_still_says_that_it_ended() {
        let last = Track::new(KEY, 9).stop();
        assert_eq!((last.position, last.samples.len(), last.is_last), (0, 0, true));
    }
}
