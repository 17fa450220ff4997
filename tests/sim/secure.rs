//! Legs with SRTP: who is answered how, what is on the wire, and that it never becomes clear again.

use std::net::SocketAddr;
use std::time::Duration;

use house::sim::{Answer, Ask, PartyEvent, Sdes, Town, Weather};
use house::srtp::SUITES;
use house::tone;
use serde_json::{Value, json};

use crate::talk::{AGENT_HZ, CUSTOMER_HZ, Talk};

const MS: Duration = Duration::from_millis(1);
const MUSIC_HZ: f64 = 350.0;
const SUITE: &str = SUITES[0];

/// A town whose trunks have these lines in their configuration.
fn town(seed: u64, carrier: &str, agents: &str) -> Town {
    Town::with(seed, |text| {
        text.replace(
            "name = \"carrier\"\n",
            &format!("name = \"carrier\"\n{carrier}\n"),
        )
        .replace("name = \"agents\"\n", &format!("name = \"agents\"\n{agents}\n"))
    })
}

fn srtp(policy: &str) -> String {
    format!("srtp = \"{policy}\"\nsrtp_without_tls = true")
}

/// A secure customer and an agent, who is secure where `agents` has it, bridged.
fn talk(seed: u64, suite: &'static str, agents: &str, agent_sdes: Option<Sdes>) -> Talk {
    let suites = format!("{}\nsrtp_suites = [\"{suite}\"]", srtp("required"));
    Talk::begin(town(seed, &suites, agents), |customer, agent| {
        customer.sdes = Some(Sdes::new(suite, Ask::Savp, 0x31));
        agent.sdes = agent_sdes;
        // The rollover counter turns within the first second.
        customer.sequence = 65_500;
    })
}

impl Talk {
    fn view(&mut self, leg: &str) -> Value {
        let state = self.town.ask(self.router, "state.get", json!({}));
        let legs = state["legs"].as_array().unwrap();
        legs.iter().find(|view| view["leg"] == leg).unwrap().clone()
    }

    /// Nothing that left for the customer could be read by who has no key.
    fn assert_nothing_was_clear(&self) {
        let party = &self.town.parties[self.customer];
        assert!(party.wire.len() > 20 && party.unread.is_empty());
        for packet in &party.wire {
            assert!(packet.len() > 172, "{} bytes", packet.len());
        }
        let raw: Vec<i16> = party
            .wire
            .iter()
            .flat_map(|packet| packet[12..172].iter().map(|byte| tone::from_mulaw(*byte)))
            .collect();
        assert!(tone::level(&raw, AGENT_HZ) < 0.05);
    }
}

#[test]
fn a_secure_leg_of_every_suite_and_a_clear_one_hear_each_other() {
    for suite in SUITES {
        let mut talk = talk(1, suite, "", None);
        let rtcp = rtcp_of(&talk);
        talk.town.media_net.bind(rtcp);
        talk.assert_both_hear();
        talk.town.run_for(10_000 * MS);
        talk.assert_nothing_was_clear();

        let mut bytes = [0; 2048];
        let mut reports = 0;
        while let Some((len, _)) = talk.town.media_net.receive(rtcp, &mut bytes) {
            let sdes = talk.town.parties[talk.customer].sdes.as_ref().unwrap();
            let opened = sdes.open_rtcp(&bytes[..len]).expect("SRTCP under our key");
            assert!((200..=201).contains(&opened[1]));
            reports += 1;
        }
        assert!(reports >= 1, "{suite}");

        let (caller, desk) = (talk.caller.clone(), talk.desk.clone());
        for (leg, secure) in [(&caller, true), (&desk, false)] {
            let answered = talk.town.routers[talk.router].last_of("leg.answered", leg);
            assert_eq!(answered.unwrap()["data"]["secure"], secure, "{suite}");
            assert_eq!(talk.view(leg)["secure"], secure, "{suite}");
        }
        let record = talk.end();
        let legs = record["legs"].as_array().unwrap();
        let secure: Vec<_> = legs.iter().map(|leg| leg["secure"].as_bool().unwrap()).collect();
        assert_eq!(secure, [true, false], "{suite}");
    }
}

