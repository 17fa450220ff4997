//! Every message of RFC 4475 and RFC 5118 at the sockets of the program: each has its verdict, and a call after it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use house::peer::{Call, Message, Peer};
use house::torture::{self, Told, Torture};
use house::wire::{CARRIER, Settings, Site, free_port};
use serde_json::json;

/// From an address that is no trunk's.
const STRANGER: &str = "127.0.0.99";
/// Where answers over UDP go: the ports of the messages' Via, or their defaults (RFC 3261 §18.2.2).
const VIA_PORTS: [u16; 4] = [5_060, 5_061, 6_050, 19_823];
/// Longest wait for an answer that must come.
const PATIENCE: Duration = Duration::from_secs(5);

async fn site(name: &str) -> Site {
    let settings = Settings {
        numbers: "[[number]]\nmatch = \"*\"".to_owned(),
        carrier_media: torture::MEDIA.map(str::to_owned).to_vec(),
        ..Settings::default()
    };
    Site::open(name, &settings).await
}

/// A way in, and what came back by it.
enum Way {
    Udp(Vec<UdpSocket>),
    Tcp(TcpStream),
}

impl Way {
    fn udp(ip: &str) -> Self {
        let open = |port| {
            let socket = UdpSocket::bind((ip, port)).unwrap_or_else(|error| panic!("{ip}:{port}: {error}"));
            socket.set_nonblocking(true).unwrap();
            socket
        };
        Way::Udp(VIA_PORTS.map(open).into())
    }

    /// A connection of its own; a stranger may be turned away before or while it sends.
    fn tcp(ip: &str, to: SocketAddr) -> Option<Self> {
        let from: SocketAddr = format!("{ip}:{}", free_port(ip)).parse().unwrap();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&to.into()).ok()?;
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(true).unwrap();
        Some(Way::Tcp(stream))
    }

    fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        match self {
            Way::Udp(sockets) => drop(sockets[0].send_to(bytes, to).unwrap()),
            // A broken frame ends the stream, perhaps before its last octet is sent.
            Way::Tcp(stream) => drop(stream.write_all(bytes)),
        }
    }

    /// What is there to be read now.
    fn came(&mut self) -> Vec<Message> {
        let mut bytes = vec![0; 65_536];
        let mut all = Vec::new();
        match self {
            Way::Udp(sockets) => {
                for socket in sockets {
                    while let Ok(length) = socket.recv(&mut bytes) {
                        all.push(Message::read(&bytes[..length]));
                    }
                }
            }
            Way::Tcp(stream) => {
                let mut text = Vec::new();
                while let Ok(length @ 1..) = stream.read(&mut bytes) {
                    text.extend_from_slice(&bytes[..length]);
                }
                // Answers to what comes here have no body.
                let text = String::from_utf8(text).unwrap();
                let messages = text.split_inclusive("\r\n\r\n");
                all.extend(messages.map(|message| Message::read(message.as_bytes())));
            }
        }
        all
    }

    /// The last final answer to `request` that is there, once one is; every one to an INVITE is acknowledged
    /// (RFC 3261 §17.1.1.3), with the URI of its INVITE, which those of RFC 2543 are matched by.
    fn told(&mut self, to: SocketAddr, request: &[u8]) -> Option<u16> {
        let request = String::from_utf8_lossy(request);
        let mut last = None;
        for answer in self.came() {
            let status = answer.status().expect("nothing but answers");
            if status < 200 {
                continue;
            }
            last = Some(status);
            let (number, method) = answer.cseq();
            if method == "INVITE" {
                let mut ack = Message::new(format!("ACK {} SIP/2.0", request.split(' ').nth(1).unwrap()));
                for name in ["Via", "From", "To", "Call-ID"] {
                    ack = ack.with(name, answer.value(name));
                }
                let ack = ack.with("CSeq", format!("{number} ACK"));
                self.send(to, &ack.bytes());
            }
        }
        last
    }
}

/// OPTIONS and a call of the peer's that is answered, acknowledged and ended. What was sent before them has been read
/// by then.
async fn all_is_well(site: &Site, peer: &mut Peer) {
    let mut call = Call::to(peer, house::wire::OUR_NUMBER);
    let options = call.request(peer, "OPTIONS", "");
    peer.send(&options).await;
    peer.response(200, "OPTIONS").await;
    let mut call = Call::to(peer, house::wire::OUR_NUMBER);
    let from = site.router.place();
    let sdp = call.sdp((CARRIER.parse::<IpAddr>().unwrap(), 9).into(), "");
    let invite = call.request(peer, "INVITE", &sdp);
    peer.send(&invite).await;
    let is_its = |heard: &house::wire::Heard| {
        heard.is("leg.incoming") && heard.event["data"]["from"]["number"] == "+4930987654"
    };
    let incoming = site.router.wait(from, "the call after", is_its).await;
    site.router
        .call("leg.answer", json!({ "leg": incoming.text("leg") }))
        .await;
    let answer = peer.response(200, "INVITE").await;
    call.joined(&answer);
    call.acknowledge(peer, &answer, "").await;
    call.bye(peer).await;
    let is_its =
        |heard: &house::wire::Heard| heard.is("call.record") && heard.text("call") == incoming.text("call");
    site.router.wait(incoming.index, "its record", is_its).await;
}

