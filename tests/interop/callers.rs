//! Who calls, as SIPp says it and as it is told: identities, privacy, redirects, `tel:` and `user=phone`.

use house::wire::{AGENTS, CARRIER, Finished, Heard, OUR_NUMBER, Settings, Sipp, Site};
use serde_json::{Value, json};

use crate::script::incoming;

const CALLER: &str = "+81312345678";
const FROM: &str = "\"Somebody\" <sip:+4930987654@127.0.0.11>";

/// A site whose carrier and agents have these further keys.
async fn site(name: &str, carrier: &str, agents: &str) -> Site {
    let settings = Settings {
        carrier_keys: carrier.to_owned(),
        agents_keys: agents.to_owned(),
        ..Settings::default()
    };
    Site::open(name, &settings).await
}

/// A caller with these headers, each ended by a line end.
fn caller(site: &Site, from: &str, headers: &str) -> Sipp {
    let uri = format!("sip:{OUR_NUMBER}@{}", site.gateway.udp());
    caller_of(site, &uri, from, headers)
}

fn caller_of(site: &Site, uri: &str, from: &str, headers: &str) -> Sipp {
    Sipp::new("caller_identity", CARRIER)
        .to(site.gateway.udp())
        .fill("request_uri", uri)
        .fill("from", from)
        .fill("headers", headers)
        .fill("refusal", "482")
}

/// Lets one call come in and ends it; what the router was told.
async fn told(site: &Site, caller: Sipp) -> Value {
    let from = site.router.heard().len();
    let caller = caller.start(&site.folder).await;
    let call = site
        .router
        .wait(from, "a call", |heard| heard.is("leg.incoming"))
        .await;
    answer_and_end(site, &call).await;
    caller.finish().await;
    call.event["data"].clone()
}

async fn answer_and_end(site: &Site, call: &Heard) {
    let leg = call.text("leg");
    site.router.call("leg.answer", json!({ "leg": leg })).await;
    site.router.wait_leg(call.index, "leg.answered", leg).await;
    site.router
        .call("call.end", json!({ "call": call.text("call") }))
        .await;
}

/// Dials a SIPp callee and gives the INVITE it got.
async fn dial(site: &Site, callee: Sipp, params: Value) -> String {
    let callee = callee.start(&site.folder).await;
    let dialled = site.router.call("leg.dial", params).await;
    let leg = dialled["leg"].as_str().unwrap().to_owned();
    site.router.wait_leg(0, "leg.answered", &leg).await;
    site.router.call("leg.hangup", json!({ "leg": leg })).await;
    invite_of(&callee.finish().await)
}

fn invite_of(finished: &Finished) -> String {
    let messages = finished.messages();
    let invite = messages
        .into_iter()
        .find(|(_, message)| message.starts_with("INVITE "));
    invite.expect("an INVITE").1
}

