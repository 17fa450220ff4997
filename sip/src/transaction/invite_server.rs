//! INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §7.1).
//!
//! ```text
//!  Proceeding ──300-699──► Completed ──ACK──► Confirmed ──I──► Terminated
//!      │  repeat → last 1xx    G: resend, H: give up ─────────► Terminated
//!      └──2xx──► Accepted ──L──► Terminated
//!                repeats absorbed; the dialog repeats its 2xx itself
//! ```
//! Must not know dialogs: the ACK of a 2xx goes up, its repeats are the work of the INVITE usage.

use std::time::Instant;

use bytes::Bytes;

use super::timing::{Reliability, Resend, T2, T4, WAIT, earlier};
use super::{Action, Pass};

/// One INVITE of the peer, from its 100 to the end of its last repeat.
///
/// Owns the last response sent and the deadlines of its state.
#[derive(Debug)]
pub struct InviteServer {
    reliability: Reliability,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The user of the transaction has not decided; repeats get the last provisional response.
    Proceeding {
        last: Bytes,
    },
    /// A failure was sent: timer G repeats it, timer H gives up waiting for ACK.
    Completed {
        response: Bytes,
        resend: Resend,
        give_up_at: Instant,
    },
    /// ACK came; further ones are absorbed until timer I.
    Confirmed {
        until: Instant,
    },
    /// A 2xx was sent; repeats of the INVITE are absorbed until timer L.
    Accepted {
        response: Bytes,
        until: Instant,
    },
    Terminated,
}

impl InviteServer {
    /// Sends 100 at once.
    pub fn start(trying: Bytes, reliability: Reliability, out: &mut Vec<Action>) -> Self {
        out.push(Action::Send(trying.clone()));
        InviteServer {
            reliability,
            state: State::Proceeding { last: trying },
        }
    }

    /// The INVITE came again.
    pub fn handle_repeat(&mut self, out: &mut Vec<Action>) {
        match &self.state {
            State::Proceeding { last } => out.push(Action::Send(last.clone())),
            State::Completed { response, .. } => out.push(Action::Send(response.clone())),
            State::Confirmed { .. } | State::Accepted { .. } | State::Terminated => {}
        }
    }

    /// An ACK with the key of this transaction. Only the ACK of a 2xx goes up, for peers that give it
    /// the branch of the INVITE.
    pub fn handle_ack(&mut self, now: Instant) -> Pass {
        match self.state {
            State::Completed { .. } => {
                self.state = State::Confirmed {
                    until: now + self.reliability.linger(T4),
                };
                Pass::Absorbed
            }
            State::Accepted { .. } => Pass::Up,
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => Pass::Absorbed,
        }
    }

