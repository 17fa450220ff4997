//! A shard on its own thread and real sockets: commands in, packets through, events and blocks out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use media::recorder::TrackKey;
use media::shard::{BlockReader, ShardConfig, ShardHandle, spawn};
use media::{Change, Codec, DigitForm, Event, Heard, SourceRule, StreamConfig, StreamKey, TrackGate};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Rig {
    shard: ShardHandle,
    blocks: BlockReader,
    woken: Arc<AtomicU64>,
    parties: Vec<UdpSocket>,
    gateway: Vec<SocketAddr>,
}

impl Rig {
    fn new(port_first: u16) -> Rig {
        let woken = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&woken);
        let wake = Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let config = ShardConfig {
            index: u32::from(port_first),
            port_first,
            port_last: port_first + 99,
            streams_max: 8,
            ..ShardConfig::default()
        };
        let (shard, blocks) = spawn(config, wake).unwrap();
        let mut rig = Rig {
            shard,
            blocks,
            woken,
            parties: Vec::new(),
            gateway: Vec::new(),
        };
        for index in 0..2u64 {
            let party = UdpSocket::bind((LOCALHOST, 0)).unwrap();
            party.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let (stream, remote) = (StreamKey(index), party.local_addr().unwrap());
            rig.send(vec![
                Change::Open {
                    stream,
                    address: LOCALHOST,
                },
                Change::Configure {
                    stream,
                    config: stream_config(remote),
                },
            ]);
            let Event::Opened { local, .. } = rig.wait(|event| matches!(event, Event::Opened { .. })) else {
                unreachable!()
            };
            rig.parties.push(party);
            rig.gateway.push(local);
        }
        let row = |index: u64| Change::Hear {
            listener: StreamKey(index),
            speakers: vec![Heard {
                speaker: StreamKey(1 - index),
                gain_db: 0.0,
            }],
        };
        rig.send(vec![row(0), row(1)]);
        rig
    }

    fn send(&mut self, changes: Vec<Change>) {
        self.shard.send(changes).unwrap();
    }

    fn wait(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            match self.shard.poll_event() {
                Some(event) if wanted(&event) => return event,
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        panic!("the event did not come");
    }
}

#[test]
fn packets_pass_events_wake_and_tracks_come_out() {
    let mut rig = Rig::new(43_000);
    let (stream, track) = (StreamKey(0), TrackKey(9));
    rig.send(vec![Change::StartTrack {
        track,
        stream,
        gate: TrackGate::Open,
    }]);
    for number in 0..25u16 {
        rig.parties[0].send_to(&packet(number), rig.gateway[0]).unwrap();
        let mut heard = [0; 2048];
        loop {
            let len = rig.parties[1].recv(&mut heard).unwrap();
            // Silence may come until the rows are applied, and nothing else.
            if heard[12..len] == packet(number)[12..] {
                break;
            }
            assert!(heard[12..len].iter().all(|byte| *byte == 0xff));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    rig.send(vec![Change::StopTrack { track }, Change::Close { stream }]);
    let Event::Closed { stats, .. } = rig.wait(|event| matches!(event, Event::Closed { .. })) else {
        unreachable!()
    };
    assert_eq!((stats.packets_received, stats.packets_lost), (25, 0));
    let mut samples = 0;
    let mut has_ended = false;
    while let Some(block) = rig.blocks.pop() {
        samples += block.samples.len();
        has_ended |= block.is_last;
        rig.blocks.give_back(block.samples);
    }
    assert!(has_ended && samples >= 25 * 160, "{samples} samples");
    assert!(rig.woken.load(Ordering::Relaxed) >= 3);
    // Numbers are published once a tick.
    let deadline = Instant::now() + Duration::from_secs(5);
    while rig.shard.metrics().counts().streams != 1 {
        assert!(Instant::now() < deadline, "one stream is left");
        std::thread::sleep(Duration::from_millis(5));
    }
    rig.shard.stop();
}

#[test]
fn an_idle_shard_sleeps_and_a_command_ends_it_at_once() {
    let mut rig = Rig::new(43_200);
    rig.send(vec![
        Change::Close { stream: StreamKey(0) },
        Change::Close { stream: StreamKey(1) },
    ]);
    rig.wait(|event| {
        matches!(
            event,
            Event::Closed {
                stream: StreamKey(1),
                ..
            }
        )
    });
    // A last wake-up may still be under way; after it the thread sleeps.
    std::thread::sleep(Duration::from_millis(100));
    let before = cpu_time("shard-43200");
    std::thread::sleep(Duration::from_millis(500));
    let spent = cpu_time("shard-43200") - before;
    assert!(
        spent < Duration::from_millis(5),
        "an idle shard spent {spent:?} of 500 ms"
    );
    let asked = Instant::now();
    rig.send(vec![Change::Open {
        stream: StreamKey(7),
        address: LOCALHOST,
    }]);
    rig.wait(|event| matches!(event, Event::Opened { .. }));
    assert!(
        asked.elapsed() < Duration::from_millis(500),
        "{:?}",
        asked.elapsed()
    );
}

/// CPU time of one thread, from the scheduler's account.
fn cpu_time(thread: &str) -> Duration {
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        if std::fs::read_to_string(task.path().join("comm"))
            .unwrap_or_default()
            .trim()
            == thread
        {
            let account = std::fs::read_to_string(task.path().join("schedstat")).unwrap();
            return Duration::from_nanos(account.split(' ').next().unwrap().parse().unwrap());
        }
    }
    panic!("no thread {thread}");
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
        remote_rtcp: None,
        source: SourceRule::Strict,
        may_send: true,
        may_receive: true,
        srtp: None,
    }
}

fn packet(number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * 160).to_be_bytes());
    packet.extend([0, 0, 0, 7]);
    packet.extend((0..160).map(|at| (at as u8).wrapping_mul(3) ^ number as u8));
    packet
}
