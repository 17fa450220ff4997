//! INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2).
//!
//! ```text
//!  Calling ──1xx──► Proceeding ──300-699──► Completed ──D──► Terminated
//!     │  A: resend      │                   repeats → ACK
//!     │  B: give up     └──2xx──► Accepted ──M──► Terminated
//!     └──2xx, 300-699──►          every 2xx goes up: forks, lost ACKs
//! ```
//! Must not know dialogs: the ACK of a failure is handed in, the ACK of a 2xx is not its business.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::timing::{Reliability, Resend, TIMER_D, WAIT, earlier};
use super::{Action, Pass};

/// One INVITE of ours and the wait for its final response.
///
/// Owns the serialised request and the deadlines of its state.
#[derive(Debug)]
pub struct InviteClient {
    reliability: Reliability,
    patience: Patience,
    state: State,
}

/// How long a final response is waited for once a provisional one came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as the user of the transaction likes: somebody may be ringing (RFC 3261 §17.1.1.2).
    Endless,
    /// So long: a re-INVITE rings nowhere, and its session may be over before its answer.
    For(Duration),
}

#[derive(Debug)]
enum State {
    /// Nothing heard yet: timer A repeats the request, timer B gives up.
    Calling {
        request: Bytes,
        resend: Resend,
        give_up_at: Instant,
    },
    /// A provisional response came; how long to wait is the caller's decision.
    Proceeding,
    /// The same, but not for ever.
    ProceedingUntil {
        give_up_at: Instant,
    },
    /// A failure came and was acknowledged; repeats of it get the ACK again until timer D.
    Completed {
        ack: Bytes,
        until: Instant,
    },
    /// A 2xx came; further ones go up until timer M.
    Accepted {
        until: Instant,
    },
    Terminated,
}

impl InviteClient {
    /// Sends the request and starts timers A and B.
    pub fn start(
        request: Bytes,
        reliability: Reliability,
        timer_b: Duration,
        patience: Patience,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Self {
        out.push(Action::Send(request.clone()));
        let resend = Resend::start(reliability, now);
        InviteClient {
            reliability,
            patience,
            state: State::Calling {
                request,
                resend,
                give_up_at: now + timer_b,
            },
        }
    }

    /// A 1xx arrived.
    pub fn handle_provisional(&mut self, now: Instant) -> Pass {
        match (&self.state, self.patience) {
            (State::Calling { .. }, Patience::Endless) => {
                self.state = State::Proceeding;
                Pass::Up
            }
            (State::Calling { .. }, Patience::For(wait)) => {
                self.state = State::ProceedingUntil {
                    give_up_at: now + wait,
                };
                Pass::Up
            }
            (State::Proceeding | State::ProceedingUntil { .. }, _) => Pass::Up,
            (State::Completed { .. } | State::Accepted { .. } | State::Terminated, _) => Pass::Absorbed,
        }
    }

    /// A 2xx arrived. Every one goes up: it may be a fork, or its ACK was lost.
    pub fn handle_success(&mut self, now: Instant) -> Pass {
        match self.state {
            State::Calling { .. } | State::Proceeding | State::ProceedingUntil { .. } => {
                self.state = State::Accepted { until: now + WAIT };
                Pass::Up
            }
            State::Accepted { .. } => Pass::Up,
            State::Completed { .. } | State::Terminated => Pass::Absorbed,
        }
    }

    /// A 3xx to 6xx arrived; `ack` makes its ACK (RFC 3261 §17.1.1.3).
    pub fn handle_failure(
        &mut self,
        ack: impl FnOnce() -> Bytes,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Pass {
        match &self.state {
            State::Calling { .. } | State::Proceeding | State::ProceedingUntil { .. } => {
                let ack = ack();
                out.push(Action::Send(ack.clone()));
                self.state = State::Completed {
                    ack,
                    until: now + self.reliability.linger(TIMER_D),
                };
                Pass::Up
            }
            State::Completed { ack, .. } => {
                out.push(Action::Send(ack.clone()));
                Pass::Absorbed
            }
            State::Accepted { .. } | State::Terminated => Pass::Absorbed,
        }
    }

    /// The transport failed. True when the request had not reached anyone, so that it has failed too.
    ///
    /// In Proceeding the peer has it; its responses come over a connection that it opens.
    pub fn handle_transport_failure(&mut self) -> bool {
        match self.state {
            State::Calling { .. } => {
                self.state = State::Terminated;
                true
            }
            State::Proceeding
            | State::ProceedingUntil { .. }
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => false,
        }
    }

    /// Ends it at once: the wait after a CANCEL ran out (RFC 3261 §9.1).
    pub fn destroy(&mut self) {
        self.state = State::Terminated;
    }

    /// Timers A, B, D and M.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Calling { give_up_at, .. } | State::ProceedingUntil { give_up_at }
                if now >= *give_up_at =>
            {
                self.state = State::Terminated;
                out.push(Action::TimedOut);
            }
            State::Calling { request, resend, .. } => {
                if resend.take_due(Duration::MAX, now) {
                    out.push(Action::Send(request.clone()));
                }
            }
            State::Completed { until, .. } | State::Accepted { until } => {
                if now >= *until {
                    self.state = State::Terminated;
                }
            }
            State::Proceeding | State::ProceedingUntil { .. } | State::Terminated => {}
        }
    }

