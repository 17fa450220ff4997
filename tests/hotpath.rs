//! The relay path neither allocates nor copies a payload, over the simulated and over real sockets.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use house::srtp::Line;
use media::dtmf::{ToneSender, ToneTick};
use media::shard::io::Io;
use media::shard::io::epoll::EpollIo;
use media::shard::io::uring::UringIo;
use media::shard::sim_io::{Network, SimIo};
use media::shard::{Shard, ShardConfig};
use media::srtp::{MasterKey, SrtpKeys, SrtpSuite};
use media::{Change, Codec, DigitForm, Event, Heard, SourceRule, StreamConfig, StreamKey};

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

struct Counting;

thread_local! {
    static COUNTED: Cell<Option<u64>> = const { Cell::new(None) };
}

fn count() {
    COUNTED.with(|counted| {
        if let Some(number) = counted.get() {
            counted.set(Some(number + 1));
        }
    });
}

// SAFETY: every call goes on to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations made by `work` on this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    COUNTED.with(|counted| counted.set(Some(0)));
    work();
    COUNTED.with(|counted| counted.take()).unwrap()
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))) >= 1);
}

#[test]
fn a_hundred_thousand_relayed_packets_cost_no_allocation_and_no_copy() {
    let start = Instant::now();
    let network = Network::new(1, start);
    let mut io = SimIo::new(network.clone(), 4);
    let parties: [SocketAddr; 2] = [
        "127.0.0.2:4000".parse().unwrap(),
        "127.0.0.3:4000".parse().unwrap(),
    ];
    assert!(parties.iter().all(|party| network.bind(*party)));
    let (mut shard, reader, _blocks) = Shard::new(&config(), start);
    let gateway = join(&mut shard, &mut io, parties, start);
    let mut packet = packet();
    let mut heard = [0; 2048];
    let mut relay = |shard: &mut Shard, from: u64, to: u64| {
        let mut counted = 0;
        for number in from..to {
            let now = start + Duration::from_millis(20 * number);
            network.set_now(now);
            for (party, gateway) in parties.iter().zip(gateway) {
                number_packet(&mut packet, number as u32);
                network.send(*party, &packet, &[], gateway);
            }
            counted += allocations(|| shard.turn(&mut io, now));
            while shard.poll_event().is_some() {}
            for party in parties {
                let (len, _) = network.receive(party, &mut heard).expect("a packet for a packet");
                assert_eq!(heard[12..len], packet[12..]);
            }
        }
        counted
    };
    relay(&mut shard, 1, 1000);
    shard.publish();
    let before = reader.counts();
    let allocated = relay(&mut shard, 1000, 51_000);
    shard.publish();
    let after = reader.counts();
    assert_eq!(after.relayed - before.relayed, 100_000);
    assert_eq!(after.payload_copies, 0);
    assert_eq!(allocated, 0);
}

/// Without telephone-events digits are listened for in the audio of every packet that is relayed.
#[test]
fn a_relay_with_an_ear_for_digits_allocates_nothing_while_they_come() {
    let start = Instant::now();
    let network = Network::new(1, start);
    let mut io = SimIo::new(network.clone(), 4);
    let parties: [SocketAddr; 2] = [
        "127.0.0.2:4000".parse().unwrap(),
        "127.0.0.3:4000".parse().unwrap(),
    ];
    assert!(parties.iter().all(|party| network.bind(*party)));
    let (mut shard, reader, _blocks) = Shard::new(&config(), start);
    let gateway = join(&mut shard, &mut io, parties, start);
    let changes = parties
        .iter()
        .enumerate()
        .map(|(index, party)| Change::Configure {
            stream: StreamKey(index as u64),
            config: StreamConfig {
                event_payload_type: None,
                ..stream_config(*party, None)
            },
        });
    shard.handle_command(changes.collect(), &mut io, start);
    let (mut packet, mut heard) = (packet(), [0; 2048]);
    let (mut counted, mut digits) = (0, 0);
    let mut sender = ToneSender::new("5", 100).unwrap();
    for number in 1..5_000 {
        let now = start + Duration::from_millis(20 * number);
        network.set_now(now);
        let mut frame = [0; 160];
        if sender.tick(&mut frame) == ToneTick::Done {
            sender = ToneSender::new("5", 100).unwrap();
        }
        for (byte, sample) in packet[12..].iter_mut().zip(frame) {
            *byte = house::tone::mulaw(sample);
        }
        for (party, gateway) in parties.iter().zip(gateway) {
            number_packet(&mut packet, number as u32);
            network.send(*party, &packet, &[], gateway);
        }
        let allocated = allocations(|| shard.turn(&mut io, now));
        while let Some(event) = shard.poll_event() {
            digits += u64::from(matches!(event, Event::Dtmf { digit: '5', .. }));
        }
        for party in parties {
            let (len, _) = network.receive(party, &mut heard).expect("a packet for a packet");
            assert_eq!(heard[12..len], packet[12..]);
        }
        // The first packets fill the jitter buffers.
        if number > 100 {
            counted += allocated;
        }
    }
    shard.publish();
    assert_eq!(
        (reader.counts().relayed, reader.counts().payload_copies),
        (2 * 4_999, 0)
    );
    // 100 ms of a digit, 80 ms of silence and the frame that finds the order done.
    assert!((985..=1_000).contains(&digits), "{digits}");
    assert_eq!(counted, 0);
}

