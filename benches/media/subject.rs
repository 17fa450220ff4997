//! What is measured: a thread with one address per leg.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use media::recorder::TrackKey;
use media::shard::io::{Choice, Engine};
use media::shard::{BlockReader, ShardConfig, ShardHandle, spawn};
use media::sound::Sound;
use media::srtp::{MasterKey, SrtpKeys, SrtpSuite};
use media::{
    Change, Codec, DigitForm, Event, Heard, PlayKey, PlayLayer, Source, SourceRule, StreamConfig, StreamKey,
    TrackGate,
};

use crate::cases::Kind;
use crate::floor::{Floor, Work};
use crate::{SUBJECT_CPU, pin};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Payload type of Opus.
pub const OPUS: u8 = 96;

/// The keys of all secure legs, the same both ways.
pub fn keys() -> SrtpKeys {
    let key = || MasterKey::new(SrtpSuite::AesCm128Sha1_80, &[1; 16], &[2; 14]).expect("a key of this suite");
    SrtpKeys {
        send: key(),
        receive: key(),
    }
}

/// A running program under test.
pub struct Subject {
    addresses: Vec<SocketAddr>,
    thread: String,
    program: Program,
}

enum Program {
    Shard {
        handle: Box<ShardHandle>,
        has_ended: Arc<AtomicBool>,
        writer: JoinHandle<()>,
    },
    Floor(Floor),
}

/// The gateway's shard at this work.
pub fn shard(kind: Kind, parties: &[SocketAddr], turn: Duration, io: Choice) -> Subject {
    let config = ShardConfig {
        streams_max: parties.len() as u32,
        port_first: 30_000,
        port_last: 49_999,
        cpu: Some(SUBJECT_CPU),
        blocks: 4 * parties.len() + 64,
        io,
        turn,
        ..ShardConfig::default()
    };
    let (mut handle, blocks) = spawn(config, Box::new(|| {})).expect("a shard");
    let mut addresses = Vec::new();
    for (index, remote) in parties.iter().enumerate() {
        let (stream, address) = (StreamKey(index as u64), LOCALHOST);
        let config = stream_config(kind, index, *remote);
        let command = vec![
            Change::Open { stream, address },
            Change::Configure { stream, config },
        ];
        handle.send(command).expect("room for a command");
        addresses.push(opened(&mut handle));
    }
    for command in changes(kind, parties.len()).chunks(64) {
        while handle.command_queue_level() > 16 {
            std::thread::sleep(Duration::from_millis(1));
        }
        handle.send(command.to_vec()).expect("room for a command");
    }
    let has_ended = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&has_ended);
    let writer = std::thread::spawn(move || write(blocks, &ended));
    let program = Program::Shard {
        handle: Box::new(handle),
        has_ended,
        writer,
    };
    Subject {
        addresses,
        thread: "shard-0".into(),
        program,
    }
}

/// The floor of this work.
pub fn floor(work: Work, parties: &[SocketAddr], turn: Duration) -> Subject {
    let (floor, addresses) = Floor::start(work, parties, turn, || pin(SUBJECT_CPU));
    Subject {
        addresses,
        thread: "floor".into(),
        program: Program::Floor(floor),
    }
}

impl Subject {
    /// Where each leg sends to.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What keeps the sockets of a shard.
    pub fn engine(&self) -> Option<Engine> {
        match &self.program {
            Program::Shard { handle, .. } => Some(handle.engine()),
            Program::Floor(_) => None,
        }
    }

    /// CPU time of its thread, from the scheduler's own account (nanoseconds).
    pub fn cpu_time(&self) -> Duration {
        for task in std::fs::read_dir("/proc/self/task").expect("proc").flatten() {
            let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            if name.trim() == self.thread {
                let account = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                let nanoseconds = account.split(' ').next().and_then(|field| field.parse().ok());
                return Duration::from_nanos(nanoseconds.expect("schedstat"));
            }
        }
        panic!("the thread {} is gone", self.thread);
    }

    pub fn stop(self) {
        match self.program {
            Program::Shard {
                handle,
                has_ended,
                writer,
            } => {
                handle.stop();
                has_ended.store(true, Ordering::Relaxed);
                writer.join().expect("the writer runs to its end");
            }
            Program::Floor(floor) => floor.stop(),
        }
    }
}

/// Takes blocks of recordings as fast as they come; what writing them costs is not the shard's.
fn write(mut blocks: BlockReader, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        while let Some(block) = blocks.pop() {
            blocks.give_back(block.samples);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Who hears whom, and what plays and is recorded.
fn changes(kind: Kind, legs: usize) -> Vec<Change> {
    let hear = |listener: usize, speakers: &mut dyn Iterator<Item = usize>| Change::Hear {
        listener: StreamKey(listener as u64),
        speakers: speakers
            .map(|speaker| Heard {
                speaker: StreamKey(speaker as u64),
                gain_db: 0.0,
            })
            .collect(),
    };
    let mut changes = Vec::new();
    let music = Arc::new(Sound::from_pcm(
        (0..160_000).map(|at| (at % 2000) as i16 * 8).collect(),
    ));
    for leg in 0..legs {
        match kind {
            Kind::Relay | Kind::Srtp | Kind::Opus => changes.push(hear(leg, &mut [leg ^ 1].into_iter())),
            Kind::Record => {
                changes.push(hear(leg, &mut [leg ^ 1].into_iter()));
                let (track, stream) = (TrackKey(leg as u64), StreamKey(leg as u64));
                let gate = TrackGate::Open;
                changes.push(Change::StartTrack { track, stream, gate });
            }
            Kind::Mix => {
                let first = leg / 3 * 3;
                changes.push(hear(leg, &mut (first..first + 3).filter(|other| *other != leg)));
            }
            Kind::Music => changes.push(Change::Play {
                play: PlayKey(leg as u64),
                listener: StreamKey(leg as u64),
                sources: vec![Source::Sound(Arc::clone(&music))],
                from_ms: 0,
                repeat: true,
                gain_db: 0.0,
                layer: PlayLayer::Background,
            }),
        }
    }
    changes
}

fn opened(handle: &mut ShardHandle) -> SocketAddr {
    loop {
        match handle.poll_event() {
            Some(Event::Opened { local, .. }) => return local,
            Some(Event::OpenFailed { .. }) => panic!("no port"),
            Some(_) => {}
            None => std::thread::sleep(Duration::from_micros(100)),
        }
    }
}

fn stream_config(kind: Kind, leg: usize, remote: SocketAddr) -> StreamConfig {
    let is_second = leg % 2 == 1;
    let (codec, payload_type) = if kind == Kind::Opus && is_second {
        (Codec::Opus, OPUS)
    } else {
        (Codec::Pcmu, 0)
    };
    StreamConfig {
        codec,
        payload_type,
        accepts: vec![(payload_type, codec)],
        event_payload_type: Some(101),
        digits: DigitForm::Events,
        ptime_ms: 20,
        remote: Some(remote),
        remote_rtcp: Some(SocketAddr::new(remote.ip(), remote.port() ^ 1)),
        source: SourceRule::Strict,
        may_send: true,
        may_receive: true,
        srtp: (kind == Kind::Srtp && is_second).then(keys),
    }
}
