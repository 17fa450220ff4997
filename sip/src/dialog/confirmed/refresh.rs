//! Refreshes of a session that is up: sent when due, judged by their answers (RFC 4028 §7.4, §10).
//!
//! Must not know why a session is kept.

use std::time::{Duration, Instant};

use super::Confirmed;
use super::outgoing::{self, Offer};
use crate::dialog::action::{Action, Failure, Purpose};
use crate::dialog::session_timer::{Due, REFRESH_RETRY};
use crate::endpoint::Event;
use crate::message::{Method, Response, StatusCode};
use crate::rng::Rng;

/// Longest Retry-After that a refresh obeys: a longer one would outlive most sessions' timers. Ours.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

impl Confirmed {
    /// A 2xx to our refresh.
    pub fn handle_refreshed(&mut self, response: &Response, now: Instant) {
        self.dialog.refresh(response.headers.contact());
        self.timer.take_answer(response, now);
    }

    /// A failure of a refresh; false: no refresh was under way. 481 and 408 say that the session is over;
    /// anything else is tried again until its time is up.
    pub fn handle_refresh_failure(
        &mut self,
        failure: Failure,
        rng: &mut Rng,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> bool {
        if !self.timer.is_refreshing() {
            return false;
        }
        let wait = match failure.status {
            StatusCode::CALL_DOES_NOT_EXIST | StatusCode::REQUEST_TIMEOUT => {
                self.expire(out);
                return true;
            }
            // Also how a failed transport is told: nobody has answered.
            StatusCode::SERVICE_UNAVAILABLE => {
                self.timer.retry(now + REFRESH_RETRY);
                return true;
            }
            StatusCode::REQUEST_PENDING => self.origin.glare_wait(rng),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                self.timer.forget_update();
                Duration::ZERO
            }
            StatusCode::SESSION_INTERVAL_TOO_SMALL
                if failure.min_se_s.is_some_and(|min_s| self.timer.raise(min_s)) =>
            {
                Duration::ZERO
            }
            _ => failure.retry_after_s.map_or(REFRESH_RETRY, |seconds| {
                Duration::from_secs(seconds.into()).min(RETRY_AFTER_MAX)
            }),
        };
        self.timer.take_refusal(now + wait, now);
        true
    }

    /// Whether a failed re-INVITE is sent again by itself: after a glare, or with a longer interval.
    pub(super) fn offers_again(&mut self, failure: Failure, rng: &mut Rng, now: Instant) -> bool {
        let wait = match failure.status {
            StatusCode::REQUEST_PENDING => self.origin.glare_wait(rng),
            StatusCode::SESSION_INTERVAL_TOO_SMALL
                if failure.min_se_s.is_some_and(|min_s| self.timer.raise(min_s)) =>
            {
                Duration::ZERO
            }
            _ => return false,
        };
        self.outgoing.retry_later(now + wait)
    }

    /// Sends the refresh that is due, or tells that the session's time is over.
    pub(super) fn keep_time(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.timer.take_due(now) {
            Due::Nothing => {}
            Due::Update => {
                let draft = self.dialog.request(Method::Update);
                let draft = Box::new(draft.with_headers(self.timer.request_headers()));
                out.push(Action::Request {
                    purpose: Purpose::Refresh,
                    draft,
                });
            }
            // An offer that is wanted or under way refreshes as well.
            Due::Reinvite if self.outgoing.is_idle() => {
                let (sdp, intent) = (self.local_sdp.clone(), outgoing::Intent::Refresh);
                self.outgoing.want(Offer { sdp, intent }, now);
            }
            Due::Reinvite => {}
            Due::End => self.expire(out),
        }
    }

    /// The owner is told to end it; nothing is refreshed any more.
    fn expire(&mut self, out: &mut Vec<Action>) {
        self.timer.stop();
        out.push(Action::Event(Event::Expired { session: self.key }));
    }
}
