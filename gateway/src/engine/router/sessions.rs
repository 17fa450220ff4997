//! Control connections: `hello`, subscriptions, catching up, and the snapshot a resume falls back on.

use std::time::Duration;

use super::audience::{BACKLOG_BYTES, BACKLOG_LINES, Client, Feed, UNWANTED_MAX, Wanted};
use super::journal::Cursor;
use super::snapshot;
use super::stats_feed;
use crate::control::protocol::{
    Done, Failure, Hello, HelloResult, Name, NotResumed, PROTOCOL_VERSION, ResultBody, SchemaResult,
    StateGet, Subscribe, Unsubscribe,
};
use crate::engine::engine::Engine;
use crate::engine::io::{ConnKey, Now, Output};

/// What this gateway can, for clients of later versions to look at.
const FEATURES: [&str; 2] = ["batch", "resume"];

/// `hello`.
pub fn hello(engine: &mut Engine, conn: ConnKey, params: &Hello, now: Now) -> Result<ResultBody, Failure> {
    if engine
        .audience
        .get(conn)
        .is_some_and(|client| client.app.is_some())
    {
        return Err(Failure::invalid_state("hello was said already"));
    }
    let mut result = HelloResult {
        protocol: PROTOCOL_VERSION.to_owned(),
        gateway: format!("media-gateway {}", env!("CARGO_PKG_VERSION")),
        epoch: engine.journal.epoch().to_string(),
        features: FEATURES.map(str::to_owned).to_vec(),
        resumed: None,
        from: None,
        why: None,
        snapshot: None,
    };
    let filter = params.subscribe.as_ref().map(Wanted::new);
    let mut feed = if filter.is_some() { Feed::Live } else { Feed::Off };
    if let Some(cursor) = &params.resume {
        let why = match engine.journal.locate(cursor.epoch.as_str(), cursor.seq) {
            Cursor::Kept => None,
            Cursor::EpochChanged => Some(NotResumed::EpochChanged),
            Cursor::TooOld => Some(NotResumed::TooOld),
        };
        result.resumed = Some(why.is_none());
        result.why = why;
        feed = match why {
            None => {
                result.from = Some(cursor.seq + 1);
                Feed::CatchingUp { next: cursor.seq + 1 }
            }
            Some(_) => {
                let seq = engine.journal.last_seq();
                let state = engine.read(now, |tx| snapshot::state(tx, None, seq))?;
                result.snapshot = Some(Box::new(state));
                Feed::Live
            }
        };
    }
    let resumes = params.resume.is_some();
    if let Some(client) = engine.audience.get_mut(conn) {
        client.app = Some(params.app.clone());
        client.filter = filter.or_else(|| resumes.then(Wanted::default));
        client.feed = feed;
    }
    engine.controller_returned(&params.app, now);
    Ok(ResultBody::of(&result))
}

/// `subscribe`.
pub fn subscribe(engine: &mut Engine, conn: ConnKey, params: &Subscribe, now: Now) -> ResultBody {
    if let Some(client) = engine.audience.get_mut(conn) {
        client.filter = Some(Wanted::new(&params.filter()));
        client.unwanted.clear();
        if client.feed == Feed::Off {
            client.feed = Feed::Live;
        }
        if let Some(interval) = params.stats_interval_ms {
            let every = Duration::from_millis(interval.get().into());
            client.stats_every = Some(every);
            client.stats_at = Some(now.mono + every);
            stats_feed::ask(engine);
        }
    }
    ResultBody::of(&Done {})
}

/// `unsubscribe`: everything, or what the filter names.
pub fn unsubscribe(engine: &mut Engine, conn: ConnKey, params: &Unsubscribe) -> Result<ResultBody, Failure> {
    let Some(client) = engine.audience.get_mut(conn) else {
        return Ok(ResultBody::of(&Done {}));
    };
    let named = Wanted::new(&params.filter());
    let is_everything = named == Wanted::default();
    if is_everything || named.is_stats_alone() {
        (client.stats_every, client.stats_at) = (None, None);
    }
    if is_everything {
        (client.filter, client.feed) = (None, Feed::Off);
        client.unwanted.clear();
    } else if !client.unwanted.contains(&named) {
        if client.unwanted.len() >= UNWANTED_MAX {
            let why = format_args!("more than {UNWANTED_MAX} filters were taken out; subscribe anew");
            return Err(Failure::invalid_params("params", why));
        }
        client.unwanted.push(named);
    }
    Ok(ResultBody::of(&Done {}))
}

/// `state.get`.
pub fn state_get(engine: &mut Engine, params: &StateGet, now: Now) -> Result<ResultBody, Failure> {
    let seq = engine.journal.last_seq();
    let state = engine.read(now, |tx| snapshot::state(tx, params.scope.as_ref(), seq))?;
    Ok(ResultBody::of(&state))
}

/// `schema.get`.
pub fn schema_get(engine: &Engine) -> Result<ResultBody, Failure> {
    let schema =
        serde_json::from_str(&engine.setup.schema).map_err(|_| Failure::internal("the schema is no JSON"))?;
    Ok(ResultBody::of(&SchemaResult { schema }))
}

/// Hands a catching-up client its next lines; from the last one on it hears live.
pub fn feed_backlog(engine: &mut Engine, conn: ConnKey) {
    let Some(client) = engine.audience.get(conn) else {
        return;
    };
    let Feed::CatchingUp { next } = client.feed else {
        return;
    };
    let client = Client {
        filter: Some(client.filter.clone().unwrap_or_default()),
        unwanted: client.unwanted.clone(),
        ..Client::default()
    };
    let Some(entries) = engine.journal.since(next, BACKLOG_LINES) else {
        // What it is owed has fallen out while it dawdled.
        engine.outputs.push_back(Output::ControlClose { conn });
        return;
    };
    let mut reached = next;
    let mut lines = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        if bytes >= BACKLOG_BYTES {
            break;
        }
        reached = entry.seq + 1;
        if client.takes(&entry.facts) {
            bytes += entry.line.len();
            lines.push(entry.line.clone());
        }
    }
    engine
        .outputs
        .extend(lines.into_iter().map(|line| Output::Control { conn, line }));
    let done = reached > engine.journal.last_seq();
    if let Some(client) = engine.audience.get_mut(conn) {
        client.feed = if done {
            Feed::Live
        } else {
            Feed::CatchingUp { next: reached }
        };
    }
    if !done {
        engine.outputs.push_back(Output::ControlMore { conn });
    }
}

/// The app of a connection that said hello.
pub fn app_of(engine: &Engine, conn: ConnKey) -> Option<Name> {
    engine.audience.get(conn).and_then(|client| client.app.clone())
}
