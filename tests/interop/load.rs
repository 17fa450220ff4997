//! Many calls one after the other, counted and timed by SIPp.

use std::time::Duration;

use house::wire::{AGENTS, CARRIER, Heard, Router, Settings, Sipp, Site};
use serde_json::json;

use crate::script::quantile;

const CALLS: u32 = 200;
const CALLS_A_SECOND: u32 = 20;
/// What this machine must keep, whatever else it does; what an idle one shows is printed.
const SETUP_MS_MAX: f64 = 100.0;

/// 200 calls at 20 a second, each with media both ways, each handled by `script`.
async fn run<F>(name: &str, script: fn(Router, Heard, String) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let site = Site::open("load", &Settings::default()).await;
    let agent = Sipp::new("callee", AGENTS).calls(CALLS, CALLS);
    let agent_uri = agent.uri();
    let agent = agent.start(&site.folder).await;
    let driver = site
        .router
        .for_each_call(move |router, heard| script(router, heard, agent_uri.clone()));
    let caller = Sipp::new("caller_streams", CARRIER)
        .to(site.gateway.udp())
        .calls(CALLS, CALLS_A_SECOND);
    let caller = caller
        .talk(Duration::from_millis(1_000))
        .start(&site.folder)
        .await;
    let caller = caller.finish().await;
    agent.finish().await;
    driver.abort();

    let setup_ms = caller.setup_ms();
    let [p50, p99] = [0.5, 0.99].map(|part| quantile(&setup_ms, part));
    println!(
        "{name}: {} calls at {CALLS_A_SECOND} a second, 0 failed; INVITE to 200 as SIPp sees it: p50 {p50:.1} ms, \
         p99 {p99:.1} ms, worst {:.1} ms",
        setup_ms.len(),
        quantile(&setup_ms, 1.0),
    );
    assert_eq!(setup_ms.len(), CALLS as usize);
    assert!(p99 <= SETUP_MS_MAX, "p99 {p99} ms");
    let is_record = |heard: &Heard| heard.is("call.record");
    site.router
        .wait(0, "the last record", |heard| {
            is_record(heard) && site.gateway.metric("calls_active", "") == 0
        })
        .await;
    let records = site.router.heard().into_iter().filter(is_record).count();
    assert_eq!(records, CALLS as usize);
    assert_eq!(
        site.gateway.metric("calls_admitted_total", "direction=\"in\""),
        u64::from(CALLS)
    );
    assert_eq!(site.gateway.metric("calls_failed_total", ""), 0);
}

async fn answer_then_dial(router: Router, call: Heard, agent: String) {
    let talk = crate::script::connect(&router, &call, &agent).await;
    router.wait_leg(call.index, "leg.ended", &talk.caller).await;
    router.call("call.end", json!({ "call": talk.call })).await;
}

async fn dial_then_answer(router: Router, call: Heard, agent: String) {
    let (call_id, caller) = (call.text("call"), call.text("leg"));
    let dial = json!({ "to": agent, "trunk": "agents", "call": call_id });
    let dialled = router.call("leg.dial", dial).await;
    let agent = dialled["leg"].as_str().unwrap();
    router.wait_leg(call.index, "leg.answered", agent).await;
    router.call("leg.answer", json!({ "leg": caller })).await;
    router
        .call("bridge.create", json!({ "legs": [caller, agent] }))
        .await;
    router.wait_leg(call.index, "leg.ended", caller).await;
    router.call("call.end", json!({ "call": call_id })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_of_200_fails_when_the_router_answers_at_once() {
    run("the router answers at once", answer_then_dial).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_of_200_fails_when_the_callee_answers_at_once() {
    run("the callee answers at once", dial_then_answer).await;
}
