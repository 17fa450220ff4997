//! What this program itself could not keep up with: its figures count only where it was not the limit.

use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use serde_json::{Value, json};

use super::outcome::Outcome;

/// CPU of the driver's thread above which its own waiting shows in the figures.
const CPU_SHARE_MAX: f64 = 0.85;
/// 99 of 100 frames leave this program no later than that.
const LATENESS_MAX: Duration = Duration::from_millis(10);

/// How this program itself did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Own {
    /// Share of one core that the driver took.
    pub cpu_share: f64,
    /// 99 of 100 frames left this program no later than that after their time, milliseconds.
    pub lateness_p99_ms: f64,
    /// Datagrams that its own sockets had no room for.
    pub drops: u64,
}

impl Own {
    /// Takes the measure of a run that took `cpu` of the thread's time.
    pub fn of(outcome: &Outcome, cpu: Duration, drops: u64) -> Own {
        Own {
            cpu_share: cpu.as_secs_f64() / outcome.took.as_secs_f64().max(0.001),
            lateness_p99_ms: outcome.measures.own_lateness.quantile_ms(0.99),
            drops,
        }
    }

    /// Why the figures of the run say nothing of the target; empty where they do.
    pub fn limits(&self) -> Vec<&'static str> {
        [
            ("own_cpu", self.cpu_share > CPU_SHARE_MAX),
            (
                "own_lateness",
                self.lateness_p99_ms > LATENESS_MAX.as_secs_f64() * 1_000.0,
            ),
            ("own_drops", self.drops > 0),
        ]
        .into_iter()
        .filter_map(|(name, is_there)| is_there.then_some(name))
        .collect()
    }

    /// For a report.
    pub fn to_json(self) -> Value {
        json!({
            "cpu_share": self.cpu_share,
            "lateness_p99_ms": self.lateness_p99_ms,
            "drops": self.drops,
            "limits": self.limits(),
        })
    }
}

/// Takes as many descriptors as this process may have: two a call.
pub fn raise_descriptors() -> std::io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// CPU time of this thread so far.
pub fn cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else {
        return Duration::ZERO;
    };
    let us = |time: nix::sys::time::TimeVal| (time.tv_sec() * 1_000_000 + time.tv_usec()).max(0) as u64;
    Duration::from_micros(us(usage.user_time()) + us(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_of_our_own_is_named() {
        let fine = Own {
            cpu_share: 0.5,
            lateness_p99_ms: 1.0,
            drops: 0,
        };
        assert_eq!(fine.limits(), Vec::<&str>::new());
        let all = Own {
            cpu_share: 0.9,
            lateness_p99_ms: 11.0,
            drops: 1,
        };
        assert_eq!(all.limits(), ["own_cpu", "own_lateness", "own_drops"]);
    }
}
