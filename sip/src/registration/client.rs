//! Our registration at one of a carrier's servers (RFC 3261 §10.2), kept up as long as its owner wants.
//!
//! ```text
//!              ┌── next server, at once ──┐
//!  start ─► Trying ──2xx──► Registered ──80-90 %──► Trying …
//!              │ every server failed: Waiting ──► Trying
//!              └ 403: Refused, for good
//!  leave ─► Leaving (Expires: 0) ─► Left
//! ```
//! Says which request goes to which server, and when; who sends it numbers and authorizes it. Must not know
//! messages, transactions or addresses.

use std::time::{Duration, Instant};

use crate::endpoint::Unanswered;
use crate::message::StatusCode;
use crate::rng::Rng;

/// One registration.
#[derive(Debug)]
pub struct Registration {
    servers: usize,
    /// What the next request asks for; 423 raises it.
    asked: Duration,
    /// Rounds over all servers that failed, since the last success.
    rounds: u32,
    /// Until when a server has our contact, and which one.
    held: Option<(usize, Instant)>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A REGISTER is on its way; `tried` servers of this round have had one.
    Trying {
        server: usize,
        tried: usize,
        has_raised: bool,
    },
    /// Nothing to do until the refresh.
    Registered { refresh_at: Instant },
    /// Every server failed.
    Waiting { until: Instant },
    /// A server forbade it.
    Refused,
    /// A REGISTER was on its way when its owner had enough: its answer is awaited (RFC 3261 §10.2).
    Finishing { server: usize, until: Instant },
    /// The removal is on its way.
    Leaving { until: Instant },
    /// Nothing is registered, nothing is on its way.
    Left,
}

/// What a server answered, finally.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// The time it grants our contact, where it says.
    pub granted: Option<Duration>,
    /// Its Min-Expires.
    pub min_expires: Option<Duration>,
    /// Its Retry-After.
    pub retry_after: Option<Duration>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send a REGISTER, replacing any that is on its way.
    Send {
        /// To which server, by its place in the list.
        server: usize,
        /// What it asks for; zero removes our contact.
        expires: Duration,
    },
    /// Tell the owner.
    Tell(Told),
}

/// What the owner is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A server has our contact, anew or still.
    Registered {
        /// Which server.
        server: usize,
        /// For how long.
        expires: Duration,
    },
    /// A server did not take it.
    Failed {
        /// Which server.
        server: usize,
        /// What it said; silence and a failed transport have no status.
        why: Failure,
        /// When the next request goes out; none: never.
        retry_in: Option<Duration>,
    },
    /// No server has our contact any more.
    Expired,
    /// Our contact is removed, or its removal was given up.
    Left,
}

/// Why a server did not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It answered.
    Status(StatusCode),
    /// It did not.
    Unanswered(Unanswered),
}

/// A refresh goes out after so many thousandths of the time granted, …
const REFRESH_FROM: u64 = 800;
/// … drawn up to here, so that a fleet does not come at once.
const REFRESH_TO: u64 = 900;
/// Soonest refresh, however little is granted. Ours.
pub const REFRESH_MIN: Duration = Duration::from_secs(5);
/// Longest time we let a 423 make us ask for. Ours: a day.
pub const ASKED_MAX: Duration = Duration::from_secs(86_400);
/// First wait after every server failed; each further one is twice as long (RFC 5626 §4.5, all flows failed).
pub const WAIT_FIRST: Duration = Duration::from_secs(30);
/// Longest such wait. Ours: RFC 5626 §4.5 has 1800 s, in which a carrier's trunk would be missed.
pub const WAIT_MAX: Duration = Duration::from_secs(300);
/// Longest Retry-After that is kept to.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// How long a removal may take: the process wants to end.
pub const LEAVE_WAIT: Duration = Duration::from_secs(2);

impl Registration {
    /// A registration with so many servers, asking for so long, that has not begun.
    pub fn new(servers: usize, asked: Duration) -> Self {
        Registration {
            servers,
            asked,
            rounds: 0,
            held: None,
            state: State::Left,
        }
    }

