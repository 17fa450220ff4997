//! A test party and the world it lives in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::codec::{Decoder, Encoder};
use crate::command::*;
use crate::event::Event;
use crate::rtp::{Header, Packet, RtpTime, SeqNo, Ssrc};
use crate::shard::sim_io::{Network, SimIo, Weather};
use crate::shard::{BlockReader, MetricsReader, Shard, ShardConfig};
use crate::srtp::{Srtp, SrtpKeys};

/// One shard, its network and its parties; time moves by `run`.
pub struct World {
    pub start: Instant,
    pub now: Instant,
    pub network: Network,
    pub shard: Shard,
    pub metrics: MetricsReader,
    pub blocks: BlockReader,
    pub io: SimIo,
    pub parties: Vec<Party>,
    pub events: Vec<(u64, Event)>,
    /// What each party was configured with.
    configs: Vec<StreamConfig>,
}

/// A phone: it sends what it is told every 20 ms and keeps what it hears.
pub struct Party {
    pub stream: StreamKey,
    pub address: SocketAddr,
    pub gateway: SocketAddr,
    pub payload_type: u8,
    pub codec: Codec,
    pub ptime_ms: u8,
    pub ssrc: u32,
    pub seq: u16,
    pub time: u32,
    /// What is sent, one payload after the other; then nothing.
    pub to_send: std::collections::VecDeque<Vec<u8>>,
    /// A tone sent for ever, Hz.
    pub tone_hz: f32,
    pub phase: u64,
    pub encoder: Encoder,
    pub heard: Vec<Heared>,
    /// Its end of a secure stream.
    pub srtp: Option<Srtp>,
    /// Every datagram it got, as it was.
    pub wire: Vec<Vec<u8>>,
}

/// A packet a party got.
#[derive(Debug, Clone)]
pub struct Heared {
    pub at_ms: u64,
    pub header: Header,
    pub payload: Vec<u8>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let start = Instant::now();
        let network = Network::new(seed, start);
        let config = ShardConfig {
            streams_max: 64,
            seed,
            ..ShardConfig::default()
        };
        let (shard, metrics, blocks) = Shard::new(&config, start);
        let io = SimIo::new(network.clone(), 64);
        Self {
            start,
            now: start,
            network,
            shard,
            metrics,
            blocks,
            io,
            parties: Vec::new(),
            events: Vec::new(),
            configs: Vec::new(),
        }
    }

    pub fn weather(&mut self, weather: Weather) {
        self.network.set_weather(weather);
    }

    /// Opens and configures a stream for a new party; gives its index.
    pub fn party(&mut self, codec: Codec) -> usize {
        self.party_with(codec, |_| {})
    }

    pub fn party_with(&mut self, codec: Codec, change: impl FnOnce(&mut StreamConfig)) -> usize {
        let index = self.parties.len();
        let stream = StreamKey(100 + index as u64);
        let address: SocketAddr = format!("127.0.0.{}:4000", 2 + index).parse().unwrap();
        self.network.bind(address);
        self.network.bind(SocketAddr::new(address.ip(), 4001));
        self.command(vec![Change::Open {
            stream,
            address: "127.0.0.1".parse().unwrap(),
        }]);
        let gateway = match self.shard.poll_event() {
            Some(Event::Opened { local, .. }) => local,
            other => panic!("not opened: {other:?}"),
        };
        let mut config = StreamConfig {
            codec,
            payload_type: codec.static_payload_type(),
            accepts: vec![
                (0, Codec::Pcmu),
                (8, Codec::Pcma),
                (9, Codec::G722),
                (96, Codec::Opus),
            ],
            event_payload_type: Some(101),
            digits: DigitForm::Events,
            ptime_ms: 20,
            remote: Some(address),
            remote_rtcp: Some(SocketAddr::new(address.ip(), 4001)),
            source: SourceRule::Strict,
            may_send: true,
            may_receive: true,
            srtp: None,
        };
        change(&mut config);
        let srtp = config.srtp.as_ref().map(|keys| Srtp::new(&other_end(keys)));
        self.parties.push(Party {
            stream,
            address,
            gateway,
            payload_type: config.payload_type,
            codec,
            ptime_ms: config.ptime_ms,
            ssrc: 1000 + index as u32,
            seq: 65_530 + index as u16,
            time: u32::MAX - 1000,
            to_send: Default::default(),
            tone_hz: 0.0,
            phase: 0,
            encoder: Encoder::new(codec),
            heard: Vec::new(),
            srtp,
            wire: Vec::new(),
        });
        self.configs.push(config.clone());
        self.command(vec![Change::Configure { stream, config }]);
        index
    }

    pub fn shard_config(&self, party: usize) -> StreamConfig {
        self.configs[party].clone()
    }

    pub fn command(&mut self, changes: Command) {
        self.shard.handle_command(changes, &mut self.io, self.now);
    }

    /// A row: who `listener` hears at 0 dB.
    pub fn row(&self, listener: usize, speakers: &[usize]) -> Change {
        let speakers = speakers.iter().map(|speaker| Heard {
            speaker: self.parties[*speaker].stream,
            gain_db: 0.0,
        });
        Change::Hear {
            listener: self.parties[listener].stream,
            speakers: speakers.collect(),
        }
    }

    /// Time passes, a millisecond at a time; parties send every 20 ms, 5 ms off the shard's grid.
    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += Duration::from_millis(1);
            self.network.set_now(self.now);
            let elapsed_ms = self.now_ms();
            for index in 0..self.parties.len() {
                if elapsed_ms % u64::from(self.parties[index].ptime_ms) == 5 {
                    self.parties[index].send_next(&self.network);
                }
            }
            self.shard.turn(&mut self.io, self.now);
            for party in &mut self.parties {
                party.listen(&self.network, self.now, elapsed_ms);
            }
            while let Some(event) = self.shard.poll_event() {
                self.events.push((elapsed_ms, event));
            }
        }
    }

    pub fn now_ms(&self) -> u64 {
        (self.now - self.start).as_millis() as u64
    }

    pub fn events_of(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| wanted(event)).count()
    }
}

