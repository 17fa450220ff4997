//! Digits by SIP INFO: pressed by a peer, sent to one, and carried over to parties that take them otherwise.

use std::time::Duration;

use bytes::Bytes;
use house::sim::{PartyEvent, Town, Weather};
use serde_json::{Value, json};
use sip::endpoint::Command;

use crate::talk::Talk;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
const RELAY: &str = "application/dtmf-relay";

/// A customer whose carrier takes digits as `dtmf` says and an agent, who hear each other.
fn talk(seed: u64, dtmf: &str) -> Talk {
    let town = Town::with(seed, |text| {
        let carrier = format!("name = \"carrier\"\ndtmf = \"{dtmf}\"\n");
        text.replace("name = \"carrier\"\n", &carrier)
    });
    Talk::begin(town, |_, _| {})
}

impl Talk {
    fn inform(&mut self, party: usize, content_type: &str, body: &str) {
        let session = self.town.parties[party].session();
        let info = Command::Info {
            session,
            content_type: content_type.to_owned(),
            body: Bytes::from(body.to_owned()),
        };
        let now = self.town.now;
        self.town.parties[party].order(info, now);
    }

    /// Digits the router was told: digit, method, length, leg.
    fn told(&self) -> Vec<(String, String, u64, String)> {
        let events = self.town.routers[self.router].of("leg.dtmf");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let told = events.iter().map(|event| {
            let data = &event["data"];
            (
                text(&data["digit"]),
                text(&data["method"]),
                data["duration_ms"].as_u64().unwrap(),
                text(&event["leg"]),
            )
        });
        told.collect()
    }

    fn told_digits(&self) -> String {
        self.told().into_iter().map(|(digit, ..)| digit).collect()
    }

    /// Digits a party got by INFO: when, which, how long.
    fn informed(&self, party: usize) -> Vec<(Duration, char, u32)> {
        let events = self.town.parties[party].events.iter();
        let pressed = events.filter_map(|(at, event)| match event {
            PartyEvent::Pressed(digit, ms) => Some((*at - self.town.start, *digit, *ms)),
            _ => None,
        });
        pressed.collect()
    }

    fn informed_digits(&self, party: usize) -> String {
        self.informed(party)
            .into_iter()
            .map(|(_, digit, _)| digit)
            .collect()
    }

    /// What the gateway said to a party's INFOs.
    fn statuses(&self, party: usize) -> Vec<u16> {
        let events = self.town.parties[party].events.iter();
        let statuses = events.filter_map(|(_, event)| match event {
            PartyEvent::InfoAnswered(status) => Some(*status),
            _ => None,
        });
        statuses.collect()
    }

    fn op_ended(&self, op: &Value) -> Option<Value> {
        let ended = self.town.routers[self.router].of("op.ended");
        ended
            .into_iter()
            .find(|event| event["op"] == *op)
            .map(|event| event["data"].clone())
    }
}

#[test]
fn a_digit_by_info_is_told_and_passes_to_who_hears_the_sender() {
    for dtmf in ["rfc4733", "info", "inband"] {
        let mut talk = talk(9101, dtmf);
        let customer = talk.customer;
        talk.inform(customer, RELAY, "Signal=5\r\nDuration=160\r\n");
        talk.town.run_for(500 * MS);
        talk.inform(customer, "application/dtmf", "#");
        talk.town.run_for(500 * MS);
        let told = |digit: &str, ms| (digit.to_owned(), "info".to_owned(), ms, talk.caller.clone());
        assert_eq!(talk.told(), [told("5", 160), told("#", 100)], "{dtmf}");
        assert_eq!(talk.town.parties[talk.agent].digits, [5, 11], "{dtmf}");
        assert_eq!(talk.statuses(customer), [200, 200]);
        assert!(talk.informed(talk.agent).is_empty() && talk.informed(customer).is_empty());
        talk.assert_both_hear();
        talk.end();
    }
}

#[test]
fn a_body_that_is_no_digit_is_refused_and_changes_nothing() {
    let mut talk = talk(9102, "info");
    for (kind, body) in [
        (RELAY, "Signal=hf\r\nDuration=160\r\n"),
        ("application/dtmf", "x"),
        ("application/media_control+xml", "<x/>"),
    ] {
        talk.inform(talk.customer, kind, body);
        talk.town.run_for(200 * MS);
    }
    assert_eq!(talk.statuses(talk.customer), [400, 400, 415]);
    let accepts = |got: &&String| got.contains("Accept: application/dtmf-relay, application/dtmf");
    assert_eq!(
        talk.town.parties[talk.customer]
            .got
            .iter()
            .filter(accepts)
            .count(),
        1
    );
    assert_eq!(talk.told_digits(), "");
    talk.assert_both_hear();
    talk.end();
}

