//! One test for each attack of docs/threats.md, named by its number: what happened to others must
//! not happen here. Each is kept for ever.
//!
//! In virtual time where that is enough (`rig` for signalling, `scene` for audio), against the running program where
//! a row is about sockets (`wire`, `wire_https`).

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
#[path = "advisories/hijack.rs"]
mod hijack;
#[path = "advisories/inside.rs"]
mod inside;
#[path = "advisories/length.rs"]
mod length;
#[path = "advisories/overload.rs"]
mod overload;
#[path = "advisories/packets.rs"]
mod packets;
#[path = "advisories/resources.rs"]
mod resources;
#[path = "advisories/rig.rs"]
mod rig;
#[path = "advisories/scene.rs"]
mod scene;
#[path = "advisories/sdp.rs"]
mod sdp;
#[path = "advisories/secure_media.rs"]
mod secure_media;
#[path = "advisories/strangers.rs"]
mod strangers;
#[path = "advisories/torture.rs"]
mod torture;
#[path = "advisories/wire.rs"]
mod wire;
#[path = "advisories/wire_https.rs"]
mod wire_https;
