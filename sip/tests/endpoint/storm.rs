//! Many calls with every ending, on a network that loses, doubles and reorders.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::pair::{Link, Pair, Side, Side::Left, Side::Right};
use sip::endpoint::{Command, Event, Policy, SessionKey, Support, TimerPolicy, Transport};
use sip::rng::Rng;

use crate::*;

/// Invariant of the simulation: one opening and one closing event a session, and tables that
/// are empty when everything that lingers is over.
#[test]
fn ten_thousand_calls_with_five_percent_loss_leave_nothing_behind() {
    let started = Instant::now();
    let mut storm = Storm::new(1, Transport::Udp);
    storm.run(10_000);
    for (what, at_least) in [("PRACK ", 2_000), ("UPDATE ", 1_000), ("SIP/2.0 422", 300)] {
        let sent = storm
            .pair
            .sent
            .iter()
            .filter(|sent| sent.text.starts_with(what))
            .count();
        assert!(sent >= at_least, "{sent} of {what}");
    }
    eprintln!(
        "10,000 calls, {} messages, {:?}",
        storm.pair.sent.len(),
        started.elapsed()
    );
}

#[test]
fn every_seed_comes_to_rest() {
    for seed in 100..120 {
        for transport in [Transport::Udp, Transport::Tcp] {
            Storm::new(seed, transport).run(100);
        }
    }
}

/// Reliable provisional responses as told; refreshes by UPDATE every few seconds, unless the interval is 0.
fn policy(rel100: Support, interval_s: u32) -> Policy {
    let support = match interval_s {
        0 => Support::Off,
        _ => Support::Supported,
    };
    Policy {
        rel100,
        timer: TimerPolicy {
            support,
            interval_s,
            min_s: interval_s,
            ..TimerPolicy::default()
        },
        ..Policy::default()
    }
}

/// Owners on both sides that act at random.
struct Storm {
    pair: Pair,
    seed: u64,
    transport: Transport,
    rng: Rng,
    /// What the owners still want to do, by time.
    plans: BTreeMap<(Instant, u64), (Side, Command)>,
    planned: u64,
    /// Open sessions of each side.
    open: BTreeMap<(Side, SessionKey), ()>,
    closed: usize,
}

impl Storm {
    fn new(seed: u64, transport: Transport) -> Self {
        let mut pair = Pair::new(seed, Instant::now());
        pair.link = Link {
            loss_percent: 5,
            duplicate_percent: 3,
            delay_min: ms(5),
            delay_max: ms(80),
        };
        pair.speak(policy(Support::Supported, 5));
        Storm {
            pair,
            seed,
            transport,
            rng: Rng::new([seed as u8; 32]),
            plans: BTreeMap::new(),
            planned: 0,
            open: BTreeMap::new(),
            closed: 0,
        }
    }

    fn run(&mut self, calls: u64) {
        for call in 0..calls {
            let mut invite = Pair::invite(Left, call, self.transport);
            let rel100 = [Support::Off, Support::Supported, Support::Required];
            // Below the callee's minimum, at it, above it; one in four callers keeps no time.
            let interval_s = [4, 5, 9, 0][self.rng.below(4) as usize];
            invite.policy = policy(rel100[self.rng.below(3) as usize], interval_s);
            let invite = Command::Invite(Box::new(invite));
            self.open.insert((Left, SessionKey::Out(call)), ());
            self.plan(Left, call * 20, invite);
            if self.rng.below(10) == 0 {
                let wait = call * 20 + self.rng.below(1_500);
                self.plan(Left, wait, cancel(SessionKey::Out(call)));
            }
        }
        while let Some(((at, _), (side, command))) = self.plans.pop_first() {
            while self.pair.step(at) {
                self.react();
            }
            self.pair.command(side, command);
            self.react();
        }
        let end = self.pair.now + Duration::from_secs(300);
        while self.pair.step(end) {
            self.react();
        }
        let (seed, open) = (self.seed, self.open.len());
        assert_eq!(
            open,
            0,
            "seed {seed}: sessions without closing event: {:?}",
            self.open.keys().next()
        );
        assert!(
            self.pair.is_empty(),
            "seed {seed}: {:#?} {:#?}",
            self.pair.left,
            self.pair.right
        );
        assert!(self.closed as u64 >= calls, "seed {seed}");
        self.assert_one_final_an_invite();
    }

