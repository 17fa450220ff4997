//! What a peer asks for by REFER, Replaces and 3xx: told, never done by itself, and how it comes out.

use house::sim::{Answer, PartyEvent};
use serde_json::{Value, json};
use sip::endpoint::{Command, ExtraHeader, ReferOutcome, ReferTarget};

use crate::scene::*;
use crate::transfers::*;

#[test]
fn t41_a_refer_that_is_accepted_puts_the_target_in_the_place_of_whoever_asked() {
    let mut scene = scene(4101, ASK);
    let (customer, agent) = (scene.customer, scene.agent);
    let other = scene.town.agent(OTHER_HZ);
    scene.town.parties[other].answer = Answer::After(SECOND);
    let to = scene.town.target(other);
    refer(&mut scene, agent, &to);
    let asked = scene.event("leg.transfer_requested", &scene.desk);
    assert_eq!(
        (&asked["data"]["to"], &asked["data"]["sip"]),
        (&json!(to), &Value::Null)
    );
    assert_eq!(asked["cause"]["by"], "peer");
    scene.town.run_for(3 * SECOND);
    assert_eq!(
        invites(&scene, other),
        0,
        "nothing is dialled before transfer.accept"
    );
    let op = scene.ask("transfer.accept", json!({"leg": scene.desk}))["op"].clone();
    scene.town.run_for(100 * MS);
    assert_eq!(invites(&scene, other), 1);
    scene.assert_hears(customer, &[AGENT_HZ], &[OTHER_HZ]);
    scene.town.run_for(700 * MS);
    scene.assert_hears(customer, &[OTHER_HZ], &[AGENT_HZ]);
    scene.assert_hears(other, &[CUSTOMER_HZ], &[AGENT_HZ]);
    scene.assert_hears(agent, &[], &[CUSTOMER_HZ, OTHER_HZ]);
    assert_eq!(ended(&scene, &op), "ok");
    assert_eq!(
        told(&scene, agent),
        [
            PartyEvent::ReferProgress(100),
            PartyEvent::ReferProgress(180),
            done(ReferOutcome::Notified(200)),
        ]
    );
    let progress: Vec<_> = scene
        .events("transfer.progress")
        .iter()
        .map(|event| event["data"]["sip"].clone())
        .collect();
    assert_eq!(progress, [180, 200]);
    scene.town.hang_up(agent);
    scene.town.run_for(200 * MS);
    scene.assert_hears(customer, &[OTHER_HZ], &[]);
}

#[test]
fn t41_a_target_that_fails_leaves_the_old_call_as_it_was() {
    for (answer, status) in [(Answer::Refuse(486), 486), (Answer::Never, 487)] {
        let mut scene = scene(4102, ASK);
        let (customer, agent) = (scene.customer, scene.agent);
        let other = scene.town.agent(OTHER_HZ);
        scene.town.parties[other].answer = answer;
        let to = scene.town.target(other);
        refer(&mut scene, agent, &to);
        let accept = json!({"leg": scene.desk, "ring_timeout_ms": 2000});
        let op = scene.ask("transfer.accept", accept)["op"].clone();
        scene.town.run_for(3 * SECOND);
        assert_eq!(ended(&scene, &op), "failed");
        scene.assert_hears(customer, &[AGENT_HZ], &[OTHER_HZ]);
        scene.assert_hears(agent, &[CUSTOMER_HZ], &[OTHER_HZ]);
        let last = told(&scene, agent).pop().unwrap();
        // A ring limit of ours has no status of the peer: 480.
        let expected = if status == 486 { 486 } else { 480 };
        assert_eq!(last, done(ReferOutcome::Notified(expected)));
        let bridge = scene.leg(&scene.desk.clone())["bridge"].clone();
        assert_eq!(bridge, json!(scene.bridge));
    }
}

#[test]
fn t41_whoever_asked_may_hang_up_and_the_customer_hears_the_target_ring() {
    let mut scene = scene(4103, ASK);
    let (customer, agent) = (scene.customer, scene.agent);
    let other = scene.town.agent(OTHER_HZ);
    scene.town.parties[other].answer = Answer::After(3 * SECOND);
    let to = scene.town.target(other);
    refer(&mut scene, agent, &to);
    let op = scene.ask("transfer.accept", json!({"leg": scene.desk}))["op"].clone();
    scene.town.run_for(200 * MS);
    scene.town.hang_up(agent);
    scene.town.run_for(300 * MS);
    let ring = scene.hears(customer, 440.0);
    assert!(ring > 0.05, "the ring tone is heard at {ring:.3}");
    scene.town.run_for(3 * SECOND);
    scene.assert_hears(customer, &[OTHER_HZ], &[440.0]);
    scene.assert_hears(other, &[CUSTOMER_HZ], &[]);
    assert_eq!(ended(&scene, &op), "ok");
    // Told after its own BYE (RFC 5057 §4.1).
    assert_eq!(
        told(&scene, agent).last(),
        Some(&done(ReferOutcome::Notified(200)))
    );
}

