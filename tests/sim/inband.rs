//! Digits in the audio: heard, carried over between parties that take them in any of the three ways, and kept
//! from everyone where a rule says so.

use std::time::Duration;

use bytes::Bytes;
use house::sim::{PartyEvent, Town};
use house::tone;
use serde_json::json;
use sip::endpoint::Command;

use crate::talk::{CUSTOMER_HZ, Talk};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
/// Further from the tones of digits than usual.
const AGENT_HZ: f64 = 400.0;
const DIGITS: &str = "0123456789*#ABCD";
const METHODS: [&str; 3] = ["rfc4733", "info", "inband"];

/// A customer and an agent who hear each other; `dtmf` of the carrier's trunk and of the agents'.
fn talk(seed: u64, dtmf: [&str; 2], has_events: bool) -> Talk {
    let town = Town::with(seed, |text| {
        let named = |text: String, name: &str, dtmf: &str| {
            let name = format!("name = \"{name}\"\n");
            text.replace(&name, &format!("{name}dtmf = \"{dtmf}\"\n"))
        };
        named(named(text, "carrier", dtmf[0]), "agents", dtmf[1])
    });
    Talk::begin(town, |customer, agent| {
        customer.voice.has_events = has_events;
        agent.hz = AGENT_HZ;
    })
}

impl Talk {
    /// The customer presses digits, each for 100 ms, the way its trunk says.
    fn press(&mut self, method: &str, digits: &str) {
        if method == "inband" {
            self.town.parties[self.customer].press_inband(digits);
            let length = digits.len() as u32 * 180 * MS;
            return self.town.run_for(length + 2 * S);
        }
        for digit in digits.chars() {
            let number = DIGITS.find(digit).unwrap() as u8;
            if method == "rfc4733" {
                self.town.parties[self.customer].press(number);
            } else {
                let session = self.town.parties[self.customer].session();
                let info = Command::Info {
                    session,
                    content_type: "application/dtmf-relay".to_owned(),
                    body: Bytes::from(format!("Signal={digit}\r\nDuration=100\r\n")),
                };
                let now = self.town.now;
                self.town.parties[self.customer].order(info, now);
            }
            self.town.run_for(300 * MS);
        }
        self.town.run_for(2 * S);
    }

    /// Digits the router was told of, and how.
    fn digits_and_methods(&self) -> (String, Vec<String>) {
        let events = self.town.routers[self.router].of("leg.dtmf");
        assert!(events.iter().all(|event| event["leg"] == self.caller.as_str()));
        let text = |event: &serde_json::Value, name: &str| event["data"][name].as_str().unwrap().to_owned();
        let mut methods: Vec<_> = events.iter().map(|event| text(event, "method")).collect();
        methods.dedup();
        (events.iter().map(|event| text(event, "digit")).collect(), methods)
    }

    /// Digits the agent got as events, by INFO and in its audio.
    fn got(&self, since: std::time::Instant) -> [String; 3] {
        let agent = &self.town.parties[self.agent];
        let events = agent.digits.iter();
        let events = events.map(|number| char::from(DIGITS.as_bytes()[usize::from(*number)]));
        let infos = agent.events.iter().filter_map(|(_, event)| match event {
            PartyEvent::Pressed(digit, _) => Some(*digit),
            _ => None,
        });
        [
            events.collect(),
            infos.collect(),
            agent.digits_heard(since, self.town.now),
        ]
    }
}

#[test]
fn every_digit_goes_once_from_each_method_to_each_of_the_three() {
    for from in METHODS {
        for to in METHODS {
            let mut talk = talk(9301, [from, to], true);
            let since = talk.town.now;
            talk.press(from, DIGITS);
            talk.town.run_for(4 * S);
            assert_eq!(
                talk.digits_and_methods(),
                (DIGITS.to_owned(), vec![from.to_owned()]),
                "{from} to {to}"
            );
            let wanted = METHODS.map(|method| if method == to { DIGITS } else { "" });
            assert_eq!(talk.got(since), wanted, "{from} to {to}");
            talk.assert_both_hear();
            talk.end();
        }
    }
}

#[test]
fn a_party_without_telephone_events_is_heard_whatever_its_trunk_sends() {
    for dtmf in METHODS {
        let mut talk = talk(9302, [dtmf, "rfc4733"], false);
        let since = talk.town.now;
        talk.press("inband", "8#");
        assert_eq!(
            talk.digits_and_methods(),
            ("8#".to_owned(), vec!["inband".to_owned()]),
            "{dtmf}"
        );
        assert_eq!(talk.got(since), ["8#", "", ""], "{dtmf}");
        talk.assert_both_hear();
        talk.end();
    }
}

#[test]
fn a_party_with_telephone_events_says_what_it_likes_in_its_audio() {
    let mut talk = talk(9303, ["rfc4733", "rfc4733"], true);
    let since = talk.town.now;
    talk.press("inband", "8#");
    assert_eq!(talk.digits_and_methods().0, "");
    assert_eq!(talk.got(since), ["", "", "8#"], "its audio passes as it is");
    talk.end();
}

