//! Handshakes over loopback with certificates made for the test: whom we take, whom we refuse, both ways.

mod accepting;
mod dialling;
mod peer;
mod renewing;

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use sip::endpoint::{Flow, Transport as SipTransport};
use tokio::sync::mpsc;

use super::*;
use crate::engine::io::Input;
use crate::observe::testing::Scratch;
use crate::shell::losses::Losses;
use crate::shell::tcp::{self, TcpStreams};
use peer::Authority;

const PATIENCE: Duration = Duration::from_secs(20);

/// The shell's side of TLS without an engine: what it would be told is looked at.
struct House {
    dir: Scratch,
    authority: Authority,
    tls: Tls,
    streams: TcpStreams,
    local: SocketAddr,
    inputs: mpsc::Receiver<Input>,
}

/// With what `[sip.tls]` says beside its certificate, and what the one trunk says beside its `allow`.
fn house(listener: &str, trunk: &str) -> House {
    let dir = Scratch::new("tls");
    let authority = Authority::new("ours");
    authority.write(dir.path(), "ca.pem");
    authority.issue(&["gw.example.com"]).write(dir.path(), "gw");
    let file = dir.path().join("gateway.toml");
    let text = format!(
        "[sip]\nlisten = [\"tls://127.0.0.1:0\"]\n[sip.tls]\ncert = \"gw.pem\"\nkey = \"gw.key\"\n{listener}\n\
         [[trunk]]\nname = \"t\"\nallow = [\"127.0.0.0/8\"]\n{trunk}\n"
    );
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&file, None).unwrap();
    let tls = Tls::new(&config).unwrap();
    let (sender, inputs) = mpsc::channel(4_096);
    let streams = TcpStreams::new(sender, Arc::new(Losses::default()), tls.clone());
    let listener = tcp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let local = listener.local_addr().unwrap();
    streams.listen(listener, SipTransport::Tls).unwrap();
    House {
        dir,
        authority,
        tls,
        streams,
        local,
        inputs,
    }
}

impl House {
    fn dir(&self) -> &Path {
        self.dir.path()
    }

    async fn input(&mut self) -> Input {
        timeout(PATIENCE, self.inputs.recv()).await.unwrap().unwrap()
    }

    /// The next connection that opens, and what its peer has shown.
    async fn opened(&mut self) -> (Flow, TlsPeer) {
        match self.input().await {
            Input::Connected { flow, peer } => (flow, peer.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// The next connection is one that does not open, for this reason only.
    async fn refused(&mut self, why: &str) {
        let input = self.input().await;
        assert!(matches!(input, Input::Disconnected { .. }), "{why}: {input:?}");
        assert_eq!(
            self.tls.numbers().refused.keys().copied().collect::<Vec<_>>(),
            [why]
        );
        assert_eq!(self.streams.count(), 0, "{why}");
    }

    fn to(&self, remote: SocketAddr) -> Flow {
        Flow {
            transport: SipTransport::Tls,
            local: self.local,
            remote,
        }
    }

    /// What is said on a connection arrives, both ways.
    async fn talk(&mut self, flow: Flow, peer: &mut peer::Stream) {
        peer.say(b"in").await;
        let input = self.input().await;
        assert!(
            matches!(&input, Input::StreamData { bytes, .. } if &bytes[..] == b"in"),
            "{input:?}"
        );
        self.streams.send(&flow, Bytes::from_static(b"out")).unwrap();
        assert_eq!(peer.hear(3).await, b"out");
    }
}