#[test]
fn t41_a_customer_who_hangs_up_meanwhile_cancels_the_dial() {
    let mut scene = scene(4104, ASK);
    let (customer, agent) = (scene.customer, scene.agent);
    let other = scene.town.agent(OTHER_HZ);
    scene.town.parties[other].answer = Answer::Never;
    let to = scene.town.target(other);
    refer(&mut scene, agent, &to);
    let op = scene.ask("transfer.accept", json!({"leg": scene.desk}))["op"].clone();
    scene.town.run_for(500 * MS);
    scene.town.hang_up(customer);
    scene.town.run_for(500 * MS);
    assert_eq!(ended(&scene, &op), "cancelled");
    assert_eq!(
        scene.town.parties[other].events.last().unwrap().1,
        PartyEvent::Cancelled
    );
    assert_eq!(
        told(&scene, agent).last(),
        Some(&done(ReferOutcome::Notified(487)))
    );
}

#[test]
fn t41_without_a_word_a_refer_is_declined_after_10_s() {
    let mut scene = scene(4105, ASK);
    let (customer, agent) = (scene.customer, scene.agent);
    refer(&mut scene, agent, "sip:anna@10.0.2.1:5099");
    scene.town.run_for(9900 * MS);
    assert_eq!(told(&scene, agent), []);
    scene.town.run_for(200 * MS);
    assert_eq!(told(&scene, agent), [done(ReferOutcome::Refused(603))]);
    let refused = scene
        .town
        .refused(scene.router, "transfer.accept", json!({"leg": scene.desk}));
    assert_eq!(refused, "invalid_state");
    scene.assert_hears(customer, &[AGENT_HZ], &[]);
    refer(&mut scene, agent, "sip:anna@10.0.2.1:5099");
    scene.ask("transfer.reject", json!({"leg": scene.desk, "status": 403}));
    scene.town.run_for(100 * MS);
    assert_eq!(
        told(&scene, agent).last(),
        Some(&done(ReferOutcome::Refused(403)))
    );
}

#[test]
fn t41_an_accepted_target_passes_the_whole_number_policy() {
    let mut scene = scene(4106, ASK);
    let agent = scene.agent;
    let sent = scene.town.parties.len();
    for (to, kind) in [
        ("sip:+447911123456@10.0.2.1", "destination_not_allowed"),
        ("tel:+19005551234", "destination_not_allowed"),
        ("sip:0990123456@10.0.2.1", "number_invalid"),
        ("sip:anna@198.51.100.7", "destination_not_allowed"),
        ("sip:gw@10.0.0.1:5060", "destination_not_allowed"),
    ] {
        refer(&mut scene, agent, to);
        let refused = scene
            .town
            .refused(scene.router, "transfer.accept", json!({"leg": scene.desk}));
        assert_eq!(refused, kind, "{to}");
        // The REFER still waits: the router may name another target, or say no.
        scene.ask("transfer.reject", json!({"leg": scene.desk}));
        scene.town.run_for(50 * MS);
    }
    assert_eq!(
        scene.events("leg.dialing").len(),
        1,
        "the agent's own, {sent} parties"
    );
    refer(&mut scene, agent, "sip:+447911123456@10.0.2.1");
    let other = scene.town.agent(OTHER_HZ);
    scene.town.parties[other].answer = Answer::After(100 * MS);
    let to = scene.town.target(other);
    scene.ask("transfer.accept", json!({"leg": scene.desk, "to": to}));
    scene.town.run_for(500 * MS);
    scene.assert_hears(scene.customer, &[OTHER_HZ], &[AGENT_HZ]);
}

