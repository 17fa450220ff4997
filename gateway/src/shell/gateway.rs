//! A whole gateway in this process: started from a configuration, driven over the control protocol.
//!
//! Owns a runtime of its own, so that a busy or blocking host delays no call. Start order: what a crash left
//! is settled, SIP and media open, then the control socket, then HTTP. Knows nothing of what a call is.

mod error;
mod launch;
mod listeners;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub use error::StartError;

use super::clock;
use super::lock::StateLock;
use super::outside::Outside;
use super::prompts::{self, Watch};
use super::run::Lanes;
use super::tls::Tls;
use crate::config::{Config, Listen, NumberMap};
use crate::control::connection::Connections;
use crate::control::protocol::Failure;
use crate::control::schema::schema_json;
use crate::core::Core;
use crate::engine::Setup;
use crate::engine::io::Input;
use crate::observe::record_writer::{recover, saved_limits};
use launch::launch;
use listeners::Bound;

/// Threads of the runtime: the engine on one, sockets and clients on the other.
const WORKERS: usize = 2;

/// How long calls and their records may take to end once the gateway is told to stop: BYEs go out at once,
/// a record waits up to 5 s for its recording.
pub const STOP_WAIT: Duration = Duration::from_secs(8);

/// How long control clients may take to read the last events.
pub const FAREWELL_WAIT: Duration = Duration::from_secs(1);

/// Bytes in flight between an in-process client and the gateway, each way.
const DUPLEX_BYTES: usize = 256 * 1024;

/// A running gateway. Dropped without [`shutdown`](Gateway::shutdown) it ends like a process that is killed.
pub struct Gateway {
    runtime: Option<Runtime>,
    lanes: Lanes,
    connections: Connections,
    control_socket: PathBuf,
    listeners: Vec<Listen>,
    http: Option<SocketAddr>,
    drained: watch::Receiver<u64>,
    stop: Option<oneshot::Sender<()>>,
    engine: Option<JoinHandle<(Core, Outside)>>,
    /// The control socket's task and the HTTP listener's.
    services: Vec<JoinHandle<()>>,
    tls: Tls,
    _prompts: Watch,
    _lock: StateLock,
}

