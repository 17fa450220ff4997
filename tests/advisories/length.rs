//! Lengths that lie, in virtual time: B1, B2, B6.

use sip::transport::framer::{Frame, Framer};

use crate::rig::*;

/// Content-Length values that are no length.
pub const LENGTHS: [&str; 10] = [
    "-10",
    "+5",
    "5 5",
    "2147483647",
    "2147483648",
    "4294967296",
    "18446744073709551616",
    "10000000000000000000000000000000000000000",
    "0x10",
    "",
];

/// OPTIONS with this Content-Length.
pub fn options(length: &str) -> String {
    request("OPTIONS", CARRIER, "length", "", "")
        .replace("Content-Length: 0", &format!("Content-Length: {length}"))
}

#[test]
fn b1_a_content_length_that_is_none_gets_400_and_ends_its_stream() {
    let mut rig = Rig::new();
    for length in LENGTHS {
        assert_eq!(
            status(&rig.udp(CARRIER, options(length))),
            Some(400),
            "UDP {length:?}"
        );
        let (came, is_closed) = rig.tcp(CARRIER, options(length));
        assert_eq!((status(&came), is_closed), (Some(400), true), "TCP {length:?}");
    }
    // A promise that no datagram keeps; over a stream it is one that the next messages would be eaten for.
    assert_eq!(status(&rig.udp(CARRIER, options("9999"))), Some(400));
    rig.assert_alive();
    rig.run_for(std::time::Duration::from_secs(70));
    assert!(rig.is_at_rest());
}

#[test]
fn b2_two_lengths_end_the_stream_and_what_follows_is_never_read() {
    let mut rig = Rig::new();
    let smuggled = invite(CARRIER, "smuggled", "", SDP);
    for twice in [
        "l: 0\r\n",
        "Content-Length: 5\r\n",
        "CONTENT-LENGTH : 0\r\n",
        "L:0\r\n",
    ] {
        let first = request("OPTIONS", CARRIER, "first", twice, "");
        let (came, is_closed) = rig.tcp(CARRIER, format!("{first}{smuggled}"));
        assert_eq!(
            (came.len(), status(&came), is_closed),
            (1, Some(400), true),
            "{twice:?}"
        );
        assert_eq!(status(&rig.udp(CARRIER, &first)), Some(400), "{twice:?}");
    }
    // Bytes of a datagram beyond its length are none of its message (RFC 3261 §18.3).
    let came = rig.udp(CARRIER, format!("{}{smuggled}", options("0")));
    assert_eq!((came.len(), status(&came)), (1, Some(200)));
    assert_eq!(rig.of("leg.incoming").len(), 0, "nothing was smuggled in");
    rig.assert_alive();
}

/// A second framer, as simple as can be: looks for the empty line and reads the one length of the head.
fn simple_frames(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    loop {
        while let Some(rest) = stream.strip_prefix(b"\r\n") {
            stream = rest;
        }
        let Some(end) = stream.windows(4).position(|four| four == b"\r\n\r\n") else {
            return frames;
        };
        let Some(length) = std::str::from_utf8(&stream[..end]).ok().and_then(simple_length) else {
            return frames;
        };
        let total = end + 4 + length;
        if stream.len() < total {
            return frames;
        }
        frames.push(stream[..total].to_vec());
        stream = &stream[total..];
    }
}

fn simple_length(head: &str) -> Option<usize> {
    let mut fields: Vec<String> = Vec::new();
    for line in head.split("\r\n").skip(1) {
        match (line.starts_with([' ', '\t']), fields.last_mut()) {
            (true, Some(field)) => field.push_str(line),
            (true, None) => return None,
            (false, _) => fields.push(line.to_owned()),
        }
    }
    let lengths = fields.iter().filter_map(|field| {
        let (name, value) = field.split_once(':')?;
        let name = name.trim().to_ascii_lowercase();
        (name == "content-length" || name == "l").then(|| value.trim().to_owned())
    });
    let lengths: Vec<String> = lengths.collect();
    match lengths.as_slice() {
        [one] if !one.is_empty() && one.bytes().all(|byte| byte.is_ascii_digit()) => one.parse().ok(),
        _ => None,
    }
}

