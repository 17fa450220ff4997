//! The RTP of one side of one call: a socket, what it says and what it hears.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use media::Codec;
use media::frame::FRAME_SAMPLES;
use media::rtp::{Header, Packet, RtpTime, SeqNo, Ssrc};

use super::listener::{Listener, Said};
use super::mark::{Book, Mark};
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
    /// Datagrams in a row from where audio goes.
    settled: u32,
    /// What it said.
    pub said: Said,
    /// What it heard.
    pub listener: Listener,
    seq: SeqNo,
    time: RtpTime,
    ssrc: Ssrc,
}

impl Voice {
    /// Binds an even port of `ip`; the stream begins at those random numbers.
    pub fn open(ip: IpAddr, codec: Codec, mark: Mark, random: (u16, u32, u32)) -> io::Result<Voice> {
        let (seq, time, ssrc) = random;
        Ok(Voice {
            socket: bind_even(ip)?,
            codec,
            agreed: None,
            settled: 0,
            said: Said::new(mark),
            listener: Listener::default(),
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
    pub fn set_agreed(&mut self, agreed: Option<Agreed>) {
        if let Some(to) = agreed
            && self.settled >= SETTLED
        {
            // One that stays connected to the old place hears nothing, which is told as such.
            let _ = self.socket.connect(to.remote);
        }
        self.agreed = agreed;
    }

    /// Sends the next frame, where there is somebody to send it to. A frame that the kernel does not take was
    /// not said.
    pub fn speak(&mut self, now: Instant, book: &Book) {
        let Some(agreed) = self.agreed else { return };
        let header = Header {
            marker: self.said.frames == 0,
            payload_type: agreed.payload_type,
            seq: self.seq,
            time: self.time,
            ssrc: self.ssrc,
        };
        self.seq = self.seq.next();
        self.time = self.time.add(FRAME_SAMPLES as u32);
        let beat = self.said.say(now);
        let mut packet = [0; Header::BYTES + FRAME_SAMPLES];
        let bytes = header.to_bytes();
        let payload = book.frame(self.said.mark, beat);
        for (to, from) in packet.iter_mut().zip(bytes.iter().chain(payload)) {
            *to = *from;
        }
        // What is not sent is missed at the other end and counted there.
        let _ = if self.settled >= SETTLED {
            self.socket.send(&packet)
        } else {
            self.socket.send_to(&packet, agreed.remote)
        };
    }

    /// Reads one datagram from the far side; the next turn reads the next one.
    pub fn hear(&mut self, now: Instant, far: &Said, book: &Book, measures: &mut Measures) {
        let mut datagram = [0; DATAGRAM_BYTES_MAX];
        let Ok((length, from)) = self.socket.recv_from(&mut datagram) else {
            return;
        };
        self.settle(from);
        let Ok(packet) = Packet::parse(datagram.get(..length).unwrap_or(&[])) else {
            return;
        };
        if packet.header.payload_type == self.codec.static_payload_type() {
            self.listener.hear(packet.payload, now, far, book, measures);
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
