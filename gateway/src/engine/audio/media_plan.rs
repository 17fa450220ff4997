//! From offer and answer to a stream: the one place where SDP meets the media plane.
//!
//! Pure functions over values. Knows nothing of calls, SIP messages or shards.

use std::net::SocketAddr;

use media::{DigitForm, SourceRule, StreamConfig};
use sip::rng::Rng;
use sip::sdp::{AgreedCrypto, Crypto, Direction, LocalMedia, Negotiated, Profile, Security};

use crate::config::{AnswerCodecs, Codec, DtmfMethod, HoldDirection, MediaSource, Srtp, SrtpOffer, Trunk};
use crate::control::protocol::CodecName;
use crate::media_keys::srtp_keys;

/// What a leg's SDP agreed and what its shard was told of it.
#[derive(Clone, Debug, Default)]
pub struct MediaPlan {
    /// What was agreed last.
    pub agreed: Option<Negotiated>,
    /// What the shard was told last.
    pub told: Option<StreamConfig>,
}

impl MediaPlan {
    /// Whether the media is encrypted.
    pub fn is_secure(&self) -> bool {
        self.crypto().is_some()
    }

    fn crypto(&self) -> Option<&AgreedCrypto> {
        self.agreed.as_ref()?.crypto.as_ref()
    }

    /// Whether an agreement does not take back what an earlier one of this leg gave: once secure, never
    /// clear again (docs/threats.md A5).
    pub fn may_become(&self, negotiated: &Negotiated) -> bool {
        negotiated.crypto.is_some() || !self.is_secure()
    }

    /// What our next offer says of encryption: the suite and key in use go on, a first offer has fresh keys.
    pub fn security_of_offer(&self, trunk: &Trunk, rng: &mut Rng) -> Security {
        match self.crypto() {
            Some(agreed) => Security::Required(Crypto::agreed(agreed)),
            None => first_security(trunk, rng),
        }
    }

    /// What our answer may say of it: all suites, with the key in use where the suite stays.
    pub fn security_of_answer(&self, trunk: &Trunk, rng: &mut Rng) -> Security {
        match self.crypto() {
            Some(agreed) => Security::Required(Crypto::agreed(agreed).with_suites(&trunk.srtp.suites, rng)),
            None => first_security(trunk, rng),
        }
    }
}

/// The rule of a trunk, with fresh keys.
pub fn first_security(trunk: &Trunk, rng: &mut Rng) -> Security {
    let profile = match trunk.srtp.offer {
        SrtpOffer::Savp => Profile::Savp,
        SrtpOffer::Avp => Profile::Avp,
    };
    let mut crypto = || Crypto::new(profile).with_suites(&trunk.srtp.suites, rng);
    match trunk.srtp.policy {
        Srtp::Off => Security::Clear,
        Srtp::Optional => Security::Optional(crypto()),
        Srtp::Required => Security::Required(crypto()),
    }
}

/// Our side of an offer or answer on this trunk, at this port.
pub fn local_media(
    trunk: &Trunk,
    port: u16,
    (sdp_id, version): (u64, u64),
    held: bool,
    security: Security,
) -> LocalMedia {
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
        security,
        answer_one: trunk.answer_codecs == AnswerCodecs::One,
        ..LocalMedia::new(trunk.media_advertise, port, sdp_id)
    }
}

/// Whether the peer's media address is one this trunk may use, and one that its own media address reaches.
pub fn is_allowed(trunk: &Trunk, negotiated: &Negotiated) -> bool {
    let allowed = |remote: SocketAddr| trunk.allows_media(remote.ip());
    is_of_our_family(trunk, negotiated)
        && negotiated.remote.is_none_or(allowed)
        && negotiated.remote_rtcp.is_none_or(allowed)
}

/// Whether both ends speak IPv4, or both IPv6.
pub fn is_of_our_family(trunk: &Trunk, negotiated: &Negotiated) -> bool {
    negotiated
        .remote
        .is_none_or(|remote| remote.is_ipv4() == trunk.media_address.is_ipv4())
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
        digits: match trunk.dtmf {
            DtmfMethod::Rfc4733 => DigitForm::Events,
            DtmfMethod::Inband => DigitForm::Tones,
            DtmfMethod::Info => DigitForm::Signalling,
        },
        ptime_ms: negotiated.ptime_ms,
        remote: negotiated.remote,
        remote_rtcp: negotiated.remote_rtcp,
        source: match trunk.media_source {
            MediaSource::Strict => SourceRule::Strict,
            MediaSource::Address => SourceRule::Address,
            MediaSource::Nat => SourceRule::Nat(trunk.media_allow.clone()),
        },
        may_send: answered && negotiated.send,
        may_receive: negotiated.receive,
        srtp: negotiated.crypto.as_ref().map(srtp_keys),
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
        sip::sdp::Codec::G722 => CodecName::G722,
        sip::sdp::Codec::Opus => CodecName::Opus,
    }
}

fn sdp_codec(codec: Codec) -> sip::sdp::Codec {
    match codec {
        Codec::Pcmu => sip::sdp::Codec::Pcmu,
        Codec::Pcma => sip::sdp::Codec::Pcma,
        Codec::G722 => sip::sdp::Codec::G722,
        Codec::Opus => sip::sdp::Codec::Opus,
    }
}

fn media_codec(codec: sip::sdp::Codec) -> media::Codec {
    match codec {
        sip::sdp::Codec::Pcmu => media::Codec::Pcmu,
        sip::sdp::Codec::Pcma => media::Codec::Pcma,
        sip::sdp::Codec::G722 => media::Codec::G722,
        sip::sdp::Codec::Opus => media::Codec::Opus,
    }
}