#[test]
fn a_press_by_info_and_in_the_audio_is_one_digit_for_every_listener() {
    for to in METHODS {
        let mut talk = talk(9304, ["info", to], false);
        let since = talk.town.now;
        for (digit, info_after) in [("4", 0), ("4", 60), ("6", 150)] {
            talk.town.parties[talk.customer].press_inband(digit);
            talk.town.run_for(info_after * MS);
            let session = talk.town.parties[talk.customer].session();
            let info = Command::Info {
                session,
                content_type: "application/dtmf-relay".to_owned(),
                body: Bytes::from(format!("Signal={digit}\r\nDuration=100\r\n")),
            };
            let now = talk.town.now;
            talk.town.parties[talk.customer].order(info, now);
            talk.town.run_for(S);
        }
        assert_eq!(talk.digits_and_methods().0, "446", "{to}");
        let wanted = METHODS.map(|method| if method == to { "446" } else { "" });
        assert_eq!(talk.got(since), wanted, "{to}");
        talk.end();
    }
}

#[test]
fn collected_digits_are_heard_by_nobody_and_card_digits_are_told_in_the_result_alone() {
    for (pci, told) in [(false, "159"), (true, "")] {
        let mut talk = talk(9305, ["inband", "inband"], false);
        let since = talk.town.now;
        let params =
            json!({"leg": talk.caller, "min": 3, "max": 3, "first_ms": 5000, "inter_ms": 5000, "pci": pci});
        talk.town.ask(talk.router, "collect.start", params);
        talk.press("inband", "159");
        let ended = talk.town.routers[talk.router].of("collect.ended");
        let digits: Vec<_> = ended
            .iter()
            .map(|event| event["data"]["digits"].clone())
            .collect();
        assert_eq!(digits, ["159"]);
        assert_eq!(talk.digits_and_methods().0, told);
        assert_eq!(talk.got(since), ["", "", ""]);
        // Not a trace of a tone is heard, not even too short for a digit.
        let heard = talk.town.parties[talk.agent].samples(since, talk.town.now);
        for hz in [697.0, 770.0, 852.0, 1209.0, 1336.0, 1477.0] {
            let loudest = heard
                .chunks(160)
                .map(|part| tone::level(part, hz))
                .fold(0.0, f64::max);
            assert!(loudest < 0.03, "{hz}: {loudest}");
        }
        assert!(tone::level(&heard, CUSTOMER_HZ) > 0.1, "the voice is");
        talk.assert_both_hear();
        talk.end();
    }
}

#[test]
fn digits_pressed_while_a_recording_is_paused_are_neither_recorded_nor_passed_on() {
    let mut talk = talk(9306, ["inband", "rfc4733"], false);
    let params = json!({"target": talk.caller, "channels": "per_party", "format": "wav"});
    let recording = talk.town.ask(talk.router, "record.start", params)["recording"].clone();
    talk.press("inband", "7");
    let since = talk.town.now;
    let pause = json!({"recording": recording, "reason": "pci"});
    talk.town.ask(talk.router, "record.pause", pause);
    talk.town.run_for(200 * MS);
    talk.press("inband", "235");
    let resume = json!({ "recording": recording });
    talk.town.ask(talk.router, "record.resume", resume);
    talk.town.run_for(S);
    let stop = json!({ "recording": recording });
    talk.town.ask(talk.router, "record.stop", stop);
    talk.town.run_for(S);
    assert_eq!(
        talk.got(since),
        ["7", "", ""],
        "only the one before the pause is passed on"
    );
    let taped: Vec<i16> = talk.town.taped.values().flatten().copied().collect();
    let mut detector = media::dtmf::Detector::new();
    let frames = taped.as_chunks::<160>().0.iter();
    let digits = frames.filter_map(|frame| detector.handle_frame(frame, false).ended);
    let digits: String = digits.map(|pressed| pressed.digit.to_char()).collect();
    assert_eq!(digits, "7");
    // Tones of 2, 3 and 5 that are far from those of 7; one of them would be 0.19 loud.
    for hz in [697.0, 1336.0, 1477.0] {
        let loudest = taped
            .chunks(160)
            .map(|part| tone::level(part, hz))
            .fold(0.0, f64::max);
        assert!(loudest < 0.06, "{hz}: {loudest}");
    }
    assert!(tone::level(&taped, CUSTOMER_HZ) > 0.05);
    talk.assert_both_hear();
    talk.end();
}

#[test]
fn digits_are_sent_in_the_audio_where_the_trunk_or_the_command_says_so() {
    let mut talk = talk(9307, ["inband", "rfc4733"], true);
    let since = talk.town.now;
    let params = json!({"leg": talk.caller, "digits": "159#", "duration_ms": 120});
    let op = talk.town.ask(talk.router, "leg.send_dtmf", params)["op"].clone();
    let params = json!({"leg": talk.desk, "digits": "*0", "method": "inband"});
    talk.town.ask(talk.router, "leg.send_dtmf", params);
    talk.town.run_for(2 * S);
    let customer = &talk.town.parties[talk.customer];
    assert_eq!(customer.digits_heard(since, talk.town.now), "159#");
    assert!(customer.digits.is_empty());
    assert_eq!(talk.got(since), ["", "", "*0"]);
    let ended = talk.town.routers[talk.router].of("op.ended");
    let ended: Vec<_> = ended.iter().filter(|event| event["op"] == op).collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["data"]["outcome"], "ok");
    talk.assert_both_hear();
    talk.end();
}
