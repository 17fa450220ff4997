//! Alarms: what needs a person, told once for as long as it goes on.
//!
//! A happening raises its alarm; further ones keep it up in silence, and it is cleared once none has come
//! for a while. Bounded by its kinds and the trunks. Knows no rule that raises one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::control::protocol::{self, CauseBy, Event};
use crate::engine::engine::Engine;
use crate::engine::io::Now;
use crate::engine::tx::About;

/// How long after its last happening an alarm is cleared. Ours.
pub const ALARM_QUIET: Duration = Duration::from_secs(300);

/// What somebody should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmKind {
    /// An emergency number was dialled, and no trunk takes it.
    EmergencyRefused,
    /// A limit against toll fraud refused a dial.
    FraudLimit,
    /// A peer takes none of our credentials.
    AuthFailed,
    /// A source of a trunk sends more than is read.
    Flood,
    /// Signalling is behind, and new calls of a trunk are turned away unread.
    Overload,
}

impl AlarmKind {
    /// Its word towards clients.
    pub fn name(self) -> &'static str {
        match self {
            AlarmKind::EmergencyRefused => "emergency_refused",
            AlarmKind::FraudLimit => "fraud_limit",
            AlarmKind::AuthFailed => "auth_failed",
            AlarmKind::Flood => "flood",
            AlarmKind::Overload => "overload",
        }
    }

    fn message(self, trunk: &str) -> String {
        match self {
            AlarmKind::EmergencyRefused => format!("an emergency call through trunk `{trunk}` was refused"),
            AlarmKind::FraudLimit => {
                format!("trunk `{trunk}` met a limit against toll fraud; `policy.check` names it")
            }
            AlarmKind::AuthFailed => format!("the peer of trunk `{trunk}` takes none of our credentials"),
            AlarmKind::Overload => {
                format!("signalling is behind; new calls of trunk `{trunk}` are turned away until it is not")
            }
            AlarmKind::Flood => {
                format!(
                    "an address of trunk `{trunk}` sends more than `messages_per_second`; the rest is dropped"
                )
            }
        }
    }
}

/// All alarms that are up.
#[derive(Debug, Default)]
pub struct Alarms {
    /// By kind and trunk: when it is cleared.
    up: BTreeMap<(AlarmKind, String), Instant>,
    /// Happenings of this input, to be looked at once its reply and events are out.
    noted: Vec<(AlarmKind, String)>,
}

impl Alarms {
    /// Notes a happening that a refused or finished command shows.
    pub fn note(&mut self, kind: AlarmKind, trunk: &str) {
        self.noted.push((kind, trunk.to_owned()));
    }

    /// A happening; true: the alarm was not up.
    pub fn raise(&mut self, kind: AlarmKind, trunk: &str, now: Instant) -> bool {
        self.up
            .insert((kind, trunk.to_owned()), now + ALARM_QUIET)
            .is_none()
    }

    /// Takes away what has been quiet for long enough.
    pub fn take_quiet(&mut self, now: Instant) -> Vec<(AlarmKind, String)> {
        let quiet: Vec<_> = self
            .up
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &quiet {
            self.up.remove(key);
        }
        quiet
    }

    /// When the next one is cleared.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.up.values().min().copied()
    }
}

impl Engine {
    /// A message of a listed source was over its rate, and dropped unread.
    pub fn handle_flood(&mut self, source: IpAddr, now: Now) {
        let Some(trunk) = self.setup.config.trunk_by_source(source) else {
            return;
        };
        self.alarms.note(AlarmKind::Flood, &trunk.name);
        tell(self, now);
    }
}

/// Raises what was noted and tells so, unless it is up.
pub fn tell(engine: &mut Engine, now: Now) {
    for (kind, trunk) in std::mem::take(&mut engine.alarms.noted) {
        if engine.alarms.raise(kind, &trunk, now.mono) {
            engine.by(CauseBy::Policy, now, |tx| {
                tx.tell(About::default(), Event::AlarmRaised(told(kind, &trunk)));
            });
        }
    }
}

/// Clears what has been quiet for long enough.
pub fn clear(engine: &mut Engine, now: Now) {
    for (kind, trunk) in engine.alarms.take_quiet(now.mono) {
        engine.by(CauseBy::Timer, now, |tx| {
            tx.tell(About::default(), Event::AlarmCleared(told(kind, &trunk)));
        });
    }
}

fn told(kind: AlarmKind, trunk: &str) -> protocol::Alarm {
    protocol::Alarm {
        kind: kind.name().to_owned(),
        message: Some(kind.message(trunk)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_new_once_and_stays_while_it_goes_on() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut alarms = Alarms::default();
        assert!(alarms.raise(AlarmKind::AuthFailed, "a", at(0)));
        assert!(alarms.raise(AlarmKind::AuthFailed, "b", at(10)));
        assert!(!alarms.raise(AlarmKind::AuthFailed, "a", at(200)));
        assert_eq!(alarms.next_deadline(), Some(at(310)));
        assert_eq!(alarms.take_quiet(at(310)), [(AlarmKind::AuthFailed, "b".into())]);
        assert_eq!(alarms.take_quiet(at(499)), []);
        assert_eq!(alarms.take_quiet(at(500)), [(AlarmKind::AuthFailed, "a".into())]);
        assert!(alarms.raise(AlarmKind::AuthFailed, "a", at(501)));
    }
}
