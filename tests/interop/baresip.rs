//! A phone that is nobody's test tool.

use std::net::Ipv4Addr;
use std::time::Duration;

use house::tone;
use house::wire::{
    AGENT_HZ, AGENTS, CALLER_HZ, CARRIER, Ear, Heard, OUR_NUMBER, Phone, Running, Settings, Sipp, Site,
    now_us,
};
use serde_json::{Value, json};

use crate::script::{Talk, connect, ended, incoming};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_baresip_phones_record_each_others_tone() {
    let media = media();
    let settings = Settings {
        agents_media: media.clone(),
        carrier_media: media,
        media_source: "nat",
        ..Settings::default()
    };
    let site = Site::open("baresip", &settings).await;
    let agent = Phone::start(&site.folder, "bob", AGENTS, AGENT_HZ, None).await;
    let to = format!("sip:{OUR_NUMBER}@{}", site.gateway.udp());
    let caller = Phone::start(&site.folder, "alice", CARRIER, CALLER_HZ, Some(&to)).await;
    record_each_other(&site, caller, agent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_with_g722_or_opus_and_one_with_g711_record_each_others_tone() {
    for (name, codec, agents) in [
        ("g722-g711", "G722/16000/1", "PCMU/8000/1"),
        ("g711-opus", "PCMU/8000/1", "opus/48000/2"),
        ("opus-g722", "opus/48000/2", "G722/16000/1"),
    ] {
        let media = own_addresses().into_iter().chain([Ipv4Addr::LOCALHOST]);
        let media: Vec<String> = media.map(|ip| ip.to_string()).collect();
        let codecs = "codecs = [\"PCMU\", \"G722\", \"opus\"]\n";
        let settings = Settings {
            agents_media: media.clone(),
            carrier_media: media,
            media_source: "nat",
            carrier_more: codecs.to_owned(),
            agents_more: codecs.to_owned(),
            ..Settings::default()
        };
        let site = Site::open(name, &settings).await;
        let agent = Phone::start_speaking(&site.folder, "bob", AGENTS, (AGENT_HZ, None), agents).await;
        let to = format!("sip:{OUR_NUMBER}@{}", site.gateway.udp());
        let voice = (CALLER_HZ, Some(to.as_str()));
        let caller = Phone::start_speaking(&site.folder, "alice", CARRIER, voice, codec).await;
        println!("{codec} and {agents}");
        record_each_other(&site, caller, agent).await;
    }
}

/// Joins the two, and finds on each one's own recording the other's tone.
pub async fn record_each_other(site: &Site, caller: Phone, agent: Phone) {
    let call = incoming(&site.router).await;
    let talk = connect(&site.router, &call, &agent.uri()).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    site.router.call("call.end", json!({ "call": talk.call })).await;
    site.router
        .wait(0, "the record", |heard| heard.is("call.record"))
        .await;

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

/// Networks of a phone's media: its SDP names one address, and its packets may come from another.
fn media() -> Vec<String> {
    let all = own_addresses().into_iter().chain([Ipv4Addr::LOCALHOST]);
    all.map(|ip| ip.to_string()).collect()
}

/// Addresses of this machine other than loopback: baresip names the first in SDP, whatever it is told, and
/// sets up no call where there is none.
pub fn own_addresses() -> Vec<Ipv4Addr> {
    let all = nix::ifaddrs::getifaddrs().unwrap();
    let all = all.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()));
    let own: Vec<_> = all.filter(|ip| !ip.is_loopback()).collect();
    assert!(
        !own.is_empty(),
        "baresip needs an address beside loopback: ip addr add 192.0.2.51/32 dev lo"
    );
    own
}

const TARGET_HZ: f64 = 1_300.0;

/// Its own NOTIFYs and the SUBSCRIBE that it sends after a REFER, as the gateway's trace of its trunk shows them.
async fn traced(site: &Site, trace: &Value) -> String {
    let stop = json!({ "trace": trace });
    site.router.call("trace.stop", stop).await;
    let is_end = |heard: &Heard| heard.is("trace.ended");
    site.router.wait(0, "the end of the trace", is_end).await;
    let files = std::fs::read_dir(site.gateway.state().join("traces")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let text = paths.filter(|path| path.extension().is_some_and(|kind| kind == "txt"));
    text.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// A customer at the carrier that hears the phone.
async fn customer(site: &Site, agent: &Phone) -> (Ear, Running, Talk) {
    let mut ear = Ear::open(CARRIER);
    let from = site.router.place();
    let caller = Sipp::new("caller", CARRIER)
        .to(site.gateway.udp())
        .media(ear.address())
        .start(&site.folder)
        .await;
    let is_call = |heard: &Heard| heard.is("leg.incoming");
    let call = site.router.wait(from, "a call", is_call).await;
    let talk = connect(&site.router, &call, &agent.uri()).await;
    ear.speak(CALLER_HZ, caller.gateway_media().await);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(level(&ear, AGENT_HZ) > 0.15, "{}", level(&ear, AGENT_HZ));
    (ear, caller, talk)
}

fn level(ear: &Ear, hz: f64) -> f64 {
    ear.level(hz, now_us() - 400_000, now_us())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t41_a_baresip_phone_transfers_its_caller_when_the_router_says_so_and_not_else() {
    let settings = Settings {
        agents_media: media(),
        media_source: "nat",
        agents_keys: "refer_in = \"ask\"\nhome_country = \"DE\"".to_owned(),
        ..Settings::default()
    };
    let site = Site::open("baresip-refers", &settings).await;
    let router = &site.router;
    let trace = json!({ "trunk": "agents", "ms": 60_000, "numbers": "shown" });
    let trace = router.call("trace.start", trace).await["trace"].clone();
    let agent = Phone::start(&site.folder, "bob", AGENTS, AGENT_HZ, None).await;

    // To a number that may not be called; told 603, this phone gives its call up by itself.
    let (_ear, caller, talk) = customer(&site, &agent).await;
    agent.order("transfer", "sip:+447911123456@127.0.0.12");
    router.wait_leg(0, "leg.transfer_requested", &talk.agent).await;
    let params = json!({ "leg": talk.agent });
    let refused = router.ask("transfer.accept", params.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("deny_prefix:+447"), "{refused}");
    router.ask("transfer.reject", params).await.ok();
    let end = ended(router, &talk.agent).await;
    assert_eq!(
        (&end["by"], &end["reason"]),
        (&json!("peer"), &json!("completed"))
    );
    router.call("call.end", json!({ "call": talk.call })).await;
    caller.finish().await;

    // To somebody who answers.
    let mut target = Ear::open(AGENTS);
    let callee = Sipp::new("callee", AGENTS).media(target.address());
    let to = callee.uri();
    let callee = callee.start(&site.folder).await;
    let (ear, caller, talk) = customer(&site, &agent).await;
    let from = router.place();
    agent.order("transfer", &to);
    let asked = router.wait_leg(from, "leg.transfer_requested", &talk.agent).await;
    assert_eq!(asked.event["data"]["to"], json!(to));
    let accepted = router.call("transfer.accept", json!({ "leg": talk.agent })).await;
    let is_end = |heard: &Heard| heard.is("op.ended") && heard.event["op"] == accepted["op"];
    let end = router.wait(from, "the end of the transfer", is_end).await;
    assert_eq!(end.event["data"]["outcome"], "ok", "{}", end.event);
    target.speak(TARGET_HZ, callee.gateway_media().await);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(level(&ear, TARGET_HZ) > 0.15 && level(&target, CALLER_HZ) > 0.15);
    assert!(level(&ear, AGENT_HZ) < 0.01 && level(&target, AGENT_HZ) < 0.01);
    router.wait_leg(from, "leg.ended", &talk.agent).await;
    router.call("call.end", json!({ "call": talk.call })).await;
    caller.finish().await;
    callee.finish().await;

    let trace = traced(&site, &trace).await;
    let count = |start: &str| {
        trace
            .lines()
            .filter(|line| line.trim_start().starts_with(start))
            .count()
    };
    let methods = ["REFER sip:", "NOTIFY sip:", "SUBSCRIBE sip:"].map(count);
    println!("baresip: REFER, NOTIFY, SUBSCRIBE: {methods:?}");
    assert_eq!(methods[0], 2, "{trace}");
    assert_eq!(methods[1], 2, "100 and 200: the target did not ring: {trace}");
}
