//! Tracks: what a party says, taken off the grid and handed to the recordings writer.
//!
//! No disk is touched and nothing waits: a full queue costs a block, which leaves a gap and a count.

use std::collections::{HashMap, VecDeque};

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use super::config::{BLOCKS_MAX, TRACKS_MAX};
use super::grid::Tick;
use super::{Shard, graph};
use crate::command::{StreamKey, TrackGate};
use crate::frame::FRAME_SAMPLES;
use crate::jitter::Popped;
use crate::recorder::{Block, BlockPool, Track, TrackKey};
use crate::stream::Recording;

/// The shard's side of all its recordings.
#[derive(Debug)]
pub(super) struct Recorder {
    pool: BlockPool,
    blocks: Producer<Block>,
    spent: Consumer<Vec<i16>>,
    /// Last blocks the full queue refused: they are never dropped, one for each track that ended.
    last: VecDeque<Block>,
    party: HashMap<TrackKey, StreamKey>,
    dropped: u64,
}

/// The writer's side: blocks out, emptied samples back.
#[derive(Debug)]
pub struct BlockReader {
    blocks: Consumer<Block>,
    spent: Producer<Vec<i16>>,
}

impl BlockReader {
    /// The next block of any track.
    pub fn pop(&mut self) -> Option<Block> {
        self.blocks.pop().ok()
    }

    /// Gives the samples of a written block back to the shard, which has no other memory for new ones.
    pub fn give_back(&mut self, samples: Vec<i16>) {
        // A full queue means that the shard has more than it lent.
        let _ = self.spent.push(samples);
    }

    /// Blocks waiting.
    pub fn level(&self) -> usize {
        self.blocks.slots()
    }

    /// Whether the shard is gone; what waits can still be popped.
    pub fn is_abandoned(&self) -> bool {
        self.blocks.is_abandoned()
    }
}

/// Both sides, with memory for `blocks` blocks.
pub(super) fn recorder(blocks: usize) -> (Recorder, BlockReader) {
    let (blocks_in, blocks_out) = RingBuffer::new(BLOCKS_MAX);
    let (spent_in, spent_out) = RingBuffer::new(blocks.max(1));
    let recorder = Recorder {
        pool: BlockPool::new(blocks),
        blocks: blocks_in,
        spent: spent_out,
        last: VecDeque::new(),
        party: HashMap::new(),
        dropped: 0,
    };
    (
        recorder,
        BlockReader {
            blocks: blocks_out,
            spent: spent_in,
        },
    )
}

impl Recorder {
    pub(super) fn hand_out(&mut self, block: Block) {
        let Err(PushError::Full(block)) = self.blocks.push(block) else {
            return;
        };
        if block.is_last {
            self.last.push_back(block);
        } else {
            self.dropped += 1;
            self.pool.give(block.samples);
        }
    }

    fn begin_tick(&mut self) {
        while let Ok(samples) = self.spent.pop() {
            self.pool.give(samples);
        }
        while let Some(block) = self.last.pop_front() {
            if let Err(PushError::Full(block)) = self.blocks.push(block) {
                self.last.push_front(block);
                break;
            }
        }
    }

    /// Whether this track runs here.
    pub fn knows(&self, track: TrackKey) -> bool {
        self.party.contains_key(&track)
    }

    /// Blocks the writer has not taken yet.
    pub fn level(&self) -> usize {
        self.blocks.buffer().capacity() - self.blocks.slots() + self.last.len()
    }

    /// Blocks and frames lost: the writer is too slow, or there is no memory.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether nothing waits to be handed out.
    pub fn is_idle(&self) -> bool {
        self.last.is_empty()
    }
}

impl Shard {
    /// A track begins with the tick that comes next.
    pub(super) fn start_track(&mut self, key: TrackKey, party: StreamKey, gate: TrackGate) -> bool {
        let tick = self.grid.next_tick();
        let slot = self.slots.slot(party);
        let found = slot.and_then(|slot| self.slots.get_mut(slot));
        let (Some(slot), Some(stream)) = (slot, found.filter(|stream| stream.tracks.len() < TRACKS_MAX))
        else {
            // The writer waits for the last block of every track it was told of.
            self.recorder.hand_out(Track::new(key, tick.0).stop());
            return false;
        };
        stream.tracks.push(Recording {
            track: Track::new(key, tick.0),
            gate,
        });
        self.recorder.party.insert(key, party);
        graph::refresh_decoding(&mut self.slots, &mut self.lists, slot);
        true
    }

    pub(super) fn gate_track(&mut self, key: TrackKey, gate: TrackGate) -> bool {
        let party = self
            .recorder
            .party
            .get(&key)
            .and_then(|party| self.slots.slot(*party));
        let Some(stream) = party.and_then(|slot| self.slots.get_mut(slot)) else {
            return false;
        };
        let Some(recording) = stream
            .tracks
            .iter_mut()
            .find(|recording| recording.track.key() == key)
        else {
            return false;
        };
        recording.gate = gate;
        true
    }

    pub(super) fn stop_track(&mut self, key: TrackKey) -> bool {
        let Some(party) = self.recorder.party.remove(&key) else {
            return false;
        };
        let Some(slot) = self.slots.slot(party) else {
            return false;
        };
        let Some(stream) = self.slots.get_mut(slot) else {
            return false;
        };
        let place = stream
            .tracks
            .iter()
            .position(|recording| recording.track.key() == key);
        let Some(place) = place else { return false };
        let recording = stream.tracks.remove(place);
        self.recorder.hand_out(recording.track.stop());
        graph::refresh_decoding(&mut self.slots, &mut self.lists, slot);
        true
    }

    /// Ends all tracks of a stream that closes.
    pub(super) fn end_tracks(&mut self, slot: u32) {
        while let Some(key) = self
            .slots
            .get(slot)
            .and_then(|stream| stream.tracks.first())
            .map(|first| first.track.key())
        {
            if !self.stop_track(key) {
                debug_assert!(false, "a running track has its party");
                return;
            }
        }
    }

    /// Lets the tracks of a stream go with it. What they hold is handed out here, where the memory is from.
    pub(super) fn release_tracks(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        for recording in &mut stream.tracks {
            self.recorder.party.remove(&recording.track.key());
            if let Some(block) = recording.track.cut() {
                self.recorder.hand_out(block);
            }
        }
    }

    /// Takes in the tracks that came with a stream.
    pub(super) fn adopt_tracks(&mut self, slot: u32) {
        let Some(stream) = self.slots.get(slot) else {
            return;
        };
        for recording in &stream.tracks {
            self.recorder.party.insert(recording.track.key(), stream.key());
        }
    }

    pub(super) fn begin_recording_tick(&mut self) {
        self.recorder.begin_tick();
    }

    /// Takes down what the party in `slot` said in this tick.
    pub(super) fn record(&mut self, slot: u32, popped: Popped, tick: Tick) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let frame = match popped {
            Popped::Frame | Popped::Concealed => self.frames.get(slot as usize),
            Popped::Empty => None,
        };
        for recording in &mut stream.tracks {
            let heard: Option<&[i16; FRAME_SAMPLES]> = match recording.gate {
                TrackGate::Open => frame,
                TrackGate::Silent => None,
            };
            let lost_before = recording.track.lost_frames();
            let block = recording.track.push(tick.0, heard, &mut self.recorder.pool);
            self.recorder.dropped += recording.track.lost_frames() - lost_before;
            if let Some(block) = block {
                self.recorder.hand_out(block);
            }
        }
    }
}
