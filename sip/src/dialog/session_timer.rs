//! The session timer of a dialog that is up: who refreshes it, when, and when it is over (RFC 4028).
//!
//! ```text
//!  Ours    ──SE/2──► refresh under way ──2xx──► Ours
//!     └──────────────┐
//!  Theirs ───────────┴── SE − min(32 s, SE/3) without refresh ──► over
//! ```
//! Must not know how a refresh is sent, nor who ends the session.

use std::time::{Duration, Instant};

use crate::endpoint::ExtraHeader;
use crate::endpoint::policy::{RefreshMethod, RefresherWish, Support, TIMER, TimerPolicy};
use crate::message::{Headers, Method, Refresher, Request, Response, SessionExpires};

/// A session ends this long before its interval does, or a third of it where that is shorter. RFC 4028 §10.
const END_BEFORE: Duration = Duration::from_secs(32);

/// How long a refresh that was refused for the moment waits without a Retry-After. Ours.
pub const REFRESH_RETRY: Duration = Duration::from_secs(2);

/// What both sides agreed of refreshes.
#[derive(Debug)]
pub struct SessionTimer {
    policy: TimerPolicy,
    /// The peer lists UPDATE in Allow.
    allows_update: bool,
    /// A 422 has made the interval longer since the last answer; one is enough.
    is_raised: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No timer.
    Off,
    /// We refresh.
    Ours {
        interval_s: u32,
        refresh: Refresh,
        /// Without a refresh until then the session is over.
        end_at: Instant,
        peer: Peer,
    },
    /// The peer refreshes.
    Theirs { interval_s: u32, end_at: Instant },
}

/// Our next refresh.
#[derive(Clone, Copy, Debug)]
enum Refresh {
    At(Instant),
    UnderWay,
}

/// Whether the peer keeps the time too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// It does, and only a 2xx sets it anew.
    Times,
    /// It does not: any answer shows that it lives.
    TimesNot,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// A refresh by UPDATE.
    Update,
    /// A refresh by re-INVITE.
    Reinvite,
    /// The session is over.
    End,
}

impl SessionTimer {
    /// Our INVITE was answered.
    pub(super) fn of_caller(policy: TimerPolicy, response: &Response, now: Instant) -> Self {
        let mut timer = SessionTimer::off(policy);
        timer.take_answer(response, now);
        timer
    }

    /// We answer the peer's INVITE; with the headers of the 2xx.
    pub(super) fn of_callee(policy: TimerPolicy, invite: &Request, now: Instant) -> (Self, Vec<ExtraHeader>) {
        let mut timer = SessionTimer::off(policy);
        let headers = timer.answer(invite, now);
        (timer, headers)
    }

    fn off(policy: TimerPolicy) -> Self {
        SessionTimer {
            policy,
            allows_update: false,
            is_raised: false,
            state: State::Off,
        }
    }

    /// What a re-INVITE or UPDATE of ours says: the interval, and that roles stay (RFC 4028 §7.4).
    pub(super) fn request_headers(&self) -> Vec<ExtraHeader> {
        let (interval_s, refresher) = match &self.state {
            State::Off => return vec![],
            State::Ours { interval_s, .. } => (*interval_s, Refresher::Uac),
            State::Theirs { interval_s, .. } => (*interval_s, Refresher::Uas),
        };
        let expires = SessionExpires {
            interval_s: interval_s.max(self.policy.min_s),
            refresher: Some(refresher),
        };
        offer_headers(&self.policy, expires)
    }

    /// The headers of our 2xx to an INVITE or UPDATE, which sets the timer (RFC 4028 §9, table 2).
    pub(super) fn answer(&mut self, request: &Request, now: Instant) -> Vec<ExtraHeader> {
        if self.policy.support == Support::Off {
            return vec![];
        }
        let headers = &request.headers;
        self.see_allow(headers);
        let asked = headers.session_expires();
        let has_timer = headers.offers_option(TIMER);
        let refresher = match (has_timer, asked.and_then(|asked| asked.refresher)) {
            (false, _) if self.policy.refresher == RefresherWish::Peer => {
                self.state = State::Off;
                return vec![];
            }
            (false, _) => Refresher::Uas,
            (true, Some(chosen)) => chosen,
            (true, None) => self.choose(asked.is_some()),
        };
        let own = self.policy.interval_s.max(headers.min_se().unwrap_or(0));
        // Deviates from RFC 4028 §9: a peer without the extension cannot be told 422, so an interval of its
        // proxies below ours is raised here.
        let interval_s = asked
            .map_or(own, |asked| asked.interval_s.min(own))
            .max(self.policy.min_s);
        let peer = match has_timer {
            true => Peer::Times,
            false => Peer::TimesNot,
        };
        self.state = match refresher {
            Refresher::Uas => State::ours(interval_s, peer, now),
            Refresher::Uac => State::theirs(interval_s, now),
        };
        let expires = SessionExpires {
            interval_s,
            refresher: Some(refresher),
        };
        let mut told = vec![header("Session-Expires", expires.to_string())];
        if refresher == Refresher::Uac {
            told.push(header("Require", TIMER.to_owned()));
        }
        told
    }

