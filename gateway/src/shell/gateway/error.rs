//! Why a gateway does not start, in words that name the address or file and what to do about it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::config::{Config, Listen};
use crate::engine::policy::number_policy::RulesError;
use crate::shell::lock::LockError;
use crate::shell::prompts::MusicError;
use crate::shell::shards::ShardsError;
use crate::shell::tls::TlsError;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder is taken or unusable.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// What the last run left in the state folder cannot be read or settled.
    #[error("state_dir {}: {source}", dir.display())]
    State {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Recordings have no place.
    #[error("recordings.dir {}: {source}", dir.display())]
    Recordings {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A music class cannot be loaded.
    #[error(transparent)]
    Music(#[from] MusicError),
    /// The number policy contradicts itself.
    #[error("dial: {0}")]
    Rules(#[from] RulesError),
    /// A SIP listener cannot be bound.
    #[error("sip.listen {listen}: {source}; {}", remedy(source))]
    Listen {
        /// Which.
        listen: Listen,
        /// Why.
        source: io::Error,
    },
    /// A media address is not ours.
    #[error("media.address {address}: {source}; {}", remedy(source))]
    Media {
        /// Which.
        address: IpAddr,
        /// Why.
        source: io::Error,
    },
    /// The media threads cannot be started.
    #[error(transparent)]
    Shards(#[from] ShardsError),
    /// TLS cannot be set up.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The control socket cannot be bound.
    #[error("control.unix {}: {source}; {}", path.display(), remedy(source))]
    Control {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The HTTP listener cannot be bound.
    #[error("http.listen {address}: {source}; {}", remedy(source))]
    Http {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system has no random numbers.
    #[error("the system's random numbers cannot be read: {0}")]
    Random(io::Error),
    /// The system refuses threads or sockets.
    #[error("the system refuses threads or sockets: {0}")]
    Threads(io::Error),
}

impl StartError {
    /// What the process ends with: 2 where the configuration has to change, else 1.
    pub fn exit_code(&self) -> u8 {
        let is_configuration = match self {
            StartError::Music(_)
            | StartError::Rules(_)
            | StartError::Tls(_)
            | StartError::Shards(ShardsError::Ports { .. }) => true,
            StartError::Listen { source, .. }
            | StartError::Media { source, .. }
            | StartError::Http { source, .. } => source.kind() == ErrorKind::AddrNotAvailable,
            StartError::Lock(_)
            | StartError::State { .. }
            | StartError::Recordings { .. }
            | StartError::Shards(ShardsError::Spawn { .. })
            | StartError::Control { .. }
            | StartError::Random(_)
            | StartError::Threads(_) => false,
        };
        if is_configuration { 2 } else { 1 }
    }

    pub(super) fn state(config: &Config, source: io::Error) -> StartError {
        StartError::State {
            dir: config.state_dir.clone(),
            source,
        }
    }

    pub(super) fn recordings(config: &Config, source: io::Error) -> StartError {
        StartError::Recordings {
            dir: config.recordings.dir.clone(),
            source,
        }
    }
}

/// What to do about an address that cannot be bound.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "another process has it: stop that one or choose another",
        ErrorKind::AddrNotAvailable => "this host has no such address: `ip address` lists what it has",
        ErrorKind::PermissionDenied => {
            "not permitted: ports below 1024 need CAP_NET_BIND_SERVICE, files a folder we own"
        }
        ErrorKind::NotFound => "its folder does not exist: make it or choose another",
        _ => "see the operating system's message",
    }
}
