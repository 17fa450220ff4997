//! Our reliable provisional responses to one INVITE (RFC 3262 §3, §5).
//!
//! ```text
//!  Clear ──18x──► Waiting ──PRACK──► Clear, the next 18x, or the 2xx that waited
//!                    └──64·T1──► nobody acknowledges: given up
//! ```
//! One at a time waits for its PRACK. Must not know dialogs or what SDP means.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::endpoint::ExtraHeader;
use crate::endpoint::policy::REL100;
use crate::message::{Method, RAck, Response};
use crate::rng::Rng;
use crate::transaction::timing::{Resend, WAIT};

/// Provisional responses that wait behind the one without PRACK; a further one replaces the last. Ours: a
/// call has two or three.
pub const QUEUE_MAX: usize = 8;

/// Largest first RSeq. RFC 3262 §3.
const FIRST_RSEQ_MAX: u64 = (1 << 31) - 1;

/// The order of our reliable provisional responses.
#[derive(Debug)]
pub(super) struct Reliable {
    next_rseq: u32,
    invite_cseq: u32,
    exchange: Exchange,
    state: State,
}

/// Whether a reliable response has carried our SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// None has.
    Owed,
    /// One has, and waits for its PRACK.
    Sent,
    /// Its PRACK is in: no later response to the INVITE carries SDP (RFC 6337 §3.1.1).
    Over,
}

#[derive(Debug)]
enum State {
    /// All are acknowledged.
    Clear,
    /// One is not.
    Waiting {
        rseq: u32,
        response: Box<Response>,
        resend: Resend,
        give_up_at: Instant,
        then: Then,
    },
}

/// What follows the PRACK.
#[derive(Debug)]
enum Then {
    /// These provisional responses, one after another.
    Provisional(VecDeque<Box<Response>>),
    /// The 2xx.
    Answer(Answer),
}

/// A 2xx as its owner wants it.
#[derive(Debug)]
pub(super) struct Answer {
    pub sdp: Bytes,
    pub headers: Vec<ExtraHeader>,
}

/// What a PRACK set free.
#[derive(Debug)]
pub(super) struct Acknowledgement {
    /// The response it acknowledges carried our SDP.
    pub had_sdp: bool,
    /// What goes out now.
    pub next: Released,
}

/// What waited for a PRACK.
#[derive(Debug)]
pub(super) enum Released {
    /// Nothing.
    Nothing,
    /// The next provisional response.
    Provisional(Box<Response>),
    /// The 2xx.
    Answer(Answer),
}

/// What is due.
#[derive(Debug)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// The response without PRACK once more.
    Repeat(Box<Response>),
    /// 64·T1 are over.
    GiveUp,
}

impl Reliable {
    /// For the INVITE with this CSeq number; the first RSeq is drawn (RFC 3262 §3).
    pub(super) fn new(invite_cseq: u32, rng: &mut Rng) -> Self {
        let drawn = 1 + rng.below(FIRST_RSEQ_MAX);
        Reliable {
            next_rseq: u32::try_from(drawn).unwrap_or(1),
            invite_cseq,
            exchange: Exchange::Owed,
            state: State::Clear,
        }
    }

    /// Takes a provisional response: the one to send now, or none while another waits for its PRACK.
    pub(super) fn send(&mut self, mut response: Box<Response>, now: Instant) -> Option<Box<Response>> {
        match &mut self.state {
            State::Waiting {
                then: Then::Provisional(queue),
                ..
            } => {
                if queue.len() >= QUEUE_MAX {
                    queue.pop_back();
                }
                queue.push_back(response);
                return None;
            }
            // No provisional response after the final one.
            State::Waiting {
                then: Then::Answer(_),
                ..
            } => return None,
            State::Clear => {}
        }
        if !response.body.is_empty() {
            match self.exchange {
                Exchange::Owed => self.exchange = Exchange::Sent,
                Exchange::Sent | Exchange::Over => response.clear_body(),
            }
        }
        let rseq = self.next_rseq;
        self.next_rseq = rseq.saturating_add(1);
        let _ = response.headers.push("Require", REL100);
        let _ = response.headers.push("RSeq", &rseq.to_string());
        self.state = State::Waiting {
            rseq,
            response: response.clone(),
            resend: Resend::start_end_to_end(now),
            give_up_at: now + WAIT,
            then: Then::Provisional(VecDeque::new()),
        };
        Some(response)
    }

