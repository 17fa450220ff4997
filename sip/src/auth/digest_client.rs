//! The answers to one challenge.

use std::fmt;

use super::Challenge;
use crate::message::{Method, Response, StatusCode, Uri, quote};

/// A user and password for [`DigestClient::authorize`].
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// User name of the account.
    pub username: &'a str,
    /// Its password; never printed.
    pub password: &'a str,
}

/// Which headers carry a challenge and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthHeaders {
    /// 401: WWW-Authenticate, Authorization.
    Server,
    /// 407: Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

/// One challenge and how often its nonce was used.
#[derive(Clone, Debug)]
pub struct DigestClient {
    challenge: Challenge,
    headers: AuthHeaders,
    /// Requests sent with this nonce (RFC 7616 §3.4 `nc`).
    uses: u32,
}

impl AuthHeaders {
    /// The pair that belongs to a status; `None` for all but 401 and 407.
    pub fn of(status: StatusCode) -> Option<AuthHeaders> {
        match status {
            StatusCode::UNAUTHORIZED => Some(AuthHeaders::Server),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Some(AuthHeaders::Proxy),
            _ => None,
        }
    }

    /// The header the challenge stands in.
    pub fn challenge(self) -> &'static str {
        match self {
            AuthHeaders::Server => "WWW-Authenticate",
            AuthHeaders::Proxy => "Proxy-Authenticate",
        }
    }

    /// The header the answer goes into.
    pub fn answer(self) -> &'static str {
        match self {
            AuthHeaders::Server => "Authorization",
            AuthHeaders::Proxy => "Proxy-Authorization",
        }
    }
}

impl DigestClient {
    /// What can be answered of a 401 or 407; with `realm` only a challenge of that realm.
    pub fn from_response(response: &Response, realm: Option<&str>) -> Option<DigestClient> {
        let headers = AuthHeaders::of(response.status)?;
        let challenge = Challenge::choose(response.headers.get_all(headers.challenge()), realm)?;
        Some(DigestClient::new(challenge, headers))
    }

    /// A client of one challenge, its nonce unused.
    pub fn new(challenge: Challenge, headers: AuthHeaders) -> DigestClient {
        DigestClient {
            challenge,
            headers,
            uses: 0,
        }
    }

    /// The value of [`DigestClient::header`] for one request to `uri`. `cnonce` is fresh and random; the
    /// nonce count goes up by one.
    pub fn authorize(&mut self, login: Login<'_>, method: &Method, uri: &Uri, cnonce: &str) -> String {
        self.authorize_text(login, method.as_str(), &uri.to_string(), cnonce)
    }

    fn authorize_text(&mut self, login: Login<'_>, method: &str, uri: &str, cnonce: &str) -> String {
        self.uses = self.uses.saturating_add(1);
        let response = self.response(login, method, uri, cnonce);
        let Challenge {
            realm,
            nonce,
            opaque,
            algorithm,
            has_qop_auth,
            ..
        } = &self.challenge;
        let username = quote(login.username);
        let mut value = format!(
            "Digest username={username}, realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={}",
            algorithm.name()
        );
        if *has_qop_auth {
            value.push_str(&format!(", qop=auth, nc={:08x}", self.uses));
        }
        if *has_qop_auth || algorithm.is_session() {
            value.push_str(&format!(", cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = opaque {
            value.push_str(&format!(", opaque=\"{opaque}\""));
        }
        value
    }

    /// The header the value goes into.
    pub fn header(&self) -> &'static str {
        self.headers.answer()
    }

    /// The challenge.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// `request-digest` (RFC 7616 §3.4.1; without qop RFC 2617 §3.2.2.1).
    fn response(&self, login: Login<'_>, method: &str, uri: &str, cnonce: &str) -> String {
        let Challenge {
            realm,
            nonce,
            algorithm,
            has_qop_auth,
            ..
        } = &self.challenge;
        let hash = |text: String| algorithm.hash(&text);
        let mut secret = hash(format!("{}:{realm}:{}", login.username, login.password));
        if algorithm.is_session() {
            secret = hash(format!("{secret}:{nonce}:{cnonce}"));
        }
        let request = hash(format!("{method}:{uri}"));
        match has_qop_auth {
            true => hash(format!(
                "{secret}:{nonce}:{:08x}:{cnonce}:auth:{request}",
                self.uses
            )),
            false => hash(format!("{secret}:{nonce}:{request}")),
        }
    }
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Algorithm;

    fn client(challenge: &str) -> DigestClient {
        DigestClient::new(Challenge::choose([challenge], None).unwrap(), AuthHeaders::Server)
    }

    fn response_of(value: &str) -> &str {
        value
            .split("response=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
    }

    const MUFASA: Login<'_> = Login {
        username: "Mufasa",
        password: "Circle of Life",
    };

    #[test]
    fn rfc_7616_section_3_9_1_md5_and_sha_256() {
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let challenge = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let value = client(&challenge).authorize_text(MUFASA, "GET", "/dir/index.html", cnonce);
            assert_eq!(response_of(&value), expected);
            assert_eq!(
                value,
                format!(
                    "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
                     nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
                     response=\"{expected}\", algorithm={algorithm}, qop=auth, nc=00000001, cnonce=\"{cnonce}\", \
                     opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
                )
            );
        }
    }

    #[test]
    fn rfc_7616_section_3_9_2_sha_512_256_as_corrected_by_erratum_4897() {
        let challenge = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
                         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\"";
        let login = Login {
            username: "J\u{e4}s\u{f8}n Doe",
            password: "Secret, or not?",
        };
        let value = client(challenge).authorize_text(
            login,
            "GET",
            "/doe.json",
            "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
        );
        assert_eq!(
            response_of(&value),
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        );
    }

    #[test]
    fn rfc_2617_section_3_5() {
        let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let login = Login {
            username: "Mufasa",
            password: "Circle Of Life",
        };
        let value = client(challenge).authorize_text(login, "GET", "/dir/index.html", "0a4f113b");
        assert_eq!(response_of(&value), "6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn rfc_2069_form_without_qop_has_no_count() {
        let challenge = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let login = Login {
            username: "Mufasa",
            password: "Circle Of Life",
        };
        let value = client(challenge).authorize_text(login, "GET", "/dir/index.html", "x");
        assert_eq!(response_of(&value), "670fd8c2df070c60b045671b8b24ff02");
        assert!(!value.contains("nc=") && !value.contains("cnonce"));
    }

    #[test]
    fn nonce_count_goes_up_with_each_request() {
        let mut client = client("Digest realm=\"r\", nonce=\"n\", qop=\"auth\"");
        let uri = Uri::parse("sip:r").unwrap();
        let mut next = || client.authorize(MUFASA, &Method::Invite, &uri, "c");
        assert!(next().contains("nc=00000001"));
        let second = next();
        assert!(second.contains("nc=00000002") && response_of(&second) != response_of(&next()));
    }

    #[test]
    fn password_is_not_printed() {
        assert_eq!(format!("{MUFASA:?}"), "Login { username: \"Mufasa\", .. }");
        assert_eq!(Algorithm::parse("sha-256"), Some(Algorithm::Sha256));
    }
}
