//! Who is registered: phones at our trunks, and our trunks at their carriers.
//!
//! Keeps what the endpoint reports and answers for a dial where it may go. When a registration is refreshed,
//! to which server, and who may register is the endpoint's affair. Must not know digest or messages.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use sip::endpoint::{
    Command, Credentials, Flow, RegisterOrder, RegisterServer, RegistrationEvent, RegistrationKey, Unanswered,
};
use sip::message::{Host, StatusCode, Uri};
use sip::registration::RegisteredContact;
use sip::registration::client::Failure as RegisterFailure;
use sip::transport::target::Target;

use super::peers::{flow_to, peer_text, target_of};
use crate::config::{Config, Trunk, carriage_of};
use crate::control::protocol::{
    Alarm, Event, Failure, Name, PhoneRegistration, TrunkDown, TrunkRegistered, TrunkRegistrationFailed,
    TrunkUp,
};
use crate::engine::calls::draining;
use crate::engine::leg::Addressee;
use crate::engine::tx::{About, Tx};

/// Why a trunk that is not registered is down.
const UNREGISTERED: &str = "unregistered";
/// The alarm of a carrier that refuses us.
const ALARM: &str = "registration_refused";
/// Port of SIP where a URI names none (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;

/// Every registration, ours and those of phones.
#[derive(Debug, Default)]
pub struct Registrations {
    /// By trunk index: where ours stands.
    ours: BTreeMap<usize, Ours>,
    /// By trunk index and user: where its phones are, the first to be called first.
    phones: BTreeMap<(usize, String), Vec<RegisteredContact>>,
    /// Ours as they were before a command that is not yet final.
    before: Option<BTreeMap<usize, Ours>>,
}

/// A trunk that registers.
#[derive(Clone, Debug)]
struct Ours {
    name: String,
    stage: Stage,
    has_alarm: bool,
    /// It was told that the trunk is down.
    is_down: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No server has our contact.
    Out,
    /// This one has.
    In(Flow),
    /// It is being removed.
    Leaving,
    /// It is removed.
    Left,
}

impl Registrations {
    /// Nobody is registered yet.
    pub fn new(config: &Config) -> Self {
        let trunks = config.trunks.iter().enumerate();
        let registering = trunks.filter(|(_, trunk)| trunk.register.is_some());
        let ours = registering.map(|(index, trunk)| {
            let ours = Ours {
                name: trunk.name.clone(),
                stage: Stage::Out,
                has_alarm: false,
                is_down: false,
            };
            (index, ours)
        });
        Registrations {
            ours: ours.collect(),
            phones: BTreeMap::new(),
            before: None,
        }
    }

    /// Makes what commands have changed final.
    pub fn commit(&mut self) {
        self.before = None;
    }

    /// Takes back what they have changed since the last commit.
    pub fn rollback(&mut self) {
        if let Some(before) = self.before.take() {
            self.ours = before;
        }
    }

    fn remember(&mut self) {
        let ours = &self.ours;
        self.before.get_or_insert_with(|| ours.clone());
    }

    /// Whether a trunk is registered at its carrier; none where it does not register.
    pub fn is_registered(&self, trunk: usize) -> Option<bool> {
        self.ours
            .get(&trunk)
            .map(|ours| matches!(ours.stage, Stage::In(_)))
    }

    /// Users of a trunk that have a phone registered.
    pub fn users(&self, trunk: usize) -> u64 {
        self.of_trunk(trunk).count() as u64
    }

    /// Phones registered on a trunk.
    pub fn contacts(&self, trunk: usize) -> u64 {
        self.of_trunk(trunk).map(|contacts| contacts.len() as u64).sum()
    }

    /// The server that has our contact is dialled first.
    pub fn put_first(&self, trunk: usize, flows: &mut [Flow]) {
        if let Some(Stage::In(server)) = self.ours.get(&trunk).map(|ours| ours.stage) {
            flows.sort_by_key(|flow| *flow != server);
        }
    }

    /// True when no contact of ours is at any carrier.
    pub fn have_left(&self) -> bool {
        self.ours.values().all(|ours| ours.stage == Stage::Left)
    }

    fn of_trunk(&self, trunk: usize) -> impl Iterator<Item = &Vec<RegisteredContact>> {
        let range = (trunk, String::new())..(trunk + 1, String::new());
        self.phones.range(range).map(|(_, contacts)| contacts)
    }
}

/// Registers every trunk that wants it, at the start and after a drain was cancelled.
pub fn begin(tx: &mut Tx) {
    let setup = tx.setup;
    tx.registrations.remember();
    for (index, trunk) in setup.config.trunks.iter().enumerate() {
        let Some(order) = order(tx, index, trunk) else {
            continue;
        };
        if let Some(ours) = tx.registrations.ours.get_mut(&index)
            && !matches!(ours.stage, Stage::In(_))
        {
            ours.stage = Stage::Out;
            tx.sip(Command::Register(Box::new(order)));
        }
    }
}

