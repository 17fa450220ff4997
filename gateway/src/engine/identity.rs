//! Who calls and who is called: read from an INVITE by the trunk's trust, written for one of ours.
//!
//! RFC 3325 (P-Asserted-Identity), RFC 3323 (Privacy), RFC 3261 §20.20 (From). Pure.

use sip::endpoint::{ExtraHeader, IncomingInvite};
use sip::message::{NameAddr, Request, Uri};
use sip::sdp::SessionDescription;

use super::number_policy::{self, TrunkNumbers};
use super::setup::Setup;
use crate::config::{IdentityOut, Trunk};
use crate::control::protocol::{CodecName, LegIncoming, Name, NumberSource, Party};

/// The caller: the asserted identity of a trusted trunk, else From.
pub fn caller(request: &Request, trunk: &Trunk, numbers: &TrunkNumbers) -> Party {
    let asserted = request
        .headers
        .get("P-Asserted-Identity")
        .filter(|_| trunk.identity_trusted);
    let asserted = asserted.and_then(|value| NameAddr::parse(value).ok());
    match asserted {
        Some(identity) => party(&identity, NumberSource::PAssertedIdentity, numbers),
        None => party(request.headers.from(), NumberSource::From, numbers),
    }
}

/// The called party: the Request-URI.
pub fn called(request: &Request, numbers: &TrunkNumbers) -> Party {
    let raw = user_of(&request.uri);
    Party {
        number: number(&raw, numbers),
        raw,
        ..Party::default()
    }
}

fn party(address: &NameAddr, source: NumberSource, numbers: &TrunkNumbers) -> Party {
    let raw = user_of(address.uri());
    let name = address
        .display()
        .filter(|display| !display.is_empty())
        .map(str::to_owned);
    Party {
        number: number(&raw, numbers),
        raw,
        name,
        source: Some(source),
        attestation: None,
    }
}

/// The user part, or the whole URI where there is none.
fn user_of(uri: &Uri) -> String {
    uri.user_unescaped().unwrap_or_else(|| uri.to_string())
}

fn number(raw: &str, numbers: &TrunkNumbers) -> Option<String> {
    number_policy::parse_inbound(raw, numbers)
        .number
        .map(|number| number.as_str().to_owned())
}

/// What `leg.incoming` shows.
pub fn incoming(setup: &Setup, trunk: usize, invite: &IncomingInvite, from: Party, to: Party) -> LegIncoming {
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
            .map(super::media_plan::codec_name)
            .collect::<Vec<CodecName>>(),
        user: invite.user.clone(),
    }
}

/// Whom an outbound INVITE shows as caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// E.164 or a user name; none is anonymous.
    pub number: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// The number is withheld from the far end.
    pub withheld: bool,
}

/// From, and the further headers that carry the identity, as this trunk wants them.
pub fn outgoing(trunk: &Trunk, shown: &Shown) -> (String, Vec<ExtraHeader>) {
    let mut headers = Vec::new();
    let host = &trunk.from_host;
    let real = shown
        .number
        .as_ref()
        .map(|number| address(shown.name.as_deref(), number, host));
    let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned();
    let header = |name: &str, value: &str| ExtraHeader {
        name: name.into(),
        value: value.into(),
    };
    let asserted = match trunk.identity_out {
        IdentityOut::Pai if trunk.identity_trusted => Some("P-Asserted-Identity"),
        IdentityOut::Ppi => Some("P-Preferred-Identity"),
        IdentityOut::Pai | IdentityOut::From => None,
    };
    if let (Some(name), Some(real)) = (asserted, &real) {
        headers.push(header(name, real));
    }
    let Some(real) = real.filter(|_| !shown.withheld) else {
        if shown.withheld {
            headers.push(header("Privacy", "id"));
        }
        return (anonymous, headers);
    };
    (real, headers)
}

fn address(name: Option<&str>, number: &str, host: &str) -> String {
    let uri = format!("<sip:{number}@{host}>");
    match name {
        Some(name) => format!("\"{}\" {uri}", escape(name)),
        None => uri,
    }
}

/// A quoted-string's inside (RFC 3261 §25.1); control characters are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars().filter(|character| !character.is_control()) {
        if matches!(character, '"' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