    /// When `handle_timeout` has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Calling {
                resend, give_up_at, ..
            } => earlier(resend, *give_up_at),
            State::Completed { until, .. } | State::Accepted { until } => Some(*until),
            State::ProceedingUntil { give_up_at } => Some(*give_up_at),
            State::Proceeding | State::Terminated => None,
        }
    }

    /// True once a provisional response came and no final one: CANCEL may be sent (RFC 3261 §9.1).
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding | State::ProceedingUntil { .. })
    }

    /// True when it can be forgotten.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timer_a_doubles_without_cap_until_timer_b_at_32_s() {
        let (mut client, start, mut out) = calling(Reliability::Unreliable);
        let (mut sent_ms, mut timed_out_ms) = (vec![], None);
        while let Some(at) = client.next_deadline() {
            out.clear();
            client.handle_timeout(at, &mut out);
            let ms = (at - start).as_millis();
            match out.as_slice() {
                [Action::Send(bytes)] if bytes == "INVITE" => sent_ms.push(ms),
                [Action::TimedOut] => timed_out_ms = Some(ms),
                other => panic!("unexpected {other:?}"),
            }
        }
        assert_eq!(sent_ms, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        assert_eq!(timed_out_ms, Some(32_000));
        assert!(client.is_terminated());
    }

    #[test]
    fn timer_b_can_be_shorter() {
        let start = Instant::now();
        let mut out = vec![];
        let mut client = InviteClient::start(
            Bytes::from_static(b"INVITE"),
            Reliability::Reliable,
            Duration::from_secs(4),
            Patience::Endless,
            start,
            &mut out,
        );
        assert_eq!(client.next_deadline(), Some(start + Duration::from_secs(4)));
        out.clear();
        client.handle_timeout(start + Duration::from_secs(4), &mut out);
        assert_eq!(out, [Action::TimedOut]);
    }

    #[test]
    fn a_reliable_transport_never_repeats() {
        let (client, start, _) = calling(Reliability::Reliable);
        assert_eq!(client.next_deadline(), Some(start + Duration::from_secs(32)));
    }

    #[test]
    fn a_provisional_stops_timers_a_and_b() {
        let (mut client, start, _) = calling(Reliability::Unreliable);
        assert_eq!(client.handle_provisional(start), Pass::Up);
        assert!(client.is_proceeding());
        assert_eq!(client.next_deadline(), None);
    }

    #[test]
    fn with_patience_a_missing_final_is_a_timeout() {
        let start = Instant::now();
        let (request, mut out) = (Bytes::from_static(b"INVITE"), vec![]);
        let patience = Patience::For(Duration::from_secs(32));
        let mut client =
            InviteClient::start(request, Reliability::Unreliable, WAIT, patience, start, &mut out);
        let heard = start + Duration::from_secs(3);
        assert_eq!(client.handle_provisional(heard), Pass::Up);
        assert_eq!(
            client.handle_provisional(heard + Duration::from_secs(9)),
            Pass::Up
        );
        assert_eq!(client.next_deadline(), Some(start + Duration::from_secs(35)));
        out.clear();
        client.handle_timeout(start + Duration::from_secs(35), &mut out);
        assert_eq!(out, [Action::TimedOut]);
        assert!(client.is_terminated());
    }

    #[test]
    fn a_failure_is_acknowledged_again_for_each_repeat_until_timer_d() {
        let (mut client, start, mut out) = calling(Reliability::Unreliable);
        out.clear();
        assert_eq!(
            client.handle_failure(|| Bytes::from_static(b"ACK"), start, &mut out),
            Pass::Up
        );
        assert_eq!(
            client.handle_failure(|| panic!("made twice"), start, &mut out),
            Pass::Absorbed
        );
        assert_eq!(out, [send("ACK"), send("ACK")]);
        assert_eq!(client.next_deadline(), Some(start + Duration::from_secs(32)));
        client.handle_timeout(start + Duration::from_secs(32), &mut out);
        assert!(client.is_terminated());
    }

    #[test]
    fn timer_d_is_zero_over_tcp() {
        let (mut client, start, mut out) = calling(Reliability::Reliable);
        let _ = client.handle_failure(|| Bytes::from_static(b"ACK"), start, &mut out);
        assert_eq!(client.next_deadline(), Some(start));
        client.handle_timeout(start, &mut out);
        assert!(client.is_terminated());
    }

    #[test]
    fn every_2xx_goes_up_until_timer_m() {
        for reliability in [Reliability::Unreliable, Reliability::Reliable] {
            let (mut client, start, mut out) = calling(reliability);
            assert_eq!(client.handle_success(start), Pass::Up);
            assert_eq!(client.handle_success(start + Duration::from_secs(31)), Pass::Up);
            assert_eq!(client.next_deadline(), Some(start + Duration::from_secs(32)));
            client.handle_timeout(start + Duration::from_secs(32), &mut out);
            assert!(client.is_terminated());
        }
    }

    #[test]
    fn a_late_provisional_and_a_failure_after_2xx_are_absorbed() {
        let (mut client, start, mut out) = calling(Reliability::Unreliable);
        out.clear();
        assert_eq!(client.handle_success(start), Pass::Up);
        assert_eq!(client.handle_provisional(start), Pass::Absorbed);
        assert_eq!(
            client.handle_failure(|| panic!("no ACK"), start, &mut out),
            Pass::Absorbed
        );
        assert_eq!(out, []);
    }

    #[test]
    fn a_transport_failure_ends_it_only_while_nobody_answered() {
        let (mut client, _, _) = calling(Reliability::Reliable);
        assert!(client.handle_transport_failure());
        let (mut client, start, _) = calling(Reliability::Reliable);
        let _ = client.handle_provisional(start);
        assert!(!client.handle_transport_failure());
        assert!(client.is_proceeding());
    }

    fn calling(reliability: Reliability) -> (InviteClient, Instant, Vec<Action>) {
        let start = Instant::now();
        let mut out = vec![];
        let client = InviteClient::start(
            Bytes::from_static(b"INVITE"),
            reliability,
            WAIT,
            Patience::Endless,
            start,
            &mut out,
        );
        assert_eq!(out, [send("INVITE")]);
        (client, start, out)
    }

    fn send(text: &'static str) -> Action {
        Action::Send(Bytes::from_static(text.as_bytes()))
    }
}
