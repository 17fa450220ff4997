//! One account at a carrier: what answers its challenges, and the nonces it has from there.
//!
//! A nonce is used again, its count going up, until the peer wants another (RFC 7616 §3.4, RFC 3261 §22.3):
//! requests after the first are not refused first. It goes to the address that gave it only
//! (docs/threats.md: B16). Must not know sessions or registrations.

use std::net::IpAddr;

use super::{DigestClient, Login};
use crate::endpoint::Credentials;
use crate::message::{Method, Response, Uri};

/// Credentials and what they were challenged with.
#[derive(Clone, Debug)]
pub struct Account {
    credentials: Credentials,
    /// At most one for each pair of headers.
    digests: Vec<Digest>,
}

#[derive(Clone, Debug)]
struct Digest {
    client: DigestClient,
    /// Who gave the nonce.
    source: IpAddr,
}

/// What an account learnt from a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// The header its answer goes into.
    pub header: &'static str,
    /// Only the nonce was too old.
    pub stale: bool,
}

impl Account {
    /// An account that was not challenged yet.
    pub fn new(credentials: Credentials) -> Self {
        Account {
            credentials,
            digests: vec![],
        }
    }

    /// Takes a 401 or 407 in; `None` where nothing in it can be answered. The first realm is kept where none
    /// was named.
    pub fn learn(&mut self, response: &Response, source: IpAddr) -> Option<Learnt> {
        let client = DigestClient::from_response(response, self.credentials.realm.as_deref())?;
        let learnt = Learnt {
            header: client.header(),
            stale: client.challenge().stale,
        };
        self.credentials
            .realm
            .get_or_insert_with(|| client.challenge().realm.clone());
        let known = self
            .digests
            .iter_mut()
            .find(|one| one.client.header() == learnt.header);
        match known {
            // The count of a nonce goes on when the peer gives it again.
            Some(known) if known.client.challenge().nonce == client.challenge().nonce => {}
            Some(known) => *known = Digest { client, source },
            None => self.digests.push(Digest { client, source }),
        }
        Some(learnt)
    }

    /// Headers for one more request to `target`, with every nonce we have from there.
    pub fn authorize(
        &mut self,
        method: &Method,
        uri: &Uri,
        target: IpAddr,
        cnonce: &str,
    ) -> Vec<(&'static str, String)> {
        let login = Login {
            username: &self.credentials.username,
            password: &self.credentials.password,
        };
        let ours = self.digests.iter_mut().filter(|one| one.source == target);
        ours.map(|one| {
            let value = one.client.authorize(login, method, uri, cnonce);
            (one.client.header(), value)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AuthHeaders;
    use crate::message::{Message, parse};

    fn refusal(status: u16, header: &str, nonce: &str) -> Response {
        let text = format!(
            "SIP/2.0 {status} Denied\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n\
             {header}: Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\"\r\nContent-Length: 0\r\n\r\n"
        );
        match parse(&text.into()) {
            Ok(Message::Response(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    fn account() -> Account {
        Account::new(Credentials {
            username: "user".into(),
            password: "secret".into(),
            realm: None,
        })
    }

    #[test]
    fn both_kinds_of_challenge_are_answered_with_counts_of_their_own() {
        let (mut account, here) = (account(), "192.0.2.2".parse().unwrap());
        let uri = Uri::parse("sip:b").unwrap();
        let next = |account: &mut Account| {
            let values = account.authorize(&Method::Register, &uri, here, "c");
            let counts = values.into_iter().map(|(header, value)| {
                let count = value.split("nc=").nth(1).map(|rest| rest[..8].to_owned());
                (header, count.unwrap())
            });
            counts.collect::<Vec<_>>()
        };
        assert_eq!(next(&mut account), []);
        let learnt = account.learn(&refusal(407, AuthHeaders::Proxy.challenge(), "p"), here);
        assert_eq!(learnt.map(|learnt| learnt.header), Some("Proxy-Authorization"));
        assert_eq!(
            next(&mut account),
            [("Proxy-Authorization", "00000001".to_owned())]
        );
        account.learn(&refusal(401, AuthHeaders::Server.challenge(), "s"), here);
        let both = [("Proxy-Authorization", "00000002"), ("Authorization", "00000001")];
        assert_eq!(
            next(&mut account),
            both.map(|(name, count)| (name, count.to_owned()))
        );
        // The same nonce again goes on, another one begins anew.
        account.learn(&refusal(407, AuthHeaders::Proxy.challenge(), "p"), here);
        account.learn(&refusal(401, AuthHeaders::Server.challenge(), "t"), here);
        let both = [("Proxy-Authorization", "00000003"), ("Authorization", "00000001")];
        assert_eq!(
            next(&mut account),
            both.map(|(name, count)| (name, count.to_owned()))
        );
    }

    #[test]
    fn a_nonce_goes_to_the_address_that_gave_it_only() {
        let (mut account, here) = (account(), "192.0.2.2".parse().unwrap());
        account.learn(&refusal(401, "WWW-Authenticate", "n"), here);
        let uri = Uri::parse("sip:b").unwrap();
        let there = "192.0.2.3".parse().unwrap();
        assert_eq!(account.authorize(&Method::Bye, &uri, there, "c"), []);
        assert_eq!(account.authorize(&Method::Bye, &uri, here, "c").len(), 1);
    }
}