/// Removes our contacts everywhere; [`Registrations::have_left`] tells when that is done.
pub fn leave(tx: &mut Tx) {
    tx.registrations.remember();
    let staying = tx.registrations.ours.iter_mut();
    let staying = staying.filter(|(_, ours)| !matches!(ours.stage, Stage::Leaving | Stage::Left));
    let left: Vec<usize> = staying
        .map(|(index, ours)| {
            ours.stage = Stage::Leaving;
            *index
        })
        .collect();
    for index in left {
        tx.sip(Command::Unregister {
            registration: key(index),
        });
    }
}

/// Takes what the endpoint reports.
pub fn handle(tx: &mut Tx, event: RegistrationEvent) {
    match event {
        RegistrationEvent::Contacts {
            domain,
            user,
            contacts,
        } => phones_changed(tx, domain, user, contacts),
        RegistrationEvent::Registered {
            registration,
            flow,
            expires,
        } => registered(tx, index(registration), flow, expires),
        RegistrationEvent::Failed {
            registration,
            flow,
            why,
            retry_in,
        } => failed(tx, index(registration), flow, why, retry_in),
        RegistrationEvent::Expired { registration } => expired(tx, index(registration)),
        RegistrationEvent::Left { registration } => left(tx, index(registration)),
    }
}

/// A trunk that registers is dialled only while it is registered.
pub fn check_up(tx: &Tx, index: usize) -> Result<(), Failure> {
    match tx.registrations.is_registered(index) {
        Some(false) => {
            let name = tx.setup.trunk(index).map_or("", |trunk| trunk.name.as_str());
            Err(Failure::trunk_down(name, UNREGISTERED))
        }
        Some(true) | None => Ok(()),
    }
}

/// Whether a `sip:` target names a user of this trunk's phones: without a host, or at one of our names.
pub fn is_for_phones(tx: &Tx, index: usize, host: Option<&str>, port: Option<u16>) -> bool {
    let Some(trunk) = tx.setup.trunk(index) else {
        return false;
    };
    let (Some(phones), Some(host)) = (&trunk.accept_register, host) else {
        return trunk.accept_register.is_some();
    };
    let names = [
        Some(trunk.advertise.as_str()),
        Some(trunk.from_host.as_str()),
        trunk.contact_host.as_deref(),
        tx.setup.config.sip.advertise.as_deref(),
        Some(phones.users.realm()),
    ];
    let bare = |name: &str| name.trim_matches(['[', ']']).eq_ignore_ascii_case(host);
    let is_own_address = host.parse().is_ok_and(|ip| {
        let at = SocketAddr::new(ip, port.unwrap_or(SIP_PORT));
        tx.setup.is_own_listener(at)
    });
    is_own_address || names.into_iter().flatten().any(bare)
}

/// The phones of a user: the one that registered last is tried first, then the others (as with several
/// hosts, `route_on` and `timer_b_ms` say when).
pub fn phones_of(tx: &Tx, index: usize, user: &str) -> Result<(Addressee, Vec<Flow>), Failure> {
    let (name, most) = tx
        .setup
        .trunk(index)
        .map_or(("", 0), |trunk| (trunk.name.as_str(), trunk.attempts_max));
    let contacts = tx.registrations.phones.get(&(index, user.to_owned()));
    let contacts = contacts.ok_or_else(|| Failure::not_registered(name, user))?;
    let tried = contacts.iter().take(most);
    let (uris, flows) = tried.map(|contact| (contact.uri.clone(), contact.flow)).unzip();
    let user = user.to_owned();
    Ok((Addressee::Phones { user, uris }, flows))
}

fn phones_changed(tx: &mut Tx, trunk: usize, user: String, contacts: Vec<RegisteredContact>) {
    let about = PhoneRegistration {
        trunk: trunk_name(tx, trunk),
        user: user.clone(),
    };
    let is_gone = contacts.is_empty();
    let before = match is_gone {
        true => tx.registrations.phones.remove(&(trunk, user)),
        false => tx.registrations.phones.insert((trunk, user), contacts),
    };
    match (before.is_some(), is_gone) {
        (true, true) => tx.tell(About::default(), Event::PhoneUnregistered(about)),
        (false, false) => tx.tell(About::default(), Event::PhoneRegistered(about)),
        (true, false) | (false, true) => {}
    }
}

fn registered(tx: &mut Tx, index: usize, server: Flow, expires: Duration) {
    let Some(ours) = tx.registrations.ours.get_mut(&index) else {
        return;
    };
    if matches!(ours.stage, Stage::Leaving | Stage::Left) {
        return;
    }
    let (trunk, before) = (Name::from(ours.name.as_str()), ours.stage);
    ours.stage = Stage::In(server);
    let (was_down, had_alarm) = (ours.is_down, ours.has_alarm);
    (ours.is_down, ours.has_alarm) = (false, false);
    if before == Stage::In(server) {
        return;
    }
    let event = TrunkRegistered {
        trunk: trunk.clone(),
        server: peer_text(target_of(server)),
        expires_s: expires.as_secs(),
    };
    tx.tell(About::default(), Event::TrunkRegistered(event));
    if was_down {
        let event = TrunkUp { trunk: trunk.clone() };
        tx.tell(About::default(), Event::TrunkUp(event));
    }
    if had_alarm {
        tx.tell(About::default(), Event::AlarmCleared(alarm(&trunk)));
    }
}

