//! Endpoints in virtual time: calls, races, refusals, challenges, storms.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panic"
)]

mod endpoint {
    mod calls;
    mod credentials;
    mod disorder;
    mod domains;
    mod forks;
    mod own_digest;
    mod pracks;
    mod races;
    mod reach;
    mod refers;
    mod refusals;
    mod registering;
    mod registrar;
    mod reinvites;
    mod secure;
    mod storm;
    mod streams;
    mod timers;
    mod updates;
    mod wire;
}

use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::pair::{Pair, Side};
use sip::endpoint::{Command, Event, ExtraHeader, SessionKey, Transport};

const OUT: SessionKey = SessionKey::Out(1);

fn pair(seed: u64) -> Pair {
    Pair::new(seed, Instant::now())
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A call from left to right that rings: the callee's session.
fn ringing(pair: &mut Pair, transport: Transport) -> SessionKey {
    pair.command(
        Side::Left,
        Command::Invite(Box::new(Pair::invite(Side::Left, 1, transport))),
    );
    pair.run_for(ms(100));
    let events = pair.take_events(Side::Right);
    let [Event::Incoming(invite)] = events.as_slice() else {
        panic!("{events:?}")
    };
    let session = invite.session;
    pair.command(
        Side::Right,
        Command::Progress {
            session,
            status: 180,
            sdp: None,
            headers: vec![],
        },
    );
    pair.run_for(ms(100));
    let events = pair.take_events(Side::Left);
    let [Event::Progress { sdp: None, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    session
}

/// A call from left to right, answered and acknowledged: the callee's session.
fn up(pair: &mut Pair, transport: Transport) -> SessionKey {
    let session = ringing(pair, transport);
    pair.command(Side::Right, answer(session));
    pair.run_for(ms(100));
    let events = pair.take_events(Side::Left);
    let [
        Event::Answered {
            session: OUT,
            sdp: Some(_),
            ..
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    let events = pair.take_events(Side::Right);
    let [Event::Acknowledged { sdp: None, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    session
}

fn answer(session: SessionKey) -> Command {
    Command::Answer {
        session,
        sdp: Bytes::from_static(b"answer"),
        headers: vec![],
    }
}

fn bye(session: SessionKey) -> Command {
    Command::Bye {
        session,
        headers: vec![],
    }
}

fn cancel(session: SessionKey) -> Command {
    let headers = vec![ExtraHeader {
        name: "Reason".into(),
        value: "Q.850;cause=16".into(),
    }];
    Command::Cancel { session, headers }
}

fn reinvite(session: SessionKey, sdp: &'static str) -> Command {
    Command::Reinvite {
        session,
        sdp: Bytes::from_static(sdp.as_bytes()),
    }
}

fn accept(session: SessionKey) -> Command {
    Command::AcceptReinvite {
        session,
        sdp: Bytes::from_static(b"re-answer"),
    }
}

/// Names of events, in order.
fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(name).collect()
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Incoming(_) => "Incoming",
        Event::PeerCancelled { .. } => "PeerCancelled",
        Event::Acknowledged { .. } => "Acknowledged",
        Event::AckMissing { .. } => "AckMissing",
        Event::EarlyAnswer { .. } => "EarlyAnswer",
        Event::PrackMissing { .. } => "PrackMissing",
        Event::Refreshed { .. } => "Refreshed",
        Event::Expired { .. } => "Expired",
        Event::Progress { .. } => "Progress",
        Event::Answered { .. } => "Answered",
        Event::Refused { .. } => "Refused",
        Event::Unanswered { .. } => "Unanswered",
        Event::Cancelled { .. } => "Cancelled",
        Event::Reinvite { .. } => "Reinvite",
        Event::ReinviteAccepted { .. } => "ReinviteAccepted",
        Event::ReinviteRefused { .. } => "ReinviteRefused",
        Event::Bye { .. } => "Bye",
        Event::ByeDone { .. } => "ByeDone",
        Event::Lost { .. } => "Lost",
        Event::Info { .. } => "Info",
        Event::InfoAnswered { .. } => "InfoAnswered",
        Event::Referred { .. } => "Referred",
        Event::ReferProgress { .. } => "ReferProgress",
        Event::ReferDone { .. } => "ReferDone",
    }
}

/// Everything lingers at most 64·T1; then nothing is left.
fn assert_comes_to_rest(pair: &mut Pair) {
    pair.run_for(Duration::from_secs(70));
    assert!(
        pair.is_empty(),
        "left over: {} + {} sessions, {} + {} transactions",
        pair.left.sessions(),
        pair.right.sessions(),
        pair.left.transactions(),
        pair.right.transactions()
    );
}
