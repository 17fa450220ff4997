//! Whether a stream is encrypted: our rule against what an offer or an answer has (RFC 4568 §5, §7).
//!
//! Knows nothing of codecs, of packets, or of what was agreed before.

use super::crypto::{CryptoKey, CryptoLine, CryptoSuite};
use super::error::SdpError;
use super::model::MediaDescription;
use crate::rng::Rng;

/// The RTP profile of an m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// RTP/AVP (RFC 3551), with or without `a=crypto`.
    Avp,
    /// RTP/SAVP (RFC 3711): never without.
    Savp,
}

impl Profile {
    /// As an m-line writes it.
    pub fn word(self) -> &'static str {
        match self {
            Profile::Avp => "RTP/AVP",
            Profile::Savp => "RTP/SAVP",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Profile> {
        [Profile::Avp, Profile::Savp]
            .into_iter()
            .find(|profile| profile.word().eq_ignore_ascii_case(word))
    }
}

/// Our rule for one stream, with the keys that serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Clear only: what offers RTP/SAVP is refused, `a=crypto` is not looked at.
    Clear,
    /// Encrypted where the peer has it.
    Optional(Crypto),
    /// Encrypted or not at all.
    Required(Crypto),
}

impl Security {
    fn crypto(&self) -> Option<&Crypto> {
        match self {
            Security::Clear => None,
            Security::Optional(crypto) | Security::Required(crypto) => Some(crypto),
        }
    }

    /// The profile of our offers.
    pub(super) fn profile(&self) -> Profile {
        self.crypto().map_or(Profile::Avp, |crypto| crypto.profile)
    }

    /// The `a=crypto` lines of our offers, numbered from 1.
    pub(super) fn lines(&self) -> Vec<CryptoLine> {
        let keys = self.crypto().map_or(&[][..], |crypto| &crypto.keys);
        let lines = (1..).zip(keys);
        lines
            .map(|(tag, key)| CryptoLine {
                tag,
                key: key.clone(),
            })
            .collect()
    }

    /// What our answer to this line takes.
    pub(super) fn answer(&self, line: &MediaDescription) -> Result<Option<AgreedCrypto>, SdpError> {
        let profile = line.profile().ok_or(SdpError::Transport)?;
        let agreed = self.crypto().and_then(|crypto| crypto.choose(line, profile));
        match (profile, agreed, self) {
            (_, Some(agreed), _) => Ok(Some(agreed)),
            (Profile::Avp, None, Security::Clear | Security::Optional(_)) => Ok(None),
            (Profile::Savp, None, Security::Optional(_) | Security::Required(_)) => Err(SdpError::Crypto),
            (Profile::Savp, None, Security::Clear) | (Profile::Avp, None, Security::Required(_)) => {
                Err(SdpError::Transport)
            }
        }
    }

    /// What the answer to our offer takes. A line that names none of ours is no way back to a clear stream:
    /// its writer is about to encrypt.
    pub(super) fn accept(&self, line: &MediaDescription) -> Result<Option<AgreedCrypto>, SdpError> {
        let profile = self.profile();
        if line.profile() != Some(profile) {
            return Err(SdpError::Transport);
        }
        let offered = self.lines();
        let agreed = line.crypto.iter().find_map(|theirs| {
            let ours = offered.iter().find(|ours| ours.tag == theirs.tag)?;
            (ours.key.suite() == theirs.key.suite()).then(|| AgreedCrypto {
                profile,
                tag: theirs.tag,
                ours: ours.key.clone(),
                theirs: theirs.key.clone(),
            })
        });
        let is_silent = line.crypto.is_empty() && !line.has_unusable_crypto;
        match (agreed, profile, self) {
            (Some(agreed), _, _) => Ok(Some(agreed)),
            (None, _, Security::Clear) => Ok(None),
            (None, Profile::Avp, Security::Optional(_)) if is_silent => Ok(None),
            (None, _, Security::Optional(_) | Security::Required(_)) => Err(SdpError::Crypto),
        }
    }
}

/// Our suites, each with the key we would send with, and the profile we offer them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// The profile of our offers.
    pub profile: Profile,
    keys: Vec<CryptoKey>,
}

impl Crypto {
    /// No suite yet.
    pub fn new(profile: Profile) -> Crypto {
        Crypto {
            profile,
            keys: Vec::new(),
        }
    }

    /// These suites in this order; a suite that has a key keeps it, the others get fresh ones.
    pub fn with_suites(&self, suites: &[CryptoSuite], rng: &mut Rng) -> Crypto {
        let keys = suites.iter().map(|suite| {
            let kept = self.keys.iter().find(|key| key.suite() == *suite);
            kept.cloned().unwrap_or_else(|| CryptoKey::draw(*suite, rng))
        });
        Crypto {
            profile: self.profile,
            keys: keys.collect(),
        }
    }

    /// What remains after an agreement: its profile and our key in it. A suite that is left and taken up
    /// again gets another key, so that no key stream is used twice (RFC 3711 §9.1).
    pub fn agreed(agreed: &AgreedCrypto) -> Crypto {
        Crypto {
            profile: agreed.profile,
            keys: vec![agreed.ours.clone()],
        }
    }

    /// The first of our suites that the line has; of two lines for one suite the first.
    fn choose(&self, line: &MediaDescription, profile: Profile) -> Option<AgreedCrypto> {
        self.keys.iter().find_map(|ours| {
            let theirs = line
                .crypto
                .iter()
                .find(|theirs| theirs.key.suite() == ours.suite())?;
            Some(AgreedCrypto {
                profile,
                tag: theirs.tag,
                ours: ours.clone(),
                theirs: theirs.key.clone(),
            })
        })
    }
}

/// One agreed suite with both keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreedCrypto {
    /// The profile it was agreed in.
    pub profile: Profile,
    /// The tag of the line in the offer.
    pub tag: u32,
    /// What we send with.
    pub ours: CryptoKey,
    /// What the peer sends with; of the same suite.
    pub theirs: CryptoKey,
}

impl AgreedCrypto {
    /// The line of our answer.
    pub(super) fn line(&self) -> CryptoLine {
        CryptoLine {
            tag: self.tag,
            key: self.ours.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
