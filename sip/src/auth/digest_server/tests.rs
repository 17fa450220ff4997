use super::super::guesses::{GUESS_WINDOW, GUESSES_MAX};
use super::super::{AuthHeaders, Challenge, DigestClient, Login};
use super::*;

const REALM: &str = "phones";

struct Desk {
    server: DigestServer,
    users: Users,
    now: Instant,
    unique: u64,
}

fn desk() -> Desk {
    let lines =
        |user: &str| [Algorithm::Md5, Algorithm::Sha256].map(|one| Users::line(user, REALM, "secret", one));
    let text = [lines("alice"), lines("bob")].concat().join("\n");
    Desk {
        server: DigestServer::new([9; 32]),
        users: Users::parse(&text, REALM).unwrap(),
        now: Instant::now(),
        unique: 0,
    }
}

fn uri() -> Uri {
    Uri::parse("sip:gw.example").unwrap()
}

fn here() -> IpAddr {
    "192.0.2.7".parse().unwrap()
}

impl Desk {
    fn challenges(&mut self, why: Why) -> Vec<String> {
        self.unique += 1;
        self.server
            .challenges(&self.users, here(), why, self.unique, self.now)
    }

    fn client(&mut self, algorithm: Algorithm) -> DigestClient {
        let challenges = self.challenges(Why::Unanswered);
        let all = challenges.iter().flat_map(|value| Challenge::parse_list(value));
        let found = all.into_iter().find(|one| one.algorithm == algorithm).unwrap();
        DigestClient::new(found, AuthHeaders::Server)
    }

    fn judge_from(&mut self, source: IpAddr, value: &str) -> Verdict {
        let uri = uri();
        let asked = Asked {
            method: &Method::Register,
            uri: &uri,
            source,
        };
        self.server.judge(&self.users, asked, [value], self.now)
    }

    fn judge(&mut self, value: &str) -> Verdict {
        self.judge_from(here(), value)
    }
}

fn answer(client: &mut DigestClient, username: &str, password: &str) -> String {
    let login = Login { username, password };
    client.authorize(login, &Method::Register, &uri(), "c0")
}

#[test]
fn sha_256_is_asked_before_md5_with_one_nonce() {
    let mut desk = desk();
    let asked = desk.challenges(Why::Unanswered);
    let read: Vec<_> = asked
        .iter()
        .flat_map(|value| Challenge::parse_list(value))
        .collect();
    let [sha, md5] = &read[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(
        (sha.algorithm, md5.algorithm),
        (Algorithm::Sha256, Algorithm::Md5)
    );
    assert!(sha.nonce == md5.nonce && sha.has_qop_auth && !sha.stale && sha.opaque.is_some());
    assert!(asked.iter().all(|value| !value.contains("stale")));
    assert_ne!(desk.challenges(Why::Unanswered), asked);
}

#[test]
fn the_right_answer_names_its_user_whichever_algorithm_it_took() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let mut desk = desk();
        let mut client = desk.client(algorithm);
        let value = answer(&mut client, "alice", "secret");
        assert_eq!(desk.judge(&value), Verdict::Granted("alice".into()));
        // The count goes up: the nonce may be used again.
        let value = answer(&mut client, "alice", "secret");
        assert_eq!(desk.judge(&value), Verdict::Granted("alice".into()));
    }
}

#[test]
fn a_replayed_count_is_stale_and_so_is_an_old_nonce() {
    let mut desk = desk();
    let mut client = desk.client(Algorithm::Sha256);
    let value = answer(&mut client, "alice", "secret");
    assert_eq!(desk.judge(&value), Verdict::Granted("alice".into()));
    assert_eq!(desk.judge(&value), Verdict::Ask(Why::Stale));
    let later = answer(&mut client, "alice", "secret");
    desk.now += NONCE_LIFE - Duration::from_millis(1);
    assert_eq!(desk.judge(&later), Verdict::Granted("alice".into()));
    let last = answer(&mut client, "alice", "secret");
    desk.now += Duration::from_millis(1);
    assert_eq!(desk.judge(&last), Verdict::Ask(Why::Stale));
    assert!(
        desk.challenges(Why::Stale)
            .iter()
            .all(|one| one.ends_with(", stale=true"))
    );
}

#[test]
fn known_and_unknown_users_and_wrong_passwords_look_alike() {
    let mut desk = desk();
    let mut client = desk.client(Algorithm::Md5);
    let wrong = answer(&mut client, "alice", "guess");
    let unknown = answer(&mut client, "nobody", "secret");
    assert_eq!(desk.judge(&wrong), Verdict::Ask(Why::Wrong));
    assert_eq!(desk.judge(&unknown), Verdict::Ask(Why::Wrong));
    // Not even the decoy opens the account of a user there is not.
    let decoy = desk.server.decoy(Algorithm::Md5);
    let read = Authorization::parse(&unknown).unwrap();
    let forged = unknown.replace(&read.response, &read.expected(&decoy, &Method::Register));
    assert_eq!(desk.judge(&forged), Verdict::Ask(Why::Wrong));
}