impl Party {
    fn send_next(&mut self, network: &Network) {
        let samples = usize::from(self.ptime_ms) * 8;
        if let Some(payload) = self.to_send.pop_front() {
            let payload_type = self.payload_type;
            self.send(network, payload_type, false, &payload);
        } else if self.tone_hz > 0.0 {
            let samples: Vec<i16> = (0..samples as u64)
                .map(|at| {
                    let angle = (self.phase + at) as f32 * self.tone_hz * std::f32::consts::TAU / 8000.0;
                    (angle.sin() * 8000.0) as i16
                })
                .collect();
            let mut payload = vec![0; samples.len().max(400)];
            let length = self.encoder.encode(&samples, &mut payload);
            payload.truncate(length);
            let payload_type = self.payload_type;
            self.send(network, payload_type, false, &payload);
        }
        self.phase += samples as u64;
        self.time = self
            .time
            .wrapping_add(samples as u32 * self.codec.units_per_sample());
    }

    /// Sends one packet with the current time and the next number.
    pub fn send(&mut self, network: &Network, payload_type: u8, marker: bool, payload: &[u8]) {
        let header = Header {
            marker,
            payload_type,
            seq: SeqNo(self.seq),
            time: RtpTime(self.time),
            ssrc: Ssrc(self.ssrc),
        };
        self.seq = self.seq.wrapping_add(1);
        let packet = [&header.to_bytes()[..], payload].concat();
        let packet = match &mut self.srtp {
            Some(srtp) => srtp.protect_rtp(&packet).unwrap().to_vec(),
            None => packet,
        };
        network.send(self.address, &packet, &[], self.gateway);
    }

    fn listen(&mut self, network: &Network, now: Instant, at_ms: u64) {
        let mut bytes = [0; 2048];
        while let Some((len, from)) = network.receive(self.address, &mut bytes) {
            assert_eq!(from, self.gateway, "packets come from where they are sent to");
            self.wire.push(bytes[..len].to_vec());
            let opened = match &mut self.srtp {
                Some(srtp) => srtp.unprotect_rtp(&bytes[..len], now).unwrap().to_vec(),
                None => bytes[..len].to_vec(),
            };
            let packet = Packet::parse(&opened).unwrap();
            self.heard.push(Heared {
                at_ms,
                header: packet.header,
                payload: packet.payload.to_vec(),
            });
        }
    }

    /// Payloads heard since a moment, audio only.
    pub fn audio_since(&self, at_ms: u64) -> Vec<&Heared> {
        self.heard
            .iter()
            .filter(|heard| heard.at_ms >= at_ms && heard.header.payload_type != 101)
            .collect()
    }

    /// What it heard from a moment on, as samples.
    pub fn samples_since(&self, at_ms: u64) -> Vec<i16> {
        let mut all = Vec::new();
        let mut decoders =
            [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus].map(|codec| (codec, Decoder::new(codec)));
        for heard in self.audio_since(at_ms) {
            let (_, decoder) = decoders
                .iter_mut()
                .find(|(codec, _)| codec.static_payload_type() == heard.header.payload_type)
                .unwrap();
            let mut samples = vec![0; 960];
            let length = decoder.decode(&heard.payload, &mut samples);
            samples.truncate(length);
            all.extend(samples);
        }
        all
    }

    /// All RTP heard is one sequence: one SSRC, numbers without a hole, time that never goes back.
    pub fn assert_unbroken(&self) {
        for pair in self.heard.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            assert_eq!(before.header.ssrc, after.header.ssrc, "at {} ms", after.at_ms);
            assert_eq!(
                before.header.seq.next(),
                after.header.seq,
                "at {} ms",
                after.at_ms
            );
            let step = after.header.time.since(before.header.time);
            assert!(
                (0..=1600 * self.codec.units_per_sample() as i32).contains(&step),
                "time steps by {step} at {} ms",
                after.at_ms
            );
        }
    }
}

/// The keys as the far end has them.
pub fn other_end(keys: &SrtpKeys) -> SrtpKeys {
    SrtpKeys {
        send: keys.receive.clone(),
        receive: keys.send.clone(),
    }
}

/// Level of one frequency, dB below a full-scale sine (Goertzel).
pub fn level_db(samples: &[i16], hz: f32) -> f32 {
    let coefficient = 2.0 * (std::f32::consts::TAU * hz / 8000.0).cos();
    let (mut one, mut two) = (0f32, 0f32);
    for sample in samples {
        let zero = f32::from(*sample) / 32_768.0 + coefficient * one - two;
        (two, one) = (one, zero);
    }
    let power = one * one + two * two - coefficient * one * two;
    let amplitude = 2.0 * power.max(0.0).sqrt() / samples.len().max(1) as f32;
    20.0 * amplitude.max(1e-6).log10()
}