    /// A 2xx to an INVITE or UPDATE of ours, which sets the timer (RFC 4028 §7.2).
    pub(super) fn take_answer(&mut self, response: &Response, now: Instant) {
        if self.policy.support == Support::Off {
            return;
        }
        self.see_allow(&response.headers);
        self.is_raised = false;
        self.state = match response.headers.session_expires() {
            Some(expires) => {
                let interval_s = expires.interval_s.max(self.policy.min_s);
                match expires.refresher {
                    Some(Refresher::Uac) | None => State::ours(interval_s, Peer::Times, now),
                    Some(Refresher::Uas) => State::theirs(interval_s, now),
                }
            }
            // Deviates from RFC 4028 §7.2: the peer keeps no time, and is asked all the same whether it lives.
            None if self.policy.refresher != RefresherWish::Peer => {
                State::ours(self.policy.interval_s, Peer::TimesNot, now)
            }
            None => State::Off,
        };
    }

    /// Our refresh did not reach the peer, or not in time for an answer: it is tried again at `at`.
    pub(super) fn retry(&mut self, at: Instant) {
        if let State::Ours { refresh, .. } = &mut self.state {
            *refresh = Refresh::At(at);
        }
    }

    /// Our refresh was refused, but not as the end of the session: it is tried again at `at`, unless the
    /// peer keeps no time and has now shown that it lives.
    pub(super) fn take_refusal(&mut self, at: Instant, now: Instant) {
        match self.state {
            State::Ours {
                interval_s,
                peer: Peer::TimesNot,
                ..
            } => self.state = State::ours(interval_s, Peer::TimesNot, now),
            State::Ours {
                peer: Peer::Times, ..
            } => self.retry(at),
            State::Off | State::Theirs { .. } => {}
        }
    }

    /// The peer cannot do UPDATE: the next refresh is a re-INVITE.
    pub(super) fn forget_update(&mut self) {
        self.allows_update = false;
    }

    /// The peer wants a longer interval (422). False: asking again is useless.
    pub(super) fn raise(&mut self, min_s: u32) -> bool {
        let is_raised = std::mem::replace(&mut self.is_raised, true);
        !is_raised && self.policy.raise(min_s)
    }

    /// True while a refresh of ours has no answer.
    pub(super) fn is_refreshing(&self) -> bool {
        matches!(
            self.state,
            State::Ours {
                refresh: Refresh::UnderWay,
                ..
            }
        )
    }

    /// What is due; a refresh counts as under way from now on, and an end is told once.
    pub(super) fn take_due(&mut self, now: Instant) -> Due {
        let (refresh_at, end_at) = match self.state {
            State::Off => return Due::Nothing,
            State::Ours {
                refresh: Refresh::At(at),
                end_at,
                ..
            } => (Some(at), end_at),
            State::Ours { end_at, .. } | State::Theirs { end_at, .. } => (None, end_at),
        };
        if now >= end_at {
            self.state = State::Off;
            return Due::End;
        }
        if refresh_at.is_none_or(|at| now < at) {
            return Due::Nothing;
        }
        if let State::Ours { refresh, .. } = &mut self.state {
            *refresh = Refresh::UnderWay;
        }
        match (self.policy.method, self.allows_update) {
            (RefreshMethod::Update, _) | (RefreshMethod::Auto, true) => Due::Update,
            (RefreshMethod::Reinvite, _) | (RefreshMethod::Auto, false) => Due::Reinvite,
        }
    }

