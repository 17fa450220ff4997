//! A small routing engine: commands and events over the control socket, each told as it happens.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::DemoError;
use super::timeline::Timeline;
use crate::control::client::{Client, Events};
use crate::shell::clock;

/// How long an event may take that the story waits for.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Events remembered, so that one may be asked for after it came.
const SEEN_MAX: usize = 4_096;

/// The router's side of the control connection.
pub struct Router {
    client: Client,
    events: Events,
    seen: VecDeque<Value>,
    /// What legs are called in plain words, by id.
    names: BTreeMap<String, String>,
}

impl Router {
    /// Connects and subscribes to everything.
    pub async fn connect(socket: &Path) -> Result<Router, DemoError> {
        let (client, events) = Client::connect(socket)
            .await
            .map_err(|source| DemoError::io(socket.display(), source))?;
        let router = Router {
            client,
            events,
            seen: VecDeque::new(),
            names: BTreeMap::new(),
        };
        router
            .call(
                "hello",
                json!({ "app": "demo", "client": "demo", "subscribe": {} }),
            )
            .await?;
        Ok(router)
    }

    /// Says how a leg is called in plain words.
    pub fn name_leg(&mut self, leg: &str, name: &str) {
        self.names.insert(leg.to_owned(), name.to_owned());
    }

    /// Sends a command that must succeed; tells it first.
    pub async fn command(
        &mut self,
        method: &str,
        params: Value,
        words: &str,
        timeline: &mut Timeline<'_>,
    ) -> Result<Value, DemoError> {
        timeline.tell("router", method, words);
        self.call(method, params).await
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, DemoError> {
        let replied = self.client.call(method, params).await;
        replied.map_err(|source| DemoError::Command {
            method: method.to_owned(),
            source,
        })
    }

    /// Waits for an event of that type and, where given, that leg; one that came before counts.
    pub async fn wait(
        &mut self,
        kind: &str,
        leg: Option<&str>,
        timeline: &mut Timeline<'_>,
    ) -> Result<Value, DemoError> {
        let fits =
            |event: &Value| text(event, "type") == Some(kind) && (leg.is_none() || text(event, "leg") == leg);
        if let Some(event) = self.seen.iter().find(|event| fits(event)) {
            return Ok(event.clone());
        }
        let deadline = clock::mono() + PATIENCE;
        while let Some(event) = self.next(deadline, timeline).await? {
            if fits(&event) {
                return Ok(event);
            }
        }
        Err(DemoError::Event(match leg {
            Some(leg) => format!("{kind} of {leg}"),
            None => kind.to_owned(),
        }))
    }

    /// Lets time pass, telling what happens.
    pub async fn narrate(&mut self, span: Duration, timeline: &mut Timeline<'_>) -> Result<(), DemoError> {
        let deadline = clock::mono() + span;
        while self.next(deadline, timeline).await?.is_some() {}
        Ok(())
    }

    /// The next event before `deadline`, told and remembered.
    pub async fn next(
        &mut self,
        deadline: Instant,
        timeline: &mut Timeline<'_>,
    ) -> Result<Option<Value>, DemoError> {
        let Ok(received) = tokio::time::timeout_at(deadline.into(), self.events.next()).await else {
            return Ok(None);
        };
        let event = received.ok_or(DemoError::Disconnected)?;
        if let Some(words) = self.words(&event) {
            timeline.tell("gateway", text(&event, "type").unwrap_or("event"), &words);
        }
        if self.seen.len() == SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(event.clone());
        Ok(Some(event))
    }

    /// What an event means; none where it would only be noise.
    fn words(&self, event: &Value) -> Option<String> {
        let data = event.get("data").unwrap_or(&Value::Null);
        let leg = text(event, "leg").unwrap_or_default();
        let who = self.names.get(leg).map_or(leg, String::as_str);
        let told = match text(event, "type")? {
            "leg.incoming" => format!(
                "a call from {} to {}",
                number(data, "from").unwrap_or("a withheld number"),
                number(data, "to").unwrap_or("no number")
            ),
            "leg.dialing" => format!("{who} is called"),
            "leg.ringing" => format!("{who} rings"),
            "leg.answered" => format!(
                "{who} is on the line, {}",
                text(data, "codec").unwrap_or_default()
            ),
            "leg.media_up" => format!("audio flows both ways with {who}"),
            "leg.held" => format!("{who} is on hold"),
            "leg.resumed" => format!("{who} is back"),
            "leg.ended" => format!("{who} is gone ({})", text(data, "reason").unwrap_or_default()),
            "bridge.created" => "a room to talk in".to_owned(),
            "bridge.joined" => format!("{who} is in the room"),
            "bridge.left" => format!("{who} left the room"),
            "bridge.mode" => format!("audio is carried as {}", text(data, "mode").unwrap_or_default()),
            "bridge.matrix" => self.hears(data),
            "play.started" => "the greeting begins".to_owned(),
            "play.ended" => "the greeting is over".to_owned(),
            "record.started" => "the recording runs".to_owned(),
            "record.stopped" => "the recording is complete".to_owned(),
            "record.stored" => "the recording is on disk".to_owned(),
            "record.failed" => format!("the recording failed: {}", text(data, "why").unwrap_or_default()),
            "call.ended" => "the last party has gone".to_owned(),
            "call.record" => "the call record is written".to_owned(),
            "alarm.raised" => format!("alarm: {}", text(data, "kind").unwrap_or_default()),
            _ => return None,
        };
        Some(told)
    }

    /// The audibility matrix as a sentence.
    fn hears(&self, data: &Value) -> String {
        let name = |leg: &str| self.names.get(leg).map_or(leg, String::as_str).to_owned();
        let pairs = data.get("hears").and_then(Value::as_object).into_iter().flatten();
        let heard: Vec<String> = pairs
            .filter_map(|(listener, speakers)| {
                let audible = speakers.as_object()?.iter().filter(|(_, gain)| !gain.is_null());
                let speakers: Vec<String> = audible.map(|(speaker, _)| name(speaker)).collect();
                (!speakers.is_empty()).then(|| format!("{} hears {}", name(listener), speakers.join(" and ")))
            })
            .collect();
        if heard.is_empty() {
            "nobody hears anybody".to_owned()
        } else {
            heard.join("; ")
        }
    }
}

/// A text member of an object.
pub fn text<'a>(object: &'a Value, member: &str) -> Option<&'a str> {
    object.get(member).and_then(Value::as_str)
}

fn number<'a>(data: &'a Value, party: &str) -> Option<&'a str> {
    let party = data.get(party)?;
    text(party, "number").or_else(|| text(party, "raw"))
}
