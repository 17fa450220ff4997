//! The one thread that places calls, sends every frame that is due and listens to every one that comes.
//!
//! ```text
//!   turn of ≤ 1 ms: epoll ─► SIP of both lines, RTP of sockets that have some
//!                   wheel of 20 slots, 1 ms each ─► the voices of the slots that have come speak
//!                   deadlines ─► next call, quiet, BYE
//! ```
//! A call speaks in the slot it began in until it ends. Knows the target only as a SIP address.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use sip::endpoint::{IncomingInvite, SessionKey};
use sip::rng::Rng;

use super::call::{Call, Stage};
use super::line::{Line, Over, Told};
use super::mark::{Book, Mark};
use super::outcome::Outcome;
use super::plan::{ANSWERER, Plan, call_of};
use super::voice::Voice;
use crate::phone::{Agreed, describe};
use crate::shell::clock;

/// Slots of the wheel: milliseconds of a frame.
const SLOTS: usize = 20;
/// Sockets told of in one turn.
const EVENTS_MAX: usize = 256;
/// A call that is not answered by then is given up.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);
/// What is under way when both sides fall quiet may take this long.
const DRAIN: Duration = Duration::from_millis(400);
/// After a BYE or CANCEL this long for its answer.
const END_PATIENCE: Duration = Duration::from_secs(33);
/// The answerers' sides end no later than that after the callers'.
const LEAVE_PATIENCE: Duration = Duration::from_secs(5);
/// Ids of the lines' sockets at epoll; calls have twice their number, the answerer's plus one.
const CALLERS: u64 = u64::MAX;
const ANSWERERS: u64 = u64::MAX - 1;

/// All that runs.
pub struct Driver<'a> {
    plan: &'a Plan,
    book: Book,
    rng: Rng,
    epoll: Epoll,
    callers: Line,
    answerers: Line,
    calls: BTreeMap<u32, Call>,
    answering: BTreeMap<SessionKey, u32>,
    due: BTreeSet<(Instant, u32)>,
    wheel: [Vec<u32>; SLOTS],
    start: Instant,
    turned_ms: u64,
    placed: u32,
    outcome: Outcome,
}

impl<'a> Driver<'a> {
    /// Binds both lines.
    pub fn open(plan: &'a Plan) -> io::Result<Driver<'a>> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let callers = Line::open(plan.caller, clock::seed()?)?;
        let answerers = Line::open(plan.answerer, clock::seed()?)?;
        let readable = |id| EpollEvent::new(EpollFlags::EPOLLIN, id);
        epoll.add(callers.socket(), readable(CALLERS))?;
        epoll.add(answerers.socket(), readable(ANSWERERS))?;
        Ok(Driver {
            plan,
            book: Book::new(plan.codec),
            rng: Rng::new(clock::seed()?),
            epoll,
            callers,
            answerers,
            calls: BTreeMap::new(),
            answering: BTreeMap::new(),
            due: BTreeSet::new(),
            wheel: std::array::from_fn(|_| Vec::new()),
            start: clock::mono(),
            turned_ms: 0,
            placed: 0,
            outcome: Outcome::default(),
        })
    }

    /// Where the answerers are.
    pub fn answerer(&self) -> SocketAddr {
        self.answerers.address()
    }

    /// Places and ends all calls. `progress` is told how it stands once a second.
    pub fn run(mut self, mut progress: impl FnMut(&Outcome, usize)) -> io::Result<Outcome> {
        self.start = clock::mono();
        let mut told_s = 0;
        while self.placed < self.plan.calls || !self.calls.is_empty() {
            let now = self.turn()?;
            let second = now.saturating_duration_since(self.start).as_secs();
            if second > told_s {
                told_s = second;
                self.outcome.sample(second, self.calls.len());
                progress(&self.outcome, self.calls.len());
            }
        }
        self.outcome.took = clock::mono().saturating_duration_since(self.start);
        self.leave()?;
        Ok(self.outcome)
    }

    /// The answerers' sides end after the callers'. What the target leaves up is a fault of it, and hung up here.
    fn leave(&mut self) -> io::Result<()> {
        self.turn_until_left(LEAVE_PATIENCE)?;
        self.outcome.left_up = self.answering.len() as u64;
        let now = clock::mono();
        for session in self.answering.keys() {
            self.answerers.bye(*session, now);
        }
        self.turn_until_left(LEAVE_PATIENCE)
    }

