//! From offer and answer to a stream: the one place where SDP meets the media plane.
//!
//! Pure functions over values. Knows nothing of calls, SIP messages or shards.

use std::net::SocketAddr;

use media::{SourceRule, StreamConfig};
use sip::sdp::{Direction, LocalMedia, Negotiated};

use crate::config::{AnswerCodecs, Codec, HoldDirection, MediaSource, Trunk};
use crate::control::protocol::CodecName;

/// What a leg's SDP agreed and what its shard was told of it.
#[derive(Clone, Debug, Default)]
pub struct MediaPlan {
    /// What was agreed last.
    pub agreed: Option<Negotiated>,
    /// What the shard was told last.
    pub told: Option<StreamConfig>,
}

/// Our side of an offer or answer on this trunk, at this port.
pub fn local_media(trunk: &Trunk, port: u16, sdp_id: u64, version: u64, held: bool) -> LocalMedia {
    let direction = match (held, trunk.hold) {
        (false, _) => Direction::SendReceive,
        (true, HoldDirection::Sendonly) => Direction::SendOnly,
        (true, HoldDirection::Inactive) => Direction::Inactive,
    };
    LocalMedia {
        codecs: trunk.codecs.iter().copied().map(sdp_codec).collect(),
        ptime_ms: trunk.ptime_ms,
        direction,
        version,
        answer_one: trunk.answer_codecs == AnswerCodecs::One,
        ..LocalMedia::new(trunk.media_advertise, port, sdp_id)
    }
}

/// Whether the peer's media address is one this trunk may use.
pub fn is_allowed(trunk: &Trunk, negotiated: &Negotiated) -> bool {
    let allowed = |remote: SocketAddr| trunk.allows_media(remote.ip());
    negotiated.remote.is_none_or(allowed) && negotiated.remote_rtcp.is_none_or(allowed)
}

/// What the shard is told. `answered` is false while only early media may pass: it is heard, but
/// nothing of ours goes out.
pub fn stream_config(trunk: &Trunk, negotiated: &Negotiated, answered: bool) -> StreamConfig {
    StreamConfig {
        codec: media_codec(negotiated.codec),
        payload_type: negotiated.payload_type,
        accepts: negotiated
            .accepts
            .iter()
            .map(|(pt, codec)| (*pt, media_codec(*codec)))
            .collect(),
        event_payload_type: negotiated.event_payload_type,
        ptime_ms: negotiated.ptime_ms,
        remote: negotiated.remote,
        remote_rtcp: negotiated.remote_rtcp,
        source: match trunk.media_source {
            MediaSource::Strict => SourceRule::Strict,
            MediaSource::Nat => SourceRule::Nat(trunk.media_allow.clone()),
        },
        may_send: answered && negotiated.send,
        may_receive: negotiated.receive,
    }
}

/// Our codecs limited to those a dial named, in its order; all of them where none is left.
pub fn limited(ours: &mut LocalMedia, wanted: &[CodecName]) {
    let kept: Vec<_> = wanted
        .iter()
        .filter_map(|name| ours.codecs.iter().find(|codec| codec_name(**codec) == *name))
        .copied()
        .collect();
    if !kept.is_empty() {
        ours.codecs = kept;
    }
}

/// The codec's name towards clients.
pub fn codec_name(codec: sip::sdp::Codec) -> CodecName {
    match codec {
        sip::sdp::Codec::Pcmu => CodecName::Pcmu,
        sip::sdp::Codec::Pcma => CodecName::Pcma,
    }
}

fn sdp_codec(codec: Codec) -> sip::sdp::Codec {
    match codec {
        Codec::Pcmu => sip::sdp::Codec::Pcmu,
        Codec::Pcma => sip::sdp::Codec::Pcma,
    }
}

fn media_codec(codec: sip::sdp::Codec) -> media::Codec {
    match codec {
        sip::sdp::Codec::Pcmu => media::Codec::Pcmu,
        sip::sdp::Codec::Pcma => media::Codec::Pcma,
    }
}
