//! Who may authenticate in one realm: user names, and the hashes that stand for their passwords.
//!
//! ```text
//! # user:realm:H(user:realm:password), hex; 32 digits are MD5 (as htdigest writes it), 64 are SHA-256
//! alice:phones:5f4dcc3b5aa765d61d8327deb882cf99
//! alice:phones:5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8
//! ```
//! A hash opens the account of its realm as the password would, so it is never printed. Must not know files.

use std::collections::BTreeMap;
use std::fmt;

use super::Algorithm;

/// The users of one realm.
#[derive(Clone, PartialEq, Eq)]
pub struct Users {
    realm: String,
    by_name: BTreeMap<String, Hashes>,
    /// Algorithms that every user has a hash for, the better one first.
    offered: Vec<Algorithm>,
}

/// `H(user:realm:password)` in lower-case hex, by algorithm.
#[derive(Clone, Default, PartialEq, Eq)]
struct Hashes {
    md5: Option<String>,
    sha256: Option<String>,
}

/// What keeps a text from being a list of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// A line is not `user:realm:hash`.
    #[error("line {line} must be `user:realm:hash`, the hash with 32 (MD5) or 64 (SHA-256) hex digits")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// A user has two hashes of one algorithm.
    #[error("line {line} names a user of this realm for the second time")]
    Repeated {
        /// Counted from 1.
        line: usize,
    },
    /// No line is of this realm.
    #[error("no line is of this realm")]
    Empty,
    /// No algorithm is there for every user, so none can be asked for.
    #[error(
        "some users have only an MD5 hash and others only a SHA-256 one: give each both, or all the same"
    )]
    Mixed,
    /// There are more users than [`USERS_MAX`].
    #[error("there are more than {USERS_MAX} users")]
    TooMany,
}

/// Users of one realm. Ours: a hundred times the phones of one instance.
pub const USERS_MAX: usize = 100_000;
/// Longest user name, bytes. Ours; a limit of what a binding costs.
pub const USER_BYTES_MAX: usize = 128;

impl Users {
    /// Reads the lines of `realm`; those of other realms are skipped, as are empty ones and `#` comments.
    pub fn parse(text: &str, realm: &str) -> Result<Users, UsersError> {
        let mut by_name: BTreeMap<String, Hashes> = BTreeMap::new();
        for (index, text) in text.lines().enumerate() {
            let (line, text) = (index + 1, text.trim());
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (user, of_realm, hash) = fields(text).ok_or(UsersError::Line { line })?;
            if of_realm != realm {
                continue;
            }
            let hashes = by_name.entry(user.to_owned()).or_default();
            let place = match hash.len() {
                32 => &mut hashes.md5,
                _ => &mut hashes.sha256,
            };
            if place.replace(hash.to_ascii_lowercase()).is_some() {
                return Err(UsersError::Repeated { line });
            }
            if by_name.len() > USERS_MAX {
                return Err(UsersError::TooMany);
            }
        }
        Users::of(realm, by_name)
    }

    /// The line of a user for this algorithm, MD5 or SHA-256, as [`Users::parse`] reads it.
    pub fn line(user: &str, realm: &str, password: &str, algorithm: Algorithm) -> String {
        let hash = algorithm.hash(&format!("{user}:{realm}:{password}"));
        format!("{user}:{realm}:{hash}")
    }

    fn of(realm: &str, by_name: BTreeMap<String, Hashes>) -> Result<Users, UsersError> {
        if by_name.is_empty() {
            return Err(UsersError::Empty);
        }
        let all_have = |algorithm| by_name.values().all(|hashes| hashes.of(algorithm).is_some());
        let offered = [Algorithm::Sha256, Algorithm::Md5];
        let offered: Vec<_> = offered.into_iter().filter(|one| all_have(*one)).collect();
        if offered.is_empty() {
            return Err(UsersError::Mixed);
        }
        Ok(Users {
            realm: realm.to_owned(),
            by_name,
            offered,
        })
    }

    /// Their realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Never true: a realm without users is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// What may be asked of anyone, SHA-256 first (RFC 8760 §2.3). What only some users have a hash for is
    /// left out: asked by name it would tell who exists.
    pub fn offered(&self) -> &[Algorithm] {
        &self.offered
    }

