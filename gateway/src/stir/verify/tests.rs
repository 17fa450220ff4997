//! Good tokens, and each way to be a bad one.

use proptest::prelude::*;

use super::*;
use crate::stir::testing::{Authority, Leaf, tn_auth_list};
use crate::stir::{Chain, Signer, Statement};

const X5U: &str = "https://cert.example.org/p.pem";
const NOW_S: i64 = 1_795_000_000;
const CALLER: &str = "4930123456";
const CALLED: &str = "81312345678";

struct Scene {
    trust: Trust,
    leaf: Leaf,
}

impl Scene {
    fn new(list: Option<Vec<u8>>) -> Scene {
        let authority = Authority::new();
        let leaf = authority.issue(list);
        let mut trust = Trust::default();
        trust.add_anchors(authority.pem().as_bytes()).unwrap();
        trust.add_chain(X5U, leaf.pem().as_bytes()).unwrap();
        Scene { trust, leaf }
    }

    fn signer(&self) -> Signer {
        self.leaf.signer(X5U, Attest::A)
    }

    fn of(&self, identity: &str, now_s: i64) -> Verdict {
        check(&facts(identity), &self.trust, None, now_s).verdict
    }
}

fn statement(attest: Attest) -> Statement {
    Statement {
        orig: CALLER.to_owned(),
        dest: CALLED.to_owned(),
        attest,
        origid: "123e4567-e89b-12d3-a456-426655440000".to_owned(),
    }
}

fn facts(identity: &str) -> Facts {
    Facts {
        identities: vec![identity.to_owned()],
        date: Some("Thu, 18 Nov 2026 11:06:40 GMT".to_owned()),
        caller: vec![CALLER.to_owned()],
        called: vec![CALLED.to_owned()],
    }
}

#[test]
fn a_good_token_is_valid_with_what_it_vouches_for() {
    let scene = Scene::new(None);
    for attest in [Attest::A, Attest::B, Attest::C] {
        let checked = check(
            &facts(&scene.signer().identity(&statement(attest), NOW_S)),
            &scene.trust,
            None,
            NOW_S,
        );
        assert_eq!(checked.verdict, Verdict::Valid);
        assert_eq!(checked.claimed.attest, Some(attest));
        assert_eq!(checked.claimed.origid, Some(statement(attest).origid));
    }
    let weak = scene
        .leaf
        .signer(X5U, Attest::C)
        .identity(&statement(Attest::A), NOW_S);
    assert_eq!(
        claimed(&facts(&weak)).unwrap().attest,
        Some(Attest::C),
        "never more than the signer's own"
    );
}

#[test]
fn time_counts_to_the_minute_both_ways() {
    let scene = Scene::new(None);
    let identity = scene.signer().identity(&statement(Attest::A), NOW_S);
    for (offset, verdict) in [
        (60, Verdict::Valid),
        (61, Verdict::Stale),
        (-60, Verdict::Valid),
        (-61, Verdict::Stale),
    ] {
        assert_eq!(scene.of(&identity, NOW_S + offset), verdict, "{offset}");
    }
}

#[test]
fn a_token_for_another_call_is_a_mismatch() {
    let scene = Scene::new(None);
    let identity = scene.signer().identity(&statement(Attest::A), NOW_S);
    for (caller, called) in [("4930123457", CALLED), (CALLER, "81312345679"), ("anna", CALLED)] {
        let facts = Facts {
            caller: vec![caller.to_owned()],
            called: vec![called.to_owned()],
            ..facts(&identity)
        };
        assert_eq!(
            check(&facts, &scene.trust, None, NOW_S).verdict,
            Verdict::Mismatch,
            "{caller} {called}"
        );
    }
}

