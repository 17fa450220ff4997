//! Which counter a happening belongs to.

use std::time::Duration;

use super::calls::ending::Overdue;
use super::engine::Engine;
use super::metrics::{EngineMetrics, Place};
use super::policy::admission::Way;
use super::policy::fraud;
use super::policy::number_policy::Step;
use super::router::alarms::AlarmKind;
use super::setup::Setup;
use crate::control::protocol::{
    Direction, EndReason, ErrorKind, FailedClass, Failure, Request, ThrottleReason,
};

/// The labels of a trunk and a direction.
pub fn place(setup: &Setup, trunk: usize, way: Way) -> Place<'_> {
    let direction = match way {
        Way::In => Direction::In,
        Way::Out => Direction::Out,
    };
    let trunk = setup.trunk(trunk).map_or("", |trunk| trunk.name.as_str());
    Place {
        instance: &setup.config.instance,
        trunk,
        direction,
    }
}

impl Engine {
    /// Counts the dials of a request, done or refused.
    pub(super) fn count_dials(&mut self, request: &Request, outcome: Result<(), &Failure>) {
        let step = outcome.err().and_then(Failure::policy_step);
        let alarm = match step {
            Some(step) if step == Step::Emergency.name() => Some(AlarmKind::EmergencyRefused),
            Some(fraud::STEP) => Some(AlarmKind::FraudLimit),
            Some(_) | None => None,
        };
        for trunk in dialled_trunks(request, outcome) {
            if let Some(alarm) = alarm {
                self.alarms.note(alarm, &trunk);
            }
            if let Some(trunk) = self.setup.trunk_by_name(&trunk) {
                dial(&mut self.metrics, &self.setup, trunk, outcome);
            }
        }
    }
}

/// Trunks of the dials that a request stands for: of a batch that was refused, only the step that was.
fn dialled_trunks(request: &Request, outcome: Result<(), &Failure>) -> Vec<String> {
    match request {
        Request::LegDial(params) => vec![params.trunk.as_str().to_owned()],
        Request::Batch(batch) => {
            let refused = outcome.err().and_then(Failure::step);
            let steps = batch.steps.iter().enumerate().filter(|(index, step)| {
                let counts = refused.is_none_or(|refused| refused == *index);
                step.method == "leg.dial" && counts
            });
            let trunks = steps.filter_map(|(_, step)| step.params.get("trunk")?.as_str().map(str::to_owned));
            trunks.collect()
        }
        _ => Vec::new(),
    }
}

/// A dial that was taken, or refused: throttled by a limit, or refused by the policy.
pub fn dial(metrics: &mut EngineMetrics, setup: &Setup, trunk: usize, outcome: Result<(), &Failure>) {
    let place = place(setup, trunk, Way::Out);
    metrics.offered(place);
    let Err(failure) = outcome else {
        return metrics.admitted(place);
    };
    if let Some(limit) = gate(failure) {
        metrics.gated(place, limit);
    }
    let of_trunk = failure
        .data
        .get("rule")
        .and_then(|rule| rule.as_str())
        .is_some_and(|rule| rule.starts_with("trunk:"));
    let reason = match (failure.kind, of_trunk) {
        (ErrorKind::LimitCalls, true) => ThrottleReason::TrunkCalls,
        (ErrorKind::LimitCalls, false) => ThrottleReason::LimitCalls,
        (ErrorKind::LimitCps, true) => ThrottleReason::TrunkCps,
        (ErrorKind::LimitCps, false) => ThrottleReason::LimitCps,
        (ErrorKind::LimitPorts, _) => ThrottleReason::LimitPorts,
        (ErrorKind::Draining, _) => ThrottleReason::Draining,
        _ => return metrics.refused(place, refusal_word(failure.kind)),
    };
    metrics.throttled(place, reason);
}

/// Which limit against toll fraud refused a dial, if one did.
fn gate(failure: &Failure) -> Option<&'static str> {
    let rule = failure.data.get("rule").and_then(|rule| rule.as_str());
    let rule = rule.filter(|_| failure.policy_step() == Some(fraud::STEP))?;
    let (head, limit) = rule.rsplit_once('.')?;
    let is_prefix = head.contains(".prefix:");
    let word = match (limit, is_prefix) {
        ("calls_per_hour", false) => "calls_per_hour",
        ("minutes_per_day", false) => "minutes_per_day",
        ("redirects", _) => "redirects",
        ("calls_per_hour", true) => "prefix_calls_per_hour",
        ("minutes_per_day", true) => "prefix_minutes_per_day",
        (_, _) => "prefix_calls",
    };
    Some(word)
}

/// Whether the called party, or the caller while it rang, decided that an unanswered leg ends (ITU-T E.425).
fn is_effective(reason: EndReason) -> bool {
    matches!(
        reason,
        EndReason::Busy | EndReason::NoAnswer | EndReason::Rejected | EndReason::Cancelled
    )
}

fn refusal_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::DestinationNotAllowed | ErrorKind::CallerIdNotAllowed | ErrorKind::NumberInvalid => {
            "policy"
        }
        ErrorKind::NoRoute | ErrorKind::TrunkDown => "no_route",
        _ => "invalid",
    }
}

/// What a transaction did that is counted once it holds: a step of a batch may be taken back.
#[derive(Clone, Copy, Debug)]
pub enum Count {
    /// A leg ended.
    LegEnded {
        /// Its trunk and which way it went.
        on: (usize, Way),
        /// Why.
        reason: EndReason,
        /// How long it talked, if it did.
        talked: Option<Duration>,
        /// What it waited for in vain, if that was why.
        overdue: Option<Overdue>,
    },
    /// A dial on this trunk was taken.
    Dialled(usize),
}

/// Counts it.
pub fn add(metrics: &mut EngineMetrics, setup: &Setup, count: Count) {
    match count {
        Count::LegEnded {
            on,
            reason,
            talked,
            overdue,
        } => {
            if let Some(overdue) = overdue {
                metrics.timed_out(place(setup, on.0, on.1), overdue.word());
            }
            leg_ended(metrics, setup, on, reason, talked);
        }
        Count::Dialled(trunk) => dial(metrics, setup, trunk, Ok(())),
    }
}

/// A leg ended: how it failed, if it did, and how long it talked.
fn leg_ended(
    metrics: &mut EngineMetrics,
    setup: &Setup,
    (trunk, way): (usize, Way),
    reason: EndReason,
    talked: Option<Duration>,
) {
    let place = place(setup, trunk, way);
    if let Some(talked) = talked {
        return metrics.talked(place, talked);
    }
    if way == Way::Out && is_effective(reason) {
        metrics.effective(place);
    }
    let agents = setup.trunk(trunk).is_some_and(|trunk| trunk.agents);
    let class = match reason {
        EndReason::NoAnswer if agents && way == Way::Out => FailedClass::Missed,
        EndReason::NoAnswer => FailedClass::NoAnswer,
        EndReason::Busy => FailedClass::Busy,
        EndReason::NotFound => FailedClass::BadNumber,
        EndReason::Completed | EndReason::Cancelled => return,
        EndReason::Rejected
        | EndReason::NotAllowed
        | EndReason::Unreachable
        | EndReason::MediaTimeout
        | EndReason::SessionExpired
        | EndReason::MaxDuration
        | EndReason::Limit
        | EndReason::Draining
        | EndReason::ControllerLost
        | EndReason::Failed => FailedClass::Error,
    };
    metrics.failed(place, class);
}
