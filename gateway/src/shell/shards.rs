//! The media threads: started with their share of the ports, given commands, asked for events.
//!
//! Owned by the engine task alone. A command that a shard's queue refuses is kept in order and offered again,
//! since losing one would leave a call half changed. Knows nothing of what is in a command.

use std::collections::VecDeque;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use media::shard::io::Choice;
use media::shard::{BlockReader, ShardConfig, ShardHandle, spawn_all};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use tokio::sync::Notify;

use super::losses::{self, Losses};
use crate::config::Media;
use crate::engine::io::Input;

/// Commands kept for a shard whose own queue is full. Reached only when its thread hangs for seconds.
pub const BACKLOG_MAX: usize = 16_384;

/// All media threads, in their order.
pub struct Shards {
    shards: Vec<Shard>,
    /// Which one reports first; changes with each look, so that none waits behind a busy one.
    first: usize,
    losses: Arc<Losses>,
}

struct Shard {
    handle: ShardHandle,
    backlog: VecDeque<media::Command>,
}

/// Why the shards cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ShardsError {
    /// There are not enough ports.
    #[error(
        "media.ports {}-{} holds fewer than one pair of ports for each of the {shards} shards; widen it or set \
         media.shards lower",
        ports.start(),
        ports.end()
    )]
    Ports {
        /// The range.
        ports: RangeInclusive<u16>,
        /// The shards.
        shards: usize,
    },
    /// The system refused.
    #[error("media thread {index} cannot be started: {source}")]
    Spawn {
        /// Which.
        index: usize,
        /// Why.
        source: io::Error,
    },
}

impl Shards {
    /// Starts the threads; `wake` is called when one has events. The readers are for the recordings writer.
    pub fn spawn(
        media: &Media,
        seed: [u8; 32],
        wake: &Arc<Notify>,
        losses: Arc<Losses>,
    ) -> Result<(Shards, Vec<BlockReader>), ShardsError> {
        let (ports, count) = (&media.ports, media.shards);
        let cpus = allowed_cpus();
        let mut configs = Vec::with_capacity(count);
        for (index, share) in split_ports(ports, count)?.into_iter().enumerate() {
            let config = ShardConfig {
                index: index as u32,
                port_first: *share.start(),
                port_last: *share.end(),
                cpu: cpus.get(index % cpus.len().max(1)).copied(),
                io: media.io,
                seed: seed_of(seed, index),
                ..ShardConfig::default()
            };
            let wake = Arc::clone(wake);
            let wake: Box<dyn Fn() + Send> = Box::new(move || wake.notify_one());
            configs.push((config, wake));
        }
        let started = spawn_all(configs).map_err(|(index, source)| ShardsError::Spawn { index, source })?;
        let (handles, blocks): (Vec<_>, Vec<_>) = started.into_iter().unzip();
        tell_engine(media.io, &handles);
        let shards = handles.into_iter().map(|handle| Shard {
            handle,
            backlog: VecDeque::new(),
        });
        let shards = shards.collect();
        Ok((
            Shards {
                shards,
                first: 0,
                losses,
            },
            blocks,
        ))
    }

    /// Hands a command over, behind those that still wait.
    pub fn send(&mut self, shard: usize, command: media::Command) {
        let Some(shard) = self.shards.get_mut(shard) else {
            debug_assert!(false, "the engine names a shard that is not there");
            return self.losses.count(losses::SHARD_BACKLOG_FULL);
        };
        let refused = if shard.backlog.is_empty() {
            shard.handle.send(command).err().map(|busy| busy.0)
        } else {
            Some(command)
        };
        let Some(command) = refused else { return };
        if shard.backlog.len() >= BACKLOG_MAX {
            tracing::error!("a media thread takes no commands; one was dropped");
            return self.losses.count(losses::SHARD_BACKLOG_FULL);
        }
        shard.backlog.push_back(command);
    }

