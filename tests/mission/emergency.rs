//! Flow T34, emergency calls: before the lists and beyond every limit, to the trunk that takes them.

use gateway::engine::io::Input;
use house::sim::{Answer, PartyEvent, Town};
use serde_json::{Value, json};
use sip::endpoint::{Flow, Transport};

use crate::scene::*;

/// A Japanese carrier without emergency calls, and beside it a line that takes them.
fn with_line(text: String, keys: &str) -> String {
    let carrier = "name = \"carrier\"";
    let line = format!(
        "[[trunk]]\nname = \"line\"\nhosts = [\"10.0.3.1:5060\"]\nallow = [\"10.0.3.0/24\"]\noptions_interval_s = 0\n\
         media_allow = [\"10.0.0.0/8\"]\nhome_country = \"JP\"\nemergency = true\n{keys}\n[[number]]"
    );
    let text = text.replacen(carrier, &format!("{carrier}\nhome_country = \"JP\""), 1);
    text.replacen("[[number]]", &line, 1)
}

fn town(seed: u64, keys: &str, limits: &str) -> (Town, usize, usize) {
    let mut town = Town::with(seed, |text| {
        with_line(text, keys).replace("calls = 100\ncalls_per_second = 10000", limits)
    });
    let router = town.router();
    let line = town.party("line", "10.0.3.1:5060", OTHER_HZ);
    (town, router, line)
}

fn invites(town: &Town, party: usize) -> Vec<&str> {
    let got = town.parties[party].got.iter().map(String::as_str);
    got.filter(|text| text.starts_with("INVITE ")).collect()
}

fn alarms(town: &Town, router: usize) -> usize {
    town.routers[router].of("alarm.raised").len()
}

#[test]
fn t34_an_emergency_call_without_a_trunk_for_it_is_refused_and_raises_an_alarm() {
    let mut town = Town::with(3401, |text| {
        text.replacen(
            "name = \"carrier\"",
            "name = \"carrier\"\nhome_country = \"JP\"",
            1,
        )
    });
    let router = town.router();
    let carrier = town.party("carrier", "10.0.1.1:5060", CUSTOMER_HZ);
    for (to, rule) in [
        ("110", "emergency:JP:110"),
        ("１１９", "number_invalid"),
        ("184-119", "emergency:JP:119"),
        ("urn:service:sos", "emergency:JP:sos"),
        ("urn:service:sos.fire", "emergency:JP:sos.fire"),
    ] {
        let reply = town.request(router, "leg.dial", json!({"to": to, "trunk": "carrier"}));
        assert_eq!(reply["error"]["data"]["rule"], rule, "{to}: {reply}");
        let check = town.ask(router, "policy.check", json!({"to": to, "trunk": "carrier"}));
        assert_eq!(
            (&check["decision"], &check["rule"]),
            (&json!("deny"), &json!(rule)),
            "{to}"
        );
    }
    town.run_for(SECOND);
    assert_eq!(alarms(&town, router), 1);
    let alarm = town.routers[router].of("alarm.raised")[0]["data"].clone();
    assert_eq!(alarm["kind"], "emergency_refused");
    assert!(
        alarm["message"].as_str().unwrap().contains("`carrier`"),
        "{alarm}"
    );
    assert!(invites(&town, carrier).is_empty());
}

#[test]
fn t34_an_emergency_call_goes_through_though_every_limit_is_full() {
    let keys = "calls = 1\ncalls_per_second = 1\nburst = 1\ncaller_ids = [\"+81312345678\"]";
    let (mut town, router, line) = town(3402, keys, "calls = 1\ncalls_per_second = 1");
    let carrier = town.party("carrier", "10.0.1.1:5060", CUSTOMER_HZ);
    // The instance has its only call, the line its only leg, and both their tokens spent.
    let first = town.ask(router, "leg.dial", json!({"to": "+81312345679", "trunk": "line"}));
    town.run_for(300 * MS);
    let ordinary = json!({"to": "+81312345679", "trunk": "line"});
    assert_eq!(town.refused(router, "leg.dial", ordinary), "limit_calls");
    for (count, to) in [
        (1, "110"),
        (2, "tel:119;phone-context=+81"),
        (3, "186118"),
        (4, "URN:service:sos"),
    ] {
        let check = town.ask(router, "policy.check", json!({"to": to, "trunk": "carrier"}));
        assert_eq!(
            (&check["decision"], &check["step"]),
            (&json!("allow"), &json!("emergency")),
            "{to}"
        );
        let dialled = town.ask(router, "leg.dial", json!({"to": to, "trunk": "carrier"}));
        town.run_for(300 * MS);
        assert_eq!(invites(&town, line).len(), count + 1, "{to}");
        let answered = event(&town, router, "leg.answered", dialled["leg"].as_str().unwrap());
        assert_eq!(answered["data"]["codec"], "PCMU");
        let dialing = event(&town, router, "leg.dialing", dialled["leg"].as_str().unwrap());
        assert_eq!(dialing["data"]["trunk"], "line");
    }
    let first_lines = invites(&town, line)
        .into_iter()
        .map(|text| text.lines().next().unwrap());
    assert_eq!(
        first_lines.skip(1).collect::<Vec<_>>(),
        [
            "INVITE sip:110@10.0.3.1:5060 SIP/2.0",
            "INVITE sip:119@10.0.3.1:5060 SIP/2.0",
            "INVITE sip:118@10.0.3.1:5060 SIP/2.0",
            "INVITE urn:service:sos SIP/2.0",
        ]
    );
    let invite = invites(&town, line)[4];
    assert!(invite.contains("\r\nTo: <urn:service:sos>\r\n"), "{invite}");
    assert!(invites(&town, carrier).is_empty());
    assert_eq!(alarms(&town, router), 0);
    town.ask(
        router,
        "play.start",
        json!({"target": first["leg"], "sources": ["greeting"]}),
    );
    town.run_for(100 * MS);
    assert_eq!(town.ask(router, "limits.get", json!({}))["calls"]["active"], 5);
}

