//! The peers of every trunk as this gateway sees them: where they are, whether they answer, who rests.
//!
//! What was observed stays observed: it is not taken back with a transaction. Must not know legs or calls.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sip::endpoint::Flow;
use sip::rng::Rng;
use sip::transport::name_cache::{Answer, NameCache};
use sip::transport::target::{Candidate, Carriage, Question, Site, Target, draw, locate, order};

use crate::config::{Host, Trunk, carriage_of, transport_of};
use crate::engine::setup::Setup;

/// First OPTIONS to a peer come within this time, so that a dead one is known early.
pub const FIRST_PROBE_WITHIN: Duration = Duration::from_secs(1);
/// How long an OPTIONS may go without an answer; timer E has sent it four times by then.
pub const PROBE_WAIT: Duration = Duration::from_secs(5);
/// Share of the interval by which each OPTIONS may come early or late: a tenth.
pub const JITTER_SHARE: u32 = 10;
/// Longest Retry-After that is believed; a peer cannot shut itself out for a day.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// All peers.
#[derive(Debug)]
pub struct Peers {
    names: NameCache,
    trunks: Vec<TrunkPeers>,
    /// OPTIONS under way, by their number.
    probes: BTreeMap<u64, (usize, Target)>,
    numbered: u64,
    rng: Rng,
}

/// The peers of one trunk.
#[derive(Debug, Default)]
pub struct TrunkPeers {
    peers: BTreeMap<Target, Peer>,
    /// `trunk.down` was told last.
    pub told_down: bool,
    /// The failure seen last.
    pub last_failure: Option<LastFailure>,
}

/// One peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Whether it answers.
    pub health: Health,
    probe: Probe,
    /// No call goes there before this: it said so (RFC 3261 §21.5.4).
    pub rests_until: Option<Instant>,
}

/// Whether a peer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does, or was not asked yet.
    Up {
        /// OPTIONS in vain since the last answer.
        misses: u32,
    },
    /// It does not.
    Down {
        /// Answers since.
        answers: u32,
        /// What the last miss was.
        why: &'static str,
    },
}

/// The OPTIONS of a peer.
#[derive(Clone, Copy, Debug)]
enum Probe {
    Never,
    At(Instant),
    Out {
        number: u64,
        until: Instant,
        next: Instant,
    },
}

/// What the time brings for OPTIONS.
#[derive(Debug, Default)]
pub struct ProbesDue {
    /// To be sent: number, index of the trunk, where.
    pub send: Vec<(u64, usize, Flow)>,
    /// Those that waited in vain: index of the trunk, peer.
    pub missed: Vec<(usize, Target)>,
}

/// A failure of a peer, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// `address:port;transport=…`.
    pub peer: String,
    /// Its status; none: it did not answer.
    pub status: Option<u16>,
    /// The cause read from it.
    pub q850: u8,
    /// When, microseconds since the Unix epoch.
    pub wall_us: i64,
}

/// Why a trunk has no peer for a call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrouted {
    /// It has none at all, or none that a listener of ours reaches.
    NoPeer,
    /// DNS has not said yet where they are.
    NotLocated,
    /// All of them are down, rest, or lie outside the trunk's networks.
    Down,
}

/// A peer with its place in the order, before any draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where it was written.
    pub host: Host,
    /// What it stands for, those outside `allow` left out.
    pub candidates: Vec<Candidate>,
    /// DNS has not said everything yet.
    pub is_missing: bool,
    /// Targets that were left out.
    pub outside: usize,
}

impl Peers {
    /// Every peer that the configuration names; those with a domain are asked for at the first deadline.
    pub fn new(setup: &Setup, seed: [u8; 32], now: Instant) -> Self {
        let mut peers = Peers {
            names: NameCache::default(),
            trunks: setup
                .config
                .trunks
                .iter()
                .map(|_| TrunkPeers::default())
                .collect(),
            probes: BTreeMap::new(),
            numbered: 0,
            rng: Rng::new(seed),
        };
        peers.refresh(setup, now);
        peers
    }

