//! Transfers that the router begins, here or by REFER, and Replaces: who hears whom before, while and after.

use std::time::Duration;

use house::sim::{Answer, PartyEvent, Town};
use serde_json::{Value, json};
use sip::endpoint::{Command, ExtraHeader, Policy, ReferOutcome, ReferTarget};

use crate::scene::*;

/// A town whose agents' trunk has these further keys.
pub fn town(seed: u64, keys: &str) -> Town {
    Town::with(seed, |text| {
        text.replace("agents = true", &format!("agents = true\n{keys}"))
    })
}

pub fn scene(seed: u64, keys: &str) -> Scene {
    Scene::talking_in(town(seed, keys))
}

pub fn refer(scene: &mut Scene, party: usize, to: &str) {
    let session = scene.town.parties[party].session();
    let order = Command::Refer {
        session,
        to: ReferTarget::Uri(to.to_owned()),
        referred_by: None,
        wait: 60 * SECOND,
    };
    let now = scene.town.now;
    scene.town.parties[party].order(order, now);
    scene.town.run_for(50 * MS);
}

/// What `party` was told of its REFER, in order.
pub fn told(scene: &Scene, party: usize) -> Vec<PartyEvent> {
    let events = scene.town.parties[party]
        .events
        .iter()
        .map(|(_, event)| event.clone());
    events
        .filter(|event| matches!(event, PartyEvent::ReferProgress(_) | PartyEvent::ReferDone(_)))
        .collect()
}

pub fn done(outcome: ReferOutcome) -> PartyEvent {
    PartyEvent::ReferDone(outcome)
}

/// How the last op ended.
pub fn ended(scene: &Scene, op: &Value) -> Value {
    let ends = scene.events("op.ended");
    let found: Vec<_> = ends.iter().filter(|event| event["op"] == *op).collect();
    assert_eq!(found.len(), 1, "exactly one end of {op}: {ends:?}");
    found[0]["data"]["outcome"].clone()
}

pub fn invites(scene: &Scene, party: usize) -> usize {
    let got = scene.town.parties[party].got.iter();
    got.filter(|text| text.starts_with("INVITE ")).count()
}

/// The first message that a party got and that begins so.
pub fn letter<'a>(scene: &'a Scene, party: usize, start: &str) -> &'a str {
    let mut got = scene.town.parties[party].got.iter();
    got.find(|text| text.starts_with(start))
        .unwrap_or_else(|| panic!("no {start}"))
}

pub fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {text}"))
}

pub const ASK: &str = "refer_in = \"ask\"";

#[test]
fn a_blind_transfer_is_bridged_here_and_taken_back_if_it_fails() {
    let mut scene = scene(4201, "");
    let (customer, agent) = (scene.customer, scene.agent);
    let other = scene.town.agent(OTHER_HZ);
    scene.town.parties[other].answer = Answer::Refuse(603);
    let to = scene.town.target(other);
    let blind = json!({"leg": scene.caller, "to": to, "trunk": "agents"});
    let op = scene.ask("transfer.blind", blind.clone())["op"].clone();
    scene.town.run_for(300 * MS);
    assert_eq!(ended(&scene, &op), "failed");
    scene.assert_hears(customer, &[AGENT_HZ], &[]);
    scene.assert_hears(agent, &[CUSTOMER_HZ], &[]);
    scene.town.parties[other].answer = Answer::After(SECOND);
    let op = scene.ask("transfer.blind", blind.clone())["op"].clone();
    let again = scene.town.refused(scene.router, "transfer.blind", blind);
    assert_eq!(again, "invalid_state", "one at a time");
    scene.town.run_for(300 * MS);
    scene.assert_hears(customer, &[AGENT_HZ], &[]);
    scene.town.run_for(700 * MS);
    scene.assert_hears(customer, &[OTHER_HZ], &[AGENT_HZ]);
    scene.assert_hears(other, &[CUSTOMER_HZ], &[AGENT_HZ]);
    assert_eq!(ended(&scene, &op), "ok");
    assert_eq!(scene.leg(&scene.desk.clone())["bridge"], Value::Null);
}