#[test]
fn t34_a_phone_reaches_help_through_full_limits_and_both_hear_each_other() {
    let (mut town, router, line) = town(3403, "", "calls = 1\ncalls_per_second = 10000");
    let agent = town.agent(AGENT_HZ);
    let customer = town.customer(CUSTOMER_HZ);
    town.answered_call(router, customer);
    // An ordinary call of the phone's meets the limit; one for help does not.
    town.call(agent, "+81312345679");
    town.run_for(100 * MS);
    assert!(matches!(
        town.parties[agent].events.last(),
        Some((_, PartyEvent::Refused(503)))
    ));
    let text = town.routers[router].of("leg.incoming").len();
    assert_eq!(text, 1);
    town.call(agent, "911");
    town.run_for(100 * MS);
    assert_eq!(
        town.routers[router].of("leg.incoming").len(),
        1,
        "911 is no emergency number in Japan"
    );
    town.call(agent, "urn:service:sos");
    town.run_for(100 * MS);
    let incoming = town.routers[router]
        .of("leg.incoming")
        .last()
        .cloned()
        .cloned()
        .unwrap();
    assert_eq!(incoming["data"]["to"]["raw"], "urn:service:sos");
    town.hang_up(agent);
    town.run_for(100 * MS);
    town.call(agent, "110");
    town.run_for(100 * MS);
    let incoming = town.routers[router]
        .of("leg.incoming")
        .last()
        .cloned()
        .cloned()
        .unwrap();
    assert_eq!(incoming["data"]["to"]["raw"], "110");
    let (leg, call) = (incoming["leg"].clone(), incoming["call"].clone());
    town.ask(router, "leg.answer", json!({"leg": leg}));
    town.run_for(100 * MS);
    let dialled = town.ask(
        router,
        "leg.dial",
        json!({"to": "110", "trunk": "carrier", "call": call}),
    );
    town.run_for(300 * MS);
    town.ask(
        router,
        "bridge.create",
        json!({"call": call, "legs": [leg, dialled["leg"]]}),
    );
    town.run_for(200 * MS);
    assert_hears(&mut town, agent, &[OTHER_HZ], &[CUSTOMER_HZ]);
    assert_hears(&mut town, line, &[AGENT_HZ], &[CUSTOMER_HZ]);
}

#[test]
fn t34_an_emergency_call_is_tried_where_peers_are_down_and_while_we_drain() {
    let (mut town, router, line) = town(3404, "", "calls = 100\ncalls_per_second = 10000");
    // 503 with Retry-After takes the peer out for other calls only.
    town.parties[line].answer = Answer::Refuse(503);
    let dial = json!({"to": "+81312345679", "trunk": "line"});
    town.ask(router, "leg.dial", dial);
    town.run_for(200 * MS);
    town.parties[line].answer = Answer::After(100 * MS);
    town.ask(router, "drain.start", json!({"deadline_ms": 60_000}));
    let refused = town.refused(router, "leg.dial", json!({"to": "+81312345679", "trunk": "line"}));
    assert_eq!(refused, "draining");
    let dialled = town.ask(router, "leg.dial", json!({"to": "119", "trunk": "line"}));
    town.run_for(300 * MS);
    event(&town, router, "leg.answered", dialled["leg"].as_str().unwrap());
}

