//! What a trunk vouches for and whom it believes: anchors, certificates and the key, read from their files.

use std::path::Path;
use std::sync::Arc;

use super::super::Fetching;
use super::super::file;
use super::super::file::trunk::{StirAttest, StirIn, StirOut};
use super::super::trunk::{Stir, Trunk};
use super::{Faults, KeyPath, Problem};
use crate::certificate;
use crate::stir::{Attest, CertificateHost, Signer, Trust};

/// Files of one `stir_certs` folder.
const CERTIFICATES_MAX: usize = 4096;
/// Folders of it inside one another: a host, and the path of a URL.
const DEPTH_MAX: usize = 8;
/// Longest file of anchors or of a key, bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn stir(entry: &file::trunk::Trunk, folder: &Path, path: &KeyPath, faults: &mut Faults) -> Stir {
    let mut trust = Trust::default();
    if let Some(name) = &entry.stir_anchors {
        let here = path.key("stir_anchors");
        let file = folder.join(name);
        if let Some(pem) = read(&file, &here, faults)
            && let Err(error) = trust.add_anchors(&pem)
        {
            bad_file(&file, &error.to_string(), &here, faults);
        }
    }
    if let Some(name) = &entry.stir_certs {
        let root = folder.join(name);
        add_certificates(&mut trust, &root, &path.key("stir_certs"), faults);
    }
    let needs_anchors = matches!(entry.stir_in, StirIn::Verify | StirIn::Require);
    if needs_anchors && entry.stir_anchors.is_none() {
        needs(entry.stir_in.word(), "stir_anchors", &path.key("stir_in"), faults);
    }
    Stir {
        incoming: entry.stir_in,
        trust: Arc::new(trust),
        hosts: hosts(entry, path, faults),
        signer: match entry.stir_out {
            StirOut::Off => None,
            StirOut::Sign => signer(entry, folder, path, faults),
        },
    }
}

/// A list that nothing asks is a mistake: whoever wrote it expects certificates to be fetched.
fn hosts(entry: &file::trunk::Trunk, path: &KeyPath, faults: &mut Faults) -> Vec<CertificateHost> {
    let here = path.key("stir_hosts");
    let is_asked = matches!(entry.stir_in, StirIn::Verify | StirIn::Require);
    if !entry.stir_hosts.is_empty() && !is_asked {
        needs("stir_hosts", "stir_in = \"verify\"", &here, faults);
    }
    let mut hosts = Vec::with_capacity(entry.stir_hosts.len());
    for (index, text) in entry.stir_hosts.iter().enumerate() {
        match CertificateHost::parse(text) {
            Some(host) => hosts.push(host),
            None => faults.malformed(
                here.index(index),
                text,
                "a host; write one like `cert.example.com` or `cert.example.com:8443`",
            ),
        }
    }
    hosts
}

/// How certificates are fetched, its file looked at.
pub(super) fn fetching(stir: &file::Stir, trunks: &[Trunk], folder: &Path, faults: &mut Faults) -> Fetching {
    let is_wanted = trunks.iter().any(|trunk| !trunk.stir.hosts.is_empty());
    let ca = stir.fetch_ca.as_ref().map(|ca| folder.join(ca));
    if let Some(ca) = &ca {
        let here = KeyPath::default().key("stir").key("fetch_ca");
        if !is_wanted {
            needs("fetch_ca", "trunk.stir_hosts", &here, faults);
        }
        if let Err(error) = certificate::roots(ca) {
            bad_file(ca, &error.fault.to_string(), &here, faults);
        }
    }
    Fetching { is_wanted, ca }
}

fn signer(entry: &file::trunk::Trunk, folder: &Path, path: &KeyPath, faults: &mut Faults) -> Option<Signer> {
    let here = path.key("stir_out");
    let word = StirOut::Sign.word();
    if entry.stir_attest.is_none() {
        needs(word, "stir_attest", &here, faults);
    }
    let Some(x5u) = &entry.stir_x5u else {
        needs(word, "stir_x5u", &here, faults);
        return None;
    };
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\".contains(&byte);
    if !x5u.starts_with("https://") || !x5u.bytes().all(is_plain) {
        let expected = "the URL of our certificate; write one like `https://cert.example.com/stir.pem`";
        faults.malformed(path.key("stir_x5u"), x5u, expected);
    }
    let Some(key) = &entry.stir_key else {
        needs(word, "stir_key", &here, faults);
        return None;
    };
    let attest = match entry.stir_attest? {
        StirAttest::A => Attest::A,
        StirAttest::B => Attest::B,
        StirAttest::C => Attest::C,
    };
    let here = path.key("stir_key");
    let file = folder.join(key);
    let pem = String::from_utf8(read(&file, &here, faults)?).unwrap_or_default();
    let signer = Signer::new(&pem, x5u, attest);
    signer
        .inspect_err(|error| bad_file(&file, &error.to_string(), &here, faults))
        .ok()
}

/// A folder as `wget -x` leaves it: `HOST/PATH` is the certificate of `https://HOST/PATH`.
fn add_certificates(trust: &mut Trust, root: &Path, path: &KeyPath, faults: &mut Faults) {
    let mut folders = vec![(root.to_owned(), "https:/".to_owned(), 0)];
    while let Some((folder, url, depth)) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => return bad_file(&folder, &format!("cannot be read: {error}"), path, faults),
        };
        for entry in entries.flatten() {
            let (file, name) = (entry.path(), entry.file_name());
            let url = format!("{url}/{}", name.to_string_lossy());
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth < DEPTH_MAX {
                folders.push((file, url, depth + 1));
                continue;
            }
            if !kind.is_file() {
                continue;
            }
            if trust.chains() >= CERTIFICATES_MAX {
                let why = format!("holds more than {CERTIFICATES_MAX} certificates; remove some");
                return bad_file(root, &why, path, faults);
            }
            let Some(pem) = read(&file, path, faults) else {
                continue;
            };
            if let Err(error) = trust.add_chain(&url, &pem) {
                bad_file(&file, &error.to_string(), path, faults);
            }
        }
    }
}

fn read(file: &Path, path: &KeyPath, faults: &mut Faults) -> Option<Vec<u8>> {
    let fits = std::fs::metadata(file).map(|found| found.len() <= FILE_BYTES_MAX);
    match fits.and_then(|fits| {
        if fits {
            std::fs::read(file).map(Some)
        } else {
            Ok(None)
        }
    }) {
        Ok(Some(bytes)) => Some(bytes),
        Ok(None) => {
            bad_file(
                file,
                &format!("is longer than {FILE_BYTES_MAX} bytes"),
                path,
                faults,
            );
            None
        }
        Err(error) => {
            bad_file(file, &format!("cannot be read: {error}"), path, faults);
            None
        }
    }
}

fn bad_file(file: &Path, why: &str, path: &KeyPath, faults: &mut Faults) {
    let problem = Problem::BadFile {
        path: file.display().to_string(),
        why: why.to_owned(),
    };
    faults.add(path.clone(), problem);
}

fn needs(value: &str, key: &'static str, path: &KeyPath, faults: &mut Faults) {
    let value = value.to_owned();
    faults.add(path.clone(), Problem::Needs { value, key });
}
