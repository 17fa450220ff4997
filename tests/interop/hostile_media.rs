//! Strangers at the media ports of the running program while a load test listens to every frame of every call.
//!
//! `HOSTILE_FACTOR` makes it so many times as many calls, up to a thousand.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use house::tone;
use house::wire::{Settings, Site, media_block};

use crate::loadtest::loadtest;

/// An address of no trunk.
const STRANGER: &str = "127.0.0.66:0";
/// What the stranger says; no voice of a load test has it.
const STRANGER_HZ: f64 = 1_950.0;
/// Calls of every run.
const CALLS: usize = 20;
const CALLS_MAX: usize = 1_000;
/// Seconds of each call.
const HOLD_S: usize = 6;

/// What a stranger did.
struct Done {
    sent: u64,
    /// Datagrams that came back.
    got: u64,
    took: Duration,
}

/// Sends to every port of the block, again and again, until told to stop.
fn stranger(
    ports: &str,
    datagrams_per_s: u64,
    payload: &'static [u8],
    stop: &Arc<AtomicBool>,
) -> JoinHandle<Done> {
    let (first, last) = ports.split_once('-').unwrap();
    let (first, last): (u16, u16) = (first.parse().unwrap(), last.parse().unwrap());
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        let socket = UdpSocket::bind(STRANGER).unwrap();
        socket.set_nonblocking(true).unwrap();
        let begun = Instant::now();
        let (mut sent, mut got, mut sequence) = (0u64, 0u64, 0u16);
        while !stop.load(Ordering::Relaxed) {
            for port in first..=last {
                let mut packet = vec![0x80, 0];
                packet.extend(sequence.to_be_bytes());
                packet.extend((u32::from(sequence) * 160).to_be_bytes());
                packet.extend([0, 0, 0, 9]);
                packet.extend(payload);
                // What the kernel does not take is not sent.
                let to = SocketAddr::from(([127, 0, 0, 1], port));
                sent += u64::from(socket.send_to(&packet, to).is_ok());
            }
            sequence = sequence.wrapping_add(1);
            while socket.recv_from(&mut [0; 2_048]).is_ok() {
                got += 1;
            }
            let due = begun + Duration::from_secs_f64(sent as f64 / datagrams_per_s as f64);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Done {
            sent,
            got,
            took: begun.elapsed(),
        }
    })
}

/// A frame of the stranger's tone.
fn strange_tone() -> &'static [u8] {
    let mut samples = [0; 160];
    tone::sine(STRANGER_HZ, 0.5, 0, &mut samples);
    Box::leak(Box::new(samples.map(tone::mulaw)))
}

/// Calls that a stranger disturbs; everything is as if it were not there.
async fn calls_beside_a_stranger(name: &str, media_source: &'static str, rate: u64, payload: &'static [u8]) {
    let factor = std::env::var("HOSTILE_FACTOR")
        .ok()
        .and_then(|text| text.parse().ok());
    let calls = (CALLS * factor.unwrap_or(1)).min(CALLS_MAX);
    // Two legs of two ports each.
    let ports = if calls <= 200 {
        media_block()
    } else {
        "21000-25999".to_owned()
    };
    let settings = Settings {
        calls: calls as u32,
        ports: Some(ports.clone()),
        media_source,
        ..Settings::default()
    };
    let site = Site::open(name, &settings).await;
    let stop = Arc::new(AtomicBool::new(false));
    let stranger = stranger(&ports, rate, payload, &stop);
    let (calls, hold) = (calls.to_string(), HOLD_S.to_string());
    let args = [
        "--calls", &calls, "--rate", "20", "--hold", &hold, "--record", "20",
    ];
    let (code, report) = loadtest(&site, &args).await;
    stop.store(true, Ordering::Relaxed);
    let done = stranger.join().unwrap();
    println!(
        "{name}: {calls} calls; the stranger sent {} datagrams, {:.0} a second, and got {}; longest gap {} ms, lost {}",
        done.sent,
        done.sent as f64 / done.took.as_secs_f64(),
        done.got,
        report["frames"]["gap_max_ms"],
        report["frames"]["lost"],
    );
    assert!(done.sent > 10_000);
    assert_eq!(done.got, 0, "bytes went to the stranger");
    assert_eq!(report["calls"]["good"].to_string(), calls, "{report:#}");
    assert_eq!(report["frames"]["foreign"], 0, "{report:#}");
    assert_eq!(code, 0, "{report:#}");
    let recordings = recordings(&site);
    assert!(recordings.len() >= 4, "{recordings:?}");
    for path in recordings {
        for channel in tone::read_wav(&path) {
            let strange = tone::level(&channel, STRANGER_HZ);
            assert!(strange < 0.005, "{}: {strange}", path.display());
        }
    }
}

/// The stored recordings of a site.
fn recordings(site: &Site) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![site.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "tracks") {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "wav") {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_and_a2_a_spray_over_all_ports_is_heard_by_nobody_and_answered_by_none() {
    calls_beside_a_stranger("spray", "strict", 20_000, strange_tone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_and_a2_nor_is_it_behind_nat() {
    calls_beside_a_stranger("spray-nat", "nat", 20_000, strange_tone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_a_flood_of_junk_delays_nobody() {
    calls_beside_a_stranger("junk", "strict", 200_000, &[0x55; 4]).await;
}