#[test]
fn t41_an_attended_refer_joins_the_two_parties_of_whoever_asked() {
    let mut scene = scene(4107, ASK);
    let (customer, agent) = (scene.customer, scene.agent);
    // The agent's phone has a second call with us, and in it somebody else.
    let first = scene.town.parties[agent].session();
    let second = scene.ask(
        "leg.dial",
        json!({"to": scene.town.target(agent), "trunk": "agents", "call": scene.call}),
    )["leg"]
        .clone();
    scene.town.run_for(400 * MS);
    let other = scene.town.agent(OTHER_HZ);
    let third = scene.town.dialled(scene.router, other, &scene.call.clone());
    scene.ask(
        "bridge.create",
        json!({"call": scene.call, "legs": [second, third]}),
    );
    scene.town.run_for(200 * MS);
    scene.assert_hears(other, &[AGENT_HZ], &[CUSTOMER_HZ]);
    let to = ReferTarget::Session(scene.town.parties[agent].session());
    let now = scene.town.now;
    scene.town.parties[agent].order(
        Command::Refer {
            session: first,
            to,
            referred_by: None,
            wait: 60 * SECOND,
        },
        now,
    );
    scene.town.run_for(50 * MS);
    // As it stands, Replaces names the dialog as its other end knows it: ours.
    let asked = scene.event("leg.transfer_requested", &scene.desk);
    assert_eq!(asked["data"]["with"], second);
    let op = scene.ask("transfer.accept", json!({"leg": scene.desk}))["op"].clone();
    scene.town.run_for(200 * MS);
    scene.assert_hears(customer, &[OTHER_HZ], &[AGENT_HZ]);
    scene.assert_hears(other, &[CUSTOMER_HZ], &[AGENT_HZ]);
    assert_eq!(ended(&scene, &op), "ok");
    assert_eq!(
        told(&scene, agent).last(),
        Some(&done(ReferOutcome::Notified(200)))
    );
    let second = scene.event("leg.ended", second.as_str().unwrap());
    assert_eq!(second["data"]["reason"], "completed");
}

#[test]
fn t41_a_dialog_elsewhere_is_replaced_only_where_the_trunk_sends_replaces() {
    for (keys, sends) in [(ASK, false), ("refer_in = \"ask\"\nreplaces_out = true", true)] {
        let mut scene = scene(4108, keys);
        let agent = scene.agent;
        let other = scene.town.agent(OTHER_HZ);
        scene.town.parties[other].answer = Answer::After(100 * MS);
        let to = format!(
            "{}?Replaces=far%40end%3Bto-tag%3Done%3Bfrom-tag%3Dtwo",
            scene.town.target(other)
        );
        refer(&mut scene, agent, &to);
        if !sends {
            let refused = scene
                .town
                .refused(scene.router, "transfer.accept", json!({"leg": scene.desk}));
            assert_eq!(refused, "invalid_state");
            assert_eq!(invites(&scene, other), 0);
            continue;
        }
        scene.ask("transfer.accept", json!({"leg": scene.desk}));
        scene.town.run_for(50 * MS);
        let invite = letter(&scene, other, "INVITE ");
        assert_eq!(field(invite, "Replaces"), "far@end;to-tag=one;from-tag=two");
        assert_eq!(field(invite, "Require"), "replaces");
        assert_eq!(field(invite, "Supported"), "100rel, timer, replaces");
    }
}

/// Each from a trunk, by default and where the router is asked: 0 new INVITEs.
#[test]
fn b22_refer_replaces_and_302_dial_nothing_by_themselves() {
    const PREMIUM: &str = "sip:+19005551234@10.0.2.1";
    for keys in ["", "refer_in = \"ask\"\nredirect = \"ask\""] {
        let mut scene = scene(2200, keys);
        let agent = scene.agent;
        let dialled = |scene: &Scene| scene.events("leg.dialing").len();
        let before = dialled(&scene);
        refer(&mut scene, agent, PREMIUM);
        scene.town.run_for(11 * SECOND);
        let status = if keys.is_empty() { 405 } else { 603 };
        assert_eq!(told(&scene, agent), [done(ReferOutcome::Refused(status))]);
        let asked = scene.event("leg.transfer_requested", &scene.desk);
        let refused = if keys.is_empty() { json!(405) } else { Value::Null };
        assert_eq!(asked["data"]["sip"], refused, "the event comes either way");
        let stranger = scene.town.agent(OTHER_HZ);
        let replaces = ExtraHeader {
            name: "Replaces".into(),
            value: "x;to-tag=1;from-tag=2".into(),
        };
        scene.town.call_with(stranger, "+498001234567", vec![replaces]);
        scene.town.run_for(100 * MS);
        assert_eq!(
            scene.town.parties[stranger].events.last().unwrap().1,
            PartyEvent::Refused(481)
        );
        assert_eq!(dialled(&scene), before);
        moved(&mut scene, &[PREMIUM]);
        assert_eq!(dialled(&scene), before + 1, "the dial itself");
        scene.assert_hears(scene.customer, &[AGENT_HZ], &[]);
    }
}

