//! Who hears whom: rows, their reverse, and the sink of every listener that follows from them.
//!
//! Everything here runs when a command, a play's end, a digit or a change of codec alters the answer; a
//! packet only reads `relay_to`, a tick only the two lists.

use super::slots::Slots;
use crate::command::Heard;
use crate::gain::Gain;
use crate::stream::{Ear, Sink, Situation, Voice};

use super::config::ROW_MAX;

/// Slots that have something to do on a tick, in order.
#[derive(Debug, Default)]
pub struct Lists {
    /// Streams whose audio is decoded.
    pub decoding: Vec<u32>,
    /// Streams that are sent something made here, or whose plays run.
    pub ticking: Vec<u32>,
}

impl Lists {
    /// Room for `count` streams.
    pub fn new(count: usize) -> Self {
        Self {
            decoding: Vec::with_capacity(count),
            ticking: Vec::with_capacity(count),
        }
    }
}

/// Replaces one listener's row. Speakers that are not open are left out; gives how many.
pub fn set_row(slots: &mut Slots, lists: &mut Lists, listener: u32, speakers: &[Heard]) -> u64 {
    let before = slots
        .get_mut(listener)
        .map(|stream| std::mem::take(&mut stream.row))
        .unwrap_or_default();
    for ear in &before {
        if let Some(speaker) = slots.get_mut(ear.slot) {
            speaker.heard_by.retain(|slot| *slot != listener);
        }
    }
    let mut row: Vec<Ear> = Vec::with_capacity(speakers.len());
    let mut ignored = 0;
    for heard in speakers {
        let gain = Gain::from_db(heard.gain_db);
        match slots.slot(heard.speaker) {
            Some(slot) if row.len() < ROW_MAX && row.iter().all(|ear| ear.slot != slot) => {
                row.push(Ear {
                    speaker: heard.speaker,
                    slot,
                    gain,
                });
            }
            Some(_) | None => ignored += 1,
        }
    }
    for ear in &row {
        if let Some(speaker) = slots.get_mut(ear.slot) {
            speaker.heard_by.push(listener);
        }
    }
    if let Some(stream) = slots.get_mut(listener) {
        stream.row = row;
    }
    resolve(slots, lists, listener);
    for ear in &before {
        refresh_decoding(slots, lists, ear.slot);
    }
    ignored
}

/// Takes a stream out of all rows before it closes.
pub fn detach(slots: &mut Slots, lists: &mut Lists, slot: u32) {
    set_row(slots, lists, slot, &[]);
    let listeners = slots
        .get_mut(slot)
        .map(|stream| std::mem::take(&mut stream.heard_by))
        .unwrap_or_default();
    for listener in listeners {
        if let Some(stream) = slots.get_mut(listener) {
            stream.row.retain(|ear| ear.slot != slot);
        }
        resolve(slots, lists, listener);
    }
    leave(&mut lists.decoding, slot);
    leave(&mut lists.ticking, slot);
}

/// Takes in a stream that came from another shard: it hears nobody yet and nobody hears it. Its jitter
/// buffer goes on until its rows are known.
pub fn attach(slots: &mut Slots, lists: &mut Lists, slot: u32) {
    let Some(stream) = slots.get(slot) else { return };
    debug_assert!(stream.row.is_empty() && stream.heard_by.is_empty() && stream.relay_to.is_empty());
    set_member(&mut lists.decoding, slot, stream.playout.is_some());
    resolve(slots, lists, slot);
}

/// Decides anew for everyone who hears `speaker`: what it sends has changed.
pub fn resolve_listeners(slots: &mut Slots, lists: &mut Lists, speaker: u32) {
    let mut at = 0;
    while let Some(listener) = slots
        .get(speaker)
        .and_then(|stream| stream.heard_by.get(at).copied())
    {
        resolve(slots, lists, listener);
        at += 1;
    }
    refresh_decoding(slots, lists, speaker);
}

