//! Callers and answerers around a gateway, and a judgement of every frame that each of them hears.
//!
//! ```text
//!   callers ──SIP, RTP──► target ──SIP, RTP──► answerers        one thread: driver
//!                           ▲ control socket
//!                         router: answer, dial, bridge          one thread, where the target is ours
//! ```
//! Both ends of every call are this program's, so it knows what was said when, by whom and to whom. Runs as
//! a process of its own; knows the target by SIP, RTP and the control protocol only.

mod bottleneck;
mod call;
mod chart;
mod driver;
mod find;
mod line;
mod listener;
mod mark;
mod measures;
mod outcome;
mod own;
mod page;
mod plan;
mod report;
mod router;
mod search;
mod target;
mod voice;
mod watch;

use std::io::Write;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

pub use find::{Raised, Search};
pub use mark::CALLS_MAX;
pub use page::page;
pub use plan::{Bounds, Plan, Routing};

use crate::shell::clock;
use driver::Driver;
use own::Own;
use report::Ran;
use watch::Watch;

/// After each trial of a walk, for the target to be as before.
const REST: Duration = Duration::from_secs(2);

/// Runs a plan to its end and reports. How it stands goes to `err` once a second.
pub fn run(plan: &Plan, err: &mut dyn Write) -> anyhow::Result<Value> {
    let ran = run_once(plan, err)?;
    Ok(report::report(plan, &ran))
}

/// Walks to the highest load of each kind, and reports each walk under `searches`.
pub fn find_limits(searches: &[Search], err: &mut dyn Write) -> anyhow::Result<Value> {
    let mut found = Vec::with_capacity(searches.len());
    for search in searches {
        found.push(find::find(search, err, |plan, err| {
            let ran = run_once(plan, err);
            clock::block(REST);
            ran
        })?);
    }
    Ok(json!({ "searches": found }))
}

fn run_once(plan: &Plan, err: &mut dyn Write) -> anyhow::Result<Ran> {
    own::raise_descriptors().context("raising the limit of open files")?;
    let driver = Driver::open(plan).context("binding the SIP addresses of callers and answerers")?;
    let seen = router::Shared::default();
    // Runs on a thread of its own until it is dropped.
    let routed = match &plan.router {
        Some(routing) => Some(start_router(routing, &driver, &seen)?),
        None => None,
    };
    let watch = Watch::start(target::pid(plan)).context("starting the thread that watches")?;
    let cpu_before = own::cpu();
    let outcome = driver.run(|outcome, under_way| {
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
    let cpu = own::cpu().saturating_sub(cpu_before);
    let watched = watch.finish();
    drop(routed);
    let own = Own::of(&outcome, cpu, watched.own_drops);
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Ran {
        outcome,
        own,
        seen,
        watched,
    })
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
