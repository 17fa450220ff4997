//! SRTP on the wire: with a phone that is nobody's test tool, and with a peer that keeps every datagram.

use std::net::Ipv4Addr;
use std::time::Duration;

use house::tone;
use house::wire::{
    AGENT_HZ, AGENTS, CALLER_HZ, CARRIER, Encryption, MUSIC_HZ, OUR_NUMBER, Phone, SecureCaller, Settings,
    Site,
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