/// Packets relayed over real sockets by each engine: `HOTPATH_PACKETS`, or as many as a suite has time for.
fn packets() -> u64 {
    std::env::var("HOTPATH_PACKETS").map_or(100_000, |count| count.parse().expect("a number of packets"))
}

#[test]
fn epoll_relays_without_allocation_and_copy() {
    relays_without_allocation_and_copy(EpollIo::new(LEGS).unwrap(), 45_000);
}

#[test]
fn io_uring_relays_without_allocation_and_copy() {
    match UringIo::new(LEGS) {
        Ok(io) => relays_without_allocation_and_copy(io, 46_000),
        Err(error) => println!("not tested, as the kernel refuses io_uring: {error}"),
    }
}

/// Legs that talk in pairs over real sockets.
const LEGS: usize = 64;

fn relays_without_allocation_and_copy(mut io: impl Io, port_first: u16) {
    let parties: Vec<_> = (0..LEGS)
        .map(|_| UdpSocket::bind((LOCALHOST, 0)).unwrap())
        .collect();
    let patience = Some(Duration::from_secs(5));
    parties
        .iter()
        .for_each(|party| party.set_read_timeout(patience).unwrap());
    let config = ShardConfig {
        streams_max: LEGS as u32,
        port_first,
        port_last: port_first + 999,
        ..ShardConfig::default()
    };
    let (mut shard, reader, _blocks) = Shard::new(&config, Instant::now());
    let addresses: Vec<_> = parties.iter().map(|party| party.local_addr().unwrap()).collect();
    let gateway: Vec<_> = (0..LEGS / 2)
        .flat_map(|pair| {
            let remotes = [addresses[2 * pair], addresses[2 * pair + 1]];
            join_pair(
                &mut shard,
                &mut io,
                2 * pair as u64,
                remotes,
                None,
                Instant::now(),
            )
        })
        .collect();
    let (mut packet, mut heard) = (packet(), [0; 2048]);
    let mut relay = |shard: &mut Shard, from: u64, to: u64| {
        let mut counted = 0;
        for number in from..to {
            number_packet(&mut packet, number as u32);
            for (party, gateway) in parties.iter().zip(&gateway) {
                party.send_to(&packet, gateway).unwrap();
            }
            // Loopback delivers before `send_to` returns: one turn meets all packets.
            counted += allocations(|| shard.turn(&mut io, Instant::now()));
            while shard.poll_event().is_some() {}
            for party in &parties {
                // The port above one party's, where its reports go, may be another's.
                let len = loop {
                    let len = party.recv(&mut heard).unwrap();
                    if heard[1] & 0x7f == 0 {
                        break len;
                    }
                };
                assert_eq!(heard[12..len], packet[12..]);
            }
        }
        counted
    };
    // Until every socket is connected to its settled source, and a while longer.
    let (warm, rounds) = (200, packets() / LEGS as u64);
    relay(&mut shard, 1, warm);
    let allocated = relay(&mut shard, warm, warm + rounds);
    shard.publish();
    let counts = reader.counts();
    assert_eq!(allocated, 0);
    assert_eq!(counts.relayed, LEGS as u64 * (warm + rounds - 1));
    assert_eq!(
        (counts.payload_copies, counts.send_failed, counts.pool_level),
        (0, 0, 0)
    );
    assert_eq!(counts.sockets_connected, LEGS as u64);
}

