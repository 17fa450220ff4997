//! A carrier that is Kamailio, a stateful proxy in the route of its dialogs: what comes by two paths (T7), forks (T18),
//! moves (T19), dies (T24), is transferred (T42) and registers (T50).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use house::peer::{Call, Message, Peer, media_of};
use house::wire::{
    AGENT_HZ, AGENTS, CALLER_HZ, CARRIER, Ear, Folder, Heard, Kamailio, OUR_NUMBER, Router, Running,
    Settings, Sipp, Site, now_us, until,
};
use serde_json::{Value, json};

use crate::script::{connect, ended, incoming, ports_are_free};

/// Where the proxies' signalling comes from.
pub const PROXIES: [&str; 2] = ["127.0.0.13", "127.0.0.14"];
/// A number behind the proxy.
pub const NUMBER: &str = "+81398765432";
const OTHER_HZ: f64 = 1_700.0;

/// A gateway whose carrier is these proxies, with further keys.
pub async fn open(name: &str, proxies: &[&Kamailio], keys: &str) -> Site {
    let hosts: Vec<_> = proxies.iter().map(|proxy| proxy.address().to_string()).collect();
    let settings = Settings {
        carrier_hosts: PROXIES.map(str::to_owned).to_vec(),
        carrier_keys: format!("hosts = {hosts:?}\noptions_interval_s = 0\ntimer_b_ms = 1000\n{keys}"),
        ..Settings::default()
    };
    Site::open(name, &settings).await
}

/// A phone of the carrier's behind a proxy that is not there yet.
pub async fn phone() -> Peer {
    Peer::open(CARRIER, ([127, 0, 0, 1], 9).into()).await
}

/// Who sent it: the proxy, or the gateway itself.
fn sender(invite: &Message) -> SocketAddr {
    let via = invite.value("Via").strip_prefix("SIP/2.0/UDP ");
    let address = via.and_then(|rest| rest.split(';').next());
    address.expect("a Via over UDP").parse().unwrap()
}

/// The route set of whom this INVITE called (RFC 3261 §12.1.1).
fn routed(message: &Message, request: Message) -> Message {
    message
        .values("Record-Route")
        .fold(request, |request, route| request.with("Route", route))
}

/// Answers with SDP at this ear.
async fn answer(peer: &Peer, invite: &Message, status: u16, tag: &str, ear: &Ear) {
    let answer = peer.answer(invite, status, tag);
    let mut answer = answer.with("Content-Type", "application/sdp");
    answer.body = Call::of(invite).sdp(ear.address(), "");
    peer.send(&answer).await;
}

pub fn assert_hears(ear: &Ear, loud: &[f64], silent: &[f64]) {
    let level = |hz| ear.level(hz, now_us() - 400_000, now_us());
    for hz in loud {
        assert!(level(*hz) > 0.15, "{hz} Hz is heard at {:.3} only", level(*hz));
    }
    for hz in silent {
        assert!(level(*hz) < 0.01, "{hz} Hz is heard at {:.3}", level(*hz));
    }
}

/// An agent of ours that talks to whoever is dialled for it; it came in as a call of its own.
pub struct Scene {
    pub site: Site,
    pub agent: Ear,
    pub caller: Running,
    call: Heard,
    bridge: Value,
}

impl Scene {
    pub async fn open(site: Site) -> Self {
        let mut agent = Ear::open(AGENTS);
        let caller = Sipp::new("caller", AGENTS)
            .to(site.gateway.udp())
            .media(agent.address())
            .start(&site.folder)
            .await;
        let call = incoming(&site.router).await;
        let leg = call.text("leg");
        site.router.call("leg.answer", json!({ "leg": leg })).await;
        let created = site.router.call("bridge.create", json!({ "legs": [leg] })).await;
        agent.speak(AGENT_HZ, caller.gateway_media().await);
        Scene {
            bridge: created["bridge"].clone(),
            site,
            agent,
            caller,
            call,
        }
    }

    pub async fn dial(&self, to: &str) -> String {
        let dial = json!({ "to": to, "trunk": "carrier", "bridge": self.bridge });
        let dialled = self.site.router.call("leg.dial", dial).await;
        dialled["leg"].as_str().unwrap().to_owned()
    }

