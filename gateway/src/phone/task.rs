//! The task of one phone: its sockets, its clock and the 20 ms grid.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::codec::Decoder;
use media::dtmf::{Digit, EventPayload};
use media::frame::FRAME_SAMPLES;
use media::rtp::{Packet, RtpTime};
use sip::rng::Rng;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use super::config::Config;
use super::ear::Ear;
use super::hearing::Hearing;
use super::mouth::{Mouth, PACKET_BYTES_MAX};
use super::signalling::{Action, Agreed, Signalling};
use super::status::{Stage, Status};
use crate::shell::clock;

/// Distance of two packets.
const TICK: Duration = Duration::from_millis(20);
/// Packets sent in one go after a late wake-up; more are left out, as a stalled phone would.
const CATCH_UP_MAX: u32 = 5;
/// Longest SIP message over UDP.
const MESSAGE_BYTES_MAX: usize = 65_535;
/// Longest RTP packet looked at.
const DATAGRAM_BYTES_MAX: usize = 1_500;
/// Samples of the longest packet decoded: 120 ms.
const SAMPLES_MAX: usize = 6 * FRAME_SAMPLES;
/// Digits remembered of one call.
const DIGITS_MAX: usize = 64;

/// What a script asks of a phone.
#[derive(Debug)]
pub enum Order {
    /// Calls somebody.
    Call {
        /// User part of the URI.
        user: String,
        /// The SIP host.
        host: SocketAddr,
    },
    /// Says digits.
    Digits(String),
    /// Ends the call.
    HangUp,
}

/// All that runs.
pub struct Task {
    config: Config,
    signalling: Signalling,
    socket: UdpSocket,
    ear: Ear,
    hearing: Arc<Mutex<Hearing>>,
    decoder: Decoder,
    status: watch::Sender<Status>,
    rng: Rng,
    speaking: Option<Speaking>,
    /// Timestamp of the last digit taken, so that its repeated ends count once.
    last_digit: Option<RtpTime>,
}

/// A stream that is sent.
struct Speaking {
    agreed: Agreed,
    mouth: Mouth,
    due: Instant,
}

impl Task {
    /// A task that is not running yet.
    pub fn new(
        config: Config,
        seed: [u8; 32],
        socket: UdpSocket,
        ear: Ear,
        hearing: Arc<Mutex<Hearing>>,
        status: watch::Sender<Status>,
    ) -> io::Result<Task> {
        let signalling = Signalling::new(&config, seed, socket.local_addr()?, ear.address()?);
        let mut rng = Rng::new(seed);
        // The endpoint draws from the same seed; the stream's numbers must not be its tags.
        let seed = std::array::from_fn(|_| rng.u32() as u8);
        Ok(Task {
            decoder: Decoder::new(config.codec),
            config,
            signalling,
            socket,
            ear,
            hearing,
            status,
            rng: Rng::new(seed),
            speaking: None,
            last_digit: None,
        })
    }

