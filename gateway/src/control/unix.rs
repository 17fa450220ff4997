//! The Unix control socket: where local clients knock, and who may come in.
//!
//! Owns the socket file. What a client says is none of its business: [`Connections`] serves it.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

use super::connection::Connections;
use super::protocol::{Failure, failure_line};

/// Mode of the socket file.
const SOCKET_MODE: u32 = 0o600;
/// Pause after an accept that failed, unless a connection closes earlier.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound control socket; dropping it removes its file.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of our file, so that a successor's is left alone.
    identity: (u64, u64),
    /// Who may come in beside root.
    uids: Vec<u32>,
}

impl ControlSocket {
    /// Binds `path` for our own user, root and `uids`. A file that nobody listens on is replaced.
    pub fn bind(path: &Path, uids: &[u32]) -> io::Result<Self> {
        remove_stale(path)?;
        let listener = UnixListener::bind(path)?;
        // Between bind and here others might connect; their credentials turn them away.
        fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
        let metadata = fs::symlink_metadata(path)?;
        let mut uids = uids.to_vec();
        uids.push(nix::unistd::geteuid().as_raw());
        Ok(Self {
            listener,
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
            uids,
        })
    }

    /// Where it is bound.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes clients in, for ever.
    pub async fn run(&self, connections: &Connections) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => self.admit(stream, connections),
                Err(error) => {
                    tracing::warn!(%error, "control socket: accept failed");
                    // Out of descriptors: a connection that closes gives one back.
                    let _ = tokio::time::timeout(ACCEPT_PAUSE, connections.one_closed()).await;
                }
            }
        }
    }

    fn admit(&self, stream: UnixStream, connections: &Connections) {
        let uid = stream.peer_cred().map(|credentials| credentials.uid());
        let is_allowed = uid.is_ok_and(|uid| uid == 0 || self.uids.contains(&uid));
        if !is_allowed {
            tracing::warn!("control socket: a client of another user was turned away");
            return refuse(
                stream,
                &Failure::forbidden("this user may not control the gateway"),
            );
        }
        if connections.count() >= super::connection::CONNECTIONS_MAX {
            tracing::warn!("control socket: too many connections");
            return refuse(
                stream,
                &Failure::too_many_connections(super::connection::CONNECTIONS_MAX),
            );
        }
        // Another transport may have taken the last place meanwhile; the client sees the end of its stream.
        if let Err(failure) = connections.attach(stream) {
            tracing::warn!(%failure, "control socket: connection refused");
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if is_ours {
            // Nothing is lost if it stays: the next start finds it stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Says why, as far as the socket's buffer takes it, and hangs up.
fn refuse(mut stream: UnixStream, failure: &Failure) {
    let mut line = failure_line(None, failure).to_string();
    line.push('\n');
    tokio::spawn(async move {
        let _ = tokio::time::timeout(ACCEPT_PAUSE, stream.write_all(line.as_bytes())).await;
    });
}

/// Removes the file of a gateway that is gone. One that answers, or that is no socket, stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the path is taken by something that is no socket",
        ));
    }
    match StdStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another gateway listens on this socket",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