#[test]
fn certificates_decide_before_anything_is_believed() {
    let scene = Scene::new(None);
    let statement = statement(Attest::A);
    let unknown = scene.leaf.signer("https://cert.example.org/q.pem", Attest::A);
    assert_eq!(
        scene.of(&unknown.identity(&statement, NOW_S), NOW_S),
        Verdict::CertificateUnknown
    );
    let foreign = Authority::new().issue(None).signer(X5U, Attest::A);
    assert_eq!(
        scene.of(&foreign.identity(&statement, NOW_S), NOW_S),
        Verdict::Invalid,
        "another key"
    );
    let mut other = Trust::default();
    other.add_anchors(Authority::new().pem().as_bytes()).unwrap();
    other.add_chain(X5U, scene.leaf.pem().as_bytes()).unwrap();
    let identity = scene.signer().identity(&statement, NOW_S);
    assert_eq!(
        check(&facts(&identity), &other, None, NOW_S).verdict,
        Verdict::CertificateUntrusted
    );
    let far = 99_999_999_999;
    let late = scene.signer().identity(&statement, far);
    assert_eq!(scene.of(&late, far), Verdict::CertificateUntrusted, "expired");
    let bound = Scene::new(Some(tn_auth_list(&[("one", "4930999999")])));
    assert_eq!(
        bound.of(&bound.signer().identity(&statement, NOW_S), NOW_S),
        Verdict::CertificateUntrusted
    );
    let free = Scene::new(Some(tn_auth_list(&[("one", CALLER)])));
    assert_eq!(
        free.of(&free.signer().identity(&statement, NOW_S), NOW_S),
        Verdict::Valid
    );
}

#[test]
fn what_is_no_token_or_was_changed_is_invalid() {
    let scene = Scene::new(None);
    let good = scene.signer().identity(&statement(Attest::B), NOW_S);
    let stronger = scene.signer().identity(&statement(Attest::A), NOW_S);
    let claims = |value: &str| value.split('.').nth(1).unwrap().to_owned();
    for bad in [
        "nonsense".to_owned(),
        good.replace("alg=ES256", "alg=RS256"),
        good.replace("ppt=shaken", "ppt=div"),
        good.replace(X5U, "https://evil.example/p.pem"),
        good.replace(&claims(&good), &claims(&stronger)),
        good.replacen("eyJ", "eyK", 1),
    ] {
        assert_eq!(scene.of(&bad, NOW_S), Verdict::Invalid, "{bad}");
    }
    let none = Facts {
        identities: Vec::new(),
        ..facts("")
    };
    assert_eq!(check(&none, &scene.trust, None, NOW_S).verdict, Verdict::Absent);
}

#[test]
fn a_compact_token_has_its_claims_in_the_request() {
    let scene = Scene::new(None);
    let number = |text: &str| Party::Number(text.to_owned());
    let header = passport::header(X5U, None);
    let claims = passport::claims(&number(CALLER), &number(CALLED), NOW_S);
    let full = scene.signer().value_of(&header, &claims, None);
    assert_eq!(scene.of(&full, NOW_S), Verdict::Valid);
    let compact = full.replace(&format!("{header}.{claims}."), "..");
    assert!(compact.starts_with(".."));
    assert_eq!(scene.of(&compact, NOW_S), Verdict::Valid);
    assert_eq!(
        scene.of(&format!("{compact};ppt=shaken"), NOW_S),
        Verdict::Invalid,
        "SHAKEN has no compact form"
    );
    let other = Facts {
        caller: vec!["4930123457".to_owned()],
        ..facts(&compact)
    };
    assert_eq!(check(&other, &scene.trust, None, NOW_S).verdict, Verdict::Invalid);
    let undated = Facts {
        date: None,
        ..facts(&compact)
    };
    assert_eq!(
        check(&undated, &scene.trust, None, NOW_S).verdict,
        Verdict::Invalid
    );
}

#[test]
fn of_several_tokens_the_one_for_the_caller_counts() {
    let scene = Scene::new(None);
    let good = scene.signer().identity(&statement(Attest::A), NOW_S);
    let facts = Facts {
        identities: vec![
            "a.b.c;info=<https://x>;ppt=div".to_owned(),
            "broken".to_owned(),
            good,
        ],
        ..facts("")
    };
    assert_eq!(check(&facts, &scene.trust, None, NOW_S).verdict, Verdict::Valid);
}

