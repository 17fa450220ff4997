//! How what a transaction told leaves the engine: numbered into the journal, to those who hear it, and what a call was so
//! far into the ledger. Decides nothing.

use super::calls::call_record;
use super::engine::Engine;
use super::io::{Now, Output};
use super::keys::CallKey;
use super::router::journal::Facts;
use super::tx::Draft;
use crate::control::protocol::{Envelope, Timestamp};

impl Engine {
    /// One event, in the order in which they were told.
    pub(super) fn publish(&mut self, draft: Draft, now: Now) {
        let Draft {
            event,
            about,
            cause,
            group,
        } = draft;
        let facts = Facts {
            kind: event.type_name(),
            call: about.subject.call.clone(),
            leg: about.subject.leg.clone(),
        };
        let mono_us = self.mono_us(now);
        let epoch = self.journal.epoch().clone();
        let setup = &self.setup;
        let line = |seq| {
            let envelope = Envelope {
                seq,
                type_name: event.type_name(),
                epoch: &epoch,
                ts: Timestamp(now.wall_us),
                mono_us,
                instance: &setup.instance,
                subject: &about.subject,
                group: group.as_ref(),
                cause: &cause,
                tags: &about.tags,
                data: &event,
            };
            // Events are plain data; should one not serialise, its number must not be missing.
            envelope
                .to_line()
                .map_or_else(|_| String::from("{}"), |line| line.to_string())
        };
        let entry = self.journal.append(facts, line, now.mono);
        self.metrics.event(&event);
        let hearers = self.audience.live_for(entry);
        self.outputs.extend(hearers.map(|conn| Output::Control {
            conn,
            line: entry.line.clone(),
        }));
    }

    /// The record of a call that goes on, for the case that this process does not.
    pub(super) fn keep_ledger(&mut self, call: CallKey, now: Now) {
        let record = self.read(now, |tx| Ok(call_record::of_call(tx, call)));
        let Ok(Some(record)) = record else { return };
        if let Ok(line) = serde_json::to_string(&record) {
            let call = record.call.as_str().to_owned();
            self.outputs.push_back(Output::Ledger {
                call,
                record: line.into(),
            });
        }
    }
}
