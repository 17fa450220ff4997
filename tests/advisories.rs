//! One test for each attack on signalling of docs/threats.md, named by its number: what happened to others must
//! not happen here. Each is kept for ever.
//!
//! In virtual time where that is enough (`rig`), against the running program where a row is about sockets (`wire`, `wire_https`).

#[path = "advisories/credentials.rs"]
mod credentials;
#[path = "advisories/disorder.rs"]
mod disorder;
#[path = "advisories/fetching.rs"]
mod fetching;
#[path = "advisories/flood.rs"]
mod flood;
#[path = "advisories/fraud.rs"]
mod fraud;
#[path = "advisories/grammar.rs"]
mod grammar;
#[path = "advisories/inside.rs"]
mod inside;
#[path = "advisories/length.rs"]
mod length;
#[path = "advisories/rig.rs"]
mod rig;
#[path = "advisories/sdp.rs"]
mod sdp;
#[path = "advisories/strangers.rs"]
mod strangers;
#[path = "advisories/torture.rs"]
mod torture;
#[path = "advisories/wire.rs"]
mod wire;
#[path = "advisories/wire_https.rs"]
mod wire_https;
