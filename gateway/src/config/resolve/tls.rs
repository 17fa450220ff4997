//! TLS: which files there are, whether they can be used, and what needs what.

use std::path::Path;

use super::super::file;
use super::super::tls::{IdentityFiles, SipTls, TrunkTls};
use super::super::trunk::{Host, Transport, Trunk};
use super::trunks::Shared;
use super::{Faults, KeyPath, Problem};
use crate::certificate::{self, CertificateError, Part};

/// `[sip.tls]`, its files looked at.
pub(super) fn listeners(tls: &file::tls::SipTls, folder: &Path, faults: &mut Faults) -> SipTls {
    let path = KeyPath::default().key("sip").key("tls");
    let identity = IdentityFiles {
        cert: folder.join(&tls.cert),
        key: folder.join(&tls.key),
    };
    check_identity(&identity, &path, faults);
    if tls.require_client_cert && tls.ca.is_none() {
        let value = "require_client_cert".to_owned();
        faults.add(
            path.key("require_client_cert"),
            Problem::Needs {
                value,
                key: "sip.tls.ca",
            },
        );
    }
    let ca = tls.ca.as_ref().map(|ca| folder.join(ca));
    check_ca(ca.as_deref(), &path, faults);
    SipTls {
        identity,
        ca,
        require_client_cert: tls.require_client_cert,
        min: tls.min,
    }
}

/// A trunk's `tls`, its files looked at.
pub(super) fn trunk(
    tls: Option<&file::tls::TrunkTls>,
    shared: &Shared<'_>,
    path: &KeyPath,
    faults: &mut Faults,
) -> Option<TrunkTls> {
    let (tls, folder, path) = (tls?, shared.folder, &path.key("tls"));
    let identity = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => {
            let identity = IdentityFiles {
                cert: folder.join(cert),
                key: folder.join(key),
            };
            check_identity(&identity, path, faults);
            Some(identity)
        }
        (Some(_), None) => {
            let value = "cert".to_owned();
            faults.add(
                path.key("cert"),
                Problem::Needs {
                    value,
                    key: "tls.key",
                },
            );
            None
        }
        (None, Some(_)) => {
            let value = "key".to_owned();
            faults.add(
                path.key("key"),
                Problem::Needs {
                    value,
                    key: "tls.cert",
                },
            );
            None
        }
        (None, None) => None,
    };
    let ca = tls.ca.as_ref().map(|ca| folder.join(ca));
    check_ca(ca.as_deref(), path, faults);
    let name = tls.name.as_ref().map(|name| name.to_ascii_lowercase());
    if let Some(name) = &name {
        check_name(name, &path.key("name"), faults);
    }
    let listeners = shared.sip.tls.as_ref();
    let is_asked_of_all = listeners.is_some_and(|tls| tls.require_client_cert);
    Some(TrunkTls {
        ca,
        is_known_by_certificate: identity.is_some() || is_asked_of_all,
        identity,
        name,
        min: tls.min,
    })
}

/// What trunks must not do beside each other, and what one must not do to itself. Trunks that share a source
/// are told apart by certificates, which they then all need.
pub(super) fn settle(trunks: &mut [Trunk], faults: &mut Faults) {
    for index in 0..trunks.len() {
        let (before, rest) = trunks.split_at_mut(index);
        let Some(trunk) = rest.first_mut() else { continue };
        let path = KeyPath::default().key("trunk").index(index);
        for (position, other) in before.iter_mut().enumerate() {
            for at in 0..trunk.allow.len() {
                share(trunk, other, at, &path.key("allow").index(at), faults);
            }
            check_peers(trunk, (position, other), &path, faults);
        }
    }
    for (index, trunk) in trunks.iter().enumerate() {
        let clear = |host: &Host| host.transport() != Transport::Tls;
        if let Some(at) = trunk
            .hosts
            .iter()
            .position(clear)
            .filter(|_| trunk.is_known_by_certificate())
        {
            let here = KeyPath::default()
                .key("trunk")
                .index(index)
                .key("hosts")
                .index(at);
            faults.add(here, Problem::ClearPeer);
        }
    }
}

/// Where two trunks have one network, their `tls.name` must tell them apart.
fn share(trunk: &mut Trunk, other: &mut Trunk, at: usize, here: &KeyPath, faults: &mut Faults) {
    let Some(network) = trunk
        .allow
        .get(at)
        .copied()
        .filter(|network| other.allow.contains(network))
    else {
        return;
    };
    if let (Some(this), Some(that)) = (&mut trunk.tls, &mut other.tls)
        && this.name.is_some()
        && that.name.is_some()
        && this.name != that.name
    {
        this.is_known_by_certificate = true;
        that.is_known_by_certificate = true;
        if (&this.ca, this.min) != (&that.ca, that.min) {
            let other = other.name.clone();
            faults.add(here.clone(), Problem::SharedAllowChain { other });
        }
        return;
    }
    let problem = Problem::SharedAllow {
        network: format!("{}/{}", network.address, network.prefix),
        this: trunk.name.clone(),
        other: other.name.clone(),
    };
    faults.add(here.clone(), problem);
}

/// One address and port is one connection, and that is opened with one trunk's `tls`.
fn check_peers(trunk: &Trunk, (position, other): (usize, &Trunk), path: &KeyPath, faults: &mut Faults) {
    let is_same = |this: &Host, that: &Host| {
        let are_tls = this.transport() == Transport::Tls && that.transport() == Transport::Tls;
        are_tls && (this.site == that.site || this.literal().is_some() && this.literal() == that.literal())
    };
    for (index, host) in trunk.hosts.iter().enumerate() {
        let Some(at) = other.hosts.iter().position(|that| is_same(host, that)) else {
            continue;
        };
        if trunk.tls == other.tls {
            continue;
        }
        let other = KeyPath::default()
            .key("trunk")
            .index(position)
            .key("hosts")
            .index(at);
        let problem = Problem::Duplicate {
            value: format!("{};transport=tls", host.site.host),
            other: other.to_string(),
            remedy: "one connection serves both, so give both trunks the same `tls`",
        };
        faults.add(path.key("hosts").index(index), problem);
    }
}

fn check_name(name: &str, path: &KeyPath, faults: &mut Faults) {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let is_domain = bare.split('.').all(|label| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    });
    if !is_domain && name.parse::<std::net::IpAddr>().is_err() {
        faults.malformed(
            path.clone(),
            name,
            "a name that a certificate shows; write a domain like `sip.example.com`, or an address",
        );
    }
}

fn check_identity(files: &IdentityFiles, path: &KeyPath, faults: &mut Faults) {
    if let Err(error) = certificate::identity(files) {
        bad_file(&error, path, faults);
    }
}

fn check_ca(ca: Option<&Path>, path: &KeyPath, faults: &mut Faults) {
    if let Some(Err(error)) = ca.map(certificate::roots) {
        bad_file(&error, path, faults);
    }
}

fn bad_file(error: &CertificateError, path: &KeyPath, faults: &mut Faults) {
    let key = match error.part {
        Part::Cert => "cert",
        Part::Key => "key",
        Part::Ca => "ca",
    };
    let problem = Problem::BadFile {
        path: error.path.display().to_string(),
        why: error.fault.to_string(),
    };
    faults.add(path.key(key), problem);
}
