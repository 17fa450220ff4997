//! The SIP side of a phone: one call at a time over an [`Endpoint`].
//!
//! ```text
//!   Idle ──call()──► Calling ──180──► Calling{rang} ──200──► Up
//!   Idle ──INVITE──► Ringing{answer_at} ──at answer_at──► Up            any ──end──► Idle
//! ```
//! Pure: bytes, orders and time in, [`Action`]s out. Knows nothing of sockets or audio.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{
    Command, Endpoint, EndpointConfig, Event, Flow, IncomingInvite, OutgoingInvite, Output, Policy,
    SessionKey, Transport,
};
use sip::network::Network;
use sip::rng::Rng;
use sip::sdp::{self, LocalMedia, Negotiated};

use super::config::{Behaviour, Config};
use super::status::{End, Stage};

/// Hops of our INVITE. RFC 3261 §8.1.1.6.
const MAX_FORWARDS: u8 = 70;
/// Timer B. RFC 3261 §17.1.1.2: 64·T1.
const TIMER_B: Duration = Duration::from_secs(32);

/// What the task must do for the signalling.
#[derive(Debug)]
pub enum Action {
    /// Send a SIP message.
    Send(SocketAddr, Bytes),
    /// The call's stage changed.
    Stage(Stage),
    /// The call is over.
    Ended(End),
    /// Audio may flow as agreed; none: the far side said not to send.
    Media(Option<Agreed>),
}

/// What of an agreed stream a phone needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Where RTP goes.
    pub remote: SocketAddr,
    /// What audio is sent with.
    pub payload_type: u8,
    /// What digits are sent and received with.
    pub event_payload_type: Option<u8>,
}

/// The machine.
#[derive(Debug)]
pub struct Signalling {
    endpoint: Endpoint,
    name: String,
    local: SocketAddr,
    behaviour: Behaviour,
    media: LocalMedia,
    state: State,
    calls_made: u64,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    Idle,
    Calling {
        session: SessionKey,
    },
    Ringing {
        session: SessionKey,
        offer: Option<Bytes>,
        answer_at: Option<Instant>,
    },
    Up {
        session: SessionKey,
    },
}

impl Signalling {
    /// A phone whose SIP is at `local` and whose RTP is at `media`.
    pub fn new(config: &Config, seed: [u8; 32], local: SocketAddr, media: SocketAddr) -> Signalling {
        let endpoint = open_endpoint(local, seed);
        let description = describe(config.codec, media, seed);
        Signalling {
            endpoint,
            name: config.name.clone(),
            local,
            behaviour: config.behaviour,
            media: description,
            state: State::Idle,
            calls_made: 0,
            events: VecDeque::new(),
        }
    }

