//! What a load test is told, and when it places which call. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use media::Codec;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where calls go.
    pub target: SocketAddr,
    /// User part called.
    pub to: String,
    /// Beginning of each caller's number; six digits of the call follow.
    pub from: String,
    /// Where the callers are bound.
    pub caller: SocketAddr,
    /// Where the answerers are.
    pub answerer: SocketAddr,
    /// Calls in all.
    pub calls: u32,
    /// Calls a second.
    pub rate: f64,
    /// Time until that rate is reached.
    pub ramp: Duration,
    /// How long each call lasts once answered.
    pub hold: Duration,
    /// What both sides speak.
    pub codec: Codec,
    /// Answerers say nothing: a test of the test.
    pub is_mute: bool,
    /// What is still good.
    pub bounds: Bounds,
    /// The gateway's control socket, where this program is to route.
    pub router: Option<Routing>,
    /// The target's process, where it is one of this machine and has no control socket.
    pub pid: Option<u32>,
}

/// How the built-in router reaches the gateway.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The control socket.
    pub socket: PathBuf,
    /// The app that calls are offered to.
    pub app: String,
    /// The trunk of the answerers; the gateway's choice when none.
    pub trunk: Option<String>,
}

/// What a run must keep.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// 99 of 100 calls are set up in this time.
    pub setup_p99: Duration,
    /// Share of frames that may be lost.
    pub loss: f64,
    /// Longest gap in any stream.
    pub gap: Duration,
}

impl Plan {
    /// When call `number` is placed, counted from the start: the rate grows evenly over the ramp.
    pub fn placed_at(&self, number: u32) -> Duration {
        let (ramp, number) = (self.ramp.as_secs_f64(), f64::from(number));
        let in_ramp = self.rate * ramp / 2.0;
        let seconds = if number < in_ramp {
            (2.0 * ramp * number / self.rate).sqrt()
        } else {
            ramp / 2.0 + number / self.rate
        };
        Duration::from_secs_f64(seconds)
    }

    /// The number that call `number` comes from.
    pub fn caller_number(&self, number: u32) -> String {
        format!("{}{number:06}", self.from)
    }
}

/// What the built-in router calls the answerer of call `number`.
pub fn answerer_user(number: u32) -> String {
    format!("{ANSWERER}{number:06}")
}

/// Beginning of the answerers' names.
pub const ANSWERER: &str = "load-";

/// The call whose caller, or answerer, has that number or name.
pub fn call_of(caller_number: &str) -> Option<u32> {
    let start = caller_number.len().checked_sub(6)?;
    caller_number.get(start..)?.parse().ok()
}

#[cfg(test)]
pub mod testing {
    use super::*;

    /// 100 calls at 10 a second.
    pub fn plan() -> Plan {
        Plan {
            target: ([127, 0, 0, 1], 5060).into(),
            to: "load".to_owned(),
            from: "+4930".to_owned(),
            caller: ([127, 0, 0, 2], 0).into(),
            answerer: ([127, 0, 0, 3], 0).into(),
            calls: 100,
            rate: 10.0,
            ramp: Duration::ZERO,
            hold: Duration::from_secs(5),
            codec: Codec::Pcmu,
            is_mute: false,
            bounds: Bounds {
                setup_p99: Duration::from_millis(200),
                loss: 0.001,
                gap: Duration::from_millis(100),
            },
            router: None,
            pid: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::plan;
    use super::*;

    #[test]
    fn calls_come_evenly_and_more_slowly_during_the_ramp() {
        let steady = plan();
        assert_eq!(steady.placed_at(0), Duration::ZERO);
        assert_eq!(steady.placed_at(25), Duration::from_millis(2_500));
        let ramped = Plan {
            ramp: Duration::from_secs(4),
            ..plan()
        };
        // 20 calls in the 4 seconds of the ramp, a quarter of them in its first half.
        assert_eq!(ramped.placed_at(5), Duration::from_secs(2));
        assert_eq!(ramped.placed_at(20), Duration::from_secs(4));
        assert_eq!(ramped.placed_at(30), Duration::from_secs(5));
    }

    #[test]
    fn a_call_is_known_by_its_callers_number() {
        assert_eq!(call_of(&plan().caller_number(123)), Some(123));
        assert_eq!(call_of(&answerer_user(32_767)), Some(32_767));
        assert_eq!(call_of("+123"), None);
        assert_eq!(call_of("anonymous"), None);
    }
}
