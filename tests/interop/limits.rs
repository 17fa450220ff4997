//! The limit of calls at once, as a carrier meets it.

use std::time::Duration;

use house::wire::{CARRIER, Heard, Settings, Sipp, Site};
use serde_json::json;

/// `offered` calls, none of which ends before the last has come.
async fn calls_over_the_limit_get_503(limit: u32, offered: u32) {
    let site = Site::open(
        "limits",
        &Settings {
            calls: limit,
            ..Settings::default()
        },
    )
    .await;
    let answering = site.router.for_each_call(|router, call| async move {
        router
            .call("leg.answer", json!({ "leg": call.text("leg") }))
            .await;
    });
    let rate = 25;
    let talk = Duration::from_secs(u64::from(offered / rate) + 3);
    let caller = Sipp::new("caller_counted", CARRIER)
        .to(site.gateway.udp())
        .calls(offered, rate)
        .talk(talk);
    let caller = caller.start(&site.folder).await.finish().await;
    answering.abort();

    let (admitted, throttled) = (caller.logged("admitted"), caller.logged("throttled"));
    println!("limit {limit}: {offered} offered = {admitted} admitted + {throttled} throttled");
    assert_eq!(
        (admitted, throttled),
        (limit as usize, (offered - limit) as usize)
    );

    let heard = site.router.heard();
    let refused: Vec<&Heard> = heard.iter().filter(|heard| heard.is("call.refused")).collect();
    assert_eq!(refused.len(), throttled);
    for refused in refused {
        let data = &refused.event["data"];
        assert_eq!(data["rule"], "instance.calls", "{data}");
        assert_eq!(
            (&data["limit"], &data["value"]),
            (&json!(limit), &json!(limit)),
            "{data}"
        );
    }
    let metric = |name| site.gateway.metric(name, "trunk=\"carrier\"");
    assert_eq!(metric("calls_offered_total"), u64::from(offered));
    assert_eq!(metric("calls_admitted_total"), admitted as u64);
    assert_eq!(metric("calls_throttled_total"), throttled as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_limit_of_10_the_eleventh_call_gets_503() {
    calls_over_the_limit_get_503(10, 30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_limit_of_100_the_hundred_and_first_call_gets_503() {
    calls_over_the_limit_get_503(100, 150).await;
}
