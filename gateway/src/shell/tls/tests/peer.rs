//! The far side of a handshake, and the authorities that sign for it.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::certificate::provider;

/// A CA.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
pub struct Issued {
    cert: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer }
    }

    pub fn issue(&self, names: &[&str]) -> Issued {
        self.sign(params(names))
    }

    /// One whose time was over in 2020.
    pub fn issue_expired(&self, names: &[&str]) -> Issued {
        let mut params = params(names);
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    /// One for that usage only.
    pub fn issue_for(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Issued {
        let mut params = params(names);
        params.extended_key_usages = vec![usage];
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Issued { cert, key }
    }

    pub fn write(&self, dir: &Path, file: &str) {
        std::fs::write(dir.join(file), self.issuer.pem()).unwrap();
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }
}

impl Issued {
    pub fn self_signed(names: &[&str]) -> Issued {
        let key = KeyPair::generate().unwrap();
        let cert = params(names).self_signed(&key).unwrap();
        Issued { cert, key }
    }

    /// As `NAME.pem` and `NAME.key`.
    pub fn write(&self, dir: &Path, name: &str) {
        std::fs::write(dir.join(format!("{name}.pem")), self.cert.pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), self.key.serialize_pem()).unwrap();
    }

    fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        (vec![self.cert.der().clone()], key)
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names.iter().map(|name| san(name)).collect();
    params
}

fn san(name: &str) -> SanType {
    match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) if name.starts_with("sip:") => SanType::URI(name.try_into().unwrap()),
        Err(_) => SanType::DnsName(name.try_into().unwrap()),
    }
}

/// A peer that connects, believing `authority`, with a certificate or without.
pub async fn connect(
    to: SocketAddr,
    authority: &Authority,
    shows: Option<&Issued>,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<Stream> {
    let stream = TcpStream::connect(to).await?;
    shake(stream, authority, shows, version).await
}

/// The same on a connection of any kind.
pub async fn shake(
    stream: impl Wire + 'static,
    authority: &Authority,
    shows: Option<&Issued>,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<Stream> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(authority.roots());
    let config = match shows.map(Issued::parts) {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from("gw.example.com").unwrap();
    let stream: Box<dyn Wire> = Box::new(stream);
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Stream(TlsStream::Client(stream)))
}

/// A peer that is dialled.
pub struct Callee {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Callee {
    /// Shows this; where `asks` is set the other side must show a certificate of that authority.
    pub async fn new(
        shows: &Issued,
        asks: Option<&Authority>,
        version: &'static SupportedProtocolVersion,
    ) -> Callee {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap();
        let builder = match asks {
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = shows.parts();
        let config = builder.with_single_cert(chain, key).unwrap();
        Callee {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub async fn accept(&self) -> std::io::Result<Stream> {
        let (stream, _) = self.listener.accept().await?;
        let stream: Box<dyn Wire> = Box::new(stream);
        Ok(Stream(TlsStream::Server(self.acceptor.accept(stream).await?)))
    }
}

/// What TLS runs over.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// The peer's end.
pub struct Stream(TlsStream<Box<dyn Wire>>);

impl Stream {
    pub async fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    pub async fn hear(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// The certificates of the other side.
    pub fn shown(&self) -> Vec<CertificateDer<'static>> {
        self.0
            .get_ref()
            .1
            .peer_certificates()
            .unwrap_or_default()
            .to_vec()
    }

    pub fn has_shown(&self, issued: &Issued) -> bool {
        self.shown().first() == Some(issued.cert.der())
    }
}

/// Writes one byte at a time.
pub struct Dribble(pub TcpStream);

impl AsyncRead for Dribble {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Dribble {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &buf[..buf.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