/// Dials a phone that answers 302 with these contacts; the end of its leg.
fn moved(scene: &mut Scene, contacts: &[&str]) -> Value {
    let away = scene.town.agent(900.0);
    scene.town.parties[away].answer = Answer::Silent;
    let dial = json!({"to": scene.town.target(away), "trunk": "agents", "call": scene.call});
    let leg = scene.ask("leg.dial", dial)["leg"].as_str().unwrap().to_owned();
    scene.town.run_for(50 * MS);
    let headers: Vec<ExtraHeader> = contacts
        .iter()
        .map(|contact| ExtraHeader {
            name: "Contact".into(),
            value: if contact.starts_with('<') {
                (*contact).to_owned()
            } else {
                format!("<{contact}>")
            },
        })
        .collect();
    order(scene, away, |session| Command::Reject {
        session,
        status: 302,
        reason: None,
        headers: headers.clone(),
    });
    scene.event("leg.ended", &leg)["data"].clone()
}

#[test]
fn t19_the_contacts_of_a_302_are_told_and_one_of_them_may_be_dialled() {
    let mut scene = scene(1901, "redirect = \"ask\"");
    let other = scene.town.agent(OTHER_HZ);
    let to = scene.town.target(other);
    let end = moved(
        &mut scene,
        &[
            "<sip:+447911123456@10.0.2.1>;q=0.3",
            &format!("<{to}>;q=0.9"),
            "<sip:late@10.0.2.1>;q=0.1",
        ],
    );
    assert_eq!(
        (&end["reason"], &end["sip"], &end["q850"]),
        (&json!("failed"), &json!(302), &json!(23))
    );
    assert_eq!(
        end["contacts"],
        json!([to, "sip:+447911123456@10.0.2.1", "sip:late@10.0.2.1"]),
        "best first"
    );
    scene.town.run_for(SECOND);
    assert_eq!(invites(&scene, other), 0, "never followed by itself");
    let refused = scene.town.request(
        scene.router,
        "leg.dial",
        json!({"to": "sip:+447911123456@10.0.2.1", "trunk": "agents", "call": scene.call}),
    );
    assert_eq!(refused["error"]["data"]["rule"], "deny_prefix:+447");
    let leg = scene.town.dialled(scene.router, other, &scene.call.clone());
    scene.ask("bridge.add", json!({"bridge": scene.bridge, "leg": leg}));
    scene.town.run_for(200 * MS);
    scene.assert_hears(scene.customer, &[OTHER_HZ, AGENT_HZ], &[]);
    // One redirect a call: neither another contact of it nor a contact of another 302.
    let dial = json!({"to": "sip:late@10.0.2.1", "trunk": "agents", "call": scene.call});
    let refused = scene.town.request(scene.router, "leg.dial", dial);
    assert_eq!(
        (
            &refused["error"]["data"]["kind"],
            &refused["error"]["data"]["rule"]
        ),
        (&json!("destination_not_allowed"), &json!("redirects"))
    );
    let again = moved(&mut scene, &["sip:more@10.0.2.1"]);
    assert_eq!(again.get("contacts"), None);
}

#[test]
fn t19_contacts_are_bounded_and_told_only_where_the_trunk_asks() {
    let mut plain = scene(1902, "");
    let end = moved(&mut plain, &["sip:anna@10.0.2.1"]);
    assert_eq!((end.get("contacts"), &end["sip"]), (None, &json!(302)));
    let mut scene = scene(1903, "redirect = \"ask\"");
    let long = format!("sip:{}@10.0.2.1", "a".repeat(250));
    let mut contacts = vec![long.as_str()];
    let many: Vec<String> = (0..20).map(|number| format!("sip:a{number}@10.0.2.1")).collect();
    contacts.extend(many.iter().map(String::as_str));
    let end = moved(&mut scene, &contacts);
    let told = end["contacts"].as_array().unwrap();
    assert_eq!((told.len(), &told[0]), (8, &json!("sip:a0@10.0.2.1")));
    let cut = |limit: &str| {
        scene
            .town
            .core
            .engine()
            .metrics()
            .transfers_cut()
            .get(limit)
            .copied()
    };
    assert_eq!((cut("contacts"), cut("contact_bytes")), (Some(12), Some(1)));
}
