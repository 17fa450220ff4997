//! Transfers and redirects with SIPp (flows T19, T41, T42): who is heard before and after, and what goes over the wire.

use std::time::Duration;

use house::wire::{
    AGENT_HZ, AGENTS, CALLER_HZ, CARRIER, Ear, Finished, OUR_NUMBER, Running, Settings, Sipp, Site, now_us,
};
use serde_json::{Value, json};

use crate::script::{Talk, connect, incoming};

const OTHER_HZ: f64 = 1300.0;

/// A customer at the carrier and an agent's phone that talk; each with an ear of the test.
struct Scene {
    site: Site,
    customer: Ear,
    agent: Ear,
    caller: Running,
    phone: Running,
    talk: Talk,
}

async fn site(name: &str, keys: &str) -> Site {
    let settings = Settings {
        agents_keys: keys.to_owned(),
        ..Settings::default()
    };
    Site::open(name, &settings).await
}

impl Scene {
    /// The agent's phone plays `phone`, a scenario of its own.
    async fn open(site: Site, phone: Sipp) -> Self {
        let mut agent = Ear::open(AGENTS);
        let phone = phone.media(agent.address());
        let uri = phone.uri();
        let phone = phone.start(&site.folder).await;
        let mut customer = Ear::open(CARRIER);
        let caller = Sipp::new("caller", CARRIER)
            .to(site.gateway.udp())
            .media(customer.address())
            .start(&site.folder)
            .await;
        let call = incoming(&site.router).await;
        let talk = connect(&site.router, &call, &uri).await;
        customer.speak(CALLER_HZ, caller.gateway_media().await);
        agent.speak(AGENT_HZ, phone.gateway_media().await);
        Scene {
            site,
            customer,
            agent,
            caller,
            phone,
            talk,
        }
    }

    async fn talking(&self) {
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_hears(&self.customer, &[AGENT_HZ], &[OTHER_HZ]);
        assert_hears(&self.agent, &[CALLER_HZ], &[OTHER_HZ]);
    }

    /// Ends the call, and asks both SIPps whether all went as they expect; what the phone saw, and the site whose
    /// folder has it.
    async fn close(self) -> (Site, Finished) {
        self.site
            .router
            .call("call.end", json!({ "call": self.talk.call }))
            .await;
        self.caller.finish().await;
        (self.site, self.phone.finish().await)
    }

    /// How the op of a transfer ended.
    async fn ended(&self, op: &Value) -> Value {
        let is_end = |heard: &house::wire::Heard| heard.is("op.ended") && heard.event["op"] == *op;
        let end = self.site.router.wait(0, "the end of the transfer", is_end).await;
        end.event["data"]["outcome"].clone()
    }

    fn dials(&self) -> usize {
        let heard = self.site.router.heard();
        heard.iter().filter(|heard| heard.is("leg.dialing")).count()
    }
}

fn assert_hears(ear: &Ear, loud: &[f64], silent: &[f64]) {
    let (from, to) = (now_us() - 400_000, now_us());
    for hz in loud {
        let level = ear.level(*hz, from, to);
        assert!(level > 0.15, "{hz} Hz is heard at {level:.3} only");
    }
    for hz in silent {
        let level = ear.level(*hz, from, to);
        assert!(level < 0.01, "{hz} Hz is heard at {level:.3}");
    }
}

/// Somebody else's phone, with the scenario `callee`.
async fn other(site: &Site) -> (Ear, Running, String) {
    let ear = Ear::open(AGENTS);
    let phone = Sipp::new("callee", AGENTS).media(ear.address());
    let uri = phone.uri();
    (ear, phone.start(&site.folder).await, uri)
}