    /// Runs until the phone is dropped.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut message = vec![0; MESSAGE_BYTES_MAX];
        let mut datagram = [0; DATAGRAM_BYTES_MAX];
        let mut actions = Vec::new();
        loop {
            let speak_at = self.speaking.as_ref().map(|speaking| speaking.due);
            let wake_at = self.signalling.next_deadline().into_iter().chain(speak_at).min();
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.obey(order, &mut actions),
                    None => return,
                },
                () = wake(wake_at) => {}
                received = self.ear.recv(&mut datagram) => {
                    // An ICMP error of the far side's port: its end comes by SIP.
                    if let Ok((length, arrived)) = received {
                        self.hear(datagram.get(..length).unwrap_or(&[]), arrived);
                    }
                }
                received = self.socket.recv_from(&mut message) => {
                    if let Ok((length, remote)) = received {
                        let bytes = Bytes::copy_from_slice(message.get(..length).unwrap_or(&[]));
                        self.signalling.handle_datagram(remote, bytes, clock::mono(), &mut actions);
                    }
                }
            }
            let now = clock::mono();
            self.signalling.handle_timeout(now, &mut actions);
            for action in actions.drain(..) {
                self.perform(action, now);
            }
            self.speak(now);
        }
    }

    fn obey(&mut self, order: Order, actions: &mut Vec<Action>) {
        let now = clock::mono();
        match order {
            Order::Call { user, host } => self.signalling.call(&user, host, now, actions),
            Order::HangUp => self.signalling.hang_up(now, actions),
            Order::Digits(digits) => {
                if let Some(speaking) = &mut self.speaking {
                    speaking.mouth.say_digits(&digits);
                }
            }
        }
    }

    fn perform(&mut self, action: Action, now: Instant) {
        match action {
            // SIP repeats what a full socket loses.
            Action::Send(remote, bytes) => drop(self.socket.try_send_to(&bytes, remote)),
            Action::Media(agreed) => self.set_media(agreed, now),
            Action::Stage(stage) => self.status.send_modify(|status| {
                if status.stage == Stage::Idle {
                    status.digits.clear();
                }
                status.stage = stage;
            }),
            Action::Ended(end) => self.status.send_modify(|status| {
                status.stage = Stage::Idle;
                status.ends += 1;
                status.last_end = Some(end);
            }),
        }
    }

    fn set_media(&mut self, agreed: Option<Agreed>, now: Instant) {
        let is_same = self.speaking.as_ref().map(|speaking| speaking.agreed) == agreed;
        if is_same {
            return;
        }
        self.speaking = agreed.map(|agreed| {
            let payload_types = (agreed.payload_type, agreed.event_payload_type);
            let random = (self.rng.u32() as u16, self.rng.u32(), self.rng.u32());
            let mouth = Mouth::new(self.config.tone_hz, self.config.codec, payload_types, random);
            Speaking {
                agreed,
                mouth,
                due: now,
            }
        });
    }

    /// Sends the packets that are due.
    fn speak(&mut self, now: Instant) {
        let Some(speaking) = &mut self.speaking else {
            return;
        };
        let mut sent = 0;
        while speaking.due <= now {
            if sent == CATCH_UP_MAX {
                speaking.due = now + TICK;
                return;
            }
            let mut packet = [0; PACKET_BYTES_MAX];
            let length = speaking.mouth.tick(&mut packet);
            self.ear
                .send(packet.get(..length).unwrap_or(&[]), speaking.agreed.remote);
            speaking.due += TICK;
            sent += 1;
        }
    }

    fn hear(&mut self, datagram: &[u8], arrived: Instant) {
        let Ok(packet) = Packet::parse(datagram) else {
            return;
        };
        let payload_type = packet.header.payload_type;
        if payload_type == self.config.codec.static_payload_type() {
            let mut samples = [0; SAMPLES_MAX];
            let length = self.decoder.decode(packet.payload, &mut samples);
            self.hearing
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(arrived, samples.get(..length).unwrap_or(&[]));
        } else if self
            .speaking
            .as_ref()
            .and_then(|speaking| speaking.agreed.event_payload_type)
            == Some(payload_type)
        {
            self.hear_digit(&packet);
        }
    }

    fn hear_digit(&mut self, packet: &Packet<'_>) {
        let Some(event) = EventPayload::parse(packet.payload) else {
            return;
        };
        let Some(digit) = Digit::from_event(event.event) else {
            return;
        };
        if !event.is_end || self.last_digit == Some(packet.header.time) {
            return;
        }
        self.last_digit = Some(packet.header.time);
        self.status.send_modify(|status| {
            if status.digits.len() < DIGITS_MAX {
                status.digits.push(digit.to_char());
            }
        });
    }
}

/// Comes back at `at`, or never.
async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => clock::until(at).await,
        None => std::future::pending().await,
    }
}
