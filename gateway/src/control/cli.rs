//! The bodies of `ctl`, `events` and `schema`: results on `out`, errors on `err`, an exit code back.
//!
//! Parses no command line and looks for no socket: both are given.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::client::{Client, ClientError, Followed, Follower};
use super::schema::schema_json;
use crate::inert;

/// Everything went well.
pub const EXIT_OK: u8 = 0;
/// The work failed.
pub const EXIT_FAILED: u8 = 1;
/// The command line was wrong.
pub const EXIT_USAGE: u8 = 2;

/// Who `ctl` and `events` are, unless told otherwise: no application of the configuration, so that their
/// coming and going is nobody's lost controller.
pub const DEFAULT_APP: &str = "ctl";

/// What `events` is to show.
#[derive(Clone, Debug, Default)]
pub struct EventsArgs {
    /// Speak as this application; [`DEFAULT_APP`] when none.
    pub app: Option<String>,
    /// Only these event types or groups.
    pub types: Vec<String>,
    /// Only events of these calls.
    pub calls: Vec<String>,
    /// Only events of these legs.
    pub legs: Vec<String>,
    /// Also measurements, so often.
    pub stats_interval_ms: Option<u32>,
    /// Stop after so many lines.
    pub count: Option<u64>,
}

/// `ctl METHOD [JSON]`: one command, its result as JSON on `out`, a refusal as JSON on `err`.
pub async fn ctl(
    socket: &Path,
    app: Option<&str>,
    method: &str,
    params: Option<&str>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let params: Value = match params.map_or(Ok(json!({})), serde_json::from_str) {
        Ok(params) => params,
        Err(error) => {
            writeln!(err, "the parameters are no JSON: {error}")?;
            return Ok(EXIT_USAGE);
        }
    };
    let client = match Client::connect(socket).await {
        Ok((client, _)) => client,
        Err(error) => {
            writeln!(err, "{}: {error}", socket.display())?;
            return Ok(EXIT_FAILED);
        }
    };
    let answer = async {
        if !WITHOUT_HELLO.contains(&method) {
            client
                .call(
                    "hello",
                    json!({ "app": app.unwrap_or(DEFAULT_APP), "client": "ctl" }),
                )
                .await?;
        }
        client.call(method, params).await
    };
    match answer.await {
        Ok(result) => {
            writeln!(out, "{}", inert::json(&result.to_string()))?;
            Ok(EXIT_OK)
        }
        Err(error) => {
            report(&error, err)?;
            Ok(EXIT_FAILED)
        }
    }
}

/// Methods that need no `hello` before them.
const WITHOUT_HELLO: &[&str] = &["hello", "ping", "schema.get", "state.get"];

/// `events`: one JSON object a line on `out`, over any loss of the connection. Events come as their
/// envelopes; where some are missing for good, `{"snapshot":…}` stands for them.
pub async fn events(
    socket: &Path,
    args: &EventsArgs,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let mut filter = json!({});
    for (member, values) in [
        ("types", &args.types),
        ("calls", &args.calls),
        ("legs", &args.legs),
    ] {
        if let (false, Some(filter)) = (values.is_empty(), filter.as_object_mut()) {
            filter.insert(member.into(), json!(values));
        }
    }
    let app = args.app.as_deref().unwrap_or(DEFAULT_APP);
    let mut follower = Follower::new(socket, app, filter);
    if let Some(interval_ms) = args.stats_interval_ms {
        follower = follower.with_stats(interval_ms);
    }
    if let Err(error) = follower.connect().await {
        match error {
            ClientError::Disconnected => writeln!(err, "{}: no gateway answers", socket.display())?,
            ClientError::Refused(_) => report(&error, err)?,
        }
        return Ok(EXIT_FAILED);
    }
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let line = match follower.next().await {
            Ok(Followed::Event(event)) => event,
            Ok(Followed::Snapshot(snapshot)) => json!({ "snapshot": snapshot }),
            Err(failure) => {
                report(&ClientError::Refused(failure), err)?;
                return Ok(EXIT_FAILED);
            }
        };
        match writeln!(out, "{}", inert::json(&line.to_string())).and_then(|()| out.flush()) {
            Ok(()) => left -= 1,
            // Whoever read our lines has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(EXIT_OK),
            Err(error) => return Err(error),
        }
    }
    Ok(EXIT_OK)
}

/// `schema`: the protocol's own description.
pub fn schema(out: &mut impl Write) -> io::Result<u8> {
    writeln!(out, "{}", schema_json())?;
    Ok(EXIT_OK)
}

fn report(error: &ClientError, err: &mut impl Write) -> io::Result<()> {
    match error.refusal() {
        Some(failure) => writeln!(err, "{}", inert::json(&failure.to_value().to_string())),
        None => writeln!(err, "{error}"),
    }
}

#[cfg(test)]
mod tests;
