//! The mouth and the ear of a party.

use media::dtmf::{Detector, ToneSender, ToneTick};

use super::*;

impl Party {
    /// Samples heard from `since` to `until`.
    pub fn samples(&self, since: Instant, until: Instant) -> Vec<i16> {
        let frames = self
            .heard
            .iter()
            .filter(|frame| frame.at >= since && frame.at < until);
        frames.flat_map(|frame| frame.samples.iter().copied()).collect()
    }

    /// The longest time between two packets from `since` to `until`.
    pub fn gap(&self, since: Instant, until: Instant) -> Duration {
        let times = self
            .heard
            .iter()
            .map(|frame| frame.at)
            .filter(|at| *at >= since && *at < until);
        let mut times: Vec<Instant> = times.collect();
        times.insert(0, since);
        times.push(until);
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
    }

    /// Presses digits in its audio, each for 100 ms.
    pub fn press_inband(&mut self, digits: &str) {
        let mut sender = ToneSender::new(digits, 100).expect("digits");
        let mut frame = [0; 160];
        while sender.tick(&mut frame) == ToneTick::Frame {
            self.voice.said.push_back(frame);
        }
    }

    /// Digits in the audio it heard from `since` to `until`.
    pub fn digits_heard(&self, since: Instant, until: Instant) -> String {
        let (mut detector, samples) = (Detector::new(), self.samples(since, until));
        let frames = samples.as_chunks::<160>().0.iter();
        let ended = frames.filter_map(|frame| detector.handle_frame(frame, false).ended);
        ended.map(|pressed| pressed.digit.to_char()).collect()
    }

    pub fn listen(&mut self, now: Instant, network: &Network) {
        let mut packet = [0; 2048];
        while let Some((length, _)) = network.receive(self.media, &mut packet) {
            self.hear(&packet[..length], now);
        }
    }

    fn hear(&mut self, packet: &[u8], now: Instant) {
        let mut opened = Vec::new();
        if let Some(sdes) = &mut self.sdes {
            self.wire.push(packet.to_vec());
            let Some(plain) = sdes.open(packet) else {
                return self.unread.push(packet.to_vec());
            };
            opened = plain;
        }
        let packet = if opened.is_empty() { packet } else { &opened };
        if packet.len() < 12 || packet[0] >> 6 != 2 {
            return;
        }
        let payload_type = packet[1] & 0x7f;
        let payload = &packet[12..];
        let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        if payload_type == 101 {
            if payload[1] & 0x80 != 0 && self.last_event != Some(timestamp) {
                self.last_event = Some(timestamp);
                self.digits.push(payload[0]);
            }
            return;
        }
        self.heard.push(HeardFrame {
            at: now,
            samples: self.voice.decode(payload_type, payload),
            ssrc: u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]),
            sequence: u16::from_be_bytes([packet[2], packet[3]]),
            payload_type,
        });
    }

    pub(super) fn speak(&mut self, network: &Network) {
        let position = self.position;
        self.position += 160;
        let Some(to) = self.far_media.filter(|_| !self.silent) else {
            return;
        };
        let mut header = vec![0x80, self.voice.number];
        header.extend(self.sequence.to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        let ssrc = 0x1000_0000 + u32::from(self.address.port());
        if let Some((digit, duration, end, start)) = self.pressing.pop_front() {
            header[1] = 101 | if duration == 160 && !end { 0x80 } else { 0 };
            header.extend(start.to_be_bytes());
            header.extend(ssrc.to_be_bytes());
            let [high, low] = duration.to_be_bytes();
            header.extend([digit, if end { 0x8a } else { 10 }, high, low]);
            self.event_packets.push(header.clone());
            return self.send(network, header, to);
        }
        header.extend(self.voice.timestamp(position).to_be_bytes());
        header.extend(ssrc.to_be_bytes());
        let mut samples = [0; 160];
        tone::sine(self.hz, 0.25, position, &mut samples);
        let samples = self.voice.said.pop_front().unwrap_or(samples);
        header.extend(self.voice.encode(&samples));
        self.send(network, header, to);
    }

    fn send(&mut self, network: &Network, packet: Vec<u8>, to: SocketAddr) {
        let packet = match &mut self.sdes {
            Some(sdes) => sdes.seal(packet),
            None => packet,
        };
        network.send(self.media, &packet, &[], to);
    }
}

pub(super) fn ip_bytes(address: SocketAddr) -> [u8; 16] {
    match address.ip() {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(ip) => ip.octets(),
    }
}