    /// Where the peers of a trunk are, as far as is known.
    pub fn placed(&self, setup: &Setup, trunk: &Trunk, now: Instant) -> Vec<Placed> {
        let place = |host: &Host| self.place(setup, trunk, host, now).0;
        trunk.hosts.iter().map(place).collect()
    }

    fn place(&self, setup: &Setup, trunk: &Trunk, host: &Host, now: Instant) -> (Placed, Vec<Question>) {
        let ours = carriages(setup);
        let located = locate(&host.site, &ours, |question| self.names.records(question, now));
        let is_literal = host.literal().is_some();
        let (mut candidates, mut outside) = (located.candidates, 0);
        for candidate in &mut candidates {
            let before = candidate.targets.len();
            candidate.targets.retain(|target| {
                is_literal || trunk.allows(target.addr.ip()) && !setup.is_own_listener(target.addr)
            });
            outside += before - candidate.targets.len();
        }
        candidates.retain(|candidate| !candidate.targets.is_empty());
        let placed = Placed {
            host: host.clone(),
            candidates,
            is_missing: !located.missing.is_empty(),
            outside,
        };
        (placed, located.asked)
    }

    /// The order in which a call tries the peers of a trunk: by priority, weights drawn, without those that
    /// are down or rest.
    pub fn route(&mut self, setup: &Setup, index: usize, now: Instant) -> Result<Vec<Flow>, Unrouted> {
        self.routed(setup, index, now, false)
    }

    /// As [`Peers::route`], but of peers that are down or rest too: for calls that must be tried.
    pub fn route_at_last(
        &mut self,
        setup: &Setup,
        index: usize,
        now: Instant,
    ) -> Result<Vec<Flow>, Unrouted> {
        self.routed(setup, index, now, true)
    }

    fn routed(
        &mut self,
        setup: &Setup,
        index: usize,
        now: Instant,
        is_last_resort: bool,
    ) -> Result<Vec<Flow>, Unrouted> {
        let Some(trunk) = setup.trunk(index) else {
            return Err(Unrouted::NoPeer);
        };
        let placed = self.placed(setup, trunk, now);
        let is_missing = placed.iter().any(|one| one.is_missing);
        let hosts = placed
            .into_iter()
            .map(|one| (one.host.priority, one.host.weight, one.candidates));
        let mut targets = Vec::new();
        for candidates in draw(hosts.collect(), &mut |bound| self.rng.below(bound)) {
            targets.extend(order(candidates, &mut |bound| self.rng.below(bound)));
        }
        if targets.is_empty() && trunk.hosts.is_empty() {
            return Err(Unrouted::NoPeer);
        }
        let has_targets = !targets.is_empty();
        let reached: Vec<(Target, Flow)> = targets
            .into_iter()
            .filter_map(|target| Some((target, flow_to(setup, trunk, target)?)))
            .collect();
        if has_targets && reached.is_empty() {
            return Err(Unrouted::NoPeer);
        }
        let usable = reached
            .iter()
            .filter(|(target, _)| is_last_resort || self.is_usable(index, *target, now));
        let flows: Vec<Flow> = usable.map(|(_, flow)| *flow).take(trunk.attempts_max).collect();
        match (flows.is_empty(), is_missing) {
            (false, _) => Ok(flows),
            (true, true) => Err(Unrouted::NotLocated),
            (true, false) => Err(Unrouted::Down),
        }
    }

    /// Whether a call may go there now.
    pub fn is_usable(&self, index: usize, target: Target, now: Instant) -> bool {
        let peer = self.trunks.get(index).and_then(|trunk| trunk.peers.get(&target));
        peer.is_none_or(|peer| {
            let rests = peer.rests_until.is_some_and(|until| until > now);
            matches!(peer.health, Health::Up { .. }) && !rests
        })
    }

    /// The peers of a trunk.
    pub fn of(&self, index: usize) -> impl Iterator<Item = (&Target, &Peer)> {
        self.trunks
            .get(index)
            .into_iter()
            .flat_map(|trunk| trunk.peers.iter())
    }

