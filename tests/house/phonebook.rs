//! Files of users and passwords, as the gateway reads them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sip::auth::{Algorithm, Users};

/// The realm of every phone book written here.
pub const REALM: &str = "phones";

/// The lines of these users, with both hashes.
pub fn lines(users: &[(&str, &str)]) -> String {
    let of = |(user, password): &(&str, &str)| {
        [Algorithm::Md5, Algorithm::Sha256].map(|one| Users::line(user, REALM, password, one))
    };
    users.iter().flat_map(of).map(|line| line + "\n").collect()
}

/// The same with MD5 alone, for peers that know nothing else.
pub fn md5_lines(users: &[(&str, &str)]) -> String {
    let of = |(user, password): &(&str, &str)| Users::line(user, REALM, password, Algorithm::Md5) + "\n";
    users.iter().map(of).collect()
}

/// Writes a file that only we may read.
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A file of these users that nobody else has.
pub fn file(users: &[(&str, &str)]) -> PathBuf {
    secret(&lines(users))
}

/// A file with this text that nobody else has.
pub fn secret(text: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("media-gateway-{}-{number}", std::process::id()));
    write(&path, text);
    path
}
