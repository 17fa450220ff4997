//! A party: a phone or a carrier's far end, with a tone of its own and an ear that keeps what it hears.

mod audio;
mod voice;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::shard::sim_io::Network;
use sip::endpoint::{
    Command, Credentials, Domain, Endpoint, EndpointConfig, Event, ExtraHeader, Flow, OutgoingInvite, Output,
    Policy, ReferOutcome, RegisterOrder, RegisterServer, RegistrationEvent, RegistrationKey, SessionKey,
    Transport,
};

use self::audio::ip_bytes;
pub use self::voice::Voice;
use super::sdes::Sdes;
use crate::tone;

/// What it does with an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Rings, then answers after so long.
    After(Duration),
    /// Rings for ever.
    Never,
    /// Refuses with this status.
    Refuse(u16),
    /// Refuses with this status and this Q.850 cause in a Reason header.
    RefuseBecause(u16, u8),
    /// Refuses with this status and asks to be left alone for so many seconds.
    RefuseFor(u16, u32),
    /// A provisional response, then a refusal with this status.
    RefuseAfter(u16, u16),
    /// Says nothing but 100.
    Silent,
    /// 183 with SDP and audio at once, 200 after so long.
    Early(Duration),
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartyEvent {
    Invited,
    Ringing,
    Answered,
    Refused(u16),
    ReinviteRefused(u16),
    /// Told a digit by INFO, with its length.
    Pressed(char, u32),
    /// Its INFO was answered.
    InfoAnswered(u16),
    /// Asked to call this one, or told that it was refused.
    Referred(String, Option<u16>),
    ReferProgress(u16),
    ReferDone(ReferOutcome),
    Expired,
    Ended,
    Cancelled,
}

/// 20 ms of audio as it arrived.
#[derive(Clone, Debug)]
pub struct HeardFrame {
    pub at: Instant,
    pub samples: Vec<i16>,
    pub ssrc: u32,
    pub sequence: u16,
    pub payload_type: u8,
}

pub struct Party {
    pub name: String,
    pub address: SocketAddr,
    pub media: SocketAddr,
    pub hz: f64,
    pub answer: Answer,
    pub heard: Vec<HeardFrame>,
    pub digits: Vec<u8>,
    pub events: Vec<(Instant, PartyEvent)>,
    /// Requests it got, as text, for tests that look inside.
    pub got: Vec<String>,
    pub silent: bool,
    /// Its SRTP, if it has any.
    pub sdes: Option<Sdes>,
    /// RTP it got that it could not read.
    pub unread: Vec<Vec<u8>>,
    /// RTP it got, as it came, while it has SRTP.
    pub wire: Vec<Vec<u8>>,
    /// The extensions it speaks as a caller.
    policy: Policy,
    /// What it calls and registers with.
    pub account: Option<Credentials>,
    /// What happened to its registration, or to those it takes.
    pub registrations: Vec<(Instant, RegistrationEvent)>,
    /// Hears and says nothing any more.
    pub dead: bool,
    endpoint: Endpoint,
    outbox: VecDeque<(Flow, Bytes)>,
    session: Option<SessionKey>,
    far_media: Option<SocketAddr>,
    /// What it speaks.
    pub voice: Voice,
    answer_at: Option<Instant>,
    next_frame: Option<Instant>,
    position: u64,
    /// Of its next packet.
    pub sequence: u16,
    pressing: VecDeque<(u8, u16, bool, u32)>,
    last_event: Option<u32>,
    calls: u64,
}

const FRAME: Duration = Duration::from_millis(20);

impl Party {
    pub fn new(
        name: &str,
        address: SocketAddr,
        hz: f64,
        gateway: SocketAddr,
        seed: u64,
        network: &Network,
    ) -> Self {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        bytes[8..10].copy_from_slice(&address.port().to_be_bytes());
        bytes[10..26].copy_from_slice(&ip_bytes(address));
        let mut endpoint = Endpoint::new(EndpointConfig::simple(Transport::Udp, address), bytes);
        endpoint.set_allowed(vec![sip::network::Network::host(gateway.ip())]);
        let media = SocketAddr::new(address.ip(), 40_000 + address.port() % 1000 * 2);
        assert!(network.bind(media), "one media address a party");
        Party {
            name: name.to_owned(),
            address,
            media,
            hz,
            answer: Answer::After(Duration::from_millis(100)),
            heard: Vec::new(),
            digits: Vec::new(),
            events: Vec::new(),
            got: Vec::new(),
            silent: false,
            sdes: None,
            unread: Vec::new(),
            wire: Vec::new(),
            policy: Policy::default(),
            account: None,
            registrations: Vec::new(),
            dead: false,
            endpoint,
            outbox: VecDeque::new(),
            session: None,
            far_media: None,
            voice: Voice::new(media::Codec::Pcmu, 0),
            answer_at: None,
            next_frame: None,
            position: 0,
            sequence: 1000,
            pressing: VecDeque::new(),
            last_event: None,
            calls: 0,
        }
    }