fn value<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let found = message
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(key, _)| *key == name));
    found.map(|(_, value)| value.trim_end())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_an_identity_is_taken_from_a_trusted_carrier_and_from_no_other() {
    let headers =
        format!("P-Asserted-Identity: \"Anna\" <sip:{CALLER}@127.0.0.11>, <tel:{CALLER}>\nPrivacy: id\n");
    for (is_trusted, number, source) in [(true, CALLER, "pai"), (false, "+4930987654", "from")] {
        let site = site("identity-in", &format!("identity_trusted = {is_trusted}"), "").await;
        let told = told(&site, caller(&site, FROM, &headers)).await;
        let from = &told["from"];
        assert_eq!(
            (&from["number"], &from["source"]),
            (&json!(number), &json!(source)),
            "{from}"
        );
        assert_eq!(from["privacy"], "id");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_withheld_number_reaches_a_trusted_peer_as_identity_and_no_other_at_all() {
    for (keys, is_told) in [
        ("", false),
        ("identity_trusted = true\nidentity_out = \"pai\"", true),
    ] {
        let site = site("identity-out", "identity_trusted = true", keys).await;
        let headers = format!("P-Asserted-Identity: <tel:{CALLER}>\nPrivacy: id\n");
        let calling = caller(&site, "\"Anonymous\" <sip:anonymous@anonymous.invalid>", &headers);
        let calling = calling.start(&site.folder).await;
        let call = incoming(&site.router).await;
        site.router
            .call("leg.answer", json!({ "leg": call.text("leg") }))
            .await;
        let agent = Sipp::new("callee", AGENTS);
        let params = json!({
            "to": agent.uri(), "trunk": "agents", "call": call.text("call"), "caller_id": { "number": CALLER, "name": "Anna" },
        });
        let invite = dial(&site, agent, params).await;
        site.router
            .call("call.end", json!({ "call": call.text("call") }))
            .await;
        calling.finish().await;
        assert!(
            value(&invite, "From")
                .unwrap()
                .starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>")
        );
        assert_eq!(value(&invite, "Privacy"), Some("id"));
        let pai = value(&invite, "P-Asserted-Identity");
        assert_eq!(pai.is_some_and(|pai| pai.contains(CALLER)), is_told, "{invite}");
        let rest: String = invite
            .lines()
            .filter(|line| !line.starts_with("P-Asserted-Identity"))
            .collect();
        assert!(
            !rest.contains("81312345678") && !rest.contains("Anna"),
            "{invite}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_redirects_are_told_sent_on_and_refused_at_the_sixth() {
    let site = site(
        "redirects",
        "identity_trusted = true",
        "diversion_out = \"diversion\"",
    )
    .await;
    for headers in [
        "Diversion: <sip:+4930555000@127.0.0.11>;reason=user-busy;counter=2\n",
        "History-Info: <sip:x@y>;index=1, <sip:+4930555000@c;cause=302>;index=1.1;mp=1, <sip:a@b;cause=486>;index=1.1.1;mp=1.1\n",
    ] {
        let told = told(&site, caller(&site, FROM, headers)).await;
        let expected = json!({ "number": "+4930555000", "raw": "+4930555000", "reason": "busy", "count": 2 });
        assert_eq!(told["redirected"], expected, "{headers}");
    }

    let headers = format!(
        "P-Asserted-Identity: <tel:{CALLER}>\nDiversion: <sip:+4930555000@127.0.0.11>;reason=user-busy;counter=2\n"
    );
    let from = site.router.heard().len();
    let calling = caller(&site, FROM, &headers).start(&site.folder).await;
    let call = site
        .router
        .wait(from, "a call", |heard| heard.is("leg.incoming"))
        .await;
    site.router
        .call("leg.answer", json!({ "leg": call.text("leg") }))
        .await;
    let agent = Sipp::new("callee", AGENTS);
    let params = json!({ "to": agent.uri(), "trunk": "agents", "call": call.text("call"), "caller_id": { "number": CALLER } });
    let invite = dial(&site, agent, params).await;
    let sent: Vec<&str> = invite
        .lines()
        .filter_map(|line| line.strip_prefix("Diversion: "))
        .map(str::trim_end)
        .collect();
    assert_eq!(
        sent,
        [
            "<sip:+4930123456@127.0.0.1>;reason=unconditional;counter=1;privacy=off",
            "<sip:+4930555000@127.0.0.1>;reason=user-busy;counter=2;privacy=off",
        ]
    );
    site.router
        .call("call.end", json!({ "call": call.text("call") }))
        .await;
    calling.finish().await;

    let sixth = "Diversion: <sip:+4930555000@127.0.0.11>;counter=6\n";
    let refused = caller(&site, FROM, sixth)
        .start(&site.folder)
        .await
        .finish()
        .await;
    let messages = refused.messages();
    let answer = messages
        .iter()
        .find(|(_, message)| message.starts_with("SIP/2.0 482 "));
    assert_eq!(value(&answer.unwrap().1, "Reason"), Some("Q.850;cause=25"));
    let told = site
        .router
        .wait(0, "a refusal", |heard| heard.is("call.refused"))
        .await;
    assert_eq!(told.event["data"]["rule"], "redirects");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_every_form_of_a_number_is_the_same_number() {
    let site = site(
        "tel-in",
        "home_country = \"DE\"\nnumber_in = \"national\"\nidentity_trusted = true",
        "",
    )
    .await;
    let gateway = site.gateway.udp();
    for uri in [
        "tel:+4930123456".to_owned(),
        "tel:+49-30-123456;ext=7".to_owned(),
        "tel:030123456;phone-context=+49".to_owned(),
        "tel:+4930123456;npdi;rn=+4930999999".to_owned(),
        format!("sip:+49-30-123456@{gateway};user=phone"),
        format!("sip:030123456;phone-context=+49@{gateway};user=phone"),
    ] {
        let headers = "P-Asserted-Identity: <tel:030987654;phone-context=+49>\n";
        let told = told(&site, caller_of(&site, &uri, "<tel:+49-30-111111>", headers)).await;
        let numbers = (&told["to"]["number"], &told["from"]["number"]);
        assert_eq!(numbers, (&json!(OUR_NUMBER), &json!("+4930987654")), "{uri}");
        assert_eq!(told["to"].get("ext").is_some(), uri.contains(";ext="), "{uri}");
        assert_eq!(told["to"].get("rn").is_some(), uri.contains(";rn="), "{uri}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_and_t32_numbers_and_our_caller_id_go_out_as_the_trunk_is_set() {
    for (keys, to, from) in [
        ("", "sip:+81398765432@HOST", "sip:+4930123456@127.0.0.1"),
        (
            "user_phone = true",
            "sip:+81398765432@HOST;user=phone",
            "sip:+4930123456@127.0.0.1;user=phone",
        ),
        ("uri = \"tel\"", "tel:+81398765432", "tel:+4930123456"),
        (
            "uri = \"tel\"\nnumber_out = \"national\"\nhome_country = \"JP\"",
            "tel:0398765432;phone-context=+81",
            "tel:+4930123456",
        ),
    ] {
        let callee = Sipp::new("callee", CARRIER);
        let host = callee.address();
        let keys = format!("{keys}\nhosts = [\"{host}\"]\nidentity_trusted = true\nidentity_out = \"pai\"");
        let site = site("number-out", &keys, "").await;
        let foreign =
            json!({ "to": "+81398765432", "trunk": "carrier", "caller_id": { "number": "+4930123457" } });
        let refused = site
            .router
            .ask("leg.dial", foreign)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("caller_id_not_allowed"), "{refused}");
        let invite = dial(&site, callee, json!({ "to": "+81398765432", "trunk": "carrier" })).await;
        let to = to.replace("HOST", &host.to_string());
        assert!(invite.starts_with(&format!("INVITE {to} SIP/2.0")), "{invite}");
        assert_eq!(value(&invite, "To"), Some(format!("<{to}>").as_str()), "{keys}");
        assert!(
            value(&invite, "From")
                .unwrap()
                .starts_with(&format!("<{from}>;tag=")),
            "{invite}"
        );
        assert_eq!(
            value(&invite, "P-Asserted-Identity"),
            Some(format!("<{from}>").as_str()),
            "{keys}"
        );
    }
}