#[test]
fn transcoding_allocates_nothing() {
    for (codec, number) in [(Codec::Pcma, 8), (Codec::G722, 9), (Codec::Opus, 96)] {
        let start = Instant::now();
        let network = Network::new(1, start);
        let mut io = SimIo::new(network.clone(), 4);
        let parties: [SocketAddr; 2] = [
            "127.0.0.2:4000".parse().unwrap(),
            "127.0.0.3:4000".parse().unwrap(),
        ];
        assert!(parties.iter().all(|party| network.bind(*party)));
        let (mut shard, reader, _blocks) = Shard::new(&config(), start);
        let gateway = join_with(&mut shard, &mut io, parties, None, start);
        let config = StreamConfig {
            codec,
            payload_type: number,
            accepts: vec![(number, codec)],
            ..stream_config(parties[1], None)
        };
        let stream = StreamKey(1);
        shard.handle_command(vec![Change::Configure { stream, config }], &mut io, start);
        let mut encoder = media::codec::Encoder::new(codec);
        let (mut near, mut heard, mut allocated) = (packet(), [0; 2048], 0);
        let mut received = [0; 2];
        for tick in 1..500 {
            let now = start + Duration::from_millis(20 * tick);
            network.set_now(now);
            number_packet(&mut near, tick as u32);
            network.send(parties[0], &near, &[], gateway[0]);
            let mut far = near[..12].to_vec();
            far[1] = number;
            let time = tick as u32 * 160 * codec.units_per_sample();
            far[4..8].copy_from_slice(&time.to_be_bytes());
            let mut payload = [0; 160];
            let length = encoder.encode(&[1000; 160], &mut payload);
            far.extend(&payload[..length]);
            network.send(parties[1], &far, &[], gateway[1]);
            let counted = allocations(|| shard.turn(&mut io, now));
            while shard.poll_event().is_some() {}
            for (party, count) in parties.iter().zip(&mut received) {
                *count += u64::from(network.receive(*party, &mut heard).is_some());
            }
            // The first packet of a codec takes its decoder's memory.
            if tick > 50 {
                allocated += counted;
            }
        }
        shard.publish();
        assert!(reader.counts().mixed > 900 && received.iter().all(|count| *count > 450));
        assert_eq!(allocated, 0, "{codec:?}");
    }
}

/// The one exception to the rule, and how large it is: docs/decisions/0010-srtp-is-guarded-and-copied.md.
#[test]
fn a_secure_leg_costs_what_is_written_down() {
    let start = Instant::now();
    let network = Network::new(1, start);
    let mut io = SimIo::new(network.clone(), 4);
    let parties: [SocketAddr; 2] = [
        "127.0.0.2:4000".parse().unwrap(),
        "127.0.0.3:4000".parse().unwrap(),
    ];
    assert!(parties.iter().all(|party| network.bind(*party)));
    let (mut shard, reader, _blocks) = Shard::new(&config(), start);
    let key = || MasterKey::new(SrtpSuite::AesCm128Sha1_80, &[1; 16], &[2; 14]).unwrap();
    let keys = SrtpKeys {
        send: key(),
        receive: key(),
    };
    let gateway = join_with(&mut shard, &mut io, parties, Some(keys), start);
    let (mut far, mut heard) = (
        Line::new(
            "AES_CM_128_HMAC_SHA1_80",
            &[[1; 16].as_slice(), &[2; 14]].concat(),
        ),
        [0; 2048],
    );
    let mut packet = packet();
    let (mut in_secure, mut out_secure) = (0, 0);
    for number in 1..2_000 {
        let now = start + Duration::from_millis(20 * number);
        network.set_now(now);
        number_packet(&mut packet, number as u32);
        network.send(parties[0], &far.protect_rtp(&packet), &[], gateway[0]);
        let allocated = allocations(|| shard.turn(&mut io, now));
        let (len, _) = network.receive(parties[1], &mut heard).expect("decrypted");
        assert_eq!(heard[12..len], packet[12..]);
        network.send(parties[1], &packet, &[], gateway[1]);
        let allocated_out = allocations(|| shard.turn(&mut io, now));
        let (len, _) = network.receive(parties[0], &mut heard).expect("encrypted");
        assert_eq!(len, 182);
        while shard.poll_event().is_some() {}
        if number > 1_000 {
            (in_secure, out_secure) = (in_secure + allocated, out_secure + allocated_out);
        }
    }
    shard.publish();
    assert_eq!(reader.counts().payload_copies, 1_999);
    println!("allocations in 999 packets: {in_secure} taken in, {out_secure} sent");
    assert!(in_secure <= 999 * TAKEN_IN_ALLOCATIONS && out_secure <= 999 * SENT_ALLOCATIONS);
}