    /// Begins, or begins again after it was left.
    pub fn start(&mut self, out: &mut Vec<Step>) {
        if matches!(self.state, State::Left) && self.servers > 0 {
            self.rounds = 0;
            self.attempt(0, 1, false, out);
        }
    }

    /// The owner has enough.
    pub fn leave(&mut self, now: Instant, out: &mut Vec<Step>) {
        let until = now + LEAVE_WAIT;
        match (&self.state, self.held) {
            (State::Finishing { .. } | State::Leaving { .. }, _) => {}
            (State::Trying { server, .. }, _) => {
                self.state = State::Finishing {
                    server: *server,
                    until,
                };
            }
            (_, Some((server, _))) => self.remove(server, until, out),
            (_, None) => self.end(out),
        }
    }

    /// The request that is on its way has a final answer.
    pub fn handle_answer(&mut self, answer: Answer, rng: &mut Rng, now: Instant, out: &mut Vec<Step>) {
        match self.state {
            State::Trying {
                server,
                tried,
                has_raised,
            } => match self.raised(answer).filter(|_| !has_raised) {
                Some(asked) => {
                    self.asked = asked;
                    self.attempt(server, tried, true, out);
                }
                None if answer.status.is_success() => self.succeed(server, answer, rng, now, out),
                None => self.fail_with(answer, (server, tried), rng, now, out),
            },
            State::Finishing { server, until } => match (answer.status.is_success(), self.held) {
                (true, _) => self.remove(server, until, out),
                (false, Some((held, _))) => self.remove(held, until, out),
                (false, None) => self.end(out),
            },
            State::Leaving { .. } => self.end(out),
            State::Registered { .. } | State::Waiting { .. } | State::Refused | State::Left => {}
        }
    }

    /// The request that is on its way has none.
    pub fn handle_unanswered(&mut self, why: Unanswered, rng: &mut Rng, now: Instant, out: &mut Vec<Step>) {
        match self.state {
            State::Trying { server, tried, .. } => {
                self.fail((server, tried), Failure::Unanswered(why), None, rng, now, out);
            }
            State::Finishing { until, .. } => match self.held {
                Some((held, _)) => self.remove(held, until, out),
                None => self.end(out),
            },
            State::Leaving { .. } => self.end(out),
            State::Registered { .. } | State::Waiting { .. } | State::Refused | State::Left => {}
        }
    }

    /// The connection to this server closed: it can reach us no more, so we come back at once (RFC 5626 §4.4).
    pub fn handle_connection_lost(&mut self, server: usize, out: &mut Vec<Step>) {
        let is_held = self.held.is_some_and(|(held, _)| held == server);
        if is_held && matches!(self.state, State::Registered { .. }) {
            self.attempt(server, 1, false, out);
        }
    }

