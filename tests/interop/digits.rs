//! Digits as RFC 4733 events, packet by packet, on a network that loses some of them: flow T44.

use std::net::SocketAddr;
use std::time::Duration;

use house::peer::{Call, Peer, media_of};
use house::wire::{CARRIER, OUR_NUMBER, Settings, Site, free_port};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::script::{ended, incoming};

const DIGITS: &str = "0123456789*#ABCD";
const EVENTS: u8 = 101;
/// Samples between two packets of an event.
const STEP: u16 = 160;
/// Packets of a press before it ends: 200 ms.
const PACKETS: u16 = 10;

/// Loses one packet of so many, always the same ones.
pub struct Network {
    random: u64,
    loss_permille: u64,
}

impl Network {
    pub fn new(loss_permille: u64) -> Network {
        Network {
            random: 44,
            loss_permille,
        }
    }

    pub fn loses(&mut self) -> bool {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 33) % 1_000 < self.loss_permille
    }
}

/// A caller of ours: media on a plain socket.
pub struct Caller {
    pub socket: UdpSocket,
    to: SocketAddr,
    sequence: u16,
    pub timestamp: u32,
}

impl Caller {
    pub fn new(socket: UdpSocket, to: SocketAddr) -> Caller {
        Caller {
            socket,
            to,
            sequence: 100,
            timestamp: 1_000,
        }
    }

    pub async fn send(&mut self, payload_type: u8, timestamp: u32, payload: &[u8], network: &mut Network) {
        let mut packet = vec![0x80, payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend([7, 7, 7, 7]);
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        if !network.loses() {
            self.socket.send_to(&packet, self.to).await.unwrap();
        }
    }

    /// One press: the event grows by 20 ms a packet, and its end comes three times (RFC 4733 §2.5.1).
    async fn press(&mut self, event: u8, network: &mut Network, tick: &mut tokio::time::Interval) {
        let start = self.timestamp;
        for number in 1..=PACKETS + 3 {
            tick.tick().await;
            let (ends, grown) = (number > PACKETS, number.min(PACKETS));
            let marker = if number == 1 { 0x80 } else { 0 };
            let [high, low] = (grown * STEP).to_be_bytes();
            let payload = [event, if ends { 0x8a } else { 0x0a }, high, low];
            self.send(EVENTS | marker, start, &payload, network).await;
        }
        self.timestamp += u32::from(PACKETS * STEP);
        for _ in 0..4 {
            tick.tick().await;
            self.send(0, self.timestamp, &[0xff; 160], network).await;
            self.timestamp += 160;
        }
    }

    /// Events that come until so many have come or nothing comes: digit, longest duration, packets with an end.
    async fn events(&self, wanted: usize, network: &mut Network) -> Vec<(u8, u16, usize)> {
        let mut events: Vec<(u32, (u8, u16, usize))> = Vec::new();
        let mut bytes = [0; 1_500];
        let quiet = Duration::from_secs(8);
        let mut count = 0;
        let end = tokio::time::Instant::now() + quiet;
        while tokio::time::Instant::now() < end {
            let received = tokio::time::timeout_at(end, self.socket.recv_from(&mut bytes)).await;
            let Ok(Ok((length, _))) = received else { break };
            if network.loses() || length < 16 || bytes[1] & 0x7f != EVENTS {
                continue;
            }
            let timestamp = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
            let (event, duration) = (bytes[12], u16::from_be_bytes([bytes[14], bytes[15]]));
            if events.last().is_none_or(|(of, _)| *of != timestamp) {
                assert!(
                    events.iter().all(|(of, _)| *of != timestamp),
                    "one timestamp an event"
                );
                events.push((timestamp, (event, 0, 0)));
                count += 1;
            }
            let (_, (_, longest, ends)) = events.last_mut().unwrap();
            *longest = duration.max(*longest);
            *ends += usize::from(bytes[13] & 0x80 != 0);
            if count == wanted && *ends == 3 {
                break;
            }
        }
        events.into_iter().map(|(_, event)| event).collect()
    }
}

/// Digits the router was told of, all by this method, and how long they were.
pub fn told(site: &Site, method: &str) -> Vec<(String, u64)> {
    let heard = site.router.heard();
    let told = heard.iter().filter(|heard| heard.is("leg.dtmf")).map(|heard| {
        let data = &heard.event["data"];
        assert_eq!(data["method"], method);
        let digit = data["digit"].as_str().unwrap().to_owned();
        (digit, data["duration_ms"].as_u64().unwrap())
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t44_digits_come_and_go_exactly_once_with_no_loss_and_with_five_percent() {
    for loss_permille in [0, 50] {
        let site = Site::open("digits", &Settings::default()).await;
        let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
        let mut call = Call::to(&mut peer, OUR_NUMBER);
        let socket = UdpSocket::bind((CARRIER, free_port(CARRIER))).await.unwrap();
        let sdp = call.sdp(socket.local_addr().unwrap(), "");
        let router = site.router.clone();
        let taking = async {
            let leg = incoming(&router).await.text("leg").to_owned();
            router.call("leg.answer", json!({ "leg": leg })).await;
            leg
        };
        let (answer, leg) = tokio::join!(call.up(&mut peer, &sdp), taking);
        let mut caller = Caller::new(socket, media_of(&answer));
        let mut network = Network::new(loss_permille);
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for event in 0..16 {
            caller.press(event, &mut network, &mut tick).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let told = told(&site, "rfc4733");
        let digits: String = told.iter().map(|(digit, _)| digit.as_str()).collect();
        println!("{loss_permille} per mille lost: {told:?}");
        assert_eq!(digits, DIGITS, "{loss_permille} of a thousand lost");
        // A press whose ends are all lost is as long as what was heard of it.
        let shortest = if loss_permille == 0 { 200 } else { 120 };
        assert!(
            told.iter().all(|(_, ms)| (shortest..=200).contains(ms)),
            "{told:?}"
        );

        let params = json!({ "leg": leg, "digits": DIGITS, "duration_ms": 120 });
        let (_, events) = tokio::join!(
            site.router.call("leg.send_dtmf", params),
            caller.events(16, &mut network)
        );
        let sent: String = events
            .iter()
            .map(|(event, ..)| DIGITS.chars().nth(usize::from(*event)).unwrap())
            .collect();
        assert_eq!(sent, DIGITS, "{events:?}");
        if loss_permille == 0 {
            let is_right =
                |(_, duration, ends): &(u8, u16, usize)| (960..=1_120).contains(duration) && *ends == 3;
            assert!(events.iter().all(is_right), "{events:?}");
        }
        call.bye(&mut peer).await;
        assert_eq!(ended(&site.router, &leg).await["reason"], "completed");
    }
}
