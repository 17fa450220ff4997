//! Overload: new calls are turned away before they cost anything, what is up goes on, and each is counted once (F23).

use std::time::Duration;

use gateway::control::protocol::{Direction, ThrottleReason};
use gateway::engine::io::Input;
use gateway::engine::metrics::Place;

use crate::flood::{cost, pass_one, refuse_one};
use crate::rig::*;

/// A gateway whose signalling has stood for longer than is good.
fn behind() -> Rig {
    let mut rig = Rig::new();
    fall_behind(&mut rig);
    rig
}

fn fall_behind(rig: &mut Rig) {
    for _ in 0..3 {
        wait(rig, 60);
        rig.run_for(Duration::from_millis(50));
    }
}

fn wait(rig: &mut Rig, ms: u64) {
    rig.handle(Input::Backlog {
        wait: Duration::from_millis(ms),
    });
}

#[test]
fn f23_new_calls_are_turned_away_without_state_and_taken_again_once_the_queue_is_short() {
    let mut rig = behind();
    for number in 0..100 {
        let came = rig.udp(CARRIER, invite(CARRIER, &format!("shed{number}"), "", SDP));
        assert_eq!(lines(&came), ["SIP/2.0 503 Service Unavailable"]);
        assert!(
            came[0].contains("\r\nRetry-After: ") && came[0].contains(";tag="),
            "{came:?}"
        );
    }
    let endpoint = rig.core.endpoint();
    assert_eq!((endpoint.transactions(), endpoint.sessions()), (0, 0));
    assert_eq!(rig.dropped("overload"), 100);
    assert_eq!(
        rig.of("call.refused").len() + rig.records.len(),
        0,
        "counted only"
    );
    let alarms = rig.of("alarm.raised");
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    let told = &alarms[0]["data"];
    assert_eq!(told["kind"], "overload");
    assert!(told["message"].as_str().unwrap().contains("`carrier`"), "{told}");
    // Another way in.
    let (came, _) = rig.tcp(CARRIER, invite(CARRIER, "stream", "", SDP));
    assert_eq!(lines(&came), ["SIP/2.0 503 Service Unavailable"]);
    wait(&mut rig, 1);
    rig.assert_alive();
    let place = Place {
        instance: "main",
        trunk: "carrier",
        direction: Direction::In,
    };
    let tally = rig.core.engine().metrics().tally(place).unwrap();
    assert_eq!((tally.offered, tally.admitted), (102, 1));
    assert_eq!(tally.throttled[&ThrottleReason::Overload], 101);
    rig.run_for(Duration::from_secs(400));
    assert_eq!(rig.of("alarm.cleared").len(), 1);
}

#[test]
fn f23_what_is_up_goes_on_and_a_call_for_help_is_read() {
    let mut rig = Rig::new();
    rig.udp(CARRIER, invite(CARRIER, "up", "", SDP));
    let leg = rig.of("leg.incoming")[0]["leg"].clone();
    rig.udp(CARRIER, invite(CARRIER, "ringing", "", SDP));
    fall_behind(&mut rig);
    // The repeat of one that was taken is still that one's.
    let came = rig.udp(CARRIER, invite(CARRIER, "ringing", "", SDP));
    assert_eq!(status(&came), Some(100));
    rig.ask("leg.answer", serde_json::json!({ "leg": leg }));
    let ok = rig.last("SIP/2.0 200");
    rig.udp(CARRIER, in_dialog("ACK", CARRIER, "up", &ok, 1));
    let came = rig.udp(CARRIER, in_dialog("BYE", CARRIER, "up", &ok, 2));
    assert_eq!(status(&came), Some(200));
    let cancel = request("CANCEL", CARRIER, "ringing", "", "");
    let came = rig.udp(CARRIER, cancel);
    assert!(
        lines(&came).contains(&"SIP/2.0 487 Request Terminated"),
        "{came:?}"
    );
    for number in ["112", "urn:service:sos"] {
        let uri = if number.starts_with("urn") {
            number.to_owned()
        } else {
            format!("sip:{number}@10.0.0.1")
        };
        let text =
            invite(CARRIER, &format!("help{number}"), "", SDP).replacen("sip:+4930123456@10.0.0.1", &uri, 1);
        let came = rig.udp(CARRIER, text);
        assert_ne!(status(&came), Some(503), "{came:?}");
    }
    assert_eq!(rig.dropped("overload"), 0);
}

#[test]
fn f23_answers_have_an_allowance_and_the_rest_is_not_answered() {
    let mut rig = behind();
    rig.pause = Duration::ZERO;
    let sent = (0..3_000).map(|number| {
        rig.udp(CARRIER, invite(CARRIER, &format!("many{number}"), "", SDP))
            .len()
    });
    assert_eq!(sent.sum::<usize>(), 1_000);
    assert_eq!(
        (rig.dropped("overload"), rig.dropped("overload_unanswered")),
        (1_000, 2_000)
    );
    rig.run_for(Duration::from_secs(1));
    let came = rig.udp(CARRIER, invite(CARRIER, "later", "", SDP));
    assert_eq!(status(&came), Some(503));
}

/// Ten times in turn, so that what else the machine does falls on both; the best turn counts.
#[test]
fn f23_to_turn_a_call_away_costs_a_fraction_of_a_refusal_and_a_hundredth_or_two_of_a_call() {
    let (mut calls, mut shut) = (Rig::new(), behind());
    let mut full = Rig::with("calls = 1", "");
    full.udp(CARRIER, invite(CARRIER, "first", "", SDP));
    let mut shares = [f64::MAX; 2];
    for turn in 0..10 {
        let call = cost(&mut calls, |rig, number| {
            pass_one(rig, &format!("call{turn}x{number}"))
        });
        let refused = cost(&mut full, |rig, number| {
            refuse_one(rig, &format!("over{turn}x{number}"), "+49")
        });
        let shed = cost(&mut shut, |rig, number| {
            refuse_one(rig, &format!("shed{turn}x{number}"), "+49")
        });
        println!("a call of two legs {call:?}; over a limit {refused:?}; turned away {shed:?}");
        let shed = shed.as_secs_f64();
        shares[0] = shares[0].min(shed / call.as_secs_f64());
        shares[1] = shares[1].min(shed / refused.as_secs_f64());
        wait(&mut shut, 60);
    }
    assert!(shares[0] <= 0.04 && shares[1] <= 0.8, "{shares:?}");
}