#[test]
fn each_verdict_has_the_refusal_of_the_rfc() {
    for (verdict, status) in [
        (Verdict::Absent, Some(428)),
        (Verdict::CertificateUnknown, Some(436)),
        (Verdict::CertificateUntrusted, Some(437)),
        (Verdict::Invalid, Some(438)),
        (Verdict::Mismatch, Some(438)),
        (Verdict::Stale, Some(403)),
        (Verdict::Valid, None),
    ] {
        assert_eq!(verdict.status(), status, "{verdict:?}");
    }
}

proptest! {
    #[test]
    fn no_value_panics(value in "[ -~]{0,200}", date in "[ -~]{0,40}", iat in any::<i64>()) {
        let facts = Facts { date: Some(date), ..facts(&value) };
        let _ = check(&facts, &Trust::default(), None, iat / 4);
        let claims = passport::encoded(format!("{{\"orig\":{{\"tn\":\"1\"}},\"dest\":{{}},\"iat\":{iat}}}"));
        let _ = Passport::parse(&format!("{}.{claims}.AAAA", passport::header(&value, None)));
    }
}

#[test]
fn only_a_certificate_that_could_make_a_token_valid_is_wanted() {
    let scene = Scene::new(None);
    let elsewhere = "https://cert.example.org/other.pem";
    let signer = scene.leaf.signer(elsewhere, Attest::A);
    let identity = signer.identity(&statement(Attest::A), NOW_S);
    let of = |identity: &str, now_s| wanted(&facts(identity), &scene.trust, now_s);
    assert_eq!(of(&identity, NOW_S).as_deref(), Some(elsewhere));
    let known = scene.signer().identity(&statement(Attest::A), NOW_S);
    assert_eq!(of(&known, NOW_S), None, "its certificate is a file");
    assert_eq!(of(&identity, NOW_S + 61), None, "stale");
    assert_eq!(of("nonsense", NOW_S), None);
    assert_eq!(wanted(&Facts::default(), &scene.trust, NOW_S), None);
    let other = Statement {
        dest: "4930000000".to_owned(),
        ..statement(Attest::A)
    };
    assert_eq!(
        of(&signer.identity(&other, NOW_S), NOW_S),
        None,
        "about another call"
    );
    let inconsistent = identity.replace("info=<https://cert", "info=<https://evil");
    assert_eq!(of(&inconsistent, NOW_S), None);
    let stale = check(&facts(&identity), &scene.trust, None, NOW_S + 61);
    assert_eq!(
        stale.verdict,
        Verdict::Stale,
        "so it is told without its certificate"
    );
}

#[test]
fn a_fetched_certificate_counts_as_one_that_was_there() {
    let scene = Scene::new(None);
    let identity = scene
        .leaf
        .signer("https://cert.example.org/other.pem", Attest::A)
        .identity(&statement(Attest::A), NOW_S);
    let of = |fetched: Option<&Fetched>| check(&facts(&identity), &scene.trust, fetched, NOW_S).verdict;
    let chain = |leaf: &Leaf| Fetched::Chain(Chain::read(leaf.pem().as_bytes()).unwrap());
    let another = Authority::new().issue(None);
    for (fetched, verdict, status) in [
        (Some(chain(&scene.leaf)), Verdict::Valid, None),
        (Some(chain(&another)), Verdict::CertificateUntrusted, Some(437)),
        (Some(Fetched::Unusable), Verdict::CertificateUnusable, Some(437)),
        (
            Some(Fetched::Unreachable),
            Verdict::CertificateUnreachable,
            Some(436),
        ),
        (Some(Fetched::NotListed), Verdict::UrlNotListed, Some(436)),
        (None, Verdict::CertificateUnknown, Some(436)),
    ] {
        assert_eq!(of(fetched.as_ref()), verdict);
        assert_eq!(verdict.status(), status, "RFC 8224 §6.2.2");
    }
}
