//! Who hears whom when the peers are SIPp.

use std::time::Duration;

use house::tone;
use house::wire::{AGENTS, CALLER_HZ, CARRIER, Ear, Law, Running, Settings, Sipp, Site, Transport, now_us};
use serde_json::json;

use crate::script::{connect, incoming};

/// Long enough for a tone to be measured, and for jitter buffers to have filled.
const TALK: Duration = Duration::from_secs(3);

/// A caller that streams a tone, an agent that sends everything back: the recording has the tone on both
/// sides, and each side of the bridge is up until `caller_talk` or `agent_talk` is over.
async fn talk(law: Law, transport: Transport, caller_talk: Duration, agent_talk: Duration) {
    let site = Site::open("talk", &Settings::default()).await;
    let agent = Sipp::new("callee", AGENTS)
        .law(law)
        .over(transport)
        .talk(agent_talk);
    let agent_uri = agent.uri();
    let agent = agent.start(&site.folder).await;
    let to = match transport {
        Transport::Udp => site.gateway.udp(),
        Transport::Tcp => site.gateway.tcp(),
    };
    let caller = Sipp::new("caller_streams", CARRIER)
        .to(to)
        .law(law)
        .over(transport)
        .talk(caller_talk);
    let caller = caller.start(&site.folder).await;
    let hangs_up_first = caller_talk < agent_talk;
    heard_on_both_sides(&site, caller, agent, &agent_uri, hangs_up_first).await;
}

/// Joins the call with the agent, has it recorded until one of them hangs up, and finds the tone on both sides.
pub async fn heard_on_both_sides(
    site: &Site,
    caller: Running,
    agent: Running,
    agent_uri: &str,
    caller_hangs_up: bool,
) {
    let router = &site.router;
    let call = incoming(router).await;
    let talk = connect(router, &call, agent_uri).await;
    router
        .call("record.start", json!({ "target": talk.call, "id": "tape" }))
        .await;
    let (first, second) = if caller_hangs_up {
        (&talk.caller, &talk.agent)
    } else {
        (&talk.agent, &talk.caller)
    };
    let ended = router.wait_leg(0, "leg.ended", first).await;
    assert_eq!(ended.event["data"]["by"], "peer", "{ended:?}");
    router.call("leg.hangup", json!({ "leg": second })).await;
    let stored = router
        .wait(0, "the recording", |heard| heard.is("record.stored"))
        .await;
    caller.finish().await;
    agent.finish().await;

    let path = stored.event["data"]["uri"]
        .as_str()
        .unwrap()
        .strip_prefix("file://")
        .unwrap();
    let tracks = tone::read_wav(path.as_ref());
    let channels = stored.event["data"]["channels"].as_array().unwrap();
    assert_eq!((channels.len(), tracks.len()), (2, 2), "{stored:?}");
    for (leg, track) in channels.iter().zip(&tracks) {
        let middle = &track[track.len() / 4..track.len() * 3 / 4];
        let level = tone::level(middle, CALLER_HZ);
        println!("{leg} is on the recording at {level:.3}");
        // 0.3 went out; the echo passed the gateway twice.
        assert!(
            middle.len() > 8_000 && level > 0.2,
            "{leg}: {level} of {} samples",
            middle.len()
        );
    }
    let record = router
        .wait(0, "the call's record", |heard| heard.is("call.record"))
        .await;
    assert_eq!(
        record.event["data"]["legs"].as_array().map(Vec::len),
        Some(2),
        "{record:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_talks_to_sipp_in_a_law_over_udp_and_the_caller_hangs_up() {
    talk(Law::A, Transport::Udp, TALK, TALK * 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_talks_to_sipp_in_mu_law_over_tcp_and_the_agent_hangs_up() {
    talk(Law::Mu, Transport::Tcp, TALK * 10, TALK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_in_mu_law_hears_its_echo_from_an_agent_in_a_law() {
    let site = Site::open("laws", &Settings::default()).await;
    let agent = Sipp::new("callee", AGENTS).law(Law::A);
    let agent_uri = agent.uri();
    let agent = agent.start(&site.folder).await;
    let mut ear = Ear::open(CARRIER);
    let caller = Sipp::new("caller", CARRIER)
        .to(site.gateway.udp())
        .media(ear.address());
    let caller = caller.start(&site.folder).await;

    let call = incoming(&site.router).await;
    let talk = connect(&site.router, &call, &agent_uri).await;
    ear.speak(CALLER_HZ, caller.gateway_media().await);
    tokio::time::sleep(TALK).await;
    let level = ear.level(CALLER_HZ, now_us() - 1_000_000, now_us());
    println!("the caller hears its echo at {level:.3}");
    assert!(level > 0.2, "{level}");
    site.router.call("call.end", json!({ "call": talk.call })).await;
    caller.finish().await;
    agent.finish().await;
}
