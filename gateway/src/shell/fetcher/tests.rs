//! Servers that give what is asked for, and those that give too much, too little, too late or something else.

use std::net::SocketAddr;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::{Dns, Fetching};
use crate::stir::CertificateHost;
use crate::stir::testing::Authority;

/// How a server answers.
#[derive(Clone)]
enum Manner {
    /// These bytes, then the end.
    Says(Vec<u8>),
    /// A head, then bytes for ever.
    Endless,
    /// A head, then a byte each tenth of a second.
    Slow,
    /// Nothing.
    Silent,
    /// No TLS.
    Clear,
}

/// A CA, and one server under it on loopback whose certificate names `cert.example` and 127.0.0.1.
struct Server {
    address: SocketAddr,
    ca: PathBuf,
    requests: mpsc::Receiver<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.ca);
    }
}

impl Server {
    async fn start(name: &str, manner: Manner) -> Server {
        Server::showing("cert.example", name, manner).await
    }

    async fn showing(shown: &str, name: &str, manner: Manner) -> Server {
        let root = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = std::env::temp_dir().join(format!("fetcher-{}-{name}.pem", std::process::id()));
        std::fs::write(&ca, params.self_signed(&root).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, root);
        let mut params = CertificateParams::new(vec![shown.to_owned()]).unwrap();
        if shown == "cert.example" {
            let address = SanType::IpAddress([127, 0, 0, 1].into());
            params.subject_alt_names.push(address);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let config = ServerConfig::builder_with_provider(certificate::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, manner, sender) = (acceptor.clone(), manner.clone(), sender.clone());
                tokio::spawn(async move { serve(stream, acceptor, manner, sender).await });
            }
        });
        Server {
            address,
            ca,
            requests,
        }
    }

    /// Fetches from it under another name or address, which is listed.
    async fn asked_as(&self, host: &str, dns: &[(&str, [u8; 4])]) -> Result<FetchedChain, FetchFailure> {
        let mut config = Config::embedded(&[]);
        config.stir = Fetching {
            is_wanted: true,
            ca: Some(self.ca.clone()),
        };
        let dns = Dns {
            servers: vec![name_server(dns).await],
        };
        let fetcher = Fetcher::new(&config, Resolver::new(&dns)).unwrap();
        let host = format!("{host}:{}", self.address.port());
        let listed = CertificateHost::parse(&host).unwrap();
        let url = CertificateUrl::permitted(&format!("https://{host}/p.pem?a=1"), &[listed]).unwrap();
        fetcher.fetched(&url).await
    }

    async fn asked(&self) -> Result<FetchedChain, FetchFailure> {
        self.asked_as("127.0.0.1", &[]).await
    }
}

async fn serve(mut stream: TcpStream, acceptor: TlsAcceptor, manner: Manner, requests: mpsc::Sender<String>) {
    if matches!(manner, Manner::Clear) {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        return;
    }
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let mut request = [0; 2048];
    let length = stream.read(&mut request).await.unwrap_or(0);
    let _ = requests.try_send(String::from_utf8_lossy(&request[..length]).into_owned());
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n";
    match manner {
        Manner::Says(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Manner::Endless => {
            let _ = stream.write_all(head).await;
            while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
        }
        Manner::Slow => {
            let _ = stream.write_all(head).await;
            while stream.write_all(b"a").await.is_ok() && stream.flush().await.is_ok() {
                clock::after(Duration::from_millis(100)).await;
            }
        }
        Manner::Silent => clock::after(Duration::from_secs(30)).await,
        Manner::Clear => {}
    }
}

/// A name server that knows these addresses and no others.
async fn name_server(names: &[(&str, [u8; 4])]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let names: Vec<_> = names
        .iter()
        .map(|(name, address)| {
            let labels = name.split('.').flat_map(|label| {
                let length = u8::try_from(label.len()).unwrap();
                [&[length], label.as_bytes()].concat()
            });
            (labels.chain([0]).collect::<Vec<u8>>(), *address)
        })
        .collect();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let end = 12 + query[12..length].iter().position(|byte| *byte == 0).unwrap() + 1;
            let is_a = query[end..end + 2] == [0, 1];
            let known = names
                .iter()
                .filter(|(name, _)| is_a && query[12..end].eq_ignore_ascii_case(name));
            let known: Vec<_> = known.collect();
            let mut reply = query[..2].to_vec();
            reply.extend([0x84, 0, 0, 1, 0, u8::try_from(known.len()).unwrap(), 0, 0, 0, 0]);
            reply.extend(&query[12..end + 4]);
            for (_, address) in known {
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                reply.extend(address);
            }
            let _ = socket.send_to(&reply, from).await;
        }
    });
    address
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Manner {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    Manner::Says([head.as_bytes(), body].concat())
}

#[tokio::test]
async fn a_certificate_is_fetched_with_how_long_it_is_good_for() {
    let leaf = Authority::new().issue(None);
    let answer = answer(
        "200 OK",
        "Cache-Control: public, Max-Age=\"600\"\r\n",
        leaf.pem().as_bytes(),
    );
    let mut server = Server::start("good", answer).await;
    let fetched = server.asked().await.unwrap();
    assert_eq!(fetched.chain, Chain::read(leaf.pem().as_bytes()).unwrap());
    assert_eq!(fetched.max_age, Some(Duration::from_secs(600)));
    let request = server.requests.recv().await.unwrap();
    assert!(request.starts_with("GET /p.pem?a=1 HTTP/1.1\r\n"), "{request}");
    let host = format!("host: 127.0.0.1:{}\r\n", server.address.port());
    assert!(request.contains(&host), "{request}");
}

