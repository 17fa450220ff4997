//! Certificates of signed callers, fetched over https: each order becomes one task with a time limit, each outcome one
//! input.
//!
//! A name is resolved once and the address that was judged is the one that is connected to. Nothing is followed, nothing
//! is kept. What may be asked for at all, and how often, is the core's business.

mod reach;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CACHE_CONTROL, HOST};
use hyper::{HeaderMap, Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::Resumption;
use sip::transport::name_cache::Answer;
use sip::transport::target::{Question, QuestionKind, Record};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::clock;
use super::resolver::Resolver;
use super::tls::TlsError;
use crate::certificate;
use crate::config::Config;
use crate::engine::io::{FetchFailure, FetchedChain, Input, TlsFault};
use crate::stir::{CERTIFICATE_BYTES_MAX, CertificateUrl, Chain, Place};
use reach::is_public;

/// How long a fetch may take, from the question to DNS to the last byte. docs/threats.md: B28.
pub const FETCH_WAIT: Duration = Duration::from_secs(2);
/// Addresses of one name that are tried, each for its share of [`FETCH_WAIT`].
const ADDRESSES_MAX: usize = 4;
/// Longest head of an answer, bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Fetches.
#[derive(Clone)]
pub struct Fetcher {
    resolver: Resolver,
    /// `None`: no trunk lists a host.
    tls: Option<TlsConnector>,
}

impl Fetcher {
    /// Believes the configured CAs, else those of the system.
    pub fn new(config: &Config, resolver: Resolver) -> Result<Fetcher, TlsError> {
        if !config.stir.is_wanted {
            return Ok(Fetcher { resolver, tls: None });
        }
        let roots = match &config.stir.ca {
            Some(ca) => certificate::roots(ca)?,
            None => certificate::system_roots(),
        };
        if roots.is_empty() {
            return Err(TlsError::NoFetchRoots);
        }
        let mut client = ClientConfig::builder_with_provider(certificate::provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        client.resumption = Resumption::disabled();
        let tls = Some(TlsConnector::from(Arc::new(client)));
        Ok(Fetcher { resolver, tls })
    }

    /// Fetches, and hands the outcome in.
    pub fn fetch(&self, url: CertificateUrl, inputs: mpsc::Sender<Input>) {
        let fetcher = self.clone();
        tokio::spawn(async move {
            let result = fetcher.fetched(&url).await;
            if let Err(failure) = &result {
                tracing::debug!(host = %url.host(), "no certificate was fetched: {failure}");
            }
            // Nobody wants it once the engine is gone.
            let _ = inputs.send(Input::Fetched { url, result }).await;
        });
    }

    async fn fetched(&self, url: &CertificateUrl) -> Result<FetchedChain, FetchFailure> {
        // What does not end in time is dropped where it stands: sockets, questions and all.
        tokio::select! {
            result = self.get(url) => result,
            () = clock::after(FETCH_WAIT) => Err(FetchFailure::Timeout),
        }
    }

    async fn get(&self, url: &CertificateUrl) -> Result<FetchedChain, FetchFailure> {
        let stream = connect(&self.addresses(url).await?).await?;
        let stream = self.secure(url, stream).await?;
        let mut connection = JoinSet::new();
        let response = ask(url, stream, &mut connection).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchFailure::Status(response.status().as_u16()));
        }
        let max_age = max_age(response.headers());
        let body = Limited::new(response.into_body(), CERTIFICATE_BYTES_MAX);
        let body = body.collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                FetchFailure::TooLong
            } else {
                FetchFailure::Connection
            }
        })?;
        let chain = Chain::read(&body.to_bytes()).map_err(|_| FetchFailure::NoCertificate)?;
        Ok(FetchedChain { chain, max_age })
    }

    /// Where a URL leads to. A listed address is the operator's own word; a name is whoever's who runs its zone.
    async fn addresses(&self, url: &CertificateUrl) -> Result<Vec<SocketAddr>, FetchFailure> {
        let (host, port) = (url.host(), url.host().port());
        let domain = match host.place() {
            Place::Address(address) => return Ok(vec![SocketAddr::new(*address, port)]),
            Place::Domain(domain) => domain,
        };
        let ask = |kind| {
            let question = Question {
                name: domain.clone(),
                kind,
            };
            async move { self.resolver.answer(&question).await }
        };
        let (v4, v6) = tokio::join!(ask(QuestionKind::A), ask(QuestionKind::Aaaa));
        let known: Vec<IpAddr> = addresses_in(v4).chain(addresses_in(v6)).collect();
        let public = known.iter().filter(|address| is_public(**address));
        let public: Vec<_> = public
            .take(ADDRESSES_MAX)
            .map(|address| SocketAddr::new(*address, port))
            .collect();
        match (known.is_empty(), public.is_empty()) {
            (true, _) => Err(FetchFailure::Unresolved),
            (false, true) => Err(FetchFailure::AddressRefused),
            (false, false) => Ok(public),
        }
    }

    async fn secure(
        &self,
        url: &CertificateUrl,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, FetchFailure> {
        let (Some(tls), Some(name)) = (&self.tls, url.host().server_name()) else {
            return Err(FetchFailure::Connection);
        };
        tls.connect(name, stream).await.map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            FetchFailure::Tls(match inner {
                Some(rustls::Error::InvalidCertificate(_)) => TlsFault::Certificate,
                Some(_) | None => TlsFault::Handshake,
            })
        })
    }
}

fn addresses_in(answer: Answer) -> impl Iterator<Item = IpAddr> {
    let records = match answer {
        Answer::Known { records, .. } => records,
        Answer::Failed => Vec::new(),
    };
    records.into_iter().filter_map(|record| match record {
        Record::Address(address) => Some(address),
        Record::Srv { .. } | Record::Naptr { .. } => None,
    })
}

/// The first that answers; a dead one costs its share of the time.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, FetchFailure> {
    let share = FETCH_WAIT / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    for address in addresses {
        let connected = tokio::select! {
            connected = TcpStream::connect(address) => connected.ok(),
            () = clock::after(share) => None,
        };
        if let Some(stream) = connected {
            return Ok(stream);
        }
    }
    Err(FetchFailure::Connection)
}

/// One GET; the connection lives in `connection` and ends with it.
async fn ask(
    url: &CertificateUrl,
    stream: TlsStream<TcpStream>,
    connection: &mut JoinSet<()>,
) -> Result<Response<Incoming>, FetchFailure> {
    let fault = |error: hyper::Error| {
        if error.is_parse() {
            FetchFailure::Http
        } else {
            FetchFailure::Connection
        }
    };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, driver) = builder
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(fault)?;
    connection.spawn(async move {
        // The exchange itself tells what went wrong.
        let _ = driver.await;
    });
    let request = Request::get(url.path())
        .header(HOST, url.host().to_string())
        .header(ACCEPT, "application/pem-certificate-chain, */*;q=0.1")
        .body(Empty::new())
        .map_err(|_| FetchFailure::Http)?;
    sender.send_request(request).await.map_err(fault)
}

/// How long an answer may be kept: `max-age`; not at all where the server says so (RFC 9111 §5.2.2).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(',').map(str::trim));
    directives.find_map(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(Duration::ZERO),
            "max-age" => value.trim_matches('"').parse().ok().map(Duration::from_secs),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests;