fn failed(tx: &mut Tx, index: usize, server: Flow, why: RegisterFailure, retry_in: Option<Duration>) {
    let Some(ours) = tx.registrations.ours.get_mut(&index) else {
        return;
    };
    let (word, sip) = match why {
        RegisterFailure::Status(status) => ("refused", Some(status)),
        RegisterFailure::Unanswered(Unanswered::Timeout) => ("timeout", None),
        RegisterFailure::Unanswered(Unanswered::Transport) => ("transport", None),
    };
    let is_refused = sip.is_some_and(|status| {
        [
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        ]
        .contains(&status)
    });
    let trunk = Name::from(ours.name.as_str());
    let is_new_alarm = is_refused && !ours.has_alarm;
    ours.has_alarm |= is_refused;
    let event = TrunkRegistrationFailed {
        trunk: trunk.clone(),
        server: peer_text(target_of(server)),
        why: word.to_owned(),
        sip: sip.map(StatusCode::code),
        retry_in_ms: retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
    };
    tx.tell(About::default(), Event::TrunkRegistrationFailed(event));
    if is_new_alarm {
        tx.tell(About::default(), Event::AlarmRaised(alarm(&trunk)));
        let message = format!(
            "the carrier of trunk `{}` refuses its registration",
            trunk.as_str()
        );
        tx.out.log.push((true, message));
    }
}

fn alarm(trunk: &Name) -> Alarm {
    Alarm {
        kind: ALARM.to_owned(),
        message: Some(format!(
            "the carrier of trunk `{}` refuses its registration",
            trunk.as_str()
        )),
    }
}

fn expired(tx: &mut Tx, index: usize) {
    let Some(ours) = tx.registrations.ours.get_mut(&index) else {
        return;
    };
    if !matches!(ours.stage, Stage::In(_)) {
        return;
    }
    (ours.stage, ours.is_down) = (Stage::Out, true);
    let event = TrunkDown {
        trunk: Name::from(ours.name.as_str()),
        why: UNREGISTERED.to_owned(),
    };
    tx.tell(About::default(), Event::TrunkDown(event));
}

fn left(tx: &mut Tx, index: usize) {
    let Some(ours) = tx.registrations.ours.get_mut(&index) else {
        return;
    };
    match ours.stage {
        Stage::Leaving => {
            ours.stage = Stage::Left;
            draining::registrations_left(tx);
        }
        // The drain was cancelled while our contact was being removed.
        Stage::Out => begin(tx),
        Stage::In(_) | Stage::Left => {}
    }
}

/// What the endpoint is told to keep registered.
fn order(tx: &Tx, index: usize, trunk: &Trunk) -> Option<RegisterOrder> {
    let (register, auth) = (trunk.register.as_ref()?, trunk.auth.as_ref()?);
    // Some carriers write the domain into the user name; an address has it once.
    let user = auth.username.split('@').next().unwrap_or_default();
    let mut hosts = trunk.hosts.clone();
    hosts.sort_by_key(|host| host.priority);
    let servers = hosts.iter().filter_map(|host| {
        // A domain is registered at only where it is written as an address.
        let (transport, addr) = host.literal()?;
        let carriage = carriage_of(transport);
        let flow = flow_to(tx.setup, trunk, Target { carriage, addr })?;
        server(register.domain.as_deref(), user, flow)
    });
    Some(RegisterOrder {
        registration: key(index),
        servers: servers.collect(),
        contact_user: user.to_owned(),
        contact_host: trunk.contact_host.clone(),
        expires: register.expires,
        is_bulk: register.is_bulk,
        credentials: Credentials {
            username: auth.username.clone(),
            password: auth.password.clone(),
            realm: auth.realm.clone(),
        },
    })
}

fn server(domain: Option<&str>, user: &str, flow: Flow) -> Option<RegisterServer> {
    let (request_uri, address) = match domain {
        Some(domain) => {
            let uri = Uri::parse(&format!("sip:{domain}")).ok()?;
            (uri.clone(), uri)
        }
        None => {
            let host = Host::from(flow.remote.ip());
            (
                Uri::sip(host.clone(), Some(flow.remote.port())),
                Uri::sip(host, None),
            )
        }
    };
    Some(RegisterServer {
        flow,
        request_uri: request_uri.to_string(),
        address: format!("<{}>", address.with_user(user)),
    })
}

fn trunk_name(tx: &Tx, index: usize) -> Name {
    Name::from(tx.setup.trunk(index).map_or("", |trunk| trunk.name.as_str()))
}

fn key(trunk: usize) -> RegistrationKey {
    RegistrationKey(trunk as u64)
}

fn index(registration: RegistrationKey) -> usize {
    usize::try_from(registration.0).unwrap_or(usize::MAX)
}