    /// Offers again what was refused; true while something still waits.
    pub fn retry(&mut self) -> bool {
        let mut waits = false;
        for shard in &mut self.shards {
            while let Some(command) = shard.backlog.pop_front() {
                if let Err(busy) = shard.handle.send(command) {
                    shard.backlog.push_front(busy.0);
                    break;
                }
            }
            waits |= !shard.backlog.is_empty();
        }
        waits
    }

    /// Adds events, at most `limit` of each shard. True when some are left.
    pub fn collect(&mut self, batch: &mut Vec<Input>, limit: usize) -> bool {
        let count = self.shards.len();
        self.first = (self.first + 1) % count.max(1);
        let mut left = false;
        for offset in 0..count {
            let index = (self.first + offset) % count;
            let Some(shard) = self.shards.get_mut(index) else {
                continue;
            };
            let mut taken = 0;
            while taken < limit {
                let Some(event) = shard.handle.poll_event() else {
                    break;
                };
                batch.push(Input::Media { shard: index, event });
                taken += 1;
            }
            left |= taken == limit;
        }
        left
    }

    /// The threads' own handles, for their numbers.
    pub fn handles(&mut self) -> impl Iterator<Item = &mut ShardHandle> {
        self.shards.iter_mut().map(|shard| &mut shard.handle)
    }

    /// Ends every thread; streams still open say goodbye.
    pub fn stop(self) {
        for shard in self.shards {
            shard.handle.stop();
        }
    }
}

/// Says which engine keeps the sockets, and why it is not the one asked for.
fn tell_engine(wanted: Choice, handles: &[ShardHandle]) {
    let Some(first) = handles.first() else { return };
    let engine = first.engine().name();
    match (wanted, handles.iter().find_map(ShardHandle::uring_refused)) {
        (Choice::Uring, Some(error)) => {
            tracing::warn!(%error, "media.io is \"uring\" and the kernel refuses it; media threads use epoll");
        }
        (_, Some(error)) => tracing::info!(%error, "media threads use epoll; the kernel refuses io_uring"),
        (_, None) => tracing::info!("media threads use {engine}"),
    }
}

/// Whole pairs (even, odd) of the range for each of `count` shards, as even as they come.
fn split_ports(ports: &RangeInclusive<u16>, count: usize) -> Result<Vec<RangeInclusive<u16>>, ShardsError> {
    let first = u32::from(*ports.start()).next_multiple_of(2);
    let pairs = (u32::from(*ports.end()) + 1).saturating_sub(first) / 2;
    let count_u32 = u32::try_from(count).unwrap_or(u32::MAX);
    if count == 0 || pairs < count_u32 {
        return Err(ShardsError::Ports {
            ports: ports.clone(),
            shards: count,
        });
    }
    let begin = |shard: u32| first + 2 * (u64::from(pairs) * u64::from(shard) / u64::from(count_u32)) as u32;
    Ok((0..count_u32)
        .map(|shard| begin(shard) as u16..=(begin(shard + 1) - 1) as u16)
        .collect())
}

/// The cores this process may use, in order; empty where the system does not tell.
fn allowed_cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return Vec::new();
    };
    (0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .collect()
}