    /// Answers what the phone is asked, and lets both talk and hear each other.
    pub async fn talks(&self, phone: &mut Peer, leg: &str, hz: f64) -> (Message, Ear) {
        let invite = phone.request("INVITE").await;
        phone.gateway = sender(&invite);
        let mut ear = Ear::open(CARRIER);
        answer(phone, &invite, 200, "peer", &ear).await;
        phone.request("ACK").await;
        self.site.router.wait_leg(0, "leg.answered", leg).await;
        ear.speak(hz, media_of(&invite));
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_hears(&ear, &[AGENT_HZ], &[hz]);
        assert_hears(&self.agent, &[hz], &[AGENT_HZ]);
        (invite, ear)
    }

    /// Ends the call; whoever is left gets a BYE through the proxy.
    pub async fn close(self, left: Option<&mut Peer>) -> Site {
        let end = json!({ "call": self.call.text("call") });
        self.site.router.call("call.end", end).await;
        if let Some(peer) = left {
            let bye = peer.request("BYE").await;
            peer.reply(&bye, 200, "").await;
        }
        self.caller.finish().await;
        // A refused dial has a record of its own.
        let is_record =
            |heard: &Heard| heard.is("call.record") && heard.text("call") == self.call.text("call");
        self.site.router.wait(0, "the record", is_record).await;
        ports_are_free(&self.site).await;
        let heard = self.site.router.heard();
        assert_eq!(heard.iter().filter(|heard| is_record(heard)).count(), 1);
        self.site
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t7_an_invite_that_kamailio_sends_by_two_paths_is_one_call_that_both_hear() {
    let folder = Folder::new("two-paths");
    let proxy = Kamailio::start(&folder, PROXIES[0], "append_branch();\n\tt_relay();").await;
    let site = open("two-paths", &[&proxy], "").await;
    let agent = Sipp::new("callee", AGENTS);
    let uri = agent.uri();
    let agent = agent.start(&site.folder).await;
    let mut peer = Peer::open(CARRIER, proxy.address()).await;
    let mut ear = Ear::open(CARRIER);
    let mut call = Call::to(&mut peer, OUR_NUMBER);
    call.target = format!("sip:{OUR_NUMBER}@{}", site.gateway.udp());
    let sdp = call.sdp(ear.address(), "");
    let invite = call.request(&mut peer, "INVITE", &sdp);
    peer.send(&invite).await;
    let come = incoming(&site.router).await;
    let talk = connect(&site.router, &come, &uri).await;
    let ok = peer.finally("INVITE").await;
    assert_eq!(ok.status(), Some(200), "one path is told 482, and the other wins");
    assert_eq!(ok.values("Record-Route").count(), 1);
    call.joined(&ok);
    let ack = call.numbered(&mut peer, "ACK", 1, "");
    peer.send(&routed(&ok, ack)).await;
    // The agent's phone sends back all that it hears.
    ear.speak(CALLER_HZ, media_of(&ok));
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_hears(&ear, &[CALLER_HZ], &[AGENT_HZ]);
    let bye = call.request(&mut peer, "BYE", "");
    peer.send(&routed(&ok, bye)).await;
    peer.response(200, "BYE").await;
    assert_eq!(ended(&site.router, &talk.caller).await["by"], "peer");
    site.router.call("call.end", json!({ "call": talk.call })).await;
    agent.finish().await;
    let heard = site.router.heard();
    let count = |kind: &str| heard.iter().filter(|heard| heard.is(kind)).count();
    assert_eq!((count("leg.incoming"), count("call.refused")), (1, 0));
    ports_are_free(&site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_of_two_phones_behind_kamailio_the_first_200_is_heard_and_the_second_gets_bye() {
    let folder = Folder::new("forks");
    let (mut slow, mut fast) = (phone().await, phone().await);
    let calls = format!(
        "$ru = \"sip:slow@{}\";\n\tappend_branch(\"sip:fast@{}\");\n\tt_relay();",
        slow.address(),
        fast.address()
    );
    let proxy = Kamailio::start(&folder, PROXIES[0], &calls).await;
    (slow.gateway, fast.gateway) = (proxy.address(), proxy.address());
    let scene = Scene::open(open("forks", &[&proxy], "").await).await;
    let leg = scene.dial(NUMBER).await;
    let (to_slow, to_fast) = (slow.request("INVITE").await, fast.request("INVITE").await);
    let (slow_ear, mut ear) = (Ear::open(CARRIER), Ear::open(CARRIER));
    answer(&slow, &to_slow, 183, "slow", &slow_ear).await;
    scene.site.router.wait_leg(0, "leg.ringing", &leg).await;
    answer(&fast, &to_fast, 183, "fast", &ear).await;
    answer(&fast, &to_fast, 200, "fast", &ear).await;
    fast.request("ACK").await;
    // The proxy cancels the other, whose 200 is on its way.
    let cancel = slow.request("CANCEL").await;
    answer(&slow, &to_slow, 200, "slow", &slow_ear).await;
    slow.reply(&cancel, 200, "").await;
    slow.request("ACK").await;
    let bye = slow.request("BYE").await;
    slow.reply(&bye, 200, "").await;
    ear.speak(CALLER_HZ, media_of(&to_fast));
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_hears(&ear, &[AGENT_HZ], &[CALLER_HZ]);
    assert_hears(&scene.agent, &[CALLER_HZ], &[AGENT_HZ]);
    assert_hears(&slow_ear, &[], &[AGENT_HZ]);
    let site = scene.close(Some(&mut fast)).await;
    let heard = site.router.heard();
    let answered = heard
        .iter()
        .filter(|heard| heard.is("leg.answered") && heard.text("leg") == leg);
    assert_eq!(answered.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t19_contacts_of_kamailios_302_are_told_and_one_is_dialled_and_heard() {
    let folder = Folder::new("moves");
    let mut there = phone().await;
    let to = format!("sip:there@{}", there.address());
    let denied = "sip:+447911123456@127.0.0.11";
    let calls = format!(
        "$ru = \"{to}\";\n\tappend_branch(\"{denied}\", \"0.2\");\n\tsl_send_reply(\"302\", \"Moved Temporarily\");"
    );
    let proxy = Kamailio::start(&folder, PROXIES[0], &calls).await;
    let keys = "redirect = \"ask\"\nhome_country = \"DE\"";
    let scene = Scene::open(open("moves", &[&proxy], keys).await).await;
    let leg = scene.dial(NUMBER).await;
    let end = ended(&scene.site.router, &leg).await;
    assert_eq!(end["sip"], 302, "{end}");
    assert_eq!(end["contacts"], json!([to, denied]), "{end}");
    there
        .hears_no("INVITE", Duration::from_millis(300), |message| {
            message.method() == Some("INVITE")
        })
        .await;
    let refused = json!({ "to": denied, "trunk": "carrier", "bridge": scene.bridge });
    let refused = scene.site.router.ask("leg.dial", refused).await.unwrap_err();
    assert!(refused.to_string().contains("deny_prefix:+447"), "{refused}");
    let leg = scene.dial(&to).await;
    let (_, ear) = scene.talks(&mut there, &leg, CALLER_HZ).await;
    scene.close(Some(&mut there)).await;
    drop(ear);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_when_a_kamailio_dies_or_is_silent_new_calls_go_by_the_other_and_the_call_that_is_up_ends() {
    let folder = Folder::new("fails-over");
    let mut there = phone().await;
    let calls = format!("$du = \"sip:{}\";\n\tt_relay();", there.address());
    for dies in [true, false] {
        let first = Kamailio::start(&folder, PROXIES[0], &calls).await;
        let second = Kamailio::start(&folder, PROXIES[1], &calls).await;
        let scene = Scene::open(open("fails-over", &[&first, &second], "").await).await;
        let leg = scene.dial(NUMBER).await;
        let (invite, ear) = scene.talks(&mut there, &leg, CALLER_HZ).await;
        // The one that took it, of two that are alike.
        let is_its = |proxy: &Kamailio| {
            let its = proxy.address().to_string();
            invite.value("Record-Route").contains(&its)
        };
        let (mut gone, left) = if is_its(&first) {
            (first, second)
        } else {
            (second, first)
        };
        assert!(is_its(&gone) && !is_its(&left), "{invite:?}");
        if dies {
            drop(gone);
        } else {
            gone.pause();
        }
        // What is up goes on without the proxy.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_hears(&ear, &[AGENT_HZ], &[CALLER_HZ]);
        let asked = Instant::now();
        let leg = scene.dial(NUMBER).await;
        let (invite, _ear) = scene.talks(&mut there, &leg, OTHER_HZ).await;
        println!(
            "dies: {dies}; the next call is up and heard after {:?}",
            asked.elapsed()
        );
        let by = left.address().to_string();
        assert!(invite.value("Record-Route").contains(&by), "{invite:?}");
        // Nothing for a host that says it is not there, timer B for a silent one; the listening takes 900 ms.
        let limit = if dies { 1_900 } else { 2_900 };
        assert!(asked.elapsed() < Duration::from_millis(limit));
        let site = &scene.site;
        let end = json!({ "call": scene.call.text("call") });
        site.router.call("call.end", end).await;
        // The second call's BYE goes through; the first one's has nobody to go to, and its leg ends all the same.
        let bye = there.request("BYE").await;
        there.reply(&bye, 200, "").await;
        scene.caller.finish().await;
        site.router
            .wait(0, "the record", |heard| heard.is("call.record"))
            .await;
        ports_are_free(site).await;
        there.forget();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t42_a_phone_behind_kamailio_is_referred_by_the_route_of_its_dialog() {
    let folder = Folder::new("refers");
    let mut there = phone().await;
    let calls = format!("$du = \"sip:{}\";\n\tt_relay();", there.address());
    let proxy = Kamailio::start(&folder, PROXIES[0], &calls).await;
    let keys = "refer_out = \"send\"";
    let scene = Scene::open(open("refers", &[&proxy], keys).await).await;
    let leg = scene.dial(NUMBER).await;
    let (invite, ear) = scene.talks(&mut there, &leg, CALLER_HZ).await;
    let router = &scene.site.router;
    let blind = json!({ "leg": leg, "to": "+81311112222" });
    let op = router.call("transfer.blind", blind).await["op"].clone();
    let refer = there.request("REFER").await;
    assert!(refer.value("Refer-To").contains("+81311112222"), "{refer:?}");
    assert_eq!(refer.values("Via").count(), 2, "it came by the proxy");
    there.reply(&refer, 202, "").await;
    let mut call = Call::of(&invite);
    for (state, line) in [
        ("active;expires=60", "SIP/2.0 100 Trying"),
        ("terminated;reason=noresource", "SIP/2.0 200 OK"),
    ] {
        let notify = call.request(&mut there, "NOTIFY", "");
        let mut notify = routed(&invite, notify)
            .with("Event", "refer")
            .with("Subscription-State", state)
            .with("Content-Type", "message/sipfrag;version=2.0");
        notify.body = format!("{line}\r\n");
        there.send(&notify).await;
        there.response(200, "NOTIFY").await;
    }
    let bye = there.request("BYE").await;
    there.reply(&bye, 200, "").await;
    let is_end = |heard: &Heard| heard.is("op.ended") && heard.event["op"] == op;
    let end = router.wait(0, "the end of the transfer", is_end).await;
    assert_eq!(end.event["data"]["outcome"], "ok", "{}", end.event);
    assert_eq!(ended(router, &leg).await["reason"], "completed");
    scene.close(None).await;
    drop(ear);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t42_an_invite_with_replaces_through_kamailio_takes_the_place_and_is_heard() {
    let folder = Folder::new("replaces");
    let mut there = phone().await;
    let calls = format!(
        "if ($rU == \"{NUMBER}\") {{\n\t\t$du = \"sip:{}\";\n\t}}\n\tt_relay();",
        there.address()
    );
    let proxy = Kamailio::start(&folder, PROXIES[0], &calls).await;
    let scene = Scene::open(open("replaces", &[&proxy], "").await).await;
    let leg = scene.dial(NUMBER).await;
    let (invite, old_ear) = scene.talks(&mut there, &leg, CALLER_HZ).await;
    let mut newcomer = Peer::open(CARRIER, proxy.address()).await;
    let mut ear = Ear::open(CARRIER);
    let mut call = Call::to(&mut newcomer, OUR_NUMBER);
    call.target = format!("sip:{OUR_NUMBER}@{}", scene.site.gateway.udp());
    let sdp = call.sdp(ear.address(), "");
    let named = format!(
        "{};to-tag={};from-tag=peer",
        invite.value("Call-ID"),
        invite.tag("From")
    );
    let wish = call
        .request(&mut newcomer, "INVITE", &sdp)
        .with("Require", "replaces")
        .with("Replaces", named);
    let router = &scene.site.router;
    let from = router.place();
    newcomer.send(&wish).await;
    let come = router
        .wait(from, "the newcomer", |heard| heard.is("leg.incoming"))
        .await;
    assert_eq!(come.event["data"]["replaces"], json!(leg));
    router
        .call("leg.answer", json!({ "leg": come.text("leg") }))
        .await;
    let ok = newcomer.response(200, "INVITE").await;
    call.joined(&ok);
    let ack = call.numbered(&mut newcomer, "ACK", 1, "");
    newcomer.send(&routed(&ok, ack)).await;
    let bye = there.request("BYE").await;
    there.reply(&bye, 200, "").await;
    ear.speak(OTHER_HZ, media_of(&ok));
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_hears(&ear, &[AGENT_HZ], &[OTHER_HZ]);
    assert_hears(&scene.agent, &[OTHER_HZ], &[CALLER_HZ]);
    assert_hears(&old_ear, &[], &[OTHER_HZ]);
    router
        .call("call.end", json!({ "call": come.text("call") }))
        .await;
    let bye = newcomer.request("BYE").await;
    newcomer.reply(&bye, 200, "").await;
    router
        .call("call.end", json!({ "call": scene.call.text("call") }))
        .await;
    scene.caller.finish().await;
    ports_are_free(&scene.site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t50_the_gateway_registers_at_kamailio_with_digest_and_is_called_until_it_drains() {
    let folder = Folder::new("registers");
    let calls = "if (!lookup(\"location\")) {\n\t\tsl_send_reply(\"404\", \"Not Found\");\n\t\texit;\n\t}\n\tt_relay();";
    let proxy = Kamailio::start(&folder, PROXIES[0], calls).await;
    let settings = Settings {
        carrier_hosts: PROXIES.map(str::to_owned).to_vec(),
        carrier_keys: format!(
            "hosts = [\"{}\"]\noptions_interval_s = 0\nregister = true\nregister_expires_s = 120\n\
             auth = {{ username = \"bert\", password_file = \"password\", realm = \"kamailio.test\" }}",
            proxy.address()
        ),
        numbers: "[[number]]\nmatch = \"*\"".to_owned(),
        secrets: vec![("password", "secret\n".to_owned())],
        ..Settings::default()
    };
    let site = Site::open("registers", &settings).await;
    let router: &Router = &site.router;
    let is_registered = |wanted: u64| {
        let registered = site.gateway.metric("trunk_registered", "trunk=\"carrier\"");
        (registered == wanted).then_some(())
    };
    until("the registration", Duration::from_secs(20), || is_registered(1)).await;
    let agent = Sipp::new("callee", AGENTS);
    let uri = agent.uri();
    let agent = agent.start(&site.folder).await;
    let mut peer = Peer::open(CARRIER, proxy.address()).await;
    let mut ear = Ear::open(CARRIER);
    let mut call = Call::to(&mut peer, "bert");
    call.target = format!("sip:bert@{}", proxy.address());
    let sdp = call.sdp(ear.address(), "");
    let invite = call.request(&mut peer, "INVITE", &sdp);
    peer.send(&invite).await;
    let come = incoming(router).await;
    let talk = connect(router, &come, &uri).await;
    let ok = peer.response(200, "INVITE").await;
    call.joined(&ok);
    let ack = call.numbered(&mut peer, "ACK", 1, "");
    peer.send(&routed(&ok, ack)).await;
    ear.speak(CALLER_HZ, media_of(&ok));
    tokio::time::sleep(Duration::from_millis(900)).await;
    // The agent's phone sends back all that it hears.
    assert_hears(&ear, &[CALLER_HZ], &[AGENT_HZ]);
    router.call("call.end", json!({ "call": talk.call })).await;
    let bye = peer.request("BYE").await;
    peer.reply(&bye, 200, "").await;
    agent.finish().await;

    router.call("drain.start", json!({})).await;
    router.wait(0, "the drain", |heard| heard.is("drain.done")).await;
    until("the end of the registration", Duration::from_secs(5), || {
        is_registered(0)
    })
    .await;
    let mut late = Call::to(&mut peer, "bert");
    late.target = format!("sip:bert@{}", proxy.address());
    let invite = late.request(&mut peer, "INVITE", &sdp);
    peer.send(&invite).await;
    let refused = peer.finally("INVITE").await;
    assert_eq!(refused.status(), Some(404), "the proxy knows of nobody any more");
}
