//! The RTP of one party of one call: a socket, what goes out of it and what comes in.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use media::Codec;
use media::frame::FRAME_SAMPLES;
use media::rtp::{Header, Packet, RtpTime, SeqNo, Ssrc};
use media::srtp::Srtp;

use super::line::Way;
use super::listener::{Ear, Said, Talk};
use super::mark::{Book, Party};
use super::measures::Measures;
use crate::phone::Agreed;

/// Longest datagram looked at.
const DATAGRAM_BYTES_MAX: usize = 1_500;
/// Datagrams in a row from where audio goes after which the socket is connected to there: the kernel then looks
/// nothing up for each.
const SETTLED: u32 = 25;
/// Tries to find an even port (RFC 3550 §11).
const PORT_TRIES_MAX: usize = 64;

/// A stream both ways.
#[derive(Debug)]
pub struct Voice {
    socket: UdpSocket,
    codec: Codec,
    agreed: Option<Agreed>,
    /// None while the stream is in clear.
    srtp: Option<Box<Srtp>>,
    /// Datagrams in a row from where audio goes.
    settled: u32,
    /// What it heard.
    pub ear: Ear,
    seq: SeqNo,
    time: RtpTime,
    ssrc: Ssrc,
}

impl Voice {
    /// Binds an even port of `ip`; the stream begins at those random numbers.
    pub fn open(ip: IpAddr, codec: Codec, random: (u16, u32, u32)) -> io::Result<Voice> {
        let (seq, time, ssrc) = random;
        Ok(Voice {
            socket: bind_even(ip)?,
            codec,
            agreed: None,
            srtp: None,
            settled: 0,
            ear: Ear::default(),
            seq: SeqNo(seq),
            time: RtpTime(time),
            ssrc: Ssrc(ssrc),
        })
    }

    /// Its socket, to wait for.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Where it is bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Speaks to there from now on; none: is quiet.
    pub fn set_way(&mut self, way: Option<Way>) {
        let Some(Way { agreed, keys }) = way else {
            self.agreed = None;
            return;
        };
        match (&mut self.srtp, keys) {
            (Some(srtp), Some(keys)) => srtp.configure(&keys),
            (srtp, keys) => *srtp = keys.map(|keys| Box::new(Srtp::new(&keys))),
        }
        if self.settled >= SETTLED {
            // One that stays connected to the old place hears nothing, which is told as such.
            let _ = self.socket.connect(agreed.remote);
        }
        self.agreed = Some(agreed);
    }

    /// Falls quiet, and still hears.
    pub fn hush(&mut self) {
        self.agreed = None;
    }

    /// Sends the next frame, where there is somebody to send it to. A frame that the kernel does not take was
    /// not said.
    pub fn speak(&mut self, now: Instant, said: &mut Said, book: &Book) {
        let Some(agreed) = self.agreed else { return };
        let header = Header {
            marker: said.frames == 0,
            payload_type: agreed.payload_type,
            seq: self.seq,
            time: self.time,
            ssrc: self.ssrc,
        };
        self.seq = self.seq.next();
        self.time = self.time.add(FRAME_SAMPLES as u32);
        let beat = said.say(now);
        let mut packet = [0; Header::BYTES + FRAME_SAMPLES];
        let bytes = header.to_bytes();
        let payload = book.frame(said.mark, beat);
        for (to, from) in packet.iter_mut().zip(bytes.iter().chain(payload)) {
            *to = *from;
        }
        let secured = match &mut self.srtp {
            None => None,
            Some(srtp) => match srtp.protect_rtp(&packet) {
                None => return,
                secured => secured,
            },
        };
        let datagram = secured.as_deref().unwrap_or(&packet);
        // What is not sent is missed at the other end and counted there.
        let _ = if self.settled >= SETTLED {
            self.socket.send(datagram)
        } else {
            self.socket.send_to(datagram, agreed.remote)
        };
    }

    /// Reads one datagram; the next turn reads the next one. What the others said of it is heard where there is a
    /// `talk`; else it is let by, such as ringing.
    pub fn hear(
        &mut self,
        now: Instant,
        own: Party,
        talk: Option<&Talk>,
        book: &Book,
        measures: &mut Measures,
    ) {
        let mut datagram = [0; DATAGRAM_BYTES_MAX];
        let Ok((length, from)) = self.socket.recv_from(&mut datagram) else {
            return;
        };
        self.settle(from);
        let datagram = datagram.get(..length).unwrap_or(&[]);
        let opened = match &mut self.srtp {
            None => None,
            // What is not under the agreed key is not heard.
            Some(srtp) => match srtp.unprotect_rtp(datagram, now) {
                Ok(opened) => Some(opened),
                Err(_) => return,
            },
        };
        let Ok(packet) = Packet::parse(opened.as_deref().unwrap_or(datagram)) else {
            return;
        };
        if let Some(talk) = talk
            && packet.header.payload_type == self.codec.static_payload_type()
        {
            self.ear.hear(packet.payload, now, own, talk, book, measures);
        }
    }

    fn settle(&mut self, from: SocketAddr) {
        if self.settled >= SETTLED {
            return;
        }
        let is_there = self.agreed.is_some_and(|agreed| agreed.remote == from);
        self.settled = if is_there { self.settled + 1 } else { 0 };
        if self.settled == SETTLED && self.socket.connect(from).is_err() {
            self.settled = 0;
        }
    }
}

fn bind_even(ip: IpAddr) -> io::Result<UdpSocket> {
    let mut odd = Vec::new();
    for _ in 0..PORT_TRIES_MAX {
        let socket = UdpSocket::bind((ip, 0))?;
        if socket.local_addr()?.port() % 2 == 0 {
            socket.set_nonblocking(true)?;
            return Ok(socket);
        }
        // Kept for the time being, so that the kernel does not offer it again.
        odd.push(socket);
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free even UDP port"))
}
