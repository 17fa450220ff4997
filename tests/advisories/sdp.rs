//! Descriptions that break or blow up: B10, B11.

use std::time::{Duration, Instant};

use crate::rig::*;

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 10.0.1.1\r\ns=-\r\nc=IN IP4 10.0.1.1\r\nt=0 0\r\n";

#[test]
fn b10_broken_descriptions_get_488_or_400_or_an_answer() {
    let mut rig = Rig::new();
    let audio = "m=audio 4000 RTP/AVP 0 8\r\n";
    let bodies = [
        format!("{HEAD}m=audio 4000 RTP/AVP 0 8 999 -1 x\r\n"),
        format!("{HEAD}m=audio 4000 RTP/AVP\r\n"),
        format!("{HEAD}m=audio 99999 RTP/AVP 0\r\n"),
        format!("{HEAD}m=audio -1 RTP/AVP 0\r\n"),
        format!("{HEAD}m=audio 4000/99999999999 RTP/AVP 0\r\n"),
        format!("{HEAD}{audio}a=fmtp:0 \0\r\n"),
        format!("{HEAD}{audio}a=fmtp:\r\n"),
        format!("{HEAD}{audio}a=rtpmap:0\r\na=rtpmap:x PCMU/8000\r\na=rtpmap:8 PCMA/0\r\n"),
        format!("{HEAD}{audio}a=ptime:-1\r\na=maxptime:1e400\r\na=ptime:4294967296\r\n"),
        format!("{HEAD}\r\n\r\n{audio}"),
        format!("{HEAD}m=audio 4000 RTP/AVP 0 0 0 8 8 0\r\n"),
        format!("{HEAD}m=image 0 udptl t38\r\n"),
        format!("{HEAD}{audio}m=image 0 udptl t38\r\na=T38FaxMaxBuffer:99999999999999999999\r\n"),
        format!("{HEAD}m=audio 0 RTP/AVP 0\r\n"),
        HEAD.replace("c=IN IP4 10.0.1.1\r\n", "") + audio,
        HEAD.replace("c=IN IP4 10.0.1.1", "c=IN IP4 10.0.1.1/127/3") + audio,
        HEAD.replace("c=IN IP4", "c=IN IP6") + audio,
        HEAD.replace("v=0", "v=1") + audio,
        HEAD.replace("t=0 0\r\n", "") + audio,
        HEAD.replace("o=- 1 1", "o=- 99999999999999999999999 -1") + audio,
        "v=0".to_owned(),
        "v".to_owned(),
        "=".to_owned(),
        "\r\n".to_owned(),
        "\0".repeat(100),
        "m=".repeat(1_000),
    ];
    for (number, body) in bodies.iter().enumerate() {
        let came = rig.udp(CARRIER, invite(CARRIER, &format!("sdp{number}"), "", body));
        assert!(
            matches!(status(&came), Some(100 | 400 | 488)),
            "{number}: {:?} {body:?}",
            lines(&came)
        );
        // What is let in can be answered, with one line for each of theirs.
        if status(&came) == Some(100) {
            let leg = rig.of("leg.incoming").last().unwrap()["leg"].clone();
            let sent = rig.sent.len();
            rig.ask("leg.answer", serde_json::json!({ "leg": leg }));
            let answer = &rig.sent[sent..]
                .iter()
                .find(|(_, text)| text.starts_with("SIP/2.0 200"))
                .unwrap()
                .1;
            let count = |text: &str| text.matches("\nm=").count();
            assert_eq!(count(answer), count(body), "{number}: {answer}");
        }
    }
    rig.run_for(Duration::from_secs(100));
    assert!(rig.is_at_rest());
    rig.assert_alive();
}

#[test]
fn b11_a_description_at_its_caps_takes_a_moment_and_one_beyond_is_refused() {
    let mut rig = Rig::new();
    let at_cap = {
        let lines = "m=audio 4000 RTP/AVP 0 8\r\n".repeat(sip::sdp::MEDIA_LINES_MAX);
        let fill = sip::sdp::SDP_BYTES_MAX - HEAD.len() - lines.len();
        format!("{HEAD}{lines}{}", "a=x:y\r\n".repeat(fill / 7))
    };
    let formats: String = (0..sip::sdp::FORMATS_MAX)
        .map(|format| format!(" {}", format % 128))
        .collect();
    let bombs = [
        format!("{HEAD}{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(10_000)),
        format!("{HEAD}m=audio 4000 RTP/AVP 0\r\n{}", "a=x\r\n".repeat(8_000)),
        format!("{HEAD}m=audio 4000 RTP/AVP{}\r\n", " 0".repeat(10_000)),
    ];
    for (number, bomb) in bombs.iter().enumerate() {
        let text = invite(
            CARRIER,
            &format!("bomb{number}"),
            "",
            &bomb[..bomb.len().min(60_000)],
        );
        let came = rig.udp(CARRIER, text);
        assert!(
            matches!(status(&came), Some(400 | 413 | 488)),
            "{number}: {:?}",
            lines(&came)
        );
    }
    let ours = sip::sdp::LocalMedia::new([10, 0, 0, 1].into(), 20_000, 1);
    for body in [&at_cap, &format!("{HEAD}m=audio 4000 RTP/AVP{formats}\r\n")] {
        assert!(sip::sdp::answer(body.as_bytes(), &ours).is_ok());
        // The quickest of a few: what else the machine does is not measured. A debug build is given 20 ms.
        let took = (0..10).map(|_| {
            let begun = Instant::now();
            let _ = std::hint::black_box(sip::sdp::answer(body.as_bytes(), &ours));
            begun.elapsed()
        });
        let allowed = if cfg!(debug_assertions) { 20 } else { 1 };
        let took = took.min().unwrap();
        assert!(
            took < Duration::from_millis(allowed),
            "{took:?} for {} bytes",
            body.len()
        );
    }
    rig.assert_alive();
}

#[test]
fn a11_a_packet_time_or_clock_beyond_reason_is_taken_for_the_usual_one() {
    let mut rig = Rig::new();
    let times = [
        "-1",
        "0",
        "1",
        "7",
        "61",
        "2147483648",
        "4294967296",
        "1e400",
        "",
        "20 20",
    ];
    let clocks = ["0", "-8000", "4294967296", "8000/0", "8000/255"];
    let lines = times
        .iter()
        .flat_map(|time| [format!("a=ptime:{time}"), format!("a=maxptime:{time}")]);
    let lines = lines.chain(clocks.iter().map(|clock| format!("a=rtpmap:8 PCMA/{clock}")));
    for (number, line) in lines.enumerate() {
        let body = format!("{HEAD}m=audio 4000 RTP/AVP 0 8\r\n{line}\r\n");
        let came = rig.udp(CARRIER, invite(CARRIER, &format!("time{number}"), "", &body));
        assert_eq!(status(&came), Some(100), "{line}: {:?}", self::lines(&came));
        let leg = rig.of("leg.incoming").last().unwrap()["leg"].clone();
        rig.ask("leg.answer", serde_json::json!({ "leg": leg }));
        let answer = rig.last("SIP/2.0 200");
        let ptime = answer.lines().find_map(|line| line.strip_prefix("a=ptime:"));
        assert!(
            ptime.is_none_or(|ptime| ["10", "20", "30", "40", "60"].contains(&ptime)),
            "{line}: {answer}"
        );
        assert!(
            answer.contains("m=audio 2") && answer.contains("PCMU/8000"),
            "{line}: {answer}"
        );
        rig.ask("leg.hangup", serde_json::json!({ "leg": leg }));
    }
    rig.assert_alive();
}
