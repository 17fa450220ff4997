//! The SIP of one side: all its calls over one socket and one [`Endpoint`].
//!
//! Knows nothing of audio but the addresses that were agreed.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use bytes::Bytes;
use media::srtp::SrtpKeys;
use sip::endpoint::{Command, Endpoint, Event, Flow, IncomingInvite, Output, SessionKey, Transport};
use sip::sdp::{self, LocalMedia, Negotiated};

use crate::media_keys::srtp_keys;
use crate::phone::{Agreed, audio, invite, open_endpoint, word_on, word_on_change};

/// Longest SIP message over UDP.
const MESSAGE_BYTES_MAX: usize = 65_535;
/// Datagrams read in one turn, so that media is not kept waiting.
const DATAGRAMS_PER_TURN_MAX: usize = 64;

/// What happened.
#[derive(Debug)]
pub enum Told {
    /// Somebody calls.
    Incoming(Box<IncomingInvite>),
    /// It rings there.
    Ringing(SessionKey),
    /// It was answered.
    Up(SessionKey),
    /// Where audio goes from now on; none: nowhere.
    Media(SessionKey, Option<Way>),
    /// The call is over.
    Over(SessionKey, Over),
}

/// Where audio goes, and under which keys.
#[derive(Clone, Debug)]
pub struct Way {
    /// The address and payload types.
    pub agreed: Agreed,
    /// None for a stream in clear.
    pub keys: Option<SrtpKeys>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// As intended, by either side.
    HungUp,
    /// With this status instead of an answer.
    Refused(u16),
    /// No answer, no ACK, or a dialog that is gone.
    Failed,
}

/// The machine and its socket.
#[derive(Debug)]
pub struct Line {
    endpoint: Endpoint,
    socket: UdpSocket,
    local: SocketAddr,
    /// What each call offered or answered with.
    media: BTreeMap<SessionKey, LocalMedia>,
    told: VecDeque<Told>,
    buffer: Vec<u8>,
}