    /// Takes the 2xx: it comes back when it may go out, and waits while our SDP has no PRACK
    /// (RFC 3262 §3).
    pub(super) fn answer(&mut self, answer: Answer) -> Option<Answer> {
        match &mut self.state {
            State::Waiting { then, .. } if self.exchange == Exchange::Sent => {
                if let Then::Provisional(_) = then {
                    *then = Then::Answer(answer);
                }
                None
            }
            State::Waiting { .. } | State::Clear => Some(answer),
        }
    }

    /// Whether the 2xx waits.
    pub(super) fn holds_answer(&self) -> bool {
        matches!(
            self.state,
            State::Waiting {
                then: Then::Answer(_),
                ..
            }
        )
    }

    /// A PRACK; none: it acknowledges nothing that waits.
    pub(super) fn take(&mut self, rack: &RAck, now: Instant) -> Option<Acknowledgement> {
        let State::Waiting { rseq, .. } = &self.state else {
            return None;
        };
        if !is_rack_of(rack, *rseq, self.invite_cseq) {
            return None;
        }
        let had_sdp = self.exchange == Exchange::Sent;
        if had_sdp {
            self.exchange = Exchange::Over;
        }
        let next = match std::mem::replace(&mut self.state, State::Clear) {
            State::Waiting {
                then: Then::Answer(answer),
                ..
            } => Released::Answer(answer),
            State::Waiting {
                then: Then::Provisional(queue),
                ..
            } => self.send_queued(queue, now),
            State::Clear => Released::Nothing,
        };
        Some(Acknowledgement { had_sdp, next })
    }

    /// The number of the response without PRACK: a late one is still answered after the 2xx.
    pub(super) fn unacknowledged(&self) -> Option<u32> {
        match &self.state {
            State::Waiting { rseq, .. } => Some(*rseq),
            State::Clear => None,
        }
    }

    /// Repeats, or gives up.
    pub(super) fn take_due(&mut self, now: Instant) -> Due {
        let State::Waiting {
            response,
            resend,
            give_up_at,
            ..
        } = &mut self.state
        else {
            return Due::Nothing;
        };
        if now >= *give_up_at {
            return Due::GiveUp;
        }
        // The gap doubles without end (RFC 3262 §3): unlike other repeats it has no cap at T2.
        match resend.take_due(WAIT, now) {
            true => Due::Repeat(response.clone()),
            false => Due::Nothing,
        }
    }

    /// When `take_due` has work.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting {
                resend, give_up_at, ..
            } => Some(resend.deadline().map_or(*give_up_at, |at| at.min(*give_up_at))),
            State::Clear => None,
        }
    }

    /// How far the exchange of SDP is.
    pub(super) fn exchange(&self) -> Exchange {
        self.exchange
    }

    fn send_queued(&mut self, mut queue: VecDeque<Box<Response>>, now: Instant) -> Released {
        let Some(response) = queue.pop_front().and_then(|next| self.send(next, now)) else {
            return Released::Nothing;
        };
        if let State::Waiting { then, .. } = &mut self.state {
            *then = Then::Provisional(queue);
        }
        Released::Provisional(response)
    }
}

