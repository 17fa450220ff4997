//! The trunks: peers, networks, and what one trunk must not take from another.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use sip::endpoint::policy::INTERVAL_S_MAX;

use super::super::trunk::{
    Auth, Network, NumberIn, NumberOut, Policy, ReferIn, RefreshMethod, RefresherWish, Support, TimerPolicy,
    Transfers, Transport, Trunk, UriForm,
};
use super::super::{Limits, Listen, Media, Number, NumberPattern, Sip, file, network_from_text, preset};
use super::fraud::fraud;
use super::listeners::{address, host, listener};
use super::peers::hosts;
use super::srtp::srtp;
use super::stir::stir;
use super::{Faults, KeyPath, Problem, UNKNOWN, name, pattern, region, registration, seconds, tls};

/// Longest password file, bytes.
const PASSWORD_FILE_BYTES_MAX: usize = 4096;
/// Answers after which a next peer may be tried: any other would be the same everywhere.
const ROUTE_ON_ALLOWED: [u16; 8] = [403, 408, 480, 488, 500, 502, 503, 504];
/// Headers the stack writes and reads itself; the engine may not.
const RESERVED_HEADERS: [&str; 31] = [
    "accept",
    "allow",
    "authorization",
    "call-id",
    "contact",
    "content-encoding",
    "content-length",
    "content-type",
    "cseq",
    "from",
    "max-forwards",
    "min-expires",
    "min-se",
    "p-asserted-identity",
    "p-preferred-identity",
    "privacy",
    "proxy-authenticate",
    "proxy-authorization",
    "rack",
    "record-route",
    "refer-to",
    "referred-by",
    "replaces",
    "require",
    "route",
    "rseq",
    "session-expires",
    "supported",
    "to",
    "via",
    "www-authenticate",
];

/// What all trunks draw on.
pub(super) struct Shared<'a> {
    pub(super) folder: &'a Path,
    pub(super) sip: &'a Sip,
    pub(super) media: &'a Media,
    pub(super) limits: &'a Limits,
    pub(super) numbers: &'a [Number],
}

pub(super) fn trunks(entries: &[file::trunk::Trunk], shared: &Shared<'_>, faults: &mut Faults) -> Vec<Trunk> {
    let mut trunks: Vec<Trunk> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let path = KeyPath::default().key("trunk").index(index);
        let trunk = trunk(entry, shared, &path, faults);
        if let Some(other) = trunks.iter().position(|other| other.name == trunk.name) {
            let other = KeyPath::default().key("trunk").index(other).to_string();
            let value = trunk.name.clone();
            faults.add(
                path.key("name"),
                Problem::Duplicate {
                    value,
                    other,
                    remedy: "give each trunk its own name",
                },
            );
        }
        trunks.push(trunk);
    }
    tls::settle(&mut trunks, faults);
    check_fallback(&trunks, faults);
    trunks
}

/// A fallback is another trunk, whose streams stand at the same address: the leg keeps its own.
fn check_fallback(trunks: &[Trunk], faults: &mut Faults) {
    for (index, trunk) in trunks.iter().enumerate() {
        for (position, name) in trunk.fallback.iter().enumerate() {
            let fits =
                |other: &&Trunk| other.name != trunk.name && other.media_address == trunk.media_address;
            if trunks.iter().filter(fits).any(|other| other.name == *name) {
                continue;
            }
            let path = KeyPath::default().key("trunk").index(index);
            let allowed = trunks
                .iter()
                .filter(fits)
                .map(|other| format!("`{}`", other.name));
            let problem = Problem::NotListed {
                actual: name.clone(),
                list: "the other trunks with the same `media_address`",
                allowed: allowed.collect(),
            };
            faults.add(path.key("fallback").index(position), problem);
        }
    }
}

