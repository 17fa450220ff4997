//! Callers and answerers around a gateway, and a judgement of every frame that each of them hears.
//!
//! ```text
//!   callers ──SIP, RTP──► target ──SIP, RTP──► answerers        one thread: driver
//!                           ▲ control socket
//!                         router: answer, dial, bridge          one thread, where the target is ours
//! ```
//! Both ends of every call are this program's, so it knows what was said when, by whom and to whom. Runs as
//! a process of its own; knows the target by SIP, RTP and the control protocol only.

mod call;
mod driver;
mod line;
mod listener;
mod mark;
mod measures;
mod outcome;
mod own;
mod plan;
mod report;
mod router;
mod voice;

use std::io::Write;
use std::sync::{Arc, PoisonError};

use anyhow::Context;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

pub use mark::CALLS_MAX;
pub use plan::{Bounds, Plan, Routing};

use driver::Driver;
use own::Own;

/// Runs a plan to its end and reports. How it stands goes to `err` once a second.
pub fn run(plan: &Plan, err: &mut dyn Write) -> anyhow::Result<Value> {
    let driver = Driver::open(plan).context("binding the SIP addresses of callers and answerers")?;
    let seen = router::Shared::default();
    // Runs on a thread of its own until it is dropped.
    let _routed = match &plan.router {
        Some(routing) => Some(start_router(routing, &driver, &seen)?),
        None => None,
    };
    let (cpu_before, mut drops) = (own::cpu(), 0);
    let outcome = driver.run(|outcome, under_way| {
        drops = drops.max(own::drops());
        // A terminal that is gone does not end the test.
        let _ = writeln!(
            err,
            "placed {} under way {under_way} answered {} good {} not good {} lost {:.3} % setup p99 {:.1} ms latency p99 {:.1} ms",
            outcome.placed,
            outcome.answered,
            outcome.good,
            outcome.not_good(),
            outcome.loss() * 100.0,
            outcome.measures.setup.quantile_ms(0.99),
            outcome.measures.latency.quantile_ms(0.99),
        );
    })?;
    let own = Own::of(&outcome, own::cpu().saturating_sub(cpu_before), drops);
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(report::report(plan, &outcome, &own, &seen))
}

fn start_router(
    routing: &Routing,
    driver: &Driver<'_>,
    seen: &router::Shared,
) -> anyhow::Result<(Runtime, JoinHandle<()>)> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("runtime")?;
    let (client, events) = runtime.block_on(router::connect(routing))?;
    let routed = router::route(
        client,
        events,
        routing.clone(),
        driver.answerer(),
        Arc::clone(seen),
    );
    let task = runtime.spawn(routed);
    Ok((runtime, task))
}
