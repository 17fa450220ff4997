//! The post: carries SIP datagrams between addresses, as badly as told. Seeded.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// How the network treats datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Lost, of a thousand.
    pub loss_permille: u64,
    /// Delivered twice, of a thousand.
    pub duplicate_permille: u64,
    /// Delay of each.
    pub delay: Duration,
    /// Further delay, evenly from nothing to this.
    pub jitter: Duration,
}

/// One datagram.
#[derive(Clone, Debug)]
pub struct Letter {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Bytes,
}

pub struct Post {
    pub weather: Weather,
    waiting: BTreeMap<(Instant, u64), Letter>,
    number: u64,
    random: u64,
}

impl Post {
    pub fn new(seed: u64) -> Self {
        Post {
            weather: Weather::default(),
            waiting: BTreeMap::new(),
            number: 0,
            random: seed | 1,
        }
    }

    pub fn send(&mut self, letter: Letter, now: Instant) {
        if self.below(1000) < self.weather.loss_permille {
            return;
        }
        let copies = if self.below(1000) < self.weather.duplicate_permille {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let jitter = u64::try_from(self.weather.jitter.as_micros()).unwrap();
            let extra = Duration::from_micros(self.below(jitter + 1));
            self.number += 1;
            self.waiting
                .insert((now + self.weather.delay + extra, self.number), letter.clone());
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn arrived(&mut self, now: Instant) -> Option<Letter> {
        let entry = self.waiting.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// xorshift64*: good enough to lose letters by.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound.max(1)
    }
}
