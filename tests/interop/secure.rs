//! SRTP on the wire: with a phone that is nobody's test tool, and with a peer that keeps every datagram.

use std::net::Ipv4Addr;
use std::time::Duration;

use house::tone;
use house::wire::{
    AGENT_HZ, AGENTS, CALLER_HZ, CARRIER, Capture, Encryption, Heard, MUSIC_HZ, OUR_NUMBER, Phone,
    SecureCaller, Settings, Site,
};
use serde_json::json;

use crate::baresip::own_addresses;
use crate::script::{connect, incoming};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_secure_baresip_phones_record_each_others_tone() {
    let media = own_addresses().into_iter().chain([Ipv4Addr::LOCALHOST]);
    let media: Vec<String> = media.map(|ip| ip.to_string()).collect();
    let settings = Settings {
        agents_media: media.clone(),
        carrier_media: media,
        media_source: "nat",
        trunk_lines: "srtp = \"required\"\nsrtp_without_tls = true",
        ..Settings::default()
    };
    let site = Site::open("secure-baresip", &settings).await;
    let secure = Encryption::Mandatory;
    let agent = Phone::start_with(&site.folder, "bob", AGENTS, (AGENT_HZ, None), secure).await;
    let to = format!("sip:{OUR_NUMBER}@{}", site.gateway.udp());
    let caller = Phone::start_with(&site.folder, "alice", CARRIER, (CALLER_HZ, Some(&to)), secure).await;
    let call = incoming(&site.router).await;
    let talk = connect(&site.router, &call, &agent.uri()).await;
    for leg in [&talk.caller, &talk.agent] {
        let answered = site.router.wait_leg(0, "leg.answered", leg).await;
        assert_eq!(answered.event["data"]["secure"], true, "{leg}");
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(dropped(&site), [0, 0, 0]);
    site.router.call("call.end", json!({ "call": talk.call })).await;
    let record = site
        .router
        .wait(0, "the record", |heard| heard.is("call.record"))
        .await;
    let legs = record.event["data"]["legs"].as_array().unwrap();
    assert!(legs.len() == 2 && legs.iter().all(|leg| leg["secure"] == true));

    for (who, phone, other, own) in [
        ("the caller", caller, AGENT_HZ, CALLER_HZ),
        ("the agent", agent, CALLER_HZ, AGENT_HZ),
    ] {
        let heard = phone.heard().await;
        let middle = &heard[heard.len() / 4..heard.len() * 3 / 4];
        let [other, own] = [other, own].map(|hz| tone::level(middle, hz));
        println!(
            "{who} recorded {} ms: the other at {other:.3}, itself at {own:.3}",
            heard.len() / 8
        );
        assert!(
            middle.len() > 8_000 && other > 0.2,
            "{who}: {other} of {} samples",
            middle.len()
        );
        assert!(own < 0.01, "{who}: {own}");
    }
}

/// Packets of secure legs thrown away: wrong tag, replayed, clear.
fn dropped(site: &Site) -> [u64; 3] {
    ["srtp_tag", "srtp_replay", "srtp_clear"].map(|why| {
        site.gateway
            .metric("rtp_dropped_total", &format!("why=\"{why}\""))
    })
}

/// A µ-law packet of 20 ms, and how much longer the tag makes it.
const CLEAR_BYTES: usize = 172;
const TAG_BYTES: usize = 10;

/// Twenty-five at a time, with changes of the session from both sides, and everything that goes to them looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t48_of_a_hundred_calls_with_changes_no_packet_is_clear() {
    let settings = Settings {
        trunk_lines: "srtp = \"required\"\nsrtp_without_tls = true",
        ..Settings::default()
    };
    let site = Site::open("secure-hundred", &settings).await;
    let gateway = site.gateway.udp();
    let capture = Capture::to(CARRIER);
    let changing = site.router.for_each_call(|router, call| async move {
        let leg = call.text("leg").to_owned();
        router.call("leg.answer", json!({ "leg": leg })).await;
        router.wait_leg(call.index, "leg.answered", &leg).await;
        for method in ["leg.hold", "leg.resume", "leg.hold"] {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let signalled = json!({ "leg": leg, "signal": true });
            let asked = router.call(method, signalled).await;
            let is_its = |heard: &Heard| heard.is("op.ended") && heard.event["op"] == asked["op"];
            router.wait(call.index, "the change", is_its).await;
        }
    });
    let mut heard = 0;
    for _ in 0..4 {
        let callers: Vec<_> = (0..25)
            .map(|place| {
                std::thread::spawn(move || {
                    // Bursts of more than five calls are refused.
                    std::thread::sleep(Duration::from_millis(10 * place));
                    let mut caller = SecureCaller::new(CARRIER, gateway, OUR_NUMBER, CALLER_HZ);
                    caller.invite(1, true);
                    caller.run(Duration::from_millis(1_800));
                    // A change that would make it clear, and one that keeps it secure.
                    caller.invite(2, false);
                    caller.run(Duration::from_millis(200));
                    caller.invite(3, true);
                    caller.run(Duration::from_millis(300));
                    caller.bye(4);
                    caller.run(Duration::from_millis(200));
                    caller
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(2_750)).await;
        for caller in callers {
            let caller = caller.join().unwrap();
            assert_eq!(caller.finals, [200, 488, 200]);
            assert_eq!(caller.offers.len(), 3);
            assert!(caller.unread.is_empty(), "{} datagrams", caller.unread.len());
            heard += caller.heard.len();
        }
    }
    changing.abort();
    assert!(heard > 100 * 50, "{heard} packets");
    assert_eq!(dropped(&site), [0, 0, 0]);
    let Some(capture) = capture else {
        return println!("{heard} packets opened; no leave to look at the wire beside them");
    };
    let seen = capture.seen();
    let media = seen
        .iter()
        .filter(|(from, to, _)| *from != gateway.port() && *to != gateway.port());
    let rtp: Vec<&Vec<u8>> = media
        .map(|(_, _, bytes)| bytes)
        .filter(|bytes| bytes.len() > 12 && bytes[0] == 0x80 && bytes[1] & 0x7f == 0)
        .collect();
    println!(
        "{heard} packets opened, {} seen on the wire beside the sockets",
        rtp.len()
    );
    assert!(rtp.len() >= heard, "{} {heard}", rtp.len());
    // Read as audio they are noise: the music would stand out.
    let mut levels = Vec::with_capacity(rtp.len());
    for bytes in rtp {
        assert_eq!(bytes.len(), CLEAR_BYTES + TAG_BYTES);
        let samples = bytes[12..CLEAR_BYTES].iter().map(|byte| tone::from_mulaw(*byte));
        levels.push(tone::level(&samples.collect::<Vec<i16>>(), MUSIC_HZ));
    }
    let mean = levels.iter().sum::<f64>() / levels.len() as f64;
    println!("music in the packets as they are: {mean:.3} on average");
    assert!(mean < 0.1, "{mean}");
}

/// A call alone with us: prompts, hold by re-INVITE, resume, an offer in clear that is refused, the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_clear_packet_leaves_while_srtp_is_required() {
    let settings = Settings {
        trunk_lines: "srtp = \"required\"\nsrtp_without_tls = true",
        ..Settings::default()
    };
    let site = Site::open("secure-peer", &settings).await;
    let gateway = site.gateway.udp();

    let mut clear = SecureCaller::new(CARRIER, gateway, OUR_NUMBER, CALLER_HZ);
    let clear = tokio::task::spawn_blocking(move || {
        clear.invite(1, false);
        clear.run(Duration::from_millis(500));
        clear
    });
    assert_eq!(clear.await.unwrap().finals, [488]);

    let talking = tokio::task::spawn_blocking(move || {
        let mut caller = SecureCaller::new(CARRIER, gateway, OUR_NUMBER, CALLER_HZ);
        caller.invite(1, true);
        caller.run(Duration::from_secs(4));
        let before = caller.heard.len();
        caller.invite(2, false);
        caller.run(Duration::from_secs(1));
        assert_eq!(caller.finals, [200, 488]);
        assert!(caller.heard.len() >= before + 40, "the call goes on");
        caller.run(Duration::from_secs(4));
        caller.misbehave();
        caller.run(Duration::from_secs(1));
        caller.bye(3);
        caller.run(Duration::from_millis(500));
        caller
    });
    let call = incoming(&site.router).await;
    let leg = call.text("leg").to_owned();
    site.router.call("leg.answer", json!({ "leg": leg })).await;
    site.router.wait_leg(0, "leg.answered", &leg).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    let signalled = json!({"leg": leg, "signal": true});
    site.router.call("leg.hold", signalled.clone()).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    site.router.call("leg.resume", signalled).await;

    let caller = talking.await.unwrap();
    assert_eq!(dropped(&site), [1, 1, 1]);
    assert!(caller.unread.is_empty(), "{} datagrams", caller.unread.len());
    assert!(caller.reports >= 1 && caller.heard.len() > 400);
    let loud = caller
        .heard
        .iter()
        .filter(|frame| tone::level(frame, MUSIC_HZ) > 0.2);
    let loud = loud.count();
    assert!(loud > 40, "hold music in {loud} packets");
    assert_eq!(caller.offers.len(), 2);
    let keys: Vec<_> = caller
        .offers
        .iter()
        .map(|offer| offer.lines().find(|line| line.starts_with("a=crypto:")).unwrap())
        .collect();
    assert_eq!(keys[0], keys[1], "a re-INVITE keeps the key");
    assert!(caller.offers.iter().all(|offer| offer.contains(" RTP/SAVP ")));
}
