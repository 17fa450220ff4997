//! Who calls and who is called, read from an INVITE by the trunk's trust.
//!
//! RFC 3325 (asserted identities), RFC 3323 (Privacy), RFC 3966 (numbers), RFC 3261 §20.20 (From). Pure;
//! knows nothing of what is shown to others (`shown`) or of who sent a call on (`redirected`).

use sip::endpoint::{HOP_HEADER, IncomingInvite};
use sip::message::{NameAddr, Request, Scheme, Uri};
use sip::sdp::SessionDescription;

use crate::config::Trunk;
use crate::control::protocol::{
    CodecName, LegIncoming, Name, NumberSource, Party, Privacy, Redirected, Stir,
};
use crate::engine::leg::Hops;
use crate::engine::policy::number_policy::{self, TrunkNumbers};
use crate::engine::setup::Setup;
use crate::inert;

/// Marks of gateways carried over from leg to leg; a call that has passed more goes round in circles. Ours.
const HOP_MARKS_MAX: usize = 8;
/// Identities read from one header: RFC 3325 §9.1 allows two, carriers send a few more.
const IDENTITIES_MAX: usize = 8;
/// Longest `ext` or `rn` shown, bytes.
const PARAMETER_BYTES_MAX: usize = 32;
/// Stands for the host when a user part alone is read as a number.
const ANY_HOST: &str = "any.invalid";

/// What an INVITE says of the call.
#[derive(Clone, Debug)]
pub struct Said {
    /// Who calls.
    pub from: Party,
    /// Who is called.
    pub to: Party,
    /// Who sent the call on.
    pub redirected: Option<Redirected>,
    /// The leg that it takes the place of.
    pub replaces: Option<crate::engine::keys::LegKey>,
    /// What the caller's signature is worth.
    pub stir: Option<Stir>,
}

/// How closely the numbers of an INVITE are looked at.
#[derive(Clone, Copy, Debug)]
pub enum Reading<'a> {
    /// By the numbering plans: for calls that come in.
    Close(&'a TrunkNumbers),
    /// International numbers as they are written: for calls that are turned away, which must cost little.
    Glance(&'a TrunkNumbers),
}

impl Reading<'_> {
    fn number(self, uri: &Uri) -> Option<String> {
        let numbers = match self {
            Reading::Close(numbers) => numbers,
            Reading::Glance(numbers) => {
                match number_policy::glance(uri.user().unwrap_or_default(), numbers) {
                    Some(number) => return Some(number.as_str().to_owned()),
                    None => numbers,
                }
            }
        };
        let number = subscriber(uri).and_then(|text| number_policy::parse_inbound(&text, numbers).number);
        number.map(|number| number.as_str().to_owned())
    }
}

/// The caller: what a trusted trunk asserts, or else prefers; else From, as anyone may write it.
pub fn caller(request: &Request, trunk: &Trunk, reading: Reading) -> Party {
    let trusted = |header: &str, source| {
        let identities = request.headers.addresses(header).take(IDENTITIES_MAX);
        let identities: Vec<NameAddr> = identities.filter(|_| trunk.identity_trusted).collect();
        best(&identities, source, reading)
    };
    let party = trusted("P-Asserted-Identity", NumberSource::PAssertedIdentity)
        .or_else(|| trusted("P-Preferred-Identity", NumberSource::PPreferredIdentity))
        .unwrap_or_else(|| party(request.headers.from(), NumberSource::From, reading));
    Party {
        privacy: wants_privacy(request).then_some(Privacy::Id),
        ..party
    }
}

/// How the INVITE came here.
pub fn hops(request: &Request) -> Hops {
    let marks = request.headers.values(HOP_HEADER).take(HOP_MARKS_MAX);
    Hops {
        left: request.headers.max_forwards(),
        marks: marks.map(str::to_owned).collect(),
    }
}

/// Of several values the first that is a number, with the first name among them.
fn best(identities: &[NameAddr], source: NumberSource, reading: Reading) -> Option<Party> {
    let parties: Vec<Party> = identities
        .iter()
        .map(|identity| party(identity, source, reading))
        .collect();
    let name = parties.iter().find_map(|party| party.name.clone());
    let chosen = parties
        .iter()
        .find(|party| party.number.is_some())
        .or(parties.first())?;
    Some(Party {
        name,
        ..chosen.clone()
    })
}

