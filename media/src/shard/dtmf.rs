//! Digits through a shard: heard once, told once, and passed on once, as packets or made anew.

use std::time::Instant;

use super::grid::TICK;
use super::io::Io;
use super::wheel::Kind;
use super::{Shard, graph};
use crate::command::{DigitForm, DtmfKey, StreamKey};
use crate::dtmf::{Digit, EventPayload, Pressed, Told};
use crate::event::Event;
use crate::packet::Buf;
use crate::rtp::{RtpTime, Verdict};
use crate::stream::Arrived;

impl Shard {
    pub(super) fn send_dtmf(
        &mut self,
        dtmf: DtmfKey,
        stream: StreamKey,
        digits: &str,
        duration_ms: u32,
        inband: bool,
    ) -> bool {
        let Some(slot) = self.slots.slot(stream) else {
            return false;
        };
        let Some(found) = self.slots.get_mut(slot) else {
            return false;
        };
        let has_events = found
            .config()
            .is_some_and(|config| config.event_payload_type.is_some());
        let is_taken = found
            .digits
            .order(Some(dtmf), digits, duration_ms, inband || !has_events);
        if !is_taken {
            // Whoever waits for its end is not left waiting.
            self.events.answer(Event::DtmfSent { dtmf });
        }
        graph::resolve(&mut self.slots, &mut self.lists, slot);
        is_taken
    }

