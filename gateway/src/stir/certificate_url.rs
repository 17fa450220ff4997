//! Where a certificate may be fetched from: the hosts an operator lists, and a token's URL held against them.
//!
//! A URL is a peer's word, so it is taken apart here and nowhere else, and refused at the first thing that two
//! readers could read differently. Fetches nothing; knows no address that a name leads to.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use rustls_pki_types::ServerName;

/// Longest URL of a certificate that is fetched, bytes. docs/threats.md: B28.
pub const URL_BYTES_MAX: usize = 512;
/// The port of `https` (RFC 9110 §4.2.2).
const HTTPS: u16 = 443;
/// Longest domain, bytes (RFC 1035 §2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;

/// The name of a host, or its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In lower case.
    Domain(String),
    /// An address as it is, which the operator has listed as such.
    Address(IpAddr),
}

/// A host that certificates may be fetched from, with its port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateHost {
    place: Place,
    port: u16,
}

/// A URL that may be fetched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateUrl {
    host: CertificateHost,
    /// Path and query, from the first slash.
    path: String,
}

impl CertificateHost {
    /// Reads `HOST` or `HOST:PORT`; an IPv6 address stands in brackets. Port 443 where none is written.
    pub fn parse(text: &str) -> Option<CertificateHost> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':')?),
            };
            (Place::Address(address.into()), port)
        } else {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            let place = match host.parse() {
                Ok(address) => Place::Address(IpAddr::V4(address)),
                Err(_) => Place::Domain(domain(host)?),
            };
            (place, port)
        };
        let port = match port {
            // `+443` is a number for the parser and none for a URL.
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
            Some(_) => return None,
            None => HTTPS,
        };
        (port > 0).then_some(CertificateHost { place: host, port })
    }

    /// Name or address.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whom TLS must show.
    pub fn server_name(&self) -> Option<ServerName<'static>> {
        match &self.place {
            Place::Domain(domain) => ServerName::try_from(domain.clone()).ok(),
            Place::Address(address) => Some(ServerName::IpAddress((*address).into())),
        }
    }
}

/// Letters, digits, `-` and `_`, in labels. A last label that is a number is an address to some resolvers
/// (`127.1`, `0x7f000001`) and refused.
fn domain(text: &str) -> Option<String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let fits = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_letter);
    let last = text.rsplit('.').next()?;
    let is_number = last.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    let is_domain = text.len() <= DOMAIN_BYTES_MAX && text.split('.').all(fits) && !is_number;
    is_domain.then(|| text.to_ascii_lowercase())
}

impl CertificateUrl {
    /// The URL of a token, if it may be fetched: `https`, without user or fragment, of a listed host and port.
    pub fn permitted(url: &str, hosts: &[CertificateHost]) -> Option<CertificateUrl> {
        if url.len() > URL_BYTES_MAX {
            return None;
        }
        let (scheme, rest) = url.split_once("://")?;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
        if !scheme.eq_ignore_ascii_case("https") || !rest.bytes().all(is_plain) {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        // A user before `@` is no host, nor is a percent: neither passes the parser.
        let host = CertificateHost::parse(authority)?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        hosts.contains(&host).then(|| CertificateUrl {
            host,
            path: format!("{slash}{path}"),
        })
    }

    /// Where it is fetched.
    pub fn host(&self) -> &CertificateHost {
        &self.host
    }

    /// What is asked for there: path and query.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for CertificateHost {
    /// As a URL and the header Host have it: the port where it is not that of `https`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Domain(domain) => f.write_str(domain)?,
            Place::Address(IpAddr::V4(address)) => write!(f, "{address}")?,
            Place::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
        }
        match self.port {
            HTTPS => Ok(()),
            port => write!(f, ":{port}"),
        }
    }
}

