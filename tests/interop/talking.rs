//! What a peer does in the middle of a talk: flows T35 to T38 and T43.

use std::time::Duration;

use house::peer::{Call, Message, Peer, media_of};
use house::wire::{CALLER_HZ, CARRIER, Ear, Heard, MUSIC_HZ, OUR_NUMBER, Settings, Site, now_us};
use serde_json::{Value, json};

use crate::script::{ended, incoming, ports_are_free};

const AUDIBLE: f64 = 0.05;

/// A peer that called us and is answered, with an ear that hears a steady tone of ours.
struct Talk {
    site: Site,
    peer: Peer,
    call: Call,
    ear: Ear,
    leg: String,
    answer: Message,
}

impl Talk {
    async fn open(name: &str, carrier_keys: &str) -> Self {
        let settings = Settings {
            carrier_keys: carrier_keys.to_owned(),
            ..Settings::default()
        };
        let site = Site::open(name, &settings).await;
        let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
        let mut call = Call::to(&mut peer, OUR_NUMBER);
        let mut ear = Ear::open(CARRIER);
        let sdp = call.sdp(ear.address(), "");
        let router = site.router.clone();
        let taking = async {
            let leg = incoming(&router).await.text("leg").to_owned();
            router.call("leg.answer", json!({ "leg": leg })).await;
            leg
        };
        let (answer, leg) = tokio::join!(call.up(&mut peer, &sdp), taking);
        ear.speak(CALLER_HZ, media_of(&answer));
        Talk {
            site,
            peer,
            call,
            ear,
            leg,
            answer,
        }
    }

    async fn command(&self, method: &str, more: Value) -> Value {
        let mut params = json!({ "leg": self.leg });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.site.router.call(method, params).await
    }

    /// Packets and the level of music in the next 300 ms.
    async fn hears(&self) -> (usize, f64) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let from_us = now_us();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let heard = self.ear.heard(from_us, now_us());
        (heard.len(), self.ear.level(MUSIC_HZ, from_us, now_us()))
    }

    async fn told(&self, from: usize, event: &str) {
        self.site.router.wait_leg(from, event, &self.leg).await;
    }

    /// The peer hangs up; there is one record, of a whole call.
    async fn end(mut self) {
        self.call.bye(&mut self.peer).await;
        let end = ended(&self.site.router, &self.leg).await;
        assert_eq!(end["reason"], "completed", "{end}");
        one_record(&self.site).await;
    }
}

async fn one_record(site: &Site) {
    site.router
        .wait(0, "the record", |heard| heard.is("call.record"))
        .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let heard = site.router.heard();
    assert_eq!(heard.iter().filter(|heard| heard.is("call.record")).count(), 1);
    ports_are_free(site).await;
}

fn line<'a>(message: &'a Message, prefix: &str) -> &'a str {
    let found = message.body.lines().find(|line| line.starts_with(prefix));
    found.unwrap_or_else(|| panic!("no {prefix} in {}", message.body))
}

