//! Who calls and who sent the call on: what a router is told, and what another leg is shown.

use bytes::Bytes;
use gateway::engine::io::Input;
use house::sim::{Answer, Town};
use serde_json::{Value, json};
use sip::endpoint::{ExtraHeader, Flow, Transport};

use crate::scene::*;

const CALLER: &str = "+81312345678";
const CALLED: &str = "+498001234567";

/// A town whose trunks have these further keys.
fn town(seed: u64, carrier: &str, agents: &str) -> (Town, usize, usize) {
    let with = |text: String, name: &str, keys: &str| {
        let line = format!("name = \"{name}\"\n");
        text.replace(&line, &format!("{line}{keys}\n")).replace(
            "caller_ids = [\"*\"]",
            "caller_ids = [\"+493012345678\", \"+81*\"]",
        )
    };
    let mut town = Town::with(seed, |text| {
        with(with(text, "carrier", carrier), "agents", agents)
    });
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    (town, router, customer)
}

fn header(name: &str, value: &str) -> ExtraHeader {
    ExtraHeader {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// A call with these headers; its `leg.incoming`, if it was let in.
fn incoming(town: &mut Town, router: usize, customer: usize, headers: Vec<ExtraHeader>) -> Option<Value> {
    let before = town.routers[router].of("leg.incoming").len();
    town.call_with(customer, CALLED, headers);
    town.run_for(50 * MS);
    town.routers[router]
        .of("leg.incoming")
        .get(before)
        .map(|event| (*event).clone())
}

/// Dials an agent's phone into the call and gives the INVITE that came to it.
fn dialled(town: &mut Town, router: usize, call: &Value, more: Value) -> String {
    let agent = town.agent(AGENT_HZ);
    let mut params = json!({"to": town.target(agent), "trunk": "agents", "call": call["call"]});
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    town.ask(router, "leg.dial", params);
    town.run_for(100 * MS);
    let got = town.parties[agent]
        .got
        .iter()
        .find(|text| text.starts_with("INVITE "));
    got.expect("an INVITE").clone()
}

/// The values of a header, in order.
fn values<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    let lines = message.split("\r\n\r\n").next().unwrap_or_default().lines();
    let found = lines.filter_map(|line| line.split_once(": ").filter(|(key, _)| *key == name));
    found.map(|(_, value)| value).collect()
}

fn shows_caller() -> Value {
    json!({"caller_id": {"number": CALLER}})
}

#[test]
fn an_asserted_caller_is_told_with_its_source_from_a_trusted_trunk_only() {
    for (keys, number, source) in [
        ("identity_trusted = true", json!(CALLER), "pai"),
        ("identity_trusted = false", json!(null), "from"),
    ] {
        let (mut town, router, customer) = town(900, keys, "");
        let pai = header(
            "P-Asserted-Identity",
            &format!("\"Anna\" <sip:{CALLER}@c>, <tel:{CALLER}>"),
        );
        let event = incoming(&mut town, router, customer, vec![pai]).unwrap();
        let from = &event["data"]["from"];
        assert_eq!(
            (from["source"].as_str(), from.get("privacy")),
            (Some(source), None),
            "{from}"
        );
        if number != json!(null) {
            assert_eq!((&from["number"], &from["name"]), (&number, &json!("Anna")));
        }
    }
}

#[test]
fn a_caller_who_wants_privacy_keeps_it_whatever_the_router_says() {
    for (agents, pai) in [
        ("", None),
        ("identity_out = \"pai\"", None),
        ("identity_trusted = true", None),
        ("identity_trusted = true\nidentity_out = \"pai\"", Some(CALLER)),
    ] {
        let (mut town, router, customer) = town(901, "identity_trusted = true", agents);
        let headers = vec![
            header("P-Asserted-Identity", &format!("<tel:{CALLER}>")),
            header("Privacy", "id"),
        ];
        let call = incoming(&mut town, router, customer, headers).unwrap();
        let from = &call["data"]["from"];
        assert_eq!(
            (&from["number"], &from["privacy"]),
            (&json!(CALLER), &json!("id")),
            "the router sees who calls"
        );
        let invite = dialled(&mut town, router, &call, shows_caller());
        let from = values(&invite, "From");
        assert!(
            from[0].starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="),
            "{agents}: {from:?}"
        );
        assert_eq!(values(&invite, "Privacy"), ["id"], "{agents}");
        assert_eq!(
            values(&invite, "P-Asserted-Identity").len(),
            usize::from(pai.is_some()),
            "{agents}"
        );
        let rest: Vec<&str> = invite
            .lines()
            .filter(|line| !line.starts_with("P-Asserted-Identity:"))
            .collect();
        let digits = CALLER.trim_start_matches('+');
        assert!(!rest.concat().contains(digits), "{agents}: {invite}");
        assert!(
            values(&invite, "Contact")[0].starts_with("<sip:anonymous@"),
            "{agents}: {invite}"
        );
    }
}

#[test]
fn a_number_withheld_by_command_stands_nowhere_in_the_invite() {
    let (mut town, router, customer) = town(902, "", "");
    let call = incoming(&mut town, router, customer, vec![]).unwrap();
    let wish = json!({"caller_id": {"number": "+493012345678", "name": "Desk", "privacy": "id"}});
    let invite = dialled(&mut town, router, &call, wish);
    assert!(
        !invite.contains("493012345678") && !invite.contains("Desk"),
        "{invite}"
    );
    assert_eq!(values(&invite, "Privacy"), ["id"]);
}

#[test]
fn who_sent_the_call_on_is_told_by_either_header() {
    for (name, value) in [
        ("Diversion", "<sip:+4930555@c>;reason=no-answer;counter=2"),
        (
            "History-Info",
            "<sip:x@y>;index=1, <sip:+4930555@c;cause=302>;index=1.1, <sip:+498001234567@c;cause=408>;index=1.1.1",
        ),
    ] {
        let (mut town, router, customer) = town(903, "", "");
        let event = incoming(&mut town, router, customer, vec![header(name, value)]).unwrap();
        let expected = json!({"number": "+4930555", "raw": "+4930555", "reason": "no_answer", "count": 2});
        assert_eq!(event["data"]["redirected"], expected, "{name}");
    }
}

#[test]
fn a_call_sent_on_more_than_five_times_is_refused_as_a_loop() {
    for (count, is_let_in) in [(5, true), (6, false)] {
        let (mut town, router, customer) = town(904, "", "");
        let diversion = header("Diversion", &format!("<sip:+4930555@c>;counter={count}"));
        let event = incoming(&mut town, router, customer, vec![diversion]);
        assert_eq!(event.is_some(), is_let_in, "{count}");
        if !is_let_in {
            let refused = town.routers[router].of("call.refused")[0].clone();
            assert_eq!(refused["data"]["rule"], "redirects");
            let answer = town.parties[customer]
                .got
                .iter()
                .find(|text| text.starts_with("SIP/2.0 4"))
                .unwrap();
            assert!(answer.starts_with("SIP/2.0 482 "), "{answer}");
            assert_eq!(values(answer, "Reason"), ["Q.850;cause=25"]);
        }
    }
}

#[test]
fn a_dial_that_shows_the_caller_names_the_called_number_as_diverter() {
    let diversion = "<sip:+4930555@c>;reason=user-busy;counter=2";
    for (word, name, expected) in [
        (
            "diversion",
            "Diversion",
            vec![
                "<sip:+498001234567@10.0.0.1>;reason=unconditional;counter=1;privacy=off",
                "<sip:+4930555@10.0.0.1>;reason=user-busy;counter=2;privacy=off",
            ],
        ),
        (
            "history_info",
            "History-Info",
            vec![
                "<sip:unknown@unknown.invalid>;index=1, <sip:+4930555@10.0.0.1;cause=404>;index=1.1;mp=1, \
                 <sip:+498001234567@10.0.0.1;cause=486>;index=1.1.1;mp=1.1, \
                 <sip:agent@10.0.2.1:5071;cause=302>;index=1.1.1.1;mp=1.1.1",
            ],
        ),
        ("off", "Diversion", vec![]),
    ] {
        let (mut town, router, customer) = town(
            905,
            "identity_trusted = true",
            &format!("diversion_out = \"{word}\""),
        );
        let headers = vec![
            header("P-Asserted-Identity", &format!("<tel:{CALLER}>")),
            header("Diversion", diversion),
        ];
        let call = incoming(&mut town, router, customer, headers).unwrap();
        let invite = dialled(&mut town, router, &call, shows_caller());
        assert_eq!(values(&invite, name), expected, "{invite}");
        // A number of our own makes it a call of ours, which was sent on before all the same.
        let invite = dialled(
            &mut town,
            router,
            &call,
            json!({"caller_id": {"number": "+493012345678"}}),
        );
        let told = if word == "off" { 0 } else { 1 };
        assert_eq!(values(&invite, name).len(), told, "{invite}");
        assert!(!invite.contains("reason=unconditional"), "{invite}");
    }
}

#[test]
fn a_router_names_a_diverter_it_may_show_and_the_sixth_redirect_is_refused() {
    let (mut town, router, customer) = town(906, "", "diversion_out = \"diversion\"");
    let town_agents = "agents";
    let call = incoming(&mut town, router, customer, vec![]).unwrap();
    let diverted = |number: &str| json!({"redirected": {"number": number, "reason": "busy"}});
    let invite = dialled(&mut town, router, &call, diverted(CALLED));
    let expected = ["<sip:+498001234567@10.0.0.1>;reason=user-busy;counter=1;privacy=off"];
    assert_eq!(values(&invite, "Diversion"), expected);
    let agent = town.agent(AGENT_HZ);
    let mut foreign = json!({"to": town.target(agent), "trunk": town_agents, "call": call["call"]});
    foreign["redirected"] = json!({"number": "+12025550123"});
    assert_eq!(
        town.refused(router, "leg.dial", foreign.clone()),
        "caller_id_not_allowed"
    );

    let customer = town.customer(CUSTOMER_HZ);
    let five = header("Diversion", "<sip:+4930555@c>;counter=5");
    let call = incoming(&mut town, router, customer, vec![five]).unwrap();
    foreign["call"] = call["call"].clone();
    foreign["redirected"] = json!({"number": CALLED});
    let reply = town.request(router, "leg.dial", foreign);
    let data = &reply["error"]["data"];
    assert_eq!(
        (&data["kind"], &data["rule"]),
        (&json!("destination_not_allowed"), &json!("redirects")),
        "{reply}"
    );
}

#[test]
fn a_diverter_who_wants_privacy_is_named_to_trusted_trunks_only() {
    for (keys, uri) in [
        ("", "sip:anonymous@anonymous.invalid"),
        ("identity_trusted = true", "sip:+4930555@10.0.0.1"),
    ] {
        let (mut town, router, customer) = town(907, "", &format!("diversion_out = \"diversion\"\n{keys}"));
        let diversion = header("Diversion", "<sip:+4930555@c>;reason=deflection;privacy=full");
        let call = incoming(&mut town, router, customer, vec![diversion]).unwrap();
        let invite = dialled(&mut town, router, &call, json!({}));
        assert!(
            values(&invite, "Diversion")[0].starts_with(&format!("<{uri}>;reason=deflection")),
            "{invite}"
        );
    }
}

#[test]
fn a_call_answered_elsewhere_is_no_missed_call_either_way() {
    let (mut town, router, customer) = town(908, "", "");
    let call = incoming(&mut town, router, customer, vec![]).unwrap();
    let agent = town.agent(AGENT_HZ);
    town.parties[agent].answer = Answer::Never;
    let dial = json!({"to": town.target(agent), "trunk": "agents", "call": call["call"]});
    let leg = town.ask(router, "leg.dial", dial)["leg"].clone();
    town.run_for(200 * MS);
    town.ask(router, "leg.hangup", json!({"leg": leg, "q850": 26}));
    town.run_for(100 * MS);
    let cancel = town.parties[agent]
        .got
        .iter()
        .find(|text| text.starts_with("CANCEL "))
        .unwrap();
    let reasons = [
        "SIP;cause=200;text=\"Call completed elsewhere\"",
        "Q.850;cause=26",
    ];
    assert_eq!(values(cancel, "Reason"), reasons);

    // And from the carrier, in SIP's words alone.
    let invite = raw_invite("elsewhere", "");
    send(&mut town, &invite);
    town.run_for(50 * MS);
    let leg = town.routers[router].of("leg.incoming").last().unwrap()["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    let reason = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";
    let cancel = raw_invite("elsewhere", reason).replace("INVITE", "CANCEL");
    send(&mut town, &cancel);
    town.run_for(50 * MS);
    let ended = &event(&town, router, "leg.ended", &leg)["data"];
    assert_eq!(
        (&ended["reason"], &ended["q850"], &ended["answered_elsewhere"]),
        (&json!("cancelled"), &json!(26), &json!(true)),
        "{ended}"
    );
    let failed: u64 = town
        .core
        .engine()
        .metrics()
        .tallies()
        .map(|(_, tally)| tally.failed.values().sum::<u64>())
        .sum();
    assert_eq!(failed, 0, "no leg counts as failed or missed");
}

/// An INVITE as bytes, from an address of the carrier's where nobody listens.
fn raw_invite(id: &str, headers: &str) -> String {
    format!(
        "INVITE sip:{CALLED}@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.9;branch=z9hG4bK{id}\r\n\
         From: <sip:+4930111111@c>;tag={id}\r\nTo: <sip:{CALLED}@10.0.0.1>\r\nCall-ID: {id}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:x@10.0.1.9>\r\nMax-Forwards: 70\r\n{headers}Content-Length: 0\r\n\r\n"
    )
}

fn send(town: &mut Town, text: &str) {
    let flow = Flow {
        transport: Transport::Udp,
        local: "10.0.0.1:5060".parse().unwrap(),
        remote: "10.0.1.9:5060".parse().unwrap(),
    };
    let bytes = Bytes::from(text.to_owned());
    town.input(Input::Datagram { flow, bytes });
}

/// docs/threats.md B3: whatever an INVITE holds, its headers cross by the allow lists only.
#[test]
fn no_header_outside_the_lists_reaches_the_engine_or_the_other_leg() {
    /// What an INVITE of ours has.
    const OURS: [&str; 16] = [
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Max-Forwards",
        "Contact",
        "Allow",
        "Supported",
        "User-Agent",
        "Content-Type",
        "Content-Length",
        "X-Case",
        "X-Hop",
        "Session-Expires",
        "Min-SE",
    ];
    let (mut town, router, _) = town(909, "headers_in = [\"X-Case\"]", "headers_out = [\"X-Case\"]");
    let spoils: [fn(&str) -> String; 8] = [
        |name| name.to_owned(),
        |name| format!("{name} "),
        |name| format!(" {name}"),
        |name| format!("{name}\t"),
        |name| format!("x\r\n {name}"),
        |name| name.to_uppercase(),
        |name| format!("{name}\u{b}"),
        |name| format!("{name}:"),
    ];
    let names = [
        "X-Case",
        "X-Secret",
        "P-Asserted-Identity",
        "Diversion",
        "Identity",
        "Authorization",
        "Route",
        "Call-Info",
        "Alert-Info",
        "History-Info",
        "Remote-Party-ID",
        "Geolocation",
        "y",
        "v",
        "X-Case-X",
    ];
    let mut let_in = 0;
    for (number, (name, spoil)) in names
        .iter()
        .flat_map(|name| spoils.iter().map(move |spoil| (name, spoil)))
        .enumerate()
    {
        let before = town.routers[router].of("leg.incoming").len();
        let line = format!("{}: <sip:smuggled@10.0.1.9>\r\n", spoil(name));
        send(&mut town, &raw_invite(&format!("h{number}"), &line));
        town.run_for(20 * MS);
        let Some(call) = town.routers[router]
            .of("leg.incoming")
            .get(before)
            .map(|call| (*call).clone())
        else {
            continue;
        };
        let_in += 1;
        let headers = call["data"]["headers"].as_object().unwrap();
        assert!(
            headers.keys().all(|name| name == "x-case"),
            "{line:?}: {headers:?}"
        );
        let invite = dialled(&mut town, router, &call, json!({}));
        let lines = invite.split("\r\n\r\n").next().unwrap().lines().skip(1);
        for line in lines {
            let name = line.split(':').next().unwrap();
            assert!(OURS.contains(&name), "{line} was let across\n{invite}");
        }
        assert!(!invite.contains("smuggled"), "{invite}");
        town.ask(router, "call.end", json!({"call": call["call"]}));
        town.run_for(100 * MS);
    }
    assert!(let_in > 40, "only {let_in} of the messages were calls");
}