    /// A datagram came.
    pub fn handle_datagram(&mut self, remote: SocketAddr, bytes: Bytes, now: Instant, out: &mut Vec<Action>) {
        self.endpoint.handle_datagram(self.flow(remote), bytes, now);
        self.settle(now, out);
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.endpoint.next_deadline().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
            self.settle(now, out);
        }
        if let State::Ringing {
            answer_at: Some(at), ..
        } = self.state
            && at <= now
        {
            self.answer(now, out);
        }
    }

    /// When [`Signalling::handle_timeout`] has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        let answer_at = match self.state {
            State::Ringing { answer_at, .. } => answer_at,
            State::Idle | State::Calling { .. } | State::Up { .. } => None,
        };
        self.endpoint.next_deadline().into_iter().chain(answer_at).min()
    }

    /// Calls somebody; during a call nothing happens.
    pub fn call(&mut self, user: &str, host: SocketAddr, now: Instant, out: &mut Vec<Action>) {
        let State::Idle = self.state else { return };
        self.calls_made += 1;
        self.media.version = 1;
        let session = SessionKey::Out(self.calls_made);
        let uri = format!("sip:{user}@{host}");
        let from = format!("<sip:{}@{}>", self.name, self.local);
        let invite = invite(session, self.flow(host), from, uri, sdp::offer(&self.media));
        self.state = State::Calling { session };
        out.push(Action::Stage(Stage::Calling));
        self.order(Command::Invite(Box::new(invite)), now, out);
        self.settle(now, out);
    }

    /// Ends the call, whatever its state.
    pub fn hang_up(&mut self, now: Instant, out: &mut Vec<Action>) {
        let headers = Vec::new();
        let command = match self.state {
            State::Idle => return,
            State::Calling { session } => Command::Cancel { session, headers },
            State::Ringing { session, .. } => Command::Reject {
                session,
                status: 486,
                reason: None,
                headers,
            },
            State::Up { session } => Command::Bye { session, headers },
        };
        self.order(command, now, out);
        self.end(End::HungUp, out);
        self.settle(now, out);
    }

    /// Deals with what the endpoint told, which may make it tell more.
    fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.collect(out);
        while let Some(event) = self.events.pop_front() {
            self.handle_event(event, now, out);
        }
    }

    fn handle_event(&mut self, event: Event, now: Instant, out: &mut Vec<Action>) {
        if let Event::Incoming(invite) = event {
            return self.handle_invite(invite, now, out);
        }
        if self.session() != Some(event.session()) {
            return;
        }
        match event {
            Event::Progress { response, sdp, .. } => {
                if response.status.code() != 100 {
                    out.push(Action::Stage(Stage::Ringing));
                }
                self.take_answer(sdp, out);
            }
            Event::Answered { session, sdp, .. } => {
                self.state = State::Up { session };
                self.take_answer(sdp, out);
                out.push(Action::Stage(Stage::Up { since: now }));
            }
            Event::Acknowledged { sdp, .. } => self.take_answer(sdp, out),
            Event::Reinvite { session, offer, .. } => self.handle_reinvite(session, offer, now, out),
            Event::ReinviteAccepted { sdp, .. } | Event::Refreshed { sdp, .. } => self.take_answer(sdp, out),
            Event::Bye { .. } => self.end(End::FarHungUp, out),
            Event::PeerCancelled { .. } => self.end(End::Cancelled, out),
            Event::Refused { response, .. } => self.end(End::Refused(response.status.code()), out),
            Event::ByeDone { .. } | Event::Cancelled { .. } => self.end(End::HungUp, out),
            Event::AckMissing { .. }
            | Event::PrackMissing { .. }
            | Event::Unanswered { .. }
            | Event::Lost { .. } => {
                self.end(End::Failed, out);
            }
            // Its policy speaks no extension, so the last five never come.
            Event::Incoming(_)
            | Event::ReinviteRefused { .. }
            | Event::Info { .. }
            | Event::InfoAnswered { .. }
            | Event::EarlyAnswer { .. }
            | Event::Referred { .. }
            | Event::ReferProgress { .. }
            | Event::ReferDone { .. }
            | Event::Expired { .. } => {}
        }
    }

    fn handle_invite(&mut self, invite: IncomingInvite, now: Instant, out: &mut Vec<Action>) {
        let session = invite.session;
        let is_busy = !matches!(self.state, State::Idle) || self.behaviour == Behaviour::Busy;
        if is_busy {
            return self.reject(session, 486, now, out);
        }
        let answer_at = match self.behaviour {
            Behaviour::Answer { after } => Some(now + after),
            Behaviour::Ring | Behaviour::Busy => None,
        };
        self.media.version = 1;
        self.state = State::Ringing {
            session,
            offer: invite.offer,
            answer_at,
        };
        if answer_at == Some(now) {
            return self.answer(now, out);
        }
        out.push(Action::Stage(Stage::Ringing));
        let ringing = Command::Progress {
            session,
            status: 180,
            sdp: None,
            headers: Vec::new(),
        };
        self.order(ringing, now, out);
    }

    fn answer(&mut self, now: Instant, out: &mut Vec<Action>) {
        let State::Ringing { session, offer, .. } = &mut self.state else {
            return;
        };
        let session = *session;
        let offer = offer.take();
        let sdp = match word_on(offer.as_deref(), &self.media) {
            Ok((sdp, agreed)) => {
                out.extend(agreed.map(|agreed| Action::Media(audio(&agreed))));
                sdp
            }
            Err(status) => {
                self.reject(session, status, now, out);
                return self.end(End::Failed, out);
            }
        };
        self.state = State::Up { session };
        out.push(Action::Stage(Stage::Up { since: now }));
        let headers = Vec::new();
        self.order(
            Command::Answer {
                session,
                sdp,
                headers,
            },
            now,
            out,
        );
        self.settle(now, out);
    }

    fn handle_reinvite(
        &mut self,
        session: SessionKey,
        offer: Option<Bytes>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let (command, agreed) = word_on_change(session, offer.as_deref(), &mut self.media);
        out.extend(agreed.map(|agreed| Action::Media(audio(&agreed))));
        self.order(command, now, out);
    }

    fn reject(&mut self, session: SessionKey, status: u16, now: Instant, out: &mut Vec<Action>) {
        let command = Command::Reject {
            session,
            status,
            reason: None,
            headers: Vec::new(),
        };
        self.order(command, now, out);
    }

    fn take_answer(&self, sdp: Option<Bytes>, out: &mut Vec<Action>) {
        // An answer that cannot be read leaves the stream as it was; the call shows it by silence.
        if let Some(Ok(agreed)) = sdp.map(|sdp| sdp::accept_answer(&self.media, &sdp)) {
            out.push(Action::Media(audio(&agreed)));
        }
    }

    fn end(&mut self, end: End, out: &mut Vec<Action>) {
        self.state = State::Idle;
        out.push(Action::Media(None));
        out.push(Action::Ended(end));
    }

    fn order(&mut self, command: Command, now: Instant, out: &mut Vec<Action>) {
        self.endpoint.handle_command(command, now);
        self.collect(out);
    }

    /// Empties the endpoint: messages go out at once, events wait for their turn.
    fn collect(&mut self, out: &mut Vec<Action>) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { flow, bytes } => out.push(Action::Send(flow.remote, bytes)),
                Output::Event(event) => self.events.push_back(event),
                // Only UDP is bound, and what is dropped is the far side's affair.
                Output::Connect { .. }
                | Output::Disconnect { .. }
                | Output::Registration(_)
                | Output::Probed { .. }
                | Output::Heard { .. }
                | Output::Dropped { .. } => {}
            }
        }
    }

    fn session(&self) -> Option<SessionKey> {
        match self.state {
            State::Idle => None,
            State::Calling { session } | State::Ringing { session, .. } | State::Up { session } => {
                Some(session)
            }
        }
    }

    fn flow(&self, remote: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: self.local,
            remote,
        }
    }
}

