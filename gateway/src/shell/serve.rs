//! `media-gateway serve`: a gateway that runs until a signal.
//!
//! The first SIGTERM or SIGINT drains: no new calls, those that are up end by themselves. The second one ends
//! them at once; recordings are stored either way. SIGHUP has the certificate files looked at and the number map of the
//! configuration file taken up.

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::gateway::{Gateway, StartError};
use super::reload::{ConfigFile, Reread};
use crate::config::Config;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Every call had ended and everything is on disk.
    Cleanly,
    /// A call or a disk took too long.
    InHaste,
}

/// Starts a gateway and returns when signals have ended it.
/// `file` is where `config` comes from, to be read again at SIGHUP; none: there is no file.
pub fn serve(config: Config, file: Option<&ConfigFile>) -> Result<Served, StartError> {
    let gateway = Gateway::start(config)?;
    for listen in gateway.listeners() {
        tracing::info!("SIP on {listen}");
    }
    tracing::info!("control socket at {}", gateway.control_socket().display());
    if let Some(http) = gateway.http() {
        tracing::info!("metrics and probes on http://{http}");
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Threads)?;
    runtime
        .block_on(until_stopped(&gateway, file))
        .map_err(StartError::Threads)?;
    let clean = runtime.block_on(gateway.shutdown());
    tracing::info!(clean, "stopped");
    Ok(if clean { Served::Cleanly } else { Served::InHaste })
}

/// Returns when the last call is gone after the first signal, or at the second one.
async fn until_stopped(gateway: &Gateway, file: Option<&ConfigFile>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        () = either(&mut terminate, &mut interrupt) => {}
        () = renew_at(&mut hang_up, gateway, file) => {}
    }
    tracing::info!("draining: new calls are refused; a second signal ends those that are up");
    tokio::select! {
        () = renew_at(&mut hang_up, gateway, file) => {}
        () = gateway.drain(None) => tracing::info!("the last call has ended"),
        () = either(&mut terminate, &mut interrupt) => tracing::warn!("ending all calls"),
    }
    Ok(())
}

/// For ever; after the last signal a process can get it waits.
async fn renew_at(hang_up: &mut Signal, gateway: &Gateway, file: Option<&ConfigFile>) {
    while hang_up.recv().await.is_some() {
        gateway.renew_certificates();
        if let Some(file) = file {
            renumber(gateway, file).await;
        }
    }
    std::future::pending().await
}

/// Has the file's number map taken up; a file with a fault leaves all as it is.
async fn renumber(gateway: &Gateway, file: &ConfigFile) {
    let Reread { map, waiting } = match file.reread() {
        Ok(reread) => reread,
        Err(error) => {
            tracing::error!("the configuration file is not taken up, all stays as it is: {error}");
            return;
        }
    };
    if !waiting.is_empty() {
        let waiting = waiting.join(", ");
        tracing::warn!("the configuration file differs in {waiting}: that waits for a restart");
    }
    gateway.renumber(map, waiting).await;
    tracing::info!("the number map of the configuration file is in use");
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
