//! The call centre's promises, a test for each: every one listens to the parties, or reads the books.
//!
//! Tests are named by the number of their promise:
//!
//! | promises | file |
//! |---|---|
//! | 8, 9: an offer is missed after 20 s, refused, withdrawn; the next agent gets the call | `offer.rs` |
//! | 10 to 15, 18: hold, resume, mute, end, the moment of the end, digits | `conversation.rs` |
//! | 19 to 25: consult, transfer, join, swap, drop, mute among three | `consult.rs` |
//! | 4: why a call went as it did; trunks switched off | `explained.rs` |
//! | 26 to 28: voice on a desk phone | `deskphone.rs` |
//! | 33, 34: where calls to a number go, and a map changed under load | `number_map.rs` |
//! | 35 to 46: menu, prompts, queue, caller at ring, whisper, a record for each call | `flow.rs` |
//! | 40, 53 to 55: numbers that may be shown and dialled | `numbers.rs` |
//! | legs of different codecs (flow T37) | `codecs.rs` |
//! | who calls, who sent the call on, and what of it crosses to the other leg | `callers.rs` |
//! | signed callers, theirs and ours; certificates that are fetched | `vouched.rs`, `fetched.rs` |
//! | emergency calls | `emergency.rs` |
//! | limits against toll fraud | `fraud.rs` |
//! | 48 to 50, 70 to 73: limits and counts | `limits.rs` |
//! | beside them: `trunk.list` and the metrics page say the same | `trunk_figures.rs` |
//! | 66: the record of a call | `books.rs` |
//! | beside them: what two readers of a promise might read differently | `edges.rs` |
//! | what is played to a bridge whose members come, go and are held | `playing.rs` |
//! | what a client asks and is told, to the letter | `protocol.rs` |
//! | how calls and forks pass from leg to leg | `passing.rs` |
//! | transfers, REFER, Replaces and 3xx (flows T19, T41, T42; threat B22) | `transfers.rs`, `referred.rs` |
//! | every button as its commands | `buttons.rs` |
//! | the same under bad weather and at every moment of a tick | `weather.rs` |

#[path = "mission/scene.rs"]
mod scene;

#[path = "mission/books.rs"]
mod books;
#[path = "mission/buttons.rs"]
mod buttons;
#[path = "mission/callers.rs"]
mod callers;
#[path = "mission/codecs.rs"]
mod codecs;
#[path = "mission/consult.rs"]
mod consult;
#[path = "mission/conversation.rs"]
mod conversation;
#[path = "mission/deskphone.rs"]
mod deskphone;
#[path = "mission/edges.rs"]
mod edges;
#[path = "mission/emergency.rs"]
mod emergency;
#[path = "mission/explained.rs"]
mod explained;
#[path = "mission/fetched.rs"]
mod fetched;
#[path = "mission/flow.rs"]
mod flow;
#[path = "mission/fraud.rs"]
mod fraud;
#[path = "mission/limits.rs"]
mod limits;
#[path = "mission/number_map.rs"]
mod number_map;
#[path = "mission/numbers.rs"]
mod numbers;
#[path = "mission/offer.rs"]
mod offer;
#[path = "mission/passing.rs"]
mod passing;
#[path = "mission/playing.rs"]
mod playing;
#[path = "mission/protocol.rs"]
mod protocol;
#[path = "mission/referred.rs"]
mod referred;
#[path = "mission/transfers.rs"]
mod transfers;
#[path = "mission/trunk_figures.rs"]
mod trunk_figures;
#[path = "mission/vouched.rs"]
mod vouched;
#[path = "mission/weather.rs"]
mod weather;