/// Decides anew what feeds one listener.
pub fn resolve(slots: &mut Slots, lists: &mut Lists, listener: u32) {
    let Some(stream) = slots.get(listener) else { return };
    let nobody = Voice {
        slot: 0,
        gain: Gain::MUTE,
        format: NO_FORMAT,
        as_it_is: false,
    };
    let mut voices = [nobody; ROW_MAX];
    let mut count = 0;
    for ear in &stream.row {
        let Some(speaker) = slots.get(ear.slot) else {
            continue;
        };
        let is_silent = ear.gain.is_mute() || speaker.hides_tone_from(stream);
        if let (Some(format), Some(place), false) = (speaker.voice(), voices.get_mut(count), is_silent) {
            *place = Voice {
                slot: ear.slot,
                gain: ear.gain,
                format,
                as_it_is: speaker.may_be_relayed_to(stream),
            };
            count += 1;
        }
    }
    let playing = stream.plays.playing();
    let sink = Situation {
        format: stream.sendable().map(|(format, _)| format),
        digits: !stream.digits.is_idle(),
        playing,
        voices: voices.get(..count).unwrap_or_default(),
    }
    .sink();
    let before = stream.sink;
    let ticks = match sink {
        Sink::Mix | Sink::Play | Sink::Digits | Sink::Silence => true,
        // The clock of a play runs on while the peer holds us.
        Sink::Off => !stream.plays.is_empty(),
        Sink::Relay { .. } => false,
    };
    set_member(&mut lists.ticking, listener, ticks);
    if sink != before {
        switch(slots, listener, before, sink);
    }
    let Some(stream) = slots.get_mut(listener) else {
        return;
    };
    let row = std::mem::take(&mut stream.row);
    for ear in &row {
        refresh_decoding(slots, lists, ear.slot);
    }
    if let Some(stream) = slots.get_mut(listener) {
        stream.row = row;
    }
}

/// Starts or ends the decoding of a speaker: someone mixes it, a track takes it down, or digits are listened
/// for in it.
pub fn refresh_decoding(slots: &mut Slots, lists: &mut Lists, speaker: u32) {
    let Some(stream) = slots.get(speaker) else { return };
    let is_mixed = stream.voice().is_some()
        && stream
            .heard_by
            .iter()
            .any(|slot| slots.get(*slot).is_some_and(|ear| ear.sink == Sink::Mix));
    let wanted = is_mixed || !stream.tracks.is_empty() || stream.listens_for_tones();
    if set_member(&mut lists.decoding, speaker, wanted)
        && let Some(stream) = slots.get_mut(speaker)
    {
        stream.set_decoding(wanted);
    }
}

fn switch(slots: &mut Slots, listener: u32, before: Sink, after: Sink) {
    if let Sink::Relay { speaker } = before
        && let Some(speaker) = slots.get_mut(speaker)
    {
        speaker.relay_to.retain(|slot| *slot != listener);
    }
    if let Sink::Relay { speaker } = after
        && let Some(speaker) = slots.get_mut(speaker)
    {
        speaker.relay_to.push(listener);
    }
    if let Some(stream) = slots.get_mut(listener) {
        stream.sink = after;
        stream.begin_sink();
    }
}

/// Makes `slot` a member or not; whether that was a change.
fn set_member(list: &mut Vec<u32>, slot: u32, wanted: bool) -> bool {
    match (list.binary_search(&slot), wanted) {
        (Err(place), true) => {
            list.insert(place, slot);
            true
        }
        (Ok(place), false) => {
            list.remove(place);
            true
        }
        (Ok(_), true) | (Err(_), false) => false,
    }
}

fn leave(list: &mut Vec<u32>, slot: u32) {
    set_member(list, slot, false);
}

const NO_FORMAT: crate::stream::Format = crate::stream::Format {
    codec: crate::command::Codec::Pcmu,
    ptime_ms: 0,
};
