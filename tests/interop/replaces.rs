//! INVITEs with Replaces that a Kamailio passes on and that take nobody's place (flow T42): it carries our 481 back.

use std::time::Duration;

use house::peer::{Call, Peer};
use house::wire::{AGENT_HZ, CALLER_HZ, CARRIER, Folder, Heard, Kamailio, OUR_NUMBER};
use serde_json::json;

use crate::kamailio::{NUMBER, PROXIES, Scene, assert_hears, open, phone};

/// A header's value and its tag, in SIPp's log of what it got.
fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let start = format!("{name}: ");
    let line = message.lines().find_map(|line| line.strip_prefix(start.as_str()));
    line.unwrap_or_else(|| panic!("no {name} in {message}")).trim()
}

fn tag(value: &str) -> &str {
    let (_, rest) = value.split_once(";tag=").unwrap();
    rest.split(';').next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t42_replaces_of_a_dialog_of_another_trunk_is_told_481_by_way_of_kamailio() {
    let folder = Folder::new("replaces-none");
    let mut there = phone().await;
    let calls = format!(
        "if ($rU == \"{NUMBER}\") {{\n\t\t$du = \"sip:{}\";\n\t}}\n\tt_relay();",
        there.address()
    );
    let proxy = Kamailio::start(&folder, PROXIES[0], &calls).await;
    let scene = Scene::open(open("replaces-none", &[&proxy], "").await).await;
    let leg = scene.dial(NUMBER).await;
    let (_, ear) = scene.talks(&mut there, &leg, CALLER_HZ).await;

    // The agent's dialog is known to the last letter, but it is the agents' trunk's.
    let answered = scene.caller.messages().into_iter().find(|(_, message)| {
        message.starts_with("SIP/2.0 200") && header(message, "CSeq").ends_with("INVITE")
    });
    let (_, answered) = answered.expect("the 200 that the agent got");
    let elsewhere = format!(
        "{};to-tag={};from-tag={}",
        header(&answered, "Call-ID"),
        tag(header(&answered, "To")),
        tag(header(&answered, "From")),
    );
    let nowhere = "nobody@192.0.2.1;to-tag=a;from-tag=b".to_owned();
    let router = &scene.site.router;
    let from = router.place();
    let mut newcomer = Peer::open(CARRIER, proxy.address()).await;
    for named in [elsewhere, nowhere] {
        let mut call = Call::to(&mut newcomer, OUR_NUMBER);
        call.target = format!("sip:{OUR_NUMBER}@{}", scene.site.gateway.udp());
        let sdp = call.sdp(newcomer.address(), "");
        let wish = call
            .request(&mut newcomer, "INVITE", &sdp)
            .with("Require", "replaces")
            .with("Replaces", &named);
        newcomer.send(&wish).await;
        let answer = newcomer.finally("INVITE").await;
        assert_eq!(answer.status(), Some(481), "{named}: {answer:?}");
        assert_eq!(answer.values("Via").count(), 1, "the proxy took its own off");
        call.acknowledge_refusal(&mut newcomer, &wish, &answer).await;
    }
    let heard: Vec<Heard> = router.heard().into_iter().skip(from).collect();
    // One with a dialog of ours is judged by its trunk, one without is none.
    let told: Vec<&Heard> = heard.iter().filter(|heard| heard.is("call.refused")).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].event["data"]["rule"], "replaces");
    let counted = scene
        .site
        .gateway
        .metric("calls_refused_total", "reason=\"replaces\"");
    assert_eq!(counted, 1);
    assert!(
        !heard.iter().any(|heard| heard.is("leg.incoming")),
        "nobody is offered to the router"
    );
    assert!(
        !heard.iter().any(|heard| heard.is("leg.ended")),
        "and nobody loses its place"
    );
    // Those who talked go on talking.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_hears(&ear, &[AGENT_HZ], &[CALLER_HZ]);
    assert_hears(&scene.agent, &[CALLER_HZ], &[AGENT_HZ]);
    let state = router.call("state.get", json!({})).await;
    assert_eq!(state["legs"].as_array().unwrap().len(), 2);
    scene.close(Some(&mut there)).await;
}
