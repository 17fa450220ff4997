//! Digits towards one party by SIP INFO (RFC 6086, the older use): one message at a time, each as long after the
//! other as its digit lasts.
//!
//! A message waits for the answer to the one before, as UDP may turn two of them around. Knows nothing of
//! bodies, nor of the digits the party presses itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use media::DtmfKey;
use sip::endpoint::Command;
use sip::message::info_digit::{DTMF_RELAY, InfoDigit};

use super::playing;
use crate::control::protocol::OpOutcome;
use crate::engine::keys::LegKey;
use crate::engine::leg::Stage;
use crate::engine::tx::Tx;

/// Digits that wait for one party. Four of the longest orders; more are refused, or dropped where others
/// pressed them.
pub const WAITING_MAX: usize = 4 * media::dtmf::DIGITS_MAX;

/// Silence between two digits, as between two events of ours.
const PAUSE: Duration = Duration::from_millis(80);

/// The digits of one party.
#[derive(Clone, Debug, Default)]
pub struct InfoDigits {
    waiting: VecDeque<Digit>,
    under_way: Option<UnderWay>,
}

#[derive(Clone, Copy, Debug)]
struct Digit {
    info: InfoDigit,
    part: Part,
}

/// What a digit belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// To nothing: somebody pressed it.
    Passed,
    /// To an order, which ends with it or goes on.
    Order { dtmf: DtmfKey, is_last: bool },
}

/// The digit that was sent last.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    part: Part,
    /// When the next one may go.
    until: Instant,
    is_answered: bool,
}

impl InfoDigits {
    /// Whether so many more may wait.
    pub fn has_room_for(&self, digits: usize) -> bool {
        self.waiting.len() + digits <= WAITING_MAX
    }

    /// When the next digit is due; none while an answer is waited for.
    pub fn deadline(&self) -> Option<Instant> {
        self.under_way.filter(|it| it.is_answered).map(|it| it.until)
    }

    fn next(&mut self, now: Instant) -> Option<InfoDigit> {
        if self.under_way.is_some() {
            return None;
        }
        let Digit { info, part } = self.waiting.pop_front()?;
        self.under_way = Some(UnderWay {
            part,
            until: now + Duration::from_millis(info.duration_ms.into()) + PAUSE,
            is_answered: false,
        });
        Some(info)
    }
}

/// Sends the digits of an order; the caller has asked whether there is room.
pub fn order(tx: &mut Tx, key: LegKey, dtmf: DtmfKey, digits: &str, duration_ms: u32) {
    let last = digits.chars().count().saturating_sub(1);
    for (at, digit) in digits.chars().enumerate() {
        let digit = digit.to_ascii_uppercase();
        let is_last = at == last;
        wait(
            tx,
            key,
            Digit {
                info: InfoDigit { digit, duration_ms },
                part: Part::Order { dtmf, is_last },
            },
        );
    }
    send_next(tx, key);
}

/// Sends a digit that somebody pressed whom the party hears.
pub fn pass(tx: &mut Tx, key: LegKey, digit: char, duration_ms: u32) {
    let has_room = |leg: &crate::engine::leg::Leg| leg.info_digits.has_room_for(1);
    if !tx.world.legs.get(&key).is_some_and(has_room) {
        return tx.metrics.sip_dropped("info_digits_waiting");
    }
    let info = InfoDigit { digit, duration_ms };
    let part = Part::Passed;
    wait(tx, key, Digit { info, part });
    send_next(tx, key);
}

fn wait(tx: &mut Tx, key: LegKey, digit: Digit) {
    if let Some(leg) = tx.world.legs.get_mut(&key) {
        leg.info_digits.waiting.push_back(digit);
    }
}

fn send_next(tx: &mut Tx, key: LegKey) {
    let now = tx.now.mono;
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.stage != Stage::Answered {
        return;
    }
    let session = leg.session;
    if let Some(info) = leg.info_digits.next(now) {
        tx.sip(Command::Info {
            session,
            content_type: DTMF_RELAY.to_owned(),
            body: info.to_body(),
        });
    }
}

/// The peer has answered: the digit counts from its sending, and one it refused ends its order.
pub fn answered(tx: &mut Tx, key: LegKey, status: u16) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    let Some(under_way) = &mut leg.info_digits.under_way else {
        return;
    };
    under_way.is_answered = true;
    if (200..300).contains(&status) {
        return wake(tx, key);
    }
    let part = under_way.part;
    leg.info_digits.under_way = None;
    if let Part::Order { dtmf, .. } = part {
        let is_other = |digit: &Digit| !matches!(digit.part, Part::Order { dtmf: of, .. } if of == dtmf);
        leg.info_digits.waiting.retain(is_other);
        playing::end_digits(tx, dtmf, OpOutcome::Failed, Some(status));
    } else {
        tx.metrics.sip_dropped("info_refused");
        let text = format!("a peer refused a digit by INFO with {status}");
        tx.out.log.push((true, text));
    }
    send_next(tx, key);
}

/// The digit under way may be over.
pub fn wake(tx: &mut Tx, key: LegKey) {
    let now = tx.now.mono;
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.info_digits.deadline().is_none_or(|at| at > now) {
        return;
    }
    let ended = leg.info_digits.under_way.take().map(|it| it.part);
    if let Some(Part::Order { dtmf, is_last: true }) = ended {
        playing::end_digits(tx, dtmf, OpOutcome::Ok, None);
    }
    send_next(tx, key);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_go_one_after_the_other_and_only_so_many_wait() {
        let mut digits = InfoDigits::default();
        assert!(digits.has_room_for(WAITING_MAX) && !digits.has_room_for(WAITING_MAX + 1));
        let info = |digit| InfoDigit {
            digit,
            duration_ms: 160,
        };
        for digit in ['1', '2'] {
            let part = Part::Passed;
            digits.waiting.push_back(Digit {
                info: info(digit),
                part,
            });
        }
        let start = Instant::now();
        assert_eq!(digits.next(start), Some(info('1')));
        assert_eq!(
            (digits.next(start), digits.deadline()),
            (None, None),
            "not answered yet"
        );
        digits.under_way.as_mut().unwrap().is_answered = true;
        assert_eq!(digits.deadline(), Some(start + Duration::from_millis(240)));
        assert!(!digits.has_room_for(WAITING_MAX));
        digits.under_way = None;
        assert_eq!(digits.next(start), Some(info('2')));
    }
}
