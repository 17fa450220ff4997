//! What is measured: a thread with one address per leg.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use media::shard::{BlockReader, ShardConfig, ShardHandle, spawn};
use media::{Change, Codec, DigitForm, Event, Heard, SourceRule, StreamConfig, StreamKey};

use crate::plain::Plain;
use crate::{SUBJECT_CPU, pin};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A running relay.
pub struct Subject {
    addresses: Vec<SocketAddr>,
    thread: String,
    kind: Kind,
}

enum Kind {
    Shard(Box<ShardHandle>, BlockReader),
    Plain(Plain),
}

/// The gateway's shard, leg 2n joined to leg 2n + 1.
pub fn shard(parties: &[SocketAddr], turn: Duration) -> Subject {
    let config = ShardConfig {
        streams_max: parties.len() as u32,
        port_first: 30_000,
        port_last: 39_999,
        cpu: Some(SUBJECT_CPU),
        turn,
        ..ShardConfig::default()
    };
    let (mut handle, blocks) = spawn(config, Box::new(|| {})).expect("a shard");
    let mut addresses = Vec::new();
    for (index, remote) in parties.iter().enumerate() {
        let stream = StreamKey(index as u64);
        let command = vec![
            Change::Open {
                stream,
                address: LOCALHOST,
            },
            Change::Configure {
                stream,
                config: stream_config(*remote),
            },
        ];
        handle.send(command).expect("room for a command");
        addresses.push(opened(&mut handle));
    }
    let rows = (0..parties.len() as u64).map(|index| Change::Hear {
        listener: StreamKey(index),
        speakers: vec![Heard {
            speaker: StreamKey(index ^ 1),
            gain_db: 0.0,
        }],
    });
    handle.send(rows.collect()).expect("room for a command");
    Subject {
        addresses,
        thread: "shard-0".into(),
        kind: Kind::Shard(Box::new(handle), blocks),
    }
}

/// A loop of receive and send.
pub fn plain(parties: &[SocketAddr], turn: Duration) -> Subject {
    let (plain, addresses) = Plain::start(parties, turn, || pin(SUBJECT_CPU));
    Subject {
        addresses,
        thread: "plain".into(),
        kind: Kind::Plain(plain),
    }
}

impl Subject {
    /// Where each leg sends to.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
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
        match self.kind {
            Kind::Shard(handle, blocks) => {
                handle.stop();
                drop(blocks);
            }
            Kind::Plain(plain) => plain.stop(),
        }
    }
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

fn stream_config(remote: SocketAddr) -> StreamConfig {
    StreamConfig {
        codec: Codec::Pcmu,
        payload_type: 0,
        accepts: vec![(0, Codec::Pcmu)],
        event_payload_type: Some(101),
        digits: DigitForm::Events,
        ptime_ms: 20,
        remote: Some(remote),
        remote_rtcp: Some(SocketAddr::new(remote.ip(), remote.port() ^ 1)),
        source: SourceRule::Strict,
        may_send: true,
        may_receive: true,
        srtp: None,
    }
}
