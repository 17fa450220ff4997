//! What the router orders and is told: commands, events, replay, questions.
//!
//! | what | file |
//! |---|---|
//! | a request: allowed, seen before, run | `control.rs`, `replay.rs`, `commands.rs` |
//! | who controls a call | `controllers.rs` |
//! | events in one order, told to whom · resuming | `journal.rs`, `audience.rs` · `sessions.rs` |
//! | what is so now | `snapshot.rs` |
//! | figures asked of shards · told by and by | `questions.rs` · `stats_feed.rs` |
//! | why a call went as it did | `explaining.rs` |
//! | what needs a person | `alarms.rs` |

pub mod alarms;
pub mod audience;
pub mod commands;
pub mod control;
pub mod controllers;
pub mod explaining;
pub mod journal;
pub mod questions;
pub mod replay;
pub mod sessions;
pub mod snapshot;
pub mod stats_feed;