/// Allocations of a packet that is decrypted, and of one that is encrypted, as measured.
const TAKEN_IN_ALLOCATIONS: u64 = 6;
const SENT_ALLOCATIONS: u64 = 2;

fn config() -> ShardConfig {
    ShardConfig {
        streams_max: 4,
        port_first: 42_000,
        port_last: 42_999,
        ..ShardConfig::default()
    }
}

/// Opens two streams that hear each other; gives where each takes RTP.
fn join(shard: &mut Shard, io: &mut impl Io, parties: [SocketAddr; 2], now: Instant) -> [SocketAddr; 2] {
    join_with(shard, io, parties, None, now)
}

/// The same, the first with these keys.
fn join_with(
    shard: &mut Shard,
    io: &mut impl Io,
    parties: [SocketAddr; 2],
    keys: Option<SrtpKeys>,
    now: Instant,
) -> [SocketAddr; 2] {
    join_pair(shard, io, 0, parties, keys, now)
}

/// The same, with streams numbered from `first` on.
fn join_pair(
    shard: &mut Shard,
    io: &mut impl Io,
    first: u64,
    parties: [SocketAddr; 2],
    keys: Option<SrtpKeys>,
    now: Instant,
) -> [SocketAddr; 2] {
    let mut gateway = Vec::new();
    for (index, remote) in parties.into_iter().enumerate() {
        let stream = StreamKey(first + index as u64);
        let address = LOCALHOST;
        shard.handle_command(vec![Change::Open { stream, address }], io, now);
        let Some(Event::Opened { local, .. }) = shard.poll_event() else {
            panic!("not opened")
        };
        gateway.push(local);
        let config = stream_config(remote, keys.clone().filter(|_| index == 0));
        shard.handle_command(vec![Change::Configure { stream, config }], io, now);
    }
    let rows = (0..2).map(|index| Change::Hear {
        listener: StreamKey(first + index),
        speakers: vec![Heard {
            speaker: StreamKey(first + 1 - index),
            gain_db: 0.0,
        }],
    });
    shard.handle_command(rows.collect(), io, now);
    gateway.try_into().unwrap()
}

/// µ-law with that party.
fn stream_config(remote: SocketAddr, srtp: Option<SrtpKeys>) -> StreamConfig {
    StreamConfig {
        codec: Codec::Pcmu,
        payload_type: 0,
        accepts: vec![(0, Codec::Pcmu)],
        event_payload_type: Some(101),
        digits: DigitForm::Events,
        ptime_ms: 20,
        remote: Some(remote),
        remote_rtcp: Some(SocketAddr::new(remote.ip(), remote.port() + 1)),
        source: SourceRule::Strict,
        may_send: true,
        may_receive: true,
        srtp,
    }
}

fn packet() -> Vec<u8> {
    let mut packet = vec![0u8; 172];
    packet[0] = 0x80;
    packet[12..]
        .iter_mut()
        .enumerate()
        .for_each(|(at, byte)| *byte = at as u8);
    packet
}

fn number_packet(packet: &mut [u8], number: u32) {
    packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&number.wrapping_mul(160).to_be_bytes());
    packet[8..12].copy_from_slice(&7u32.to_be_bytes());
}