#[test]
fn a_transfer_out_of_a_conference_leaves_the_others_together() {
    let mut scene = scene(4202, "");
    let (customer, agent) = (scene.customer, scene.agent);
    let third = scene.town.agent(700.0);
    let leg = scene.town.dialled(scene.router, third, &scene.call.clone());
    scene.ask("bridge.add", json!({"bridge": scene.bridge, "leg": leg}));
    let other = scene.town.agent(OTHER_HZ);
    scene.town.parties[other].answer = Answer::After(100 * MS);
    let to = scene.town.target(other);
    scene.ask(
        "transfer.blind",
        json!({"leg": scene.caller, "to": to, "trunk": "agents"}),
    );
    scene.town.run_for(500 * MS);
    scene.assert_hears(customer, &[OTHER_HZ], &[AGENT_HZ, 700.0]);
    scene.assert_hears(agent, &[700.0], &[CUSTOMER_HZ, OTHER_HZ]);
}

#[test]
fn an_attended_transfer_joins_the_customer_and_whoever_was_asked() {
    let mut scene = scene(4203, "");
    let (customer, agent) = (scene.customer, scene.agent);
    let (other, leg) = scene.consult();
    scene.assert_hears(other, &[AGENT_HZ], &[CUSTOMER_HZ]);
    let op = scene.ask("transfer.attended", json!({"leg": scene.caller, "with": leg}))["op"].clone();
    assert_eq!(ended(&scene, &op), "ok");
    scene.town.run_for(100 * MS);
    // A hold survives it: the destination's router lifts it.
    scene.assert_hears(customer, &[MUSIC_HZ], &[AGENT_HZ, OTHER_HZ]);
    scene.ask("leg.resume", json!({"leg": scene.caller}));
    scene.town.run_for(100 * MS);
    scene.assert_hears(customer, &[OTHER_HZ], &[AGENT_HZ]);
    scene.assert_hears(other, &[CUSTOMER_HZ], &[AGENT_HZ]);
    scene.assert_hears(agent, &[], &[CUSTOMER_HZ, OTHER_HZ]);
    let own = json!({"leg": scene.caller, "with": scene.caller});
    assert_eq!(
        scene.town.refused(scene.router, "transfer.attended", own),
        "invalid_params"
    );
}

const SEND: &str = "refer_out = \"send\"\nreplaces_out = true";

/// The agent's phone takes REFER; the router sends it to another. The phone's party and the op.
fn sent(seed: u64) -> (Scene, usize, Value) {
    let mut scene = scene(seed, SEND);
    let other = scene.town.agent(OTHER_HZ);
    let agent = scene.agent;
    scene.town.speak(
        agent,
        Policy {
            takes_refer: true,
            ..Policy::default()
        },
    );
    // Its session began before it spoke so: the scene is dialled anew.
    scene.ask("leg.hangup", json!({"leg": scene.desk}));
    scene.town.run_for(200 * MS);
    scene.desk = scene.town.dialled(scene.router, agent, &scene.call.clone());
    scene.ask("bridge.add", json!({"bridge": scene.bridge, "leg": scene.desk}));
    scene.town.run_for(200 * MS);
    let to = scene.town.target(other);
    let op = scene.ask("transfer.blind", json!({"leg": scene.desk, "to": to}))["op"].clone();
    scene.town.run_for(100 * MS);
    let asked = scene.town.parties[agent].events.last().unwrap().1.clone();
    assert_eq!(asked, PartyEvent::Referred(to, None));
    assert_eq!(invites(&scene, other), 0);
    (scene, other, op)
}

pub fn order(scene: &mut Scene, party: usize, order: impl Fn(sip::endpoint::SessionKey) -> Command) {
    let (session, now) = (scene.town.parties[party].session(), scene.town.now);
    scene.town.parties[party].order(order(session), now);
    scene.town.run_for(100 * MS);
}

#[test]
fn t42_after_the_final_notify_the_peer_gets_bye() {
    let (mut scene, _, op) = sent(4210);
    let agent = scene.agent;
    order(&mut scene, agent, |session| Command::AcceptRefer { session });
    scene.assert_hears(scene.customer, &[AGENT_HZ], &[]);
    order(&mut scene, agent, |session| Command::NotifyRefer {
        session,
        status: 180,
    });
    order(&mut scene, agent, |session| Command::NotifyRefer {
        session,
        status: 200,
    });
    assert_eq!(ended(&scene, &op), "ok");
    let end = scene.event("leg.ended", &scene.desk);
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["by"]),
        (&json!("completed"), &json!("control"))
    );
    assert_eq!(
        scene.town.parties[agent].events.last().unwrap().1,
        PartyEvent::Ended
    );
    let customer = scene.leg(&scene.caller.clone());
    assert_eq!(
        customer["state"], "answered",
        "the other party is the router's business"
    );
}

