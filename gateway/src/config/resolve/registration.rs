//! Who must prove who he is, who may register here, and where we do.
//!
//! Reads the files of users, once. Must not know requests.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sip::auth::Users;

use super::super::file;
use super::super::trunk::{AcceptRegister, Register};
use super::{Faults, KeyPath, Problem};

/// Longest file of users, bytes: [`USERS_MAX`](sip::auth::USERS_MAX) lines of both algorithms have less.
const USERS_FILE_BYTES_MAX: u64 = 32 << 20;
/// Permission bits that make a file of users everyone's.
const EVERYONE: u32 = 0o007;

/// The users that requests of this trunk must be of: its own list, else that of the phones that register.
pub(super) fn challenge(
    entry: &file::trunk::Trunk,
    accept_register: Option<&AcceptRegister>,
    folder: &Path,
    path: &KeyPath,
    faults: &mut Faults,
) -> Option<Arc<Users>> {
    match &entry.challenge {
        Some(challenge) => {
            let (file, realm) = (&challenge.users_file, &challenge.realm);
            users(file, realm, folder, &path.key("challenge"), faults)
        }
        None => accept_register.map(|phones| phones.users.clone()),
    }
}

/// Registrations taken here.
pub(super) fn accept_register(
    entry: &file::trunk::Trunk,
    folder: &Path,
    path: &KeyPath,
    faults: &mut Faults,
) -> Option<AcceptRegister> {
    let accept = entry.accept_register.as_ref()?;
    let (file, realm) = (&accept.users_file, &accept.realm);
    let users = users(file, realm, folder, &path.key("accept_register"), faults)?;
    Some(AcceptRegister {
        users,
        max: usize::try_from(accept.max).unwrap_or(usize::MAX),
    })
}

/// Our registration.
pub(super) fn register(entry: &file::trunk::Trunk, path: &KeyPath, faults: &mut Faults) -> Option<Register> {
    let mut needs = |key: &str, value: &str, wanted: &'static str| {
        let value = value.to_owned();
        faults.add(path.key(key), Problem::Needs { value, key: wanted });
    };
    if entry.gin && !entry.register {
        needs("gin", "true", "register");
    }
    if !entry.register {
        return None;
    }
    if entry.auth.is_none() {
        needs("register", "true", "auth");
    }
    if entry.hosts.is_empty() {
        needs("register", "true", "hosts");
    }
    Some(Register {
        expires: Duration::from_secs(entry.register_expires_s.into()),
        is_bulk: entry.gin,
        domain: entry.from_host.clone(),
    })
}

fn users(file: &str, realm: &str, folder: &Path, path: &KeyPath, faults: &mut Faults) -> Option<Arc<Users>> {
    if realm.contains(['"', '\\']) || realm.chars().any(char::is_control) {
        let expected = "a realm; write a name without quotes, backslashes and control characters";
        faults.malformed(path.key("realm"), realm, expected);
        return None;
    }
    let file = folder.join(file);
    match read(&file).and_then(|text| Users::parse(&text, realm).map_err(|error| error.to_string())) {
        Ok(users) => Some(Arc::new(users)),
        Err(why) => {
            let path_text = file.display().to_string();
            let problem = Problem::BadFile { path: path_text, why };
            faults.add(path.key("users_file"), problem);
            None
        }
    }
}

fn read(file: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let about = std::fs::metadata(file).map_err(unreadable)?;
    let mode = about.permissions().mode();
    if mode & EVERYONE != 0 {
        return Err(format!(
            "is open to everyone (mode {:03o}); its hashes are as good as passwords: chmod o= it",
            mode & 0o777
        ));
    }
    if about.len() > USERS_FILE_BYTES_MAX {
        return Err(format!("must have at most {USERS_FILE_BYTES_MAX} bytes"));
    }
    std::fs::read_to_string(file).map_err(unreadable)
}