    /// Sends a 1xx.
    pub fn respond_provisional(&mut self, response: Bytes, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Proceeding { last } => {
                *last = response.clone();
                out.push(Action::Send(response));
            }
            State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => debug_assert!(false, "a provisional after the final response"),
        }
    }

    /// Sends a 2xx once; repeating it until ACK is up to its dialog.
    pub fn respond_success(&mut self, response: Bytes, now: Instant, out: &mut Vec<Action>) {
        debug_assert!(self.is_proceeding(), "one final response an INVITE");
        out.push(Action::Send(response.clone()));
        self.state = State::Accepted {
            response,
            until: now + WAIT,
        };
    }

    /// Sends the 2xx again; its dialog says when (RFC 3261 §13.3.1.4).
    pub fn repeat_success(&self, out: &mut Vec<Action>) {
        let State::Accepted { response, .. } = &self.state else {
            return;
        };
        out.push(Action::Send(response.clone()));
    }

    /// Sends a 3xx to 6xx and repeats it until ACK.
    pub fn respond_failure(&mut self, response: Bytes, now: Instant, out: &mut Vec<Action>) {
        debug_assert!(self.is_proceeding(), "one final response an INVITE");
        out.push(Action::Send(response.clone()));
        let resend = Resend::start(self.reliability, now);
        self.state = State::Completed {
            response,
            resend,
            give_up_at: now + WAIT,
        };
    }

    /// Timers G, H, I and L.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Completed { give_up_at, .. } if now >= *give_up_at => self.state = State::Terminated,
            State::Completed { response, resend, .. } => {
                if resend.take_due(T2, now) {
                    out.push(Action::Send(response.clone()));
                }
            }
            State::Confirmed { until } | State::Accepted { until, .. } => {
                if now >= *until {
                    self.state = State::Terminated;
                }
            }
            State::Proceeding { .. } | State::Terminated => {}
        }
    }

    /// When `handle_timeout` has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Completed {
                resend, give_up_at, ..
            } => earlier(resend, *give_up_at),
            State::Confirmed { until } | State::Accepted { until, .. } => Some(*until),
            State::Proceeding { .. } | State::Terminated => None,
        }
    }

    /// True until the final response: CANCEL has an effect (RFC 3261 §9.2).
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// True once a 3xx to 6xx went out: its ACK ends here (RFC 3261 §17.2.1).
    pub fn is_refused(&self) -> bool {
        matches!(self.state, State::Completed { .. } | State::Confirmed { .. })
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
    fn a_repeat_gets_the_last_provisional() {
        let (mut server, _, mut out) = proceeding(Reliability::Unreliable);
        server.handle_repeat(&mut out);
        server.respond_provisional(Bytes::from_static(b"180"), &mut out);
        server.handle_repeat(&mut out);
        assert_eq!(out, [send("100"), send("100"), send("180"), send("180")]);
    }

    #[test]
    fn timer_g_doubles_to_t2_and_timer_h_gives_up_at_32_s() {
        let (mut server, start, mut out) = proceeding(Reliability::Unreliable);
        server.respond_failure(Bytes::from_static(b"486"), start, &mut out);
        let mut sent_ms = vec![];
        while let Some(at) = server.next_deadline() {
            out.clear();
            server.handle_timeout(at, &mut out);
            if out == [send("486")] {
                sent_ms.push((at - start).as_millis());
            } else {
                assert_eq!(out, []);
                assert_eq!((at - start).as_millis(), 32_000);
            }
        }
        assert_eq!(
            sent_ms,
            [
                500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
            ]
        );
        assert!(server.is_terminated());
    }

    #[test]
    fn over_tcp_only_timer_h_runs() {
        let (mut server, start, mut out) = proceeding(Reliability::Reliable);
        server.respond_failure(Bytes::from_static(b"486"), start, &mut out);
        assert_eq!(server.next_deadline(), Some(start + Duration::from_secs(32)));
    }

    #[test]
    fn ack_ends_a_failure_and_timer_i_absorbs_repeats_for_t4() {
        let (mut server, start, mut out) = proceeding(Reliability::Unreliable);
        server.respond_failure(Bytes::from_static(b"486"), start, &mut out);
        out.clear();
        assert_eq!(server.handle_ack(start), Pass::Absorbed);
        assert_eq!(server.handle_ack(start), Pass::Absorbed);
        server.handle_repeat(&mut out);
        assert_eq!(out, []);
        assert_eq!(server.next_deadline(), Some(start + Duration::from_secs(5)));
        server.handle_timeout(start + Duration::from_secs(5), &mut out);
        assert!(server.is_terminated());
    }

    #[test]
    fn timer_i_is_zero_over_tcp() {
        let (mut server, start, mut out) = proceeding(Reliability::Reliable);
        server.respond_failure(Bytes::from_static(b"486"), start, &mut out);
        let _ = server.handle_ack(start);
        assert_eq!(server.next_deadline(), Some(start));
    }

    #[test]
    fn after_2xx_repeats_are_absorbed_and_ack_goes_up_until_timer_l() {
        for reliability in [Reliability::Unreliable, Reliability::Reliable] {
            let (mut server, start, mut out) = proceeding(reliability);
            server.respond_success(Bytes::from_static(b"200"), start, &mut out);
            out.clear();
            server.handle_repeat(&mut out);
            assert_eq!(out, []);
            assert_eq!(server.handle_ack(start), Pass::Up);
            assert_eq!(server.next_deadline(), Some(start + Duration::from_secs(32)));
            server.handle_timeout(start + Duration::from_secs(32), &mut out);
            assert!(server.is_terminated());
        }
    }

    fn proceeding(reliability: Reliability) -> (InviteServer, Instant, Vec<Action>) {
        let mut out = vec![];
        let server = InviteServer::start(Bytes::from_static(b"100"), reliability, &mut out);
        assert_eq!(out, [send("100")]);
        (server, Instant::now(), out)
    }

    fn send(text: &'static str) -> Action {
        Action::Send(Bytes::from_static(text.as_bytes()))
    }
}
