//! One control request: parsed, allowed, known already, run as a transaction, answered.

use serde_json::value::RawValue;

use super::alarms;
use super::commands;
use super::explaining;
use super::replay::Known;
use super::sessions;
use crate::control::protocol::{
    Batch, BatchResult, Cause, Done, Failure, Name, Request, ResultBody, failure_line, success_line,
};
use crate::engine::calls::refused_dials;
use crate::engine::engine::Engine;
use crate::engine::io::{ConnKey, Now, Output};
use crate::engine::tx::Tx;

/// The id of a request, echoed in its reply; a notification has none and gets none.
pub type RequestId = Option<Box<RawValue>>;

/// What a request came to.
enum Answer {
    /// At the journal's present end, or the stored reply of an earlier command.
    At {
        seq: u64,
        body: ResultBody,
        replayed: bool,
    },
    /// By the transaction itself, which writes the reply before its events.
    Written,
    /// Later.
    Later,
}

/// One request of one connection.
pub fn handle(
    engine: &mut Engine,
    conn: ConnKey,
    id: RequestId,
    request: Result<Box<Request>, Failure>,
    now: Now,
) {
    let (request, answer) = match request {
        Ok(request) => {
            let answer = dispatch(engine, conn, &id, &request, now);
            (Some(request), answer)
        }
        Err(failure) => (None, Err(failure)),
    };
    match answer {
        Ok(Answer::At { seq, body, replayed }) => reply(engine, conn, &id, seq, &body, replayed),
        Ok(Answer::Written | Answer::Later) => {}
        Err(failure) => {
            refuse(engine, conn, &id, &failure);
            if let (Some(request), Some(app)) = (request, sessions::app_of(engine, conn)) {
                refused_dials::tell(engine, &app, &request, &failure, now);
            }
        }
    }
    // A resumed client gets what it missed after its reply, and so do those whom an alarm is for.
    sessions::feed_backlog(engine, conn);
    alarms::tell(engine, now);
}

/// Writes a successful reply.
pub fn reply(
    engine: &mut Engine,
    conn: ConnKey,
    id: &RequestId,
    seq: u64,
    body: &ResultBody,
    replayed: bool,
) {
    engine.metrics.control_answered(None);
    if let Some(id) = id {
        let line = success_line(id, seq, body, replayed);
        engine.outputs.push_back(Output::Control { conn, line });
    }
}

/// Writes a refusal.
pub fn refuse(engine: &mut Engine, conn: ConnKey, id: &RequestId, failure: &Failure) {
    engine.metrics.control_answered(Some(failure.kind));
    if let Some(id) = id {
        let line = failure_line(Some(id), failure);
        engine.outputs.push_back(Output::Control { conn, line });
    }
}

fn dispatch(
    engine: &mut Engine,
    conn: ConnKey,
    id: &RequestId,
    request: &Request,
    now: Now,
) -> Result<Answer, Failure> {
    let seq = engine.journal.last_seq();
    let at = |body: ResultBody| {
        Ok(Answer::At {
            seq,
            body,
            replayed: false,
        })
    };
    match request {
        Request::Ping(_) => return at(ResultBody::of(&Done {})),
        Request::SchemaGet(_) => return at(sessions::schema_get(engine)?),
        Request::StateGet(params) => return at(sessions::state_get(engine, params, now)?),
        Request::Hello(params) => return at(sessions::hello(engine, conn, params, now)?),
        _ => {}
    }
    let app = sessions::app_of(engine, conn).ok_or_else(|| Failure::invalid_state("say hello first"))?;
    match request {
        Request::Subscribe(params) => at(sessions::subscribe(engine, conn, params, now)),
        Request::Unsubscribe(params) => at(sessions::unsubscribe(engine, conn, params)?),
        Request::LegStats(params) => engine
            .ask_stats(conn, id, &params.leg, now)
            .map(|()| Answer::Later),
        _ => command(engine, conn, id, request, app, now),
    }
}

