//! Whole calls between a carrier, the gateway's core and shards, agents and a router, in virtual time.

#[path = "sim/basics.rs"]
mod basics;
#[path = "sim/commands.rs"]
mod commands;
#[path = "sim/extensions.rs"]
mod extensions;
#[path = "sim/goodbye.rs"]
mod goodbye;
#[path = "sim/inband.rs"]
mod inband;
#[path = "sim/info.rs"]
mod info;
#[path = "sim/leaks.rs"]
mod leaks;
#[path = "sim/order.rs"]
mod order;
#[path = "sim/overdue.rs"]
mod overdue;
#[path = "sim/peers.rs"]
mod peers;
#[path = "sim/quality.rs"]
mod quality;
#[path = "sim/registration.rs"]
mod registration;
#[path = "sim/resume.rs"]
mod resume;
#[path = "sim/secure.rs"]
mod secure;
#[path = "sim/shards.rs"]
mod shards;
#[path = "sim/storm.rs"]
mod storm;
#[path = "sim/talk.rs"]
mod talk;
#[path = "sim/traces.rs"]
mod traces;