    /// When `take_due` has work.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Off => None,
            State::Ours {
                refresh: Refresh::At(at),
                end_at,
                ..
            } => Some(at.min(end_at)),
            State::Ours { end_at, .. } | State::Theirs { end_at, .. } => Some(end_at),
        }
    }

    /// No timer any more.
    pub(super) fn stop(&mut self) {
        self.state = State::Off;
    }

    /// Who refreshes where the request leaves it open: as before, else as the policy says, else whoever
    /// wanted the timer.
    fn choose(&self, peer_asked: bool) -> Refresher {
        match (&self.state, self.policy.refresher) {
            (State::Ours { .. }, _) => Refresher::Uas,
            (State::Theirs { .. }, _) => Refresher::Uac,
            (State::Off, RefresherWish::Us) => Refresher::Uas,
            (State::Off, RefresherWish::Peer) => Refresher::Uac,
            (State::Off, RefresherWish::Auto) => match peer_asked {
                true => Refresher::Uac,
                false => Refresher::Uas,
            },
        }
    }

    fn see_allow(&mut self, headers: &Headers) {
        if headers.has("Allow") {
            self.allows_update = headers.allow().contains(&Method::Update);
        }
    }
}

impl State {
    fn ours(interval_s: u32, peer: Peer, now: Instant) -> Self {
        let interval = Duration::from_secs(interval_s.into());
        State::Ours {
            interval_s,
            refresh: Refresh::At(now + interval / 2),
            end_at: now + time_to_end(interval),
            peer,
        }
    }

    fn theirs(interval_s: u32, now: Instant) -> Self {
        let interval = Duration::from_secs(interval_s.into());
        State::Theirs {
            interval_s,
            end_at: now + time_to_end(interval),
        }
    }
}

/// SE − min(32 s, SE/3), RFC 4028 §10.
fn time_to_end(interval: Duration) -> Duration {
    interval.saturating_sub(END_BEFORE.min(interval / 3))
}

/// What a first INVITE of ours says of the timer (RFC 4028 §7.1).
pub(crate) fn invite_headers(policy: &TimerPolicy) -> Vec<ExtraHeader> {
    if policy.support == Support::Off {
        return vec![];
    }
    let refresher = match policy.refresher {
        RefresherWish::Auto => None,
        RefresherWish::Us => Some(Refresher::Uac),
        RefresherWish::Peer => Some(Refresher::Uas),
    };
    let interval_s = policy.interval_s;
    offer_headers(
        policy,
        SessionExpires {
            interval_s,
            refresher,
        },
    )
}

fn offer_headers(policy: &TimerPolicy, expires: SessionExpires) -> Vec<ExtraHeader> {
    vec![
        header("Session-Expires", expires.to_string()),
        header("Min-SE", policy.min_s.to_string()),
    ]
}

fn header(name: &str, value: String) -> ExtraHeader {
    ExtraHeader {
        name: name.to_owned(),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_a_third_or_32_s_before_its_interval() {
        // RFC 4028 §10.
        for (interval_s, end_ms) in [(1_800, 1_768_000), (96, 64_000), (90, 60_000), (9, 6_000)] {
            let end = time_to_end(Duration::from_secs(interval_s));
            assert_eq!(end.as_millis(), end_ms, "{interval_s}");
        }
    }

    #[test]
    fn our_refresh_is_due_once_at_half_time_and_the_end_once_after_it() {
        let now = Instant::now();
        let at = |s| now + Duration::from_secs(s);
        let mut timer = SessionTimer {
            state: State::ours(90, Peer::Times, now),
            ..SessionTimer::off(TimerPolicy::default())
        };
        assert_eq!(
            (timer.deadline(), timer.take_due(at(44))),
            (Some(at(45)), Due::Nothing)
        );
        assert_eq!(
            (timer.take_due(at(45)), timer.take_due(at(46))),
            (Due::Reinvite, Due::Nothing)
        );
        assert!(timer.is_refreshing());
        assert_eq!(timer.deadline(), Some(at(60)));
        assert_eq!(
            (timer.take_due(at(60)), timer.take_due(at(61))),
            (Due::End, Due::Nothing)
        );
        assert_eq!(timer.deadline(), None);
    }

    #[test]
    fn a_refusal_is_tried_again_or_shows_that_a_peer_without_timer_lives() {
        let now = Instant::now();
        let at = |s| now + Duration::from_secs(s);
        for (peer, next_s, end_s) in [(Peer::Times, 47, 60), (Peer::TimesNot, 90, 105)] {
            let mut timer = SessionTimer {
                state: State::ours(90, peer, now),
                ..SessionTimer::off(TimerPolicy::default())
            };
            assert_eq!(timer.take_due(at(45)), Due::Reinvite);
            timer.take_refusal(at(47), at(45));
            assert_eq!(timer.deadline(), Some(at(next_s)), "{peer:?}");
            assert_eq!(timer.take_due(at(next_s)), Due::Reinvite);
            assert_eq!(timer.deadline(), Some(at(end_s)));
        }
    }
}
