//! Spans of time on the wire: stamped by the kernel, by SIPp and by this process with the same clock.

use std::time::Duration;

use house::wire::{
    AGENT_HZ, AGENTS, CALLER_HZ, CARRIER, Ear, MUSIC_HZ, Packet, Settings, Sipp, Site, Stalls, now_us,
};
use serde_json::json;

use crate::script::{connect, incoming};

/// Half of a tone of 0.3.
const AUDIBLE: f64 = 0.15;
/// Longest silence in hold music that nobody notices.
const GAP_US_MAX: i64 = 40_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_does_not_answer_is_cancelled_after_20_s_and_the_music_goes_on() {
    let site = Site::open("ringing", &Settings::default()).await;
    let agent = Sipp::new("callee_rings", AGENTS);
    let agent_uri = agent.uri();
    let agent = agent.start(&site.folder).await;
    let mut ear = Ear::open(CARRIER);
    let caller = Sipp::new("caller", CARRIER)
        .to(site.gateway.udp())
        .media(ear.address());
    let caller = caller.start(&site.folder).await;

    let router = &site.router;
    let call = incoming(router).await;
    let leg = call.text("leg");
    router.call("leg.answer", json!({ "leg": leg })).await;
    router.call("leg.hold", json!({ "leg": leg })).await;
    ear.speak(CALLER_HZ, caller.gateway_media().await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let stalls = Stalls::watch();
    let from_us = now_us();
    let dial =
        json!({ "to": agent_uri, "trunk": "agents", "call": call.text("call"), "ring_timeout_ms": 20_000 });
    let dialled = router.call("leg.dial", dial).await;
    let ended = router
        .wait_leg(0, "leg.ended", dialled["leg"].as_str().unwrap())
        .await;
    let data = &ended.event["data"];
    assert_eq!(
        (&data["by"], &data["reason"]),
        (&json!("timer"), &json!("no_answer")),
        "{data}"
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    let to_us = now_us();
    router
        .call("call.end", json!({ "call": call.text("call") }))
        .await;
    let agent = agent.finish().await;
    caller.finish().await;

    let rang_us = agent.message_at_us("CANCEL ") - agent.message_at_us("INVITE ");
    println!("INVITE to CANCEL: {:.3} s", rang_us as f64 / 1e6);
    assert!((rang_us - 20_000_000).abs() <= 100_000, "{rang_us} µs");
    assert_no_gap(&ear.heard(from_us, to_us), (from_us, to_us), &stalls);
}

/// No span without a packet with music in it is longer than it may be, apart from what the machine stalled.
fn assert_no_gap(heard: &[Packet], (from_us, to_us): (i64, i64), stalls: &Stalls) {
    let music = heard
        .iter()
        .filter(|packet| packet.level(MUSIC_HZ) > AUDIBLE)
        .map(|packet| packet.at_us);
    let moments: Vec<i64> = std::iter::once(from_us).chain(music).chain([to_us]).collect();
    let gaps = moments
        .windows(2)
        .map(|pair| (pair[1] - pair[0], stalls.within(pair[0], pair[1])));
    let (gap_us, stalled_us) = gaps
        .max_by_key(|(gap_us, stalled_us)| gap_us - stalled_us)
        .unwrap();
    let all_stalled_us = stalls.within(from_us, to_us);
    let text = format!(
        "longest gap in the caller's music: {:.1} ms, in which the machine stalled for {:.1} ms (in all {:.1} ms)",
        gap_us as f64 / 1e3,
        stalled_us as f64 / 1e3,
        all_stalled_us as f64 / 1e3,
    );
    println!("{text}");
    assert!(gap_us - stalled_us <= GAP_US_MAX, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_router_hears_of_a_call_within_100_ms_of_its_invite() {
    let site = Site::open("incoming", &Settings::default()).await;
    let refusing = site.router.for_each_call(|router, call| async move {
        router
            .call("leg.answer", json!({ "leg": call.text("leg") }))
            .await;
    });
    let calls = 20;
    let caller = Sipp::new("caller", CARRIER)
        .to(site.gateway.udp())
        .calls(calls, 10)
        .talk(Duration::from_millis(300));
    let caller = caller.start(&site.folder).await.finish().await;
    refusing.abort();

    let invites = caller
        .messages()
        .into_iter()
        .filter(|(_, message)| message.starts_with("INVITE "));
    let heard = site.router.heard();
    let events = heard.iter().filter(|heard| heard.is("leg.incoming"));
    let delays_ms: Vec<f64> = invites
        .zip(events)
        .map(|((sent_us, _), heard)| (heard.at_us - sent_us) as f64 / 1e3)
        .collect();
    let worst_ms = delays_ms.iter().copied().fold(0.0, f64::max);
    println!(
        "INVITE sent to leg.incoming read, {} calls: worst {worst_ms:.1} ms",
        delays_ms.len()
    );
    assert_eq!(delays_ms.len(), calls as usize);
    assert!(worst_ms <= 100.0, "{delays_ms:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_is_heard_at_once_by_both_and_resume_undoes_it() {
    let site = Site::open("hold", &Settings::default()).await;
    let mut agent_ear = Ear::open(AGENTS);
    let agent = Sipp::new("callee", AGENTS).media(agent_ear.address());
    let agent_uri = agent.uri();
    let agent = agent.start(&site.folder).await;
    let mut caller_ear = Ear::open(CARRIER);
    let caller = Sipp::new("caller", CARRIER)
        .to(site.gateway.udp())
        .media(caller_ear.address());
    let caller = caller.start(&site.folder).await;

    let router = &site.router;
    let call = incoming(router).await;
    let talk = connect(router, &call, &agent_uri).await;
    caller_ear.speak(CALLER_HZ, caller.gateway_media().await);
    agent_ear.speak(AGENT_HZ, agent.gateway_media().await);
    tokio::time::sleep(Duration::from_secs(2)).await;

    let talking = (now_us() - 1_000_000, now_us());
    let (asked_us, _, replied_us) = (
        now_us(),
        router.call("leg.hold", json!({ "leg": talk.caller })).await,
        now_us(),
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let held = (replied_us + 300_000, now_us());
    let (_, resumed_us) = (
        router.call("leg.resume", json!({ "leg": talk.caller })).await,
        now_us(),
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let resumed = (resumed_us + 300_000, now_us());
    router.call("call.end", json!({ "call": talk.call })).await;
    caller.finish().await;
    agent.finish().await;

    for (phase, span, caller_hears, agent_hears) in [
        ("talking", talking, AGENT_HZ, Some(CALLER_HZ)),
        ("held", held, MUSIC_HZ, None),
        ("resumed", resumed, AGENT_HZ, Some(CALLER_HZ)),
    ] {
        assert_hears_only(
            &format!("{phase}: the caller"),
            &caller_ear,
            span,
            Some(caller_hears),
        );
        assert_hears_only(&format!("{phase}: the agent"), &agent_ear, span, agent_hears);
    }
    // Negative: the change was on the wire before its reply was read.
    let after_reply_ms = |at_us: i64| (at_us - replied_us) as f64 / 1e3;
    let heard = caller_ear.heard(asked_us, held.1);
    let is_music = |packet: &Packet| packet.level(MUSIC_HZ) > AUDIBLE && packet.level(AGENT_HZ) < 0.05;
    let music = heard
        .iter()
        .rposition(|packet| !is_music(packet))
        .map_or(0, |last| last + 1);
    let music_ms = after_reply_ms(heard[music].at_us);
    let heard = agent_ear.heard(asked_us, held.1);
    let last = heard.iter().rfind(|packet| packet.level(CALLER_HZ) > 0.05);
    let silence_ms = after_reply_ms(last.map_or(asked_us, |packet| packet.at_us));
    println!(
        "leg.hold: command to reply {:.1} ms; the caller hears music only {music_ms:.1} ms after the reply, the agent \
         hears the caller for the last time {silence_ms:.1} ms after it",
        (replied_us - asked_us) as f64 / 1e3
    );
    assert!(music_ms < 100.0 && silence_ms < 100.0);
}

/// Of the three tones of a test this one is heard, and of the others nothing.
fn assert_hears_only(who: &str, ear: &Ear, (from_us, to_us): (i64, i64), only: Option<f64>) {
    for hz in [CALLER_HZ, AGENT_HZ, MUSIC_HZ] {
        let level = ear.level(hz, from_us, to_us);
        println!("{who} hears {hz} Hz at {level:.3}");
        if Some(hz) == only {
            assert!(level > AUDIBLE, "{who}: {hz} Hz at {level}");
        } else {
            assert!(level < 0.01, "{who}: {hz} Hz at {level}");
        }
    }
}
