//! A town in virtual time: the gateway's core, its media shards, phones and a router, joined by a seeded
//! network. Nothing sleeps; a day of calls takes seconds, and one seed replays it bit by bit.

mod party;
mod post;
mod router;
mod sdes;
mod town;

pub use party::{Answer, Party, PartyEvent, Voice};
pub use post::Weather;
pub use router::Router;
pub use sdes::{Ask, Sdes};
pub use town::{CARRIER, Town};