/// What becomes of one message. An answer or a call that is meant is waited for; that nothing comes is known once the
/// call after it is over.
async fn told(
    site: &Site,
    way: &mut Way,
    to: SocketAddr,
    bytes: &[u8],
    meant: Told,
    peer: &mut Peer,
) -> Told {
    let from = site.router.place();
    way.send(to, bytes);
    let begun = Instant::now();
    let mut last = None;
    let is_strange = |heard: &house::wire::Heard| heard.is("leg.incoming");
    let incoming = match meant {
        Told::Call => Some(site.router.wait(from, "the call", is_strange).await),
        Told::Status(status) => {
            while last != Some(status) && begun.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(1)).await;
                last = way.told(to, bytes).or(last);
            }
            None
        }
        Told::Silence => None,
    };
    if let Some(incoming) = &incoming {
        let refuse = json!({ "leg": incoming.text("leg"), "status": 486 });
        site.router.call("leg.reject", refuse).await;
        while last.is_none() && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
            last = way.told(to, bytes);
        }
        assert_eq!(last, Some(486), "the refusal of a call");
    }
    let after = site.router.place();
    all_is_well(site, peer).await;
    let heard = site.router.heard();
    let calls = heard[from..].iter().filter(|heard| is_strange(heard)).count();
    let of_it = heard[from..after]
        .iter()
        .filter(|heard| is_strange(heard))
        .count();
    assert_eq!(
        (calls, of_it),
        (1 + of_it, usize::from(incoming.is_some())),
        "calls"
    );
    match (incoming, way.told(to, bytes).or(last)) {
        (Some(_), _) => Told::Call,
        (None, Some(status)) => Told::Status(status),
        (None, None) => Told::Silence,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_of_rfc_4475_and_rfc_5118_gets_its_verdict_and_a_call_goes_after_it() {
    let begun = Instant::now();
    let mut wrong = Vec::new();
    let mut calls = 0;
    for over in ["udp", "tcp"] {
        // One gateway for each: the same message by another way is the same transaction for 32 s. Some messages of
        // the documents share a branch; over UDP those are one transaction too, over TCP each is judged by itself.
        let site = site(&format!("strange-{over}")).await;
        let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
        let mut udp = Way::udp(CARRIER);
        for (message, bytes) in torture::all() {
            let Torture { name, why, .. } = message;
            let (to, meant, mut tcp);
            let way = if over == "udp" {
                (to, meant) = (site.gateway.udp(), message.udp);
                &mut udp
            } else {
                (to, meant) = (site.gateway.tcp(), message.tcp);
                tcp = Way::tcp(CARRIER, to).expect("a connection");
                &mut tcp
            };
            let told = told(&site, way, to, &bytes, meant, &mut peer).await;
            if told != meant {
                wrong.push(format!("{name} over {over}: {told:?}, not {meant:?} ({why})"));
            }
            calls += 1;
        }
        house::wire::until("every call to end", Duration::from_secs(10), || {
            (site.gateway.metric("calls_active", "") == 0).then_some(())
        })
        .await;
    }
    println!("{calls} messages with a call after each in {:?}", begun.elapsed());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_hears_nothing_for_any_message_of_rfc_4475_and_rfc_5118() {
    let site = site("strange-stranger").await;
    let mut peer = Peer::open(CARRIER, site.gateway.udp()).await;
    let mut udp = Way::udp(STRANGER);
    for (message, bytes) in torture::all() {
        udp.send(site.gateway.udp(), &bytes);
        let mut tcp = Way::tcp(STRANGER, site.gateway.tcp());
        if let Some(tcp) = &mut tcp {
            tcp.send(site.gateway.tcp(), &bytes);
        }
        all_is_well(&site, &mut peer).await;
        let came = udp.came().len() + tcp.as_mut().map_or(0, |tcp| tcp.came().len());
        assert_eq!(came, 0, "{}", message.name);
    }
    let calls = site.router.heard();
    let calls = calls.iter().filter(|heard| heard.is("leg.incoming")).count();
    assert_eq!(calls, 49 + 12, "the peer's own calls and no other");
}