/// Whether the caller keeps its number from the called party (RFC 3323 §4.2, RFC 3325 §9.3), or has left it out.
fn wants_privacy(request: &Request) -> bool {
    let words = request.headers.get_all("Privacy");
    let mut words = words.flat_map(|value| value.split([';', ','])).map(str::trim);
    let withholds = |word: &str| {
        ["id", "header", "user"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(word))
    };
    let host = request.headers.from().uri().host().map(ToString::to_string);
    words.any(withholds) || host.is_some_and(|host| host.eq_ignore_ascii_case("anonymous.invalid"))
}

/// The called party: the Request-URI.
pub fn called(request: &Request, reading: Reading) -> Party {
    of_uri(&request.uri, reading)
}

fn party(address: &NameAddr, source: NumberSource, reading: Reading) -> Party {
    Party {
        name: address.display().and_then(inert::name),
        source: Some(source),
        ..of_uri(address.uri(), reading)
    }
}

/// Number, user part and the parameters of RFC 3966 and RFC 4694 of an address.
pub fn of_uri(uri: &Uri, reading: Reading) -> Party {
    Party {
        number: reading.number(uri),
        raw: raw(uri),
        ext: parameter(uri, "ext"),
        rn: parameter(uri, "rn"),
        ..Party::default()
    }
}

/// What the number policy reads of an address: the user with its parameters, never the host.
fn subscriber(uri: &Uri) -> Option<String> {
    match uri.scheme() {
        Scheme::Tel => Some(uri.to_string()),
        Scheme::Sip | Scheme::Sips => {
            let is_phone = uri
                .param("user")
                .is_some_and(|user| user.eq_ignore_ascii_case("phone"));
            let phone = if is_phone { ";user=phone" } else { "" };
            Some(format!("sip:{}@{ANY_HOST}{phone}", uri.user()?))
        }
        Scheme::Urn | Scheme::Extension(_) => None,
    }
}

/// The user part without its parameters, or the whole URI where there is none. Escapes that hide harmful
/// characters stay escaped.
fn raw(uri: &Uri) -> String {
    let Some(user) = uri.user() else {
        return uri.to_string();
    };
    let plain = sip::message::unescape(user);
    let shown = if plain.chars().any(inert::is_harmful) {
        user
    } else {
        &plain
    };
    let is_number = |text: &str| text.starts_with(|first: char| first == '+' || first.is_ascii_digit());
    match shown.split_once(';') {
        Some((number, _)) if is_number(number) => number.to_owned(),
        Some(_) | None => shown.to_owned(),
    }
}

/// A parameter of the number: of a `tel:` URI its own, of a `sip:` one inside the user part (RFC 3261 §19.1.6).
fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let value = match uri.scheme() {
        Scheme::Tel => uri.param(name)?.to_owned(),
        Scheme::Sip | Scheme::Sips => {
            let mut parameters = uri.user()?.split(';').skip(1);
            let found = parameters.find_map(|parameter| {
                let (key, value) = parameter.split_once('=')?;
                key.eq_ignore_ascii_case(name).then_some(value)
            });
            sip::message::unescape(found?)
        }
        Scheme::Urn | Scheme::Extension(_) => return None,
    };
    let is_number = |byte: u8| byte.is_ascii_digit() || b"+-.()".contains(&byte);
    let fits = (1..=PARAMETER_BYTES_MAX).contains(&value.len()) && value.bytes().all(is_number);
    fits.then_some(value)
}

/// What `leg.incoming` shows.
pub fn incoming(setup: &Setup, trunk: usize, invite: &IncomingInvite, said: &Said) -> LegIncoming {
    let Said {
        from,
        to,
        redirected,
        stir,
        replaces: _,
    } = said.clone();
    let trunk = setup.trunk(trunk);
    let headers = trunk.map(|trunk| {
        let wanted = trunk.headers_in.iter();
        let found =
            wanted.filter_map(|name| Some((name.clone(), invite.request.headers.get(name)?.to_owned())));
        found.collect()
    });
    let offered = invite
        .offer
        .as_deref()
        .and_then(|offer| SessionDescription::parse(offer).ok());
    let codecs = offered.map(|offered| offered.codecs()).unwrap_or_default();
    LegIncoming {
        from,
        to,
        trunk: Name::from(trunk.map_or("", |trunk| trunk.name.as_str())),
        headers: headers.unwrap_or_default(),
        codecs: codecs
            .into_iter()
            .map(crate::engine::audio::media_plan::codec_name)
            .collect::<Vec<CodecName>>(),
        redirected,
        stir,
        user: invite.user.clone(),
        replaces: None,
    }
}

#[cfg(test)]
mod tests;
