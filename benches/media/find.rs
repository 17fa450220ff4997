//! The most legs one core carries: with less than a thousandth lost and a bounded delay added.

use media::shard::io::{Choice, Engine};

use crate::cases::Kind;
use crate::{Options, Sum, round, subject};

/// Where the search begins and where it ends: a shard has room for so many streams.
const FIRST: usize = 480;
const LAST: usize = 16_000;

/// Steps of the answer, legs: whole calls and whole rooms.
const STEP: usize = 60;

/// Loss that is too much, percent.
const LOSS_PERCENT: f64 = 0.1;

/// What was found.
pub struct Found {
    pub kind: Kind,
    pub engine: &'static str,
    pub legs: usize,
    pub us: f64,
    pub p99_us: u64,
}

/// Doubles until a load is not kept, then halves the distance.
pub fn most_legs(kind: Kind, choice: Choice, options: &Options) -> Found {
    let mut best = Found {
        kind,
        engine: "",
        legs: 0,
        us: 0.0,
        p99_us: 0,
    };
    let (mut kept, mut failed) = (0, LAST + STEP);
    let mut legs = FIRST;
    while failed - kept > STEP {
        let mut sum = Sum::default();
        round(&mut sum, kind, legs, options.seconds, |driver| {
            subject::shard(kind, &driver.addresses(), options.turn, choice)
        });
        let (loss, p99_us) = (sum.loss_percent(legs), sum.delay_us(kind, 0.99));
        let is_kept = loss < LOSS_PERCENT && p99_us < kind.added_us_max();
        let word = if is_kept { "kept" } else { "not kept" };
        println!(
            "find {:<6} {legs:>6} legs: loss {loss:.3} %, p99 {p99_us} us: {word}",
            kind.name()
        );
        if is_kept {
            kept = legs;
            best = Found {
                kind,
                engine: sum.engine.map_or("", Engine::name),
                legs,
                us: sum.us_per_packet(kind),
                p99_us,
            };
        } else {
            failed = legs;
        }
        legs = if failed > LAST {
            (2 * kept).clamp(FIRST, LAST)
        } else {
            (kept + failed) / 2
        };
        legs = legs
            .next_multiple_of(STEP)
            .min(failed.saturating_sub(STEP))
            .max(STEP);
        if legs <= kept {
            break;
        }
    }
    println!(
        "most legs of {} with {} on one core: {} ({:.2} us a packet, p99 {} us)",
        kind.name(),
        best.engine,
        best.legs,
        best.us,
        best.p99_us
    );
    best
}
