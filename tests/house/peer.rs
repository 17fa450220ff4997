//! A scripted SIP peer with a parser of its own: what it sends and when is the test's to say.
//!
//! For what SIPp cannot be told to do: messages that cross, odd orders, wrong answers. It repeats nothing by
//! itself and takes each message once, however often it comes.

mod call;
mod message;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

pub use call::{Call, media_of};
pub use message::Message;

use crate::wire::{free_port, now_us};

/// Longest wait for any one message.
const PATIENCE: Duration = Duration::from_secs(6);

/// One UDP socket for signalling.
pub struct Peer {
    socket: UdpSocket,
    pub gateway: SocketAddr,
    waiting: VecDeque<(i64, Message)>,
    /// Everything that came, repeats too, with the moment it came.
    pub came: Vec<(i64, Message)>,
    numbered: u32,
}

impl Peer {
    pub async fn open(ip: &str, gateway: SocketAddr) -> Self {
        let port = free_port(ip);
        Peer {
            socket: UdpSocket::bind((ip, port)).await.unwrap(),
            gateway,
            waiting: VecDeque::new(),
            came: Vec::new(),
            numbered: 0,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// What a `leg.dial` calls it by.
    pub fn uri(&self) -> String {
        format!("sip:agent@{}", self.address())
    }

    /// A branch for a request of its own (RFC 3261 §8.1.1.7).
    pub fn branch(&mut self) -> String {
        self.numbered += 1;
        format!("z9hG4bK-{}-{}", self.address().port(), self.numbered)
    }

    pub fn via(&mut self) -> String {
        format!("SIP/2.0/UDP {};branch={};rport", self.address(), self.branch())
    }

    pub async fn send(&self, message: &Message) {
        self.send_bytes(&message.bytes()).await;
    }

    pub async fn send_bytes(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.gateway).await.unwrap();
    }

    /// The next message that is meant and was not taken yet; repeats of what was taken are passed over.
    pub async fn take(&mut self, what: &str, is_meant: impl Fn(&Message) -> bool) -> (i64, Message) {
        self.take_within(PATIENCE, &is_meant)
            .await
            .unwrap_or_else(|| panic!("no {what} came, but {}", self.transcript()))
    }

    /// The same where it may not come.
    pub async fn take_within(
        &mut self,
        patience: Duration,
        is_meant: &impl Fn(&Message) -> bool,
    ) -> Option<(i64, Message)> {
        if let Some(place) = self.waiting.iter().position(|(_, message)| is_meant(message)) {
            return self.waiting.remove(place);
        }
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let (at_us, message) = self.receive(left).await?;
            let is_repeat = self.came.iter().any(|(_, before)| *before == message);
            self.came.push((at_us, message.clone()));
            if is_repeat {
                continue;
            }
            if is_meant(&message) {
                return Some((at_us, message));
            }
            self.waiting.push_back((at_us, message));
        }
    }

    async fn receive(&mut self, patience: Duration) -> Option<(i64, Message)> {
        let mut bytes = vec![0; 65_536];
        loop {
            let (length, _) = tokio::time::timeout(patience, self.socket.recv_from(&mut bytes))
                .await
                .ok()?
                .ok()?;
            // A line end alone is a keep-alive; RTP comes here where a test's SDP names this socket.
            if length > 4 && bytes[0].is_ascii_alphabetic() {
                return Some((now_us(), Message::read(&bytes[..length])));
            }
        }
    }

    /// The next request of this method.
    pub async fn request(&mut self, method: &str) -> Message {
        let what = method.to_owned();
        self.take(method, |message| message.method() == Some(&what))
            .await
            .1
    }

    /// The next response with this status to a request of this method.
    pub async fn response(&mut self, status: u16, method: &str) -> Message {
        self.take(&format!("{status} to {method}"), |message| {
            message.status() == Some(status) && message.cseq().1 == method
        })
        .await
        .1
    }

    /// The next final response to a request of this method.
    pub async fn finally(&mut self, method: &str) -> Message {
        self.take(&format!("final answer to {method}"), |message| {
            message.status().is_some_and(|status| status >= 200) && message.cseq().1 == method
        })
        .await
        .1
    }

    /// Nothing of the kind comes in this time.
    pub async fn hears_no(&mut self, what: &str, span: Duration, is_meant: impl Fn(&Message) -> bool) {
        if let Some((_, message)) = self.take_within(span, &is_meant).await {
            panic!("{what} came: {message:?}");
        }
    }

    /// A response to a request that came; `tag` is put to To where it has none.
    pub fn answer(&self, request: &Message, status: u16, tag: &str) -> Message {
        let mut answer = Message::new(format!("SIP/2.0 {status} Told"));
        for (name, value) in &request.headers {
            if ["Via", "From", "Call-ID", "CSeq", "Record-Route"].contains(&name.as_str()) {
                answer = answer.with(name, value);
            }
        }
        let to = request.value("To");
        let to = if to.contains(";tag=") || tag.is_empty() {
            to.to_owned()
        } else {
            format!("{to};tag={tag}")
        };
        answer
            .with("To", to)
            .with("Contact", format!("<sip:agent@{}>", self.address()))
    }

    /// Answers a request, with SDP where there is a text.
    pub async fn reply(&mut self, request: &Message, status: u16, sdp: &str) {
        let mut answer = self.answer(request, status, "peer");
        if !sdp.is_empty() {
            answer = answer.with("Content-Type", "application/sdp");
            sdp.clone_into(&mut answer.body);
        }
        self.send(&answer).await;
    }

    /// Forgets what came, so that many calls are no burden on the last.
    pub fn forget(&mut self) {
        self.waiting.clear();
        self.came.clear();
    }

    /// Everything that came, for a panic.
    pub fn transcript(&self) -> String {
        let came = self.came.iter().rev().take(12).rev();
        came.map(|(at_us, message)| format!("\n  {at_us} {} ({})", message.start, message.value("CSeq")))
            .collect()
    }
}
