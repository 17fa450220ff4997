//! TLS for a peer that has none: its connections in clear on one side, under TLS on the other.
//!
//! Bytes pass as they are, so Via and Contact of the peer say TCP.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::certificates::GATEWAY_NAME;

/// Ended when dropped.
pub struct Shim {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Shim {
    /// For a caller: takes connections at `ip` and goes on to the gateway from there.
    pub async fn to_gateway(ip: &'static str, gateway: SocketAddr, client: Arc<ClientConfig>) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let client = Arc::clone(&client);
                tokio::spawn(async move {
                    let mut far = dial(ip, gateway, client).await.unwrap();
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Shim { address, task }
    }

    /// For a callee in clear at `peer`: takes what the gateway sends under TLS at `ip`.
    pub async fn to_peer(ip: &'static str, peer: SocketAddr, server: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(server);
        let task = tokio::spawn(async move {
            while let Ok((far, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut far) = acceptor.accept(far).await else {
                        return;
                    };
                    let mut near = TcpStream::connect(peer).await.unwrap();
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Shim { address, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection to the gateway under TLS, from `ip`.
pub async fn dial(
    ip: &str,
    gateway: SocketAddr,
    client: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(ip.parse().unwrap(), 0))?;
    let stream = socket.connect(gateway).await?;
    let name = ServerName::try_from(GATEWAY_NAME).unwrap();
    TlsConnector::from(client).connect(name, stream).await
}