/// An endpoint that takes calls from everywhere, as a telephone does.
pub fn open_endpoint(local: SocketAddr, seed: [u8; 32]) -> Endpoint {
    let mut endpoint = Endpoint::new(EndpointConfig::simple(Transport::Udp, local), seed);
    // The networks of all addresses of both families.
    let everywhere = ["0.0.0.0/0", "::/0"];
    endpoint.set_allowed(
        everywhere
            .iter()
            .filter_map(|text| text.parse::<Network>().ok())
            .collect(),
    );
    endpoint
}

/// What a telephone at `media` offers: one codec and telephone-events.
pub fn describe(codec: media::Codec, media: SocketAddr, seed: [u8; 32]) -> LocalMedia {
    let mut description = LocalMedia::new(media.ip(), media.port(), Rng::new(seed).u64() >> 1);
    description.codecs = match codec {
        media::Codec::Pcmu => vec![sdp::Codec::Pcmu],
        media::Codec::Pcma => vec![sdp::Codec::Pcma],
        media::Codec::G722 => vec![sdp::Codec::G722],
        media::Codec::Opus => vec![sdp::Codec::Opus],
    };
    description
}

/// A telephone's plain INVITE of `uri`.
pub fn invite(session: SessionKey, flow: Flow, from: String, uri: String, sdp: Bytes) -> OutgoingInvite {
    OutgoingInvite {
        session,
        flow,
        to: format!("<{uri}>"),
        request_uri: uri,
        from,
        contact_host: None,
        call_id: None,
        from_tag: None,
        max_forwards: MAX_FORWARDS,
        headers: Vec::new(),
        sdp,
        credentials: None,
        policy: Policy::default(),
        timer_b: TIMER_B,
    }
}

/// What a telephone says to an offer, and what is agreed then; without one its own offer, and nothing is agreed yet. An offer that it cannot take is refused with this status.
pub fn word_on(offer: Option<&[u8]>, media: &LocalMedia) -> Result<(Bytes, Option<Negotiated>), u16> {
    match offer.map(|offer| sdp::answer(offer, media)) {
        None => Ok((sdp::offer(media), None)),
        Some(Ok((sdp, agreed))) => Ok((sdp, Some(agreed))),
        Some(Err(error)) => Err(error.status()),
    }
}

/// The same about a change of a session, with the next version of its description.
pub fn word_on_change(
    session: SessionKey,
    offer: Option<&[u8]>,
    media: &mut LocalMedia,
) -> (Command, Option<Negotiated>) {
    media.version += 1;
    match word_on(offer, media) {
        Ok((sdp, agreed)) => (Command::AcceptReinvite { session, sdp }, agreed),
        Err(status) => {
            let headers = Vec::new();
            let refusal = Command::RejectReinvite {
                session,
                status,
                headers,
            };
            (refusal, None)
        }
    }
}

/// Where the audio of an agreement goes; none where nothing is to be sent.
pub fn audio(agreed: &Negotiated) -> Option<Agreed> {
    let remote = agreed.remote.filter(|_| agreed.send)?;
    Some(Agreed {
        remote,
        payload_type: agreed.payload_type,
        event_payload_type: agreed.event_payload_type,
    })
}
