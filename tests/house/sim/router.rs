//! A router: one control connection, its commands and everything it was told.

use std::collections::BTreeMap;

use gateway::engine::io::ConnKey;
use serde_json::{Value, json};

pub struct Router {
    pub conn: ConnKey,
    pub app: String,
    /// Every event in the order it came.
    pub events: Vec<Value>,
    /// Replies by request id.
    pub replies: BTreeMap<u64, Value>,
    /// Replies and events as they came, for tests of order.
    pub lines: Vec<Value>,
    pub next_id: u64,
}

impl Router {
    pub fn new(conn: ConnKey, app: &str) -> Self {
        Router {
            conn,
            app: app.to_owned(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            lines: Vec::new(),
            next_id: 0,
        }
    }

    pub fn request(&mut self, method: &str, params: Value) -> (u64, String) {
        self.next_id += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params});
        (self.next_id, request.to_string())
    }

    pub fn take(&mut self, line: &str) {
        let value: Value = serde_json::from_str(line).expect("lines are JSON");
        self.lines.push(value.clone());
        if value["method"] == "event" {
            let event = value["params"].clone();
            if event["type"] != "tick" && event["type"] != "stats" {
                self.events.push(event);
            }
        } else {
            let id = value["id"]
                .as_u64()
                .expect("replies have the id of their request");
            self.replies.insert(id, value);
        }
    }

    /// Events of a type, oldest first.
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["type"] == kind).collect()
    }

    /// The last event of a type about a leg.
    pub fn last_of(&self, kind: &str, leg: &str) -> Option<&Value> {
        self.events
            .iter()
            .rev()
            .find(|event| event["type"] == kind && event["leg"] == leg)
    }

    /// Types of all events, in order.
    pub fn kinds(&self) -> Vec<&str> {
        self.events
            .iter()
            .filter_map(|event| event["type"].as_str())
            .collect()
    }
}
