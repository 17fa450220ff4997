//! Traces that an engineer asks for: what they follow, their bounds, and what the two files hold and do not hold.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use gateway::engine::io::{Input, TraceCommand, TraceEnd};
use gateway::observe::traces::Traces;
use house::phonebook;
use house::sim::{Ask, Sdes, Town};
use serde_json::{Value, json};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
const CUSTOMER_HZ: f64 = 500.0;
const AGENT_HZ: f64 = 800.0;

fn messages(town: &Town, trace: &str) -> Vec<String> {
    let texts = town.traced.iter().filter_map(|command| match command {
        TraceCommand::Message { trace: of, bytes, .. } if of == trace => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        TraceCommand::Message { .. } | TraceCommand::Start { .. } | TraceCommand::Stop { .. } => None,
    });
    texts.collect()
}

fn stops(town: &Town) -> usize {
    let stops = town.traced.iter();
    stops
        .filter(|command| matches!(command, TraceCommand::Stop { .. }))
        .count()
}

fn start(town: &mut Town, router: usize, params: Value) -> String {
    let started = town.ask(router, "trace.start", params);
    started["trace"].as_str().unwrap().to_owned()
}

/// Tells the core that a trace's files are written.
fn written(town: &mut Town, trace: &str) {
    let end = TraceEnd {
        trace: trace.to_owned(),
        text: "/t.txt".into(),
        pcap: "/t.pcap".into(),
        lost: 2,
        failed: None,
    };
    town.input(Input::Trace(end));
    town.run_for(MS);
}