    /// A trunk's own facts.
    pub fn trunk(&self, index: usize) -> Option<&TrunkPeers> {
        self.trunks.get(index)
    }

    /// The same, to change.
    pub fn trunk_mut(&mut self, index: usize) -> Option<&mut TrunkPeers> {
        self.trunks.get_mut(index)
    }

    /// Why no peer of a trunk can be used; `None`: one can, or there is none to look after.
    pub fn down_why(&self, index: usize) -> Option<&'static str> {
        let mut why = None;
        for (_, peer) in self.of(index) {
            match peer.health {
                Health::Up { .. } => return None,
                Health::Down { why: of_peer, .. } => why = Some(of_peer),
            }
        }
        why
    }

    /// A peer asked for rest: no call goes there for so long.
    pub fn rest(&mut self, index: usize, flow: Flow, pause: Duration, now: Instant) {
        let target = target_of(flow);
        if let Some(peer) = self
            .trunks
            .get_mut(index)
            .and_then(|trunk| trunk.peers.get_mut(&target))
        {
            peer.rests_until = Some(now + pause.min(RETRY_AFTER_MAX));
        }
    }

    /// Takes what DNS said; how many targets it named that may not be used.
    pub fn looked_up(&mut self, setup: &Setup, question: &Question, answer: Answer, now: Instant) -> usize {
        self.names.handle_answer(question, answer, now);
        self.refresh(setup, now)
    }

    /// Questions to ask now.
    pub fn take_questions(&mut self, now: Instant) -> Vec<Question> {
        self.names.take_due(now)
    }

    /// OPTIONS to send now, with their numbers, and those that waited in vain.
    pub fn take_probes(&mut self, setup: &Setup, now: Instant) -> ProbesDue {
        let mut due = ProbesDue::default();
        for (index, (trunk, config)) in self.trunks.iter_mut().zip(&setup.config.trunks).enumerate() {
            let Some(every) = config.options_interval else {
                continue;
            };
            for (target, peer) in &mut trunk.peers {
                match peer.probe {
                    Probe::At(at) if at <= now => {
                        let Some(flow) = flow_to(setup, config, *target) else {
                            peer.probe = Probe::Never;
                            continue;
                        };
                        self.numbered += 1;
                        let (number, next) = (self.numbered, now + jittered(every, &mut self.rng));
                        let until = now + PROBE_WAIT;
                        peer.probe = Probe::Out { number, until, next };
                        self.probes.insert(number, (index, *target));
                        due.send.push((number, index, flow));
                    }
                    Probe::Out { number, until, next } if until <= now => {
                        self.probes.remove(&number);
                        peer.probe = Probe::At(next);
                        due.missed.push((index, *target));
                    }
                    Probe::Never | Probe::At(_) | Probe::Out { .. } => {}
                }
            }
        }
        due
    }

    /// An OPTIONS came to its end: the peer it was for, if it still counts.
    pub fn take_probe(&mut self, number: u64) -> Option<(usize, Target)> {
        let (index, target) = self.probes.remove(&number)?;
        let peer = self.trunks.get_mut(index)?.peers.get_mut(&target)?;
        if let Probe::Out { next, .. } = peer.probe {
            peer.probe = Probe::At(next);
        }
        Some((index, target))
    }

    /// A peer answered, or did not.
    pub fn judge(&mut self, trunk: &Trunk, index: usize, target: Target, miss: Option<&'static str>) {
        let peer = self
            .trunks
            .get_mut(index)
            .and_then(|trunk| trunk.peers.get_mut(&target));
        let Some(peer) = peer else { return };
        peer.health = match (peer.health, miss) {
            (Health::Up { .. }, None) => Health::Up { misses: 0 },
            (Health::Up { misses }, Some(why)) if misses + 1 >= trunk.options_down_after => {
                Health::Down { answers: 0, why }
            }
            (Health::Up { misses }, Some(_)) => Health::Up { misses: misses + 1 },
            (Health::Down { answers, .. }, None) if answers + 1 >= trunk.options_up_after => {
                Health::Up { misses: 0 }
            }
            (Health::Down { answers, why }, None) => Health::Down {
                answers: answers + 1,
                why,
            },
            (Health::Down { .. }, Some(why)) => Health::Down { answers: 0, why },
        };
    }

    /// When there is something to ask or to send.
    pub fn next_deadline(&self) -> Option<Instant> {
        let probes = self.trunks.iter().flat_map(|trunk| trunk.peers.values());
        let probes = probes.filter_map(|peer| match peer.probe {
            Probe::Never => None,
            Probe::At(at) | Probe::Out { until: at, .. } => Some(at),
        });
        probes.chain(self.names.next_deadline()).min()
    }

    /// Brings questions and peers in line with the configuration and with what DNS said.
    fn refresh(&mut self, setup: &Setup, now: Instant) -> usize {
        let (mut wanted, mut outside) = (BTreeSet::new(), 0);
        for (index, trunk) in setup.config.trunks.iter().enumerate() {
            let mut targets = BTreeSet::new();
            for host in &trunk.hosts {
                let (placed, asked) = self.place(setup, trunk, host, now);
                wanted.extend(asked);
                outside += placed.outside;
                targets.extend(placed.candidates.into_iter().flat_map(|one| one.targets));
            }
            self.know(index, trunk, &targets, now);
        }
        self.names.retain(|question| wanted.contains(question));
        for question in &wanted {
            self.names.want(question, now);
        }
        outside
    }

    fn know(&mut self, index: usize, trunk: &Trunk, targets: &BTreeSet<Target>, now: Instant) {
        let Some(known) = self.trunks.get_mut(index) else {
            return;
        };
        known.peers.retain(|target, _| targets.contains(target));
        for target in targets {
            if known.peers.contains_key(target) {
                continue;
            }
            let probe = match trunk.options_interval {
                Some(_) => {
                    let within = u64::try_from(FIRST_PROBE_WITHIN.as_millis()).unwrap_or(0);
                    Probe::At(now + Duration::from_millis(self.rng.below(within)))
                }
                None => Probe::Never,
            };
            let peer = Peer {
                health: Health::Up { misses: 0 },
                probe,
                rests_until: None,
            };
            known.peers.insert(*target, peer);
        }
    }
}

