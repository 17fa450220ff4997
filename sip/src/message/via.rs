//! One hop of the way back: a value of Via.
//!
//! Knows how a hop is written, not how a response is sent along it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::grammar::{digits, is_token, trim};
use super::guard_error::{FieldError, Part};
use super::host::Host;
use super::params::{Kind, Params};

/// A value of Via (RFC 3261 §20.42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `SIP/2.0` but in messages of another version.
    protocol: Box<str>,
    transport: ViaTransport,
    host: Host,
    port: Option<u16>,
    params: Params,
}

/// The transport a Via names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViaTransport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// SCTP, RFC 4168.
    Sctp,
    /// WebSocket, RFC 7118.
    Ws,
    /// WebSocket over TLS, RFC 7118.
    Wss,
    /// Any other token.
    Extension(Box<str>),
}

/// Longest branch, bytes. The same bound as a tag.
pub const BRANCH_BYTES_MAX: usize = 256;

/// What a branch begins with when it identifies its transaction alone (RFC 3261 §8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

impl Via {
    /// A Via of ours with `rport` asked for (RFC 3581). Characters of `branch` no token has are left out.
    pub fn new(transport: ViaTransport, host: Host, port: Option<u16>, branch: &str) -> Via {
        let mut params = Params::default();
        let branch: String = branch
            .chars()
            .filter(|char| is_token(char.encode_utf8(&mut [0; 4])))
            .collect();
        params.put("branch", Some(&branch));
        params.put("rport", None);
        Via {
            protocol: "SIP/2.0".into(),
            transport,
            host,
            port,
            params,
        }
    }

    /// Reads one value.
    pub fn parse(text: &str) -> Result<Via, FieldError> {
        let (name, rest) = text.split_once('/').ok_or(FieldError::Token)?;
        let (version, rest) = rest.split_once('/').ok_or(FieldError::Token)?;
        let (name, version, rest) = (trim(name), trim(version), trim(rest));
        let (transport, rest) = rest.split_once([' ', '\t']).ok_or(FieldError::Token)?;
        if ![name, version, transport].into_iter().all(is_token) {
            return Err(FieldError::Token);
        }
        let (sent_by, params) = match rest.split_once(';') {
            Some((sent_by, params)) => (sent_by, Params::parse(params, Kind::Header)?),
            None => (rest, Params::default()),
        };
        let (host, port) = Host::parse_with_port(trim(sent_by), true)?;
        let protocol = format!("{name}/{version}").into();
        let via = Via {
            protocol,
            transport: ViaTransport::parse(transport),
            host,
            port,
            params,
        };
        via.check_params()?;
        Ok(via)
    }