#[test]
fn t42_a_final_notify_of_failure_leaves_the_call_as_it_was() {
    let (mut scene, _, op) = sent(4211);
    let agent = scene.agent;
    order(&mut scene, agent, |session| Command::AcceptRefer { session });
    order(&mut scene, agent, |session| Command::NotifyRefer {
        session,
        status: 486,
    });
    assert_eq!(ended(&scene, &op), "failed");
    scene.assert_hears(scene.customer, &[AGENT_HZ], &[]);
    scene.assert_hears(agent, &[CUSTOMER_HZ], &[]);
}

#[test]
fn t42_silence_after_the_202_leaves_the_call_as_it_was() {
    let (mut scene, other, op) = sent(4212);
    let agent = scene.agent;
    order(&mut scene, agent, |session| Command::AcceptRefer { session });
    scene.town.run_for(61 * SECOND);
    assert_eq!(ended(&scene, &op), "failed");
    assert_eq!(invites(&scene, other), 0);
    scene.assert_hears(scene.customer, &[AGENT_HZ], &[]);
    scene.assert_hears(agent, &[CUSTOMER_HZ], &[]);
}

#[test]
fn t42_a_refer_that_the_peer_refuses_is_bridged_here() {
    let (mut scene, other, op) = sent(4213);
    let (customer, agent) = (scene.customer, scene.agent);
    scene.town.parties[other].answer = Answer::After(500 * MS);
    order(&mut scene, agent, |session| Command::RejectRefer {
        session,
        status: 603,
    });
    assert_eq!(invites(&scene, other), 1);
    scene.assert_hears(agent, &[CUSTOMER_HZ], &[]);
    scene.town.run_for(500 * MS);
    assert_eq!(ended(&scene, &op), "ok");
    // The transferred party is the agent's phone here: it talks to the target, the customer does not.
    scene.assert_hears(agent, &[OTHER_HZ], &[CUSTOMER_HZ]);
    scene.assert_hears(other, &[AGENT_HZ], &[CUSTOMER_HZ]);
    scene.assert_hears(customer, &[], &[AGENT_HZ, OTHER_HZ]);
}

#[test]
fn t42_a_peer_that_hangs_up_before_its_notify_ends_the_transfer() {
    let (mut scene, _, op) = sent(4214);
    let agent = scene.agent;
    order(&mut scene, agent, |session| Command::AcceptRefer { session });
    scene.town.hang_up(agent);
    scene.town.run_for(200 * MS);
    assert_eq!(ended(&scene, &op), "cancelled");
    order(&mut scene, agent, |session| Command::NotifyRefer {
        session,
        status: 200,
    });
    scene.town.run_for(SECOND);
    assert_eq!(ended(&scene, &op), "cancelled");
    assert_eq!(scene.leg(&scene.caller.clone())["state"], "answered");
}

#[test]
fn t42_an_attended_transfer_names_the_other_dialog_of_the_same_trunk() {
    let mut scene = scene(4215, SEND);
    let other = scene.town.agent(OTHER_HZ);
    let leg = scene.town.dialled(scene.router, other, &scene.call.clone());
    let agent = scene.agent;
    let op = scene.ask("transfer.attended", json!({"leg": scene.desk, "with": leg}))["op"].clone();
    scene.town.run_for(200 * MS);
    let refer = letter(&scene, agent, "REFER ").to_owned();
    let invite = letter(&scene, other, "INVITE ").to_owned();
    let call_id = field(&invite, "Call-ID").replace('@', "%40");
    let refer_to = field(&refer, "Refer-To");
    assert!(
        refer_to.contains(&format!("?Replaces={call_id}%3Bto-tag%3D")),
        "{refer_to} {call_id}"
    );
    assert!(field(&refer, "Referred-By").starts_with("<sip:"));
    // The phone takes no REFER, so the two are joined here.
    assert_eq!(ended(&scene, &op), "ok");
    scene.assert_hears(agent, &[OTHER_HZ], &[CUSTOMER_HZ]);
    scene.assert_hears(other, &[AGENT_HZ], &[CUSTOMER_HZ]);
}

