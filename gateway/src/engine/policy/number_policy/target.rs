//! What a dial target means: a number, however it is spelt, or a name at a host.
//!
//! Doubt makes it a number, because numbers are judged and names are not: a user part without any
//! letter is one, and what cannot be read cleanly is neither and goes nowhere.
//! Knows nothing of the lists, and trusts no library with text from outside.

use std::net::IpAddr;

use super::emergency;
use super::rules::TrunkNumbers;

/// Longest target read, bytes.
pub const TARGET_BYTES_MAX: usize = 256;
/// Most digits of a national number with all its prefixes.
pub const NATIONAL_DIGITS_MAX: usize = 32;
/// Visual separators that are dropped (RFC 3966 §5.1.1, and blanks as people write them).
const SEPARATORS: [char; 5] = [' ', '-', '.', '(', ')'];

/// A number as it was dialled, separators gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialled {
    digits: String,
    scope: Scope,
}

/// How the digits are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    /// Written with `+`.
    Global,
    /// With `phone-context=+CODE`; its digits.
    Within(String),
    /// As dialled in the trunk's home country.
    Home,
    /// An emergency service by its name (RFC 5031 §4.2); the digits are `sos` or `sos.fire`.
    Service,
}

impl Dialled {
    /// As written, without `+`; of an emergency service its name, `sos.fire`.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    pub(super) fn is_global(&self) -> bool {
        matches!(self.scope, Scope::Global)
    }

    pub(super) fn context(&self) -> Option<&str> {
        match &self.scope {
            Scope::Within(code) => Some(code),
            Scope::Global | Scope::Home | Scope::Service => None,
        }
    }

    /// Whether it names an emergency service, not a number.
    pub(super) fn is_service(&self) -> bool {
        self.scope == Scope::Service
    }

    /// Reads `service:sos` and `service:sos.NAME`, the rest of a `urn:` URI: labels of letters, digits and
    /// hyphens, in any case (RFC 5031 §3).
    fn service(rest: &str) -> Option<Dialled> {
        let rest = rest.to_ascii_lowercase();
        let name = rest.strip_prefix("service:")?;
        let mut labels = name.split('.');
        let fits = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=63).contains(&label.len()) && label.bytes().all(plain)
        };
        (labels.next() == Some("sos") && labels.all(fits)).then(|| Dialled {
            digits: name.to_owned(),
            scope: Scope::Service,
        })
    }

    /// All digits after the `+`, where one is written or given by the context.
    pub(super) fn international_digits(&self) -> Option<String> {
        match &self.scope {
            Scope::Global => Some(self.digits.clone()),
            Scope::Within(code) => Some(format!("{code}{}", self.digits)),
            Scope::Home | Scope::Service => None,
        }
    }

    /// The digits of a number dialled in the home country.
    pub(super) fn national_digits(&self) -> Option<&str> {
        match self.scope {
            Scope::Home => Some(&self.digits),
            Scope::Global | Scope::Within(_) | Scope::Service => None,
        }
    }

    pub(super) fn without_leading(&self, count: usize) -> Dialled {
        Dialled {
            digits: self.digits.chars().skip(count).collect(),
            scope: self.scope.clone(),
        }
    }

    /// Reads `+81 3-1234-5678`, `0312345678` and the like.
    pub(super) fn parse(text: &str, context: Option<&str>) -> Option<Dialled> {
        let (is_global, body) = text.strip_prefix('+').map_or((false, text), |body| (true, body));
        let digits: String = body
            .chars()
            .filter(|character| !SEPARATORS.contains(character))
            .collect();
        let digits_max = if is_global {
            super::e164::E164_DIGITS_MAX
        } else {
            NATIONAL_DIGITS_MAX
        };
        let fits = (1..=digits_max).contains(&digits.len());
        if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let scope = match context {
            _ if is_global => Scope::Global,
            None => Scope::Home,
            Some(context) => Scope::Within(Dialled::parse(context, None).filter(Dialled::is_global)?.digits),
        };
        Some(Dialled { digits, scope })
    }
}

/// Where a dial goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A number: it passes the policy, and the trunk's own hosts are dialled.
    Number(Dialled),
    /// A name or an extension: only hosts inside the trunk's `allow` may be dialled.
    Name {
        /// User part, escapes undone; empty for a bare host.
        user: String,
        /// Host, without brackets; none for `sip:NAME`.
        host: Option<String>,
        /// Port, where written.
        port: Option<u16>,
        /// A Request-URI built from these parts and nothing else.
        uri: String,
    },
}

/// Why a target goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Meant as a number, but none.
    #[error("not a telephone number")]
    NotANumber,
    /// Not a `sip:` or `tel:` URI that could be dialled.
    #[error("not a sip: or tel: target")]
    NotAUri,
}

impl TargetError {
    /// Its stable word as a deciding rule.
    pub fn rule(self) -> &'static str {
        match self {
            TargetError::NotANumber => "number_invalid",
            TargetError::NotAUri => "target_invalid",
        }
    }
}

