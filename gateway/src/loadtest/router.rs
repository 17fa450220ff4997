//! The routing engine of a load test: answers each call, dials the answerer of its own and bridges the two.
//!
//! A thread of its own with the client of the control socket; knows the gateway by that protocol alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::mark::Party;
use super::plan::{Plan, Routing, call_of, is_of_share, user_called};
use crate::control::client::{Client, Events};
use crate::shell::clock;

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

/// What is done with the calls of a run.
#[derive(Clone, Debug)]
pub struct Script {
    /// The trunk of the answerers; the gateway's choice when none.
    pub trunk: Option<String>,
    /// Where they are.
    pub answerer: SocketAddr,
    /// Of 100 calls so many get a third.
    pub rooms: u32,
    /// Of 100 calls so many are recorded.
    pub recorded: u32,
    /// Of 100 calls so many are held, unless they have a third.
    pub held: u32,
    /// A third of how long calls last.
    pub third: Duration,
    /// The driver is told how far each hold is.
    pub spells: SyncSender<SpellOf>,
}

/// Of which call.
pub type SpellOf = (u32, Spell);

/// How far the hold of a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spell {
    /// It is asked for.
    Begins,
    /// Neither side may hear the other.
    Held,
    /// Its end is asked for.
    Ends,
    /// Each should hear the other again.
    Over,
}

impl Script {
    /// That of a plan whose answerers are there.
    pub fn new(plan: &Plan, routing: &Routing, answerer: SocketAddr, spells: SyncSender<SpellOf>) -> Script {
        Script {
            trunk: routing.trunk.clone(),
            answerer,
            rooms: plan.rooms,
            recorded: plan.recorded,
            held: plan.held,
            third: plan.hold / 3,
            spells,
        }
    }
}

/// Connects and says which app it is.
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
pub async fn route(client: Client, mut events: Events, script: Script, seen: Shared) {
    let script = Arc::new(script);
    let mut calls = JoinSet::new();
    while let Some(event) = events.next().await {
        while calls.try_join_next().is_some() {}
        match text(&event, "type") {
            "leg.incoming" => {
                if calls.len() == SETTING_UP_MAX {
                    calls.join_next().await;
                }
                let (client, script, seen) = (client.clone(), Arc::clone(&script), Arc::clone(&seen));
                calls.spawn(async move {
                    if let Err(error) = connect_call(&client, &event, &script, &seen).await {
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

async fn connect_call(client: &Client, event: &Value, script: &Script, seen: &Shared) -> Result<(), String> {
    let (call, leg) = (text(event, "call"), text(event, "leg"));
    let from = event.get("data").and_then(|data| data.get("from"));
    let from = from.map_or("", |from| match text(from, "number") {
        "" => text(from, "raw"),
        number => number,
    });
    let number = call_of(from).ok_or_else(|| "the caller's number is none of ours".to_owned())?;
    let ask = |method: &'static str, params: Value| async move {
        let replied = client.call(method, params).await;
        replied.map_err(|error| format!("{method}: {error}"))
    };
    ask("leg.answer", json!({ "leg": leg })).await?;
    let created = ask("bridge.create", json!({ "call": call, "legs": [leg] })).await?;
    let bridge = text(&created, "bridge");
    if is_of_share(number, script.recorded) {
        ask("record.start", json!({ "target": call })).await?;
    }
    let parties = [(Party::Answerer, 100), (Party::Third, script.rooms)];
    for (party, share) in parties {
        if !is_of_share(number, share) {
            continue;
        }
        // A name, not a number, so that no rule for numbers applies; the line knows its call by it.
        let to = format!("sip:{}@{}", user_called(number, party), script.answerer);
        let mut dial = json!({ "to": to, "bridge": bridge, "call": call });
        if let (Some(trunk), Some(members)) = (&script.trunk, dial.as_object_mut()) {
            members.insert("trunk".to_owned(), trunk.as_str().into());
        }
        ask("leg.dial", dial).await?;
    }
    if is_of_share(number, script.held) && !is_of_share(number, script.rooms) {
        // It goes on for most of the call, and is no more to be waited for.
        tokio::spawn(hold(
            client.clone(),
            script.clone(),
            (number, leg.to_owned()),
            Arc::clone(seen),
        ));
    }
    Ok(())
}

/// Holds the caller for a third of its call.
async fn hold(client: Client, script: Script, (number, leg): (u32, String), seen: Shared) {
    let steps = [
        ("leg.hold", Spell::Begins, Spell::Held),
        ("leg.resume", Spell::Ends, Spell::Over),
    ];
    for (method, asked, done) in steps {
        clock::until(clock::mono() + script.third).await;
        let is_told = script.spells.try_send((number, asked)).is_ok();
        let replied = client.call(method, json!({ "leg": leg })).await;
        if let Err(error) = replied {
            return note_error(&seen, &format!("{method}: {error}"));
        }
        if !is_told || script.spells.try_send((number, done)).is_err() {
            return note_error(&seen, "a hold that the listeners could not be told of");
        }
    }
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