    /// Notes where the request really came from (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn stamp(&mut self, source: SocketAddr) {
        let wants_rport = self.params.has("rport");
        if wants_rport || self.host.ip() != Some(source.ip()) {
            self.params.put("received", Some(&source.ip().to_string()));
        } else {
            self.params.remove("received");
        }
        if wants_rport {
            self.params.put("rport", Some(&source.port().to_string()));
        }
    }

    /// The transport.
    pub fn transport(&self) -> &ViaTransport {
        &self.transport
    }

    /// Host of sent-by.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Port of sent-by, as written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Its parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The transaction's branch; `None` from RFC 2543 elements.
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// True when the branch carries the magic cookie and something after it.
    pub fn is_branch_unique(&self) -> bool {
        let cookie = |branch: &str| branch.get(..MAGIC_COOKIE.len()).map(str::to_owned);
        self.branch().is_some_and(|branch| {
            branch.len() > MAGIC_COOKIE.len()
                && cookie(branch).is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
        })
    }

    /// Port the request came from, once stamped.
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport").and_then(digits)
    }

    /// True when `rport` is there, with or without a value (RFC 3581 §3).
    pub fn wants_rport(&self) -> bool {
        self.params.has("rport")
    }

    /// Address the request came from, where the receiver noted it; brackets are tolerated (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    fn check_params(&self) -> Result<(), FieldError> {
        if let Some(branch) = self.branch() {
            if branch.len() > BRANCH_BYTES_MAX {
                return Err(FieldError::TooLong {
                    part: Part::Branch,
                    limit: BRANCH_BYTES_MAX,
                });
            }
            if !is_token(branch) {
                return Err(FieldError::Token);
            }
        }
        if self.params.has("received") && self.received().is_none() {
            return Err(FieldError::Parameter);
        }
        match self.params.get("rport") {
            Some(port) if !port.is_empty() => digits::<u16>(port).map(drop).ok_or(FieldError::Number),
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.protocol, self.transport.as_str(), self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

impl ViaTransport {
    fn parse(token: &str) -> ViaTransport {
        match token.to_ascii_uppercase().as_str() {
            "UDP" => ViaTransport::Udp,
            "TCP" => ViaTransport::Tcp,
            "TLS" => ViaTransport::Tls,
            "SCTP" => ViaTransport::Sctp,
            "WS" => ViaTransport::Ws,
            "WSS" => ViaTransport::Wss,
            _ => ViaTransport::Extension(token.into()),
        }
    }

    /// The token as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            ViaTransport::Udp => "UDP",
            ViaTransport::Tcp => "TCP",
            ViaTransport::Tls => "TLS",
            ViaTransport::Sctp => "SCTP",
            ViaTransport::Ws => "WS",
            ViaTransport::Wss => "WSS",
            ViaTransport::Extension(token) => token,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_may_stand_everywhere() {
        let via = Via::parse("SIP  / 2.0  / TCP     spindle.example.com : 5061  ;  branch  =   z9hG4bK9ikj8")
            .unwrap();
        assert_eq!(
            via.to_string(),
            "SIP/2.0/TCP spindle.example.com:5061;branch=z9hG4bK9ikj8"
        );
        assert!(via.is_branch_unique());
        assert!(
            !Via::parse("SIP/2.0/UDP a;branch=z9hG4bK")
                .unwrap()
                .is_branch_unique()
        );
        assert_eq!(
            Via::parse("SIP/2.0/UNKNOWN a").unwrap().transport(),
            &ViaTransport::Extension("UNKNOWN".into())
        );
    }

    #[test]
    fn received_is_read_with_and_without_brackets() {
        let address = Some("2001:db8::9:255".parse().unwrap());
        for text in ["[2001:db8::9:255]", "2001:db8::9:255"] {
            let via = Via::parse(&format!(
                "SIP/2.0/UDP [2001:db8::9:1];received={text};branch=z9hG4bKas3"
            ))
            .unwrap();
            assert_eq!(via.received(), address);
        }
    }

    #[test]
    fn stamping_follows_rfc_3581() {
        let stamped = |text: &str| {
            let mut via = Via::parse(text).unwrap();
            via.stamp("192.0.2.9:4444".parse().unwrap());
            via.to_string()
        };
        assert_eq!(
            stamped("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z"),
            "SIP/2.0/UDP 10.1.1.1:4540;rport=4444;branch=z;received=192.0.2.9"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP 192.0.2.9;branch=z"),
            "SIP/2.0/UDP 192.0.2.9;branch=z"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP a.example;branch=z"),
            "SIP/2.0/UDP a.example;branch=z;received=192.0.2.9"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP 192.0.2.9;received=1.1.1.1"),
            "SIP/2.0/UDP 192.0.2.9"
        );
    }

    #[test]
    fn broken_values_are_refused() {
        for bad in [
            "",
            "SIP/2.0",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0/UDP;branch=z",
            "SIP/2.0/U P Q",
            "/2.0/UDP a",
            "SIP/2.0/UDP a;;branch=z",
            "SIP/2.0/UDP a;branch=z;branch=y",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP a:0",
            "SIP/2.0/UDP a;received=x",
            "SIP/2.0/UDP a;rport=99999",
            "SIP/2.0/UDP a;branch=\"z\"",
            "SIP/2.0/UDP ::1",
        ] {
            assert!(Via::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn branch_cap_holds_at_its_edge() {
        let with = |length: usize| Via::parse(&format!("SIP/2.0/UDP a;branch={}", "b".repeat(length)));
        assert!(with(BRANCH_BYTES_MAX).is_ok());
        assert!(with(BRANCH_BYTES_MAX + 1).is_err());
    }
}
