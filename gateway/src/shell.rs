//! The part that touches the world: sockets, threads, clocks, signals, files of prompts.

pub mod clock;
