//! Traces: which SIP messages are written down, for how long and how many at most.
//!
//! An engineer asks for one; it is told who did, and that it is over. What is followed leaves as an order to the
//! writer, which takes secrets out; the engine never waits for it. Everything has a bound: traces, their time,
//! messages and bytes. Must not know files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::Flow;

use crate::control::protocol::{
    CauseBy, Event, Failure, Id, Name, TraceEnded, TraceEndedWhy, TraceNumbers, TraceStart, TraceStarted,
};
use crate::engine::engine::Engine;
use crate::engine::io::{Now, Output, TraceCommand, TraceEnd};
use crate::engine::keys::{CallKey, LegKey, Named};
use crate::engine::policy::admission::Way;
use crate::engine::tx::{About, Tx};
use crate::engine::world::World;

/// Traces at once, those whose files are still written included. Ours.
pub const TRACES_MAX: usize = 8;
/// Messages of one trace: twenty a second for its longest time, and room. Ours.
pub const MESSAGES_MAX: u64 = 20_000;
/// Bytes of one trace. Ours.
pub const BYTES_MAX: u64 = 16 << 20;
/// Call-IDs one trace remembers, so that answers after the end of a leg are still its. Ours.
pub const CALL_IDS_MAX: usize = 64;

/// One trace.
#[derive(Clone, Debug)]
pub struct Trace {
    id: Id,
    trunk: Option<usize>,
    call: Option<CallKey>,
    leg: Option<LegKey>,
    call_ids: BTreeSet<String>,
    shows_numbers: bool,
    about: String,
    until: Instant,
    messages: u64,
    bytes: u64,
    /// Why it is over; its files are then still written.
    ended: Option<TraceEndedWhy>,
}

/// What a command changes once it holds.
#[derive(Debug)]
pub enum TraceChange {
    /// Begins one.
    Start(Box<Trace>),
    /// Ends one.
    Stop(Id),
}

/// All traces.
#[derive(Debug, Default)]
pub struct Traces {
    rows: BTreeMap<Id, Trace>,
}

impl Traces {
    fn is_open(&self, id: &Id) -> bool {
        self.rows.get(id).is_some_and(|row| row.ended.is_none())
    }

    /// When the next one is over.
    pub fn next_deadline(&self) -> Option<Instant> {
        let open = self.rows.values().filter(|row| row.ended.is_none());
        open.map(|row| row.until).min()
    }

    /// Ends what is due.
    pub fn wake(&mut self, now: Instant, outputs: &mut VecDeque<Output>) {
        for row in self.rows.values_mut().filter(|row| row.until <= now) {
            row.end(TraceEndedWhy::Time, outputs);
        }
    }

    /// Takes a command's change in.
    pub fn apply(&mut self, change: TraceChange, now: Now, outputs: &mut VecDeque<Output>) {
        match change {
            TraceChange::Start(row) => {
                outputs.push_back(Output::Trace(TraceCommand::Start {
                    trace: row.id.as_str().to_owned(),
                    wall_us: now.wall_us,
                    about: row.about.clone(),
                    shows_numbers: row.shows_numbers,
                }));
                self.rows.insert(row.id.clone(), *row);
            }
            TraceChange::Stop(id) => {
                if let Some(row) = self.rows.get_mut(&id) {
                    row.end(TraceEndedWhy::Stopped, outputs);
                }
            }
        }
    }
}

impl Trace {
    fn end(&mut self, why: TraceEndedWhy, outputs: &mut VecDeque<Output>) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(why);
        let trace = self.id.as_str().to_owned();
        outputs.push_back(Output::Trace(TraceCommand::Stop { trace }));
    }

    /// Whether a message is this trace's; one of a leg it follows makes its Call-ID known.
    fn follows(&mut self, world: &World, trunk: Option<usize>, call_id: &str) -> bool {
        if self.trunk.is_some() && self.trunk != trunk {
            return false;
        }
        if (self.call.is_none() && self.leg.is_none()) || self.call_ids.contains(call_id) {
            return true;
        }
        let legs = match (self.leg, self.call) {
            (Some(leg), _) => vec![leg],
            (None, Some(call)) => world
                .calls
                .get(&call)
                .map(|call| call.legs.clone())
                .unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        let mut legs = legs.iter().filter_map(|leg| world.legs.get(leg));
        let is_theirs = legs.any(|leg| leg.call_id() == call_id);
        if is_theirs && self.call_ids.len() < CALL_IDS_MAX {
            self.call_ids.insert(call_id.to_owned());
        }
        is_theirs
    }

    /// Why it is full with a message of so many bytes more, if it is.
    fn count(&mut self, bytes: usize) -> Option<TraceEndedWhy> {
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        match (self.messages >= MESSAGES_MAX, self.bytes >= BYTES_MAX) {
            (true, _) => Some(TraceEndedWhy::Messages),
            (false, true) => Some(TraceEndedWhy::Bytes),
            (false, false) => None,
        }
    }
}