impl Gateway {
    /// Starts everything, or nothing. Blocks while files of the last run are settled and music is decoded;
    /// needs no runtime around it.
    pub fn start(config: Config) -> Result<Gateway, StartError> {
        raise_file_limit();
        let lock = StateLock::acquire(&config.state_dir)?;
        let lost_calls = recover::recover(&config.state_dir, &config.recordings.dir)
            .map_err(|source| StartError::state(&config, source))?;
        if lost_calls > 0 {
            tracing::warn!(
                lost_calls,
                "calls of the last run were lost; their records are written"
            );
        }
        let limits = saved_limits(&config.state_dir).map_err(|source| StartError::state(&config, source))?;
        let music = prompts::music(&config.music)?;
        let seed = clock::seed().map_err(StartError::Random)?;
        read_number_metadata();
        let bound = Bound::bind(config)?;
        let tls = bound.tls.clone();
        let mut setup = Setup::new(bound.config.clone(), epoch(&seed))?;
        setup.lost_calls = lost_calls;
        setup.saved_limits = limits.map(|limits| limits.to_string());
        setup.schema = schema_json();
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("gateway")
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        let entered = runtime.enter();
        let started = launch(bound, setup, seed, music);
        drop(entered);
        match started {
            Ok(started) => Ok(Gateway {
                runtime: Some(runtime),
                lanes: started.lanes,
                connections: started.connections,
                control_socket: started.control_socket,
                listeners: started.listeners,
                http: started.http,
                drained: started.drained,
                stop: Some(started.stop),
                engine: Some(started.engine),
                services: started.services,
                tls,
                _prompts: started.prompts,
                _lock: lock,
            }),
            Err(error) => {
                // A runtime dropped inside another one would panic.
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// A client's end of a new control connection: the same protocol as on the socket, without a socket.
    pub fn control(&self) -> Result<DuplexStream, Failure> {
        let (ours, theirs) = tokio::io::duplex(DUPLEX_BYTES);
        let _entered = self.runtime.as_ref().map(Runtime::enter);
        self.connections.attach(ours)?;
        Ok(theirs)
    }

    /// The control socket's path.
    pub fn control_socket(&self) -> &Path {
        &self.control_socket
    }

    /// The SIP listeners as they are bound: port 0 has become a real one.
    pub fn listeners(&self) -> &[Listen] {
        &self.listeners
    }

    /// Where HTTP is served.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Looks at the certificate files at once; changed ones are used for connections to come.
    pub fn renew_certificates(&self) {
        self.tls.look_now();
    }

    /// Takes up another number map, between two calls. `waiting` is what else differs and waits for a restart, for those
    /// who listen. Returns when it is in the engine's queue.
    pub async fn renumber(&self, map: NumberMap, waiting: Vec<&'static str>) {
        let waiting = waiting.into_iter().map(str::to_owned).collect();
        // An engine that is gone has no calls.
        let _ = self.lanes.work.send(Input::NumberMap { map, waiting }).await;
    }

    /// Refuses new calls; those that are up end by themselves, at the latest after `deadline`. Returns when
    /// the last one is gone. What a routing engine cancels (`drain.cancel`) is waited for nevertheless.
    pub async fn drain(&self, deadline: Option<Duration>) {
        let deadline_ms = deadline.and_then(|deadline| u64::try_from(deadline.as_millis()).ok());
        let mut drained = self.drained.clone();
        drained.mark_unchanged();
        // An engine that is gone has no calls.
        if self.lanes.work.send(Input::Drain { deadline_ms }).await.is_ok() {
            let _ = drained.changed().await;
        }
    }

    /// Ends every call, stores what is recorded and stops. False when a call or a disk took too long; what
    /// was written until then is kept.
    pub async fn shutdown(mut self) -> bool {
        let ended = self.lanes.work.send(Input::Stopping).await.is_ok() && self.wait_at_most(STOP_WAIT).await;
        let (Some(runtime), Some(stop), Some(engine)) =
            (self.runtime.take(), self.stop.take(), self.engine.take())
        else {
            return false;
        };
        for service in self.services.drain(..) {
            service.abort();
            // It has dropped what it held, such as the socket's file, once this returns.
            let _ = service.await;
        }
        // The engine task may have ended already, by itself.
        let _ = stop.send(());
        let stored = match engine.await {
            Ok((_, outside)) => runtime
                .spawn_blocking(move || outside.close())
                .await
                .unwrap_or(false),
            Err(error) => {
                tracing::error!(%error, "the engine task failed");
                false
            }
        };
        let connections = self.connections.clone();
        let farewell = async move {
            while connections.count() > 0 {
                connections.one_closed().await;
            }
        };
        // What clients are still owed, as far as they take it.
        let _ = runtime
            .spawn(async { tokio::time::timeout(FAREWELL_WAIT, farewell).await })
            .await;
        runtime.shutdown_background();
        ended && stored
    }

    async fn wait_at_most(&self, patience: Duration) -> bool {
        let Some(runtime) = &self.runtime else {
            return false;
        };
        // Timers need our runtime, whoever polls this.
        let late = runtime.spawn(async move { clock::after(patience).await });
        tokio::select! {
            () = self.drain(None) => true,
            _ = late => false,
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A runtime dropped inside another one would block it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The name of this run's event numbering: eight hexadecimal digits of its seed.
fn epoch(seed: &[u8; 32]) -> String {
    seed.iter()
        .rev()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Has the number metadata decoded before the first call, which would wait 150 ms and longer for it.
fn read_number_metadata() {
    let example = phonenumber::parse(None, "+12025550123");
    debug_assert!(example.is_ok(), "a number of NANP's own examples");
}

/// Lets this process have as many open files as the system allows: a leg takes two, a recorded one three.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

#[cfg(test)]
mod tests;