impl fmt::Display for CertificateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.host, self.path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts(texts: &[&str]) -> Vec<CertificateHost> {
        let read = texts
            .iter()
            .map(|text| CertificateHost::parse(text).unwrap_or_else(|| panic!("{text}")));
        read.collect()
    }

    fn permitted(url: &str) -> Option<String> {
        let hosts = hosts(&[
            "cert.example.org",
            "other.example.org:8443",
            "192.0.2.7:8443",
            "[2001:db8::7]:8443",
        ]);
        CertificateUrl::permitted(url, &hosts).map(|url| url.to_string())
    }

    #[test]
    fn a_listed_host_is_fetched_from_at_its_port() {
        for (url, fetched) in [
            ("https://cert.example.org/a.pem", "https://cert.example.org/a.pem"),
            (
                "HTTPS://Cert.Example.ORG:443/A.pem?b=C",
                "https://cert.example.org/A.pem?b=C",
            ),
            ("https://cert.example.org", "https://cert.example.org/"),
            ("https://cert.example.org?a", "https://cert.example.org/?a"),
            (
                "https://other.example.org:8443/a",
                "https://other.example.org:8443/a",
            ),
            ("https://192.0.2.7:8443/a", "https://192.0.2.7:8443/a"),
            ("https://[2001:DB8:0::7]:8443/a", "https://[2001:db8::7]:8443/a"),
        ] {
            assert_eq!(permitted(url).as_deref(), Some(fetched), "{url}");
        }
    }

    #[test]
    fn b28_what_is_not_listed_or_reads_in_two_ways_is_not_fetched() {
        let long = format!("https://cert.example.org/{}", "a".repeat(URL_BYTES_MAX));
        for url in [
            "http://cert.example.org/a",
            "ftp://cert.example.org/a",
            "file:///etc/passwd",
            "//cert.example.org/a",
            "https:/cert.example.org/a",
            "https://127.0.0.1/a",
            "https://[::1]/a",
            "https://[::ffff:127.0.0.1]/a",
            "https://2130706433/a",
            "https://0x7f.1/a",
            "https://localhost/a",
            "https://cert.example.org:8443/a",
            "https://cert.example.org:/a",
            "https://cert.example.org:+443/a",
            "https://cert.example.org:0/a",
            "https://cert.example.org:65979/a",
            "https://other.example.org/a",
            "https://cert.example.org./a",
            "https://a.cert.example.org/a",
            "https://cert.example.org.evil.example/a",
            "https://cert.example.org@evil.example/a",
            "https://user@cert.example.org/a",
            "https://evil.example#@cert.example.org/a",
            "https://cert.example.org/a#b",
            "https://cert.example.org\\@evil.example/a",
            "https://cert%2eexample.org/a",
            "https://cert.example.org /a",
            "https://cert.example.org/a\r\nHost: evil.example",
            "https://cert.example.org/ä",
            "https://cert.example.örg/a",
            "https:///a",
            "",
            long.as_str(),
        ] {
            assert_eq!(permitted(url), None, "{url}");
        }
        let longest = format!("https://cert.example.org/{}", "a".repeat(URL_BYTES_MAX - 25));
        assert_eq!(
            (longest.len(), permitted(&longest)),
            (URL_BYTES_MAX, Some(longest))
        );
        assert_eq!(CertificateUrl::permitted("https://cert.example.org/a", &[]), None);
    }

    #[test]
    fn hosts_that_no_url_has_are_not_read() {
        for text in [
            "",
            ":443",
            "a b",
            "a/b",
            "https://a",
            "a:b",
            "a:0",
            "a:70000",
            "127.1",
            "1.2.3.4.5",
            "::1",
            "[::1",
            "[::1]443",
            "a..b",
            ".a",
            "a@b",
            "0x7f000001",
        ] {
            assert_eq!(CertificateHost::parse(text), None, "{text}");
        }
        assert_eq!(
            CertificateHost::parse("A.example:443"),
            CertificateHost::parse("a.Example")
        );
    }

    proptest! {
        /// Whatever is fetched is fetched from a listed host, and reads the same when it is read again.
        #[test]
        fn nothing_else_is_ever_permitted(
            scheme in "https|HTTPS|http|[a-z]{0,5}",
            before in "([a-z.@:%/\\\\#?0-9]{0,8}@)?",
            host in "cert\\.example\\.org|[a-z0-9.:\\[\\]@]{0,20}",
            after in "[ -~]{0,12}",
        ) {
            let listed = hosts(&["cert.example.org"]);
            let url = format!("{scheme}://{before}{host}{after}");
            if let Some(found) = CertificateUrl::permitted(&url, &listed) {
                prop_assert!(listed.contains(found.host()));
                let text = found.to_string();
                prop_assert!(text.starts_with("https://cert.example.org/"), "{url} became {text}");
                prop_assert!(url.to_ascii_lowercase().starts_with("https://cert.example.org"), "{url}");
                prop_assert_eq!(CertificateUrl::permitted(&text, &listed), Some(found));
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(url in "\\PC{0,600}") {
            let listed = hosts(&["cert.example.org", "[::1]:1"]);
            let _ = (CertificateUrl::permitted(&url, &listed), CertificateHost::parse(&url));
        }
    }
}
