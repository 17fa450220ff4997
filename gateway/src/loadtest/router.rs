//! The routing engine of a load test: answers each call, dials the answerer of its own and bridges the two.
//!
//! A thread of its own with the client of the control socket; knows the gateway by that protocol alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::plan::{Routing, answerer_user, call_of};
use crate::control::client::{Client, Events};

/// Calls handled at the same time; what is beyond waits in the client's queue.
const SETTING_UP_MAX: usize = 1_024;
/// Rules that are told apart in the report.
const RULES_MAX: usize = 64;

/// What the router saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Calls the gateway refused by itself, by rule.
    pub refused: BTreeMap<String, u64>,
    /// Commands that were refused, by method and reason.
    pub errors: BTreeMap<String, u64>,
}

/// Shared with the driver.
pub type Shared = Arc<Mutex<Seen>>;

/// Connects and routes until the connection ends or the future is dropped.
pub async fn connect(routing: &Routing) -> anyhow::Result<(Client, Events)> {
    let (client, events) = Client::connect(&routing.socket)
        .await
        .map_err(|error| anyhow::anyhow!("{}: {error}", routing.socket.display()))?;
    let hello = json!({ "app": routing.app, "client": "loadtest", "subscribe": {} });
    client
        .call("hello", hello)
        .await
        .map_err(|error| anyhow::anyhow!("hello as app {}: {error}", routing.app))?;
    Ok((client, events))
}

/// Routes until the connection ends or the future is dropped.
pub async fn route(client: Client, mut events: Events, routing: Routing, answerer: SocketAddr, seen: Shared) {
    let mut calls = JoinSet::new();
    while let Some(event) = events.next().await {
        while calls.try_join_next().is_some() {}
        match text(&event, "type") {
            "leg.incoming" => {
                if calls.len() == SETTING_UP_MAX {
                    calls.join_next().await;
                }
                let (client, trunk, seen) = (client.clone(), routing.trunk.clone(), Arc::clone(&seen));
                calls.spawn(async move {
                    if let Err(error) = connect_call(&client, &event, trunk, answerer).await {
                        note_error(&seen, &error);
                        let call = json!({ "call": text(&event, "call") });
                        // It may be over already.
                        let _ = client.call("call.end", call).await;
                    }
                });
            }
            "call.refused" => {
                let rule = event.get("data").map_or("", |data| text(data, "rule"));
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                count(&mut seen.refused, rule);
            }
            "leg.ended" => {
                let (client, call) = (client.clone(), json!({ "call": text(&event, "call") }));
                if calls.len() == SETTING_UP_MAX {
                    calls.join_next().await;
                }
                calls.spawn(async move {
                    // The second leg of a call finds it over.
                    let _ = client.call("call.end", call).await;
                });
            }
            _ => {}
        }
    }
}

async fn connect_call(
    client: &Client,
    event: &Value,
    trunk: Option<String>,
    answerer: SocketAddr,
) -> Result<(), String> {
    let (call, leg) = (text(event, "call"), text(event, "leg"));
    let from = event.get("data").and_then(|data| data.get("from"));
    let from = from.map_or("", |from| match text(from, "number") {
        "" => text(from, "raw"),
        number => number,
    });
    // A name, not a number, so that no rule for numbers applies; the answerer knows its caller by it.
    let number = call_of(from).ok_or_else(|| "the caller's number is none of ours".to_owned())?;
    let user = answerer_user(number);
    let ask = |method: &'static str, params: Value| async move {
        let replied = client.call(method, params).await;
        replied.map_err(|error| format!("{method}: {error}"))
    };
    ask("leg.answer", json!({ "leg": leg })).await?;
    let created = ask("bridge.create", json!({ "call": call, "legs": [leg] })).await?;
    let bridge = text(&created, "bridge");
    let mut dial = json!({ "to": format!("sip:{user}@{answerer}"), "bridge": bridge, "call": call });
    if let (Some(trunk), Some(members)) = (trunk, dial.as_object_mut()) {
        members.insert("trunk".to_owned(), trunk.into());
    }
    ask("leg.dial", dial).await.map(drop)
}

fn note_error(seen: &Shared, error: &str) {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    count(&mut seen.errors, error);
}

fn count(counts: &mut BTreeMap<String, u64>, what: &str) {
    if counts.len() < RULES_MAX || counts.contains_key(what) {
        *counts.entry(what.to_owned()).or_default() += 1;
    }
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}
