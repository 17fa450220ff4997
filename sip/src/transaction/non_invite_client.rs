//! Non-INVITE client transaction (RFC 3261 §17.1.2).
//!
//! ```text
//!  Trying ──1xx──► Proceeding ──200-699──► Completed ──K──► Terminated
//!     │ E: resend      │ E: resend at T2   repeats absorbed
//!     └ F: give up     └ F: give up
//! ```
//! Must not know dialogs or which method it carries.

use std::time::Instant;

use bytes::Bytes;

use super::timing::{Reliability, Resend, T2, T4, WAIT, earlier};
use super::{Action, Pass};

/// One request of ours other than INVITE and ACK.
///
/// Owns the serialised request and the deadlines of its state.
#[derive(Debug)]
pub struct NonInviteClient {
    reliability: Reliability,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing heard yet: timer E doubles up to T2, timer F gives up.
    Trying {
        request: Bytes,
        resend: Resend,
        give_up_at: Instant,
    },
    /// A provisional came: timer E repeats every T2, timer F still runs.
    Proceeding {
        request: Bytes,
        resend: Resend,
        give_up_at: Instant,
    },
    /// The final response came; repeats of it are absorbed until timer K.
    Completed {
        until: Instant,
    },
    Terminated,
}

impl NonInviteClient {
    /// Sends the request and starts timers E and F.
    pub fn start(request: Bytes, reliability: Reliability, now: Instant, out: &mut Vec<Action>) -> Self {
        out.push(Action::Send(request.clone()));
        let resend = Resend::start(reliability, now);
        NonInviteClient {
            reliability,
            state: State::Trying {
                request,
                resend,
                give_up_at: now + WAIT,
            },
        }
    }

    /// A 1xx arrived.
    pub fn handle_provisional(&mut self, now: Instant) -> Pass {
        match &self.state {
            State::Trying {
                request, give_up_at, ..
            } => {
                let resend = match self.reliability {
                    Reliability::Unreliable => Resend::every(T2, now),
                    Reliability::Reliable => Resend::Never,
                };
                self.state = State::Proceeding {
                    request: request.clone(),
                    resend,
                    give_up_at: *give_up_at,
                };
                Pass::Up
            }
            State::Proceeding { .. } => Pass::Up,
            State::Completed { .. } | State::Terminated => Pass::Absorbed,
        }
    }

    /// A final response arrived.
    pub fn handle_final(&mut self, now: Instant) -> Pass {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => {
                self.state = State::Completed {
                    until: now + self.reliability.linger(T4),
                };
                Pass::Up
            }
            State::Completed { .. } | State::Terminated => Pass::Absorbed,
        }
    }

    /// The transport failed. True when the request has failed with it.
    pub fn handle_transport_failure(&mut self) -> bool {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => {
                self.state = State::Terminated;
                true
            }
            State::Completed { .. } | State::Terminated => false,
        }
    }

    /// Timers E, F and K.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Trying { give_up_at, .. } | State::Proceeding { give_up_at, .. } if now >= *give_up_at => {
                self.state = State::Terminated;
                out.push(Action::TimedOut);
            }
            State::Trying { request, resend, .. } | State::Proceeding { request, resend, .. } => {
                if resend.take_due(T2, now) {
                    out.push(Action::Send(request.clone()));
                }
            }
            State::Completed { until } => {
                if now >= *until {
                    self.state = State::Terminated;
                }
            }
            State::Terminated => {}
        }
    }

    /// When `handle_timeout` has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Trying {
                resend, give_up_at, ..
            }
            | State::Proceeding {
                resend, give_up_at, ..
            } => earlier(resend, *give_up_at),
            State::Completed { until } => Some(*until),
            State::Terminated => None,
        }
    }

    /// True when it can be forgotten.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timer_e_doubles_to_t2_and_timer_f_gives_up_at_32_s() {
        let (mut client, start, mut out) = trying(Reliability::Unreliable);
        let (sent_ms, timed_out_ms) = run_out(&mut client, start, &mut out);
        assert_eq!(
            sent_ms,
            [
                500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
            ]
        );
        assert_eq!(timed_out_ms, Some(32_000));
    }

    #[test]
    fn after_a_provisional_timer_e_repeats_every_t2() {
        let (mut client, start, mut out) = trying(Reliability::Unreliable);
        assert_eq!(
            client.handle_provisional(start + Duration::from_millis(100)),
            Pass::Up
        );
        let (sent_ms, timed_out_ms) = run_out(&mut client, start, &mut out);
        assert_eq!(sent_ms, [4_100, 8_100, 12_100, 16_100, 20_100, 24_100, 28_100]);
        assert_eq!(timed_out_ms, Some(32_000));
    }

    #[test]
    fn over_tcp_only_timer_f_runs() {
        let (client, start, _) = trying(Reliability::Reliable);
        assert_eq!(client.next_deadline(), Some(start + Duration::from_secs(32)));
    }

    #[test]
    fn repeats_of_the_final_are_absorbed_until_timer_k() {
        let (mut client, start, mut out) = trying(Reliability::Unreliable);
        assert_eq!(client.handle_final(start), Pass::Up);
        assert_eq!(client.handle_final(start), Pass::Absorbed);
        assert_eq!(client.next_deadline(), Some(start + Duration::from_secs(5)));
        client.handle_timeout(start + Duration::from_secs(5), &mut out);
        assert!(client.is_terminated());
    }

    #[test]
    fn timer_k_is_zero_over_tcp() {
        let (mut client, start, _) = trying(Reliability::Reliable);
        let _ = client.handle_final(start);
        assert_eq!(client.next_deadline(), Some(start));
    }

    #[test]
    fn a_transport_failure_ends_it_while_it_waits() {
        let (mut client, start, _) = trying(Reliability::Reliable);
        assert!(client.handle_transport_failure());
        assert!(client.is_terminated());
        let (mut client, _, _) = trying(Reliability::Unreliable);
        let _ = client.handle_final(start);
        assert!(!client.handle_transport_failure());
    }

    fn trying(reliability: Reliability) -> (NonInviteClient, Instant, Vec<Action>) {
        let start = Instant::now();
        let mut out = vec![];
        let client = NonInviteClient::start(Bytes::from_static(b"BYE"), reliability, start, &mut out);
        assert_eq!(out, [Action::Send(Bytes::from_static(b"BYE"))]);
        (client, start, out)
    }

    fn run_out(
        client: &mut NonInviteClient,
        start: Instant,
        out: &mut Vec<Action>,
    ) -> (Vec<u128>, Option<u128>) {
        let (mut sent_ms, mut timed_out_ms) = (vec![], None);
        while let Some(at) = client.next_deadline() {
            out.clear();
            client.handle_timeout(at, out);
            let ms = (at - start).as_millis();
            match out.as_slice() {
                [Action::Send(bytes)] if bytes == "BYE" => sent_ms.push(ms),
                [Action::TimedOut] => timed_out_ms = Some(ms),
                other => panic!("unexpected {other:?}"),
            }
        }
        (sent_ms, timed_out_ms)
    }
}
