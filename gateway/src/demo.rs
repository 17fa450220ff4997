//! `media-gateway demo`: a whole contact-centre call in one process, and proof of who heard whom.
//!
//! ```text
//!   customer 127.0.0.2 ──SIP, RTP──►┌─────────┐◄──SIP, RTP── agents 127.0.0.3
//!                                   │ gateway │
//!                 story ──Router──► └─────────┘  control socket
//! ```
//! The gateway is the real one, with a state folder and ports of its own; the parties are [`crate::phone`]s
//! that each say a tone. The story drives the call over the control socket, listens at every phone in every
//! phase, and the tables show what was heard against what was intended. Knows nothing of the gateway's inside.

mod cast;
mod error;
mod ledger;
mod recording;
mod router;
mod softphone;
mod stage;
mod story;
mod table;
mod timeline;
mod waveform;

use std::io::Write;
use std::path::PathBuf;

use tokio::runtime::Builder;

pub use error::DemoError;

use ledger::Ledger;
use router::Router;
use stage::Stage;
use timeline::Timeline;

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the recording, the call record, the picture and the gateway's state go; made if missing.
    pub out: PathBuf,
    /// Leave at once instead of waiting for calls of a softphone.
    pub exit: bool,
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everybody heard whom they should, and nobody else.
    AsIntended,
    /// So many things were not as intended.
    Crosses(usize),
}

/// Runs the demonstration, telling on `out` what happens.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<Verdict, DemoError> {
    // The gateway has a runtime of its own; this one is the phones'.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|source| DemoError::io("the runtime", source))?;
    let mut timeline = Timeline::new(out);
    timeline.heading("A call through the gateway");
    let stage = Stage::build(options, &runtime, &mut timeline)?;
    let played = runtime.block_on(play(&stage, options, &mut timeline));
    let stopped = runtime.block_on(stage.gateway.shutdown());
    let verdict = played?;
    if !stopped {
        return Err(DemoError::NotStopped);
    }
    Ok(verdict)
}

async fn play(stage: &Stage, options: &Options, timeline: &mut Timeline<'_>) -> Result<Verdict, DemoError> {
    let mut router = Router::connect(stage.gateway.control_socket()).await?;
    let told = story::tell(stage, &mut router, timeline).await?;
    let ledger = Ledger::new(told, &options.out)?;
    ledger.print(timeline);
    let uri = format!("sip:{}@{}", cast::SERVICE_NUMBER, stage.sip);
    if options.exit {
        timeline.plain(&format!(
            "Without --exit the gateway stays up for a softphone at {uri}"
        ));
    } else {
        softphone::welcome(&uri, &mut router, timeline).await?;
    }
    Ok(match ledger.crosses() {
        0 => Verdict::AsIntended,
        crosses => Verdict::Crosses(crosses),
    })
}