    /// The time of [`Registration::next_deadline`] has come.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Step>) {
        if self.held.is_some_and(|(_, until)| until <= now) {
            self.held = None;
            out.push(Step::Tell(Told::Expired));
        }
        match self.state {
            State::Registered { refresh_at } if refresh_at <= now => {
                let server = self.held.map_or(0, |(server, _)| server);
                self.attempt(server, 1, false, out);
            }
            State::Waiting { until } if until <= now => self.attempt(0, 1, false, out),
            State::Finishing { until, .. } | State::Leaving { until } if until <= now => self.end(out),
            State::Registered { .. }
            | State::Waiting { .. }
            | State::Finishing { .. }
            | State::Leaving { .. }
            | State::Trying { .. }
            | State::Refused
            | State::Left => {}
        }
    }

    /// When `handle_timeout` has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        let of_state = match self.state {
            State::Registered { refresh_at } => Some(refresh_at),
            State::Waiting { until } | State::Finishing { until, .. } | State::Leaving { until } => {
                Some(until)
            }
            State::Trying { .. } | State::Refused | State::Left => None,
        };
        let held = self.held.map(|(_, until)| until);
        [of_state, held].into_iter().flatten().min()
    }

    /// True when a server has our contact.
    pub fn is_registered(&self) -> bool {
        self.held.is_some()
    }

    fn attempt(&mut self, server: usize, tried: usize, has_raised: bool, out: &mut Vec<Step>) {
        self.state = State::Trying {
            server,
            tried,
            has_raised,
        };
        out.push(Step::Send {
            server,
            expires: self.asked,
        });
    }

    /// RFC 3261 §10.2.8: what a 423 wants us to ask for.
    fn raised(&self, answer: Answer) -> Option<Duration> {
        let is_brief = answer.status == StatusCode::INTERVAL_TOO_BRIEF;
        let wanted = answer.min_expires.filter(|_| is_brief)?;
        (self.asked < wanted && wanted <= ASKED_MAX).then_some(wanted)
    }

    fn succeed(&mut self, server: usize, answer: Answer, rng: &mut Rng, now: Instant, out: &mut Vec<Step>) {
        let expires = answer.granted.unwrap_or(self.asked).min(ASKED_MAX);
        let thousandths = REFRESH_FROM + rng.below(REFRESH_TO - REFRESH_FROM + 1);
        let refresh = expires * u32::try_from(thousandths).unwrap_or(0) / 1000;
        self.rounds = 0;
        self.held = Some((server, now + expires));
        self.state = State::Registered {
            refresh_at: now + refresh.max(REFRESH_MIN),
        };
        out.push(Step::Tell(Told::Registered { server, expires }));
    }

    fn fail_with(
        &mut self,
        answer: Answer,
        place: (usize, usize),
        rng: &mut Rng,
        now: Instant,
        out: &mut Vec<Step>,
    ) {
        let why = Failure::Status(answer.status);
        match answer.status {
            StatusCode::FORBIDDEN => {
                self.state = State::Refused;
                let retry_in = None;
                let server = place.0;
                out.push(Step::Tell(Told::Failed {
                    server,
                    why,
                    retry_in,
                }));
                if self.held.take().is_some() {
                    out.push(Step::Tell(Told::Expired));
                }
            }
            // A wrong password is wrong at every server, and trying it often locks accounts.
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let last = (place.0, self.servers);
                self.fail(last, why, Some(WAIT_MAX), rng, now, out);
            }
            _ => self.fail(place, why, answer.retry_after, rng, now, out),
        }
    }

    /// The next server at once, else a wait: of at least `at_least`.
    fn fail(
        &mut self,
        (server, tried): (usize, usize),
        why: Failure,
        at_least: Option<Duration>,
        rng: &mut Rng,
        now: Instant,
        out: &mut Vec<Step>,
    ) {
        if tried < self.servers {
            let retry_in = Some(Duration::ZERO);
            out.push(Step::Tell(Told::Failed {
                server,
                why,
                retry_in,
            }));
            return self.attempt((server + 1) % self.servers, tried + 1, false, out);
        }
        let longest = WAIT_FIRST.saturating_mul(1 << self.rounds.min(8)).min(WAIT_MAX);
        self.rounds = self.rounds.saturating_add(1);
        // RFC 5626 §4.5: from half of it to all of it.
        let wait = longest / 2 + longest / 2 * u32::try_from(rng.below(1001)).unwrap_or(0) / 1000;
        let wait = wait.max(at_least.unwrap_or_default().min(RETRY_AFTER_MAX));
        self.state = State::Waiting { until: now + wait };
        let retry_in = Some(wait);
        out.push(Step::Tell(Told::Failed {
            server,
            why,
            retry_in,
        }));
    }

    fn remove(&mut self, server: usize, until: Instant, out: &mut Vec<Step>) {
        self.held = None;
        self.state = State::Leaving { until };
        let expires = Duration::ZERO;
        out.push(Step::Send { server, expires });
    }

    fn end(&mut self, out: &mut Vec<Step>) {
        self.held = None;
        self.state = State::Left;
        out.push(Step::Tell(Told::Left));
    }
}

#[cfg(test)]
mod tests;
