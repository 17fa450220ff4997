//! The real `media-gateway` process on loopback, among real peers.
//!
//! Starts programs, listens to what is on the wire, and drives the gateway over its control socket. Nothing
//! here decides what is right; the tests do.

mod binary;
mod caller;
mod capture;
mod certificates;
mod clock;
mod cpu;
mod dns;
mod ear;
mod folder;
mod gateway;
mod https;
mod kamailio;
mod phone;
mod ports;
mod process;
mod router;
mod shim;
mod sipp;
mod site;
mod stalls;

pub use binary::{gateway as gateway_program, peer};
pub use caller::SecureCaller;
pub use capture::Capture;
pub use certificates::{Authority, GATEWAY_NAME, Identity};
pub use clock::{now_us, until};
pub use cpu::pin;
pub use dns::{Dns, Entry};
pub use ear::{Ear, Packet};
pub use folder::Folder;
pub use gateway::{Gateway, Secured, Settings};
pub use https::{Https, Manner};
pub use kamailio::Kamailio;
pub use phone::{Encryption, Phone};
pub use ports::{free_port, media_block};
pub use router::{Heard, Router};
pub use shim::{Shim, dial};
pub use sipp::{Finished, Law, Running, Sipp, Transport};
pub use site::Site;
pub use stalls::Stalls;

/// Where the carrier's signalling and media come from.
pub const CARRIER: &str = "127.0.0.11";
/// Where the agents' do.
pub const AGENTS: &str = "127.0.0.12";
/// The number that the gateway answers to.
pub const OUR_NUMBER: &str = "+4930123456";
/// The hold music of every gateway started here: a steady tone, so that a gap in it can be seen.
pub const MUSIC_HZ: f64 = 600.0;
/// What the carrier's side says.
pub const CALLER_HZ: f64 = 1_000.0;
/// What an agent says.
pub const AGENT_HZ: f64 = 1_400.0;
