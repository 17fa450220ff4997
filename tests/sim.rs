//! Whole calls between a carrier, the gateway's core and shards, agents and a router, in virtual time.

#[path = "sim/basics.rs"]
mod basics;
