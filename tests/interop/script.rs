//! What several tests have their router do.

use house::wire::{Heard, Router};
use serde_json::json;

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
