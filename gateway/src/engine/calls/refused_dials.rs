//! Dials that policy, limits or routes refuse: told to everybody, and recorded where they would have begun a call.
//!
//! The command itself is taken back whole; this is a transaction of its own behind the error reply. Decides nothing.

use serde_json::Value;

use super::call_record;
use crate::control::protocol::{
    CallRefused, Cause, Direction, ErrorKind, Event, Failure, LegDial, Name, Party, Refusal, Request,
};
use crate::engine::engine::Engine;
use crate::engine::io::Now;
use crate::engine::keys::Named;
use crate::engine::tx::{About, Tx};

/// Refusals that decide about a call, and no mistake of the client's.
const TOLD: [ErrorKind; 9] = [
    ErrorKind::DestinationNotAllowed,
    ErrorKind::CallerIdNotAllowed,
    ErrorKind::NumberInvalid,
    ErrorKind::LimitCalls,
    ErrorKind::LimitCps,
    ErrorKind::LimitPorts,
    ErrorKind::TrunkDown,
    ErrorKind::NoRoute,
    ErrorKind::Draining,
];

/// A request was refused; tells so if that was a dial.
pub fn tell(engine: &mut Engine, app: &Name, request: &Request, failure: &Failure, now: Now) {
    let Some(dial) = dial_of(request, failure).filter(|_| TOLD.contains(&failure.kind)) else {
        return;
    };
    let cause = Cause::Command {
        app: app.clone(),
        cmd: request.method(),
    };
    let told = engine.transact(now, cause, app.clone(), |tx| {
        refused(tx, &dial, failure);
        Ok(())
    });
    if let Ok(((), outbox)) = told {
        engine.commit(outbox, now, None);
    }
}

/// The dial that was refused: of an atomic batch the step that the failure names.
fn dial_of(request: &Request, failure: &Failure) -> Option<LegDial> {
    match request {
        Request::LegDial(dial) => Some(dial.clone()),
        Request::Batch(batch) => {
            let step = batch.steps.get(failure.step()?)?;
            match Request::from_parts(&step.method, &Value::Object(step.params.clone())).ok()? {
                Request::LegDial(dial) => Some(dial),
                _ => None,
            }
        }
        _ => None,
    }
}

fn refused(tx: &mut Tx, dial: &LegDial, failure: &Failure) {
    let text = |name: &str| failure.data.get(name).and_then(Value::as_str);
    let number = |name: &str| failure.data.get(name).and_then(Value::as_u64);
    let refusal = Refusal {
        rule: text("rule")
            .or(text("why"))
            .unwrap_or(failure.kind.as_str())
            .to_owned(),
        limit: number("limit"),
        value: number("value"),
    };
    let shown = dial.caller_id.as_ref().and_then(|caller| caller.number.as_ref());
    let from = Party {
        raw: shown.map_or_else(String::new, |number| number.as_str().to_owned()),
        ..Party::default()
    };
    let to = Party {
        number: text("e164").map(str::to_owned),
        raw: dial.to.as_str().to_owned(),
        ..Party::default()
    };
    let event = CallRefused {
        rule: refusal.rule.clone(),
        limit: refusal.limit,
        value: refusal.value,
        from: from.clone(),
        to: to.clone(),
        trunk: dial.trunk.clone(),
        decision: Some(failure.own_data()),
    };
    let event = Event::CallRefused(Box::new(event));
    let call = dial.call.as_ref().and_then(|id| tx.named(id));
    if let Some(Named::Call(call)) = call {
        // The call goes on, and has a record of its own.
        return tx.tell_call(call, event);
    }
    let Ok((_, id)) = tx.name(None, "c") else { return };
    tx.tell(About::of_call(id.clone()), event);
    call_record::write_refused(tx, id, (from, to), Direction::Out, refusal);
}