#[test]
fn digits_are_sent_by_info_one_after_the_other_as_long_as_was_asked() {
    let mut talk = talk(9103, "info");
    let params = json!({"leg": talk.caller, "digits": "159#", "duration_ms": 200});
    let op = talk.town.ask(talk.router, "leg.send_dtmf", params)["op"].clone();
    talk.town.run_for(900 * MS);
    assert_eq!(talk.op_ended(&op), None, "the last digit is not over");
    talk.town.run_for(S);
    let got = talk.informed(talk.customer);
    let digits: Vec<_> = got.iter().map(|(_, digit, ms)| (*digit, *ms)).collect();
    assert_eq!(digits, [('1', 200), ('5', 200), ('9', 200), ('#', 200)]);
    // 200 ms of a digit, 80 ms between two.
    let gaps: Vec<_> = got.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(
        gaps.iter().all(|gap| *gap >= 280 * MS && *gap < 330 * MS),
        "{gaps:?}"
    );
    assert_eq!(talk.op_ended(&op).unwrap()["outcome"], "ok");
    assert!(
        talk.town.parties[talk.customer].digits.is_empty(),
        "and by nothing else"
    );
    assert!(talk.town.parties[talk.agent].digits.is_empty());
    // The method of one command goes before that of the trunk, both ways.
    let params = json!({"leg": talk.caller, "digits": "7", "method": "rfc4733"});
    talk.town.ask(talk.router, "leg.send_dtmf", params);
    let params = json!({"leg": talk.desk, "digits": "8", "method": "info"});
    talk.town.ask(talk.router, "leg.send_dtmf", params);
    talk.town.run_for(S);
    assert_eq!(talk.town.parties[talk.customer].digits, [7]);
    assert_eq!(talk.informed_digits(talk.agent), "8");
    talk.assert_both_hear();
    talk.end();
}

#[test]
fn digits_pass_between_a_leg_of_events_and_a_leg_of_info() {
    let mut talk = talk(9104, "info");
    for digit in [4, 0, 10, 4] {
        talk.town.parties[talk.agent].press(digit);
        talk.town.run_for(400 * MS);
    }
    for digit in ["1", "1", "D"] {
        let body = format!("Signal={digit}\r\nDuration=120\r\n");
        talk.inform(talk.customer, RELAY, &body);
        talk.town.run_for(400 * MS);
    }
    assert_eq!(talk.informed_digits(talk.customer), "40*4");
    assert!(talk.informed(talk.customer).iter().all(|(_, _, ms)| *ms == 100));
    assert!(talk.town.parties[talk.customer].digits.is_empty());
    assert_eq!(talk.town.parties[talk.agent].digits, [1, 1, 15]);
    assert_eq!(talk.told_digits(), "40*411D");
    talk.assert_both_hear();
    talk.end();
}

#[test]
fn a_press_by_events_and_by_info_is_one_digit() {
    let mut talk = talk(9105, "rfc4733");
    for (digit, info_after) in [(1_u8, 0), (1, 60), (2, 140), (2, 300), (3, 0)] {
        let body = format!("Signal={digit}\r\nDuration=100\r\n");
        let events_after = if info_after == 0 { 40 } else { 0 };
        if info_after == 0 {
            talk.inform(talk.customer, RELAY, &body);
            talk.town.run_for(events_after * MS);
        }
        talk.town.parties[talk.customer].press(digit);
        if info_after > 0 {
            talk.town.run_for(info_after * MS);
            talk.inform(talk.customer, RELAY, &body);
        }
        talk.town.run_for(400 * MS);
    }
    assert_eq!(talk.told_digits(), "11223");
    assert_eq!(talk.town.parties[talk.agent].digits, [1, 1, 2, 2, 3]);
    talk.assert_both_hear();
    talk.end();
}

