//! The host of a URI or Via: a name or an address literal.
//!
//! Never resolves anything; what is no name and no literal is refused, so that it never reaches a
//! resolver.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::grammar::{digits, trim};
use super::guard_error::UriError;

/// A host (RFC 3261 §25.1 `host`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IPv4 literal.
    V4(Ipv4Addr),
    /// An IPv6 reference, without zone (RFC 5118 §4).
    V6(Ipv6Addr),
    /// A host name; compares without regard to case.
    Name(HostName),
}

/// A checked host name, kept as written.
#[derive(Clone, Debug)]
pub struct HostName(Box<str>);

/// Longest host name, bytes. RFC 1035 §2.3.4.
pub const HOST_NAME_BYTES_MAX: usize = 255;

impl Host {
    /// Reads a host; IPv6 only in brackets.
    pub fn parse(text: &str) -> Result<Host, UriError> {
        if let Some(inner) = text.strip_prefix('[') {
            let literal = inner.strip_suffix(']').ok_or(UriError::Host)?;
            // RFC 5118 §4.10: a faulty rule of RFC 3261 allows a third colon, which is to be tolerated.
            let literal = literal.replacen(":::", "::", 1);
            return literal.parse().map(Host::V6).map_err(|_| UriError::Host);
        }
        if let Ok(address) = text.parse() {
            return Ok(Host::V4(address));
        }
        if !is_host_name(text) {
            return Err(UriError::Host);
        }
        Ok(Host::Name(HostName(text.into())))
    }

    /// Reads `host[:port]`; white space around the parts is allowed where `spaced` (Via).
    pub(crate) fn parse_with_port(text: &str, spaced: bool) -> Result<(Host, Option<u16>), UriError> {
        let cut = match text.strip_prefix('[') {
            Some(inner) => inner.find(']').map(|at| at + 2),
            None => text.find(':'),
        };
        let (host, rest) = cut.and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""));
        let clean = |part| if spaced { trim(part) } else { part };
        let host = Host::parse(clean(host))?;
        let rest = clean(rest);
        if rest.is_empty() {
            return Ok((host, None));
        }
        let port = rest.strip_prefix(':').map(clean).ok_or(UriError::Host)?;
        match digits::<u16>(port) {
            Some(port) if port > 0 => Ok((host, Some(port))),
            Some(_) | None => Err(UriError::Port),
        }
    }

    /// The address, when it is a literal.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::V4(address) => Some(IpAddr::V4(*address)),
            Host::V6(address) => Some(IpAddr::V6(*address)),
            Host::Name(_) => None,
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Host {
        match address {
            IpAddr::V4(address) => Host::V4(address),
            IpAddr::V6(address) => Host::V6(address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::V4(address) => address.fmt(f),
            Host::V6(address) => write!(f, "[{address}]"),
            Host::Name(name) => f.write_str(&name.0),
        }
    }
}

impl HostName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for HostName {
    fn eq(&self, other: &HostName) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for HostName {}

impl std::hash::Hash for HostName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0
            .bytes()
            .for_each(|byte| state.write_u8(byte.to_ascii_lowercase()));
    }
}

/// `hostname` of RFC 3261 §25.1: labels of letters, digits and inner hyphens, the last one starting
/// with a letter, so that `1.2.3` or `0x7f.1` is neither a name nor an address.
fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top = text.rsplit('.').next().unwrap_or_default();
    text.len() <= HOST_NAME_BYTES_MAX
        && text.split('.').all(is_label)
        && top.starts_with(|char: char| char.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_names_are_told_apart() {
        assert_eq!(
            Host::parse("192.0.2.1"),
            Ok(Host::V4(Ipv4Addr::new(192, 0, 2, 1)))
        );
        assert_eq!(
            Host::parse("[2001:db8::9:1]").unwrap().to_string(),
            "[2001:db8::9:1]"
        );
        assert_eq!(Host::parse("Example.COM"), Host::parse("example.com"));
        assert_eq!(Host::parse("Example.COM").unwrap().to_string(), "Example.COM");
        assert!(matches!(Host::parse("localhost"), Ok(Host::Name(_))));
        assert!(matches!(Host::parse("example.com."), Ok(Host::Name(_))));
    }

    #[test]
    fn failed_literals_never_become_names() {
        for bad in [
            "",
            ".1",
            "[.1]",
            "1.2.3",
            "1.2.3.4.5",
            "256.0.0.1",
            "010.0.0.1",
            "0x7f.1",
            "2130706433",
            "[::1",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "::1",
            "a..b",
            "-a.b",
            "a-.b",
            "a_b.c",
            "a b",
            "%00",
        ] {
            assert_eq!(Host::parse(bad), Err(UriError::Host), "{bad}");
        }
    }

    #[test]
    fn port_is_digits_and_not_zero() {
        assert_eq!(Host::parse_with_port("a.b:5061", false).unwrap().1, Some(5061));
        assert_eq!(Host::parse_with_port("[::1]:70", false).unwrap().1, Some(70));
        assert_eq!(Host::parse_with_port("a.b : 5061", true).unwrap().1, Some(5061));
        for bad in [
            "a.b:",
            "a.b:0",
            "a.b:65536",
            "a.b:+1",
            "a.b :1",
            "[::1]70",
            "[::1]:x",
        ] {
            assert!(Host::parse_with_port(bad, false).is_err(), "{bad}");
        }
    }
}
