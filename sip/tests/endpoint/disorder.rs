//! A peer that sends anything in any order, and an owner that orders anything at any time (docs/threats.md: B19).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sip::endpoint::pair::{Sent, Side::Left};
use sip::endpoint::{Command, Event, Policy, SessionKey, Support, Transport};
use sip::rng::Rng;

use super::wire::{give, header, respond, tagged};
use crate::*;

const METHODS: [&str; 11] = [
    "INVITE", "ACK", "BYE", "CANCEL", "INFO", "OPTIONS", "UPDATE", "NOTIFY", "INVITE", "PRACK", "UPDATE",
];
/// What a request of the peer says beside its body; the first is the most frequent.
const HEADS: [&str; 4] = [
    "",
    "Require: 100rel\r\nSupported: timer\r\nSession-Expires: 10\r\nAllow: UPDATE\r\n",
    "Supported: 100rel, timer\r\nSession-Expires: 7;refresher=uac\r\n",
    "Supported: timer\r\nSession-Expires: 3\r\n",
];
/// What a response of the peer says beside its body.
const ANSWER_HEADS: [&str; 4] = [
    "",
    "Require: 100rel\r\nRSeq: 1\r\n",
    "Require: 100rel\r\nRSeq: 2\r\nMin-SE: 20\r\n",
    "Session-Expires: 9;refresher=uas\r\nAllow: UPDATE\r\nMin-SE: 30\r\n",
];
const STATUSES: [&str; 10] = [
    "100 Trying",
    "180 Ringing",
    "200 OK",
    "401 Unauthorized",
    "481 Gone",
    "486 Busy Here",
    "487 Request Terminated",
    "491 Request Pending",
    "183 Session Progress",
    "422 Session Interval Too Small",
];

#[test]
fn any_order_leaves_one_closing_event_a_session_and_empty_tables() {
    for seed in 0..200 {
        let mut disorder = Disorder::new(seed);
        for _ in 0..150 {
            disorder.step();
        }
        disorder.rest();
    }
}

/// Both extensions, with intervals that run out while the peer is silent.
fn talkative() -> Policy {
    let mut policy = Policy {
        rel100: Support::Supported,
        ..Policy::default()
    };
    (policy.timer.support, policy.timer.min_s, policy.timer.interval_s) = (Support::Supported, 5, 12);
    policy
}

struct Disorder {
    pair: Pair,
    seed: u64,
    rng: Rng,
    open: BTreeSet<SessionKey>,
    ever: Vec<SessionKey>,
    invites: u64,
    waits: u64,
}

impl Disorder {
    fn new(seed: u64) -> Self {
        let mut pair = pair(seed);
        pair.speak(talkative());
        pair.link.loss_percent = 100;
        let (open, ever) = (BTreeSet::new(), vec![]);
        Disorder {
            pair,
            seed,
            rng: Rng::new([seed as u8; 32]),
            open,
            ever,
            invites: 0,
            waits: 0,
        }
    }

    fn step(&mut self) {
        match self.rng.below(10) {
            0..5 => self.peer_requests(),
            5..7 => self.peer_responds(),
            7..9 => self.owner_orders(),
            _ => {
                let wait = [1, 40, 600, 5_000, 33_000][self.rng.below(5) as usize];
                // After T4 a transaction may be over, and no peer may use its branch again.
                self.waits += u64::from(wait >= 5_000);
                self.pair.run_for(ms(wait));
            }
        }
        self.account();
    }

    fn peer_requests(&mut self) {
        let method = METHODS[self.rng.below(METHODS.len() as u64) as usize];
        let branch = format!("b{}-{}", self.waits, self.rng.below(12));
        let cseq = 1 + self.rng.below(6) as u32;
        let body = if self.rng.below(3) == 0 { "" } else { "sdp" };
        let head = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let own_tags: Vec<_> = self
            .pair
            .sent
            .iter()
            .filter_map(|sent| tag_of_ours(&sent.text))
            .collect();
        let to = match self.rng.below(3) {
            0 => String::new(),
            1 => ";tag=bogus".to_owned(),
            _ => match own_tags.len() {
                0 => String::new(),
                len => format!(";tag={}", own_tags[self.rng.below(len as u64) as usize]),
            },
        };
        let mut head = head.to_owned();
        if self.rng.below(2) == 0 {
            head.push_str(HEADS[self.rng.below(HEADS.len() as u64) as usize]);
        }
        if method == "PRACK" {
            head.push_str(&self.rack());
        }
        let text = tagged(method, &branch, cseq, [";tag=peer", &to], &head, body);
        give(&mut self.pair, &text);
    }

