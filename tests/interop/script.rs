//! What several tests have their router do.

use std::time::Duration;

use house::wire::{Heard, Router, Site, until};
use serde_json::{Value, json};

/// Two parties in one bridge.
pub struct Talk {
    pub call: String,
    pub caller: String,
    pub agent: String,
}

/// Answers the call, dials `agent`, and lets the two talk as soon as it has answered.
pub async fn connect(router: &Router, incoming: &Heard, agent: &str) -> Talk {
    let caller = incoming.text("leg").to_owned();
    router.call("leg.answer", json!({ "leg": caller })).await;
    let created = router.call("bridge.create", json!({ "legs": [caller] })).await;
    let bridge = created["bridge"].as_str().unwrap().to_owned();
    let dialled = router
        .call(
            "leg.dial",
            json!({ "to": agent, "trunk": "agents", "bridge": bridge, "ring_timeout_ms": 20_000 }),
        )
        .await;
    let agent = dialled["leg"].as_str().unwrap().to_owned();
    router.wait_leg(incoming.index, "leg.answered", &agent).await;
    Talk {
        call: incoming.text("call").to_owned(),
        caller,
        agent,
    }
}

/// The call that comes in next.
pub async fn incoming(router: &Router) -> Heard {
    router.wait(0, "a call", |heard| heard.is("leg.incoming")).await
}

/// Samples of a span of time at 8000 Hz.
pub fn samples(ms: i64) -> usize {
    usize::try_from(ms * 8).unwrap()
}

/// The value that `part` of the sorted ones do not exceed.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// How this leg ended.
pub async fn ended(router: &Router, leg: &str) -> Value {
    let ended = router.wait_leg(0, "leg.ended", leg).await;
    ended.event["data"].clone()
}

/// No RTP port is in use any more, once the time that a port rests after a call is over.
pub async fn ports_are_free(site: &Site) {
    until("every port to be free", Duration::from_secs(10), || {
        (site.gateway.metric("ports_used", "") == 0).then_some(())
    })
    .await;
}
