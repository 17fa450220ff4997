//! Domains: whose dialogs are whose, and by which name each knows us.

use sip::endpoint::pair::{Pair, Side};
use sip::endpoint::{Domain, Event};

use super::wire::{header, invite, lines, request, tagged, to_tag};
use crate::*;

const STRANGER: &str = "198.51.100.7:5060";

fn domain(network: &str) -> Domain {
    Domain {
        networks: vec![network.parse().unwrap()],
        challenge: None,
        registrar: None,
        our_host: None,
        contact_host: None,
    }
}

/// A left side that hears every source, and whose own messages are lost.
fn open_to_all(seed: u64) -> Pair {
    let mut pair = pair(seed);
    pair.link.loss_percent = 100;
    pair.left.set_allowed(vec!["0.0.0.0/0".parse().unwrap()]);
    pair
}

fn give(pair: &mut Pair, source: &str, text: &str) -> Vec<String> {
    let before = pair.sent.len();
    pair.inject(Side::Left, source.parse().unwrap(), text);
    pair.sent[before..].iter().map(|sent| sent.text.clone()).collect()
}

#[test]
fn what_another_domain_sends_into_a_dialog_is_told_that_there_is_none() {
    let mut pair = open_to_all(71);
    pair.left
        .set_domains(vec![domain("192.0.2.0/24"), domain("198.51.100.0/24")]);
    let peer = "192.0.2.2:5060";
    give(&mut pair, peer, &invite("first", ""));
    // It has even copied the Via.
    let cancel = request("CANCEL", "first", 1, "", "");
    let told = give(&mut pair, STRANGER, &cancel);
    assert_eq!(lines(&told), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    let [Event::Incoming(incoming)] = &pair.take_events(Side::Left)[..] else {
        panic!()
    };
    let session = incoming.session;
    pair.command(Side::Left, answer(session));
    let tag = format!(";tag={}", to_tag(&pair.sent.last().unwrap().text));
    let inside = |method: &str, branch: &str, cseq| tagged(method, branch, cseq, [";tag=peer", &tag], "", "");
    give(&mut pair, STRANGER, &inside("ACK", "ack-of-another", 1));
    assert!(pair.take_events(Side::Left).is_empty());
    give(&mut pair, peer, &inside("ACK", "ack", 1));
    assert_eq!(names(&pair.take_events(Side::Left)), ["Acknowledged"]);
    for (method, cseq) in [("INVITE", 2), ("UPDATE", 3), ("INFO", 4), ("BYE", 5)] {
        let told = give(&mut pair, STRANGER, &inside(method, method, cseq));
        let last = told.last().unwrap().lines().next().unwrap();
        assert_eq!(last, "SIP/2.0 481 Call/Transaction Does Not Exist", "{method}");
    }
    assert!(pair.take_events(Side::Left).is_empty());
    // Another address of its own domain may, and no number was used up.
    let told = give(&mut pair, "192.0.2.9:5060", &inside("BYE", "last", 2));
    assert_eq!(lines(&told), ["SIP/2.0 200 OK"]);
}

#[test]
fn each_domain_knows_us_by_the_name_it_was_given() {
    let mut pair = open_to_all(72);
    let named = Domain {
        our_host: Some("gw.example.net".to_owned()),
        ..domain("192.0.2.0/24")
    };
    let only_contact = Domain {
        contact_host: Some("sbc.example.org".to_owned()),
        ..domain("198.51.100.0/24")
    };
    pair.left.set_domains(vec![named, only_contact]);
    for (source, contact) in [
        ("192.0.2.2:5060", "sip:gw@gw.example.net:5060"),
        (STRANGER, "sip:gw@sbc.example.org"),
        ("203.0.113.1:5060", "sip:gw@192.0.2.1:5060"),
    ] {
        let number = source.replace(':', "-");
        let text = invite(&number, "").replace("by-hand", &number);
        give(&mut pair, source, &text);
        let [Event::Incoming(incoming)] = &pair.take_events(Side::Left)[..] else {
            panic!()
        };
        let session = incoming.session;
        pair.command(Side::Left, answer(session));
        let ok = pair.sent.last().unwrap().text.clone();
        assert_eq!(header(&ok, "Contact"), Some(format!("<{contact}>").as_str()));
    }
    // What we begin ourselves: Via and Contact.
    pair.link.loss_percent = 0;
    ringing(&mut pair, Transport::Udp);
    let sent = pair.sent.iter().rev();
    let invite = sent
        .map(|sent| sent.text.as_str())
        .find(|text| text.starts_with("INVITE "))
        .unwrap();
    assert!(
        header(invite, "Via")
            .unwrap()
            .starts_with("SIP/2.0/UDP gw.example.net:5060;")
    );
    assert!(
        header(invite, "Contact")
            .unwrap()
            .contains("@gw.example.net:5060")
    );
}
