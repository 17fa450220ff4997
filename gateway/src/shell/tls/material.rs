//! What stands in the certificate files, and whether they have changed since.
//!
//! A file that cannot be used any more leaves what was read from it before in use. Knows nothing of rustls'
//! configurations or of connections.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::sign::CertifiedKey;

use crate::certificate::{self, CertificateError};
use crate::config::{Config, IdentityFiles};

/// Everything read, by its files.
#[derive(Debug, Default)]
pub struct Material {
    identities: BTreeMap<IdentityFiles, Read<CertifiedKey>>,
    /// Without a path: the system's CAs, read once.
    roots: BTreeMap<Option<PathBuf>, Read<RootCertStore>>,
}

#[derive(Debug)]
struct Read<T> {
    value: Arc<T>,
    /// How the files looked when they were read.
    looks: Vec<Looks>,
    /// How they looked at the last look.
    seen: Vec<Looks>,
}

/// What changes when a file is written or replaced; none: it is not there.
type Looks = Option<(SystemTime, u64, u64)>;

/// How far a look goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Files that changed and have looked the same for one look since: a pair may be half replaced.
    Settled,
    /// Files that changed.
    AtOnce,
}

/// What a look led to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Files or pairs read anew.
    pub renewed: usize,
    /// Those that cannot be used; what was read before stays.
    pub failed: Vec<CertificateError>,
}

impl Material {
    /// Reads everything a configuration names.
    pub fn read(config: &Config) -> Result<Material, CertificateError> {
        let mut material = Material::default();
        let Some(listeners) = &config.sip.tls else {
            return Ok(material);
        };
        let of_trunks = || config.trunks.iter().filter_map(|trunk| trunk.tls.as_ref());
        let identities = of_trunks().filter_map(|tls| tls.identity.as_ref());
        for files in identities.chain([&listeners.identity]) {
            let read = Read::new(certificate::identity(files)?, looks(&[&files.cert, &files.key]));
            material.identities.insert(files.clone(), read);
        }
        for path in of_trunks().filter_map(|tls| tls.ca.as_ref()).chain(&listeners.ca) {
            let read = Read::new(Arc::new(certificate::roots(path)?), looks(&[path]));
            material.roots.insert(Some(path.clone()), read);
        }
        let system = Read::new(Arc::new(certificate::system_roots()), Vec::new());
        material.roots.insert(None, system);
        Ok(material)
    }

    /// A certificate with its key.
    pub fn identity(&self, files: &IdentityFiles) -> Option<Arc<CertifiedKey>> {
        self.identities.get(files).map(|read| Arc::clone(&read.value))
    }

    /// The CAs of a file, or the system's.
    pub fn roots(&self, path: Option<&PathBuf>) -> Option<Arc<RootCertStore>> {
        self.roots.get(&path.cloned()).map(|read| Arc::clone(&read.value))
    }

    /// Reads anew what has changed.
    pub fn renew(&mut self, look: Look) -> Outcome {
        let mut outcome = Outcome::default();
        for (files, read) in &mut self.identities {
            let found = looks(&[&files.cert, &files.key]);
            read.renew(found, look, &mut outcome, || certificate::identity(files));
        }
        for (path, read) in &mut self.roots {
            let Some(path) = path else { continue };
            let found = looks(&[path]);
            read.renew(found, look, &mut outcome, || {
                certificate::roots(path).map(Arc::new)
            });
        }
        outcome
    }
}

impl<T> Read<T> {
    fn new(value: Arc<T>, looks: Vec<Looks>) -> Read<T> {
        let seen = looks.clone();
        Read { value, looks, seen }
    }

    fn renew(
        &mut self,
        found: Vec<Looks>,
        look: Look,
        outcome: &mut Outcome,
        read: impl FnOnce() -> Result<Arc<T>, CertificateError>,
    ) {
        let is_settled = look == Look::AtOnce || found == self.seen;
        self.seen.clone_from(&found);
        if found == self.looks || !is_settled {
            return;
        }
        // A file that cannot be used is told of once, and looked at again when it has changed again.
        self.looks = found;
        match read() {
            Ok(value) => {
                self.value = value;
                outcome.renewed += 1;
            }
            Err(error) => outcome.failed.push(error),
        }
    }
}

fn looks(paths: &[&Path]) -> Vec<Looks> {
    let look = |path: &&Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    };
    paths.iter().map(look).collect()
}