/// The transports that a listener of ours speaks, UDP first.
fn carriages(setup: &Setup) -> Vec<Carriage> {
    let mut ours: Vec<Carriage> = setup
        .config
        .sip
        .listen
        .iter()
        .map(|listen| carriage_of(listen.transport))
        .collect();
    ours.sort_unstable();
    ours.dedup();
    ours
}

/// The interval, a tenth of it sooner or later.
fn jittered(every: Duration, rng: &mut Rng) -> Duration {
    let spread = every / JITTER_SHARE;
    let drawn = rng.below(u64::try_from(spread.as_millis()).unwrap_or(0) * 2 + 1);
    every - spread + Duration::from_millis(drawn)
}

/// The flow by which a trunk reaches a target.
pub fn flow_to(setup: &Setup, trunk: &Trunk, target: Target) -> Option<Flow> {
    let transport = transport_of(target.carriage)?;
    let listener = setup.config.listener_for(trunk, transport, target.addr.ip())?;
    Some(Flow {
        transport,
        local: listener.addr,
        remote: target.addr,
    })
}

/// The target of a flow.
pub fn target_of(flow: Flow) -> Target {
    Target {
        carriage: carriage_of(flow.transport),
        addr: flow.remote,
    }
}

/// `address:port;transport=…`.
pub fn peer_text(target: Target) -> String {
    let transport = match target.carriage {
        Carriage::Udp => "udp",
        Carriage::Tcp => "tcp",
        Carriage::Tls => "tls",
    };
    format!("{};transport={transport}", target.addr)
}

/// Whether a site needs DNS.
pub fn is_domain(site: &Site) -> bool {
    site.host.parse::<std::net::IpAddr>().is_err()
}
