//! Calls that come in and do not go the plain way: flows T2, T3, T4, T6, T7, T12, T30, T31 and T45.

use std::net::SocketAddr;
use std::time::Duration;

use house::peer::{Call, Message, Peer, media_of};
use house::wire::{
    AGENTS, CALLER_HZ, CARRIER, Ear, MUSIC_HZ, OUR_NUMBER, Settings, Sipp, Site, Transport, now_us, peer,
    until,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::script::{ended, incoming, ports_are_free};

async fn site(name: &str) -> Site {
    Site::open(name, &Settings::default()).await
}

/// A call from this peer, asked for and not yet answered.
async fn asked(peer: &mut Peer, sdp: &str) -> (Call, Message) {
    let mut call = Call::to(peer, OUR_NUMBER);
    let invite = call.request(peer, "INVITE", sdp);
    peer.send(&invite).await;
    (call, invite)
}

fn offer(peer: &mut Peer) -> String {
    let media = peer.address();
    Call::to(peer, OUR_NUMBER).sdp(media, "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_each_refusal_has_its_cause_and_nobody_and_no_number_too() {
    let settings = Settings {
        numbers: "[[number]]\nmatch = \"+4930555\"\nunclaimed = { after_ms = 300, action = \"reject\", status = 480 }\n"
            .to_owned(),
        ..Settings::default()
    };
    let site = Site::open("refused", &settings).await;
    let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
    let sdp = offer(&mut peer);
    for (status, cause, reason) in [
        (403, 21, "not_allowed"),
        (404, 1, "not_found"),
        (484, 28, "not_found"),
        (486, 17, "busy"),
        (603, 21, "rejected"),
    ] {
        let from = site.router.place();
        let (call, invite) = asked(&mut peer, &sdp).await;
        let come = site
            .router
            .wait(from, "a call", |heard| heard.is("leg.incoming"))
            .await;
        let leg = come.text("leg");
        site.router
            .call("leg.reject", json!({ "leg": leg, "status": status }))
            .await;
        let answer = peer.finally("INVITE").await;
        call.acknowledge_refusal(&mut peer, &invite, &answer).await;
        assert_eq!(answer.status(), Some(status));
        assert_eq!(answer.value("Reason"), format!("Q.850;cause={cause}"));
        let end = ended(&site.router, leg).await;
        assert_eq!(
            (&end["reason"], &end["q850"]),
            (&json!(reason), &json!(cause)),
            "{status}"
        );
    }
    for (number, status, cause) in [("+4930555", 480, 19), ("+4930666", 404, 1)] {
        let mut call = Call::to(&mut peer, number);
        let invite = call.request(&mut peer, "INVITE", &sdp);
        peer.send(&invite).await;
        let answer = peer.finally("INVITE").await;
        call.acknowledge_refusal(&mut peer, &invite, &answer).await;
        assert_eq!(answer.status(), Some(status), "{number}");
        assert_eq!(answer.value("Reason"), format!("Q.850;cause={cause}"), "{number}");
    }
    until("a record for each", Duration::from_secs(7), || {
        let heard = site.router.heard();
        (heard.iter().filter(|heard| heard.is("call.record")).count() == 7).then_some(())
    })
    .await;
    ports_are_free(&site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t3_a_caller_may_cancel_at_any_moment_before_the_answer() {
    let site = site("cancelled").await;
    let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
    let sdp = offer(&mut peer);
    for rings in [false, true] {
        let from = site.router.place();
        let (call, invite) = asked(&mut peer, &sdp).await;
        let come = site
            .router
            .wait(from, "a call", |heard| heard.is("leg.incoming"))
            .await;
        if rings {
            let params = json!({ "leg": come.text("leg"), "status": 180 });
            site.router.call("leg.progress", params).await;
            peer.response(180, "INVITE").await;
        }
        let mut cancel = Message::new(invite.start.replacen("INVITE", "CANCEL", 1));
        for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
            cancel = cancel.with(name, invite.value(name));
        }
        let cancel = cancel
            .with("CSeq", "1 CANCEL")
            .with("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"");
        peer.send(&cancel).await;
        peer.response(200, "CANCEL").await;
        let answer = peer.response(487, "INVITE").await;
        call.acknowledge_refusal(&mut peer, &invite, &answer).await;
        let end = ended(&site.router, come.text("leg")).await;
        assert_eq!(end["reason"], "cancelled", "{end}");
        assert_eq!(end["answered_elsewhere"], true, "{end}");
    }
    ports_are_free(&site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t4_a_late_offer_is_answered_in_the_ack_or_the_call_is_over() {
    let site = site("late").await;
    let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
    for answer in ["good", "none", "bad"] {
        let from = site.router.place();
        let (mut call, _) = asked(&mut peer, "").await;
        let come = site
            .router
            .wait(from, "a call", |heard| heard.is("leg.incoming"))
            .await;
        let leg = json!({ "leg": come.text("leg") });
        site.router.call("leg.answer", leg.clone()).await;
        let offered = peer.response(200, "INVITE").await;
        call.joined(&offered);
        assert!(offered.body.contains("m=audio ") && offered.body.contains("telephone-event"));
        let mut ear = Ear::open(CARRIER);
        let sdp = match answer {
            "good" => call.sdp(ear.address(), ""),
            "none" => String::new(),
            _ => call.sdp_of(ear.address(), "18", ""),
        };
        call.acknowledge(&mut peer, &offered, &sdp).await;
        if answer != "good" {
            let bye = peer.request("BYE").await;
            peer.reply(&bye, 200, "").await;
            assert_eq!(
                ended(&site.router, come.text("leg")).await["reason"],
                "failed",
                "{answer}"
            );
            continue;
        }
        ear.speak(CALLER_HZ, media_of(&offered));
        site.router.call("leg.hold", leg).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(ear.level(MUSIC_HZ, now_us() - 300_000, now_us()) > 0.05);
        // The same in a re-INVITE: a whole offer, not the last answer (RFC 3261 §14.2).
        let again = call.request(&mut peer, "INVITE", "");
        peer.send(&again).await;
        let offered = peer.response(200, "INVITE").await;
        assert!(offered.body.contains(" RTP/AVP 0 8 101"), "{}", offered.body);
        let sdp = call.sdp(ear.address(), "");
        call.acknowledge(&mut peer, &offered, &sdp).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(ear.level(MUSIC_HZ, now_us() - 300_000, now_us()) > 0.05);
        call.bye(&mut peer).await;
        assert_eq!(ended(&site.router, come.text("leg")).await["reason"], "completed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t6_what_cannot_be_served_is_said_and_a_call_after_it_works() {
    let site = site("unserved").await;
    let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
    let sdp = offer(&mut peer);
    let good = Call::to(&mut peer, OUR_NUMBER).request(&mut peer, "INVITE", &sdp);
    let set = |message: &Message, name: &str, value: &str| {
        let mut message = message.clone();
        message.headers.retain(|(its, _)| its != name);
        message.with(name, value)
    };
    let foreign = sdp.replace("RTP/AVP 0 101", "RTP/AVP 18");
    let mut codec = good.clone();
    codec.body = foreign;
    let mut strange = good.clone();
    strange.start = strange.start.replacen("INVITE", "FROBNICATE", 1);
    let strange = set(&strange, "CSeq", "1 FROBNICATE");
    for (number, (message, status, header, value)) in [
        (good.clone().with("Require", "warp"), 420, "Unsupported", "warp"),
        (strange, 405, "Allow", "INVITE"),
        (
            set(&good, "Content-Type", "text/plain"),
            415,
            "Accept",
            "application/sdp",
        ),
        (set(&good, "Max-Forwards", "0"), 483, "", ""),
        (codec, 488, "Warning", "30"),
    ]
    .into_iter()
    .enumerate()
    {
        let via = peer.via();
        let message = set(&message, "Via", &via);
        let message = set(&message, "Call-ID", &format!("{number}-unserved"));
        peer.send(&message).await;
        let method = message.method().unwrap().to_owned();
        let answer = peer.finally(&method).await;
        assert_eq!(answer.status(), Some(status), "{answer:?}");
        assert!(answer.value(header).contains(value), "{status}: {answer:?}");
        if method == "INVITE" {
            let call = Call::to(&mut peer, OUR_NUMBER);
            call.acknowledge_refusal(&mut peer, &message, &answer).await;
        }
        let from = site.router.place();
        let mut call = Call::to(&mut peer, OUR_NUMBER);
        let router = site.router.clone();
        let taking = async {
            let come = router
                .wait(from, "a call", |heard| heard.is("leg.incoming"))
                .await;
            router
                .call("leg.answer", json!({ "leg": come.text("leg") }))
                .await;
        };
        tokio::join!(call.up(&mut peer, &sdp), taking);
        call.bye(&mut peer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t7_a_repeated_invite_is_one_call_and_one_by_another_path_is_merged() {
    let site = site("repeats").await;
    let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
    let sdp = offer(&mut peer);
    let (mut call, invite) = asked(&mut peer, &sdp).await;
    let come = incoming(&site.router).await;
    peer.send(&invite).await;
    let mut merged = invite.clone();
    merged.headers.retain(|(name, _)| name != "Via");
    merged.headers.insert(0, ("Via".to_owned(), peer.via()));
    peer.send(&merged).await;
    let answer = peer.finally("INVITE").await;
    assert_eq!(answer.status(), Some(482));
    call.acknowledge_refusal(&mut peer, &merged, &answer).await;
    site.router
        .call("leg.answer", json!({ "leg": come.text("leg") }))
        .await;
    let answer = peer.response(200, "INVITE").await;
    peer.send(&invite).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    peer.hears_no("another answer", Duration::from_millis(50), |message| {
        message.status().is_some_and(|status| status >= 200)
    })
    .await;
    let same = peer.came.iter().filter(|(_, message)| *message == answer).count();
    assert!(same >= 2, "the 200 again, for T1 and for the repeat: {same}");
    call.joined(&answer);
    call.acknowledge(&mut peer, &answer, "").await;
    call.bye(&mut peer).await;
    ended(&site.router, come.text("leg")).await;
    let heard = site.router.heard();
    assert_eq!(heard.iter().filter(|heard| heard.is("leg.incoming")).count(), 1);
}

async fn connect(site: &Site) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{CARRIER}:0").parse().unwrap()).unwrap();
    let stream = socket.connect(site.gateway.tcp()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// What comes within a second, or until `enough` of it is there.
async fn read(stream: &mut TcpStream, enough: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    let mut bytes = [0; 4_096];
    let patience = Duration::from_secs(2);
    while !enough(&text) {
        match tokio::time::timeout(patience, stream.read(&mut bytes)).await {
            Ok(Ok(length)) if length > 0 => text.push_str(&String::from_utf8_lossy(&bytes[..length])),
            _ => break,
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t12_a_stream_may_come_in_any_pieces_and_an_endless_line_closes_it() {
    let site = site("stream").await;
    let mut stream = connect(&site).await;
    let from = stream.local_addr().unwrap();
    let options = |number: u32| {
        let message = Message::new(format!("OPTIONS sip:{} SIP/2.0", site.gateway.tcp()))
            .with("Via", format!("SIP/2.0/TCP {from};branch=z9hG4bK{number};rport"))
            .with("Max-Forwards", "70")
            .with("From", format!("<sip:a@{from}>;tag=a"))
            .with("To", format!("<sip:{}>", site.gateway.tcp()))
            .with("Call-ID", format!("{number}-stream"))
            .with("CSeq", format!("{number} OPTIONS"));
        message.bytes()
    };
    for byte in options(1) {
        stream.write_all(&[byte]).await.unwrap();
        stream.flush().await.unwrap();
    }
    let answers =
        |wanted: usize| move |text: &str| text.matches("Content-Length: 0\r\n\r\n").count() >= wanted;
    let text = read(&mut stream, answers(1)).await;
    assert!(
        text.starts_with("SIP/2.0 200 ") && text.contains("CSeq: 1 OPTIONS"),
        "{text}"
    );
    let three = [options(2), options(3), options(4)].concat();
    stream.write_all(&three).await.unwrap();
    let text = read(&mut stream, answers(3)).await;
    assert_eq!(text.matches("SIP/2.0 200 ").count(), 3, "{text}");
    stream.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut stream, |text| text.len() >= 2).await, "\r\n");

    let mut endless = connect(&site).await;
    endless.write_all(b"OPTIONS sip:x SIP/2.0\r\nX: ").await.unwrap();
    let sent = endless.write_all(&vec![b'a'; 200_000]).await;
    let closed = read(&mut endless, |_| false).await;
    println!("an endless line: {sent:?}, then {closed:?}");
    assert!(
        endless.write_all(&options(6)).await.is_err()
            || read(&mut endless, |text| !text.is_empty()).await.is_empty()
    );
    // The other connection and calls go on.
    stream.write_all(&options(7)).await.unwrap();
    let text = read(&mut stream, answers(1)).await;
    assert!(text.contains("CSeq: 7 OPTIONS"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t30_a_long_invite_goes_by_tcp_or_by_udp_where_tcp_is_refused_and_long_ones_are_taken() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let callee = Sipp::new("callee", AGENTS).over(transport);
        let to = format!("sip:agent@{}", callee.address());
        let settings = Settings {
            agents_keys: "headers_out = [\"X-Long\"]".to_owned(),
            ..Settings::default()
        };
        let site = Site::open("long", &settings).await;
        let callee = callee.start(&site.folder).await;
        let params = json!({ "to": to, "trunk": "agents", "headers": { "X-Long": "long ".repeat(200) } });
        let dialled = site.router.call("leg.dial", params).await;
        let leg = dialled["leg"].as_str().unwrap();
        site.router.wait_leg(0, "leg.answered", leg).await;
        site.router.call("leg.hangup", json!({ "leg": leg })).await;
        let finished = callee.finish().await;
        let (_, invite) = finished.messages().into_iter().next().unwrap();
        assert!(
            invite.starts_with("INVITE ") && invite.len() > 1_300,
            "{}",
            invite.len()
        );
        let via = format!(
            "Via: SIP/2.0/{}",
            if transport == Transport::Tcp { "TCP" } else { "UDP" }
        );
        assert!(invite.contains(&via), "{transport:?}: {invite}");
    }
    let site = site("long in").await;
    let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
    let sdp = offer(&mut peer);
    for length in [3_000, 60_000] {
        let from = site.router.place();
        let mut call = Call::to(&mut peer, OUR_NUMBER);
        let mut invite = call.request(&mut peer, "INVITE", &sdp);
        for number in 0..length / 1_000 {
            invite = invite.with(&format!("X-Long-{number}"), "x".repeat(980));
        }
        peer.send(&invite).await;
        let come = site
            .router
            .wait(from, "a call", |heard| heard.is("leg.incoming"))
            .await;
        site.router
            .call("leg.answer", json!({ "leg": come.text("leg") }))
            .await;
        let answer = peer.response(200, "INVITE").await;
        call.joined(&answer);
        call.acknowledge(&mut peer, &answer, "").await;
        call.bye(&mut peer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_signalling_and_media_go_over_ipv6_and_mix_with_ipv4() {
    let settings = Settings {
        listen_more: ", \"udp://[::1]:0\"",
        media_addresses: "address = [\"127.0.0.1\", \"::1\"]",
        carrier_hosts: vec!["::1".to_owned()],
        carrier_keys: "media_address = \"::1\"".to_owned(),
        ..Settings::default()
    };
    let site = Site::open("ipv6", &settings).await;
    let gateway = site.gateway.udp6();
    // In: everything on ::1.
    let mut peer = Peer::open("::1", gateway).await;
    let mut ear = Ear::open("::1");
    let mut call = Call::to(&mut peer, OUR_NUMBER);
    let sdp = call.sdp(ear.address(), "");
    let router = site.router.clone();
    let taking = async {
        let leg = incoming(&router).await.text("leg").to_owned();
        router.call("leg.answer", json!({ "leg": leg })).await;
        leg
    };
    let (answer, leg) = tokio::join!(call.up(&mut peer, &sdp), taking);
    assert!(answer.body.contains("c=IN IP6 ::1"), "{}", answer.body);
    assert!(
        answer
            .uri("Contact")
            .contains(&format!("[::1]:{}", gateway.port())),
        "{answer:?}"
    );
    ear.speak(CALLER_HZ, media_of(&answer));
    site.router.call("leg.hold", json!({ "leg": leg })).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(ear.level(MUSIC_HZ, now_us() - 300_000, now_us()) > 0.05);
    call.bye(&mut peer).await;
    ended(&site.router, &leg).await;

    // Out to [::1], and out over IPv4.
    let params = json!({ "to": peer.uri(), "trunk": "carrier" });
    let dialled = site.router.call("leg.dial", params).await;
    let leg = dialled["leg"].as_str().unwrap();
    let invite = peer.request("INVITE").await;
    assert!(
        invite
            .start
            .contains(&format!("@[::1]:{}", peer.address().port())),
        "{invite:?}"
    );
    assert!(invite.value("Via").contains(" [::1]:"), "{invite:?}");
    assert!(invite.body.contains("c=IN IP6 ::1"), "{}", invite.body);
    let mut call = Call::of(&invite);
    let sdp = call.sdp(ear.address(), "");
    peer.reply(&invite, 200, &sdp).await;
    peer.request("ACK").await;
    site.router.wait_leg(0, "leg.answered", leg).await;
    call.bye(&mut peer).await;
    ended(&site.router, leg).await;

    // Signalling over IPv4 with media over IPv6, as this trunk's media address is.
    let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
    let from = site.router.place();
    let mut call = Call::to(&mut peer, OUR_NUMBER);
    let mut ear = Ear::open("::1");
    let sdp = call.sdp(ear.address(), "");
    let router = site.router.clone();
    let taking = async {
        let come = router
            .wait(from, "a call", |heard| heard.is("leg.incoming"))
            .await;
        router
            .call("leg.answer", json!({ "leg": come.text("leg") }))
            .await;
        come.text("leg").to_owned()
    };
    let (answer, leg) = tokio::join!(call.up(&mut peer, &sdp), taking);
    assert!(answer.body.contains("c=IN IP6 ::1"), "{}", answer.body);
    ear.speak(CALLER_HZ, media_of(&answer));
    site.router.call("leg.hold", json!({ "leg": leg })).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(ear.level(MUSIC_HZ, now_us() - 300_000, now_us()) > 0.05);
    call.bye(&mut peer).await;

    // A family that this trunk's media has not is refused.
    let mut call = Call::to(&mut peer, OUR_NUMBER);
    let sdp = call.sdp(peer.address(), "");
    let invite = call.request(&mut peer, "INVITE", &sdp);
    peer.send(&invite).await;
    let answer = peer.finally("INVITE").await;
    call.acknowledge_refusal(&mut peer, &invite, &answer).await;
    assert_eq!(answer.status(), Some(488), "{answer:?}");
    assert!(answer.value("Warning").starts_with("301 "), "{answer:?}");
}

fn ping(gateway: SocketAddr) -> Option<i32> {
    let mut sipsak = peer("sipsak", "sipsak");
    sipsak.args(["-s", &format!("sip:ping@{gateway}"), "-D", "4"]);
    let output = sipsak.output().unwrap();
    println!(
        "{}",
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .next()
            .unwrap_or_default()
    );
    output.status.code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t45_sipsak_is_told_200_and_503_while_we_drain() {
    let settings = Settings {
        carrier_hosts: vec!["127.0.0.1".to_owned()],
        ..Settings::default()
    };
    let site = Site::open("options", &settings).await;
    assert_eq!(ping(site.gateway.udp()), Some(0));
    site.router.call("drain.start", json!({})).await;
    assert_ne!(ping(site.gateway.udp()), Some(0));
    let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
    for method in ["OPTIONS", "INVITE"] {
        let sdp = if method == "INVITE" {
            offer(&mut peer)
        } else {
            String::new()
        };
        let request = Call::to(&mut peer, OUR_NUMBER).request(&mut peer, method, &sdp);
        peer.send(&request).await;
        let answer = peer.finally(method).await;
        assert_eq!(answer.status(), Some(503), "{answer:?}");
    }
    site.router.call("drain.cancel", json!({})).await;
    assert_eq!(ping(site.gateway.udp()), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t45_a_peer_that_misses_options_is_down_and_no_call_tries_it() {
    let mut peer = Peer::open(CARRIER, ([127, 0, 0, 1], 9).into()).await;
    let settings = Settings {
        carrier_keys: format!(
            "hosts = [\"{}\"]\noptions_interval_s = 10\noptions_down_after = 1\noptions_up_after = 1",
            peer.address()
        ),
        ..Settings::default()
    };
    let site = Site::open("health", &settings).await;
    peer.gateway = site.gateway.udp();
    let options = peer.request("OPTIONS").await;
    peer.reply(&options, 503, "").await;
    site.router
        .wait(0, "the trunk to be down", |heard| heard.is("trunk.down"))
        .await;
    let dial = json!({ "to": "+81398765432", "trunk": "carrier" });
    let refused = site.router.ask("leg.dial", dial).await.unwrap_err().to_string();
    assert!(refused.contains("trunk_down"), "{refused}");
    let is_options = |message: &Message| message.method() == Some("OPTIONS");
    let (_, options) = peer
        .take_within(Duration::from_secs(12), &is_options)
        .await
        .expect("OPTIONS every 9 to 11 s");
    peer.reply(&options, 200, "").await;
    site.router
        .wait(0, "the trunk to be up", |heard| heard.is("trunk.up"))
        .await;
    assert!(
        peer.came
            .iter()
            .all(|(_, message)| message.method() != Some("INVITE"))
    );
}