#[test]
fn messages_lost_doubled_and_turned_around_make_each_digit_once_both_ways() {
    for seed in 0..3 {
        let mut talk = talk(9200 + seed, "info");
        talk.town.set_weather(Weather {
            loss_permille: 150,
            duplicate_permille: 300,
            delay: 5 * MS,
            jitter: 40 * MS,
        });
        let params = json!({"leg": talk.caller, "digits": "0123456789"});
        let op = talk.town.ask(talk.router, "leg.send_dtmf", params)["op"].clone();
        for digit in 0..10 {
            let body = format!("Signal={digit}\r\nDuration=100\r\n");
            talk.inform(talk.customer, RELAY, &body);
            // A peer sends its next INFO when this one is answered, as we do.
            let is_answered = |talk: &Talk| talk.statuses(talk.customer).len() == digit + 1;
            for _ in 0..40 {
                if is_answered(&talk) {
                    break;
                }
                talk.town.run_for(S);
            }
            assert!(is_answered(&talk), "{seed}: {digit}");
        }
        for _ in 0..60 {
            if talk.op_ended(&op).is_some() {
                break;
            }
            talk.town.run_for(S);
        }
        assert_eq!(talk.informed_digits(talk.customer), "0123456789", "{seed}");
        assert_eq!(talk.op_ended(&op).unwrap()["outcome"], "ok", "{seed}");
        assert_eq!(talk.told_digits(), "0123456789", "{seed}");
        talk.town.set_weather(Weather::default());
        talk.assert_both_hear();
        talk.end();
    }
}

#[test]
fn collected_digits_by_info_pass_to_nobody_and_card_digits_are_told_in_the_result_alone() {
    for (pci, told) in [(false, "123"), (true, "")] {
        let mut talk = talk(9106, "info");
        let params =
            json!({"leg": talk.caller, "min": 3, "max": 3, "first_ms": 5000, "inter_ms": 5000, "pci": pci});
        let op = talk.town.ask(talk.router, "collect.start", params)["op"].clone();
        for digit in ["1", "2", "3"] {
            let body = format!("Signal={digit}\r\nDuration=120\r\n");
            talk.inform(talk.customer, RELAY, &body);
            talk.town.run_for(300 * MS);
        }
        let ended = talk.town.routers[talk.router].of("collect.ended");
        let digits: Vec<_> = ended
            .iter()
            .map(|event| event["data"]["digits"].clone())
            .collect();
        assert_eq!(digits, ["123"]);
        assert_eq!(talk.op_ended(&op).unwrap()["outcome"], "ok");
        assert_eq!(talk.told_digits(), told);
        assert!(talk.town.parties[talk.agent].digits.is_empty());
        assert!(talk.informed(talk.agent).is_empty());
        assert!(talk.town.log.iter().all(|line| !line.contains("Signal")));
        talk.end();
    }
}

#[test]
fn orders_that_cannot_be_carried_out_are_refused_or_fail_by_name() {
    let mut talk = talk(9107, "info");
    // Four orders of 64 digits wait; the first digit is on its way.
    let long = json!({"leg": talk.caller, "digits": "1".repeat(64), "duration_ms": 8000});
    let mut ops = Vec::new();
    for _ in 0..4 {
        ops.push(talk.town.ask(talk.router, "leg.send_dtmf", long.clone())["op"].clone());
    }
    assert_eq!(
        talk.town.refused(talk.router, "leg.send_dtmf", long),
        "invalid_state"
    );
    talk.town.run_for(S);
    assert_eq!(talk.informed_digits(talk.customer), "1");
    // A leg that rings takes none.
    let other = talk.town.agent(1300.0);
    talk.town.parties[other].answer = house::sim::Answer::Never;
    let to = talk.town.target(other);
    let dial = json!({"to": to, "trunk": "agents", "call": talk.call});
    let ringing = talk.town.ask(talk.router, "leg.dial", dial)["leg"].clone();
    talk.town.run_for(200 * MS);
    let params = json!({"leg": ringing, "digits": "1", "method": "info"});
    assert_eq!(
        talk.town.refused(talk.router, "leg.send_dtmf", params),
        "invalid_state"
    );
    talk.town.ask(talk.router, "leg.hangup", json!({"leg": ringing}));
    // The leg ends: so do all its orders.
    talk.town.hang_up(talk.customer);
    talk.town.run_for(S);
    for op in &ops {
        assert_eq!(talk.op_ended(op).unwrap()["outcome"], "cancelled");
    }
    talk.town
        .ask(talk.router, "leg.hangup", json!({"leg": talk.desk}));
    talk.town.run_for(40 * S);
    assert!(talk.town.core.engine().is_empty());
}
