//! The HTTP listener: metrics and probes. Without tokens nothing else is served, and nothing is changed.
//!
//! Asks the engine task over a bounded queue and waits a moment for the answer, so that a stuck engine shows
//! as unhealthy. Knows nothing of calls.

mod capped;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::metrics::{CONTENT_TYPE, Snapshot, render};
use capped::Capped;

/// Questions that wait for the engine; one more is answered 503 at once.
pub const OBSERVE_REQUESTS_MAX: usize = 16;
/// How long the engine may take to answer before it counts as stuck.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What the listener asks the engine task.
#[derive(Debug)]
pub enum ObserveRequest {
    /// All numbers.
    Metrics {
        /// Where they go.
        reply: oneshot::Sender<Box<Snapshot>>,
    },
    /// Whether calls are taken.
    Readiness {
        /// Where the answer goes.
        reply: oneshot::Sender<Readiness>,
    },
}

/// Whether calls are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Listeners are still being opened.
    Starting,
    /// They are.
    Ready,
    /// No new ones.
    Draining,
}

/// Serves until `stop` is done. `schema` is the control protocol's, as JSON.
pub async fn serve(
    listener: TcpListener,
    engine: mpsc::Sender<ObserveRequest>,
    schema: Arc<str>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/v1/schema.json", get(schema_json))
        .with_state(Shared { engine, schema });
    axum::serve(Capped::new(listener), routes)
        .with_graceful_shutdown(stop)
        .await
}

#[derive(Clone)]
struct Shared {
    engine: mpsc::Sender<ObserveRequest>,
    schema: Arc<str>,
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match ask(&shared.engine, |reply| ObserveRequest::Metrics { reply }).await {
        Ok(snapshot) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], render(*snapshot)).into_response(),
        Err(silence) => silence.into_response(),
    }
}

async fn healthz(State(shared): State<Shared>) -> Response {
    match ask(&shared.engine, |reply| ObserveRequest::Readiness { reply }).await {
        Ok(Readiness::Starting | Readiness::Ready | Readiness::Draining) => "ok\n".into_response(),
        Err(silence) => silence.into_response(),
    }
}

async fn readyz(State(shared): State<Shared>) -> Response {
    match ask(&shared.engine, |reply| ObserveRequest::Readiness { reply }).await {
        Ok(Readiness::Ready) => "ready\n".into_response(),
        Ok(Readiness::Starting) => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        Ok(Readiness::Draining) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response(),
        Err(silence) => silence.into_response(),
    }
}

async fn schema_json(State(shared): State<Shared>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        shared.schema.to_string(),
    )
        .into_response()
}

/// Why the engine gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// Too many questions wait already.
    Busy,
    /// It took longer than [`ANSWER_WITHIN`].
    Stuck,
    /// It is gone.
    Gone,
}

impl IntoResponse for Silence {
    fn into_response(self) -> Response {
        let why = match self {
            Silence::Busy => "engine busy\n",
            Silence::Stuck => "engine does not answer\n",
            Silence::Gone => "engine stopped\n",
        };
        (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
    }
}

async fn ask<T>(
    engine: &mpsc::Sender<ObserveRequest>,
    request: impl FnOnce(oneshot::Sender<T>) -> ObserveRequest,
) -> Result<T, Silence> {
    let (reply, answer) = oneshot::channel();
    engine.try_send(request(reply)).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => Silence::Busy,
        mpsc::error::TrySendError::Closed(_) => Silence::Gone,
    })?;
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(Silence::Gone),
        Err(_) => Err(Silence::Stuck),
    }
}

#[cfg(test)]
mod tests;
