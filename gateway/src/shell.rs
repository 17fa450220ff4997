//! The part that touches the world: sockets, threads, clocks, signals, files of prompts.

pub mod addresses;
pub mod clock;
pub mod fetcher;
pub mod gateway;
pub mod lock;
pub mod losses;
pub mod outside;
pub mod prompts;
pub mod reload;
pub mod resolver;
pub mod route;
pub mod run;
pub mod serve;
pub mod shards;
pub mod tcp;
pub mod tls;
pub mod udp;

pub use addresses::own_addresses;
pub use serve::{Served, serve};
