//! stub
use super::{Shard, io::Io};
use crate::command::Change;
use crate::event::PlayEnd;
use crate::packet::Buf;
use crate::stream::Arrived;
use std::time::Instant;
impl Shard {
    pub(super) fn apply_play(&mut self, _c: Change) -> bool {
        false
    }
    pub(super) fn apply_dtmf(&mut self, _c: Change) -> bool {
        false
    }
    pub(super) fn apply_track(&mut self, _c: Change, _now: Instant) -> bool {
        false
    }
    pub(super) fn end_plays(&mut self, _s: u32, _w: PlayEnd) {}
    pub(super) fn end_tracks(&mut self, _s: u32) {}
    pub(super) fn look_for_digit_end(&mut self, _s: u32, _now: Instant) {}
    pub(super) fn handle_event(&mut self, io: &mut impl Io, s: u32, a: &Arrived, b: &Buf, now: Instant) {
        self.relay(io, s, a, b, now)
    }
}