/// Whether a RAck names the response with this RSeq to the INVITE with this number.
pub(super) fn is_rack_of(rack: &RAck, rseq: u32, invite_cseq: u32) -> bool {
    rack.rseq == rseq && rack.cseq.number == invite_cseq && rack.cseq.method == Method::Invite
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::{CSeq, Message, Request, StatusCode, parse};

    #[test]
    fn a_provisional_is_repeated_at_doubling_gaps_until_64_t1() {
        let (mut reliable, invite, start) = fresh();
        let sent = reliable.send(response(&invite, ""), start).unwrap();
        assert_eq!(sent.headers.get("Require"), Some("100rel"));
        let mut repeats_ms = vec![];
        loop {
            let at = reliable.deadline().unwrap();
            match reliable.take_due(at) {
                Due::Repeat(again) => {
                    assert_eq!(again, sent);
                    repeats_ms.push((at - start).as_millis());
                }
                Due::GiveUp => {
                    assert_eq!(at - start, Duration::from_secs(32));
                    break;
                }
                Due::Nothing => panic!("woken for nothing"),
            }
        }
        // T1 · 2^n with no cap (RFC 3262 §3).
        assert_eq!(repeats_ms, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    }

    #[test]
    fn one_waits_at_a_time_and_numbers_go_up_by_one() {
        let (mut reliable, invite, now) = fresh();
        let first = reliable.send(response(&invite, ""), now).unwrap();
        assert!(reliable.send(response(&invite, "answer"), now).is_none());
        let number = first.headers.rseq().unwrap();
        let taken = reliable.take(&rack(number), now).unwrap();
        assert!(!taken.had_sdp);
        let Released::Provisional(second) = taken.next else {
            panic!("{taken:?}")
        };
        assert_eq!(second.headers.rseq(), Some(number + 1));
        assert_eq!(second.body.as_ref(), b"answer");
        assert!(reliable.take(&rack(number), now).is_none(), "a PRACK counts once");
        assert!(reliable.take(&rack(number + 1), now).unwrap().had_sdp);
        assert_eq!(reliable.exchange(), Exchange::Over);
        let third = reliable.send(response(&invite, "again"), now).unwrap();
        assert!(third.body.is_empty() && !third.headers.has("Content-Type"));
    }

    #[test]
    fn the_2xx_waits_only_for_the_prack_of_our_sdp() {
        let (mut reliable, invite, now) = fresh();
        assert!(reliable.answer(answer()).is_some());
        let bare = reliable.send(response(&invite, ""), now).unwrap();
        assert!(reliable.answer(answer()).is_some());
        reliable.take(&rack(bare.headers.rseq().unwrap()), now).unwrap();
        let early = reliable.send(response(&invite, "answer"), now).unwrap();
        assert!(reliable.answer(answer()).is_none());
        assert!(
            reliable.send(response(&invite, ""), now).is_none(),
            "after the 2xx"
        );
        let taken = reliable.take(&rack(early.headers.rseq().unwrap()), now).unwrap();
        assert!(taken.had_sdp && matches!(taken.next, Released::Answer(_)));
    }

    #[test]
    fn the_queue_keeps_its_first_and_the_newest() {
        let (mut reliable, invite, now) = fresh();
        let mut last = reliable.send(response(&invite, ""), now).unwrap();
        for number in 0..QUEUE_MAX + 5 {
            let mut more = response(&invite, "");
            more.reason = format!("{number}");
            assert!(reliable.send(more, now).is_none());
        }
        let mut heard = vec![];
        while let Released::Provisional(next) = reliable
            .take(&rack(last.headers.rseq().unwrap()), now)
            .unwrap()
            .next
        {
            heard.push(next.reason.clone());
            last = next;
        }
        assert_eq!(heard, ["0", "1", "2", "3", "4", "5", "6", "12"]);
    }

    #[test]
    fn a_prack_must_name_response_and_request() {
        let (mut reliable, invite, now) = fresh();
        let number = reliable
            .send(response(&invite, ""), now)
            .unwrap()
            .headers
            .rseq()
            .unwrap();
        let named = |rseq, number, method| RAck {
            rseq,
            cseq: CSeq { number, method },
        };
        for wrong in [
            named(number + 1, 7, Method::Invite),
            named(number, 8, Method::Invite),
            named(number, 7, Method::Update),
        ] {
            assert!(reliable.take(&wrong, now).is_none(), "{wrong}");
        }
        assert!(reliable.take(&rack(number), now).is_some());
    }

    #[test]
    fn the_first_number_is_drawn_from_1_to_2_to_the_31() {
        let (invite, now) = (invite(), Instant::now());
        let mut rng = Rng::new([3; 32]);
        let mut drawn: Vec<u32> = (0..200)
            .map(|_| {
                let mut reliable = Reliable::new(7, &mut rng);
                let sent = reliable.send(response(&invite, ""), now).unwrap();
                sent.headers.rseq().unwrap()
            })
            .collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert!(drawn.len() == 200 && drawn[0] >= 1 && drawn[199] <= 2_147_483_647);
        assert!(
            drawn[100] > 1 << 28,
            "not drawn over the whole range: {}",
            drawn[100]
        );
    }

    fn fresh() -> (Reliable, Request, Instant) {
        (Reliable::new(7, &mut Rng::new([1; 32])), invite(), Instant::now())
    }

    fn answer() -> Answer {
        Answer {
            sdp: Bytes::from_static(b"answer"),
            headers: vec![],
        }
    }

    fn rack(rseq: u32) -> RAck {
        let method = Method::Invite;
        RAck {
            rseq,
            cseq: CSeq { number: 7, method },
        }
    }

    fn response(invite: &Request, sdp: &'static str) -> Box<Response> {
        let sdp = Some(Bytes::from_static(sdp.as_bytes())).filter(|sdp| !sdp.is_empty());
        crate::dialog::action::response(invite, StatusCode::SESSION_PROGRESS, "t", &[], sdp)
    }

    fn invite() -> Request {
        let text = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKd\r\nFrom: <sip:e@f>;tag=1\r\n\
                    To: <sip:a@b>\r\nCall-ID: i\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n";
        match parse(&Bytes::from_static(text.as_bytes())).unwrap() {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a response"),
        }
    }
}
