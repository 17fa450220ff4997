//! A caller with SRTP, written from the RFCs alone: one call over UDP, with every datagram of media kept as
//! it came.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::ports;
use crate::srtp::{Line, lengths, to_base64};
use crate::tone;

const SUITE: &str = "AES_CM_128_HMAC_SHA1_80";
const FRAME: Duration = Duration::from_millis(20);

pub struct SecureCaller {
    place: u32,
    signalling: UdpSocket,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    gateway: SocketAddr,
    to: String,
    key: Vec<u8>,
    out: Line,
    back: Option<Line>,
    far_media: Option<SocketAddr>,
    far_tag: String,
    hz: f64,
    sequence: u16,
    /// What it sent last.
    sent: Vec<u8>,
    position: u64,
    next_frame: Instant,
    /// Statuses of final answers to its INVITEs.
    pub finals: Vec<u16>,
    /// Offers it got in re-INVITEs.
    pub offers: Vec<String>,
    /// RTP it heard, decrypted to samples.
    pub heard: Vec<Vec<i16>>,
    /// RTP and RTCP datagrams that were not what its key opens.
    pub unread: Vec<Vec<u8>>,
    /// RTCP datagrams that were.
    pub reports: usize,
}

/// Callers so far. The system gives a port out again, so what identifies a call must not rest on it.
static CALLERS: AtomicU32 = AtomicU32::new(0);