    /// Speaks these extensions, calling and called.
    pub fn adopt(&mut self, policy: Policy, gateway: SocketAddr) {
        self.policy = policy;
        let network = sip::network::Network::host(gateway.ip());
        self.endpoint.set_policies(vec![(network, policy)]);
    }

    /// Calls `user` at the gateway.
    pub fn call(&mut self, user: &str, gateway: SocketAddr, headers: Vec<ExtraHeader>, now: Instant) {
        self.calls += 1;
        let session = SessionKey::Out(self.calls);
        self.session = Some(session);
        // A number or name at the gateway, or a whole URI.
        let uri = match user.starts_with("urn:") {
            true => user.to_owned(),
            false => format!("sip:{user}@{gateway}"),
        };
        let flow = Flow {
            transport: Transport::Udp,
            local: self.address,
            remote: gateway,
        };
        let invite = OutgoingInvite {
            session,
            flow,
            to: format!("<{uri}>"),
            request_uri: uri,
            from: format!("<sip:+4930{}@{}>", self.address.port(), self.address.ip()),
            contact_host: None,
            call_id: None,
            from_tag: None,
            max_forwards: 70,
            headers,
            sdp: self.offer("sendrecv"),
            credentials: self.account.clone(),
            policy: self.policy,
            timer_b: Duration::from_secs(32),
        };
        self.endpoint
            .handle_command(Command::Invite(Box::new(invite)), now);
        self.drain(now);
    }

    /// Registers as the user of its account.
    pub fn register(&mut self, gateway: SocketAddr, expires: Duration, now: Instant) {
        let credentials = self.account.clone().expect("an account");
        let flow = Flow {
            transport: Transport::Udp,
            local: self.address,
            remote: gateway,
        };
        let order = RegisterOrder {
            registration: RegistrationKey(0),
            servers: vec![RegisterServer {
                flow,
                request_uri: format!("sip:{gateway}"),
                address: format!("<sip:{}@{}>", credentials.username, gateway.ip()),
            }],
            contact_user: credentials.username.clone(),
            contact_host: None,
            expires,
            is_bulk: false,
            credentials,
        };
        self.endpoint
            .handle_command(Command::Register(Box::new(order)), now);
        self.drain(now);
    }

    /// Removes its registration.
    pub fn unregister(&mut self, now: Instant) {
        let registration = RegistrationKey(0);
        self.endpoint
            .handle_command(Command::Unregister { registration }, now);
        self.drain(now);
    }

    /// Takes registrations, as a carrier does; none are taken any more.
    pub fn be_registrar(&mut self, domain: Option<Domain>) {
        self.endpoint.set_domains(domain.into_iter().collect());
    }

    pub fn hang_up(&mut self, now: Instant) {
        let Some(session) = self.session else { return };
        let answered = self.events.iter().rev().find_map(|(_, event)| match event {
            PartyEvent::Answered => Some(true),
            PartyEvent::Invited | PartyEvent::Ended => Some(false),
            _ => None,
        });
        let command = if answered == Some(true) || matches!(session, SessionKey::In(_)) {
            Command::Bye {
                session,
                headers: vec![],
            }
        } else {
            Command::Cancel {
                session,
                headers: vec![],
            }
        };
        self.endpoint.handle_command(command, now);
        self.stop_media();
        self.drain(now);
    }

    /// Gives an order to its endpoint, as it is.
    pub fn order(&mut self, command: Command, now: Instant) {
        self.endpoint.handle_command(command, now);
        self.drain(now);
    }

    /// The session it is in.
    pub fn session(&self) -> SessionKey {
        self.session.expect("a session")
    }

    /// Changes the session by re-INVITE: `sendonly`, `inactive`, `sendrecv`.
    pub fn reinvite(&mut self, direction: &str, now: Instant) {
        let Some(session) = self.session else { return };
        let sdp = self.offer(direction);
        self.order(Command::Reinvite { session, sdp }, now);
    }

    /// Presses a digit for 100 ms (RFC 4733).
    pub fn press(&mut self, digit: u8) {
        let start = self.position as u32;
        for step in 1..=5u16 {
            self.pressing.push_back((digit, step * 160, false, start));
        }
        for _ in 0..3 {
            self.pressing.push_back((digit, 800, true, start));
        }
    }