/// Reads `leg.dial.to`: a bare number, `tel:…`, `sip:…` or `urn:service:sos`.
pub fn classify_target(to: &str, trunk: &TrunkNumbers) -> Result<Target, TargetError> {
    let to = to.trim();
    if to.len() > TARGET_BYTES_MAX || to.chars().any(char::is_control) {
        return Err(TargetError::NotAUri);
    }
    let Some((scheme, rest)) = to.split_once(':') else {
        return number(&unescape(to)?, None, None);
    };
    if scheme.eq_ignore_ascii_case("tel") {
        let (user, parameters) = split_parameters(rest);
        return number(&unescape(user)?, context(parameters)?.as_deref(), None);
    }
    if scheme.eq_ignore_ascii_case("urn") {
        return Dialled::service(rest)
            .map(Target::Number)
            .ok_or(TargetError::NotAUri);
    }
    if !scheme.eq_ignore_ascii_case("sip") {
        return Err(TargetError::NotAUri);
    }
    sip(rest, trunk)
}

fn sip(rest: &str, trunk: &TrunkNumbers) -> Result<Target, TargetError> {
    let (user, after) = match rest.split_once('@') {
        Some((user, after)) => (Some(user), after),
        None => (None, rest),
    };
    // Headers in a target would become headers of our INVITE.
    if after.contains(['@', '?']) {
        return Err(TargetError::NotAUri);
    }
    let (place, parameters) = split_parameters(after);
    let (user, host, port) = match (user, host_port(place)) {
        (Some(user), Some((host, port))) => (user, Some(host), port),
        (Some(_), None) => return Err(TargetError::NotAUri),
        (None, Some((host, port))) if host.parse::<IpAddr>().is_ok() || port.is_some() => {
            ("", Some(host), port)
        }
        (None, _) => (place, None, None),
    };
    let (user, subscriber) = split_parameters(user);
    let user = unescape(user)?;
    let is_phone = parameter(parameters, "user")?.is_some_and(|value| value.eq_ignore_ascii_case("phone"));
    let is_subscriber = subscriber.is_some() && user.bytes().all(|byte| !byte.is_ascii_alphabetic());
    let has_context = parameter(subscriber, "phone-context")?.is_some();
    let is_name = user.is_empty() || user.bytes().any(|byte| byte.is_ascii_alphabetic());
    if user.starts_with('+') || is_phone || is_subscriber || has_context || !is_name {
        let extensions = (!is_phone && subscriber.is_none()).then_some((trunk, host, port));
        return number(&user, context(subscriber)?.as_deref(), extensions);
    }
    name(user, host, port)
}

fn number(
    user: &str,
    context: Option<&str>,
    extensions: Option<(&TrunkNumbers, Option<&str>, Option<u16>)>,
) -> Result<Target, TargetError> {
    let Some(dialled) = Dialled::parse(user, context) else {
        return Err(TargetError::NotANumber);
    };
    if let Some((trunk, host, port)) = extensions
        && dialled.digits == user
        && dialled.digits.len() <= usize::from(trunk.extensions)
        && emergency::country(&dialled, trunk.home_country.as_deref()).is_none()
    {
        return name(dialled.digits, host, port);
    }
    Ok(Target::Number(dialled))
}

/// Builds a name target from a user of plain characters; anything that a peer might undo once more, or read
/// as something else, is refused.
fn name(user: String, host: Option<&str>, port: Option<u16>) -> Result<Target, TargetError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,/".contains(&byte);
    if !user.bytes().all(plain) || (user.is_empty() && host.is_none()) {
        return Err(TargetError::NotAUri);
    }
    let shown_host = match host {
        Some(host) if host.contains(':') => format!("[{host}]"),
        Some(host) => host.to_owned(),
        None => String::new(),
    };
    let at = if user.is_empty() || host.is_none() {
        ""
    } else {
        "@"
    };
    let shown_port = port.map_or(String::new(), |port| format!(":{port}"));
    let uri = format!("sip:{user}{at}{shown_host}{shown_port}");
    Ok(Target::Name {
        user,
        host: host.map(str::to_owned),
        port,
        uri,
    })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => after.is_empty().then_some((host, None)),
        };
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    // A host of digits that is no address would be a number in disguise.
    let is_host = host.bytes().any(|byte| byte.is_ascii_alphabetic()) || host.parse::<IpAddr>().is_ok();
    (is_host && host.bytes().all(plain)).then_some((host, port))
}

fn split_parameters(text: &str) -> (&str, Option<&str>) {
    text.split_once(';')
        .map_or((text, None), |(text, parameters)| (text, Some(parameters)))
}

/// The value of a parameter, name and value unescaped, the name in any case. One that stands twice is
/// refused (RFC 3966 §5): elements differ in which of the two they believe.
fn parameter(parameters: Option<&str>, name: &str) -> Result<Option<String>, TargetError> {
    let mut found = None;
    for part in parameters.unwrap_or_default().split(';') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        if !unescape(key)?.trim().eq_ignore_ascii_case(name) {
            continue;
        }
        if found.replace(unescape(value)?.trim().to_owned()).is_some() {
            return Err(TargetError::NotAUri);
        }
    }
    Ok(found)
}

fn context(parameters: Option<&str>) -> Result<Option<String>, TargetError> {
    parameter(parameters, "phone-context")
}

/// Undoes percent-escapes, once. What then is still escaped, or is not plain ASCII, is refused.
fn unescape(text: &str) -> Result<String, TargetError> {
    let mut plain = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return Err(TargetError::NotAUri);
                };
                u8::try_from(high * 16 + low).unwrap_or(0)
            }
            byte => byte,
        };
        if byte == b'%' || !(0x20..0x7F).contains(&byte) {
            return Err(TargetError::NotANumber);
        }
        plain.push(char::from(byte));
    }
    Ok(plain)
}