    /// The hash of a user.
    pub(super) fn hash(&self, user: &str, algorithm: Algorithm) -> Option<&str> {
        self.by_name.get(user)?.of(algorithm)
    }
}

impl Hashes {
    fn of(&self, algorithm: Algorithm) -> Option<&str> {
        match algorithm {
            Algorithm::Md5 => self.md5.as_deref(),
            Algorithm::Sha256 => self.sha256.as_deref(),
            Algorithm::Md5Sess
            | Algorithm::Sha256Sess
            | Algorithm::Sha512Of256
            | Algorithm::Sha512Of256Sess => None,
        }
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users")
            .field("realm", &self.realm)
            .field("len", &self.by_name.len())
            .finish_non_exhaustive()
    }
}

/// A user name has no colon, a realm may have some.
fn fields(line: &str) -> Option<(&str, &str, &str)> {
    let (user, rest) = line.split_once(':')?;
    let (realm, hash) = rest.rsplit_once(':')?;
    let is_hash = matches!(hash.len(), 32 | 64) && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_user = (1..=USER_BYTES_MAX).contains(&user.len()) && !user.chars().any(char::is_control);
    (is_hash && is_user).then_some((user, realm, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "939e7578ed9e3c518a452acee763bce9";

    #[test]
    fn lines_as_htdigest_writes_them_are_read() {
        // RFC 2617 §3.5: MD5 of Mufasa:testrealm@host.com:Circle Of Life.
        let line = Users::line("Mufasa", "testrealm@host.com", "Circle Of Life", Algorithm::Md5);
        assert_eq!(line, format!("Mufasa:testrealm@host.com:{MD5}"));
        let sha = Users::line(
            "Mufasa",
            "testrealm@host.com",
            "Circle Of Life",
            Algorithm::Sha256,
        );
        let text = format!("# phones\n\n{line}\r\n other:elsewhere:{MD5}\n{sha}\n");
        let users = Users::parse(&text, "testrealm@host.com").unwrap();
        assert_eq!((users.len(), users.realm()), (1, "testrealm@host.com"));
        assert_eq!(users.hash("Mufasa", Algorithm::Md5), Some(MD5));
        assert_eq!(users.hash("other", Algorithm::Md5), None);
        assert_eq!(users.offered(), [Algorithm::Sha256, Algorithm::Md5]);
    }

    #[test]
    fn only_what_every_user_has_is_offered() {
        let md5 = |user: &str| Users::line(user, "r", "pw", Algorithm::Md5);
        let sha = |user: &str| Users::line(user, "r", "pw", Algorithm::Sha256);
        let offered = |lines: &[String]| Users::parse(&lines.join("\n"), "r").map(|users| users.offered);
        assert_eq!(offered(&[md5("a"), sha("a"), md5("b")]), Ok(vec![Algorithm::Md5]));
        assert_eq!(offered(&[sha("a"), sha("b")]), Ok(vec![Algorithm::Sha256]));
        assert_eq!(offered(&[md5("a"), sha("b")]), Err(UsersError::Mixed));
    }

    #[test]
    fn other_texts_are_refused_by_line() {
        for (text, error) in [
            ("", UsersError::Empty),
            ("a:elsewhere:939e7578ed9e3c518a452acee763bce9", UsersError::Empty),
            ("a:r:secret", UsersError::Line { line: 1 }),
            (
                "\na:939e7578ed9e3c518a452acee763bce9",
                UsersError::Line { line: 2 },
            ),
            (
                ":r:939e7578ed9e3c518a452acee763bce9",
                UsersError::Line { line: 1 },
            ),
            (
                "a:r:939e7578ed9e3c518a452acee763bce9\na:r:939E7578ed9e3c518a452acee763bce9",
                UsersError::Repeated { line: 2 },
            ),
        ] {
            assert_eq!(Users::parse(text, "r").err(), Some(error), "{text}");
        }
    }

    #[test]
    fn hashes_are_not_printed() {
        let users = Users::parse(&format!("a:r:{MD5}"), "r").unwrap();
        assert_eq!(format!("{users:?}"), "Users { realm: \"r\", len: 1, .. }");
    }
}
