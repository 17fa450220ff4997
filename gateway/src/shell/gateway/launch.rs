//! Opens and spawns everything of a gateway, in order; runs inside its runtime.
//!
//! Whatever was begun when a step fails ends with what is dropped on the way out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::StartError;
use super::listeners::{self, Bound};
use crate::config::{Config, Listen, Transport};
use crate::control::connection::Connections;
use crate::control::unix::ControlSocket;
use crate::core::Core;
use crate::engine::Setup;
use crate::engine::io::Input;
use crate::observe::health::{self, OBSERVE_REQUESTS_MAX, ObserveRequest, Readiness};
use crate::observe::metrics::ShardMetrics;
use crate::observe::record_writer::RecordWriter;
use crate::observe::recordings::{self, Recordings};
use crate::observe::traces::Traces;
use crate::shell::clock;
use crate::shell::fetcher::Fetcher;
use crate::shell::losses::Losses;
use crate::shell::outside::Outside;
use crate::shell::prompts::{self, Folder, Music, Watch};
use crate::shell::resolver::Resolver;
use crate::shell::run::{EngineTask, Lanes, queues};
use crate::shell::shards::Shards;
use crate::shell::tcp::TcpStreams;
use crate::shell::tls::Tls;
use crate::shell::udp::UdpSockets;

/// What was started.
pub struct Started {
    /// The way to the engine.
    pub lanes: Lanes,
    /// Control clients.
    pub connections: Connections,
    /// Where they knock.
    pub control_socket: PathBuf,
    /// SIP listeners as bound.
    pub listeners: Vec<Listen>,
    /// HTTP as bound.
    pub http: Option<SocketAddr>,
    /// Counts drains that came to their end.
    pub drained: watch::Receiver<u64>,
    /// Ends the engine task.
    pub stop: oneshot::Sender<()>,
    /// The engine task.
    pub engine: JoinHandle<(Core, Outside)>,
    /// The control socket's task and the HTTP listener's.
    pub services: Vec<JoinHandle<()>>,
    /// The prompts thread.
    pub prompts: Watch,
}

/// Starts it all.
pub fn launch(bound: Bound, setup: Setup, seed: [u8; 32], music: Music) -> Result<Started, StartError> {
    let (lanes, queues) = queues();
    let losses = Arc::new(Losses::default());
    let config = &bound.config;
    let (shards, blocks) = Shards::spawn(&config.media, seed, &lanes.wake, Arc::clone(&losses))?;
    let no_state = |source| StartError::state(config, source);
    let records = RecordWriter::spawn(&config.state_dir).map_err(no_state)?;
    let traces = Traces::spawn(&config.state_dir, lanes.work.clone()).map_err(no_state)?;
    let blocks = blocks.into_iter().map(|reader| Box::new(reader) as _);
    let recordings = Recordings::spawn(recordings::Setup {
        dir: config.recordings.dir.clone(),
        blocks: blocks.collect(),
        report: lanes.work.clone(),
    })
    .map_err(|source| StartError::recordings(config, source))?;
    let Bound {
        config,
        udp,
        tcp,
        tls,
        endpoint,
        listeners,
    } = bound;
    let (drained_sender, drained) = watch::channel(0);
    let (resolver, connections) = (Resolver::new(&config.dns), Connections::new(lanes.work.clone()));
    let outside = Outside {
        udp: udp_sockets(udp, &lanes, &losses)?,
        tcp: tcp_streams(tcp, &lanes, &losses, tls)?,
        shard_metrics: vec![ShardMetrics::default(); config.media.shards],
        shards,
        control: connections.clone(),
        recordings,
        traces,
        records,
        fetcher: Fetcher::new(&config, resolver.clone())?,
        resolver,
        answers: lanes.work.clone(),
        losses: Arc::clone(&losses),
        echoes: VecDeque::from([Input::Music(music)]),
        events_left: false,
        drained: drained_sender,
        readiness: Readiness::Ready,
    };
    let (questions, asked) = mpsc::channel(OBSERVE_REQUESTS_MAX);
    let clients = open_to_clients(&config, &connections, questions, setup.schema.as_str().into())?;
    let core = Core::new(Arc::new(setup), endpoint, seed, clock::now());
    let (stop, stopped) = oneshot::channel();
    let engine = tokio::spawn(EngineTask::new(core, outside, queues, asked, losses).run(stopped));
    lanes.wake.notify_one(); // What waits already, such as the music, is taken at once.
    let folder = Folder::new(config.prompts.dir.clone(), config.prompts.max);
    let prompts = prompts::watch(folder, lanes.work.clone()).map_err(StartError::Threads)?;
    Ok(Started {
        lanes,
        connections,
        control_socket: clients.socket,
        listeners,
        http: clients.http,
        drained,
        stop,
        engine,
        services: clients.services,
        prompts,
    })
}

fn udp_sockets(
    sockets: Vec<std::net::UdpSocket>,
    lanes: &Lanes,
    losses: &Arc<Losses>,
) -> Result<UdpSockets, StartError> {
    let mut all = UdpSockets::default();
    for socket in sockets {
        all.add(socket, lanes.signalling.clone(), Arc::clone(losses))
            .map_err(StartError::Threads)?;
    }
    Ok(all)
}

fn tcp_streams(
    listeners: Vec<(std::net::TcpListener, Transport)>,
    lanes: &Lanes,
    losses: &Arc<Losses>,
    tls: Tls,
) -> Result<TcpStreams, StartError> {
    tokio::spawn(tls.clone().keep_looking());
    let streams = TcpStreams::new(lanes.signalling.clone(), Arc::clone(losses), tls);
    for (listener, transport) in listeners {
        streams.listen(listener, transport).map_err(StartError::Threads)?;
    }
    Ok(streams)
}

/// What clients and probes connect to.
struct Clients {
    socket: PathBuf,
    http: Option<SocketAddr>,
    services: Vec<JoinHandle<()>>,
}

/// Opens the control socket, then HTTP.
fn open_to_clients(
    config: &Config,
    connections: &Connections,
    questions: mpsc::Sender<ObserveRequest>,
    schema: Arc<str>,
) -> Result<Clients, StartError> {
    let socket = ControlSocket::bind(&config.control.unix, &config.control.uids).map_err(|source| {
        StartError::Control {
            path: config.control.unix.clone(),
            source,
        }
    })?;
    let http = listeners::bind_http(config.http)?;
    let path = socket.path().to_owned();
    let address = http.as_ref().and_then(|listener| listener.local_addr().ok());
    let connections = connections.clone();
    let mut services = vec![tokio::spawn(async move { socket.run(&connections).await })];
    if let Some(listener) = http {
        services.push(tokio::spawn(async move {
            let served = health::serve(listener, questions, schema, std::future::pending()).await;
            if let Err(error) = served {
                tracing::error!(%error, "HTTP is no longer served");
            }
        }));
    }
    Ok(Clients {
        socket: path,
        http: address,
        services,
    })
}
