//! A script in the routing engine's place: commands, and every event with the moment it came.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::control::client::{Client, ClientError, Events};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Gateway, clock};

/// Longest wait for any one event: a response that nobody acknowledges is given up after 32 s.
const PATIENCE: Duration = Duration::from_secs(40);

/// One event.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its place among all that were heard.
    pub index: usize,
    /// When it was read.
    pub at_us: i64,
    /// The envelope.
    pub event: Value,
}

impl Heard {
    pub fn text(&self, member: &str) -> &str {
        self.event[member].as_str().unwrap_or_default()
    }

    pub fn is(&self, type_name: &str) -> bool {
        self.text("type") == type_name
    }

    pub fn seq(&self) -> u64 {
        self.event["seq"].as_u64().unwrap()
    }
}

/// One control connection. Clones share it.
#[derive(Clone)]
pub struct Router {
    client: Client,
    heard: Arc<Mutex<Vec<Heard>>>,
    count: watch::Receiver<usize>,
    listener: Arc<Listener>,
}

struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Router {
    /// Connects, says hello and listens to everything.
    pub async fn connect(gateway: &Gateway) -> Self {
        Self::hello(gateway, json!({})).await.0
    }

    /// Connects and says hello with these members too; also gives the reply.
    pub async fn hello(gateway: &Gateway, more: Value) -> (Self, Value) {
        let (client, events) = Client::connect(&gateway.control()).await.unwrap();
        let mut hello = json!({ "app": "default", "client": "interop", "subscribe": {} });
        let members = hello.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        let greeting = client.call("hello", hello).await.unwrap();
        let heard = Arc::default();
        let (told, count) = watch::channel(0);
        let listener = tokio::spawn(listen(events, Arc::clone(&heard), told));
        let listener = Arc::new(Listener(listener));
        let router = Router {
            client,
            heard,
            count,
            listener,
        };
        (router, greeting)
    }

    /// The result of a command that must not be refused.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let shown = params.to_string();
        match self.client.call(method, params).await {
            Ok(result) => result,
            Err(error) => panic!("{method} {shown}: {error}"),
        }
    }

    /// The result of a command that may be.
    pub async fn ask(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.client.call(method, params).await
    }

    /// Everything heard so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// The place of the event that is heard next.
    pub fn place(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// The first event from place `from` on that is meant.
    pub async fn wait(&self, from: usize, what: &str, is_meant: impl Fn(&Heard) -> bool) -> Heard {
        let mut count = self.count.clone();
        let mut next = from;
        let search = async {
            loop {
                count.borrow_and_update();
                {
                    let heard = self.heard.lock().unwrap();
                    if let Some(found) = heard.iter().skip(next).find(|heard| is_meant(heard)) {
                        return Some(found.clone());
                    }
                    next = next.max(heard.len());
                }
                if count.changed().await.is_err() {
                    return None;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(Some(found)) => found,
            Ok(None) => panic!("the gateway hung up before {what}; heard {}", self.transcript()),
            Err(_) => panic!("no {what} within {PATIENCE:?}; heard {}", self.transcript()),
        }
    }

    /// The first event of this type, about this leg, from place `from` on.
    pub async fn wait_leg(&self, from: usize, type_name: &str, leg: &str) -> Heard {
        let what = format!("{type_name} of {leg}");
        self.wait(from, &what, |heard| {
            heard.is(type_name) && heard.text("leg") == leg
        })
        .await
    }

    /// Does `each` for every call that comes in, all at the same time, as long as the handle lives.
    pub fn for_each_call<F>(
        &self,
        each: impl Fn(Router, Heard) -> F + Send + Sync + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let router = self.clone();
        tokio::spawn(async move {
            let mut count = router.count.clone();
            let mut next = 0;
            loop {
                let fresh: Vec<_> = router.heard.lock().unwrap().iter().skip(next).cloned().collect();
                next += fresh.len();
                for heard in fresh.into_iter().filter(|heard| heard.is("leg.incoming")) {
                    tokio::spawn(each(router.clone(), heard));
                }
                if count.changed().await.is_err() {
                    return;
                }
            }
        })
    }

    /// Hangs up without a word.
    pub fn disconnect(self) -> Vec<Heard> {
        self.listener.0.abort();
        self.heard()
    }

    fn transcript(&self) -> String {
        let heard = self.heard();
        let tail = heard.iter().rev().take(40).rev();
        tail.map(|heard| {
            format!(
                "\n  {} {} {} {}",
                heard.seq(),
                heard.text("type"),
                heard.text("leg"),
                heard.event["data"]
            )
        })
        .collect()
    }
}

async fn listen(mut events: Events, heard: Arc<Mutex<Vec<Heard>>>, told: watch::Sender<usize>) {
    while let Some(event) = events.next().await {
        let at_us = clock::now_us();
        // Measurements and ticks have no number of their own.
        if event["type"] == "tick" || event["type"] == "stats" {
            continue;
        }
        let mut heard = heard.lock().unwrap();
        let index = heard.len();
        heard.push(Heard { index, at_us, event });
        told.send_replace(index + 1);
    }
}