/// A phone that asks by REFER for `to`.
fn refers(scenario: &'static str, to: &str, after_ms: &str) -> Sipp {
    Sipp::new(scenario, AGENTS)
        .fill("refer_to", to)
        .fill("refer_after", after_ms)
        .fill("bye_after", "1500")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t41_a_blind_refer_is_done_when_the_router_says_so_and_told_to_the_final() {
    let site = site("refer-in", "refer_in = \"ask\"").await;
    let (mut ear, callee, to) = other(&site).await;
    let phone = refers("callee_refers", &to, "1500").fill("final", "200");
    let scene = Scene::open(site, phone).await;
    scene.talking().await;
    let router = &scene.site.router;
    let asked = router
        .wait_leg(0, "leg.transfer_requested", &scene.talk.agent)
        .await;
    assert_eq!(asked.event["data"]["to"], json!(to));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(scene.dials(), 1, "nothing is dialled before transfer.accept");
    let accepted = router
        .call("transfer.accept", json!({ "leg": scene.talk.agent }))
        .await;
    assert_eq!(scene.ended(&accepted["op"]).await, "ok");
    ear.speak(OTHER_HZ, callee.gateway_media().await);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_hears(&scene.customer, &[OTHER_HZ], &[AGENT_HZ]);
    assert_hears(&ear, &[CALLER_HZ], &[AGENT_HZ]);
    // The phone has its last NOTIFY and hangs up by itself; the two go on.
    router.wait_leg(0, "leg.ended", &scene.talk.agent).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_hears(&scene.customer, &[OTHER_HZ], &[]);
    let (_site, phone) = scene.close().await;
    callee.finish().await;
    let messages = phone.messages();
    let notifies = messages
        .iter()
        .filter(|(_, text)| text.starts_with("NOTIFY "))
        .count();
    assert_eq!(notifies, 2, "100 and 200: the target did not ring");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t41_a_bad_target_is_told_and_the_old_call_stays() {
    let site = site("refer-bad", "refer_in = \"ask\"").await;
    let nobody = Sipp::new("callee_moved", AGENTS).fill("contacts", "");
    let to = nobody.uri();
    let nobody = nobody.start(&site.folder).await;
    let phone = refers("callee_refers", &to, "300").fill("final", "302");
    let scene = Scene::open(site, phone).await;
    let router = &scene.site.router;
    router
        .wait_leg(0, "leg.transfer_requested", &scene.talk.agent)
        .await;
    let accepted = router
        .call("transfer.accept", json!({ "leg": scene.talk.agent }))
        .await;
    assert_eq!(scene.ended(&accepted["op"]).await, "failed");
    scene.talking().await;
    nobody.finish().await;
    router.wait_leg(0, "leg.ended", &scene.talk.agent).await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t41_by_default_405_and_where_nobody_says_a_word_603() {
    for (keys, status, waits) in [("", "405", 0), ("refer_in = \"ask\"", "603", 10_000)] {
        let site = site("refer-vain", keys).await;
        let phone =
            refers("callee_refers_in_vain", "sip:+19005551234@127.0.0.12", "300").fill("status", status);
        let scene = Scene::open(site, phone).await;
        let router = &scene.site.router;
        router
            .wait_leg(0, "leg.transfer_requested", &scene.talk.agent)
            .await;
        tokio::time::sleep(Duration::from_millis(waits + 300)).await;
        scene.talking().await;
        assert_eq!(scene.dials(), 1);
        let (_site, phone) = scene.close().await;
        let messages = phone.messages();
        let at = |start: &str| {
            messages
                .iter()
                .find(|(_, text)| text.starts_with(start))
                .unwrap()
                .0
        };
        let took_ms = (at(&format!("SIP/2.0 {status}")) - at("REFER ")) / 1000;
        let waits = i64::try_from(waits).unwrap();
        assert!((waits..waits + 300).contains(&took_ms), "{took_ms} ms");
    }
}

const SEND: &str = "refer_out = \"send\"\nreplaces_out = true";

/// The agent's phone is asked by REFER to call `to`.
async fn referred(scenario: &'static str, last: &str) -> (Scene, Ear, Running, Value) {
    let site = site(scenario, SEND).await;
    let (ear, callee, to) = other(&site).await;
    let phone = Sipp::new(scenario, AGENTS)
        .fill("refer_to", &to)
        .fill("final", last)
        .fill("refusal", last);
    let scene = Scene::open(site, phone).await;
    scene.talking().await;
    let blind = json!({ "leg": scene.talk.agent, "to": to });
    let op = scene.site.router.call("transfer.blind", blind).await["op"].clone();
    (scene, ear, callee, op)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t42_after_the_final_notify_the_peer_gets_bye() {
    let (scene, _, callee, op) = referred("callee_referred", "200 OK").await;
    assert_eq!(scene.ended(&op).await, "ok");
    let router = &scene.site.router;
    let end = router.wait_leg(0, "leg.ended", &scene.talk.agent).await;
    assert_eq!(end.event["data"]["reason"], "completed");
    assert_eq!(scene.dials(), 1, "the phone calls, not we");
    scene.close().await;
    drop(callee);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t42_a_final_notify_of_failure_leaves_the_call_as_it_was() {
    let (scene, _, callee, op) = referred("callee_referred", "486 Busy Here").await;
    assert_eq!(scene.ended(&op).await, "failed");
    scene.talking().await;
    scene.close().await;
    drop(callee);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t42_without_any_notify_the_call_is_as_it_was_after_32_s() {
    let (scene, _, callee, op) = referred("callee_referred_silent", "").await;
    assert_eq!(scene.ended(&op).await, "failed");
    scene.talking().await;
    let (_site, phone) = scene.close().await;
    drop(callee);
    let ended_us = phone.message_at_us("BYE ") - phone.message_at_us("SIP/2.0 202");
    assert!(ended_us > 32_000_000, "{ended_us} µs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t42_a_refused_refer_is_bridged_here() {
    for refusal in ["405 Method Not Allowed", "603 Decline"] {
        let (scene, mut ear, callee, op) = referred("callee_referred_refuses", refusal).await;
        assert_eq!(scene.ended(&op).await, "ok");
        ear.speak(OTHER_HZ, callee.gateway_media().await);
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_hears(&scene.agent, &[OTHER_HZ], &[CALLER_HZ]);
        assert_hears(&ear, &[AGENT_HZ], &[CALLER_HZ]);
        scene.close().await;
        callee.finish().await;
    }
}

fn value<'a>(message: &'a str, name: &str) -> &'a str {
    let found = message
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(key, _)| *key == name));
    found
        .unwrap_or_else(|| panic!("no {name} in {message}"))
        .1
        .trim_end()
}

/// `Replaces` of the phone's call, as the gateway knows it.
fn replaces(messages: &[(i64, String)]) -> String {
    let of = |start: &str| {
        &messages
            .iter()
            .find(|(_, text)| text.starts_with(start))
            .unwrap()
            .1
    };
    let tag = |value: &str| value.split(";tag=").nth(1).unwrap().to_owned();
    let (invite, ack) = (of("INVITE "), of("ACK "));
    let (ours, theirs) = (tag(value(invite, "From")), tag(value(ack, "To")));
    format!("{};to-tag={ours};from-tag={theirs}", value(invite, "Call-ID"))
}

/// An INVITE that wants to take the place of a call.
fn replacing(site: &Site, ip: &'static str, replaces: &str) -> Sipp {
    let uri = format!("sip:{OUR_NUMBER}@{}", site.gateway.udp());
    Sipp::new("caller_identity", ip)
        .to(site.gateway.udp())
        .fill("request_uri", &uri)
        .fill("from", &format!("<sip:other@{ip}>"))
        .fill("headers", &format!("Require: replaces\nReplaces: {replaces}\n"))
        .fill("refusal", "481")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t42_replaces_takes_the_place_of_a_dialog_of_its_own_trunk_only() {
    let scene = Scene::open(site("replaces", "").await, Sipp::new("callee", AGENTS)).await;
    scene.talking().await;
    let named = replaces(&scene.phone.messages());
    let stranger = replacing(&scene.site, CARRIER, &named)
        .start(&scene.site.folder)
        .await;
    let stranger = stranger.finish().await;
    let told = stranger.messages();
    assert!(told.iter().any(|(_, text)| text.starts_with("SIP/2.0 481")));
    scene.talking().await;
    let router = &scene.site.router;
    let mut ear = Ear::open(AGENTS);
    let from = router.heard().len();
    let newcomer = replacing(&scene.site, AGENTS, &named)
        .media(ear.address())
        .start(&scene.site.folder)
        .await;
    let call = router
        .wait(from, "the newcomer", |heard| heard.is("leg.incoming"))
        .await;
    assert_eq!(call.event["data"]["replaces"], json!(scene.talk.agent));
    router
        .call("leg.answer", json!({ "leg": call.text("leg") }))
        .await;
    let end = router.wait_leg(from, "leg.ended", &scene.talk.agent).await;
    assert_eq!(end.event["data"]["reason"], "completed");
    ear.speak(OTHER_HZ, newcomer.gateway_media().await);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_hears(&scene.customer, &[OTHER_HZ], &[AGENT_HZ]);
    assert_hears(&ear, &[CALLER_HZ], &[AGENT_HZ]);
    router
        .call("call.end", json!({ "call": call.text("call") }))
        .await;
    newcomer.finish().await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t19_a_302_is_not_followed_and_one_contact_may_be_dialled() {
    let site = site("moved", "redirect = \"ask\"\nhome_country = \"DE\"").await;
    let (mut ear, callee, to) = other(&site).await;
    let contacts = format!("Contact: <sip:+447911123456@127.0.0.12>;q=0.2, <{to}>;q=0.8\n");
    let away = Sipp::new("callee_moved", AGENTS).fill("contacts", &contacts);
    let away_uri = away.uri();
    let away = away.start(&site.folder).await;
    let mut customer = Ear::open(CARRIER);
    let caller = Sipp::new("caller", CARRIER)
        .to(site.gateway.udp())
        .media(customer.address())
        .start(&site.folder)
        .await;
    let router = &site.router;
    let call = incoming(router).await;
    let leg = call.text("leg").to_owned();
    router.call("leg.answer", json!({ "leg": leg })).await;
    let bridge = router.call("bridge.create", json!({ "legs": [leg] })).await["bridge"].clone();
    let dial = |to: &str| json!({ "to": to, "trunk": "agents", "bridge": bridge });
    let dialled = router.call("leg.dial", dial(&away_uri)).await["leg"].clone();
    let end = router.wait_leg(0, "leg.ended", dialled.as_str().unwrap()).await;
    let data = &end.event["data"];
    assert_eq!((&data["sip"], &data["q850"]), (&json!(302), &json!(23)));
    assert_eq!(data["contacts"], json!([to, "sip:+447911123456@127.0.0.12"]));
    away.finish().await;
    let denied = router.ask("leg.dial", dial("sip:+447911123456@127.0.0.12")).await;
    let denied = denied.unwrap_err().to_string();
    assert!(denied.contains("deny_prefix:+447"), "{denied}");
    let dialled = router.call("leg.dial", dial(&to)).await["leg"].clone();
    router
        .wait_leg(0, "leg.answered", dialled.as_str().unwrap())
        .await;
    customer.speak(CALLER_HZ, caller.gateway_media().await);
    ear.speak(OTHER_HZ, callee.gateway_media().await);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_hears(&customer, &[OTHER_HZ], &[]);
    assert_hears(&ear, &[CALLER_HZ], &[]);
    let again = router.ask("leg.dial", dial("sip:+447911123456@127.0.0.12")).await;
    let again = again.unwrap_err().to_string();
    assert!(
        again.contains("rule `deny_prefix") || again.contains("redirects"),
        "{again}"
    );
    router
        .call("call.end", json!({ "call": call.text("call") }))
        .await;
    caller.finish().await;
    let callee = callee.finish().await;
    let invites = callee
        .messages()
        .iter()
        .filter(|(_, text)| text.starts_with("INVITE "))
        .count();
    assert_eq!(invites, 1);
}
