//! The number map of the configuration file, changed while calls come in (promise 34).

use std::time::Duration;

use house::peer::{Call, Peer};
use house::wire::{AGENTS, CALLER_HZ, CARRIER, Ear, Heard, OUR_NUMBER, Settings, Sipp, Site, now_us};
use serde_json::{Value, json};

use crate::script::{connect, incoming, ports_are_free};

const CALLS: u32 = 200;
const CALLS_A_SECOND: u32 = 20;

/// The file with another map in it.
fn rewrite(site: &Site, original: &str, entry: &str) {
    let was = format!("match = \"{OUR_NUMBER}\"");
    assert_eq!(original.matches(&was).count(), 1);
    std::fs::write(site.folder.join("gateway.toml"), original.replace(&was, entry)).unwrap();
}

/// Has the file taken up; what is told of it.
async fn taken_up(site: &Site, original: &str, entry: &str) -> Value {
    let place = site.router.place();
    rewrite(site, original, entry);
    site.gateway.hang_up();
    let is_told = |heard: &Heard| heard.is("config.applied");
    let told = site.router.wait(place, "the new map", is_told).await;
    told.event["data"].clone()
}

async fn app_of(site: &Site, number: &str) -> Value {
    let told = site.router.call("number.map", json!({ "number": number })).await;
    told["entry"]["app"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_34_the_map_of_the_file_changes_under_load_and_no_call_is_lost() {
    let site = Site::open("renumbered", &Settings::default()).await;
    let original = std::fs::read_to_string(site.folder.join("gateway.toml")).unwrap();
    // One call talks all the while; the agent's phone sends back what it hears.
    let agent = Sipp::new("callee", AGENTS);
    let uri = agent.uri();
    let agent = agent.start(&site.folder).await;
    let mut ear = Ear::open(CARRIER);
    let talking = Sipp::new("caller", CARRIER)
        .to(site.gateway.udp())
        .media(ear.address())
        .start(&site.folder)
        .await;
    let talk = connect(&site.router, &incoming(&site.router).await, &uri).await;
    ear.speak(CALLER_HZ, talking.gateway_media().await);

    let place = site.router.place();
    let driver = site.router.for_each_call(move |router, call| async move {
        if call.index >= place {
            let leg = json!({ "leg": call.text("leg") });
            router.call("leg.answer", leg).await;
        }
    });
    let callers = Sipp::new("caller_streams", CARRIER)
        .to(site.gateway.udp())
        .calls(CALLS, CALLS_A_SECOND)
        .talk(Duration::from_secs(1))
        .start(&site.folder)
        .await;
    let apps = ["second", "default"];
    for turn in 0..16 {
        let app = apps[turn % 2];
        let entry = format!("match = \"{OUR_NUMBER}\"\napp = \"{app}\"");
        let told = taken_up(&site, &original, &entry).await;
        assert_eq!(
            (&told["numbers_changed"], &told["waits_for_restart"]),
            (&json!(1), &json!([]))
        );
        assert_eq!(app_of(&site, OUR_NUMBER).await, app);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    callers.finish().await;
    driver.abort();

    // A file with a fault changes nothing; the next good one does.
    rewrite(&site, &original, "match = \"no number\"");
    site.gateway.hang_up();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(app_of(&site, OUR_NUMBER).await, "default");
    let elsewhere = "match = \"+81311112222\"";
    let told = taken_up(&site, &original, elsewhere).await;
    assert_eq!(
        (&told["numbers_added"], &told["numbers_removed"]),
        (&json!(1), &json!(1))
    );
    let level = ear.level(CALLER_HZ, now_us() - 400_000, now_us());
    assert!(level > 0.15, "who talked from before is heard at {level:.3} only");

    // The number was taken out: its next call is refused, told and counted.
    let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
    let mut call = Call::to(&mut peer, OUR_NUMBER);
    let sdp = call.sdp(peer.address(), "");
    let invite = call.request(&mut peer, "INVITE", &sdp);
    peer.send(&invite).await;
    let answer = peer.finally("INVITE").await;
    call.acknowledge_refusal(&mut peer, &invite, &answer).await;
    assert_eq!(answer.status(), Some(404));
    let is_refused = |heard: &Heard| heard.is("call.refused");
    let refused = site.router.wait(0, "the refusal", is_refused).await;
    assert_eq!(refused.event["data"]["rule"], "no_number");

    site.router.call("call.end", json!({ "call": talk.call })).await;
    talking.finish().await;
    agent.finish().await;
    ports_are_free(&site).await;
    let heard = site.router.heard();
    let count = |is_meant: &dyn Fn(&Heard) -> bool| heard.iter().filter(|heard| is_meant(heard)).count();
    let of_app = |app: &'static str| {
        move |heard: &Heard| heard.is("call.started") && heard.event["data"]["app"] == app
    };
    let (first, second) = (count(&of_app("default")), count(&of_app("second")));
    println!("{CALLS} calls and one under 16 maps: {first} to the first app, {second} to the second");
    assert_eq!(first + second, CALLS as usize + 1);
    assert!(
        first > 20 && second > 20,
        "both had calls while the map went to and fro"
    );
    assert_eq!(count(&|heard| heard.is("config.applied")), 17);
    let metric = |name, label| site.gateway.metric(name, label);
    let inbound = "trunk=\"carrier\",direction=\"in\"";
    assert_eq!(metric("calls_offered_total", inbound), u64::from(CALLS) + 2);
    assert_eq!(metric("calls_admitted_total", inbound), u64::from(CALLS) + 1);
    assert_eq!(metric("calls_refused_total", "reason=\"no_number\""), 1);
    assert_eq!(metric("calls_failed_total", ""), 0);
}