impl Line {
    /// Binds `address`; port 0 takes a free one.
    pub fn open(address: SocketAddr, seed: [u8; 32]) -> io::Result<Line> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        Ok(Line {
            endpoint: open_endpoint(local, seed),
            socket,
            local,
            media: BTreeMap::new(),
            told: VecDeque::new(),
            buffer: vec![0; MESSAGE_BYTES_MAX],
        })
    }

    /// Its socket, to wait for.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Where it is bound.
    pub fn address(&self) -> SocketAddr {
        self.local
    }

    /// Where its media should be bound.
    pub fn ip(&self) -> IpAddr {
        self.local.ip()
    }

    /// Calls `to` at `target` as `from`.
    pub fn call(
        &mut self,
        number: u64,
        (from, to): (&str, &str),
        target: SocketAddr,
        media: LocalMedia,
        now: Instant,
    ) -> SessionKey {
        let session = SessionKey::Out(number);
        let from = format!("<sip:{from}@{}>", self.local);
        let uri = format!("sip:{to}@{target}");
        let invite = invite(session, self.flow(target), from, uri, sdp::offer(&media));
        self.media.insert(session, media);
        self.order(Command::Invite(Box::new(invite)), now);
        session
    }

    /// Answers a call.
    pub fn answer(&mut self, invite: &IncomingInvite, media: LocalMedia, now: Instant) {
        let session = invite.session;
        let (sdp, agreed) = match word_on(invite.offer.as_deref(), &media) {
            Ok(word) => word,
            Err(status) => return self.reject(session, status, now),
        };
        self.told
            .extend(agreed.map(|agreed| Told::Media(session, way(&agreed))));
        self.media.insert(session, media);
        let headers = Vec::new();
        self.order(
            Command::Answer {
                session,
                sdp,
                headers,
            },
            now,
        );
    }

    /// Refuses a call.
    pub fn reject(&mut self, session: SessionKey, status: u16, now: Instant) {
        let headers = Vec::new();
        self.order(
            Command::Reject {
                session,
                status,
                reason: None,
                headers,
            },
            now,
        );
    }

    /// Ends a call that was answered.
    pub fn bye(&mut self, session: SessionKey, now: Instant) {
        let headers = Vec::new();
        self.order(Command::Bye { session, headers }, now);
    }

    /// Gives up a call that was not.
    pub fn cancel(&mut self, session: SessionKey, now: Instant) {
        let headers = Vec::new();
        self.order(Command::Cancel { session, headers }, now);
    }

    /// Reads what came and lets deadlines pass.
    pub fn turn(&mut self, now: Instant) {
        for _ in 0..DATAGRAMS_PER_TURN_MAX {
            // An ICMP error is not told apart: SIP's timers find out.
            let Ok((length, remote)) = self.socket.recv_from(&mut self.buffer) else {
                break;
            };
            let bytes = Bytes::copy_from_slice(self.buffer.get(..length).unwrap_or(&[]));
            self.endpoint.handle_datagram(self.flow(remote), bytes, now);
            self.collect(now);
        }
        if self.endpoint.next_deadline().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
            self.collect(now);
        }
    }

    /// The next thing that happened.
    pub fn poll(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    fn order(&mut self, command: Command, now: Instant) {
        self.endpoint.handle_command(command, now);
        self.collect(now);
    }

    fn collect(&mut self, now: Instant) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                // SIP repeats what a full socket loses.
                Output::Send { flow, bytes } => drop(self.socket.send_to(&bytes, flow.remote)),
                Output::Event(event) => self.handle_event(event, now),
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

    fn handle_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Incoming(invite) => self.told.push_back(Told::Incoming(Box::new(invite))),
            Event::Progress {
                session,
                response,
                sdp,
                ..
            } => {
                if response.status.code() != 100 {
                    self.told.push_back(Told::Ringing(session));
                }
                self.take_answer(session, sdp);
            }
            Event::Answered { session, sdp, .. } => {
                self.told.push_back(Told::Up(session));
                self.take_answer(session, sdp);
            }
            Event::Acknowledged { session, sdp } => {
                self.told.push_back(Told::Up(session));
                self.take_answer(session, sdp);
            }
            Event::ReinviteAccepted { session, sdp } | Event::Refreshed { session, sdp } => {
                self.take_answer(session, sdp);
            }
            Event::Reinvite { session, offer, .. } => self.handle_reinvite(session, offer, now),
            Event::Bye { session, .. }
            | Event::ByeDone { session }
            | Event::Cancelled { session }
            | Event::PeerCancelled { session, .. } => self.end(session, Over::HungUp),
            Event::Refused { session, response } => {
                self.end(session, Over::Refused(response.status.code()));
            }
            Event::AckMissing { session }
            | Event::PrackMissing { session }
            | Event::Unanswered { session, .. }
            | Event::Lost { session } => self.end(session, Over::Failed),
            // A plain policy speaks no extension.
            Event::ReinviteRefused { .. }
            | Event::Info { .. }
            | Event::EarlyAnswer { .. }
            | Event::Referred { .. }
            | Event::ReferProgress { .. }
            | Event::ReferDone { .. }
            | Event::InfoAnswered { .. }
            | Event::Expired { .. } => {}
        }
    }

    fn handle_reinvite(&mut self, session: SessionKey, offer: Option<Bytes>, now: Instant) {
        let Some(media) = self.media.get_mut(&session) else {
            return;
        };
        let (command, agreed) = word_on_change(session, offer.as_deref(), media);
        self.told
            .extend(agreed.map(|agreed| Told::Media(session, way(&agreed))));
        self.order(command, now);
    }

    fn take_answer(&mut self, session: SessionKey, answer: Option<Bytes>) {
        let Some((media, answer)) = self.media.get(&session).zip(answer) else {
            return;
        };
        // An answer that cannot be read leaves the stream as it was; the call shows it by silence.
        if let Ok(agreed) = sdp::accept_answer(media, &answer) {
            self.told.push_back(Told::Media(session, way(&agreed)));
        }
    }

    fn end(&mut self, session: SessionKey, over: Over) {
        self.media.remove(&session);
        self.told.push_back(Told::Over(session, over));
    }

    fn flow(&self, remote: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: self.local,
            remote,
        }
    }
}

fn way(agreed: &Negotiated) -> Option<Way> {
    let keys = agreed.crypto.as_ref().map(srtp_keys);
    audio(agreed).map(|agreed| Way { agreed, keys })
}
