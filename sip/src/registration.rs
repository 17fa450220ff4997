//! Registration (RFC 3261 §10), in both roles, as values.
//!
//! As a registrar, [`wish`] reads what a REGISTER asks for and [`Bindings`] holds the contacts of one
//! table's users. As a client, a [`Registration`] decides what is sent to which server, and when. Must not
//! know transactions, sockets, or how anyone proves who he is.

pub mod binding;
pub mod client;
pub mod wish;

pub use binding::{Bindings, Origin, RegisteredContact, USER_CONTACTS_MAX};
pub use client::{Answer, Registration, Step, Told};
pub use wish::{Refused, Wanted, Wish};
