//! The world: every call, leg, bridge, op and recording that is there, as tables.
//!
//! Commits or takes back all tables together. Holds no rules; those are in the rooms that change it.

use std::collections::BTreeSet;
use std::time::Instant;

use media::PlayKey;
use media::recorder::TrackKey;
use sip::endpoint::SessionKey;

use super::audio::recording::Recording;
use super::bridge::Bridge;
use super::call::Call;
use super::callers::certificates::Certificate;
use super::calls::waiting::Waiting;
use super::keys::{BridgeKey, CallKey, KeyMaker, LegKey, Named, OpKey, RecordingKey};
use super::leg::Leg;
use super::op::Op;
use super::policy::admission::Guards;
use super::table::{Row, Table};
use super::trunks::switched::Disabled;
use super::trunks::tls_peers::TlsPeers;
use crate::control::protocol::{Id, Name};
use crate::stir::CertificateUrl;

impl Row for Named {
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

macro_rules! row_without_deadline {
    ($($name:ty),*) => { $(impl Row for $name { fn deadline(&self) -> Option<Instant> { None } })* };
}
row_without_deadline!(LegKey, OpKey, RecordingKey);

/// All tables.
#[derive(Debug)]
pub struct World {
    /// Calls.
    pub calls: Table<CallKey, Call>,
    /// Legs.
    pub legs: Table<LegKey, Leg>,
    /// Bridges.
    pub bridges: Table<BridgeKey, Bridge>,
    /// Ops that run.
    pub ops: Table<OpKey, Op>,
    /// Recordings.
    pub recordings: Table<RecordingKey, Recording>,
    /// The one name space.
    pub names: Table<Id, Named>,
    /// Which leg a SIP session is.
    pub sessions: Table<SessionKey, LegKey>,
    /// Which op a play is.
    pub plays: Table<PlayKey, OpKey>,
    /// Which recording a track is part of.
    pub tracks: Table<TrackKey, RecordingKey>,
    /// Live guards.
    pub guards: Guards,
    /// What peers under TLS have shown; of the network, so no transaction takes it back.
    pub tls_peers: TlsPeers,
    /// INVITEs that wait for a certificate.
    pub waiting: Table<SessionKey, Waiting>,
    /// Certificates that were fetched or are on their way.
    pub certificates: Table<CertificateUrl, Certificate>,
    /// Trunks that are switched off.
    pub disabled: Table<usize, Disabled>,
    /// Apps whose last connection has gone.
    pub lost_apps: BTreeSet<Name>,
    /// Numbers and ids.
    pub make: KeyMaker,
}

impl World {
    /// An empty world.
    pub fn new(run: &str, seed: [u8; 32]) -> Self {
        World {
            calls: Table::default(),
            legs: Table::default(),
            bridges: Table::default(),
            ops: Table::default(),
            recordings: Table::default(),
            names: Table::default(),
            sessions: Table::default(),
            plays: Table::default(),
            tracks: Table::default(),
            guards: Guards::default(),
            waiting: Table::default(),
            certificates: Table::default(),
            disabled: Table::default(),
            tls_peers: TlsPeers::default(),
            lost_apps: BTreeSet::new(),
            make: KeyMaker::new(run, seed),
        }
    }

    /// Makes everything since the last commit final.
    pub fn commit(&mut self) {
        self.calls.commit();
        self.legs.commit();
        self.bridges.commit();
        self.ops.commit();
        self.recordings.commit();
        self.names.commit();
        self.sessions.commit();
        self.plays.commit();
        self.tracks.commit();
        self.waiting.commit();
        self.certificates.commit();
        self.disabled.commit();
        self.guards.commit();
    }

    /// Takes everything since the last commit back.
    pub fn rollback(&mut self) {
        self.calls.rollback();
        self.legs.rollback();
        self.bridges.rollback();
        self.ops.rollback();
        self.recordings.rollback();
        self.names.rollback();
        self.sessions.rollback();
        self.plays.rollback();
        self.tracks.rollback();
        self.waiting.rollback();
        self.certificates.rollback();
        self.disabled.rollback();
        self.guards.rollback();
    }

    /// The earliest deadline of any row.
    pub fn next_deadline(&self) -> Option<Instant> {
        let all = [
            self.calls.next_deadline(),
            self.legs.next_deadline(),
            self.ops.next_deadline(),
            self.recordings.next_deadline(),
            self.waiting.next_deadline(),
        ];
        all.into_iter().flatten().min()
    }

    /// True when nothing is left of any call.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
            && self.legs.is_empty()
            && self.bridges.is_empty()
            && self.ops.is_empty()
            && self.recordings.is_empty()
            && self.names.is_empty()
            && self.sessions.is_empty()
            && self.plays.is_empty()
            && self.tracks.is_empty()
            && self.waiting.is_empty()
            && self.guards.calls() == 0
            && self.guards.legs.is_empty()
            && self.guards.ports.is_empty()
    }
}
