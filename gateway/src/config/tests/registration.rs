//! Registration and digest: what a trunk may say, and the files it names.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

const MD5: &str = "anna:phones:939e7578ed9e3c518a452acee763bce9\n";
const SHA_256: &str = "bert:phones:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\n";

/// A folder of one test with a file of users in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, users: &str, mode: u32) -> Self {
        let folder = std::env::temp_dir().join(format!("config-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("users");
        std::fs::write(&file, users).unwrap();
        std::fs::write(folder.join("password"), "geheim\n").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        Folder(folder)
    }

    fn parse(&self, line: &str) -> Result<Config, String> {
        let path = self.0.join("gateway.toml");
        let text = format!("{CARRIER}{line}\n");
        Config::parse(&text, &path, None).map_err(|error| {
            let text = error.to_string();
            text.replace(&self.0.display().to_string(), "DIR")
        })
    }

    #[track_caller]
    fn refused(&self, line: &str, expected: &[&str]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|line| format!("DIR/gateway.toml:4: trunk[0].{line}"))
            .collect();
        assert_eq!(self.parse(line), Err(expected.join("\n")), "{line}");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const ACCEPT: &str = "accept_register = { users_file = \"users\", realm = \"phones\" }";

#[test]
fn phones_that_register_are_asked_for_everything_unless_there_is_a_list_of_its_own() {
    let folder = Folder::new(
        "accept",
        &format!("{MD5}{MD5}").replacen("anna", "carl", 1),
        0o600,
    );
    let config = folder.parse(ACCEPT).unwrap();
    let trunk = &config.trunks[0];
    let accept = trunk.accept_register.as_ref().unwrap();
    assert_eq!((accept.users.len(), accept.max), (2, 1000));
    assert_eq!(trunk.challenge.as_ref(), Some(&accept.users));
    assert!(
        trunk
            .profile()
            .contains("\n  accept_register = 2 users of realm phones, max 1000\n")
    );
    assert!(
        trunk
            .profile()
            .contains("\n  challenge = 2 users of realm phones\n")
    );

    std::fs::write(folder.0.join("pbx"), "pbx:pbx:939e7578ed9e3c518a452acee763bce9\n").unwrap();
    std::fs::set_permissions(folder.0.join("pbx"), Permissions::from_mode(0o640)).unwrap();
    let both = format!("{ACCEPT}\nchallenge = {{ users_file = \"pbx\", realm = \"pbx\" }}");
    let config = folder.parse(&both).unwrap();
    assert_eq!(config.trunks[0].challenge.as_ref().unwrap().realm(), "pbx");
}

#[test]
fn a_file_of_users_is_refused_with_what_to_do_about_it() {
    let open = Folder::new("open", MD5, 0o644);
    open.refused(
        ACCEPT,
        &["accept_register.users_file: DIR/users: is open to everyone (mode 644); its hashes are as good as passwords: chmod o= it"],
    );
    let mixed = Folder::new("mixed", &format!("{MD5}{SHA_256}"), 0o600);
    mixed.refused(
        ACCEPT,
        &["accept_register.users_file: DIR/users: some users have only an MD5 hash and others only a SHA-256 one: give each both, or all the same"],
    );
    mixed.refused(
        "challenge = { users_file = \"users\", realm = \"elsewhere\" }",
        &["challenge.users_file: DIR/users: no line is of this realm"],
    );
    mixed.refused(
        "challenge = { users_file = \"none\", realm = \"phones\" }",
        &["challenge.users_file: DIR/none: cannot be read: No such file or directory (os error 2)"],
    );
    let clear = Folder::new("clear", "anna:phones:secret\n", 0o600);
    clear.refused(
        ACCEPT,
        &["accept_register.users_file: DIR/users: line 1 must be `user:realm:hash`, the hash with 32 (MD5) or 64 (SHA-256) hex digits"],
    );
    clear.refused(
        "challenge = { users_file = \"users\", realm = 'a\"b' }",
        &["challenge.realm: `a\"b` is not a realm; write a name without quotes, backslashes and control characters"],
    );
    clear.refused(
        "accept_register = { users_file = \"users\", realm = \"phones\", max = 0 }",
        &["accept_register.max: must be 1 to 100000, is 0"],
    );
}

#[test]
fn a_trunk_that_registers_needs_an_account_and_somewhere_to_go() {
    let folder = Folder::new("register", MD5, 0o600);
    folder.refused(
        "register = true",
        &[
            "register: `true` needs `auth`; set it",
            "register: `true` needs `hosts`; set it",
        ],
    );
    folder.refused("gin = true", &["gin: `true` needs `register`; set it"]);
    folder.refused(
        "register_expires_s = 59",
        &["register_expires_s: must be 60 to 86400, is 59"],
    );
    let whole = "register = true\nregister_expires_s = 600\ngin = true\nhosts = [\"192.0.2.9\"]\n\
                 from_host = \"carrier.example\"\nauth = { username = \"u\", password_file = \"password\" }";
    let config = folder.parse(whole).unwrap();
    let register = config.trunks[0].register.as_ref().unwrap();
    assert_eq!(
        (register.expires, register.is_bulk),
        (Duration::from_secs(600), true)
    );
    assert_eq!(register.domain.as_deref(), Some("carrier.example"));
    assert!(
        config.trunks[0]
            .profile()
            .contains("\n  register_expires_s = 600\n")
    );
}