/// The version in `o=`.
fn version(message: &Message) -> u64 {
    line(message, "o=").split(' ').nth(2).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_every_hold_of_the_peer_has_its_answer_and_resume_restores() {
    let mut talk = Talk::open("far hold", "media_timeout_s = 5").await;
    // Music of our own hold is what the peer may hear, where it may hear anything.
    talk.command("leg.hold", json!({})).await;
    assert!(talk.hears().await.1 > AUDIBLE);
    for (offer, answer, hears) in [
        ("a=sendonly\r\n", "a=recvonly", false),
        ("a=inactive\r\n", "a=inactive", false),
        ("a=recvonly\r\n", "a=sendonly", true),
        ("0.0.0.0", "a=", false),
    ] {
        let from = talk.site.router.place();
        let sdp = match offer {
            "0.0.0.0" => {
                let sdp = talk.call.sdp(talk.ear.address(), "");
                sdp.replace(&format!("c=IN IP4 {CARRIER}"), "c=IN IP4 0.0.0.0")
            }
            lines => talk.call.sdp(talk.ear.address(), lines),
        };
        let answered = talk.call.reinvite(&mut talk.peer, &sdp).await;
        assert_eq!(answered.status(), Some(200), "{offer}");
        let direction = answered
            .body
            .lines()
            .find(|line| ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"].contains(line));
        if offer == "0.0.0.0" {
            assert!(
                direction.is_none_or(|line| line != "a=sendrecv"),
                "{}",
                answered.body
            );
        } else {
            assert_eq!(direction, Some(answer), "{offer}");
        }
        talk.told(from, "leg.far_held").await;
        let (packets, music) = talk.hears().await;
        assert_eq!(music > AUDIBLE, hears, "{offer}: {packets} packets, {music}");
        if !hears {
            assert_eq!(packets, 0, "{offer}");
        }
        let sdp = talk.call.sdp(talk.ear.address(), "a=sendrecv\r\n");
        let from = talk.site.router.place();
        let resumed = talk.call.reinvite(&mut talk.peer, &sdp).await;
        assert_eq!(line(&resumed, "a=sendrecv"), "a=sendrecv");
        talk.told(from, "leg.far_resumed").await;
        assert!(talk.hears().await.1 > AUDIBLE, "after {offer}");
    }
    talk.command("leg.resume", json!({})).await;
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_a_peer_that_holds_us_in_silence_is_not_timed_out_and_one_that_talks_is() {
    let mut talk = Talk::open("silent hold", "media_timeout_s = 5").await;
    let sdp = talk.call.sdp(talk.ear.address(), "a=inactive\r\n");
    talk.call.reinvite(&mut talk.peer, &sdp).await;
    talk.ear = Ear::open(CARRIER);
    let silent = talk.peer.address();
    talk.peer
        .hears_no("a BYE", Duration::from_millis(6_500), |message| {
            message.method() == Some("BYE")
        })
        .await;
    let sdp = talk.call.sdp(talk.ear.address(), "a=sendrecv\r\n");
    talk.call.reinvite(&mut talk.peer, &sdp).await;
    let (_, bye) = talk
        .peer
        .take("BYE", |message| message.method() == Some("BYE"))
        .await;
    assert_eq!(bye.value("Reason"), "Q.850;cause=102", "{silent}");
    talk.peer.reply(&bye, 200, "").await;
    assert_eq!(
        ended(&talk.site.router, &talk.leg).await["reason"],
        "media_timeout"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_our_hold_is_told_in_the_trunks_style_and_one_refused_holds_here_only() {
    for (style, direction, hears) in [
        ("sendonly", "a=sendonly", true),
        ("inactive", "a=inactive", false),
    ] {
        let mut talk = Talk::open("our hold", &format!("hold = \"{style}\"")).await;
        let before = version(&talk.answer);
        let signal = json!({ "signal": true });
        talk.command("leg.hold", signal.clone()).await;
        let offer = talk.peer.request("INVITE").await;
        assert_eq!(line(&offer, direction), direction);
        assert_eq!(version(&offer), before + 1);
        let agreed = if hears { "a=recvonly\r\n" } else { "a=inactive\r\n" };
        let sdp = talk.call.sdp(talk.ear.address(), agreed);
        talk.peer.reply(&offer, 200, &sdp).await;
        talk.peer.request("ACK").await;
        let (packets, music) = talk.hears().await;
        assert_eq!(music > AUDIBLE, hears, "{style}");
        assert_eq!(packets > 0, hears, "{style}");

        talk.command("leg.resume", signal.clone()).await;
        let offer = talk.peer.request("INVITE").await;
        assert_eq!(line(&offer, "a=sendrecv"), "a=sendrecv");
        assert_eq!(version(&offer), before + 2);
        let sdp = talk.call.sdp(talk.ear.address(), "a=sendrecv\r\n");
        talk.peer.reply(&offer, 200, &sdp).await;
        talk.peer.request("ACK").await;

        // Refused: held here, and the peer goes on to hear the music.
        let asked = talk.command("leg.hold", signal.clone()).await;
        let offer = talk.peer.request("INVITE").await;
        talk.peer.reply(&offer, 488, "").await;
        talk.peer.request("ACK").await;
        let router = talk.site.router.clone();
        let is_its = |heard: &Heard| heard.is("op.ended") && heard.event["op"] == asked["op"];
        let op = router.wait(0, "the op's end", is_its).await;
        assert_eq!(op.event["data"]["outcome"], "failed", "{}", op.event);
        assert!(talk.hears().await.1 > AUDIBLE, "{style}");
        let held = json!({ "leg": talk.leg });
        router.call("leg.resume", held).await;
        talk.peer
            .hears_no("an INVITE", Duration::from_millis(300), |message| {
                message.method() == Some("INVITE")
            })
            .await;
        talk.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t37_a_session_may_change_in_every_part_and_a_refused_change_leaves_it() {
    let mut talk = Talk::open("changes", "codecs = [\"PCMU\", \"PCMA\"]").await;
    talk.command("leg.hold", json!({})).await;
    assert!(talk.hears().await.1 > AUDIBLE);
    // The law.
    let mut law = Ear::open(CARRIER);
    let a_law = talk.call.sdp_of(talk.ear.address(), "8 101", "");
    let answered = talk.call.reinvite(&mut talk.peer, &a_law).await;
    assert!(
        line(&answered, "m=audio").contains(" RTP/AVP 8"),
        "{}",
        answered.body
    );
    // Back, at another port, with another number for events.
    let moved = talk.call.sdp_of(
        law.address(),
        "0 96",
        "a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n",
    );
    let answered = talk.call.reinvite(&mut talk.peer, &moved).await;
    assert!(
        line(&answered, "m=audio").ends_with(" RTP/AVP 0 96"),
        "{}",
        answered.body
    );
    assert_eq!(line(&answered, "a=rtpmap:96"), "a=rtpmap:96 telephone-event/8000");
    law.speak(CALLER_HZ, media_of(&talk.answer));
    let left = std::mem::replace(&mut talk.ear, law);
    assert!(talk.hears().await.1 > AUDIBLE, "at the new port");
    let now = now_us();
    assert_eq!(left.heard(now - 200_000, now).len(), 0, "at the old one");
    drop(left);

    // What cannot be: no common codec; T.38 alone; then the same beside audio, where it alone is refused.
    let version_before = version(&answered);
    let foreign = talk.call.sdp_of(talk.ear.address(), "18", "");
    let refused = talk.call.reinvite(&mut talk.peer, &foreign).await;
    assert_eq!(refused.status(), Some(488));
    assert!(refused.value("Warning").starts_with("30"), "{refused:?}");
    let port = talk.ear.address().port();
    let image = "m=image 30000 udptl t38\r\na=T38FaxVersion:0\r\n";
    let audio = talk.call.sdp(talk.ear.address(), "");
    let (head, _) = audio.split_once("m=audio").unwrap();
    let fax = format!("{head}{image}");
    let refused = talk.call.reinvite(&mut talk.peer, &fax).await;
    assert_eq!(refused.status(), Some(488));
    assert!(talk.hears().await.1 > AUDIBLE, "as before at {port}");
    let both = talk.call.sdp(talk.ear.address(), image);
    let answered = talk.call.reinvite(&mut talk.peer, &both).await;
    assert_eq!(answered.status(), Some(200));
    assert!(
        line(&answered, "m=image").starts_with("m=image 0 "),
        "{}",
        answered.body
    );
    assert!(version(&answered) > version_before);
    assert!(talk.hears().await.1 > AUDIBLE);
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t38_offers_that_meet_get_491_and_both_are_settled_in_the_end() {
    let mut talk = Talk::open("glare", "").await;
    let signal = json!({ "signal": true });
    for method in ["INVITE", "UPDATE"] {
        // Ours is open when theirs comes: 491 for it, whichever way it comes.
        talk.command("leg.hold", signal.clone()).await;
        let ours = talk.peer.request("INVITE").await;
        let sdp = talk.call.sdp(talk.ear.address(), "a=sendrecv\r\n");
        let theirs = talk.call.request(&mut talk.peer, method, &sdp);
        talk.peer.send(&theirs).await;
        let answer = talk.peer.finally(method).await;
        assert_eq!(answer.status(), Some(491), "{method}");
        if method == "INVITE" {
            talk.call
                .acknowledge_refusal(&mut talk.peer, &theirs, &answer)
                .await;
        }
        // Theirs says the same of ours: RFC 3261 §14.1, 0 to 2 s as they made the Call-ID.
        talk.peer.reply(&ours, 491, "").await;
        let met_us = now_us();
        talk.peer.request("ACK").await;
        let (again_us, again) = talk
            .peer
            .take("INVITE", |message| message.method() == Some("INVITE"))
            .await;
        let waited_ms = (again_us - met_us) / 1_000;
        println!("{method}: ours came again after {waited_ms} ms");
        assert!((0..=2_050).contains(&waited_ms));
        assert_eq!(line(&again, "a=sendonly"), "a=sendonly");
        let sdp = talk.call.sdp(talk.ear.address(), "a=recvonly\r\n");
        talk.peer.reply(&again, 200, &sdp).await;
        talk.peer.request("ACK").await;
        talk.command("leg.resume", signal.clone()).await;
        let resume = talk.peer.request("INVITE").await;
        let sdp = talk.call.sdp(talk.ear.address(), "a=sendrecv\r\n");
        talk.peer.reply(&resume, 200, &sdp).await;
        talk.peer.request("ACK").await;
        // Theirs again, now that nothing is open.
        let sdp = talk.call.sdp(talk.ear.address(), "a=sendrecv\r\n");
        let theirs = talk.call.request(&mut talk.peer, method, &sdp);
        talk.peer.send(&theirs).await;
        let answer = talk.peer.finally(method).await;
        assert_eq!(answer.status(), Some(200), "{method}");
        if method == "INVITE" {
            talk.call.acknowledge(&mut talk.peer, &answer, "").await;
        }
    }
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t38_who_made_the_call_waits_2_1_to_4_s() {
    let site = Site::open("glare out", &Settings::default()).await;
    let mut agent = Peer::open(house::wire::AGENTS, site.gateway.udp()).await;
    let params = json!({ "to": agent.uri(), "trunk": "agents" });
    let dialled = site.router.call("leg.dial", params).await;
    let leg = dialled["leg"].as_str().unwrap();
    let invite = agent.request("INVITE").await;
    let mut call = Call::of(&invite);
    let ear = Ear::open(house::wire::AGENTS);
    let sdp = call.sdp(ear.address(), "");
    agent.reply(&invite, 200, &sdp).await;
    agent.request("ACK").await;
    site.router.wait_leg(0, "leg.answered", leg).await;
    site.router
        .call("leg.hold", json!({ "leg": leg, "signal": true }))
        .await;
    let ours = agent.request("INVITE").await;
    agent.reply(&ours, 491, "").await;
    let met_us = now_us();
    agent.request("ACK").await;
    let (again_us, again) = agent
        .take("INVITE", |message| message.method() == Some("INVITE"))
        .await;
    let waited_ms = (again_us - met_us) / 1_000;
    println!("ours came again after {waited_ms} ms");
    assert!((2_090..=4_050).contains(&waited_ms), "{waited_ms}");
    let sdp = call.sdp(ear.address(), "a=recvonly\r\n");
    agent.reply(&again, 200, &sdp).await;
    agent.request("ACK").await;
    call.bye(&mut agent).await;
    assert_eq!(ended(&site.router, leg).await["reason"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t43_byes_that_cross_lost_dialogs_and_odd_requests() {
    let mut talk = Talk::open("odd", "").await;
    for (method, statuses) in [
        ("OPTIONS", &[200][..]),
        ("MESSAGE", &[405, 415]),
        ("SUBSCRIBE", &[405, 489]),
        ("INFO", &[415]),
        ("REFER", &[405, 603]),
        ("NOTIFY", &[481, 489]),
        ("FROBNICATE", &[405, 501]),
    ] {
        let mut request = talk.call.request(&mut talk.peer, method, "");
        if method == "SUBSCRIBE" || method == "NOTIFY" {
            request = request
                .with("Event", "refer")
                .with("Subscription-State", "active");
        }
        if method == "INFO" {
            request = request.with("Content-Type", "text/odd");
            request.body = "odd".to_owned();
        }
        if method == "REFER" {
            request = request.with("Refer-To", "<sip:x@127.0.0.13>");
        }
        talk.peer.send(&request).await;
        let answer = talk.peer.finally(method).await;
        let status = answer.status().unwrap();
        println!("{method}: {status}");
        assert!(statuses.contains(&status), "{method}: {answer:?}");
        if status == 405 {
            assert!(answer.value("Allow").contains("INVITE"), "{answer:?}");
        }
    }
    let package = talk
        .call
        .request(&mut talk.peer, "INFO", "")
        .with("Info-Package", "odd");
    talk.peer.send(&package).await;
    assert_eq!(talk.peer.finally("INFO").await.status(), Some(469));
    // Both hang up at the same moment.
    let (_, theirs) = tokio::join!(
        talk.site.router.call("leg.hangup", json!({ "leg": talk.leg })),
        talk.peer.request("BYE")
    );
    let ours = talk.call.request(&mut talk.peer, "BYE", "");
    talk.peer.send(&ours).await;
    let answer = talk.peer.finally("BYE").await;
    assert_eq!(answer.status(), Some(200));
    talk.peer.reply(&theirs, 200, "").await;
    assert_eq!(ended(&talk.site.router, &talk.leg).await["reason"], "completed");
    one_record(&talk.site).await;
    drop(talk);

    // The peer no longer knows the call.
    for status in [481, 408] {
        let mut talk = Talk::open("lost", "").await;
        talk.command("leg.hold", json!({ "signal": true })).await;
        let offer = talk.peer.request("INVITE").await;
        talk.peer.reply(&offer, status, "").await;
        talk.peer.request("ACK").await;
        // One that has forgotten the call needs no BYE (RFC 5057 §5.1).
        if status == 408 {
            let bye = talk.peer.request("BYE").await;
            talk.peer.reply(&bye, 200, "").await;
        }
        let end = ended(&talk.site.router, &talk.leg).await;
        assert_eq!(end["reason"], "failed", "{end}");
        one_record(&talk.site).await;
    }
}
