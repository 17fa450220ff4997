//! What a caller hears before and at the answer of whom we dial: flows T14, T15, T16 and T29.

use std::time::Duration;

use house::peer::{Call, Message, Peer, media_of};
use house::wire::{AGENT_HZ, AGENTS, CALLER_HZ, CARRIER, Ear, Running, Settings, Sipp, Site, now_us};
use serde_json::json;

use crate::script::{ended, incoming, ports_are_free};

/// The two tones of the ring tone.
const RING_HZ: [f64; 2] = [440.0, 480.0];
const AUDIBLE: f64 = 0.05;
const MS: i64 = 1_000;

/// A caller who waits in a bridge for somebody we dial, and that somebody as a scripted peer with an ear.
struct Scene {
    site: Site,
    caller: Running,
    caller_ear: Ear,
    agent: Peer,
    agent_ear: Ear,
    call: String,
    agent_leg: String,
    invite: Message,
    talk: Call,
}

impl Scene {
    async fn open(name: &str, dial: serde_json::Value) -> Self {
        let site = Site::open(name, &Settings::default()).await;
        let mut caller_ear = Ear::open(CARRIER);
        let caller = Sipp::new("caller", CARRIER)
            .to(site.gateway.udp())
            .media(caller_ear.address());
        let caller = caller.start(&site.folder).await;
        let router = &site.router;
        let come = incoming(router).await;
        let leg = come.text("leg");
        router.call("leg.answer", json!({ "leg": leg })).await;
        let created = router.call("bridge.create", json!({ "legs": [leg] })).await;
        caller_ear.speak(CALLER_HZ, caller.gateway_media().await);
        let mut agent = Peer::open(AGENTS, site.gateway.udp()).await;
        let mut params = json!({ "to": agent.uri(), "trunk": "agents", "bridge": created["bridge"] });
        let members = params.as_object_mut().unwrap();
        members.extend(dial.as_object().unwrap().clone());
        let dialled = router.call("leg.dial", params).await;
        let invite = agent.request("INVITE").await;
        let mut agent_ear = Ear::open(AGENTS);
        agent_ear.speak(AGENT_HZ, media_of(&invite));
        Scene {
            call: come.text("call").to_owned(),
            agent_leg: dialled["leg"].as_str().unwrap().to_owned(),
            talk: Call::of(&invite),
            site,
            caller,
            caller_ear,
            agent,
            agent_ear,
            invite,
        }
    }

    /// A provisional or final answer, with SDP of this ear or none.
    async fn answer(&mut self, status: u16, has_sdp: bool) {
        let sdp = match has_sdp {
            true => self.talk.sdp(self.agent_ear.address(), ""),
            false => String::new(),
        };
        self.agent.reply(&self.invite, status, &sdp).await;
    }

    async fn take(&mut self) {
        self.answer(200, true).await;
        self.agent.request("ACK").await;
    }

    /// What the caller hears for so long from now on: the ring tone, the agent.
    async fn hears(&self, ms: u64) -> (bool, bool) {
        // What is under way may still arrive.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let from_us = now_us();
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let level = |hz| self.caller_ear.level(hz, from_us, now_us());
        let ring = RING_HZ.iter().all(|hz| level(*hz) > 0.02);
        (ring, level(AGENT_HZ) > AUDIBLE)
    }

    async fn end(mut self) {
        let params = json!({ "call": self.call });
        let (_, bye) = tokio::join!(
            self.site.router.call("call.end", params),
            self.agent.request("BYE")
        );
        self.agent.reply(&bye, 200, "").await;
        assert_eq!(
            ended(&self.site.router, &self.agent_leg).await["reason"],
            "completed"
        );
        self.caller.finish().await;
    }
}

