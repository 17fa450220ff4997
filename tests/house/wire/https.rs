//! An `https` server of one test: it says the same to everyone, or does not end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What it does with whoever asks.
#[derive(Clone)]
pub enum Manner {
    /// These bytes, then the end.
    Says(Vec<u8>),
    /// A head, then bytes for ever.
    Endless,
    /// A head, then a byte each tenth of a second.
    Slow,
}

/// Ended when dropped.
pub struct Https {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

impl Manner {
    /// A whole answer; `headers` each end their line.
    pub fn answer(status: &str, headers: &str, body: &str) -> Manner {
        let length = body.len();
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
        Manner::Says(text.into_bytes())
    }
}

impl Https {
    /// Serves at a port of its own.
    pub async fn serve(ip: &str, server: Arc<ServerConfig>, manner: Manner) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, acceptor) = (Arc::new(Mutex::new(Seen::default())), TlsAcceptor::from(server));
        let sees = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                sees.lock().unwrap().connections += 1;
                let (acceptor, manner, sees) = (acceptor.clone(), manner.clone(), Arc::clone(&sees));
                tokio::spawn(async move { attend(stream, acceptor, manner, &sees).await });
            }
        });
        Https { address, seen, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL of it by its address.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// How many have connected.
    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// First lines of the requests that came.
    pub fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn attend(stream: TcpStream, acceptor: TlsAcceptor, manner: Manner, seen: &Mutex<Seen>) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut bytes = [0; 2_048];
        match stream.read(&mut bytes).await {
            Ok(length @ 1..) => request.extend_from_slice(&bytes[..length]),
            Ok(_) | Err(_) => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let line = request.lines().next().unwrap_or_default().to_owned();
    seen.lock().unwrap().requests.push(line);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n";
    match manner {
        Manner::Says(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Manner::Endless => {
            let _ = stream.write_all(head).await;
            while stream.write_all(&[b'a'; 4_096]).await.is_ok() {}
        }
        Manner::Slow => {
            let _ = stream.write_all(head).await;
            while stream.write_all(b"a").await.is_ok() && stream.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
