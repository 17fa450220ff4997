//! A party of a call for demonstrations and tests of load: a real SIP user agent with a real RTP stream.
//!
//! ```text
//!   script ──► Phone ──orders──► task: Signalling (sip::Endpoint) · Mouth (a tone every 20 ms) · Ear (what came)
//!      ▲         ▲                  │ UDP: SIP, RTP
//!      └─────────┴── Status, Hearing ┘
//! ```
//! Each phone says its own tone without end and keeps what it hears with the time it came, so that a script
//! can ask afterwards who was heard when. One call at a time; a second caller is told busy. Knows nothing of
//! the gateway beyond what a telephone knows: an address to call.

mod config;
mod ear;
mod hearing;
mod mouth;
mod signalling;
mod status;
mod task;
pub mod voice;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

pub use config::{Behaviour, Config, HEARING_KEPT_DEFAULT};
pub use hearing::{Hearing, Span};
pub(crate) use signalling::{Agreed, audio, describe, invite, open_endpoint, word_on, word_on_change};
pub use status::{End, PhoneError, Stage, Status};
pub use voice::{Heard, Voice};

use crate::shell::clock;
use ear::Ear;
use task::{Order, Task};

/// Orders that wait for a phone's task.
const ORDERS_MAX: usize = 16;
/// Tries to find an even port with a free odd one above it.
const PORT_PAIR_TRIES_MAX: usize = 64;

/// A running phone. Dropping it ends its task without a word to the peer; hang up first.
#[derive(Debug)]
pub struct Phone {
    name: String,
    address: SocketAddr,
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<Status>,
    hearing: Arc<Mutex<Hearing>>,
}

impl Phone {
    /// Binds the sockets and starts the task on the current runtime.
    pub async fn start(config: Config) -> io::Result<Phone> {
        let signalling = UdpSocket::bind((config.address, config.sip_port)).await?;
        let address = signalling.local_addr()?;
        let (rtp, rtcp) = bind_pair(&config).await?;
        let hearing = Arc::new(Mutex::new(Hearing::new(config.hearing_kept)));
        let (orders, queue) = mpsc::channel(ORDERS_MAX);
        let (told, status) = watch::channel(Status::default());
        let name = config.name.clone();
        let ear = Ear::new(rtp)?;
        let task = Task::new(
            config,
            clock::seed()?,
            signalling,
            ear,
            Arc::clone(&hearing),
            told,
        )?;
        tokio::spawn(async move {
            // Held so that reports of the far side find an open port; nobody reads them.
            let _rtcp = rtcp;
            task.run(queue).await;
        });
        Ok(Phone {
            name,
            address,
            orders,
            status,
            hearing,
        })
    }

    /// Calls `user` at a SIP host.
    pub async fn call(&self, user: &str, host: SocketAddr) -> Result<(), PhoneError> {
        let user = user.to_owned();
        self.order(Order::Call { user, host }).await
    }

    /// Sends digits as telephone-events, 100 ms each.
    pub async fn send_dtmf(&self, digits: &str) -> Result<(), PhoneError> {
        self.order(Order::Digits(digits.to_owned())).await
    }

    /// Ends the call, whatever its stage: BYE, CANCEL or a refusal.
    pub async fn hang_up(&self) -> Result<(), PhoneError> {
        self.order(Order::HangUp).await
    }

    /// Waits until the call rings, here or at the far side.
    pub async fn wait_ringing(&self, limit: Duration) -> Result<(), PhoneError> {
        self.wait(limit, |status| {
            matches!(status.stage, Stage::Ringing | Stage::Up { .. })
        })
        .await
    }

    /// Waits until the call is answered.
    pub async fn wait_answered(&self, limit: Duration) -> Result<(), PhoneError> {
        self.wait(limit, |status| matches!(status.stage, Stage::Up { .. }))
            .await
    }

    /// Waits until there is no call.
    pub async fn wait_ended(&self, limit: Duration) -> Result<End, PhoneError> {
        let mut status = self.status.clone();
        let is_over = |status: &Status| matches!(status.stage, Stage::Idle);
        let waited = tokio::time::timeout(limit, status.wait_for(is_over)).await;
        match waited {
            Ok(Ok(status)) => status.last_end.ok_or(PhoneError::Idle),
            Ok(Err(_)) => Err(PhoneError::Gone),
            Err(_) => Err(PhoneError::TooLate),
        }
    }

    /// How the current call stands, and what became of the last one.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Which of `voices` sounded in a span, and how loud.
    pub fn hears(&self, span: Span, voices: &[Voice]) -> Vec<Heard> {
        let samples = self.hearing().samples(span);
        voices
            .iter()
            .map(|voice| voice::listen(&samples, voice))
            .collect()
    }

    /// The longest time without sound in a span.
    pub fn gap_max(&self, span: Span) -> Duration {
        self.hearing().gap_max(span)
    }

    /// All it heard of late.
    pub fn hearing(&self) -> MutexGuard<'_, Hearing> {
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its SIP is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its SIP URI.
    pub fn uri(&self) -> String {
        format!("sip:{}@{}", self.name, self.address)
    }

    async fn order(&self, order: Order) -> Result<(), PhoneError> {
        self.orders.send(order).await.map_err(|_| PhoneError::Gone)
    }

    /// Waits for a stage of the current call; its end is an error.
    async fn wait(&self, limit: Duration, is_there: impl Fn(&Status) -> bool) -> Result<(), PhoneError> {
        let mut status = self.status.clone();
        let ends_before = status.borrow().ends;
        let is_idle_after = |status: &Status| status.ends > ends_before && status.stage == Stage::Idle;
        let waited = status.wait_for(|status| is_there(status) || is_idle_after(status));
        match tokio::time::timeout(limit, waited).await {
            Ok(Ok(status)) if is_there(&status) => Ok(()),
            Ok(Ok(status)) => Err(status.last_end.map_or(PhoneError::Idle, PhoneError::Ended)),
            Ok(Err(_)) => Err(PhoneError::Gone),
            Err(_) => Err(PhoneError::TooLate),
        }
    }
}

impl Span {
    /// The last stretch of that length before `end`.
    pub fn before(end: Instant, length: Duration) -> Span {
        Span {
            from: end.checked_sub(length).unwrap_or(end),
            to: end,
        }
    }
}

/// An even port for RTP and the odd one above it for RTCP (RFC 3550 §11).
async fn bind_pair(config: &Config) -> io::Result<(UdpSocket, UdpSocket)> {
    let mut odd = Vec::new();
    for _ in 0..PORT_PAIR_TRIES_MAX {
        let rtp = UdpSocket::bind((config.address, 0)).await?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 1 {
            // Kept for the time being, so that the kernel does not offer it again.
            odd.push(rtp);
        } else if let Ok(rtcp) = UdpSocket::bind((config.address, port + 1)).await {
            return Ok((rtp, rtcp));
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free pair of ports"))
}

#[cfg(test)]
mod tests;
