//! Collecting digits: a prompt that a digit cuts short, then digits against two timers.

use std::time::Duration;

use super::holding::living;
use super::playing;
use crate::control::protocol::{
    CollectEnded, CollectEndedWhy, CollectStart, Event, Failure, Id, OpOutcome, PlayEndedWhy,
};
use crate::engine::keys::{LegKey, OpKey};
use crate::engine::op::{Audience, Collect, Manner, Work};
use crate::engine::tx::Tx;

/// `collect.start`.
pub fn start(tx: &mut Tx, key: LegKey, params: &CollectStart) -> Result<Id, Failure> {
    let leg = living(tx, key)?;
    if leg.collect.is_some() {
        return Err(Failure::invalid_state(
            "digits of this leg are being collected already",
        ));
    }
    let call = leg.call;
    let first = Duration::from_millis(params.first_ms.get().into());
    let collect = Collect {
        digits: String::new(),
        min: params.min.get(),
        max: params.max.get(),
        terminators: params
            .terminators
            .as_ref()
            .map(|digits| digits.as_str().to_owned())
            .unwrap_or_default(),
        first,
        inter: Duration::from_millis(params.inter_ms.get().into()),
        pci: params.pci,
        prompt: None,
        until: Some(tx.now.mono + first),
    };
    let (op, id) = tx.start_op(call, Some(key), Work::Collect(collect))?;
    tx.leg_mut(key)?.collect = Some(op);
    if let Some(prompt) = &params.prompt {
        let sources = playing::sources(tx, prompt, "params.prompt")?;
        let manner = Manner {
            barge_in: true,
            prompt_of: Some(op),
            ..Manner::default()
        };
        let (prompt, _) = playing::begin(tx, Audience::Leg(key), sources, manner)?;
        change(tx, op, |collect| {
            collect.prompt = Some(prompt);
            collect.until = None;
        });
    }
    Ok(id)
}

/// Whether the digits are for `collect.ended` alone.
pub fn is_pci(tx: &Tx, op: OpKey) -> bool {
    matches!(tx.world.ops.get(&op).map(|op| &op.work), Some(Work::Collect(collect)) if collect.pci)
}

/// One digit came.
pub fn digit(tx: &mut Tx, op: OpKey, digit: char) {
    let now = tx.now.mono;
    let Some(Work::Collect(collect)) = tx.world.ops.get_mut(&op).map(|op| &mut op.work) else {
        return;
    };
    if collect.terminators.contains(digit) {
        return end(tx, op, CollectEndedWhy::Terminator);
    }
    collect.digits.push(digit);
    collect.until = Some(now + collect.inter);
    if collect.digits.len() >= collect.max as usize {
        end(tx, op, CollectEndedWhy::Max);
    }
}

/// The prompt is over: the first digit's time begins, unless one has come.
pub fn prompt_ended(tx: &mut Tx, op: OpKey) {
    let now = tx.now.mono;
    change(tx, op, |collect| {
        collect.prompt = None;
        if collect.digits.is_empty() {
            collect.until = Some(now + collect.first);
        }
    });
}

/// A timer ran out.
pub fn timed_out(tx: &mut Tx, op: OpKey) {
    let Some(Work::Collect(collect)) = tx.world.ops.get(&op).map(|op| &op.work) else {
        return;
    };
    let why = if collect.digits.is_empty() {
        CollectEndedWhy::FirstTimeout
    } else {
        CollectEndedWhy::InterTimeout
    };
    end(tx, op, why);
}

/// Ends a collect: its prompt stops, the digits are told once.
pub fn end(tx: &mut Tx, op: OpKey, why: CollectEndedWhy) {
    let Some(row) = tx.world.ops.get(&op) else { return };
    let Work::Collect(collect) = &row.work else { return };
    let (leg, prompt, digits) = (row.leg, collect.prompt, collect.digits.clone());
    let enough = digits.len() >= collect.min as usize;
    if let Some(leg) = leg.and_then(|leg| tx.world.legs.get_mut(&leg)) {
        leg.collect = None;
    }
    tx.tell_op(op, Event::CollectEnded(CollectEnded { digits, why }));
    let outcome = match why {
        CollectEndedWhy::Max | CollectEndedWhy::Terminator if enough => OpOutcome::Ok,
        CollectEndedWhy::InterTimeout if enough => OpOutcome::Ok,
        CollectEndedWhy::Max
        | CollectEndedWhy::Terminator
        | CollectEndedWhy::InterTimeout
        | CollectEndedWhy::FirstTimeout => OpOutcome::Failed,
        CollectEndedWhy::Stopped | CollectEndedWhy::LegEnded => OpOutcome::Cancelled,
    };
    playing::end_op(tx, op, outcome);
    if let Some(prompt) = prompt {
        playing::end_play(tx, prompt, PlayEndedWhy::Stopped);
    }
}

fn change(tx: &mut Tx, op: OpKey, with: impl FnOnce(&mut Collect)) {
    if let Some(Work::Collect(collect)) = tx.world.ops.get_mut(&op).map(|op| &mut op.work) {
        with(collect);
    }
}

/// Whether this op collects digits.
pub fn is_collect(tx: &Tx, op: OpKey) -> bool {
    matches!(tx.world.ops.get(&op).map(|op| &op.work), Some(Work::Collect(_)))
}
