//! Signed callers: what a router is told of them, which are refused, and what we sign ourselves.

use gateway::stir::{Attest, Facts, Signer, Statement, Verdict, check};
use house::papers::{self, Papers, X5U};
use house::sim::Town;
use serde_json::{Value, json};
use sip::endpoint::ExtraHeader;

use crate::scene::*;

const CALLER: &str = "81312345678";
const CALLED: &str = "498001234567";

fn town(seed: u64, carrier: &str) -> (Town, usize) {
    let line = "name = \"carrier\"\n";
    let mut town = Town::with(seed, |text| {
        text.replace(line, &format!("{line}identity_trusted = true\n{carrier}\n"))
            .replace(
                "caller_ids = [\"+493012345678\"]",
                "caller_ids = [\"+493012345678\", \"*\"]",
            )
    });
    let router = town.router();
    (town, router)
}

fn statement(attest: Attest) -> Statement {
    papers::statement(CALLER, CALLED, attest)
}

/// Calls with this Identity; `leg.incoming`, or else the answer.
fn call(town: &mut Town, router: usize, identity: Option<String>) -> Result<Value, String> {
    let customer = town.customer(CUSTOMER_HZ);
    let before = town.routers[router].of("leg.incoming").len();
    let header = |name: &str, value: String| ExtraHeader {
        name: name.to_owned(),
        value,
    };
    let mut headers = vec![header("P-Asserted-Identity", format!("<tel:+{CALLER}>"))];
    headers.extend(identity.map(|identity| header("Identity", identity)));
    town.call_with(customer, &format!("+{CALLED}"), headers);
    town.run_for(50 * MS);
    if let Some(event) = town.routers[router].of("leg.incoming").get(before) {
        return Ok(event["data"].clone());
    }
    let answer = town.parties[customer]
        .got
        .iter()
        .find(|text| text.starts_with("SIP/2.0 4"));
    Err(answer.expect("a call or a refusal")[8..11].to_owned())
}

fn wall_s(town: &Town) -> i64 {
    town.now().wall_us / 1_000_000
}

#[test]
fn t13_a_good_signature_is_told_with_its_attestation() {
    let papers = Papers::new("good");
    for word in ["verify", "require"] {
        let (mut town, router) = town(1300, &papers.incoming(word));
        for (attest, told) in [(Attest::A, "A"), (Attest::B, "B"), (Attest::C, "C")] {
            let identity = papers.signer(X5U).identity(&statement(attest), wall_s(&town));
            let data = call(&mut town, router, Some(identity)).unwrap();
            assert_eq!(data["from"]["attestation"], told, "{data}");
            let stir =
                json!({"verdict": "valid", "attest": told, "origid": statement(attest).origid, "x5u": X5U});
            assert_eq!(data["stir"], stir);
        }
    }
}

#[test]
fn t13_what_is_wrong_is_told_or_refused_as_the_trunk_is_set() {
    let (papers, other) = (Papers::new("wrong"), Papers::new("other"));
    let foreign_anchors = other
        .incoming("WORD")
        .replace(&other.path("certs"), &papers.path("certs"));
    let ours = papers.incoming("WORD");
    let elsewhere = Statement {
        orig: "81399999999".to_owned(),
        ..statement(Attest::A)
    };
    let signed = |signer: &Signer, statement: &Statement, offset: i64, now_s: i64| {
        Some(signer.identity(statement, now_s + offset))
    };
    let (good, unknown) = (
        papers.signer(X5U),
        papers.signer("https://cert.example.org/none.pem"),
    );
    let stranger = other.signer(X5U);
    type Case<'a> = (&'a str, &'a str, &'a str, Box<dyn Fn(i64) -> Option<String> + 'a>);
    let cases: Vec<Case<'_>> = vec![
        ("absent", "428", &ours, Box::new(|_| None)),
        (
            "certificate_unknown",
            "436",
            &ours,
            Box::new(|now| signed(&unknown, &statement(Attest::A), 0, now)),
        ),
        (
            "certificate_untrusted",
            "437",
            &foreign_anchors,
            Box::new(|now| signed(&good, &statement(Attest::A), 0, now)),
        ),
        (
            "invalid",
            "438",
            &ours,
            Box::new(|now| signed(&stranger, &statement(Attest::A), 0, now)),
        ),
        ("invalid", "438", &ours, Box::new(|_| Some("nonsense".to_owned()))),
        (
            "mismatch",
            "438",
            &ours,
            Box::new(|now| signed(&good, &elsewhere, 0, now)),
        ),
        (
            "stale",
            "403",
            &ours,
            Box::new(|now| signed(&good, &statement(Attest::A), -61, now)),
        ),
    ];
    for (verdict, status, keys, identity) in cases {
        let (mut verifying, router) = town(1301, &keys.replace("WORD", "verify"));
        let now_s = wall_s(&verifying);
        let data = call(&mut verifying, router, identity(now_s)).unwrap();
        assert_eq!(data["stir"]["verdict"], verdict, "{data}");
        assert_eq!(
            data["from"].get("attestation"),
            None,
            "{verdict}: nothing is believed"
        );

        let (mut requiring, router) = town(1302, &keys.replace("WORD", "require"));
        let now_s = wall_s(&requiring);
        assert_eq!(
            call(&mut requiring, router, identity(now_s)),
            Err(status.to_owned()),
            "{verdict}"
        );
        let refused = requiring.routers[router].of("call.refused")[0].clone();
        assert_eq!(refused["data"]["rule"], "stir");
    }
}