    /// Lets the digits of a party pass to whoever hears it, or keeps them from everyone.
    pub(super) fn pass_dtmf(&mut self, slot: u32, pass: bool) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        stream.pass_dtmf = pass;
        stream.refresh_ear();
        graph::resolve_listeners(&mut self.slots, &mut self.lists, slot);
    }

    /// A packet of a digit: passed on where packets pass, and counted towards its end.
    pub(super) fn handle_event(
        &mut self,
        io: &mut impl Io,
        slot: u32,
        arrived: &Arrived,
        buf: &Buf,
        now: Instant,
    ) {
        let payload = io
            .packet(buf)
            .get(arrived.payload_at..arrived.payload_end)
            .and_then(EventPayload::parse);
        let (Some(payload), Some(stream)) = (payload, self.slots.get_mut(slot)) else {
            return;
        };
        let time = arrived.header.time;
        let before = stream.pressed_at.replace(time);
        let cut_off = match arrived.verdict {
            Verdict::Restart(_) => stream.pressed.reset(),
            Verdict::Accept(_) | Verdict::Suspect => None,
        };
        let [earlier, ended] = stream.pressed.handle_packet(time, &payload, now);
        if stream.pressed.next_deadline().is_some() && !self.wheel.is_armed(slot, Kind::Digit) {
            self.wheel.arm(slot, Kind::Digit, self.grid.after(now, TICK));
        }
        // Before this packet passes: whoever had the packets of an earlier digit needs none of it again.
        for pressed in [cut_off, earlier].into_iter().flatten() {
            self.digit_ended(slot, pressed, before, Told::Events);
        }
        if let Some(stream) = self.slots.get_mut(slot) {
            stream.judge_press(now);
        }
        let withholds = self
            .slots
            .get_mut(slot)
            .is_some_and(|stream| stream.withholds(time));
        if withholds {
            self.hold_back(slot, arrived);
        } else {
            self.relay(io, slot, arrived, buf, now);
        }
        if let Some(pressed) = ended {
            self.digit_ended(slot, pressed, Some(time), Told::Events);
        }
    }

    pub(super) fn look_for_digit_end(&mut self, slot: u32, now: Instant) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let began = stream.pressed_at;
        let pressed = stream.pressed.handle_timeout(now);
        if stream.pressed.next_deadline().is_some() {
            self.wheel.arm(slot, Kind::Digit, self.grid.after(now, TICK));
        }
        if let Some(pressed) = pressed {
            self.digit_ended(slot, pressed, began, Told::Events);
        }
    }

    /// A digit told by signalling, unless it has come as an event already.
    pub(super) fn hear_digit(
        &mut self,
        stream: StreamKey,
        digit: char,
        duration_ms: u32,
        now: Instant,
    ) -> bool {
        let (Some(slot), Some(digit)) = (self.slots.slot(stream), Digit::from_char(digit)) else {
            return false;
        };
        let Some(found) = self.slots.get_mut(slot) else {
            return false;
        };
        if !found.presses.is_twin(digit, Told::Signalling, now) {
            let pressed = Pressed { digit, duration_ms };
            self.digit_ended(slot, pressed, None, Told::Signalling);
        }
        true
    }

    /// Keeps a packet from everyone; their numbers close over it.
    fn hold_back(&mut self, slot: u32, arrived: &Arrived) {
        let mut at = 0;
        while let Some(listener) = self
            .slots
            .get(slot)
            .and_then(|stream| stream.relay_to.get(at).copied())
        {
            if let Some(listener) = self.slots.get_mut(listener) {
                listener.outbound.skip_relayed(slot, arrived.header.seq);
            }
            at += 1;
        }
    }

    /// Digits that were heard in the frames of this tick.
    pub(super) fn take_tones(&mut self, now: Instant) {
        // What is heard changes the list itself.
        let mut due = std::mem::take(&mut self.due);
        due.clear();
        due.extend_from_slice(&self.lists.decoding);
        for slot in &due {
            self.take_tone(*slot, now);
        }
        self.due = due;
    }

    /// The same of one stream: who hears it is decided anew where a tone begins or ends.
    pub(super) fn take_tone(&mut self, slot: u32, now: Instant) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let tells = stream.tells_tones();
        let Some(tones) = &mut stream.tones else { return };
        let heard = tones.take_news();
        if !tells {
            return self.settle_tones(slot);
        }
        if heard.began.is_none() && tones.is_sounding() {
            stream.presses.hold(Told::Tones, now);
        }
        if let Some(ended) = heard.ended.filter(|ended| !ended.is_twin) {
            self.tell_digit(slot, ended.pressed, Told::Tones);
            if !ended.is_withheld {
                self.pass_digit(slot, ended.pressed, None, Told::Tones);
            }
        }
        if let Some(digit) = heard.began
            && let Some(stream) = self.slots.get_mut(slot)
            && stream.presses.is_twin(digit, Told::Tones, now)
            && let Some(tones) = &mut stream.tones
        {
            tones.mark_twin();
        }
        self.settle_tones(slot);
    }

    /// Decides anew who hears a party, where that changed with a tone in its audio.
    fn settle_tones(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot) else {
            return;
        };
        let Some(tones) = &mut stream.tones else { return };
        if tones.take_turn() {
            stream.refresh_ear();
            graph::resolve_listeners(&mut self.slots, &mut self.lists, slot);
        }
    }

    /// Tells of a digit, and makes it anew for every listener that its packets did not reach.
    fn digit_ended(&mut self, slot: u32, pressed: Pressed, began: Option<RtpTime>, told: Told) {
        let Some(stream) = self.slots.get(slot) else {
            return;
        };
        if began.is_some() && stream.twin_at == began {
            return;
        }
        let is_withheld = began.is_some() && stream.withheld_at == began;
        self.tell_digit(slot, pressed, told);
        if !is_withheld {
            self.pass_digit(slot, pressed, began, told);
        }
    }

    fn tell_digit(&mut self, slot: u32, pressed: Pressed, told: Told) {
        if let Some(stream) = self.slots.get(slot) {
            self.events.tell(Event::Dtmf {
                stream: stream.key(),
                digit: pressed.digit.to_char(),
                duration_ms: pressed.duration_ms,
                told,
            });
        }
    }

    /// Makes a digit anew for whoever hears the party and did not get its packets or its tone.
    fn pass_digit(&mut self, slot: u32, pressed: Pressed, began: Option<RtpTime>, told: Told) {
        let (digit, duration_ms) = (pressed.digit.to_char(), pressed.duration_ms);
        if !self.slots.get(slot).is_some_and(|stream| stream.pass_dtmf) {
            return;
        }
        let mut at = 0;
        while let Some(listener) = self
            .slots
            .get(slot)
            .and_then(|stream| stream.heard_by.get(at).copied())
        {
            at += 1;
            let Some(stream) = self.slots.get_mut(listener) else {
                continue;
            };
            let is_heard = stream
                .row
                .iter()
                .any(|ear| ear.slot == slot && !ear.gain.is_mute());
            let was_relayed = began.is_some_and(|began| stream.event_relayed == Some((slot, began)));
            if !is_heard || was_relayed || stream.sendable().is_none() {
                continue;
            }
            let Some(config) = stream.config() else {
                continue;
            };
            let as_tones = match config.digit_form() {
                DigitForm::Events => false,
                // Heard in the audio.
                DigitForm::Tones if told == Told::Tones => continue,
                DigitForm::Tones => true,
                DigitForm::Signalling => {
                    let stream = stream.key();
                    self.events.tell(Event::DigitFor {
                        stream,
                        digit,
                        duration_ms,
                    });
                    continue;
                }
            };
            let mut text = [0; 4];
            stream
                .digits
                .order(None, digit.encode_utf8(&mut text), duration_ms, as_tones);
            graph::resolve(&mut self.slots, &mut self.lists, listener);
        }
    }
}