fn rtcp_of(talk: &Talk) -> SocketAddr {
    let media = talk.town.parties[talk.customer].media;
    SocketAddr::new(media.ip(), media.port() + 1)
}

#[test]
fn two_secure_legs_hear_each_other_under_keys_of_their_own() {
    for (ask, offer) in [(Ask::Savp, "savp"), (Ask::AvpCrypto, "avp")] {
        let agents = format!("{}\nsrtp_offer = \"{offer}\"", srtp("required"));
        let sdes = Sdes::new(SUITES[1], ask, 0x77);
        let mut talk = talk(2, SUITE, &agents, Some(sdes));
        talk.assert_both_hear();
        talk.assert_nothing_was_clear();
        let keys = |party: usize| talk.town.parties[party].sdes.as_ref().unwrap().keys.clone();
        let (customer, agent) = (keys(talk.customer), keys(talk.agent));
        assert_eq!((customer.len(), agent.len()), (1, 1));
        assert_ne!(customer[0], agent[0]);
        let record = talk.end();
        let legs = record["legs"].as_array().unwrap();
        assert!(legs.iter().all(|leg| leg["secure"] == true));
    }
}

#[test]
fn one_seed_gives_the_same_keys_and_another_others() {
    let keys = |seed| {
        let talk = talk(seed, SUITE, "", None);
        talk.town.parties[talk.customer]
            .sdes
            .as_ref()
            .unwrap()
            .keys
            .clone()
    };
    assert_eq!(keys(3), keys(3));
    assert_ne!(keys(3), keys(4));
}

/// T48, from the peer: how it asks × our setting → status, and whether the leg is secure.
#[test]
fn offers_of_a_peer_against_the_setting() {
    let (secure, clear, refused) = (Ok(true), Ok(false), Err(488));
    let table = [
        ("off", [refused, clear, clear]),
        ("optional", [secure, secure, clear]),
        ("required", [secure, secure, refused]),
    ];
    for (policy, expected) in table {
        for (ask, expected) in [Ask::Savp, Ask::AvpCrypto, Ask::Avp].into_iter().zip(expected) {
            let mut town = town(5, &srtp(policy), "");
            let router = town.router();
            let customer = town.customer(CUSTOMER_HZ);
            town.parties[customer].sdes = Some(Sdes::new(SUITE, ask, 1));
            town.call(customer, "+498001234567");
            town.run_for(100 * MS);
            let seen = match town.routers[router].of("leg.incoming").first() {
                Some(incoming) => {
                    let leg = incoming["leg"].clone();
                    town.ask(router, "leg.answer", json!({"leg": leg}));
                    town.run_for(300 * MS);
                    let answered = town.routers[router].of("leg.answered")[0].clone();
                    let agreed = town.parties[customer].sdes.as_ref().unwrap().is_agreed();
                    assert_eq!(answered["data"]["secure"], agreed);
                    Ok(agreed)
                }
                None => Err(refusal(&town, customer)),
            };
            assert_eq!(seen, expected, "{policy} {ask:?}");
        }
    }
}

fn refusal(town: &Town, party: usize) -> u16 {
    let found = town.parties[party]
        .events
        .iter()
        .find_map(|(_, event)| match event {
            PartyEvent::Refused(status) => Some(*status),
            _ => None,
        });
    found.expect("a refusal")
}