/// A seed of its own for each shard.
fn seed_of(seed: [u8; 32], index: usize) -> u64 {
    let folded = seed
        .chunks_exact(8)
        .filter_map(|chunk| chunk.try_into().ok())
        .map(u64::from_le_bytes);
    folded.fold(index as u64, |sum, part| sum.rotate_left(7).wrapping_add(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_split_in_whole_pairs_and_none_is_left_out() {
        assert_eq!(
            split_ports(&(20_000..=29_999), 2).unwrap(),
            [20_000..=24_999, 25_000..=29_999]
        );
        assert_eq!(
            split_ports(&(20_000..=20_009), 3).unwrap(),
            [20_000..=20_001, 20_002..=20_005, 20_006..=20_009]
        );
        assert_eq!(split_ports(&(65_534..=65_535), 1).unwrap(), [65_534..=65_535]);
        assert!(matches!(
            split_ports(&(20_000..=20_003), 3),
            Err(ShardsError::Ports { shards: 3, .. })
        ));
    }

    /// Two threads with these ports.
    fn media(ports: RangeInclusive<u16>) -> Media {
        Media {
            addresses: vec!["127.0.0.1".parse().unwrap()],
            advertise: None,
            ports,
            shards: 2,
            io: Choice::Auto,
            quality_interval: None,
        }
    }

    #[test]
    fn shards_draw_different_numbers() {
        assert_ne!(seed_of([7; 32], 0), seed_of([7; 32], 1));
    }

    #[tokio::test]
    async fn a_command_reaches_its_shard_and_the_answer_comes_back() {
        let wake = Arc::new(Notify::new());
        let losses = Arc::new(Losses::default());
        let (mut shards, blocks) =
            Shards::spawn(&media(41_000..=41_039), [1; 32], &wake, Arc::clone(&losses)).unwrap();
        assert_eq!(blocks.len(), 2);
        let stream = media::StreamKey(9);
        shards.send(
            1,
            vec![media::Change::Open {
                stream,
                address: "127.0.0.1".parse().unwrap(),
            }],
        );
        wake.notified().await;
        let mut batch = Vec::new();
        shards.collect(&mut batch, 64);
        let [
            Input::Media {
                shard: 1,
                event:
                    media::Event::Opened {
                        stream: opened,
                        local,
                    },
            },
        ] = &batch[..]
        else {
            panic!("{batch:?}")
        };
        assert_eq!(
            (*opened, (41_020..=41_039).contains(&local.port())),
            (stream, true)
        );
        assert!(!shards.retry());
        shards.stop();
    }

    #[tokio::test]
    async fn a_stream_moves_between_threads_and_hears_from_its_own_socket() {
        let wake = Arc::new(Notify::new());
        let losses = Arc::new(Losses::default());
        let (mut shards, _blocks) =
            Shards::spawn(&media(41_100..=41_139), [2; 32], &wake, Arc::clone(&losses)).unwrap();
        let stream = media::StreamKey(9);
        let address = "127.0.0.1".parse().unwrap();
        shards.send(0, vec![media::Change::Open { stream, address }]);
        let (_, media::Event::Opened { local, .. }) = next(&mut shards, &wake).await else {
            panic!("not opened");
        };
        let phone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let config = media::StreamConfig {
            codec: media::Codec::Pcmu,
            payload_type: 0,
            accepts: vec![(0, media::Codec::Pcmu)],
            event_payload_type: None,
            digits: media::DigitForm::Events,
            ptime_ms: 20,
            remote: Some(phone.local_addr().unwrap()),
            remote_rtcp: None,
            source: media::SourceRule::Strict,
            may_send: false,
            may_receive: true,
            srtp: None,
        };
        shards.send(
            1,
            vec![
                media::Change::Adopt { stream },
                media::Change::Configure { stream, config },
            ],
        );
        shards.send(0, vec![media::Change::HandOver { stream, to: 1 }]);
        let mut packet = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0xFF];
        let received = loop {
            packet[3] += 1;
            phone.send_to(&packet, local).unwrap();
            let patience = std::time::Duration::from_millis(100);
            if let Ok(received) = tokio::time::timeout(patience, next(&mut shards, &wake)).await {
                break received;
            }
        };
        assert!(
            matches!(received, (1, media::Event::Receiving { .. })),
            "{received:?}"
        );
        shards.send(1, vec![media::Change::Close { stream }]);
        assert!(matches!(
            next(&mut shards, &wake).await,
            (1, media::Event::Closed { .. })
        ));
        shards.stop();
    }

    async fn next(shards: &mut Shards, wake: &Notify) -> (usize, media::Event) {
        let mut batch = Vec::new();
        loop {
            shards.collect(&mut batch, 1);
            if let Some(Input::Media { shard, event }) = batch.pop() {
                return (shard, event);
            }
            wake.notified().await;
        }
    }
}
