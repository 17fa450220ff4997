//! The call centre's promises, a test for each: every one listens to the parties, or reads the books.
//!
//! The number in a test's name is the promise's number in docs/mission.md.

#[path = "mission/scene.rs"]
mod scene;

#[path = "mission/consult.rs"]
mod consult;
#[path = "mission/conversation.rs"]
mod conversation;
#[path = "mission/offer.rs"]
mod offer;
