//! Digits on their way to one party: orders of the engine, and digits others pressed that its packets could
//! not carry through.
//!
//! One order after the other, each digit once. Knows nothing of who pressed them.

use std::collections::VecDeque;

use crate::command::DtmfKey;
use crate::dtmf::{SendTick, Sender, ToneSender, ToneTick};
use crate::frame::FRAME_SAMPLES;
use crate::rtp::RtpTime;

/// Orders waiting for one party; a further one is refused.
pub const ORDERS_MAX: usize = 32;

/// Orders, the first of them under way.
#[derive(Debug, Default)]
pub struct Digits {
    orders: VecDeque<Order>,
}

#[derive(Debug)]
struct Order {
    /// The engine's number; none for digits passed on.
    dtmf: Option<DtmfKey>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Events(Sender),
    Tones(ToneSender),
}

/// What one tick sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitTick {
    /// This event packet.
    Event {
        /// Its payload.
        payload: [u8; 4],
        /// The event's timestamp.
        time: RtpTime,
        /// Its first packet.
        marker: bool,
    },
    /// The frame was filled.
    Tone,
    /// The pause between two digits.
    Pause,
    /// An order is done; ask again.
    Done(Option<DtmfKey>),
    /// Nothing is left.
    Idle,
}

impl Digits {
    /// Adds an order; false: too many, or not digits.
    pub fn order(&mut self, dtmf: Option<DtmfKey>, digits: &str, duration_ms: u32, as_tones: bool) -> bool {
        let form = if as_tones {
            ToneSender::new(digits, duration_ms).map(Form::Tones)
        } else {
            Sender::new(digits, duration_ms).map(Form::Events)
        };
        match form {
            Some(form) if self.orders.len() < ORDERS_MAX => {
                self.orders.push_back(Order { dtmf, form });
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whether anything is under way or waits.
    pub fn is_idle(&self) -> bool {
        self.orders.is_empty()
    }

    /// One tick; `time` is the timestamp audio of this tick would have.
    pub fn tick(&mut self, time: RtpTime, frame: &mut [i16; FRAME_SAMPLES]) -> DigitTick {
        let Some(order) = self.orders.front_mut() else {
            return DigitTick::Idle;
        };
        let tick = match &mut order.form {
            Form::Events(sender) => match sender.tick(time) {
                SendTick::Event {
                    payload,
                    time,
                    marker,
                } => DigitTick::Event {
                    payload,
                    time,
                    marker,
                },
                SendTick::Pause => DigitTick::Pause,
                SendTick::Done => DigitTick::Done(order.dtmf),
            },
            Form::Tones(sender) => match sender.tick(frame) {
                ToneTick::Frame => DigitTick::Tone,
                ToneTick::Done => DigitTick::Done(order.dtmf),
            },
        };
        if let DigitTick::Done(_) = tick {
            self.orders.pop_front();
        }
        tick
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_follow_one_another_and_each_is_told_done() {
        let mut digits = Digits::default();
        assert!(digits.order(Some(DtmfKey(1)), "12", 40, false));
        assert!(digits.order(None, "3", 40, true));
        let mut frame = [0; FRAME_SAMPLES];
        let mut all = Vec::new();
        for tick in 0..100 {
            all.push(digits.tick(RtpTime(tick * 160), &mut frame));
        }
        let done: Vec<_> = all
            .iter()
            .filter(|tick| matches!(tick, DigitTick::Done(_)))
            .collect();
        assert_eq!(done, [&DigitTick::Done(Some(DtmfKey(1))), &DigitTick::Done(None)]);
        let markers = all
            .iter()
            .filter(|tick| matches!(tick, DigitTick::Event { marker: true, .. }));
        assert_eq!(markers.count(), 2);
        assert!(all.contains(&DigitTick::Tone) && digits.is_idle());
    }

    #[test]
    fn what_is_no_digit_and_one_order_too_many_are_refused() {
        let mut digits = Digits::default();
        assert!(!digits.order(None, "1x", 40, false));
        for _ in 0..ORDERS_MAX {
            assert!(digits.order(None, "1", 40, false));
        }
        assert!(!digits.order(None, "1", 40, false));
    }
}
