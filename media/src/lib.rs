//! The RTP media plane: pure pieces (RTP, jitter, codecs, mixing, tones, recording) and the shards that
//! run them on pinned threads. Knows nothing of SIP, SDP text, calls or files.

pub mod codec;
pub mod command;
pub mod conceal;
pub mod dtmf;
pub mod event;
pub mod frame;
pub mod gain;
pub mod jitter;
pub mod mixer;
pub mod packet;
pub mod player;
pub mod recorder;
pub mod rtp;
pub mod shard;
pub mod sound;
pub mod srtp;
pub mod stream;
pub mod tone;

pub use command::*;
pub use event::{Event, PlayEnd};
