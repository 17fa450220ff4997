//! The call centre's promises, a test for each: every one listens to the parties, or reads the books.
//!
//! The number in a test's name is the promise's number in docs/mission.md.

#[path = "mission/scene.rs"]
mod scene;

#[path = "mission/books.rs"]
mod books;
#[path = "mission/buttons.rs"]
mod buttons;
#[path = "mission/consult.rs"]
mod consult;
#[path = "mission/conversation.rs"]
mod conversation;
#[path = "mission/deskphone.rs"]
mod deskphone;
#[path = "mission/flow.rs"]
mod flow;
#[path = "mission/limits.rs"]
mod limits;
#[path = "mission/numbers.rs"]
mod numbers;
#[path = "mission/offer.rs"]
mod offer;