#[test]
fn b2_mutated_streams_come_apart_as_a_second_framer_says() {
    let mut dice = Dice(0xb2);
    let heads = [
        "Content-Length: ",
        "l: ",
        "L:",
        "content-length:\t",
        "Content-Length : ",
    ];
    for run in 0..10_000 * factor() {
        let mut stream = Vec::new();
        for number in 0..1 + dice.below(4) {
            let body = "b".repeat(dice.below(40));
            let said = match dice.below(8) {
                0 => dice.below(60),
                _ => body.len(),
            };
            let extra = match dice.below(10) {
                0 => format!("{}{said}\r\n", heads[dice.below(heads.len())]),
                1 => "X: a\r\n b\r\n".to_owned(),
                _ => String::new(),
            };
            let head = heads[dice.below(heads.len())];
            stream.extend(format!("M{number} sip:a SIP/2.0\r\n{extra}{head}{said}\r\n\r\n{body}").bytes());
        }
        if dice.below(2) == 0 {
            let at = dice.below(stream.len());
            stream[at] = b"\r\n :,0159lL"[dice.below(11)];
        }
        let (mut framer, mut ours) = (Framer::default(), Vec::new());
        for piece in stream.chunks(1 + dice.below(64)) {
            framer.push(piece);
            while let Some(Ok(frame)) = framer.poll() {
                if let Frame::Message(bytes) = frame {
                    ours.push(bytes.to_vec());
                }
            }
        }
        let theirs = simple_frames(&stream);
        // Ours may be the stricter one, never the one that reads on where the other stops or cuts elsewhere.
        assert!(
            theirs.starts_with(&ours),
            "run {run}: {:?}",
            String::from_utf8_lossy(&stream)
        );
    }
}

/// Each cap one below, at, and one above: what is above is refused, the others are answered as ever.
#[test]
fn b6_each_cap_holds_at_its_edge() {
    let mut rig = Rig::new();
    let mut check = |what: &str, cap: usize, sized: &dyn Fn(usize) -> String, above: &[u16]| {
        for size in [cap - 1, cap] {
            let came = rig.udp(CARRIER, sized(size));
            assert_eq!(status(&came), Some(200), "{what} of {size}: {:?}", lines(&came));
        }
        let came = rig.udp(CARRIER, sized(cap + 1));
        let told = status(&came);
        let is_refused = told.is_none_or(|told| above.contains(&told));
        assert!(is_refused, "{what} of {}: {told:?}", cap + 1);
    };
    let with = |headers: &str, branch: &str| request("OPTIONS", CARRIER, branch, headers, "");
    let line = |size: usize| with(&format!("X:{}\r\n", "v".repeat(size - 2)), &format!("line{size}"));
    check("a line", sip::message::LINE_BYTES_MAX, &line, &[400]);
    let count = |size: usize| {
        let text = with("", &format!("count{size}"));
        let more = size - text.lines().filter(|line| line.contains(": ")).count();
        with(&"A: b\r\n".repeat(more), &format!("count{size}"))
    };
    check("headers", sip::message::HEADERS_MAX, &count, &[400]);
    let tag = |size: usize| {
        let branch = format!("tag{size}");
        with("", &branch).replace(&format!("tag=t{branch}"), &format!("tag={}", "t".repeat(size)))
    };
    check("a tag", sip::message::TAG_BYTES_MAX, &tag, &[]);
    let branch = |size: usize| {
        let cookie = sip::message::MAGIC_COOKIE.len();
        with("", &format!("{:b>width$}", size, width = size - cookie))
    };
    check("a branch", sip::message::BRANCH_BYTES_MAX, &branch, &[]);
    let call_id = |size: usize| {
        let branch = format!("id{size}");
        with("", &branch).replace(
            &format!("Call-ID: c{branch}"),
            &format!("Call-ID: {}", "c".repeat(size)),
        )
    };
    check("a Call-ID", sip::message::CALL_ID_BYTES_MAX, &call_id, &[]);
    let uri = |size: usize| {
        let branch = format!("uri{size}");
        let user = "u".repeat(size - "sip:@10.0.0.1".len());
        with("", &branch).replacen("sip:+4930123456@10.0.0.1", &format!("sip:{user}@10.0.0.1"), 1)
    };
    check("a Request-URI", sip::message::REQUEST_URI_BYTES_MAX, &uri, &[414]);
    let body = |size: usize| {
        let head = with("", &format!("whole{size}")).replace("Content-Length: 0", "Content-Length: 00000");
        let length = size - head.len();
        format!(
            "{}{}",
            head.replace("00000", &format!("{length:05}")),
            "b".repeat(length)
        )
    };
    check(
        "a message",
        sip::message::MESSAGE_BYTES_MAX,
        &body,
        &[400, 413, 513],
    );
    // A method is one word; every one that is not ours is refused, the overlong one too.
    for size in [sip::message::METHOD_BYTES_MAX, sip::message::METHOD_BYTES_MAX + 1] {
        let came = rig.udp(
            CARRIER,
            request(&"M".repeat(size), CARRIER, &format!("m{size}"), "", ""),
        );
        assert!(matches!(status(&came), Some(400 | 405 | 501) | None), "{came:?}");
    }
    let accepts = "Accept: application/sdp, text/plain\r\n".repeat(50);
    assert_eq!(status(&rig.udp(CARRIER, with(&accepts, "accepts"))), Some(200));
    rig.assert_alive();
}
