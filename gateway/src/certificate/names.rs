//! The SIP identities of a certificate (RFC 5922 §7).
//!
//! Knows nothing of who asks for which name.

use std::net::IpAddr;

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

/// Names of one certificate that are looked at; further ones are as if not there.
pub const NAMES_MAX: usize = 256;

/// The domains a certificate speaks for, lower case, and those of `addresses` that it names.
///
/// RFC 5922 §7.1: `sip:` URIs without a user part; where there is none, DNS names. The subject's common name,
/// which §7.1 allows where there are no alternative names, is not looked at: CAs no longer sign it as a name
/// (RFC 9525 §2). Names are compared letter by letter, and a wildcard is a text like any other (§7.2 forbids
/// to match with it). Addresses go beyond RFC 5922, which knows domains only.
pub fn identities(
    certificate: &CertificateDer<'_>,
    addresses: &[IpAddr],
) -> Result<Vec<String>, webpki::Error> {
    let certificate = EndEntityCert::try_from(certificate)?;
    let uris = certificate.valid_uri_names().filter_map(domain_of_uri);
    let mut names: Vec<String> = uris.take(NAMES_MAX).collect();
    if names.is_empty() {
        let domains = certificate.valid_dns_names().take(NAMES_MAX);
        names.extend(domains.map(|name| name.trim_end_matches('.').to_ascii_lowercase()));
    }
    for address in addresses {
        let name = ServerName::IpAddress((*address).into());
        if certificate.verify_is_valid_for_subject_name(&name).is_ok() {
            names.push(address.to_string());
        }
    }
    Ok(names)
}

/// The host of `sip:HOST[:PORT][;…]`. One with a user names a person, not a domain.
fn domain_of_uri(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") || rest.contains('@') {
        return None;
    }
    let host = rest.split([';', '?', ':']).next()?.trim_end_matches('.');
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, SanType};

    use super::*;

    fn names(sans: &[SanType], common: Option<&str>, addresses: &[IpAddr]) -> Vec<String> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = sans.to_vec();
        if let Some(common) = common {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        identities(certificate.der(), addresses).unwrap()
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    fn uri(uri: &str) -> SanType {
        SanType::URI(uri.try_into().unwrap())
    }

    #[test]
    fn dns_names_count_where_there_is_no_sip_uri() {
        let sans = [
            dns("SIP.Example.COM"),
            dns("*.example.net"),
            uri("https://example.org"),
        ];
        assert_eq!(names(&sans, None, &[]), ["sip.example.com", "*.example.net"]);
    }

    #[test]
    fn sip_uris_without_a_user_go_before_dns_names() {
        let sans = [
            dns("host.example.com"),
            uri("SIP:Example.com"),
            uri("sip:example.net:5061;transport=tls"),
            uri("sip:alice@example.org"),
            uri("sips:example.org"),
        ];
        assert_eq!(names(&sans, None, &[]), ["example.com", "example.net"]);
        // RFC 5922 §7.1: a URI with a user is none, so the DNS name counts again.
        let sans = [dns("host.example.com"), uri("sip:alice@example.org")];
        assert_eq!(names(&sans, None, &[]), ["host.example.com"]);
    }

    #[test]
    fn the_common_name_is_no_name() {
        assert!(names(&[], Some("sip.example.com"), &[]).is_empty());
    }

    #[test]
    fn addresses_are_named_when_asked_for() {
        let [four, six, other]: [IpAddr; 3] =
            ["192.0.2.1", "2001:db8::1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let sans = [
            dns("sip.example.com"),
            SanType::IpAddress(four),
            SanType::IpAddress(six),
        ];
        assert_eq!(
            names(&sans, None, &[other, four, six]),
            ["sip.example.com", "192.0.2.1", "2001:db8::1"]
        );
    }
}
