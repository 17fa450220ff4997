//! The messages of RFC 4475 and RFC 5118 as the whole gateway answers them, over UDP and over TCP.
//!
//! What each sender is told is in the table that the program on its sockets is judged by too.

use std::time::Duration;

use gateway::engine::io::Input;
use house::torture::{self, Told, Torture};
use serde_json::json;
use sip::endpoint::Transport;

use crate::rig::*;

/// One that talks to the addresses of the documents' SDP.
fn rig() -> Rig {
    let allowed = [&["10.0.1.0/24"], &torture::MEDIA[..]].concat();
    Rig::with(&format!("media_allow = {allowed:?}"), "")
}

/// What became of what was just sent; a call is refused, and nothing of it stays.
fn told(rig: &mut Rig, came: &[String], name: &str) -> Told {
    let calls: Vec<_> = rig
        .of("leg.incoming")
        .iter()
        .map(|event| event["leg"].clone())
        .collect();
    assert!(calls.len() <= 1, "{name} is {} calls", calls.len());
    for leg in &calls {
        rig.ask("leg.reject", json!({ "leg": leg, "status": 486 }));
    }
    let strays = rig
        .sent
        .iter()
        .filter(|(flow, _)| flow.remote.ip() != address(CARRIER).ip());
    assert_eq!(
        strays.count(),
        0,
        "{name}: answers go to where the message came from"
    );
    rig.run_for(Duration::from_secs(100));
    // A refusal whose stream is gone went over a new one.
    let flow = flow(Transport::Tcp, CARRIER);
    rig.handle(Input::Disconnected { flow });
    assert!(rig.is_at_rest(), "{name} left something");
    match (calls.is_empty(), status(came)) {
        (false, _) => Told::Call,
        (true, Some(status)) => Told::Status(status),
        (true, None) => Told::Silence,
    }
}

#[test]
fn each_message_of_rfc_4475_and_rfc_5118_gets_its_answer_or_silence() {
    let wrong = |name: &str, over: &str, meant: Told, told: Told, why: &str| {
        (meant != told).then(|| format!("{name} over {over}: {told:?}, not {meant:?} ({why})"))
    };
    let mut all_wrong = Vec::new();
    for (message, bytes) in torture::all() {
        let Torture { name, udp, tcp, why } = message;
        let mut over_udp = rig();
        let came = over_udp.udp(CARRIER, &bytes);
        let told_udp = told(&mut over_udp, &came, name);
        over_udp.assert_alive();
        let mut over_tcp = rig();
        let came = over_tcp.tcp(CARRIER, &bytes).0;
        let told_tcp = told(&mut over_tcp, &came, name);
        over_tcp.assert_alive();
        all_wrong.extend(wrong(name, "UDP", udp, told_udp, why));
        all_wrong.extend(wrong(name, "TCP", tcp, told_tcp, why));
    }
    assert!(all_wrong.is_empty(), "{all_wrong:#?}");
}
