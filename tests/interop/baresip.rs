//! A phone that is nobody's test tool.

use std::net::Ipv4Addr;
use std::time::Duration;

use house::tone;
use house::wire::{AGENT_HZ, AGENTS, CALLER_HZ, CARRIER, OUR_NUMBER, Phone, Settings, Site};
use serde_json::json;

use crate::script::{connect, incoming};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_baresip_phones_record_each_others_tone() {
    // Its SDP names one address, and its packets may come from another.
    let media = own_addresses().into_iter().chain([Ipv4Addr::LOCALHOST]);
    let media: Vec<String> = media.map(|ip| ip.to_string()).collect();
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