    fn turn_until_left(&mut self, patience: Duration) -> io::Result<()> {
        let until = clock::mono() + patience;
        while !self.answering.is_empty() && self.turn()? < until {}
        Ok(())
    }

    fn turn(&mut self) -> io::Result<Instant> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let count = match self.epoll.wait(&mut events, EpollTimeout::from(1u8)) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let now = clock::mono();
        for event in events.iter().take(count) {
            self.hear(event.data(), now);
        }
        self.callers.turn(now);
        self.answerers.turn(now);
        self.settle(now)?;
        self.speak(now);
        self.place(now)?;
        self.expire(now);
        self.settle(now)?;
        Ok(now)
    }

    fn hear(&mut self, id: u64, now: Instant) {
        let Some(call) = self.calls.get_mut(&((id / 2) as u32)).filter(|_| id < ANSWERERS) else {
            return;
        };
        let Some(answerer) = &mut call.answerer else {
            // Nobody speaks to this caller yet: what comes is the gateway's own, such as ringing.
            let nobody = super::listener::Said::new(call.caller.said.mark);
            let mut unheard = call.caller.listener.clone();
            call.caller
                .hear(now, &nobody, &self.book, &mut self.outcome.measures);
            std::mem::swap(&mut call.caller.listener, &mut unheard);
            return;
        };
        let measures = &mut self.outcome.measures;
        if id.is_multiple_of(2) {
            call.caller.hear(now, &answerer.said, &self.book, measures);
        } else {
            answerer.hear(now, &call.caller.said, &self.book, measures);
        }
    }

    /// Lets the voices of all slots that have come speak.
    fn speak(&mut self, now: Instant) {
        let now_ms = now.saturating_duration_since(self.start).as_millis() as u64;
        while self.turned_ms < now_ms {
            self.turned_ms += 1;
            let slot = (self.turned_ms % SLOTS as u64) as usize;
            let due = self.start + Duration::from_millis(self.turned_ms);
            let Some(slot) = self.wheel.get_mut(slot) else {
                continue;
            };
            slot.retain(|number| {
                let Some(call) = self.calls.get_mut(number) else {
                    return false;
                };
                self.outcome
                    .measures
                    .own_lateness
                    .record(now.saturating_duration_since(due));
                call.caller.speak(now, &self.book);
                if let Some(answerer) = call.answerer.as_mut().filter(|_| !self.plan.is_mute) {
                    answerer.speak(now, &self.book);
                }
                true
            });
        }
    }

    fn place(&mut self, now: Instant) -> io::Result<()> {
        while self.placed < self.plan.calls && self.start + self.plan.placed_at(self.placed) <= now {
            let number = self.placed;
            self.placed += 1;
            let caller = self.voice(number, false)?;
            let media = describe(self.plan.codec, caller.address()?, self.seed());
            let from = self.plan.caller_number(number);
            let names = (from.as_str(), self.plan.to.as_str());
            let key = u64::from(number) + 1;
            let session = self.callers.call(key, names, self.plan.target, media, now);
            self.calls.insert(
                number,
                Call {
                    session,
                    caller,
                    answerer: None,
                    placed: now,
                    has_rung: false,
                    stage: Stage::Calling,
                },
            );
            self.due.insert((now + ANSWER_PATIENCE, number));
            self.outcome.placed += 1;
        }
        Ok(())
    }

    fn voice(&mut self, number: u32, is_answerer: bool) -> io::Result<Voice> {
        let line = if is_answerer {
            &self.answerers
        } else {
            &self.callers
        };
        let random = (self.rng.u32() as u16, self.rng.u32(), self.rng.u32());
        let mark = Mark::new(number, is_answerer);
        let voice = Voice::open(line.ip(), self.plan.codec, mark, random)?;
        let id = u64::from(number) * 2 + u64::from(is_answerer);
        self.epoll
            .add(voice.socket(), EpollEvent::new(EpollFlags::EPOLLIN, id))?;
        Ok(voice)
    }

    fn seed(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| self.rng.u32() as u8)
    }

    /// Deals with what both lines told.
    fn settle(&mut self, now: Instant) -> io::Result<()> {
        while let Some(told) = self.callers.poll() {
            self.handle_caller(told, now);
        }
        while let Some(told) = self.answerers.poll() {
            match told {
                Told::Incoming(invite) => self.answer(&invite, now)?,
                Told::Media(session, agreed) => self.set_answerer(session, agreed),
                Told::Over(session, _) => {
                    self.set_answerer(session, None);
                    self.answering.remove(&session);
                }
                Told::Ringing(_) | Told::Up(_) => {}
            }
        }
        Ok(())
    }

    fn handle_caller(&mut self, told: Told, now: Instant) {
        let (Told::Ringing(session) | Told::Up(session) | Told::Media(session, _) | Told::Over(session, _)) =
            told
        else {
            // Nobody has to call the callers.
            return;
        };
        let SessionKey::Out(key) = session else { return };
        let number = (key - 1) as u32;
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let since = now.saturating_duration_since(call.placed);
        match told {
            Told::Ringing(_) | Told::Up(_) if !call.has_rung => {
                call.has_rung = true;
                self.outcome.measures.post_dial.record(since);
            }
            _ => {}
        }
        match told {
            Told::Up(_) if call.stage == Stage::Calling => {
                call.stage = Stage::Talking;
                self.outcome.measures.setup.record(since);
                self.outcome.answered += 1;
                self.due.remove(&(call.placed + ANSWER_PATIENCE, number));
                self.due.insert((now + self.plan.hold, number));
                let now_ms = now.saturating_duration_since(self.start).as_millis() as u64;
                if let Some(slot) = self.wheel.get_mut((now_ms % SLOTS as u64) as usize) {
                    slot.push(number);
                }
            }
            Told::Media(_, agreed) if call.stage != Stage::Quiet => call.caller.set_agreed(agreed),
            Told::Over(_, over) => self.end(number, over),
            Told::Incoming(_) | Told::Ringing(_) | Told::Up(_) | Told::Media(..) => {}
        }
    }

    fn answer(&mut self, invite: &IncomingInvite, now: Instant) -> io::Result<()> {
        let headers = &invite.request.headers;
        let user = |uri: &sip::message::Uri| uri.user_unescaped().unwrap_or_default();
        let own = self.plan.from.trim_start_matches('+');
        let names = [user(headers.to().uri()), user(headers.from().uri())];
        let number = names
            .iter()
            .filter(|name| name.starts_with(ANSWERER) || name.trim_start_matches('+').starts_with(own))
            .find_map(|name| call_of(name));
        let free = number.filter(|number| self.calls.get(number).is_some_and(|call| call.answerer.is_none()));
        let Some(number) = free else {
            self.outcome.strangers += 1;
            self.answerers.reject(invite.session, 404, now);
            return Ok(());
        };
        let voice = self.voice(number, true)?;
        let media = describe(self.plan.codec, voice.address()?, self.seed());
        if let Some(call) = self.calls.get_mut(&number) {
            call.answerer = Some(voice);
        }
        self.answering.insert(invite.session, number);
        self.answerers.answer(invite, media, now);
        Ok(())
    }

    fn set_answerer(&mut self, session: SessionKey, agreed: Option<Agreed>) {
        let number = self.answering.get(&session);
        let call = number.and_then(|number| self.calls.get_mut(number));
        if let Some(call) = call.filter(|call| call.stage != Stage::Quiet)
            && let Some(answerer) = &mut call.answerer
        {
            answerer.set_agreed(agreed);
        }
    }

    /// What is due of each call: quiet after its time, then BYE; CANCEL where nobody answered.
    fn expire(&mut self, now: Instant) {
        while let Some((at, number)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, number));
            let Some(call) = self.calls.get_mut(&number) else {
                continue;
            };
            match call.stage {
                Stage::Calling => {
                    call.stage = Stage::Ending { is_late: true };
                    self.callers.cancel(call.session, now);
                    self.due.insert((now + END_PATIENCE, number));
                }
                Stage::Talking => {
                    call.stage = Stage::Quiet;
                    call.caller.set_agreed(None);
                    if let Some(answerer) = &mut call.answerer {
                        answerer.set_agreed(None);
                    }
                    self.due.insert((now + DRAIN, number));
                }
                Stage::Quiet => {
                    call.stage = Stage::Ending { is_late: false };
                    self.callers.bye(call.session, now);
                    self.due.insert((now + END_PATIENCE, number));
                }
                Stage::Ending { .. } => self.end(number, Over::Failed),
            }
        }
    }

    fn end(&mut self, number: u32, over: Over) {
        if let Some(call) = self.calls.remove(&number) {
            let (fate, frames) = call.fate(over, &self.plan.bounds);
            self.outcome.add(fate, &frames);
        }
    }
}
