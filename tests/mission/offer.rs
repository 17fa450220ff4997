//! Offers to agents: the twenty seconds, both races of the CANCEL, who gets the call next.

use std::time::Duration;

use house::sim::{Answer, PartyEvent, Town, Weather};
use serde_json::json;

use crate::scene::*;

/// A customer on music and an agent's phone.
fn parked(seed: u64) -> (Town, usize, usize, usize, String, String) {
    let mut town = Town::new(seed);
    let router = town.router();
    let (customer, agent) = (town.customer(CUSTOMER_HZ), town.agent(AGENT_HZ));
    let (caller, call) = town.answered_call(router, customer);
    town.ask(router, "leg.hold", json!({"leg": caller, "music": "default"}));
    town.run_for(200 * MS);
    (town, router, customer, agent, caller, call)
}

fn offer(town: &mut Town, router: usize, agent: usize, call: &str) -> String {
    let to = town.target(agent);
    let params = json!({"to": to, "trunk": "agents", "call": call, "ring_timeout_ms": 20_000});
    town.ask(router, "leg.dial", params)["leg"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn row_08_missed_after_20_seconds() {
    let (mut town, router, customer, agent, _, call) = parked(801);
    town.parties[agent].answer = Answer::Never;
    let since = town.now;
    let leg = offer(&mut town, router, agent, &call);
    town.run_for(21 * SECOND);
    let cancelled = town.parties[agent]
        .events
        .iter()
        .find(|(_, event)| *event == PartyEvent::Cancelled);
    assert_eq!(cancelled.unwrap().0 - since, 20 * SECOND);
    let ended = event(&town, router, "leg.ended", &leg);
    assert_eq!(moment(&ended), since + 20 * SECOND - town.start);
    assert_eq!(
        (&ended["data"]["reason"], &ended["data"]["by"]),
        (&json!("no_answer"), &json!("timer"))
    );
    assert_eq!(ended["data"]["ring_ms"], 20_000);
    assert_eq!(ended["cause"], json!({"by": "timer"}));
    let heard = &town.parties[customer];
    assert!(
        heard.gap(since, town.now) <= 40 * MS,
        "{:?}",
        heard.gap(since, town.now)
    );
    let music = frames(&town, customer, MUSIC_HZ, since);
    assert!(music.len() >= 1049 && music.iter().all(|(_, level)| *level > LOUD));
}

#[test]
fn row_08_a_200_just_before_the_limit_is_an_answer() {
    let (mut town, router, customer, agent, caller, call) = parked(802);
    town.set_weather(Weather {
        delay: 10 * MS,
        ..Weather::default()
    });
    town.parties[agent].answer = Answer::After(Duration::from_millis(19_979));
    let leg = offer(&mut town, router, agent, &call);
    town.run_for(21 * SECOND);
    let events: Vec<_> = town.parties[agent]
        .events
        .iter()
        .map(|(_, event)| event.clone())
        .collect();
    assert_eq!(events, [PartyEvent::Invited, PartyEvent::Answered]);
    assert!(town.routers[router].last_of("leg.ended", &leg).is_none());
    let steps = json!([
        {"method": "bridge.create", "params": {"call": call, "legs": [caller, leg]}},
        {"method": "leg.resume", "params": {"leg": caller}},
    ]);
    town.ask(router, "batch", json!({"steps": steps}));
    town.run_for(100 * MS);
    assert_hears(&mut town, customer, &[AGENT_HZ], &[MUSIC_HZ]);
}

#[test]
fn row_08_a_200_that_crosses_the_cancel_gets_ack_and_bye_and_no_event() {
    let (mut town, router, customer, agent, _, call) = parked(803);
    town.set_weather(Weather {
        delay: 10 * MS,
        ..Weather::default()
    });
    town.parties[agent].answer = Answer::After(Duration::from_millis(19_985));
    let since = town.now;
    let leg = offer(&mut town, router, agent, &call);
    town.run_for(25 * SECOND);
    let events: Vec<_> = town.parties[agent]
        .events
        .iter()
        .map(|(_, event)| event.clone())
        .collect();
    assert_eq!(
        events,
        [PartyEvent::Invited, PartyEvent::Answered, PartyEvent::Ended]
    );
    let starts = |method: &str| {
        town.parties[agent]
            .got
            .iter()
            .filter(|text| text.starts_with(method))
            .count()
    };
    assert_eq!((starts("CANCEL "), starts("ACK "), starts("BYE ")), (1, 1, 1));
    let of_leg = town.routers[router]
        .events
        .iter()
        .filter(|event| event["leg"] == leg.as_str());
    let kinds: Vec<_> = of_leg.map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["leg.dialing", "leg.ringing", "leg.ended", "op.ended"]);
    assert_eq!(
        event(&town, router, "leg.ended", &leg)["data"]["reason"],
        "no_answer"
    );
    assert!(town.parties[customer].gap(since, town.now) <= 40 * MS);
    town.run_for(40 * SECOND);
    assert!(town.parties[agent].is_idle());
}

#[test]
fn row_09_missed_and_refused_offers_leave_the_customer_on_music_for_the_next_agent() {
    let (mut town, router, customer, first, caller, call) = parked(901);
    let since = town.now;
    for (answer, reason, sip) in [
        (Answer::Refuse(486), "busy", 486),
        (Answer::Refuse(603), "rejected", 603),
    ] {
        town.parties[first].answer = answer;
        let leg = offer(&mut town, router, first, &call);
        town.run_for(SECOND);
        let ended = event(&town, router, "leg.ended", &leg);
        assert_eq!(
            (&ended["data"]["reason"], &ended["data"]["sip"]),
            (&json!(reason), &json!(sip))
        );
    }
    town.parties[first].answer = Answer::Never;
    let leg = offer(&mut town, router, first, &call);
    town.run_for(21 * SECOND);
    assert_eq!(
        event(&town, router, "leg.ended", &leg)["data"]["reason"],
        "no_answer"
    );
    let second = town.agent(OTHER_HZ);
    let leg = offer(&mut town, router, second, &call);
    town.run_for(300 * MS);
    assert!(
        frames(&town, customer, MUSIC_HZ, since)
            .iter()
            .all(|(_, level)| *level > LOUD)
    );
    assert!(town.parties[customer].gap(since, town.now) <= 40 * MS);
    assert!(town.routers[router].last_of("leg.ended", &caller).is_none());
    let accept = json!([
        {"method": "bridge.create", "params": {"id": "b9", "call": call, "legs": [leg]}},
        {"method": "bridge.add", "params": {"bridge": "b9", "leg": caller}},
        {"method": "leg.resume", "params": {"leg": caller}},
    ]);
    let accepted = town.now;
    town.ask(router, "batch", json!({"steps": accept}));
    town.run_for(200 * MS);
    let tail = last_frame(&town, customer, MUSIC_HZ, accepted);
    assert!(
        tail.is_none_or(|at| at <= accepted + TICK),
        "the music stops in the tick of the accept"
    );
    assert_hears(&mut town, customer, &[OTHER_HZ], &[MUSIC_HZ, AGENT_HZ]);
    assert_hears(&mut town, second, &[CUSTOMER_HZ], &[MUSIC_HZ]);
}

#[test]
fn row_08_a_phone_that_says_nothing_is_cancelled_at_its_first_provisional_response() {
    let (mut town, router, customer, agent, _, call) = parked(804);
    town.parties[agent].answer = Answer::Never;
    town.set_weather(Weather {
        delay: 300 * MS,
        ..Weather::default()
    });
    let since = town.now;
    let to = town.target(agent);
    let params = json!({"to": to, "trunk": "agents", "call": call, "ring_timeout_ms": 400});
    let leg = town.ask(router, "leg.dial", params)["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    town.run_for(3 * SECOND);
    assert_eq!(
        moment(&event(&town, router, "leg.ended", &leg)),
        since + 400 * MS - town.start
    );
    let cancelled = town.parties[agent]
        .events
        .iter()
        .find(|(_, event)| *event == PartyEvent::Cancelled);
    assert_eq!(
        cancelled.unwrap().0 - since,
        900 * MS,
        "there at 300, its 100 back at 600, CANCEL there at 900"
    );
    assert!(town.parties[customer].gap(since, town.now) <= 40 * MS);
}