#[test]
fn t34_the_next_emergency_trunk_is_tried_when_one_fails() {
    let second = "[[trunk]]\nname = \"second\"\nhosts = [\"10.0.4.1:5060\"]\nallow = [\"10.0.4.0/24\"]\noptions_interval_s = 0\n\
                  media_allow = [\"10.0.0.0/8\"]\nhome_country = \"JP\"\nemergency = true";
    let (mut town, router, line) = town(3405, second, "calls = 100\ncalls_per_second = 10000");
    let other = town.party("second", "10.0.4.1:5060", CUSTOMER_HZ);
    town.parties[line].answer = Answer::Refuse(503);
    let dialled = town.ask(router, "leg.dial", json!({"to": "110", "trunk": "carrier"}));
    town.run_for(500 * MS);
    assert_eq!((invites(&town, line).len(), invites(&town, other).len()), (1, 1));
    event(&town, router, "leg.answered", dialled["leg"].as_str().unwrap());
    town.ask(router, "leg.hangup", json!({"leg": dialled["leg"]}));
    town.run_for(SECOND);
    let attempts: Vec<Value> = town.records.last().unwrap()["legs"][0]["attempts"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    assert_eq!(attempts[0]["status"], 503);
}

#[test]
fn t34_a_place_goes_with_an_emergency_call_to_the_trunk_that_asks_and_with_no_other() {
    let keys = "caller_ids = [\"+81312345678\"]\nheaders_out = [\"Geolocation\", \"Geolocation-Routing\"]";
    let (mut town, router, line) = town(3406, keys, "calls = 100\ncalls_per_second = 10000");
    let place = "<https://lis.example/x7>";
    let dial = |to: &str, place: &str| {
        let headers = json!({"Geolocation": place, "Geolocation-Routing": "yes"});
        json!({"to": to, "trunk": "line", "headers": headers})
    };
    let ordinary = dial("+81312345679", place);
    assert_eq!(town.refused(router, "leg.dial", ordinary), "invalid_params");
    assert!(invites(&town, line).is_empty());
    let mut help = dial("110", &format!("<CID:here@example>, {place}"));
    help["headers"]["X-Unlisted"] = json!("secret");
    town.ask(router, "leg.dial", help);
    town.run_for(300 * MS);
    let invite = invites(&town, line)[0].to_ascii_lowercase();
    assert!(
        invite.contains(&format!("\r\ngeolocation: {place}\r\n")),
        "{invite}"
    );
    assert!(invite.contains("\r\ngeolocation-routing: yes\r\n"), "{invite}");
    assert!(!invite.contains("x-unlisted"), "{invite}");
}

/// A phone that puts its place into the body of its INVITE: the call goes through and the place does not.
#[test]
fn t34_a_call_for_help_with_its_place_in_the_body_goes_through_without_it() {
    let keys = "caller_ids = [\"+81312345678\"]\nheaders_out = [\"Geolocation\", \"Geolocation-Routing\"]";
    let mut town = Town::with(3407, |text| {
        let text = with_line(text, keys);
        let agents = "name = \"agents\"\n";
        text.replacen(
            agents,
            &format!("{agents}home_country = \"JP\"\nheaders_in = [\"Geolocation\"]\n"),
            1,
        )
    });
    let router = town.router();
    let line = town.party("line", "10.0.3.1:5060", OTHER_HZ);
    let phone = town.party("phone", "10.0.2.9:5060", AGENT_HZ);
    let sdp =
        "v=0\r\no=- 1 1 IN IP4 10.0.2.9\r\ns=-\r\nc=IN IP4 10.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let place = "<presence><gml:pos>35.68 139.76</gml:pos></presence>\r\n";
    let body = format!(
        "--b\r\nContent-Type: application/pidf+xml\r\nContent-ID: <here@example>\r\n\r\n{place}\
         --b\r\nContent-Type: application/sdp\r\n\r\n{sdp}--b--\r\n"
    );
    let invite = format!(
        "INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.2.9:5060;branch=z9hG4bKplace\r\nMax-Forwards: 70\r\n\
         From: <sip:anna@10.0.2.9>;tag=p\r\nTo: <urn:service:sos>\r\nCall-ID: place\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:anna@10.0.2.9:5060>\r\nGeolocation: <cid:here@example>\r\nGeolocation-Routing: yes\r\n\
         Content-Type: multipart/mixed;boundary=b\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let flow = Flow {
        transport: Transport::Udp,
        local: "10.0.0.1:5060".parse().unwrap(),
        remote: "10.0.2.9:5060".parse().unwrap(),
    };
    town.input(Input::Datagram {
        flow,
        bytes: invite.into(),
    });
    town.run_for(100 * MS);
    let incoming = town.routers[router].of("leg.incoming");
    let incoming = (*incoming
        .first()
        .unwrap_or_else(|| panic!("{:?}", town.parties[phone].got)))
    .clone();
    let headers = incoming["data"]["headers"].clone();
    assert_eq!(headers.as_object().unwrap().len(), 1, "{headers}");
    town.ask(router, "leg.answer", json!({"leg": incoming["leg"]}));
    town.run_for(100 * MS);
    // The router hands on what it was told.
    let dial =
        json!({"to": "urn:service:sos", "trunk": "line", "call": incoming["call"], "headers": headers});
    let dialled = town.ask(router, "leg.dial", dial);
    town.run_for(300 * MS);
    event(&town, router, "leg.answered", dialled["leg"].as_str().unwrap());
    let invite = invites(&town, line)[0].to_ascii_lowercase();
    assert!(
        !invite.contains("geolocation") && !invite.contains("pidf"),
        "{invite}"
    );
    assert!(invite.contains("content-type: application/sdp"), "{invite}");
    let told = town.routers[router].events.iter().chain(&town.records);
    let told: String = told.map(Value::to_string).collect();
    assert!(!told.contains("139.76"), "nobody is told the place");
}