    fn react(&mut self) {
        for side in [Left, Right] {
            for event in self.pair.take_events(side) {
                self.account(side, &event);
                self.decide(side, event);
            }
        }
    }

    fn account(&mut self, side: Side, event: &Event) {
        let (seed, key) = (self.seed, (side, event.session()));
        if let Event::Incoming(_) = event {
            assert!(self.open.insert(key, ()).is_none(), "seed {seed}: opened twice");
        }
        assert!(
            self.open.contains_key(&key),
            "seed {seed}: {side:?} {event:?} outside its session"
        );
        if event.closes() {
            self.open.remove(&key);
            self.closed += 1;
        }
    }

    fn decide(&mut self, side: Side, event: Event) {
        let session = event.session();
        match event {
            Event::Incoming(_) => {
                let wait = self.rng.below(1_000);
                for _ in 0..self.rng.below(4) {
                    let early = self.rng.below(2) == 0;
                    let progress = Command::Progress {
                        session,
                        status: if early { 183 } else { 180 },
                        sdp: early.then(|| Bytes::from_static(b"early")),
                        headers: vec![],
                    };
                    let wait = self.rng.below(400);
                    self.plan(side, wait, progress);
                }
                match self.rng.below(10) {
                    0 => {
                        let reject = Command::Reject {
                            session,
                            status: 486,
                            reason: None,
                            headers: vec![],
                        };
                        self.plan(side, wait, reject);
                    }
                    1 => {
                        self.plan(side, wait, answer(session));
                        self.plan(side, wait, bye(session));
                    }
                    _ => self.plan(side, wait, answer(session)),
                }
            }
            Event::Expired { .. } => self.plan(side, 0, bye(session)),
            Event::Answered { .. } => self.live(side, session),
            Event::Acknowledged { .. } if side == Right => self.live(side, session),
            Event::Reinvite { .. } => {
                let wait = self.rng.below(100);
                let command = match self.rng.below(4) {
                    0 => Command::RejectReinvite {
                        session,
                        status: 488,
                        headers: vec![],
                    },
                    _ => accept(session),
                };
                self.plan(side, wait, command);
            }
            _ => {}
        }
    }

    /// What an owner does with a session that is up: perhaps changes, certainly an end.
    fn live(&mut self, side: Side, session: SessionKey) {
        if self.rng.below(3) == 0 {
            let wait = self.rng.below(400);
            self.plan(
                side,
                wait,
                Command::Reinvite {
                    session,
                    sdp: Bytes::from_static(b"change"),
                },
            );
        }
        // A refresh is due after 2.5 s at the earliest.
        let wait = 200 + self.rng.below(6_000);
        self.plan(side, wait, bye(session));
    }

    fn plan(&mut self, side: Side, wait_ms: u64, command: Command) {
        self.planned += 1;
        let at = self.pair.now + ms(wait_ms);
        self.plans.insert((at, self.planned), (side, command));
    }

    /// Invariant of the simulation: all final responses in one transaction are one response.
    fn assert_one_final_an_invite(&self) {
        let mut finals: BTreeMap<(Side, String), &str> = BTreeMap::new();
        for sent in &self.pair.sent {
            let is_final = sent.text.starts_with("SIP/2.0 ") && !sent.text.starts_with("SIP/2.0 1");
            if !is_final {
                continue;
            }
            let head = |name| super::wire::header(&sent.text, name).unwrap().to_owned();
            let key = (sent.from, format!("{} {}", head("Via"), head("CSeq")));
            let first = finals.entry(key).or_insert(&sent.text);
            assert_eq!(*first, sent.text, "seed {}", self.seed);
        }
    }
}