#[test]
fn t13_by_default_a_token_is_passed_on_unverified() {
    let papers = Papers::new("pass");
    let (mut passing, router) = town(1303, "");
    let identity = papers.signer(X5U).identity(&statement(Attest::A), 1);
    let data = call(&mut passing, router, Some(identity.clone())).unwrap();
    assert_eq!(
        (&data["stir"]["verdict"], &data["stir"]["attest"]),
        (&json!("unverified"), &json!("A"))
    );
    assert_eq!(data["from"].get("attestation"), None);
    assert_eq!(call(&mut passing, router, None).unwrap().get("stir"), None);
    let (mut blind, router) = town(1304, "stir_in = \"off\"");
    assert_eq!(
        call(&mut blind, router, Some(identity)).unwrap().get("stir"),
        None
    );
}

/// The Identity of the INVITE that a dial with this caller id sends, and when it came.
fn dialled(town: &mut Town, router: usize, caller: Value) -> Option<String> {
    let carrier = town.party("carrier", "10.0.1.1:5060", CUSTOMER_HZ);
    let mut params = json!({"to": "+4684060000", "trunk": "carrier", "caller_id": caller});
    if params["caller_id"].is_null() {
        params.as_object_mut().unwrap().remove("caller_id");
    }
    town.ask(router, "leg.dial", params);
    town.run_for(100 * MS);
    let got = town.parties[carrier]
        .got
        .iter()
        .find(|text| text.starts_with("INVITE "));
    let line = got
        .expect("an INVITE")
        .lines()
        .find_map(|line| line.strip_prefix("Identity: "));
    line.map(str::to_owned)
}

#[test]
fn our_callers_are_signed_as_far_as_we_know_them() {
    let papers = Papers::new("sign");
    for (caller, told, most) in [
        (json!(null), Some(("493012345678", Attest::A)), "A"),
        (json!(null), Some(("493012345678", Attest::C)), "C"),
        (
            json!({"number": "+12025550123"}),
            Some(("12025550123", Attest::B)),
            "A",
        ),
        (json!({"number": "+493012345678", "privacy": "id"}), None, "A"),
        (json!({"number": "reception"}), None, "A"),
    ] {
        let (mut town, router) = town(1305, &papers.outgoing(most));
        let now_s = wall_s(&town);
        let identity = dialled(&mut town, router, caller.clone());
        let Some((number, attest)) = told else {
            assert_eq!(identity, None, "{caller}");
            continue;
        };
        let facts = Facts {
            identities: vec![identity.expect("a signature")],
            date: None,
            caller: vec![number.to_owned()],
            called: vec!["4684060000".to_owned()],
        };
        let checked = check(&facts, &papers.trust(), None, now_s);
        assert_eq!(
            (checked.verdict, checked.claimed.attest),
            (Verdict::Valid, Some(attest)),
            "{caller}"
        );
        assert_eq!(checked.claimed.origid.map(|origid| origid.len()), Some(36));
    }
}