/// `Replaces` for the dialog in which `party` was called, as the gateway knows it.
fn replaces(scene: &Scene, party: usize) -> Vec<ExtraHeader> {
    let invite = letter(scene, party, "INVITE ");
    let ack = letter(scene, party, "ACK ");
    let tag = |value: &str| value.split(";tag=").nth(1).unwrap().to_owned();
    let (ours, theirs) = (tag(field(invite, "From")), tag(field(ack, "To")));
    let header = |name: &str, value: String| ExtraHeader {
        name: name.to_owned(),
        value,
    };
    vec![
        header("Require", "replaces".into()),
        header(
            "Replaces",
            format!("{};to-tag={ours};from-tag={theirs}", field(invite, "Call-ID")),
        ),
    ]
}

#[test]
fn t42_an_invite_with_replaces_takes_the_place_of_a_leg_of_its_trunk() {
    let mut scene = scene(4216, "");
    let (customer, agent) = (scene.customer, scene.agent);
    let other = scene.town.agent(OTHER_HZ);
    let headers = replaces(&scene, agent);
    scene.town.call_with(other, "anything", headers);
    scene.town.run_for(100 * MS);
    let incoming = scene.events("leg.incoming").pop().unwrap();
    assert_eq!(incoming["data"]["replaces"], json!(scene.desk));
    scene.assert_hears(customer, &[AGENT_HZ], &[OTHER_HZ]);
    scene.ask("leg.answer", json!({"leg": incoming["leg"]}));
    scene.town.run_for(300 * MS);
    scene.assert_hears(customer, &[OTHER_HZ], &[AGENT_HZ]);
    scene.assert_hears(other, &[CUSTOMER_HZ], &[]);
    assert_eq!(
        scene.event("leg.ended", &scene.desk)["data"]["reason"],
        "completed"
    );
    assert_eq!(
        scene.town.parties[agent].events.last().unwrap().1,
        PartyEvent::Ended
    );
}

#[test]
fn t42_replaces_of_a_dialog_of_another_trunk_is_told_481() {
    let mut scene = scene(4217, "");
    let (customer, agent) = (scene.customer, scene.agent);
    let stranger = scene.town.customer(OTHER_HZ);
    let headers = replaces(&scene, agent);
    scene.town.call_with(stranger, "+498001234567", headers);
    scene.town.run_for(100 * MS);
    assert_eq!(
        scene.town.parties[stranger].events.last().unwrap().1,
        PartyEvent::Refused(481)
    );
    let refused = scene.events("call.refused").pop().unwrap();
    assert_eq!(refused["data"]["rule"], "replaces");
    scene.assert_hears(customer, &[AGENT_HZ], &[OTHER_HZ]);
    scene.assert_hears(agent, &[CUSTOMER_HZ], &[OTHER_HZ]);
}

#[test]
fn after_transfers_of_every_kind_nothing_is_left() {
    for seed in 0..6 {
        let mut scene = scene(
            4300 + seed,
            "refer_in = \"ask\"\nrefer_out = \"send\"\nreplaces_out = true",
        );
        let (customer, agent) = (scene.customer, scene.agent);
        let other = scene.town.agent(OTHER_HZ);
        scene.town.parties[other].answer = Answer::After(200 * MS);
        let to = scene.town.target(other);
        match seed % 3 {
            0 => {
                refer(&mut scene, agent, &to);
                scene.ask("transfer.accept", json!({"leg": scene.desk}));
            }
            1 => drop(scene.ask("transfer.blind", json!({"leg": scene.desk, "to": to}))),
            _ => refer(&mut scene, agent, &to),
        }
        scene.town.run_for(Duration::from_millis(150 * seed));
        scene.town.hang_up(if seed % 2 == 0 { customer } else { agent });
        scene.town.run_for(Duration::from_millis(700));
        scene.ask("call.end", json!({"call": scene.call}));
        scene.town.run_for(400 * SECOND);
        assert!(scene.town.core.engine().is_empty(), "seed {seed}");
        assert_eq!(scene.town.core.endpoint().sessions(), 0, "seed {seed}");
        assert_eq!(scene.town.records.len(), 1, "seed {seed}");
    }
}
