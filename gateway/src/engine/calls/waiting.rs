//! INVITEs whose caller is vouched for by a certificate that is on its way.
//!
//! Each has passed the limits and has its 100; nothing else waits for it. It is looked at once more when the certificate
//! has come or could not be had, or after [`ARRIVAL_WAIT`], with the gates as they are then: while it waits it is no call
//! and no router is told. A caller who gives up meanwhile is turned away in the books. Knows nothing of how a
//! certificate is fetched.

use std::time::Instant;

use sip::endpoint::{IncomingInvite, SessionKey};

use super::inbound;
use crate::control::protocol::CauseBy;
use crate::engine::callers::certificates::{self, ARRIVAL_WAIT, FetchFailure, FetchedChain};
use crate::engine::engine::Engine;
use crate::engine::io::Now;
use crate::engine::table::Row;
use crate::engine::tx::Tx;
use crate::stir::CertificateUrl;

/// INVITEs that wait at once; a further one is judged without its certificate. At 300 calls a second these are all
/// calls of 3 s.
pub const WAITING_MAX: usize = 1_000;

/// An INVITE of a trunk.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The trunk, by index.
    pub trunk: usize,
    /// What came.
    pub invite: IncomingInvite,
    /// When.
    pub since: Now,
}

/// One that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    arrival: Arrival,
    url: CertificateUrl,
    until: Instant,
}

impl Row for Waiting {
    fn deadline(&self) -> Option<Instant> {
        Some(self.until)
    }
}

/// Whether one more may wait; counted where not.
pub fn has_room(tx: &mut Tx) -> bool {
    let has_room = tx.world.waiting.len() < WAITING_MAX;
    if !has_room {
        tx.metrics.stir_limit("waiting");
    }
    has_room
}

/// Has an INVITE wait for this certificate.
pub fn hold(tx: &mut Tx, arrival: Arrival, url: CertificateUrl) {
    let until = tx.now.mono + ARRIVAL_WAIT;
    let session = arrival.invite.session;
    tx.world.waiting.insert(session, Waiting { arrival, url, until });
}

/// The session has closed: the caller has given up, and has its answer.
pub fn given_up(tx: &mut Tx, session: SessionKey) {
    if let Some(waiting) = tx.world.waiting.remove(session) {
        inbound::given_up(tx, &waiting.arrival);
    }
}

/// The gateway stops: each has its answer still.
pub fn refuse_all(tx: &mut Tx) {
    for session in tx.world.waiting.keys() {
        if let Some(waiting) = tx.world.waiting.remove(session) {
            inbound::stopped(tx, &waiting.arrival);
        }
    }
}

/// A fetch is over: whoever waited for it goes on.
pub fn fetched(
    engine: &mut Engine,
    url: &CertificateUrl,
    result: Result<FetchedChain, FetchFailure>,
    now: Now,
) {
    engine.by(CauseBy::Peer, now, |tx| certificates::arrived(tx, url, result));
    let waiting = engine.world.waiting.iter();
    let ready = waiting
        .filter(|(_, row)| row.url == *url)
        .map(|(session, _)| session);
    go_on(engine, ready.collect(), now);
}

/// Whoever has waited long enough goes on without.
pub fn wake(engine: &mut Engine, now: Now) {
    let due = engine.world.waiting.due(now.mono);
    go_on(engine, due, now);
}

/// Taken out first, each then looked at by itself: should one of them panic, it does not come again.
fn go_on(engine: &mut Engine, sessions: Vec<SessionKey>, now: Now) {
    for session in sessions {
        let mut taken = None;
        engine.by(CauseBy::Peer, now, |tx| taken = tx.world.waiting.remove(session));
        if let Some(waiting) = taken {
            engine.by(CauseBy::Peer, now, |tx| inbound::again(tx, waiting.arrival));
        }
    }
}