/// One table of keys to one value of fields; long because the list is.
fn trunk(entry: &file::trunk::Trunk, shared: &Shared<'_>, path: &KeyPath, faults: &mut Faults) -> Trunk {
    let calls = entry.calls.unwrap_or(shared.limits.calls);
    let listen = listen(entry, shared, path, faults);
    let allow = networks(&entry.allow, &path.key("allow"), faults);
    let advertise = advertise(entry, shared, listen, path, faults);
    let media_address = media_address(entry, shared, path, faults);
    let accept_register = registration::accept_register(entry, shared.folder, path, faults);
    check(entry, &advertise, path, faults);
    let hosts = hosts(&entry.hosts, shared.sip, listen, &path.key("hosts"), faults);
    Trunk {
        name: name(&entry.name, &path.key("name"), faults),
        preset: entry.preset,
        provenance: entry.provenance.clone(),
        srtp: srtp(entry, listen, &hosts, path, faults),
        hosts,
        media_allow: media_allow(entry, &allow, path, faults),
        allow,
        calls,
        calls_in: entry.calls_in.unwrap_or(calls),
        calls_out: entry.calls_out.unwrap_or(calls),
        calls_per_second: entry.calls_per_second.unwrap_or(shared.limits.calls_per_second),
        messages_per_second: entry
            .messages_per_second
            .unwrap_or(shared.limits.messages_per_second),
        burst: entry.burst,
        limit_status: entry.limit_status,
        retry_after_s: entry.retry_after_s,
        route_on: entry.route_on.iter().copied().collect(),
        fallback: entry.fallback.clone(),
        attempts_max: usize::from(entry.attempts_max),
        timer_b: Duration::from_millis(u64::from(entry.timer_b_ms)),
        auth: auth(entry, shared.folder, &path.key("auth"), faults),
        challenge: registration::challenge(entry, accept_register.as_ref(), shared.folder, path, faults),
        register: registration::register(entry, path, faults),
        accept_register,
        tls: tls::trunk(entry.tls.as_ref(), shared, path, faults),
        options_interval: seconds(entry.options_interval_s),
        options_down_after: entry.options_down_after,
        options_up_after: entry.options_up_after,
        listen,
        contact_host: entry
            .contact_host
            .as_ref()
            .map(|text| host(text, &path.key("contact_host"), faults)),
        from_host: match &entry.from_host {
            Some(text) => host(text, &path.key("from_host"), faults),
            None => advertise.clone(),
        },
        media_advertise: advertised_media(entry, shared, media_address),
        media_address,
        own_host: entry.advertise.as_ref().map(|_| advertise.clone()),
        advertise,
        sip_policy: sip_policy(entry, path, faults),
        early_media: entry.early_media,
        dtmf: entry.dtmf,
        codecs: entry.codecs.iter().map(|codec| codec.resolved()).collect(),
        ptime_ms: entry.ptime_ms,
        answer_codecs: entry.answer_codecs,
        media_source: entry.media_source,
        media_timeout: seconds(entry.media_timeout_s),
        hold: entry.hold,
        home_country: home_country(entry, path, faults),
        number_in: entry.number_in,
        number_out: entry.number_out,
        prefix_out: entry.prefix_out.clone(),
        user_phone: entry.user_phone,
        agents: entry.agents,
        emergency: entry.emergency,
        fraud: fraud(&entry.fraud, &path.key("fraud"), faults),
        extensions: entry.extensions,
        identity_trusted: entry.identity_trusted,
        identity_out: entry.identity_out,
        caller_ids: caller_ids(entry, shared.numbers, path, faults),
        uri: entry.uri,
        diversion_out: entry.diversion_out,
        transfers: transfers(entry),
        stir: stir(entry, shared.folder, path, faults),
        reason_out: entry.reason_out,
        headers_in: headers(&entry.headers_in, &path.key("headers_in"), faults),
        headers_out: headers(&entry.headers_out, &path.key("headers_out"), faults),
    }
}

fn home_country(entry: &file::trunk::Trunk, path: &KeyPath, faults: &mut Faults) -> Option<String> {
    let text = entry.home_country.as_ref()?;
    Some(region(text, &path.key("home_country"), faults))
}

fn transfers(entry: &file::trunk::Trunk) -> Transfers {
    Transfers {
        refer_in: entry.refer_in,
        refer_out: entry.refer_out,
        replaces_out: entry.replaces_out,
        redirect: entry.redirect,
    }
}

fn media_allow(
    entry: &file::trunk::Trunk,
    allow: &[Network],
    path: &KeyPath,
    faults: &mut Faults,
) -> Vec<Network> {
    match &entry.media_allow {
        Some(texts) => networks(texts, &path.key("media_allow"), faults),
        None => allow.to_vec(),
    }
}

fn sip_policy(entry: &file::trunk::Trunk, path: &KeyPath, faults: &mut Faults) -> Policy {
    use file::trunk::{RefreshBy, Refresher, Support as Word};
    let support = |word| match word {
        Word::Off => Support::Off,
        Word::Supported => Support::Supported,
        Word::Required => Support::Required,
    };
    if entry.session_expires_s < entry.min_se_s {
        let problem = Problem::OutOfRange {
            min: entry.min_se_s.into(),
            max: INTERVAL_S_MAX.into(),
            actual: entry.session_expires_s.to_string(),
        };
        faults.add(path.key("session_expires_s"), problem);
    }
    Policy {
        takes_refer: entry.refer_in == ReferIn::Ask,
        tells_replaces: entry.replaces_out,
        rel100: support(entry.rel100),
        timer: TimerPolicy {
            support: support(entry.session_timer),
            interval_s: entry.session_expires_s,
            min_s: entry.min_se_s,
            refresher: match entry.refresher {
                Refresher::Auto => RefresherWish::Auto,
                Refresher::Us => RefresherWish::Us,
                Refresher::Peer => RefresherWish::Peer,
            },
            method: match entry.refresh_by {
                RefreshBy::Auto => RefreshMethod::Auto,
                RefreshBy::Update => RefreshMethod::Update,
                RefreshBy::Reinvite => RefreshMethod::Reinvite,
            },
        },
    }
}

