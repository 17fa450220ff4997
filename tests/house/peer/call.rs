//! One call of the scripted peer's: tags, numbers and targets of its dialog (RFC 3261 §12).

use std::net::SocketAddr;

use super::{Message, Peer};

/// The peer's side of a dialog.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: String,
    /// From of its own requests.
    pub ours: String,
    /// To of its own requests.
    pub theirs: String,
    /// Request-URI of its own requests.
    pub target: String,
    pub cseq: u32,
    /// Version of its SDP.
    pub version: u32,
}

impl Call {
    /// One that the peer begins, to this user of the gateway's.
    pub fn to(peer: &mut Peer, user: &str) -> Self {
        let address = peer.address();
        let target = format!("sip:{user}@{}", peer.gateway);
        Call {
            id: format!("{}-peer", peer.branch()),
            ours: format!("<sip:+4930987654@{address}>;tag=peer"),
            theirs: format!("<{target}>"),
            target,
            cseq: 0,
            version: 0,
        }
    }

    /// One that the gateway began with this INVITE, answered with the tag `peer`.
    pub fn of(invite: &Message) -> Self {
        Call {
            id: invite.value("Call-ID").to_owned(),
            ours: format!("{};tag=peer", invite.value("To")),
            theirs: invite.value("From").to_owned(),
            target: invite.uri("Contact").to_owned(),
            cseq: 100,
            version: 0,
        }
    }

    /// Takes tag and target from an answer.
    pub fn joined(&mut self, answer: &Message) {
        answer.value("To").clone_into(&mut self.theirs);
        answer.uri("Contact").clone_into(&mut self.target);
    }

    /// A request inside it with the next number.
    pub fn request(&mut self, peer: &mut Peer, method: &str, sdp: &str) -> Message {
        self.cseq += 1;
        self.numbered(peer, method, self.cseq, sdp)
    }

    /// The same with a number of the test's: ACK and CANCEL have that of their INVITE.
    pub fn numbered(&self, peer: &mut Peer, method: &str, cseq: u32, sdp: &str) -> Message {
        let mut message = Message::new(format!("{method} {} SIP/2.0", self.target))
            .with("Via", peer.via())
            .with("Max-Forwards", "70")
            .with("From", &self.ours)
            .with("To", &self.theirs)
            .with("Call-ID", &self.id)
            .with("CSeq", format!("{cseq} {method}"))
            .with("Contact", format!("<sip:peer@{}>", peer.address()));
        if !sdp.is_empty() {
            message = message.with("Content-Type", "application/sdp");
            sdp.clone_into(&mut message.body);
        }
        message
    }

    /// Acknowledges a 2xx.
    pub async fn acknowledge(&self, peer: &mut Peer, answer: &Message, sdp: &str) {
        let ack = self.numbered(peer, "ACK", answer.cseq().0, sdp);
        peer.send(&ack).await;
    }

    /// Acknowledges a refusal of this request (RFC 3261 §17.1.1.3).
    pub async fn acknowledge_refusal(&self, peer: &mut Peer, request: &Message, answer: &Message) {
        let mut ack = Message::new(request.start.replacen("INVITE", "ACK", 1));
        for name in ["Via", "Max-Forwards", "From", "Call-ID"] {
            ack = ack.with(name, request.value(name));
        }
        let ack = ack
            .with("To", answer.value("To"))
            .with("CSeq", format!("{} ACK", request.cseq().0));
        peer.send(&ack).await;
    }

    /// SDP with the next version: one m-line of µ-law and events at `media`, with these further lines.
    pub fn sdp(&mut self, media: SocketAddr, lines: &str) -> String {
        self.sdp_of(media, "0 101", lines)
    }

    /// The same with these payload types.
    pub fn sdp_of(&mut self, media: SocketAddr, payload_types: &str, lines: &str) -> String {
        self.version += 1;
        let family = if media.is_ipv4() { "IP4" } else { "IP6" };
        let event = if payload_types.contains("101") {
            "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
        } else {
            ""
        };
        format!(
            "v=0\r\no=peer 7 {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {payload_types}\r\n{event}{lines}",
            version = self.version,
            ip = media.ip(),
            port = media.port(),
        )
    }

    /// Calls, with this offer, and takes the answer; the final one is acknowledged.
    pub async fn up(&mut self, peer: &mut Peer, sdp: &str) -> Message {
        let invite = self.request(peer, "INVITE", sdp);
        peer.send(&invite).await;
        let answer = peer.finally("INVITE").await;
        assert_eq!(answer.status(), Some(200), "{answer:?}");
        self.joined(&answer);
        self.acknowledge(peer, &answer, "").await;
        answer
    }

    /// Asks for a change and acknowledges the answer, whatever it is.
    pub async fn reinvite(&mut self, peer: &mut Peer, sdp: &str) -> Message {
        let invite = self.request(peer, "INVITE", sdp);
        peer.send(&invite).await;
        let answer = peer.finally("INVITE").await;
        if answer.status() == Some(200) {
            self.acknowledge(peer, &answer, "").await;
        } else {
            self.acknowledge_refusal(peer, &invite, &answer).await;
        }
        answer
    }

    /// Hangs up.
    pub async fn bye(&mut self, peer: &mut Peer) {
        let bye = self.request(peer, "BYE", "");
        peer.send(&bye).await;
        peer.response(200, "BYE").await;
    }
}

/// Where the SDP of a message wants media.
pub fn media_of(message: &Message) -> SocketAddr {
    let line = |prefix: &str| {
        let found = message.body.lines().find_map(|line| line.strip_prefix(prefix));
        found.unwrap_or_else(|| panic!("no {prefix} in {message:?}"))
    };
    let ip = line("c=IN IP").split_once(' ').unwrap().1;
    let port = line("m=audio ").split(' ').next().unwrap();
    SocketAddr::new(ip.trim().parse().unwrap(), port.parse().unwrap())
}
