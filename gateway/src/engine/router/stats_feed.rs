//! Measurements and ticks for those who asked for them: sent, never numbered, never kept.

use std::collections::BTreeMap;

use media::Change;

use crate::control::protocol::{
    Cause, CauseBy, Envelope, Event, Id, LegStats, Stats, Subject, Tags, Tick, Timestamp,
};
use crate::engine::engine::Engine;
use crate::engine::io::{ConnKey, Now, Output};
use crate::engine::leg::Stage;
use crate::engine::trunks::quality;

/// Sends what is due now.
pub fn run(engine: &mut Engine, now: Now) {
    let seq = engine.journal.last_seq();
    for conn in engine.audience.tick_due(now.mono) {
        send(engine, conn, &Event::Tick(Tick { seq }), now);
    }
    let due = engine.audience.stats_due(now.mono);
    if due.is_empty() {
        return;
    }
    for conn in due {
        let legs = measured_for(engine, conn);
        send(engine, conn, &Event::Stats(Stats { legs }), now);
    }
    ask(engine);
}

/// The numbers that this connection asked for.
fn measured_for(engine: &Engine, conn: ConnKey) -> BTreeMap<Id, LegStats> {
    let Some(client) = engine.audience.get(conn) else {
        return BTreeMap::new();
    };
    let legs = engine.world.legs.iter().filter_map(|(_, leg)| {
        let call = engine.world.calls.get(&leg.call)?;
        let measured = leg.media.measured.as_deref()?;
        client
            .measures(&call.id, &leg.id)
            .then(|| (leg.id.clone(), quality::of(measured)))
    });
    legs.collect()
}

/// Asks every shard for fresh numbers, for the next time.
pub fn ask(engine: &mut Engine) {
    let mut questions: BTreeMap<usize, Vec<Change>> = BTreeMap::new();
    for (key, leg) in engine
        .world
        .legs
        .iter()
        .filter(|(_, leg)| leg.stage == Stage::Answered)
    {
        let change = Change::Stats {
            stream: key.stream(),
            request: 0,
        };
        questions.entry(leg.media.shard).or_default().push(change);
    }
    engine.outputs.extend(
        questions
            .into_iter()
            .map(|(shard, command)| Output::Media { shard, command }),
    );
}

fn send(engine: &mut Engine, conn: ConnKey, event: &Event, now: Now) {
    let epoch = engine.journal.epoch().clone();
    let envelope = Envelope {
        seq: engine.journal.last_seq(),
        type_name: event.type_name(),
        epoch: &epoch,
        ts: Timestamp(now.wall_us),
        mono_us: engine.mono_us(now),
        instance: &engine.setup.instance,
        subject: &Subject::default(),
        group: None,
        cause: &Cause::By(CauseBy::Timer),
        tags: &Tags::default(),
        data: event,
    };
    if let Ok(line) = envelope.to_line() {
        engine.outputs.push_back(Output::Control { conn, line });
    }
}