/// T48, from us: our setting and offer × what the peer answers.
#[test]
fn answers_of_a_peer_against_the_setting() {
    let (secure, clear, ended) = (Some(true), Some(false), None);
    let table = [
        ("off", "savp", Ask::Avp, clear),
        ("optional", "avp", Ask::AvpCrypto, secure),
        ("optional", "avp", Ask::Avp, clear),
        ("optional", "savp", Ask::Savp, secure),
        ("optional", "savp", Ask::Avp, ended),
        ("required", "avp", Ask::AvpCrypto, secure),
        ("required", "avp", Ask::Avp, ended),
        ("required", "savp", Ask::Savp, secure),
        ("required", "savp", Ask::Avp, ended),
    ];
    for (policy, offer, ask, expected) in table {
        let agents = format!("{}\nsrtp_offer = \"{offer}\"", srtp(policy));
        let mut town = town(6, "", &agents);
        let router = town.router();
        let (customer, agent) = (town.customer(CUSTOMER_HZ), town.agent(AGENT_HZ));
        town.parties[agent].sdes = Some(Sdes::new(SUITE, ask, 9));
        let (_, call) = town.answered_call(router, customer);
        let desk = town.dialled(router, agent, &call);
        town.run_for(300 * MS);
        let answered = town.routers[router].last_of("leg.answered", &desk);
        let secure = answered.map(|event| event["data"]["secure"].as_bool().unwrap());
        assert_eq!(secure, expected, "{policy} {offer} {ask:?}");
        if expected.is_none() {
            let end = town.routers[router].last_of("leg.ended", &desk).unwrap();
            assert_eq!(end["data"]["reason"], "failed", "{policy} {offer} {ask:?}");
            let bye = town.parties[agent]
                .got
                .iter()
                .find(|text| text.starts_with("BYE "));
            let bye = bye.expect("ACK and BYE");
            assert!(bye.contains("Reason: Q.850;cause="), "{bye}");
            assert!(town.parties[agent].heard.is_empty() && town.parties[agent].unread.is_empty());
        }
    }
}

/// docs/threats.md A5, invariant 7.
#[test]
fn once_secure_a_leg_never_becomes_clear() {
    // Also where the trunk would take a clear call.
    let mut talk = talk(7, SUITE, "", None);
    talk.assert_both_hear();
    let sdes = talk.town.parties[talk.customer].sdes.as_mut().unwrap();
    sdes.ask = Ask::Avp;
    let since = talk.town.now;
    talk.town.reinvite(talk.customer, "sendrecv");
    talk.town.run_for(600 * MS);
    let refused = (
        PartyEvent::ReinviteRefused(488),
        &talk.town.parties[talk.customer].events,
    );
    assert!(refused.1.iter().any(|(_, event)| *event == refused.0));
    // The peer speaks in clear now; that is heard by nobody, and it is still spoken to under its key.
    let heard = talk.town.parties[talk.agent].samples(since + 100 * MS, talk.town.now);
    assert!(tone::level(&heard, CUSTOMER_HZ) < 0.005);
    assert!(talk.town.media_counts()[0].dropped_clear > 20);
    talk.assert_nothing_was_clear();
    talk.town.parties[talk.customer].sdes.as_mut().unwrap().ask = Ask::Savp;
    talk.assert_both_hear();
    assert_eq!(talk.end()["legs"][0]["secure"], true);
}

#[test]
fn an_optional_leg_that_became_secure_stays_so() {
    let mut town = town(8, &srtp("optional"), "");
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    town.parties[customer].sdes = Some(Sdes::new(SUITE, Ask::AvpCrypto, 1));
    let (leg, _) = town.answered_call(router, customer);
    town.parties[customer].sdes.as_mut().unwrap().ask = Ask::Avp;
    town.reinvite(customer, "sendrecv");
    town.run_for(200 * MS);
    let events = &town.parties[customer].events;
    assert!(
        events
            .iter()
            .any(|(_, event)| *event == PartyEvent::ReinviteRefused(488))
    );
    let state = town.ask(router, "state.get", json!({}));
    assert_eq!(
        (&state["legs"][0]["leg"], &state["legs"][0]["secure"]),
        (&json!(leg), &json!(true))
    );
}

