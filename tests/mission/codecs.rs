//! Legs of different codecs: each hears the other, whatever either speaks.

use house::sim::{Town, Voice};
use media::Codec;
use serde_json::json;

use crate::scene::*;

/// A town whose trunks speak all codecs.
fn town(seed: u64) -> Town {
    Town::with(seed, |text| {
        let codecs = "options_interval_s = 0\ncodecs = [\"opus\", \"G722\", \"PCMU\", \"PCMA\"]\n";
        text.replace("options_interval_s = 0\n", codecs)
    })
}

/// A customer of one codec and an agent of another, in one bridge; and the customer's leg.
fn talking(seed: u64, customer: Voice, agent: Voice) -> (Town, usize, [usize; 2], String) {
    let mut town = town(seed);
    let router = town.router();
    let parties = [town.customer(CUSTOMER_HZ), town.agent(AGENT_HZ)];
    town.parties[parties[0]].voice = customer;
    town.parties[parties[1]].voice = agent;
    let (caller, call) = town.answered_call(router, parties[0]);
    let desk = town.dialled(router, parties[1], &call);
    town.ask(
        router,
        "bridge.create",
        json!({"call": call, "legs": [caller, desk]}),
    );
    town.run_for(400 * MS);
    (town, router, parties, caller)
}

fn both_hear(town: &mut Town, [customer, agent]: [usize; 2]) {
    let since = town.now;
    town.run_for(SECOND);
    for (party, other, own) in [(customer, AGENT_HZ, CUSTOMER_HZ), (agent, CUSTOMER_HZ, AGENT_HZ)] {
        let samples = town.parties[party].samples(since, town.now);
        let [other, own] = [other, own].map(|hz| house::tone::level(&samples, hz));
        assert!(
            other > LOUD * 0.9 && own < FAINT * 2.0,
            "{party}: {other} and of itself {own}"
        );
        assert!(town.parties[party].gap(since, town.now) <= 2 * TICK);
    }
}

#[test]
fn each_pair_of_codecs_hears_the_other_and_the_record_names_them() {
    let voices = [
        (Codec::Pcmu, 0, "PCMU"),
        (Codec::Pcma, 8, "PCMA"),
        (Codec::G722, 9, "G722"),
        (Codec::Opus, 111, "opus"),
    ];
    for (index, (ours, ours_number, ours_name)) in voices.into_iter().enumerate() {
        for (theirs, _, theirs_name) in voices.into_iter().skip(index) {
            // Who is called answers with the number we offered.
            let answer = match theirs {
                Codec::Opus => 96,
                Codec::Pcmu | Codec::Pcma | Codec::G722 => theirs.static_payload_type(),
            };
            let (mut town, router, parties, caller) = talking(
                3700 + index as u64,
                Voice::new(ours, ours_number),
                Voice::new(theirs, answer),
            );
            both_hear(&mut town, parties);
            assert_eq!(
                event(&town, router, "leg.answered", &caller)["data"]["codec"],
                ours_name
            );
            let heard = town.parties[parties[0]].heard.last().unwrap();
            assert_eq!(heard.payload_type, ours_number);
            for party in parties {
                town.hang_up(party);
            }
            town.run_for(SECOND);
            let legs = town.records[0]["legs"].as_array().unwrap();
            let mut named: Vec<_> = legs.iter().map(|leg| leg["codec"].as_str().unwrap()).collect();
            named.sort_unstable();
            let mut expected = [ours_name, theirs_name];
            expected.sort_unstable();
            assert_eq!(named, expected);
        }
    }
}

#[test]
fn t37_a_session_goes_from_codec_to_codec_and_stays_heard() {
    let (mut town, _, parties, _) = talking(3750, Voice::new(Codec::Pcmu, 0), Voice::new(Codec::Pcma, 8));
    let steps = [
        (Codec::Pcma, 8),
        (Codec::G722, 9),
        (Codec::Opus, 107),
        (Codec::G722, 9),
        (Codec::Pcmu, 0),
    ];
    for (codec, number) in steps {
        town.parties[parties[0]].voice = Voice::new(codec, number);
        town.reinvite(parties[0], "sendrecv");
        town.run_for(SECOND);
        both_hear(&mut town, parties);
        let heard = town.parties[parties[0]].heard.last().unwrap();
        assert_eq!(heard.payload_type, number, "{codec:?}");
    }
}

#[test]
fn a_prompt_and_hold_music_reach_every_codec() {
    for (codec, number) in [(Codec::G722, 9), (Codec::Opus, 111)] {
        let (mut town, router, parties, caller) =
            talking(3760, Voice::new(codec, number), Voice::new(Codec::Pcmu, 0));
        town.ask(router, "leg.hold", json!({"leg": caller, "music": "default"}));
        town.run_for(300 * MS);
        let level = town.hears(parties[0], MUSIC_HZ, SECOND);
        assert!(level > LOUD * 0.9, "{codec:?} hears music at {level}");
        let level = town.hears(parties[1], CUSTOMER_HZ, SECOND);
        assert!(level < FAINT, "{codec:?} is held and heard at {level}");
    }
}

#[test]
fn three_of_three_codecs_hear_the_other_two() {
    let (mut town, router, parties, caller) =
        talking(3770, Voice::new(Codec::Opus, 111), Voice::new(Codec::G722, 9));
    let other = town.agent(OTHER_HZ);
    let call = event(&town, router, "leg.incoming", &caller)["call"]
        .as_str()
        .unwrap()
        .to_owned();
    let bridge = town.routers[router].of("bridge.created")[0]["bridge"]
        .as_str()
        .unwrap()
        .to_owned();
    let third = town.dialled(router, other, &call);
    town.ask(router, "bridge.add", json!({"bridge": bridge, "leg": third}));
    town.run_for(400 * MS);
    let since = town.now;
    town.run_for(SECOND);
    let tones = [
        (parties[0], CUSTOMER_HZ),
        (parties[1], AGENT_HZ),
        (other, OTHER_HZ),
    ];
    for (party, own) in tones {
        let samples = town.parties[party].samples(since, town.now);
        for (_, hz) in tones {
            let level = house::tone::level(&samples, hz);
            assert_eq!(level > LOUD * 0.8, hz != own, "{party} hears {hz} at {level}");
        }
    }
}

#[test]
fn digits_cross_between_opus_and_g711() {
    let (mut town, router, parties, caller) =
        talking(3780, Voice::new(Codec::Opus, 111), Voice::new(Codec::Pcmu, 0));
    town.parties[parties[1]].press(5);
    town.run_for(SECOND);
    town.parties[parties[0]].press(7);
    town.run_for(SECOND);
    assert_eq!(town.parties[parties[0]].digits, [5]);
    assert_eq!(town.parties[parties[1]].digits, [7]);
    town.ask(router, "leg.send_dtmf", json!({"leg": caller, "digits": "93"}));
    town.run_for(SECOND);
    assert_eq!(town.parties[parties[0]].digits, [5, 9, 3]);
    both_hear(&mut town, parties);
}