/// A command: answered from the store where its key is known, else run.
fn command(
    engine: &mut Engine,
    conn: ConnKey,
    id: &RequestId,
    request: &Request,
    app: Name,
    now: Now,
) -> Result<Answer, Failure> {
    let keyed = request.key().map(|key| (key.clone(), request.digest()));
    if let Some((key, digest)) = &keyed {
        match engine.replies.find(&app, key, digest, now.mono) {
            Known::Same(stored) => {
                return Ok(Answer::At {
                    seq: stored.seq,
                    body: stored.body.clone(),
                    replayed: true,
                });
            }
            Known::Other => return Err(Failure::key_conflict(key.as_str())),
            Known::No => {}
        }
    }
    let cause = Cause::Command {
        app: app.clone(),
        cmd: request.method(),
    };
    let body = match request {
        Request::Batch(batch) if !batch.atomic => {
            let before = std::mem::take(&mut engine.outputs);
            let body = each_alone(engine, batch, &app, now);
            let events = std::mem::replace(&mut engine.outputs, before);
            engine.replied_seq = engine.journal.last_seq();
            reply(engine, conn, id, engine.replied_seq, &body, false);
            engine.outputs.extend(events);
            body
        }
        Request::Explain(params) => {
            let body = explaining::explain(engine, params)?;
            engine.replied_seq = engine.journal.last_seq();
            reply(engine, conn, id, engine.replied_seq, &body, false);
            body
        }
        _ => {
            let outbox = engine.transact(now, cause, app.clone(), |tx| run(tx, request));
            engine.count_dials(request, outbox.as_ref().map(|_| ()));
            let (body, outbox) = outbox?;
            engine.commit(outbox, now, Some((conn, id, &body)));
            body
        }
    };
    if let Some((key, digest)) = keyed {
        let seq = engine.replied_seq;
        engine.replies.keep(app, key, digest, seq, body, now.mono);
    }
    Ok(Answer::Written)
}

fn run(tx: &mut Tx, request: &Request) -> Result<ResultBody, Failure> {
    match request {
        Request::Batch(batch) => all_or_none(tx, batch),
        _ => commands::run(tx, request),
    }
}

/// An atomic batch: every step in one transaction; the first refusal takes all of it back.
fn all_or_none(tx: &mut Tx, batch: &Batch) -> Result<ResultBody, Failure> {
    let (_, group) = tx.world.make.next("g");
    tx.group = Some(group);
    let mut results: Vec<ResultBody> = Vec::with_capacity(batch.steps.len());
    for (index, step) in batch.steps.iter().enumerate() {
        let done = step.request(&results).and_then(without_key).and_then(|request| {
            let app = tx.app.clone();
            tx.because(
                Cause::Command {
                    app,
                    cmd: request.method(),
                },
                |tx| commands::run(tx, &request),
            )
        });
        results.push(done.map_err(|failure| failure.at_step(index))?);
    }
    let results = results
        .into_iter()
        .map(|result| serde_json::Value::Object(result.0))
        .collect();
    Ok(ResultBody::of(&BatchResult { results }))
}

/// A batch is retried as a whole, by its own key; a key of a step would promise more than is kept.
fn without_key(request: Request) -> Result<Request, Failure> {
    match request.key() {
        Some(_) => Err(Failure::invalid_params(
            "params.key",
            "stands on the batch, not on its steps",
        )),
        None => Ok(request),
    }
}

/// A batch whose steps stand alone: each is a transaction, a refusal is its result. The events wait
/// until the one reply is written.
fn each_alone(engine: &mut Engine, batch: &Batch, app: &Name, now: Now) -> ResultBody {
    let group = engine.new_group();
    let mut results: Vec<ResultBody> = Vec::with_capacity(batch.steps.len());
    for step in &batch.steps {
        let done = step.request(&results).and_then(without_key).and_then(|request| {
            let cause = Cause::Command {
                app: app.clone(),
                cmd: request.method(),
            };
            let outcome = engine.transact(now, cause, app.clone(), |tx| {
                tx.group = Some(group.clone());
                commands::run(tx, &request)
            });
            engine.count_dials(&request, outcome.as_ref().map(|_| ()));
            let (body, outbox) = outcome.inspect_err(|failure| {
                refused_dials::tell(engine, app, &request, failure, now);
            })?;
            engine.commit(outbox, now, None);
            Ok(body)
        });
        results.push(done.unwrap_or_else(|failure| step_failed(&failure)));
    }
    let results = results
        .into_iter()
        .map(|result| serde_json::Value::Object(result.0))
        .collect();
    ResultBody::of(&BatchResult { results })
}

fn step_failed(failure: &Failure) -> ResultBody {
    let mut members = serde_json::Map::new();
    members.insert("error".into(), failure.to_value());
    ResultBody(members)
}