#[test]
fn an_optional_leg_may_become_secure_later_and_that_is_told() {
    let mut town = town(9, &srtp("optional"), "");
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    town.parties[customer].sdes = Some(Sdes::new(SUITE, Ask::Avp, 1));
    town.answered_call(router, customer);
    let changes = |town: &Town| -> Vec<Value> {
        let updates = town.routers[router].of("leg.updated").into_iter();
        let changes = updates.filter_map(|event| event["data"].get("secure").cloned());
        changes.collect()
    };
    assert_eq!(changes(&town), [json!(null); 0]);
    town.parties[customer].sdes.as_mut().unwrap().ask = Ask::Savp;
    town.reinvite(customer, "sendrecv");
    town.run_for(200 * MS);
    assert!(town.parties[customer].sdes.as_ref().unwrap().is_agreed());
    assert_eq!(changes(&town), [true], "told once, where it changed");
    town.reinvite(customer, "sendrecv");
    town.run_for(200 * MS);
    assert_eq!(changes(&town), [true]);
    let state = town.ask(router, "state.get", json!({}));
    assert_eq!(state["legs"][0]["secure"], true);
}

/// Our hold and the peer's, each with its re-INVITE: the keys stay, the rollover counters go on, nothing is
/// clear meanwhile.
#[test]
fn holds_of_either_side_keep_the_keys() {
    let mut talk = talk(10, SUITE, "", None);
    talk.assert_both_hear();
    let caller = json!({"leg": talk.caller, "signal": true});
    talk.town.ask(talk.router, "leg.hold", caller.clone());
    let music = talk.town.hears(talk.customer, MUSIC_HZ, 600 * MS);
    assert!(music > 0.1, "hold music is encrypted too: {music}");
    talk.town.ask(talk.router, "leg.resume", caller);
    talk.town.run_for(300 * MS);
    talk.assert_both_hear();
    for direction in ["sendonly", "sendrecv", "inactive", "sendrecv"] {
        talk.town.reinvite(talk.customer, direction);
        talk.town.run_for(500 * MS);
    }
    talk.assert_both_hear();
    talk.assert_nothing_was_clear();
    assert_eq!(
        talk.town.parties[talk.customer].sdes.as_ref().unwrap().keys.len(),
        1
    );
    let counts = talk.town.media_counts()[0];
    assert_eq!(
        (counts.dropped_tag, counts.dropped_replay, counts.dropped_clear),
        (0, 0, 0)
    );
    talk.end();
}

/// T49: the peer changes its key by re-INVITE while both talk.
#[test]
fn a_new_key_of_the_peer_is_taken_without_a_gap() {
    let mut talk = talk(11, SUITE, "", None);
    talk.assert_both_hear();
    let since = talk.town.now;
    let customer = &mut talk.town.parties[talk.customer];
    customer.sdes.as_mut().unwrap().change_key(0x44);
    talk.town.reinvite(talk.customer, "sendrecv");
    talk.town.run_for(1_000 * MS);
    // Packets under the new key that come before the re-INVITE is read are few: its way is a letter's.
    let gap = talk.town.parties[talk.agent].gap(since, talk.town.now);
    assert!(gap <= 60 * MS, "{gap:?}");
    talk.assert_both_hear();
    assert_eq!(
        talk.town.parties[talk.customer].sdes.as_ref().unwrap().keys.len(),
        1
    );
    talk.end();
}

/// T49: the peer's sequence has turned before it agrees anew, with the key that stays and then with another one.
#[test]
fn agreements_after_the_sequence_has_wrapped_keep_the_round_of_a_key_that_stays() {
    let mut talk = talk(19, SUITE, "", None);
    talk.assert_both_hear();
    assert!(
        talk.town.parties[talk.customer].sequence < 1_000,
        "its round is the second"
    );
    for direction in ["sendrecv", "sendonly", "sendrecv"] {
        talk.town.reinvite(talk.customer, direction);
        talk.town.run_for(300 * MS);
    }
    talk.assert_both_hear();
    let counts = talk.town.media_counts()[0];
    assert_eq!((counts.dropped_tag, counts.dropped_replay), (0, 0));
    // A new key begins at zero (RFC 3711 §3.3.1), wherever the sequence is; ours stays in its round.
    let customer = &mut talk.town.parties[talk.customer];
    customer.sdes.as_mut().unwrap().change_key(0x45);
    talk.town.reinvite(talk.customer, "sendrecv");
    talk.town.run_for(300 * MS);
    talk.assert_both_hear();
    assert!(talk.town.parties[talk.customer].unread.is_empty());
    talk.end();
}