/// The orders of a town, written down by the product; the text and the pcap.
fn files(town: &Town, name: &str) -> (String, Vec<u8>) {
    let dir: PathBuf = std::env::temp_dir().join(format!("house-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (report, mut reports) = tokio::sync::mpsc::channel(4);
    let mut traces = Traces::spawn(&dir, report).unwrap();
    for command in &town.traced {
        assert!(traces.order(command.clone()));
    }
    assert!(traces.close(Duration::from_secs(10)));
    let Some(Input::Trace(end)) = reports.blocking_recv() else {
        panic!("a report");
    };
    assert_eq!(end.failed, None);
    let files = (
        std::fs::read_to_string(&end.text).unwrap(),
        std::fs::read(&end.pcap).unwrap(),
    );
    std::fs::remove_dir_all(&dir).unwrap();
    files
}

/// A datagram of a pcap file, read by the text of the format (draft-ietf-opsawg-pcap, RFC 791, RFC 768).
struct Datagram {
    from: SocketAddr,
    to: SocketAddr,
    payload: Vec<u8>,
}

fn datagrams(pcap: &[u8]) -> Vec<Datagram> {
    let u32_at = |at: usize| u32::from_le_bytes(pcap[at..at + 4].try_into().unwrap());
    let u16_of = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    assert_eq!((u32_at(0), u32_at(20)), (0xA1B2_C3D4, 101), "pcap of raw IP");
    let mut found = Vec::new();
    let mut at = 24;
    let mut before = (0, 0);
    while at < pcap.len() {
        let time = (u32_at(at), u32_at(at + 4));
        assert!(time >= before && time.1 < 1_000_000, "time goes forward");
        before = time;
        let (captured, original) = (u32_at(at + 8) as usize, u32_at(at + 12) as usize);
        assert_eq!(captured, original);
        let packet = &pcap[at + 16..at + 16 + captured];
        at += 16 + captured;
        assert_eq!(
            (packet[0], packet[9], usize::from(u16_of(&packet[2..]))),
            (0x45, 17, captured)
        );
        let sum = |bytes: &[u8]| {
            let padded = [bytes, &[0]].concat();
            let words = padded.chunks_exact(2).map(|pair| u64::from(u16_of(pair)));
            let sum: u64 = words.sum();
            (sum % 0xFFFF) as u16
        };
        assert_eq!(sum(&packet[..20]), 0, "the sum of a right header is all ones");
        let udp = &packet[20..];
        assert_eq!(usize::from(u16_of(&udp[4..])), udp.len());
        let pseudo = [&packet[12..20], &[0, 17], &udp[4..6], udp].concat();
        assert_eq!(sum(&pseudo), 0);
        let address = |from: usize| IpAddr::from(<[u8; 4]>::try_from(&packet[from..from + 4]).unwrap());
        found.push(Datagram {
            from: SocketAddr::new(address(12), u16_of(udp)),
            to: SocketAddr::new(address(16), u16_of(&udp[2..])),
            payload: udp[8..].to_vec(),
        });
    }
    assert_eq!(at, pcap.len());
    found
}

#[test]
fn a_whole_call_is_in_both_files_and_no_secret_in_either() {
    let users = phonebook::file(&[("anna", "secret-of-anna")]);
    let mut town = Town::with(7701, |text| {
        text.replace(
            "allow = [\"10.0.2.0/24\"]\n",
            &format!(
                "allow = [\"10.0.2.0/24\"]\nsrtp = \"required\"\nsrtp_without_tls = true\n\
                 accept_register = {{ users_file = \"{}\", realm = \"phones\" }}\n",
                users.display()
            ),
        )
    });
    std::fs::remove_file(users).unwrap();
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let phone = town.party("phone", "10.0.2.1:5070", AGENT_HZ);
    town.parties[phone].sdes = Some(Sdes::new(house::srtp::SUITES[0], Ask::Savp, 0x31));
    let trace = start(&mut town, router, json!({"trunk": "agents", "ms": 600_000}));
    town.register(phone, "anna", "secret-of-anna", 600 * S);
    town.run_for(S);
    let (caller, call) = town.answered_call(router, customer);
    town.parties[phone].answer = house::sim::Answer::After(100 * MS);
    let dial = json!({"to": "sip:anna", "trunk": "agents", "call": call});
    let desk = town.ask(router, "leg.dial", dial)["leg"].clone();
    town.run_for(300 * MS);
    town.ask(
        router,
        "bridge.create",
        json!({"call": call, "legs": [caller, desk]}),
    );
    town.run_for(S);
    town.ask(router, "leg.hangup", json!({"leg": desk}));
    town.run_for(S);
    town.ask(router, "trace.stop", json!({"trace": trace}));
    let seen = messages(&town, &trace);
    let all = seen.join("\n");
    let secret = |prefix: &str, end: &[char]| -> String {
        let from = all.find(prefix).unwrap_or_else(|| panic!("no {prefix} in {all}")) + prefix.len();
        all[from..].split(end).next().unwrap().to_owned()
    };
    let secrets = [
        secret("response=\"", &['"']),
        secret("inline:", &['|', '\r', ' ']),
    ];

    let (text, pcap) = files(&town, "trace");
    let datagrams = datagrams(&pcap);
    assert_eq!(datagrams.len(), seen.len());
    let shown: Vec<String> = datagrams
        .iter()
        .map(|datagram| String::from_utf8(datagram.payload.clone()).unwrap())
        .collect();
    for secret in secrets.iter().map(String::as_str).chain(["secret-of-anna"]) {
        assert!(secret.len() > 10);
        assert!(
            !text.contains(secret) && !shown.concat().contains(secret),
            "{secret}"
        );
    }
    let gateway: SocketAddr = "10.0.0.1:5060".parse().unwrap();
    let desk: SocketAddr = "10.0.2.1:5070".parse().unwrap();
    for (datagram, message) in datagrams.iter().zip(&shown) {
        let ends = [datagram.from, datagram.to];
        assert!(ends == [gateway, desk] || ends == [desk, gateway], "{ends:?}");
        let (head, body) = message.split_once("\r\n\r\n").unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        assert_eq!(length.unwrap().parse(), Ok(body.len()), "{message}");
    }
    // The ladder tells the registration and the call, in order.
    let ladder = text.rsplit("\n\n").next().unwrap();
    let wanted = [
        "REGISTER",
        "401 Unauthorized (REGISTER)",
        "REGISTER",
        "200 OK (REGISTER)",
        "INVITE (SDP)",
        "200 OK (INVITE, SDP)",
        "ACK",
        "BYE",
        "200 OK (BYE)",
    ];
    let mut rows = ladder.lines();
    for label in wanted {
        let row = rows.find(|row| row.contains(&format!(" {label} ")));
        assert!(row.is_some(), "{label} in\n{ladder}");
    }
    assert!(
        ladder.contains("10.0.2.1:5070") && ladder.contains("10.0.0.1:5060"),
        "{ladder}"
    );
}

#[test]
fn a_trace_of_a_call_follows_its_legs_and_no_other_call() {
    let mut town = Town::new(7702);
    let router = town.router();
    let (first, second) = (town.customer(CUSTOMER_HZ), town.customer(CUSTOMER_HZ));
    let agent = town.agent(AGENT_HZ);
    let (_, call) = town.answered_call(router, first);
    let trace = start(
        &mut town,
        router,
        json!({"call": call, "ms": 60_000, "numbers": "shown"}),
    );
    let started = town.routers[router].of("trace.started")[0].clone();
    assert_eq!(
        started["cause"],
        json!({"app": "default", "cmd": "trace.start"}),
        "audited"
    );
    assert_eq!(
        (&started["call"], &started["data"]["numbers"]),
        (&json!(call), &json!("shown"))
    );
    assert!(town.log.iter().any(|line| line.contains("began SIP trace")));
    let (other, _) = town.answered_call(router, second);
    town.ask(router, "leg.hangup", json!({"leg": other}));
    assert!(messages(&town, &trace).is_empty(), "another call");
    // A leg dialled into it later is followed, to the answer of its BYE.
    let desk = town.dialled(router, agent, &call);
    town.ask(router, "leg.hangup", json!({"leg": desk}));
    town.run_for(S);
    let seen = messages(&town, &trace);
    let first_lines: Vec<_> = seen.iter().map(|text| text.lines().next().unwrap()).collect();
    assert!(first_lines[0].starts_with("INVITE sip:agent@"), "{first_lines:?}");
    assert_eq!(first_lines.last(), Some(&"SIP/2.0 200 OK"), "{first_lines:?}");
    town.ask(router, "trace.stop", json!({"trace": trace}));
    assert_eq!(stops(&town), 1);
    assert!(
        town.routers[router].of("trace.ended").is_empty(),
        "not before its files are whole"
    );
    written(&mut town, &trace);
    let ended = town.routers[router].of("trace.ended")[0]["data"].clone();
    assert_eq!(
        ended,
        json!({"trace": trace, "why": "stopped", "messages": seen.len(), "lost": 2, "text": "/t.txt", "pcap": "/t.pcap"})
    );
    let again = town.ask(router, "trace.stop", json!({"trace": trace}));
    assert_eq!(again["already_ended"], true);
}

#[test]
fn traces_are_bounded_in_time_number_and_messages() {
    let mut town = Town::new(7703);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let traces: Vec<String> = (0..8)
        .map(|_| start(&mut town, router, json!({"trunk": "carrier", "ms": 1000})))
        .collect();
    let full = json!({"trunk": "carrier", "ms": 1000});
    assert_eq!(town.refused(router, "trace.start", full), "invalid_state");
    for (wrong, kind) in [
        (json!({"ms": 1000}), "invalid_params"),
        (json!({"trunk": "carrier", "ms": 600_001}), "invalid_params"),
        (json!({"trunk": "nobody", "ms": 1000}), "not_found"),
        (json!({"call": "c_none", "ms": 1000}), "not_found"),
        (json!({"leg": "l_none", "ms": 1000}), "not_found"),
    ] {
        let kind_told = town.refused(router, "trace.start", wrong.clone());
        assert!(
            kind_told == kind || kind_told == "invalid_state",
            "{wrong} {kind_told}"
        );
    }
    town.run_for(2 * S);
    assert_eq!(stops(&town), 8);
    town.call(customer, "+498001234567");
    town.run_for(MS);
    assert!(
        traces.iter().all(|trace| messages(&town, trace).is_empty()),
        "their time is over"
    );
    for trace in &traces {
        written(&mut town, trace);
    }
    let ended = town.routers[router].of("trace.ended");
    assert!(ended.iter().all(|event| event["data"]["why"] == "time") && ended.len() == 8);

    // A flood of messages fills one, and then nothing of it is followed any more.
    let trace = start(&mut town, router, json!({"trunk": "carrier", "ms": 600_000}));
    let flow = sip::endpoint::Flow {
        transport: sip::endpoint::Transport::Udp,
        local: "10.0.0.1:5060".parse().unwrap(),
        remote: "10.0.1.1:5060".parse().unwrap(),
    };
    for number in 0..20_100 {
        if number % 4_000 == 3_999 {
            // As fast as one source is heard.
            town.run_for(S);
        }
        let bytes = bytes::Bytes::from_static(b"ACK sip:x SIP/2.0\r\nCall-ID: flood\r\n\r\n");
        town.input(Input::Datagram { flow, bytes });
    }
    assert_eq!(messages(&town, &trace).len(), 20_000);
    written(&mut town, &trace);
    let ended = town.routers[router].of("trace.ended");
    assert_eq!(ended.last().unwrap()["data"]["why"], "messages");
}