    pub fn handle_letter(&mut self, from: SocketAddr, bytes: Bytes, now: Instant) {
        self.got.push(String::from_utf8_lossy(&bytes).into_owned());
        let flow = Flow {
            transport: Transport::Udp,
            local: self.address,
            remote: from,
        };
        self.endpoint.handle_datagram(flow, bytes, now);
        self.drain(now);
    }

    pub fn take_letter(&mut self) -> Option<(Flow, Bytes)> {
        self.outbox.pop_front()
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        [self.endpoint.next_deadline(), self.answer_at, self.next_frame]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn handle_timeout(&mut self, now: Instant, network: &Network) {
        if self.endpoint.next_deadline().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
            self.drain(now);
        }
        if self.answer_at.is_some_and(|at| at <= now) {
            self.answer_at = None;
            self.answer_now(now);
        }
        self.listen(now, network);
        while self.next_frame.is_some_and(|at| at <= now) {
            self.next_frame = self.next_frame.map(|at| at + FRAME);
            self.speak(network);
        }
    }

    /// No session and no transaction is left.
    pub fn is_idle(&self) -> bool {
        self.endpoint.sessions() == 0 && self.endpoint.transactions() == 0
    }

    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { flow, bytes } => self.outbox.push_back((flow, bytes)),
                Output::Event(event) => self.handle_event(event, now),
                Output::Registration(event) => self.registrations.push((now, event)),
                Output::Connect { .. }
                | Output::Disconnect { .. }
                | Output::Probed { .. }
                | Output::Heard { .. }
                | Output::Dropped { .. } => {}
            }
        }
    }

    fn handle_event(&mut self, event: Event, now: Instant) {
        let mut note = |what| self.events.push((now, what));
        match event {
            Event::Incoming(invite) => {
                note(PartyEvent::Invited);
                self.session = Some(invite.session);
                self.take_offer(invite.offer.as_deref());
                self.far_media = invite.offer.as_deref().and_then(media_of);
                self.begin_answer(invite.session, now);
            }
            Event::PeerCancelled { .. } => {
                note(PartyEvent::Cancelled);
                self.answer_at = None;
                self.stop_media();
            }
            Event::Progress { sdp, .. } => {
                note(PartyEvent::Ringing);
                self.take_answer(sdp.as_deref());
                if let Some(media) = sdp.as_deref().and_then(media_of) {
                    self.far_media = Some(media);
                }
            }
            Event::Answered { sdp, .. } => {
                note(PartyEvent::Answered);
                self.take_answer(sdp.as_deref());
                self.far_media = sdp.as_deref().and_then(media_of).or(self.far_media);
                self.next_frame = Some(now);
            }
            Event::Acknowledged { .. } => note(PartyEvent::Answered),
            Event::Refused { response, .. } => note(PartyEvent::Refused(response.status.code())),
            Event::Unanswered { .. } => note(PartyEvent::Refused(408)),
            Event::Cancelled { .. } => note(PartyEvent::Cancelled),
            Event::Reinvite { session, offer, .. } => {
                self.take_offer(offer.as_deref());
                self.far_media = offer.as_deref().and_then(media_of).or(self.far_media);
                let wants = offer.as_deref().map(direction_of).unwrap_or("sendrecv");
                let direction = match wants {
                    "sendonly" => "recvonly",
                    "recvonly" => "sendonly",
                    other => other,
                };
                let sdp = self.sdp(direction);
                self.endpoint
                    .handle_command(Command::AcceptReinvite { session, sdp }, now);
            }
            Event::Expired { session } => {
                note(PartyEvent::Expired);
                let headers = vec![];
                self.endpoint
                    .handle_command(Command::Bye { session, headers }, now);
            }
            Event::Bye { .. }
            | Event::ByeDone { .. }
            | Event::Lost { .. }
            | Event::AckMissing { .. }
            | Event::PrackMissing { .. } => {
                note(PartyEvent::Ended);
                self.stop_media();
            }
            Event::ReinviteAccepted { sdp, .. } => self.take_answer(sdp.as_deref()),
            Event::ReinviteRefused { status, .. } => {
                note(PartyEvent::ReinviteRefused(status));
            }
            Event::Referred {
                referral, refused, ..
            } => {
                note(PartyEvent::Referred(referral.to.clone(), refused));
            }
            Event::ReferProgress { status, .. } => note(PartyEvent::ReferProgress(status)),
            Event::ReferDone { outcome, .. } => note(PartyEvent::ReferDone(outcome)),
            Event::Info { digit, .. } => note(PartyEvent::Pressed(digit.digit, digit.duration_ms)),
            Event::InfoAnswered { status, .. } => note(PartyEvent::InfoAnswered(status)),
            Event::Refreshed { .. } | Event::EarlyAnswer { .. } => {}
        }
    }

    fn begin_answer(&mut self, session: SessionKey, now: Instant) {
        let ring = |endpoint: &mut Endpoint, status, sdp| {
            endpoint.handle_command(
                Command::Progress {
                    session,
                    status,
                    sdp,
                    headers: vec![],
                },
                now,
            );
        };
        match self.answer {
            Answer::After(wait) => {
                ring(&mut self.endpoint, 180, None);
                self.answer_at = Some(now + wait);
            }
            Answer::Never => ring(&mut self.endpoint, 180, None),
            Answer::Refuse(status) => {
                let command = Command::Reject {
                    session,
                    status,
                    reason: None,
                    headers: vec![],
                };
                self.endpoint.handle_command(command, now);
            }
            Answer::RefuseFor(status, seconds) => {
                let headers = vec![ExtraHeader {
                    name: "Retry-After".into(),
                    value: seconds.to_string(),
                }];
                let reject = Command::Reject {
                    session,
                    status,
                    reason: None,
                    headers,
                };
                self.endpoint.handle_command(reject, now);
            }
            Answer::RefuseAfter(provisional, status) => {
                ring(&mut self.endpoint, provisional, None);
                while let Some(output) = self.endpoint.poll_output() {
                    if let Output::Send { flow, bytes } = output {
                        self.outbox.push_back((flow, bytes));
                    }
                }
                let reject = Command::Reject {
                    session,
                    status,
                    reason: None,
                    headers: vec![],
                };
                self.endpoint.handle_command(reject, now);
            }
            Answer::RefuseBecause(status, cause) => {
                let reason = ExtraHeader {
                    name: "Reason".into(),
                    value: format!("Q.850;cause={cause}"),
                };
                let command = Command::Reject {
                    session,
                    status,
                    reason: None,
                    headers: vec![reason],
                };
                self.endpoint.handle_command(command, now);
            }
            Answer::Silent => {}
            Answer::Early(wait) => {
                let sdp = Some(self.sdp("sendrecv"));
                ring(&mut self.endpoint, 183, sdp);
                self.next_frame = Some(now);
                self.answer_at = Some(now + wait);
            }
        }
    }

    fn answer_now(&mut self, now: Instant) {
        let Some(session) = self.session else { return };
        let sdp = self.sdp("sendrecv");
        self.endpoint.handle_command(
            Command::Answer {
                session,
                sdp,
                headers: vec![],
            },
            now,
        );
        self.next_frame.get_or_insert(now);
        self.drain(now);
    }

    fn stop_media(&mut self) {
        self.next_frame = None;
        self.far_media = None;
    }

    fn take_offer(&mut self, sdp: Option<&[u8]>) {
        if let (Some(sdes), Some(sdp)) = (&mut self.sdes, sdp) {
            sdes.take_offer(&String::from_utf8_lossy(sdp));
        }
    }

    fn take_answer(&mut self, sdp: Option<&[u8]>) {
        if let (Some(sdes), Some(sdp)) = (&mut self.sdes, sdp) {
            sdes.take_answer(&String::from_utf8_lossy(sdp));
        }
    }

    fn offer(&mut self, direction: &str) -> Bytes {
        let clear = self.sdp_of(direction);
        Bytes::from(match &self.sdes {
            Some(sdes) => sdes.offer(clear),
            None => clear,
        })
    }

    fn sdp(&self, direction: &str) -> Bytes {
        let clear = self.sdp_of(direction);
        Bytes::from(match &self.sdes {
            Some(sdes) => sdes.answer(clear),
            None => clear,
        })
    }

    fn sdp_of(&self, direction: &str) -> String {
        let (ip, port) = (self.media.ip(), self.media.port());
        let (formats, map) = self.voice.formats();
        format!(
            "v=0\r\no=- 1 {} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n\
             {map}a={direction}\r\n",
            self.position + 1
        )
    }
}

/// Where an SDP text wants its audio.
fn media_of(sdp: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(sdp).ok()?;
    let ip = text
        .lines()
        .find_map(|line| line.strip_prefix("c=IN IP4 "))?
        .trim()
        .parse()
        .ok()?;
    let port = text
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "))?
        .split(' ')
        .next()?
        .parse()
        .ok()?;
    Some(SocketAddr::new(ip, port))
}

fn direction_of(sdp: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(sdp);
    ["sendonly", "recvonly", "inactive"]
        .into_iter()
        .find(|word| text.contains(&format!("a={word}")))
        .unwrap_or("sendrecv")
}