/// Early media was agreed with keys; a 200 without them is no answer.
#[test]
fn an_early_answer_that_is_secure_binds_the_final_one() {
    let agents = format!("{}\nsrtp_offer = \"avp\"", srtp("optional"));
    let mut town = town(12, "", &agents);
    let router = town.router();
    let (customer, agent) = (town.customer(CUSTOMER_HZ), town.agent(AGENT_HZ));
    town.parties[agent].sdes = Some(Sdes::new(SUITE, Ask::AvpCrypto, 9));
    let (_, call) = town.answered_call(router, customer);
    town.parties[agent].answer = Answer::Early(500 * MS);
    let to = town.target(agent);
    let dial = json!({"to": to, "trunk": "agents", "call": call});
    let desk = town.ask(router, "leg.dial", dial)["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    town.run_for(300 * MS);
    // The 200 has no key any more.
    town.parties[agent].sdes.as_mut().unwrap().ask = Ask::Avp;
    town.run_for(500 * MS);
    let ended = town.routers[router].last_of("leg.ended", &desk).unwrap();
    assert_eq!(ended["data"]["reason"], "failed");
}

#[test]
fn keys_are_not_in_the_log_nor_in_events_nor_in_the_record() {
    let talk = talk(13, SUITE, "", None);
    let keys = talk.town.parties[talk.customer]
        .sdes
        .as_ref()
        .unwrap()
        .keys
        .clone();
    let (log, router) = (talk.town.log.join("\n"), talk.router);
    let events = format!("{:?}", talk.town.routers[router].kinds());
    let all: Vec<String> = talk.town.routers[router]
        .of("leg.answered")
        .iter()
        .map(|event| event.to_string())
        .collect();
    let record = talk.end().to_string();
    for key in keys {
        assert!(!log.contains(&key) && !events.contains(&key) && !record.contains(&key));
        assert!(all.iter().all(|event| !event.contains(&key)));
    }
}

/// Invariant 7 from a seed: holds of both sides, new keys and offers in clear, in bad weather.
#[test]
fn whatever_happens_nothing_is_clear() {
    for seed in 0..6 {
        let mut talk = talk(100 + seed, SUITE, "", None);
        talk.town.set_weather(Weather {
            loss_permille: 100,
            duplicate_permille: 50,
            delay: 5 * MS,
            jitter: 30 * MS,
        });
        let mut dice = seed * 7919 + 1;
        for step in 0..12_u8 {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let leg = json!({"leg": talk.caller, "signal": true});
            let sdes = talk.town.parties[talk.customer].sdes.as_mut().unwrap();
            match dice >> 61 {
                0 | 1 => drop(talk.town.request(talk.router, "leg.hold", leg)),
                2 | 3 => drop(talk.town.request(talk.router, "leg.resume", leg)),
                4 => {
                    sdes.change_key(step + 1);
                    talk.town.reinvite(talk.customer, "sendrecv");
                }
                5 => {
                    sdes.ask = Ask::Avp;
                    talk.town.reinvite(talk.customer, "sendrecv");
                    talk.town.parties[talk.customer].sdes.as_mut().unwrap().ask = Ask::Savp;
                }
                6 => talk.town.reinvite(talk.customer, "inactive"),
                _ => talk.town.reinvite(talk.customer, "sendrecv"),
            }
            talk.town.run_for(Duration::from_millis(150 + (dice >> 55) % 400));
        }
        talk.assert_nothing_was_clear();
        let caller = talk.caller.clone();
        assert_eq!(talk.view(&caller)["secure"], true, "seed {seed}");
    }
}