const RING: (bool, bool) = (true, false);
const AGENT: (bool, bool) = (false, true);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_the_caller_hears_the_ring_tone_until_the_answer_and_times_are_right() {
    let mut scene = Scene::open("ringback", json!({})).await;
    let asked_us = now_us();
    scene.answer(180, false).await;
    assert_eq!(scene.hears(600).await, RING);
    scene.take().await;
    let took_ms = (now_us() - asked_us) / MS;
    assert_eq!(scene.hears(300).await, AGENT);
    let from_us = now_us() - 200 * MS;
    assert!(scene.agent_ear.level(CALLER_HZ, from_us, now_us()) > AUDIBLE);
    // This time the far side hangs up.
    scene.talk.bye(&mut scene.agent).await;
    let end = ended(&scene.site.router, &scene.agent_leg).await;
    assert_eq!(
        (&end["reason"], &end["q850"], &end["by"]),
        (&json!("completed"), &json!(16), &json!("peer"))
    );
    let ring_ms = end["ring_ms"].as_i64().unwrap();
    println!("rang for {ring_ms} ms, {took_ms} ms after the 180");
    assert!((ring_ms - took_ms).abs() <= 20, "{ring_ms} {took_ms}");
    let params = json!({ "call": scene.call });
    scene.site.router.call("call.end", params).await;
    scene.caller.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t15_early_audio_is_heard_at_once_and_without_a_gap_at_the_answer() {
    let mut scene = Scene::open("early", json!({})).await;
    let from_us = now_us();
    scene.answer(183, true).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let early_us = now_us();
    scene.take().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let heard = scene.caller_ear.heard(from_us, now_us());
    let agent: Vec<i64> = heard
        .iter()
        .filter(|packet| packet.level(AGENT_HZ) > AUDIBLE)
        .map(|packet| packet.at_us)
        .collect();
    let first_ms = (agent[0] - from_us) / MS;
    let gap_ms = agent
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / MS)
        .max()
        .unwrap();
    println!("early audio after {first_ms} ms; longest gap {gap_ms} ms, the answer in its middle");
    assert!(first_ms < 150 && agent[0] < early_us);
    assert!(gap_ms <= 60, "{gap_ms} ms");
    scene.end().await;

    let mut scene = Scene::open("early ignored", json!({ "early_media": "ignore" })).await;
    scene.answer(183, true).await;
    assert_eq!(scene.hears(600).await, RING);
    scene.take().await;
    assert_eq!(scene.hears(300).await, AGENT);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_every_other_kind_of_early_media() {
    // 180 with SDP.
    let mut scene = Scene::open("180 with SDP", json!({})).await;
    scene.answer(180, true).await;
    assert_eq!(scene.hears(300).await, AGENT, "180 with SDP");
    // The same again without: its audio goes on.
    scene.answer(180, false).await;
    assert_eq!(scene.hears(300).await, AGENT, "180 after it");
    scene.take().await;
    scene.end().await;

    // 183 without SDP, then 183 with SDP and audio, then 180 while it flows.
    let mut scene = Scene::open("183", json!({})).await;
    scene.answer(183, false).await;
    assert_eq!(scene.hears(600).await, RING, "183 without SDP");
    scene.answer(183, true).await;
    assert_eq!(scene.hears(300).await, AGENT, "183 with SDP");
    scene.answer(180, false).await;
    assert_eq!(scene.hears(300).await, AGENT, "180 after 183");

    // The answer is of another socket: that one is heard and spoken to.
    let mut other = Ear::open(AGENTS);
    other.speak(AGENT_HZ, media_of(&scene.invite));
    scene.agent_ear = other;
    scene.take().await;
    assert_eq!(scene.hears(300).await, AGENT, "SDP of the 200");
    let from_us = now_us() - 200 * MS;
    assert!(scene.agent_ear.level(CALLER_HZ, from_us, now_us()) > AUDIBLE);
    scene.end().await;

    // 18x with SDP and no audio: the ring tone.
    let mut scene = Scene::open("mute 183", json!({})).await;
    let silent = Ear::open(AGENTS);
    let speaking = std::mem::replace(&mut scene.agent_ear, silent);
    drop(speaking);
    scene.answer(183, true).await;
    assert_eq!(scene.hears(600).await, RING, "183 without RTP");
    scene.agent_ear.speak(AGENT_HZ, media_of(&scene.invite));
    assert_eq!(scene.hears(300).await, AGENT, "then with RTP");
    scene.take().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t29_an_answer_that_cannot_be_used_gets_ack_and_bye_and_leaves_no_port() {
    let site = Site::open("no answer", &Settings::default()).await;
    let mut agent = Peer::open(AGENTS, site.gateway.udp()).await;
    let media = agent.address();
    for what in ["none", "not SDP", "port 0", "another codec", "outside"] {
        let params = json!({ "to": agent.uri(), "trunk": "agents" });
        let dialled = site.router.call("leg.dial", params).await;
        let leg = dialled["leg"].as_str().unwrap();
        let invite = agent.request("INVITE").await;
        let mut call = Call::of(&invite);
        let sdp = call.sdp(media, "");
        let sdp = match what {
            "none" => String::new(),
            "not SDP" => "nonsense\r\n".to_owned(),
            "port 0" => sdp.replace(&format!("m=audio {}", media.port()), "m=audio 0"),
            "another codec" => call.sdp_of(media, "18", ""),
            _ => sdp.replace(AGENTS, "127.0.0.99"),
        };
        agent.reply(&invite, 200, &sdp).await;
        agent.request("ACK").await;
        let bye = agent.request("BYE").await;
        agent.reply(&bye, 200, "").await;
        assert!(bye.value("Reason").starts_with("Q.850;cause="), "{what}: {bye:?}");
        let end = ended(&site.router, leg).await;
        assert_eq!(end["reason"], "failed", "{what}: {end}");
        assert!(
            site.router.heard().iter().all(|heard| !heard.is("leg.answered")),
            "{what}"
        );
    }
    ports_are_free(&site).await;
}
