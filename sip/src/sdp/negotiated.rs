//! What offer and answer agreed, seen from our side.
//!
//! Knows nothing of the text it came from.

use std::net::SocketAddr;

use super::error::SdpError;
use super::model::{Codec, MediaDescription, PTIMES_MS, RemoteAddress, SideLines};
use super::security::AgreedCrypto;

/// One agreed audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where RTP goes; none while the peer gave an unspecified address. The caller checks it, and
    /// `remote_rtcp`, against the networks media may go to.
    pub remote: Option<SocketAddr>,
    /// Where RTCP goes: a=rtcp, else the port above (rtcp-mux is not agreed).
    pub remote_rtcp: Option<SocketAddr>,
    /// What we send.
    pub codec: Codec,
    /// The payload type we send it with.
    pub payload_type: u8,
    /// What we take in: every common format of the offer, also those the answer left out, as some
    /// peers change codec without a word.
    pub accepts: Vec<(u8, Codec)>,
    /// telephone-event both ways, clock 8000.
    pub event_payload_type: Option<u8>,
    /// Packet length we send, milliseconds: one of [`PTIMES_MS`].
    pub ptime_ms: u8,
    /// Whether we may send; never true without `remote`.
    pub send: bool,
    /// Whether the peer may send.
    pub receive: bool,
    /// The peer holds us: sendonly, inactive or an unspecified address where nothing of ours asked for it.
    pub remote_hold: bool,
    /// How it is encrypted; none: it is clear.
    pub crypto: Option<AgreedCrypto>,
    /// The other lines, for our next offer in this session.
    pub side_lines: SideLines,
}

/// Where a peer receives.
pub(super) struct Remote {
    pub rtp: Option<SocketAddr>,
    pub rtcp: Option<SocketAddr>,
}

impl Remote {
    pub fn of(media: &MediaDescription) -> Result<Remote, SdpError> {
        let address = match media.address {
            RemoteAddress::Ip(address) => address,
            RemoteAddress::Nowhere => {
                return Ok(Remote {
                    rtp: None,
                    rtcp: None,
                });
            }
            RemoteAddress::Unusable => return Err(SdpError::Address),
            RemoteAddress::Absent => return Err(SdpError::Malformed),
        };
        let (port, rtcp_address) = media
            .rtcp
            .unwrap_or((media.port.checked_add(1).unwrap_or(0), None));
        let rtcp = match rtcp_address.map_or(RemoteAddress::Ip(address), RemoteAddress::from_ip) {
            RemoteAddress::Ip(address) if port != 0 => Some(SocketAddr::new(address, port)),
            RemoteAddress::Ip(_)
            | RemoteAddress::Nowhere
            | RemoteAddress::Unusable
            | RemoteAddress::Absent => None,
        };
        Ok(Remote {
            rtp: Some(SocketAddr::new(address, media.port)),
            rtcp,
        })
    }
}

/// The packet length we send: what the peer asks for where we can, else ours, never above its maximum.
///
/// Absurd values (docs/threats.md A11) count as absent.
pub(super) fn ptime(media: &MediaDescription, ours_ms: u8) -> u8 {
    let wish = media
        .ptime_ms
        .and_then(|wish| PTIMES_MS.into_iter().find(|ptime| u32::from(*ptime) == wish));
    let ptime_ms = wish.unwrap_or(ours_ms);
    let largest = media.maxptime_ms.and_then(|maximum| {
        PTIMES_MS
            .into_iter()
            .rev()
            .find(|ptime| u32::from(*ptime) <= maximum)
    });
    largest.map_or(ptime_ms, |largest| ptime_ms.min(largest))
}

#[cfg(test)]
mod tests {
    use super::super::model::SessionDescription;
    use super::*;

    fn audio(attributes: &str) -> MediaDescription {
        let text = format!("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n{attributes}");
        SessionDescription::parse(text.as_bytes())
            .unwrap()
            .media
            .remove(0)
    }

    #[test]
    fn ptime_is_the_peers_wish_or_ours_and_never_above_its_maximum() {
        let table = [
            ("", 20),
            ("a=ptime:10\r\n", 10),
            ("a=ptime:30\r\n", 30),
            ("a=ptime:60\r\n", 60),
            ("a=ptime:25\r\n", 20),
            ("a=ptime:0\r\n", 20),
            ("a=ptime:-1\r\n", 20),
            ("a=ptime:1e400\r\n", 20),
            ("a=ptime:2147483648\r\n", 20),
            ("a=ptime:4294967296\r\n", 20),
            ("a=ptime:60\r\na=maxptime:40\r\n", 40),
            ("a=ptime:60\r\na=maxptime:35\r\n", 30),
            ("a=maxptime:10\r\n", 10),
            ("a=maxptime:9\r\n", 20),
            ("a=maxptime:-1\r\n", 20),
            ("a=maxptime:4294967296\r\n", 20),
            ("a=maxptime:150\r\n", 20),
        ];
        for (attributes, ptime_ms) in table {
            assert_eq!(ptime(&audio(attributes), 20), ptime_ms, "{attributes}");
        }
    }

    #[test]
    fn rtcp_goes_to_the_next_port_or_where_the_peer_says() {
        let table = [
            ("", Some("192.0.2.1:4001")),
            ("a=rtcp:5000\r\n", Some("192.0.2.1:5000")),
            ("a=rtcp:5000 IN IP4 192.0.2.7\r\n", Some("192.0.2.7:5000")),
            ("a=rtcp:0\r\n", None),
            ("a=rtcp:5000 IN IP4 0.0.0.0\r\n", None),
            ("a=rtcp:5000 IN IP4 224.0.0.1\r\n", None),
            ("a=rtcp-mux\r\n", Some("192.0.2.1:4001")),
        ];
        for (attributes, rtcp) in table {
            let expected = rtcp.map(|address| address.parse().unwrap());
            assert_eq!(
                Remote::of(&audio(attributes)).unwrap().rtcp,
                expected,
                "{attributes}"
            );
        }
    }

    #[test]
    fn the_highest_port_has_no_rtcp_above_it() {
        let text = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 65535 RTP/AVP 0\r\n";
        let media = SessionDescription::parse(text).unwrap().media.remove(0);
        assert_eq!(Remote::of(&media).unwrap().rtcp, None);
    }
}