/// `trace.start`.
pub fn start(tx: &mut Tx, params: &TraceStart) -> Result<Id, Failure> {
    let starting = tx
        .out
        .traces
        .iter()
        .filter(|change| matches!(change, TraceChange::Start(_)));
    if tx.traces.rows.len() + starting.count() >= TRACES_MAX {
        return Err(Failure::invalid_state(format!(
            "{TRACES_MAX} traces run or are still written"
        )));
    }
    let trunk = match &params.trunk {
        Some(name) => {
            let index = tx.setup.trunk_by_name(name.as_str());
            Some(index.ok_or_else(|| Failure::not_found("trunk", name.as_str()))?)
        }
        None => None,
    };
    let (call, leg) = (followed_call(tx, params)?, followed_leg(tx, params)?);
    let (_, id) = tx.name(None, "t")?;
    let ms = params.ms.get();
    tx.out.traces.push(TraceChange::Start(Box::new(Trace {
        id: id.clone(),
        trunk,
        call,
        leg,
        call_ids: BTreeSet::new(),
        shows_numbers: params.numbers == TraceNumbers::Shown,
        about: about(params),
        until: tx.now.mono + Duration::from_millis(ms.into()),
        messages: 0,
        bytes: 0,
        ended: None,
    })));
    let about = match (leg, call) {
        (Some(leg), _) => tx.about_leg(leg),
        (None, Some(call)) => tx.about_call(call),
        (None, None) => About::default(),
    };
    let started = TraceStarted {
        trace: id.clone(),
        trunk: params.trunk.clone(),
        ms: ms.into(),
        numbers: params.numbers,
    };
    tx.tell(about, Event::TraceStarted(started));
    let app = tx.app.as_str().to_owned();
    tx.out
        .log
        .push((true, format!("app `{app}` began SIP trace {}", id.as_str())));
    Ok(id)
}

/// `trace.stop`; whether it ran.
pub fn stop(tx: &mut Tx, id: &Id) -> bool {
    let is_open = tx.traces.is_open(id);
    if is_open {
        tx.out.traces.push(TraceChange::Stop(id.clone()));
    }
    is_open
}

fn about(params: &TraceStart) -> String {
    let trunk = params.trunk.as_ref().map(Name::as_str);
    let (call, leg) = (
        params.call.as_ref().map(Id::as_str),
        params.leg.as_ref().map(Id::as_str),
    );
    let words = [("trunk", trunk), ("call", call), ("leg", leg)];
    let given = words
        .into_iter()
        .filter_map(|(word, id)| Some(format!("{word} {}", id?)));
    given.collect::<Vec<_>>().join(", ")
}

fn followed_call(tx: &Tx, params: &TraceStart) -> Result<Option<CallKey>, Failure> {
    match &params.call {
        None => Ok(None),
        Some(id) => match tx.named(id) {
            Some(Named::Call(key)) => Ok(Some(key)),
            Some(_) | None => Err(Failure::not_found("call", id.as_str())),
        },
    }
}

fn followed_leg(tx: &Tx, params: &TraceStart) -> Result<Option<LegKey>, Failure> {
    match &params.leg {
        None => Ok(None),
        Some(id) => match tx.named(id) {
            Some(Named::Leg(key)) => Ok(Some(key)),
            Some(_) | None => Err(Failure::not_found("leg", id.as_str())),
        },
    }
}

impl Engine {
    /// Whether any message is looked at.
    pub fn is_tracing(&self) -> bool {
        self.traces.next_deadline().is_some()
    }

    /// Looks at a message that was heard or is sent; costs nothing without a trace.
    pub fn see(&mut self, flow: Flow, way: Way, bytes: &Bytes, now: Now) {
        if !self.is_tracing() {
            return;
        }
        let trunk = self.setup.trunk_of(&flow, &self.world.tls_peers);
        let call_id = call_id(bytes);
        for row in self.traces.rows.values_mut().filter(|row| row.ended.is_none()) {
            if !row.follows(&self.world, trunk, &call_id) {
                continue;
            }
            self.outputs.push_back(Output::Trace(TraceCommand::Message {
                trace: row.id.as_str().to_owned(),
                wall_us: now.wall_us,
                flow,
                is_in: way == Way::In,
                bytes: bytes.clone(),
            }));
            if let Some(why) = row.count(bytes.len()) {
                row.end(why, &mut self.outputs);
            }
        }
    }

    /// The writer has done with a trace.
    pub(in crate::engine) fn trace_written(&mut self, end: TraceEnd, now: Now) {
        let Some(row) = self.traces.rows.values().find(|row| row.id.as_str() == end.trace) else {
            return;
        };
        let row = row.clone();
        self.traces.rows.remove(&row.id);
        let why = match (&end.failed, row.ended) {
            (None, Some(why)) => why,
            (Some(_), _) | (None, None) => TraceEndedWhy::Failed,
        };
        self.by(CauseBy::Policy, now, |tx| {
            let ended = TraceEnded {
                trace: row.id.clone(),
                why,
                messages: row.messages,
                lost: end.lost,
                text: end.text,
                pcap: end.pcap,
                error: end.failed,
            };
            tx.tell(About::default(), Event::TraceEnded(ended));
        });
    }
}

/// The value of Call-ID, or of its compact form, without parsing the rest.
fn call_id(message: &[u8]) -> String {
    let lines = message.split(|byte| *byte == b'\n');
    let mut lines = lines
        .take_while(|line| !line.trim_ascii().is_empty())
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = (
                line.get(..colon)?.trim_ascii(),
                line.get(colon + 1..)?.trim_ascii(),
            );
            let is_it = name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i");
            is_it.then(|| String::from_utf8_lossy(value).into_owned())
        });
    lines.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids_are_found_in_either_form() {
        for (message, expected) in [
            (&b"INVITE sip:a SIP/2.0\r\nCall-ID: x@y\r\n\r\n"[..], "x@y"),
            (b"INVITE sip:a SIP/2.0\r\ni :  x@y \r\nCall-ID: z\r\n\r\n", "x@y"),
            (b"INVITE sip:a SIP/2.0\r\n\r\nCall-ID: in-a-body\r\n", ""),
            (b"", ""),
        ] {
            assert_eq!(call_id(message), expected);
        }
    }
}