    /// Mostly that of the newest reliable response of ours.
    fn rack(&mut self) -> String {
        let newest = self.pair.sent.iter().rev().find_map(|sent| {
            let cseq = header(&sent.text, "CSeq")?;
            header(&sent.text, "RSeq").map(|rseq| format!("RAck: {rseq} {cseq}\r\n"))
        });
        match self.rng.below(4) {
            0 => "RAck: 1 1 INVITE\r\n".to_owned(),
            _ => newest.unwrap_or_default(),
        }
    }

    fn peer_responds(&mut self) {
        let requests: Vec<_> = self
            .pair
            .sent
            .iter()
            .filter(|sent| !sent.text.starts_with("SIP/2.0"))
            .collect();
        if requests.is_empty() {
            return;
        }
        let newest = requests.len().saturating_sub(6);
        let at = newest + self.rng.below((requests.len() - newest) as u64) as usize;
        let status = STATUSES[self.rng.below(STATUSES.len() as u64) as usize];
        let tag = ["a", "b"][self.rng.below(2) as usize];
        let head = ANSWER_HEADS[self.rng.below(ANSWER_HEADS.len() as u64) as usize];
        let text = respond(&requests[at].text, status, tag, "sdp");
        let text = text.replacen("Contact:", &format!("{head}Contact:"), 1);
        give(&mut self.pair, &text);
    }

    fn owner_orders(&mut self) {
        if self.ever.is_empty() || self.rng.below(5) == 0 {
            let session = SessionKey::Out(self.invites);
            self.open.insert(session);
            self.ever.push(session);
            let mut invite = Pair::invite(Left, self.invites, Transport::Udp);
            invite.policy = talkative();
            self.invites += 1;
            return self.pair.command(Left, Command::Invite(Box::new(invite)));
        }
        let session = self.ever[self.rng.below(self.ever.len() as u64) as usize];
        let headers = vec![];
        let command = match self.rng.below(9) {
            0 => Command::Progress {
                session,
                status: 183,
                sdp: Some(bytes::Bytes::from_static(b"early")).filter(|_| self.rng.below(2) == 0),
                headers,
            },
            1 => Command::Reject {
                session,
                status: 603,
                reason: Some("No".to_owned()),
                headers,
            },
            2 => cancel(session),
            3 => bye(session),
            4 => reinvite(session, "x"),
            5 => accept(session),
            6 => Command::RejectReinvite {
                session,
                status: 488,
                headers,
            },
            _ => answer(session),
        };
        self.pair.command(Left, command);
    }

    fn account(&mut self) {
        for event in self.pair.take_events(Left) {
            let (seed, session) = (self.seed, event.session());
            if let Event::Incoming(_) = event {
                assert!(self.open.insert(session), "seed {seed}: {session:?} opened twice");
                self.ever.push(session);
            }
            assert!(
                self.open.contains(&session),
                "seed {seed}: {event:?} after the end"
            );
            if event.closes() {
                self.open.remove(&session);
            }
        }
        assert_eq!(self.open.len(), self.pair.left.sessions(), "seed {}", self.seed);
    }

    /// The owner ends what is open, the peer says nothing more.
    fn rest(&mut self) {
        for session in self.open.clone() {
            self.pair.command(Left, bye(session));
        }
        self.account();
        self.pair.run_for(Duration::from_secs(70));
        self.account();
        // An INVITE that rings and is cancelled, or a BYE that waits for an ACK: one more wait each.
        for session in self.open.clone() {
            self.pair.command(Left, bye(session));
        }
        self.pair.run_for(Duration::from_secs(140));
        self.account();
        assert!(self.open.is_empty(), "seed {}: {:?}", self.seed, self.open);
        assert!(self.pair.is_empty(), "seed {}: {:#?}", self.seed, self.pair.left);
        self.assert_one_final_an_invite();
    }

    fn assert_one_final_an_invite(&self) {
        let mut finals: BTreeMap<[&str; 3], &str> = BTreeMap::new();
        for Sent { text, .. } in &self.pair.sent {
            if !text.starts_with("SIP/2.0 ") || !header(text, "CSeq").unwrap().ends_with("INVITE") {
                continue;
            }
            let key = ["Via", "CSeq", "To"].map(|name| header(text, name).unwrap());
            match finals.get(&key) {
                Some(first) => assert_eq!(first, text, "seed {}", self.seed),
                None if text.starts_with("SIP/2.0 1") => {}
                None => {
                    finals.insert(key, text);
                }
            }
        }
    }
}

/// Our tag in a message of ours: From of a request, To of a response.
fn tag_of_ours(text: &str) -> Option<&str> {
    let name = if text.starts_with("SIP/2.0") { "To" } else { "From" };
    header(text, name)?.split(";tag=").nth(1)
}