/// Everything about values that no field of the trunk shows.
fn check(entry: &file::trunk::Trunk, advertise: &str, path: &KeyPath, faults: &mut Faults) {
    check_choices(entry, path, faults);
    check_combinations(entry, path, faults);
    preset::check_names(entry, advertise, path, faults);
}

/// Values whose bounds the schema cannot tell.
fn check_choices(entry: &file::trunk::Trunk, path: &KeyPath, faults: &mut Faults) {
    let mut one_of = |key: &KeyPath, actual: u16, allowed: &[u16]| {
        if !allowed.contains(&actual) {
            let allowed = allowed.iter().map(u16::to_string).collect();
            faults.add(
                key.clone(),
                Problem::NotOneOf {
                    allowed,
                    actual: actual.to_string(),
                },
            );
        }
    };
    one_of(&path.key("limit_status"), entry.limit_status, &[503, 486]);
    one_of(
        &path.key("ptime_ms"),
        u16::from(entry.ptime_ms),
        &[10, 20, 30, 40, 60],
    );
    for (index, status) in entry.route_on.iter().enumerate() {
        one_of(&path.key("route_on").index(index), *status, &ROUTE_ON_ALLOWED);
    }
    if (1..10).contains(&entry.options_interval_s) {
        let actual = entry.options_interval_s.to_string();
        let problem = Problem::OutOfRange {
            min: 10,
            max: 600,
            actual,
        };
        faults.add(path.key("options_interval_s"), problem);
    }
    if (1..5).contains(&entry.media_timeout_s) {
        let actual = entry.media_timeout_s.to_string();
        faults.add(
            path.key("media_timeout_s"),
            Problem::OutOfRange {
                min: 5,
                max: 3600,
                actual,
            },
        );
    }
    if !entry.prefix_out.bytes().all(|byte| byte.is_ascii_digit()) {
        faults.malformed(
            path.key("prefix_out"),
            &entry.prefix_out,
            "a prefix; write digits only",
        );
    }
}

/// Lists without doubles, and keys that need another one.
fn check_combinations(entry: &file::trunk::Trunk, path: &KeyPath, faults: &mut Faults) {
    for (index, codec) in entry.codecs.iter().enumerate() {
        let first = entry
            .codecs
            .iter()
            .position(|other| other == codec)
            .unwrap_or(index);
        if first != index {
            let other = path.key("codecs").index(first).to_string();
            let value = codec.word().to_owned();
            let problem = Problem::Duplicate {
                value,
                other,
                remedy: "remove one",
            };
            faults.add(path.key("codecs").index(index), problem);
        }
    }
    if entry.uri == UriForm::Tel {
        let key = match (entry.number_out, entry.prefix_out.is_empty()) {
            (NumberOut::E164, _) => Some("number_out = \"e164_plus\""),
            (NumberOut::E164Plus | NumberOut::National, false) => Some("prefix_out = \"\""),
            (NumberOut::E164Plus | NumberOut::National, true) => None,
        };
        if let Some(key) = key {
            let value = "tel".to_owned();
            faults.add(path.key("uri"), Problem::Needs { value, key });
        }
    }
    if entry.emergency {
        let has_place = !entry.hosts.is_empty();
        for (key, is_there) in [
            ("home_country", entry.home_country.is_some()),
            ("hosts", has_place),
        ] {
            if !is_there {
                let value = "true".to_owned();
                faults.add(path.key("emergency"), Problem::Needs { value, key });
            }
        }
    }
    let is_national = [
        ("number_in", entry.number_in == NumberIn::National),
        ("number_out", entry.number_out == NumberOut::National),
    ];
    for (key, is_national) in is_national {
        if is_national && entry.home_country.is_none() {
            faults.add(
                path.key(key),
                Problem::Needs {
                    value: "national".to_owned(),
                    key: "home_country",
                },
            );
        }
    }
}