#[test]
fn an_answer_over_a_nonce_of_another_address_or_run_is_stale() {
    let mut desk = desk();
    let mut client = desk.client(Algorithm::Sha256);
    let value = answer(&mut client, "alice", "secret");
    let there = "192.0.2.8".parse().unwrap();
    assert_eq!(desk.judge_from(there, &value), Verdict::Ask(Why::Stale));
    desk.server = DigestServer::new([8; 32]);
    let value = value.replace(", opaque=", ", oh=");
    assert_eq!(desk.judge(&value), Verdict::Ask(Why::Stale));
}

#[test]
fn another_realm_opaque_or_algorithm_is_asked_anew() {
    let mut desk = desk();
    let mut client = desk.client(Algorithm::Sha256);
    let value = answer(&mut client, "alice", "secret");
    for (from, to) in [
        ("realm=\"phones\"", "realm=\"elsewhere\""),
        ("opaque=\"", "opaque=\"0"),
        ("algorithm=SHA-256", "algorithm=SHA-256-sess"),
    ] {
        let changed = value.replace(from, to);
        assert_ne!(changed, value);
        assert_eq!(desk.judge(&changed), Verdict::Ask(Why::Unanswered), "{to}");
    }
    assert_eq!(desk.judge(&value), Verdict::Granted("alice".into()));
}

#[test]
fn the_uri_must_be_the_one_that_is_requested() {
    let requested = Uri::parse("sip:alice@gw.example:5060;transport=udp").unwrap();
    for (text, is_meant_by) in [
        ("sip:alice@gw.example:5060;transport=udp", true),
        ("sip:alice@GW.example", true),
        ("sip:alice@gw.example:5061", false),
        ("sip:alice@gw.example.org", false),
        ("sip:bob@gw.example", false),
        ("sip:gw.example", true),
        ("sip:other.example", false),
        ("tel:+4930123456", false),
        ("", false),
        ("alice", false),
    ] {
        assert_eq!(is_meant(text, &requested), is_meant_by, "{text}");
    }
    let number = Uri::parse("tel:+4930-123456").unwrap();
    assert!(is_meant("tel:+4930123456", &number) && !is_meant("tel:+4930123457", &number));
}

#[test]
fn an_answer_made_for_another_method_or_uri_is_wrong() {
    let mut desk = desk();
    let mut client = desk.client(Algorithm::Md5);
    let login = Login {
        username: "alice",
        password: "secret",
    };
    let value = client.authorize(login, &Method::Invite, &uri(), "c");
    assert_eq!(desk.judge(&value), Verdict::Ask(Why::Wrong));
    let other = Uri::parse("sip:other.example").unwrap();
    let value = client.authorize(login, &Method::Register, &other, "c");
    assert_eq!(desk.judge(&value), Verdict::Ask(Why::Wrong));
}

#[test]
fn guessing_is_stopped_and_begins_anew_after_the_window() {
    let mut desk = desk();
    let mut client = desk.client(Algorithm::Md5);
    for _ in 0..GUESSES_MAX {
        let value = answer(&mut client, "alice", "guess");
        assert_eq!(desk.judge(&value), Verdict::Ask(Why::Wrong));
    }
    let value = answer(&mut client, "alice", "secret");
    assert_eq!(desk.judge(&value), Verdict::Blocked);
    desk.now += GUESS_WINDOW;
    let value = answer(&mut client, "alice", "secret");
    assert_eq!(desk.judge(&value), Verdict::Granted("alice".into()));
}

#[test]
fn guesses_over_invented_nonces_are_held_against_nobody() {
    let mut desk = desk();
    let invented = format!("Digest realm=\"{REALM}\", nonce=\"n\", qop=\"auth\"");
    let found = Challenge::parse_list(&invented).remove(0);
    let mut client = DigestClient::new(found, AuthHeaders::Server);
    for _ in 0..=GUESSES_MAX {
        let value = answer(&mut client, "alice", "guess");
        assert_eq!(desk.judge(&value), Verdict::Ask(Why::Wrong));
    }
    let mut honest = desk.client(Algorithm::Sha256);
    let value = answer(&mut honest, "alice", "secret");
    assert_eq!(desk.judge(&value), Verdict::Granted("alice".into()));
}