impl SecureCaller {
    pub fn new(ip: &str, gateway: SocketAddr, user: &str, hz: f64) -> Self {
        let bind = |port| {
            let socket = UdpSocket::bind((ip, port)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let media = ports::free_port(ip) & !1;
        let (key, salt) = lengths(SUITE);
        let key: Vec<u8> = (0..key + salt).map(|n| n as u8 * 3 + 1).collect();
        SecureCaller {
            place: CALLERS.fetch_add(1, Ordering::Relaxed),
            signalling: bind(0),
            rtp: bind(media),
            rtcp: bind(media + 1),
            gateway,
            to: format!("sip:{user}@{gateway}"),
            out: Line::new(SUITE, &key),
            key,
            back: None,
            far_media: None,
            far_tag: String::new(),
            hz,
            sequence: 65_500,
            sent: Vec::new(),
            position: 0,
            next_frame: Instant::now(),
            finals: Vec::new(),
            offers: Vec::new(),
            heard: Vec::new(),
            unread: Vec::new(),
            reports: 0,
        }
    }

    /// Offers its key; with `secure` false, plain RTP/AVP.
    pub fn invite(&mut self, number: u32, secure: bool) {
        let sdp = if secure {
            self.sdp(number, "RTP/SAVP", "a=sendrecv\r\n", 1)
        } else {
            self.sdp(number, "RTP/AVP", "a=sendrecv\r\n", 0)
        };
        self.request("INVITE", number, &sdp);
    }

    pub fn bye(&mut self, number: u32) {
        self.request("BYE", number, "");
    }

    /// A packet in clear, one with a wrong tag, and one that came before.
    pub fn misbehave(&self) {
        let to = self.far_media.unwrap();
        let mut packet = vec![0x80, 0];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend([0, 0, 0, 1, 1, 2, 3, 4]);
        packet.extend([0x55; 160]);
        self.rtp.send_to(&packet, to).unwrap();
        packet.extend([0x55; 10]);
        self.rtp.send_to(&packet, to).unwrap();
        self.rtp.send_to(&self.sent, to).unwrap();
    }

    /// Speaks, listens and answers for so long.
    pub fn run(&mut self, span: Duration) {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.signal();
            self.listen();
            if self.next_frame <= Instant::now() {
                self.next_frame += FRAME;
                self.speak();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn sdp(&self, version: u32, profile: &str, direction: &str, tag: u32) -> String {
        let at = self.rtp.local_addr().unwrap();
        let crypto = match tag {
            0 => String::new(),
            tag => format!("a=crypto:{tag} {SUITE} inline:{}\r\n", to_base64(&self.key)),
        };
        format!(
            "v=0\r\no=- 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {} {profile} 0\r\n{crypto}{direction}",
            at.port(),
            ip = at.ip(),
        )
    }

    fn request(&self, method: &str, number: u32, body: &str) {
        let ours = self.signalling.local_addr().unwrap();
        let to_tag = if self.far_tag.is_empty() {
            String::new()
        } else {
            format!(";tag={}", self.far_tag)
        };
        let text = format!(
            "{method} {to} SIP/2.0\r\nVia: SIP/2.0/UDP {ours};branch=z9hG4bK{method}{number}-{place};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:secure@{ours}>;tag=one\r\nTo: <{to}>{to_tag}\r\nCall-ID: secure-{place}-{ours}\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:secure@{ours}>\r\n{kind}Content-Length: {len}\r\n\r\n{body}",
            to = self.to,
            place = self.place,
            kind = if body.is_empty() {
                ""
            } else {
                "Content-Type: application/sdp\r\n"
            },
            len = body.len(),
        );
        self.signalling.send_to(text.as_bytes(), self.gateway).unwrap();
    }

    fn signal(&mut self) {
        let mut bytes = [0; 8192];
        while let Ok((len, _)) = self.signalling.recv_from(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
            match text.strip_prefix("SIP/2.0 ") {
                Some(rest) => self.take_response(rest[..3].parse().unwrap(), &text),
                None => self.take_request(&text),
            }
        }
    }

    fn take_response(&mut self, status: u16, text: &str) {
        let cseq = header(text, "CSeq");
        let (number, method) = cseq.split_once(' ').unwrap();
        if status < 200 || method != "INVITE" {
            return;
        }
        self.finals.push(status);
        if status == 200 {
            let to = header(text, "To");
            self.far_tag = to.split_once(";tag=").unwrap().1.to_owned();
            self.take_sdp(text);
        }
        self.acknowledge(status, number.parse().unwrap(), header(text, "To"));
    }

    /// An ACK to a refusal belongs to the INVITE's transaction (RFC 3261 §17.1.1.3).
    fn acknowledge(&self, status: u16, number: u32, to: &str) {
        let method = if status == 200 { "ACK" } else { "INVITE" };
        let ours = self.signalling.local_addr().unwrap();
        let text = format!(
            "ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {ours};branch=z9hG4bK{method}{number}-{place};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:secure@{ours}>;tag=one\r\nTo: {to}\r\nCall-ID: secure-{place}-{ours}\r\nCSeq: {number} ACK\r\n\
             Content-Length: 0\r\n\r\n",
            target = self.to,
            place = self.place,
        );
        self.signalling.send_to(text.as_bytes(), self.gateway).unwrap();
    }

    fn take_request(&mut self, text: &str) {
        let method = text.split(' ').next().unwrap();
        if method == "ACK" {
            return;
        }
        let mut body = String::new();
        if method == "INVITE" {
            self.offers.push(text.to_owned());
            self.take_sdp(text);
            let direction = if text.contains("a=sendonly") {
                "a=recvonly\r\n"
            } else {
                "a=sendrecv\r\n"
            };
            body = self.sdp(self.offers.len() as u32 + 10, "RTP/SAVP", direction, 1);
        }
        let ours = self.signalling.local_addr().unwrap();
        let kept = ["Via", "From", "To", "Call-ID", "CSeq"]
            .map(|name| format!("{name}: {}\r\n", header(text, name)));
        let reply = format!(
            "SIP/2.0 200 OK\r\n{}Contact: <sip:secure@{ours}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            kept.concat(),
            body.len()
        );
        self.signalling.send_to(reply.as_bytes(), self.gateway).unwrap();
    }

    fn take_sdp(&mut self, text: &str) {
        let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
        let ip = line("c=IN IP4 ").unwrap().trim().parse().unwrap();
        let port = line("m=audio ")
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        self.far_media = Some(SocketAddr::new(ip, port));
        let Some(crypto) = line("a=crypto:1 ") else { return };
        let inline = crypto.trim().strip_prefix(&format!("{SUITE} inline:")).unwrap();
        // The keys are kept over all re-INVITEs, so this one is the first.
        self.back.get_or_insert_with(|| Line::from_inline(SUITE, inline));
    }

    fn speak(&mut self) {
        let (Some(to), Some(_)) = (self.far_media, &self.back) else {
            return;
        };
        let mut packet = vec![0x80, 0];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((self.position as u32).to_be_bytes());
        packet.extend([1, 2, 3, 4]);
        let mut samples = [0; 160];
        tone::sine(self.hz, 0.25, self.position, &mut samples);
        packet.extend(samples.iter().map(|sample| tone::mulaw(*sample)));
        self.sequence = self.sequence.wrapping_add(1);
        self.position += 160;
        self.sent = self.out.protect_rtp(&packet);
        self.rtp.send_to(&self.sent, to).unwrap();
    }

    fn listen(&mut self) {
        let mut bytes = [0; 2048];
        while let Ok((len, _)) = self.rtp.recv_from(&mut bytes) {
            let opened = self
                .back
                .as_mut()
                .and_then(|line| line.unprotect_rtp(&bytes[..len]));
            match opened {
                Some(packet) => {
                    let samples = packet[12..].iter().map(|byte| tone::from_mulaw(*byte));
                    self.heard.push(samples.collect());
                }
                None => self.unread.push(bytes[..len].to_vec()),
            }
        }
        while let Ok((len, _)) = self.rtcp.recv_from(&mut bytes) {
            match self
                .back
                .as_ref()
                .and_then(|line| line.unprotect_rtcp(&bytes[..len]))
            {
                Some(_) => self.reports += 1,
                None => self.unread.push(bytes[..len].to_vec()),
            }
        }
    }
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("no {name} in {text}")).trim()
}
