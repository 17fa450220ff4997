//! Calls that come to nothing at the sockets of the program, many of them: refused, cancelled, abandoned, crossed.
//! Of the process nothing of them stays: no descriptor, port, dialog, transaction, timer or memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gateway::control::client::{Client, Events};
use house::peer::{Call, Message, Peer};
use house::wire::{AGENTS, CARRIER, Gateway, Settings, Site};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Calls of one run, in two halves; `HOSTILE_FACTOR` times as many where it is set, as `make soak` does.
const CALLS: usize = 2_000;
/// How many are under way at once: an instance takes five new ones in one moment.
const LANES: usize = 4;
/// Between two new ones: half of the thousand a second that are allowed here.
const PACE: Duration = Duration::from_millis(2);
/// A transaction over UDP is kept for 32 s after its end, and one whose answer nobody acknowledged (RFC 3261 timers H
/// and J); so much again for a busy machine.
const REST: Duration = Duration::from_secs(64);
/// What memory may grow by beside the journal of events: pages of the allocator that are not whole.
const GROWTH_MAX_KB: u64 = 12 * 1_024;
/// How a call comes to nothing.
const WAYS: [&str; 8] = [
    "rejected",
    "cancelled",
    "crossing-200",
    "crossing-bye",
    "dial-refused",
    "dial-cancelled",
    "dial-crossing",
    "abandoned",
];

fn factor() -> usize {
    let text = std::env::var("HOSTILE_FACTOR").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// What the process holds at one moment.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    ports: u64,
    streams: u64,
    calls: u64,
    sip: [u64; 5],
}

impl Held {
    fn by(gateway: &Gateway) -> Self {
        let sip = ["session", "dialog", "transaction", "timer", "connection"]
            .map(|kind| gateway.metric("sip_held", &format!("\"{kind}\"")));
        let ports = gateway.metric("ports_used", "");
        let streams = gateway.metric("streams_active", "");
        let calls = gateway.metric("calls_active", "");
        // The least of some looks: those questions came by connections that it may not have closed yet.
        let look = |_| {
            std::thread::sleep(Duration::from_millis(10));
            let descriptors = std::fs::read_dir(format!("/proc/{}/fd", gateway.pid()));
            descriptors.unwrap().count()
        };
        let descriptors = (0..20).map(look).min();
        Held {
            descriptors: descriptors.unwrap(),
            ports,
            streams,
            calls,
            sip,
        }
    }
}

