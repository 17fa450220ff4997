//! How well a leg is heard, with a peer of ours that loses packets, reports and falls silent as the test says: it
//! listens all the while.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use house::peer::{Call, Peer, media_of};
use house::tone;
use house::wire::{CARRIER, MUSIC_HZ, OUR_NUMBER, Settings, Site, free_port};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::script::{ended, incoming};

const OUR_HZ: f64 = 500.0;
const SSRC: [u8; 4] = [9, 9, 9, 9];

/// What the peer does, as the test changes it.
#[derive(Default)]
struct Line {
    /// It says nothing.
    is_silent: AtomicBool,
    /// Of ten packets so many are lost on their way to the gateway.
    lost_of_ten: AtomicU32,
    /// What it heard: the gateway's SSRC, the highest number, the last second of samples.
    heard: Mutex<(u32, u16, Vec<i16>)>,
}

impl Line {
    /// Says a tone until the test is over, and keeps what comes.
    async fn talk(self: Arc<Self>, socket: UdpSocket, to: SocketAddr) {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let (mut number, mut samples) = (0u32, [0; 160]);
        let mut bytes = [0; 1_500];
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    tone::sine(OUR_HZ, 0.3, u64::from(number) * 160, &mut samples);
                    let mut packet = vec![0x80, 0];
                    packet.extend((number as u16).to_be_bytes());
                    packet.extend((number * 160).to_be_bytes());
                    packet.extend(SSRC);
                    packet.extend(samples.iter().map(|sample| tone::mulaw(*sample)));
                    let is_lost = number * 7 % 10 < self.lost_of_ten.load(Ordering::Relaxed);
                    if !self.is_silent.load(Ordering::Relaxed) {
                        number += 1;
                        if !is_lost {
                            socket.send_to(&packet, to).await.unwrap();
                        }
                    }
                }
                received = socket.recv_from(&mut bytes) => {
                    let Ok((length, _)) = received else { continue };
                    let mut heard = self.heard.lock().unwrap();
                    heard.0 = u32::from_be_bytes(bytes[8..12].try_into().unwrap());
                    heard.1 = u16::from_be_bytes([bytes[2], bytes[3]]);
                    heard.2.extend(bytes[12..length].iter().map(|byte| tone::from_mulaw(*byte)));
                    let old = heard.2.len().saturating_sub(8_000);
                    heard.2.drain(..old);
                }
            }
        }
    }

    /// A receiver report (RFC 3550 §6.4.2): so much was lost, and this was heard last.
    fn report(&self, lost_256: u8, highest: u16) -> Vec<u8> {
        let ssrc = self.heard.lock().unwrap().0;
        let mut report = vec![0x81, 201, 0, 7];
        report.extend(SSRC);
        report.extend(ssrc.to_be_bytes());
        report.extend([lost_256, 0, 0, 9]);
        report.extend(u32::from(highest).to_be_bytes());
        // 10 ms of jitter, and no sender report of ours known.
        report.extend(80u32.to_be_bytes());
        report.extend([0; 8]);
        report
    }

    fn assert_heard(&self) {
        let heard = self.heard.lock().unwrap();
        let level = tone::level(&heard.2, MUSIC_HZ);
        assert!(level > 0.1, "the peer hears {level}");
    }

    fn highest(&self) -> u16 {
        self.heard.lock().unwrap().1
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loss_silence_and_a_deaf_peer_are_told_in_figures_and_with_their_direction() {
    let site = Site::open("quality", &Settings::default()).await;
    let router = site.router.clone();
    let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
    let mut call = Call::to(&mut peer, OUR_NUMBER);
    let port = free_port(CARRIER);
    let socket = UdpSocket::bind((CARRIER, port)).await.unwrap();
    let rtcp = UdpSocket::bind((CARRIER, port + 1)).await.unwrap();
    let sdp = call.sdp(socket.local_addr().unwrap(), "");
    let taking = async {
        let leg = incoming(&router).await.text("leg").to_owned();
        router.call("leg.answer", json!({ "leg": leg })).await;
        leg
    };
    let (answer, leg) = tokio::join!(call.up(&mut peer, &sdp), taking);
    let to = media_of(&answer);
    let reports_to = SocketAddr::new(to.ip(), to.port() + 1);
    let line = Arc::new(Line::default());
    line.lost_of_ten.store(1, Ordering::Relaxed);
    let talking = tokio::spawn(line.clone().talk(socket, to));
    router.wait_leg(0, "leg.answered", &leg).await;
    let music = json!({ "target": leg, "sources": [{ "music": "default" }], "loop": true });
    router.call("play.start", music).await;

    // One packet in ten is lost on its way to us; the peer reports that it misses one in five.
    tokio::time::sleep(Duration::from_secs(4)).await;
    rtcp.send_to(&line.report(51, line.highest()), reports_to)
        .await
        .unwrap();
    let told = router.wait_leg(0, "leg.quality", &leg).await;
    let quality = &told.event["data"];
    println!("leg.quality {quality}");
    let of = |way: &str, name: &str| quality[way][name].as_f64().unwrap();
    assert!((0.07..0.13).contains(&of("rx", "loss")), "{quality}");
    assert!((0.19..0.21).contains(&of("tx", "loss")), "{quality}");
    assert!(
        of("tx", "mos") < of("rx", "mos") && quality["mos"] == quality["tx"]["mos"],
        "{quality}"
    );
    let stats = router.call("leg.stats", json!({ "leg": leg })).await;
    println!("leg.stats {stats}");
    assert!(
        (0.07..0.13).contains(&stats["rx"]["loss"].as_f64().unwrap()),
        "{stats}"
    );
    assert_eq!(stats["tx"]["jitter_ms"], 10.0, "{stats}");
    line.assert_heard();

    // It falls silent: told within two seconds and a little, and it hears us all the same.
    line.is_silent.store(true, Ordering::Relaxed);
    let (since, place) = (Instant::now(), router.place());
    let told = router.wait_leg(place, "leg.one_way", &leg).await;
    let took = since.elapsed();
    println!("silence is told after {took:?}");
    assert_eq!(told.event["data"]["direction"], "rx");
    assert!((1_900..2_300).contains(&took.as_millis()), "{took:?}");
    line.assert_heard();
    line.is_silent.store(false, Ordering::Relaxed);
    router.wait_leg(place, "leg.media_restored", &leg).await;

    // Its reports stand still: nothing of ours gets there.
    let (stuck, place) = (line.highest(), router.place());
    for _ in 0..2 {
        rtcp.send_to(&line.report(0, stuck), reports_to).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    let told = router.wait_leg(place, "leg.one_way", &leg).await;
    assert_eq!(told.event["data"]["direction"], "tx");
    rtcp.send_to(&line.report(0, line.highest()), reports_to)
        .await
        .unwrap();
    router.wait_leg(place, "leg.media_restored", &leg).await;
    line.assert_heard();

    assert_eq!(site.gateway.metric("legs_one_way_total", "way=\"rx\""), 1);
    assert_eq!(site.gateway.metric("legs_one_way_total", "way=\"tx\""), 1);
    call.bye(&mut peer).await;
    talking.abort();
    assert_eq!(ended(&router, &leg).await["reason"], "completed");
    let record = router
        .wait(0, "the record", |heard| heard.is("call.record"))
        .await;
    let quality = &record.event["data"]["legs"][0]["quality"];
    println!("call.record {quality}");
    assert!(
        quality["rx"]["mos"].is_f64() && quality["tx"]["mos"].is_f64(),
        "{quality}"
    );
}