#[tokio::test]
async fn what_is_too_long_or_no_certificate_is_refused() {
    let leaf = Authority::new().issue(None).pem();
    let padded = |length: usize| [leaf.as_bytes(), &vec![b'\n'; length - leaf.len()]].concat();
    let longest = Server::start("longest", answer("200 OK", "", &padded(CERTIFICATE_BYTES_MAX))).await;
    assert!(longest.asked().await.is_ok(), "16 KiB are taken");
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n";
    for (name, manner, failure) in [
        (
            "long",
            answer("200 OK", "", &padded(CERTIFICATE_BYTES_MAX + 1)),
            FetchFailure::TooLong,
        ),
        ("b28-endless", Manner::Endless, FetchFailure::TooLong),
        (
            "b28-chunked",
            Manner::Says([chunked.as_slice(), &[b'a'; 20_000]].concat()),
            FetchFailure::TooLong,
        ),
        (
            "b28-head",
            Manner::Says([b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'a'; 200_000]].concat()),
            FetchFailure::Http,
        ),
        (
            "text",
            answer("200 OK", "", b"<html>"),
            FetchFailure::NoCertificate,
        ),
        ("nothing", answer("200 OK", "", b""), FetchFailure::NoCertificate),
        (
            "status",
            answer("404 Not Found", "", b""),
            FetchFailure::Status(404),
        ),
        (
            "b28-redirect",
            answer("302 Found", "Location: https://127.0.0.1/a\r\n", leaf.as_bytes()),
            FetchFailure::Status(302),
        ),
        (
            "nonsense",
            Manner::Says(b"220 smtp\r\n".to_vec()),
            FetchFailure::Http,
        ),
        (
            "short",
            Manner::Says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na".to_vec()),
            FetchFailure::Connection,
        ),
        ("b28-clear", Manner::Clear, FetchFailure::Tls(TlsFault::Handshake)),
    ] {
        let server = Server::start(name, manner).await;
        assert_eq!(server.asked().await, Err(failure), "{name}");
    }
}

#[tokio::test]
async fn b28_the_slow_are_left_after_two_seconds() {
    let (slow, silent) = tokio::join!(
        Server::start("slow", Manner::Slow),
        Server::start("silent", Manner::Silent)
    );
    let begun = clock::mono();
    let results = tokio::join!(slow.asked(), silent.asked());
    assert_eq!(results, (Err(FetchFailure::Timeout), Err(FetchFailure::Timeout)));
    let took = begun.elapsed();
    assert!((FETCH_WAIT..FETCH_WAIT * 3).contains(&took), "{took:?}");
}

#[tokio::test]
async fn b28_a_name_that_leads_inside_is_not_connected_to() {
    let leaf = Authority::new().issue(None);
    let mut server = Server::start("inside", answer("200 OK", "", leaf.pem().as_bytes())).await;
    for address in [[127, 0, 0, 1], [10, 0, 0, 1], [169, 254, 169, 254]] {
        let failed = server
            .asked_as("cert.example", &[("cert.example", address)])
            .await;
        assert_eq!(failed, Err(FetchFailure::AddressRefused), "{address:?}");
    }
    assert!(server.requests.try_recv().is_err(), "nobody came");
    let unknown = server.asked_as("cert.example", &[]).await;
    assert_eq!(unknown, Err(FetchFailure::Unresolved));
}

#[tokio::test]
async fn b28_another_ones_certificate_is_not_believed() {
    let leaf = Authority::new().issue(None);
    let good = answer("200 OK", "", leaf.pem().as_bytes());
    let refused = Err(FetchFailure::Tls(TlsFault::Certificate));
    let wrong_name = Server::showing("evil.example", "names-wrong", good.clone()).await;
    assert_eq!(wrong_name.asked().await, refused);
    let (server, another) = tokio::join!(
        Server::start("names", good.clone()),
        Server::start("names-another", good)
    );
    let wrong_ca = Server {
        address: server.address,
        ca: another.ca.clone(),
        requests: mpsc::channel(1).1,
    };
    assert_eq!(wrong_ca.asked().await, refused);
}

#[tokio::test]
async fn a_dead_address_leaves_time_for_the_next() {
    let (dead, listener) = tokio::join!(TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0"));
    let (dead, listener) = (dead.unwrap(), listener.unwrap());
    let addresses = [dead.local_addr().unwrap(), listener.local_addr().unwrap()];
    drop(dead);
    let stream = connect(&addresses).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
    assert_eq!(
        connect(&addresses[..1]).await.unwrap_err(),
        FetchFailure::Connection
    );
}

#[test]
fn cache_control_is_read() {
    let of = |text: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, text.parse().unwrap());
        max_age(&headers).map(|age| age.as_secs())
    };
    assert_eq!(of("public, max-age=60"), Some(60));
    assert_eq!(of("MAX-AGE=5"), Some(5));
    assert_eq!((of("no-store"), of("no-cache")), (Some(0), Some(0)));
    assert_eq!((of("max-age=x"), of("s-maxage=5"), of("")), (None, None, None));
    assert_eq!(max_age(&HeaderMap::new()), None);
}