fn listen(entry: &file::trunk::Trunk, shared: &Shared<'_>, path: &KeyPath, faults: &mut Faults) -> Listen {
    let nothing = Listen {
        transport: Transport::Udp,
        addr: SocketAddr::new(UNKNOWN, 0),
    };
    let first = shared.sip.listen.first().copied().unwrap_or(nothing);
    let Some(text) = &entry.listen else { return first };
    let Some(wanted) = listener(text, &path.key("listen"), faults) else {
        return first;
    };
    if !shared.sip.listen.contains(&wanted) {
        let url = |listen: &Listen| format!("`{listen}`");
        let allowed = shared.sip.listen.iter().map(url).collect();
        faults.add(
            path.key("listen"),
            Problem::NotListed {
                actual: text.clone(),
                list: "sip.listen",
                allowed,
            },
        );
    }
    wanted
}

/// Host in Via and Contact: the trunk's, the instance's, the listener's.
fn advertise(
    entry: &file::trunk::Trunk,
    shared: &Shared<'_>,
    listen: Listen,
    path: &KeyPath,
    faults: &mut Faults,
) -> String {
    match (&entry.advertise, &shared.sip.advertise, listen.addr.ip()) {
        (Some(text), _, _) => host(text, &path.key("advertise"), faults),
        (None, Some(instance), _) => instance.clone(),
        (None, None, IpAddr::V4(v4)) => v4.to_string(),
        (None, None, IpAddr::V6(v6)) => format!("[{v6}]"),
    }
}

fn media_address(
    entry: &file::trunk::Trunk,
    shared: &Shared<'_>,
    path: &KeyPath,
    faults: &mut Faults,
) -> IpAddr {
    let first = shared.media.addresses.first().copied().unwrap_or(UNKNOWN);
    let Some(text) = &entry.media_address else {
        return first;
    };
    let Some(wanted) = address(text, &path.key("media_address"), faults) else {
        return first;
    };
    if !shared.media.addresses.contains(&wanted) {
        let allowed = shared
            .media
            .addresses
            .iter()
            .map(|address| format!("`{address}`"))
            .collect();
        let problem = Problem::NotListed {
            actual: text.clone(),
            list: "media.address",
            allowed,
        };
        faults.add(path.key("media_address"), problem);
    }
    wanted
}

/// The address in SDP: the trunk's `advertise` if it is one, else the instance's, else the bound one.
fn advertised_media(entry: &file::trunk::Trunk, shared: &Shared<'_>, bound: IpAddr) -> IpAddr {
    let of_trunk = entry
        .advertise
        .as_ref()
        .and_then(|text| text.trim_matches(['[', ']']).parse().ok());
    of_trunk.or(shared.media.advertise).unwrap_or(bound)
}

fn networks(texts: &[String], path: &KeyPath, faults: &mut Faults) -> Vec<Network> {
    let mut networks = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match network_from_text(text) {
            Some(network) => networks.push(network),
            None => {
                let expected = "a network; write one like `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.1`";
                faults.malformed(path.index(index), text, expected);
            }
        }
    }
    networks
}

fn auth(entry: &file::trunk::Trunk, folder: &Path, path: &KeyPath, faults: &mut Faults) -> Option<Auth> {
    let auth = entry.auth.as_ref()?;
    let file = folder.join(&auth.password_file);
    let mut bad = |why: String| {
        faults.add(
            path.key("password_file"),
            Problem::BadFile {
                path: file.display().to_string(),
                why,
            },
        );
    };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            bad(format!("cannot be read: {error}"));
            return None;
        }
    };
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() || text.len() > PASSWORD_FILE_BYTES_MAX {
        bad(format!(
            "must hold the password in its first line, in at most {PASSWORD_FILE_BYTES_MAX} bytes"
        ));
        return None;
    }
    Some(Auth {
        username: auth.username.clone(),
        password: password.to_owned(),
        realm: auth.realm.clone(),
    })
}

/// What the file lists; else every whole number of the number map. A pattern of the map grants nothing.
fn caller_ids(
    entry: &file::trunk::Trunk,
    numbers: &[Number],
    path: &KeyPath,
    faults: &mut Faults,
) -> Vec<NumberPattern> {
    let Some(texts) = &entry.caller_ids else {
        return numbers
            .iter()
            .map(|number| number.pattern.clone())
            .filter(|own| own.exact().is_some())
            .collect();
    };
    let entries = texts.iter().enumerate();
    entries
        .filter_map(|(index, text)| pattern(text, &path.key("caller_ids").index(index), faults))
        .collect()
}

fn headers(texts: &[String], path: &KeyPath, faults: &mut Faults) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (index, text) in texts.iter().enumerate() {
        let lower = text.to_ascii_lowercase();
        let is_token = !lower.is_empty()
            && lower
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_token || RESERVED_HEADERS.contains(&lower.as_str()) {
            let expected =
                "a header that may cross; write a name like `X-Tenant`, not one the gateway handles itself";
            faults.malformed(path.index(index), text, expected);
        }
        names.insert(lower);
    }
    names
}
