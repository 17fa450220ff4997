//! Why a demonstration did not come to its end.

use std::io;

use crate::config::ConfigError;
use crate::control::client::ClientError;
use crate::phone::PhoneError;
use crate::shell::gateway::StartError;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file or socket of the demonstration.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// No block of free ports for RTP.
    #[error("no {0} free UDP ports in a row for RTP")]
    Ports(u16),
    /// The configuration that the demonstration wrote.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The gateway did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A command was refused.
    #[error("{method}: {source}")]
    Command {
        /// Which.
        method: String,
        /// Why.
        source: ClientError,
    },
    /// An event did not come in time.
    #[error("{0} did not come in time")]
    Event(String),
    /// A phone did not do its part.
    #[error("the phone of {name}: {source}")]
    Phone {
        /// Whose.
        name: &'static str,
        /// Why.
        source: PhoneError,
    },
    /// The gateway closed the control connection.
    #[error("the gateway closed the control connection")]
    Disconnected,
    /// A reply or an event lacks something the contract promises.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The recording is no WAV file of ours.
    #[error("the recording is no 16-bit WAV file")]
    NotWav,
    /// Calls or disk took too long at the end.
    #[error("the gateway did not stop in time")]
    NotStopped,
}

impl DemoError {
    /// A file or socket failed.
    pub fn io(what: impl ToString, source: io::Error) -> DemoError {
        DemoError::Io {
            what: what.to_string(),
            source,
        }
    }
}
