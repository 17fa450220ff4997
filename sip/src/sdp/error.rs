//! Why a session description is refused, and what its sender is told.
//!
//! Carries no input: its size belongs to whoever sent it.

/// Why an offer or an answer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// The text is not SDP, or lacks what RFC 8866 requires.
    #[error("malformed session description")]
    Malformed,
    /// More than [`SDP_BYTES_MAX`](super::SDP_BYTES_MAX) bytes.
    #[error("session description of {actual_bytes} bytes")]
    TooLong {
        /// Its size.
        actual_bytes: usize,
    },
    /// More than [`MEDIA_LINES_MAX`](super::MEDIA_LINES_MAX) m-lines.
    #[error("too many m-lines")]
    TooManyMediaLines,
    /// More than [`FORMATS_MAX`](super::FORMATS_MAX) formats in one m-line.
    #[error("too many formats in an m-line")]
    TooManyFormats,
    /// No audio m-line with a port.
    #[error("no audio stream")]
    NoAudio,
    /// The audio stream wants another profile than we may speak: RTP/AVP, RTP/SAVP, or one of them.
    #[error("transport protocol not available")]
    Transport,
    /// No `a=crypto` line that we can use, where one is needed (RFC 4568 §5.1.2, §5.1.3).
    #[error("no usable key for encrypted media")]
    Crypto,
    /// The connection address is a name, a group or of another network.
    #[error("network address not usable")]
    Address,
    /// None of our codecs is among the formats.
    #[error("no common codec")]
    NoCommonCodec,
}

impl SdpError {
    /// The status that refuses an offer with this fault (RFC 3261 §21.4.1, §21.4.26).
    pub fn status(self) -> u16 {
        match self {
            SdpError::Malformed => 400,
            SdpError::TooLong { .. }
            | SdpError::TooManyMediaLines
            | SdpError::TooManyFormats
            | SdpError::NoAudio
            | SdpError::Transport
            | SdpError::Crypto
            | SdpError::Address
            | SdpError::NoCommonCodec => 488,
        }
    }

    /// Code and text for a Warning header (RFC 3261 §20.43); none where the status says it all.
    pub fn warning(self) -> Option<(u16, &'static str)> {
        match self {
            SdpError::Malformed => None,
            SdpError::TooLong { .. } | SdpError::TooManyMediaLines | SdpError::TooManyFormats => {
                Some((399, "Session description over our limits"))
            }
            SdpError::NoAudio => Some((304, "Media type not available")),
            SdpError::Transport => Some((302, "Incompatible transport protocol")),
            SdpError::Crypto => Some((399, "No usable crypto attribute")),
            SdpError::Address => Some((301, "Incompatible network address formats")),
            SdpError::NoCommonCodec => Some((305, "Incompatible media format")),
        }
    }
}
