//! Session-Expires: how long a session lives without a refresh, and who refreshes it.

use std::fmt;

use super::grammar::{digits, trim};
use super::params::{Kind, Params};

/// Which side of the transaction that carries the header refreshes (RFC 4028 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// Whoever sent the request.
    Uac,
    /// Whoever answers it.
    Uas,
}

/// One value of Session-Expires (RFC 4028 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// The session interval, seconds.
    pub interval_s: u32,
    /// Who refreshes; none: the answer decides.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads the value; `None` when it does not fit the grammar. A refresher that is neither word counts
    /// as none.
    pub fn parse(text: &str) -> Option<SessionExpires> {
        let (interval, params) = match text.split_once(';') {
            Some((interval, params)) => (interval, Params::parse(params, Kind::Header).ok()?),
            None => (text, Params::default()),
        };
        let refresher = match params.get("refresher").map(str::to_ascii_lowercase).as_deref() {
            Some("uac") => Some(Refresher::Uac),
            Some("uas") => Some(Refresher::Uas),
            Some(_) | None => None,
        };
        Some(SessionExpires {
            interval_s: digits(trim(interval))?,
            refresher,
        })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.interval_s)?;
        match self.refresher {
            Some(Refresher::Uac) => write!(f, ";refresher=uac"),
            Some(Refresher::Uas) => write!(f, ";refresher=uas"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_and_refresher_are_read_and_written() {
        for (text, interval_s, refresher) in [
            ("1800", 1800, None),
            ("90;refresher=uac", 90, Some(Refresher::Uac)),
            ("90 ; refresher=UAS;x=1", 90, Some(Refresher::Uas)),
            ("4000;refresher=me", 4000, None),
        ] {
            let expected = SessionExpires {
                interval_s,
                refresher,
            };
            assert_eq!(SessionExpires::parse(text), Some(expected), "{text}");
            assert_eq!(SessionExpires::parse(&expected.to_string()), Some(expected));
        }
        for broken in ["", "soon", "-1", "4294967296", ";refresher=uac"] {
            assert_eq!(SessionExpires::parse(broken), None, "{broken}");
        }
    }
}