/// Resident memory, kilobytes.
fn resident_kb(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

/// The router: what it does with a call is in the name that the caller gives itself, `WAY.AGENT`.
async fn route(client: Client, mut events: Events, records: Arc<AtomicU64>) {
    while let Some(event) = events.next().await {
        let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
        let (call, leg) = (text("call"), text("leg"));
        match event["type"].as_str().unwrap_or_default() {
            "leg.incoming" => {
                let name = event["data"]["from"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                tokio::spawn(begin(client.clone(), name, call, leg));
            }
            // The first leg of two takes the call with it.
            "leg.ended" => {
                let client = client.clone();
                tokio::spawn(async move { client.call("call.end", json!({ "call": call })).await });
            }
            "call.record" => drop(records.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }
}

/// Commands may come too late: that the call is over by then is what this is about.
async fn begin(client: Client, name: String, call: String, leg: String) {
    let (way, agent) = name.split_once('.').unwrap_or((&name, ""));
    let ask = |method: &'static str, params: Value| {
        let client = client.clone();
        async move { drop(client.call(method, params).await) }
    };
    match way {
        "rejected" => ask("leg.reject", json!({ "leg": leg, "status": 486 })).await,
        "cancelled" => ask("leg.progress", json!({ "leg": leg, "status": 180 })).await,
        "crossing-200" => ask("leg.answer", json!({ "leg": leg })).await,
        "crossing-bye" => {
            ask("leg.answer", json!({ "leg": leg })).await;
            ask("call.end", json!({ "call": call })).await;
        }
        "dial-refused" | "dial-cancelled" | "dial-crossing" => {
            ask("leg.answer", json!({ "leg": leg })).await;
            let dial = json!({ "to": format!("sip:agent@{agent}"), "trunk": "agents", "call": call });
            // A dial counts as a new call, and may meet five of them in its moment.
            while client.call("leg.dial", dial.clone()).await.is_err() {
                tokio::time::sleep(PACE).await;
            }
        }
        // Nobody takes it.
        _ => {}
    }
}

/// The sockets of calls that come one after the other.
struct Lane {
    caller: Peer,
    agent: Peer,
    /// Of those who send an INVITE and are never heard of again.
    gone: Peer,
}

/// The next message of this call that is meant.
async fn next(peer: &mut Peer, id: &str, what: &str, is_meant: impl Fn(&Message) -> bool) -> Message {
    let is_its = |message: &Message| message.value("Call-ID") == id && is_meant(message);
    peer.take(what, is_its).await.1
}

fn is_final(method: &'static str) -> impl Fn(&Message) -> bool {
    move |message| message.status().is_some_and(|status| status >= 200) && message.cseq().1 == method
}

impl Lane {
    async fn open(gateway: &Gateway) -> Self {
        let gateway = gateway.udp();
        Lane {
            caller: Peer::open(CARRIER, gateway).await,
            agent: Peer::open(AGENTS, gateway).await,
            gone: Peer::open(CARRIER, gateway).await,
        }
    }

    async fn call(&mut self, way: &'static str) {
        for peer in [&mut self.caller, &mut self.agent, &mut self.gone] {
            peer.forget();
        }
        let agent = self.agent.address();
        let peer = if way == "abandoned" {
            &mut self.gone
        } else {
            &mut self.caller
        };
        let mut call = Call::to(peer, house::wire::OUR_NUMBER);
        call.ours = format!("\"{way}.{agent}\" {}", call.ours);
        let sdp = call.sdp(peer.address(), "");
        let invite = call.request(peer, "INVITE", &sdp);
        peer.send(&invite).await;
        match way {
            "abandoned" => {}
            "rejected" => self.is_refused(&mut call, &invite, 486).await,
            "cancelled" => {
                next(&mut self.caller, &call.id, "180", |message| {
                    message.status() == Some(180)
                })
                .await;
                self.cancel(&invite).await;
                self.is_refused(&mut call, &invite, 487).await;
            }
            "crossing-200" => {
                next(&mut self.caller, &call.id, "100", |message| {
                    message.status() == Some(100)
                })
                .await;
                self.cancel(&invite).await;
                let answer = next(&mut self.caller, &call.id, "an end", is_final("INVITE")).await;
                if answer.status() == Some(200) {
                    call.joined(&answer);
                    call.acknowledge(&mut self.caller, &answer, "").await;
                    self.hang_up(&mut call).await;
                } else {
                    call.acknowledge_refusal(&mut self.caller, &invite, &answer).await;
                }
            }
            _ => self.answered(way, &mut call, &invite).await,
        }
    }

    /// A call that is answered, and what its end crosses.
    async fn answered(&mut self, way: &str, call: &mut Call, invite: &Message) {
        let answer = next(&mut self.caller, &call.id, "200", is_final("INVITE")).await;
        if way == "crossing-bye" && answer.status() != Some(200) {
            // The end came before the port for its media was open.
            return call.acknowledge_refusal(&mut self.caller, invite, &answer).await;
        }
        assert_eq!(answer.status(), Some(200), "{way}");
        call.joined(&answer);
        call.acknowledge(&mut self.caller, &answer, "").await;
        if way == "crossing-bye" {
            return self.hang_up(call).await;
        }
        let invite = self.agent.request("INVITE").await;
        let its = invite.value("Call-ID").to_owned();
        if way == "dial-refused" {
            self.agent.reply(&invite, 486, "").await;
            next(&mut self.agent, &its, "ACK", |message| {
                message.method() == Some("ACK")
            })
            .await;
            let bye = next(&mut self.caller, &call.id, "BYE", |message| {
                message.method() == Some("BYE")
            })
            .await;
            return self.caller.reply(&bye, 200, "").await;
        }
        self.agent.reply(&invite, 180, "").await;
        self.hang_up(call).await;
        let cancel = next(&mut self.agent, &its, "CANCEL", |message| {
            message.method() == Some("CANCEL")
        })
        .await;
        if way == "dial-cancelled" {
            self.agent.reply(&cancel, 200, "").await;
            self.agent.reply(&invite, 487, "").await;
            next(&mut self.agent, &its, "ACK", |message| {
                message.method() == Some("ACK")
            })
            .await;
            return;
        }
        // Its 200 is on the way when the CANCEL comes (RFC 3261 §9.1).
        let mut agents = Call::of(&invite);
        let sdp = agents.sdp(self.agent.address(), "");
        self.agent.reply(&invite, 200, &sdp).await;
        self.agent.reply(&cancel, 200, "").await;
        next(&mut self.agent, &its, "ACK", |message| {
            message.method() == Some("ACK")
        })
        .await;
        let bye = next(&mut self.agent, &its, "BYE", |message| {
            message.method() == Some("BYE")
        })
        .await;
        self.agent.reply(&bye, 200, "").await;
    }

    async fn is_refused(&mut self, call: &mut Call, invite: &Message, status: u16) {
        let answer = next(&mut self.caller, &call.id, "a refusal", is_final("INVITE")).await;
        assert_eq!(answer.status(), Some(status), "{answer:?}");
        call.acknowledge_refusal(&mut self.caller, invite, &answer).await;
    }

    /// With everything of its INVITE (RFC 3261 §9.1).
    async fn cancel(&mut self, invite: &Message) {
        let mut cancel = Message::new(invite.start.replacen("INVITE", "CANCEL", 1));
        for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
            cancel = cancel.with(name, invite.value(name));
        }
        let cancel = cancel.with("CSeq", format!("{} CANCEL", invite.cseq().0));
        self.caller.send(&cancel).await;
    }

    /// BYE, whose answer may be that there is no such call any more; a BYE that crosses it is answered.
    async fn hang_up(&mut self, call: &mut Call) {
        let bye = call.request(&mut self.caller, "BYE", "");
        self.caller.send(&bye).await;
        loop {
            let is_either = |message: &Message| message.method() == Some("BYE") || is_final("BYE")(message);
            let came = next(&mut self.caller, &call.id, "an end of BYE", is_either).await;
            if came.status().is_some() {
                return;
            }
            self.caller.reply(&came, 200, "").await;
        }
    }
}

/// So many calls, each way in turn.
async fn run(gateway: &Gateway, calls: usize) {
    let mut tick = tokio::time::interval(PACE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tick = Arc::new(Mutex::new(tick));
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let mut sockets = Lane::open(gateway).await;
        let tick = Arc::clone(&tick);
        lanes.spawn(async move {
            for number in (lane..calls).step_by(LANES) {
                tick.lock().await.tick().await;
                sockets.call(WAYS[number / LANES % WAYS.len()]).await;
            }
        });
    }
    lanes.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_calls_that_come_to_nothing_the_process_keeps_nothing() {
    let settings = Settings {
        calls: 5_000,
        // Each pair rests for five seconds.
        ports: Some("21000-31999".to_owned()),
        trunk_lines: "messages_per_second = 100000",
        numbers: "unclaimed = { after_ms = 1000 }".to_owned(),
        ..Settings::default()
    };
    let site = Site::open("leaks", &settings).await;
    // It keeps all that it hears.
    drop(site.router);
    let gateway = site.gateway;
    let (client, events) = Client::connect(&gateway.control()).await.unwrap();
    client.hello("default").await.unwrap();
    let records = Arc::new(AtomicU64::new(0));
    let router = tokio::spawn(route(client, events, Arc::clone(&records)));
    let calls = CALLS * factor() / 2;
    // The first half opens the files that are opened once, and brings memory to its height: what is kept for 32 s after
    // each call.
    run(&gateway, calls).await;
    let at_first = at_rest(&gateway, "the first half").await;
    let (before_kb, journal_kb) = (resident_kb(&gateway), journal_kb_of(&gateway));
    let begun = Instant::now();
    run(&gateway, calls).await;
    let (took, most_kb) = (begun.elapsed(), resident_kb(&gateway));
    let after = at_rest(&gateway, "the second half").await;
    let (after_kb, journal_kb) = (resident_kb(&gateway), journal_kb_of(&gateway) - journal_kb);
    println!(
        "half of {} calls in {took:?}: {at_first:?} before, {after:?} after; resident {before_kb} kB before, {most_kb} kB \
         right after the last call, {after_kb} kB at rest, of which new events {journal_kb} kB",
        calls * 2
    );
    assert_eq!(at_first, after);
    assert!(
        after_kb < before_kb + journal_kb + GROWTH_MAX_KB,
        "{before_kb} kB, then {after_kb} kB"
    );
    assert_eq!(gateway.metric("call_panics_total", ""), 0);
    assert_eq!(
        records.load(Ordering::Relaxed),
        calls as u64 * 2,
        "one record a call"
    );
    router.abort();
}

fn journal_kb_of(gateway: &Gateway) -> u64 {
    gateway.metric("journal_bytes", "") / 1_024
}

/// What is held once nothing changes any more.
async fn at_rest(gateway: &Gateway, what: &str) -> Held {
    let begun = Instant::now();
    loop {
        let held = Held::by(gateway);
        if held.calls + held.ports + held.streams + held.sip.iter().sum::<u64>() == 0 {
            return held;
        }
        assert!(begun.elapsed() < REST, "{what} left {held:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
