//! Non-INVITE server transaction (RFC 3261 §17.2.2, RFC 4320).
//!
//! ```text
//!  Trying ──200-699──► Completed ──J──► Terminated
//!  repeats absorbed    repeats get the response again
//! ```
//! It has no Proceeding state: no provisional response is ever sent to such a request (RFC 4320 §4.1
//! forbids the early one, and this endpoint answers at once). Must not know dialogs or methods.

use std::time::Instant;

use bytes::Bytes;

use super::Action;
use super::timing::{Reliability, WAIT};

/// One request of the peer other than INVITE and ACK.
///
/// Owns the final response once there is one.
#[derive(Debug)]
pub struct NonInviteServer {
    reliability: Reliability,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The user of the transaction is about to answer.
    Trying,
    /// Answered; repeats get the response again until timer J.
    Completed {
        response: Bytes,
        until: Instant,
    },
    Terminated,
}

impl NonInviteServer {
    /// A request arrived.
    pub fn start(reliability: Reliability) -> Self {
        NonInviteServer {
            reliability,
            state: State::Trying,
        }
    }

    /// The request came again.
    pub fn handle_repeat(&mut self, out: &mut Vec<Action>) {
        match &self.state {
            State::Completed { response, .. } => out.push(Action::Send(response.clone())),
            State::Trying | State::Terminated => {}
        }
    }

    /// Sends the final response.
    pub fn respond(&mut self, response: Bytes, now: Instant, out: &mut Vec<Action>) {
        debug_assert!(
            matches!(self.state, State::Trying),
            "one final response a request"
        );
        out.push(Action::Send(response.clone()));
        self.state = State::Completed {
            response,
            until: now + self.reliability.linger(WAIT),
        };
    }

    /// Timer J.
    pub fn handle_timeout(&mut self, now: Instant) {
        let State::Completed { until, .. } = self.state else {
            return;
        };
        if now >= until {
            self.state = State::Terminated;
        }
    }

    /// When `handle_timeout` has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Completed { until, .. } => Some(until),
            State::Trying | State::Terminated => None,
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
    fn repeats_get_the_response_again_until_timer_j() {
        let start = Instant::now();
        let mut out = vec![];
        let mut server = NonInviteServer::start(Reliability::Unreliable);
        server.handle_repeat(&mut out);
        assert_eq!(out, []);
        server.respond(Bytes::from_static(b"200"), start, &mut out);
        server.handle_repeat(&mut out);
        assert_eq!(out, [send("200"), send("200")]);
        assert_eq!(server.next_deadline(), Some(start + Duration::from_secs(32)));
        server.handle_timeout(start + Duration::from_secs(32));
        assert!(server.is_terminated());
    }

    #[test]
    fn timer_j_is_zero_over_tcp() {
        let start = Instant::now();
        let mut server = NonInviteServer::start(Reliability::Reliable);
        server.respond(Bytes::from_static(b"200"), start, &mut vec![]);
        assert_eq!(server.next_deadline(), Some(start));
        server.handle_timeout(start);
        assert!(server.is_terminated());
    }

    fn send(text: &'static str) -> Action {
        Action::Send(Bytes::from_static(text.as_bytes()))
    }
}
