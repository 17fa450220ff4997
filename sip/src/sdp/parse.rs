//! Reads a session description, in linear time and bounded space.
//!
//! The line grammar is `sdp-types`; in front of it stands a guard that caps size and counts and lets
//! only the lines through that a negotiation reads, as the crate refuses a whole description for a
//! Latin-1 session name or an odd t= line. Never panics, whatever the bytes (docs/threats.md B10, B11).

use std::collections::BTreeMap;
use std::net::IpAddr;

use sdp_types::{Attribute, Connection, Media, NetType, Session};

use super::crypto::{CRYPTO_LINES_MAX, CryptoLine};
use super::error::SdpError;
use super::model::{
    Codec, Direction, Encoding, Format, MediaDescription, RefusedLine, RemoteAddress, SessionDescription,
};

/// Longest session description read, bytes. Carriers stay under 2 KiB, browsers under 10.
pub const SDP_BYTES_MAX: usize = 16 * 1024;
/// Most m-lines of a description.
pub const MEDIA_LINES_MAX: usize = 8;
/// Most formats of one m-line.
pub const FORMATS_MAX: usize = 64;

impl SessionDescription {
    /// Reads the text of an offer or answer.
    pub fn parse(text: &[u8]) -> Result<SessionDescription, SdpError> {
        if text.len() > SDP_BYTES_MAX {
            return Err(SdpError::TooLong {
                actual_bytes: text.len(),
            });
        }
        let guarded = guard(text)?;
        let session = Session::parse(&guarded.lines).map_err(|_| SdpError::Malformed)?;
        let level = Level {
            address: session
                .connection
                .as_ref()
                .map_or(RemoteAddress::Absent, remote_address),
            direction: direction(&session.attributes).unwrap_or(Direction::SendReceive),
            rtcp_bandwidths: RTCP_BANDWIDTHS.map(|name| value(&session.attributes, name)),
        };
        let media = session
            .medias
            .iter()
            .map(|media| describe(media, &level))
            .collect::<Result<_, _>>()?;
        Ok(SessionDescription {
            version: guarded.version,
            media,
        })
    }
}

/// The lines that matter, cleaned, and what was read from o=.
struct Guarded {
    lines: Vec<u8>,
    version: Option<u64>,
}

/// Values of the session level that hold for m-lines without their own.
struct Level<'a> {
    address: RemoteAddress,
    direction: Direction,
    rtcp_bandwidths: [Option<&'a str>; 2],
}

/// Bandwidths of RTCP, of senders and receivers (RFC 3556 §2).
const RTCP_BANDWIDTHS: [&str; 2] = ["RS", "RR"];

/// Keeps v=, c=, m= and a= lines without trailing blanks; looks at every other line's shape only. The bandwidths of
/// RTCP are kept as attributes of their name, as a b= line out of its place would refuse all.
fn guard(text: &[u8]) -> Result<Guarded, SdpError> {
    let mut guarded = Guarded {
        lines: Vec::with_capacity(text.len()),
        version: None,
    };
    let mut media_lines = 0_usize;
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        if line.contains(&0) {
            return Err(SdpError::Malformed);
        }
        let (key, value) = match line {
            [] => continue,
            [key, b'=', value @ ..] => (*key, value),
            [..] => return Err(SdpError::Malformed),
        };
        // An attribute in another encoding than UTF-8 is none that we know.
        let Ok(value) = std::str::from_utf8(value) else {
            if matches!(key, b'v' | b'c' | b'm') {
                return Err(SdpError::Malformed);
            }
            continue;
        };
        match key {
            b'o' => {
                guarded.version = value
                    .split_ascii_whitespace()
                    .nth(2)
                    .and_then(|text| text.parse().ok())
            }
            b'm' => {
                media_lines += 1;
                if media_lines > MEDIA_LINES_MAX {
                    return Err(SdpError::TooManyMediaLines);
                }
                keep(&mut guarded.lines, key, value.split_ascii_whitespace());
            }
            b'v' | b'c' => keep(&mut guarded.lines, key, value.split_ascii_whitespace()),
            b'b' if RTCP_BANDWIDTHS.iter().any(|name| value.starts_with(name)) => {
                keep(&mut guarded.lines, b'a', std::iter::once(value));
            }
            b'a' => keep(&mut guarded.lines, key, std::iter::once(value)),
            _ => {}
        }
    }
    Ok(guarded)
}

/// Appends a line, its words one blank apart.
fn keep<'a>(lines: &mut Vec<u8>, key: u8, words: impl Iterator<Item = &'a str>) {
    lines.extend_from_slice(&[key, b'=']);
    for (index, word) in words.enumerate() {
        if index > 0 {
            lines.push(b' ');
        }
        lines.extend_from_slice(word.as_bytes());
    }
    lines.extend_from_slice(b"\r\n");
}

fn describe(media: &Media, level: &Level<'_>) -> Result<MediaDescription, SdpError> {
    let names: Vec<&str> = media.fmt.split_ascii_whitespace().take(FORMATS_MAX + 1).collect();
    if names.len() > FORMATS_MAX {
        return Err(SdpError::TooManyFormats);
    }
    let Some(first) = names.first() else {
        return Err(SdpError::Malformed);
    };
    let encodings = rtpmaps(&media.attributes);
    let (crypto, has_unusable_crypto) = crypto(&media.attributes);
    let formats = names
        .iter()
        .filter_map(|name| name.parse::<u8>().ok())
        .filter(|payload_type| *payload_type < 128)
        .map(|payload_type| Format {
            payload_type,
            encoding: encodings
                .get(&payload_type)
                .copied()
                .unwrap_or(static_encoding(payload_type)),
        })
        .collect();
    Ok(MediaDescription {
        line: RefusedLine {
            media: media.media.clone(),
            protocol: media.proto.clone(),
            format: (*first).to_owned(),
        },
        port: media.port,
        formats,
        address: media.connections.first().map_or(level.address, remote_address),
        rtcp: if has_no_rtcp(media, level) {
            Some((0, None))
        } else {
            value(&media.attributes, "rtcp").and_then(rtcp)
        },
        direction: direction(&media.attributes).unwrap_or(level.direction),
        ptime_ms: value(&media.attributes, "ptime").and_then(|text| text.trim().parse().ok()),
        maxptime_ms: value(&media.attributes, "maxptime").and_then(|text| text.trim().parse().ok()),
        crypto,
        has_unusable_crypto,
    })
}

/// The a=crypto lines we could serve, and whether there are others.
fn crypto(attributes: &[Attribute]) -> (Vec<CryptoLine>, bool) {
    let named = attributes
        .iter()
        .filter(|attribute| attribute.attribute == "crypto");
    let read: Vec<_> = named
        .take(CRYPTO_LINES_MAX)
        .map(|attribute| attribute.value.as_deref().and_then(CryptoLine::parse))
        .collect();
    let has_unusable = read.iter().any(Option::is_none);
    (read.into_iter().flatten().collect(), has_unusable)
}

/// Payload types with an rtpmap; of two for one type the first holds.
fn rtpmaps(attributes: &[Attribute]) -> BTreeMap<u8, Encoding> {
    let mut encodings = BTreeMap::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.attribute == "rtpmap")
    {
        let Some((payload_type, encoding)) = attribute.value.as_deref().and_then(rtpmap) else {
            continue;
        };
        encodings.entry(payload_type).or_insert(encoding);
    }
    encodings
}

/// `101 telephone-event/8000`: RFC 8866 §6.6.
fn rtpmap(text: &str) -> Option<(u8, Encoding)> {
    let (payload_type, description) = text.trim().split_once(' ')?;
    let payload_type = payload_type.parse().ok()?;
    let mut parts = description.trim().split('/');
    let (name, clock) = (parts.next()?, parts.next()?);
    let channels = parts.next().map_or(Ok(1), str::parse);
    let encoding = match Codec::from_name(name) {
        Some(codec) if channels == Ok(codec.channels()) && clock.parse() == Ok(codec.clock_rate_hz()) => {
            Encoding::Audio(codec)
        }
        None if name.eq_ignore_ascii_case("telephone-event") && clock == "8000" => Encoding::Event,
        Some(_) | None => Encoding::Foreign,
    };
    Some((payload_type, encoding))
}

/// What a payload type without rtpmap stands for. RFC 3551 §6, table 4.
fn static_encoding(payload_type: u8) -> Encoding {
    match payload_type {
        0 => Encoding::Audio(Codec::Pcmu),
        8 => Encoding::Audio(Codec::Pcma),
        9 => Encoding::Audio(Codec::G722),
        _ => Encoding::Foreign,
    }
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    attributes
        .iter()
        .find_map(|attribute| Direction::from_attribute(&attribute.attribute))
}

fn value<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|attribute| attribute.attribute == name)?
        .value
        .as_deref()
}

fn remote_address(connection: &Connection) -> RemoteAddress {
    if connection.nettype != NetType::In {
        return RemoteAddress::Unusable;
    }
    let text = connection
        .connection_address
        .split('/')
        .next()
        .unwrap_or_default();
    match text.parse() {
        Ok(address) => RemoteAddress::from_ip(address),
        Err(_) if text.to_ascii_lowercase().ends_with(".invalid") => RemoteAddress::Nowhere,
        Err(_) => RemoteAddress::Unusable,
    }
}

/// Whether both bandwidths of RTCP are zero: nobody sends any.
fn has_no_rtcp(media: &Media, level: &Level<'_>) -> bool {
    let mut bandwidths = RTCP_BANDWIDTHS.iter().zip(level.rtcp_bandwidths);
    bandwidths.all(|(name, of_session)| {
        let bandwidth = value(&media.attributes, name).or(of_session);
        bandwidth.is_some_and(|text| text.trim() == "0")
    })
}

/// `53020` or `53020 IN IP4 126.16.64.4`: RFC 3605 §2.1.
fn rtcp(text: &str) -> Option<(u16, Option<IpAddr>)> {
    let mut words = text.split_ascii_whitespace();
    let port = words.next()?.parse().ok()?;
    let address = match (words.next(), words.next(), words.next()) {
        (None, _, _) => None,
        (Some(_), Some(_), Some(address)) => Some(address.parse().ok()?),
        (Some(_), _, _) => return None,
    };
    Some((port, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SessionDescription, SdpError> {
        SessionDescription::parse(text.as_bytes())
    }

    fn audio(attributes: &str) -> MediaDescription {
        let text = format!("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0 8 101\r\n{attributes}");
        parse(&text).unwrap().media.remove(0)
    }

    #[test]
    fn hostile_vectors_are_refused_with_their_status() {
        let many_lines = format!(
            "v=0\r\nc=IN IP4 192.0.2.1\r\n{}",
            "m=audio 9 RTP/AVP 0\r\n".repeat(9)
        );
        let many_formats = format!("v=0\r\nm=audio 9 RTP/AVP{}\r\n", " 0".repeat(65));
        let huge = format!("v=0\r\n{}", "a=x\r\n".repeat(4000));
        let table: &[(&str, SdpError)] = &[
            ("", SdpError::Malformed),
            ("hello", SdpError::Malformed),
            ("v=1\r\n", SdpError::Malformed),
            ("o=- 1 1 IN IP4 192.0.2.1\r\nv=0\r\nm=\r\n", SdpError::Malformed),
            ("v=0\r\nm=audio\r\n", SdpError::Malformed),
            ("v=0\r\nm=audio 65536 RTP/AVP 0\r\n", SdpError::Malformed),
            ("v=0\r\nm=audio -1 RTP/AVP 0\r\n", SdpError::Malformed),
            ("v=0\r\nm=audio 4000 RTP/AVP\r\n", SdpError::Malformed),
            (
                "v=0\r\nm=audio 4000 RTP/AVP 0\r\na=fmtp:0 a\0b\r\n",
                SdpError::Malformed,
            ),
            ("v=0\r\nc=IN IP4\r\n", SdpError::Malformed),
            (
                "v=0\r\nc=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.2\r\n",
                SdpError::Malformed,
            ),
            (&many_lines, SdpError::TooManyMediaLines),
            (&many_formats, SdpError::TooManyFormats),
            (
                &huge,
                SdpError::TooLong {
                    actual_bytes: huge.len(),
                },
            ),
        ];
        for (text, error) in table {
            assert_eq!(
                parse(text),
                Err(*error),
                "{}",
                text.get(..60.min(text.len())).unwrap()
            );
        }
    }

    #[test]
    fn the_caps_themselves_are_taken() {
        let formats = " 0".repeat(FORMATS_MAX);
        let text = format!(
            "v=0\r\nc=IN IP4 192.0.2.1\r\n{}",
            format!("m=audio 9 RTP/AVP{formats}\r\n").repeat(8)
        );
        let read = parse(&text).unwrap();
        assert_eq!(read.media.len(), MEDIA_LINES_MAX);
        assert_eq!(read.media[7].formats.len(), FORMATS_MAX);
    }

    #[test]
    fn what_is_not_negotiated_cannot_refuse_a_call() {
        let text = b"\r\nv=0 \r\no=- 99999999999999999999 99999999999999999999 IN IP4 x\r\ns=M\xfcller\r\nt=x\r\nb=\r\n\
            e=\r\nq=odd\r\nc=IN  IP4  192.0.2.1 \na=\xff\xfe\r\nm=audio  4000 RTP/AVP 0  8 \r\na=\r\n\r\n";
        let read = SessionDescription::parse(text).unwrap();
        assert_eq!(read.version, None);
        assert_eq!(read.codecs(), [Codec::Pcmu, Codec::Pcma]);
        assert_eq!(
            read.media[0].address,
            RemoteAddress::Ip("192.0.2.1".parse().unwrap())
        );
    }

    #[test]
    fn the_version_of_o_is_read() {
        assert_eq!(
            parse("v=0\r\no=alice 7 42 IN IP4 192.0.2.1\r\n").unwrap().version,
            Some(42)
        );
    }

    #[test]
    fn formats_are_numbered_by_rtpmap_or_by_rfc_3551() {
        let table = [
            (
                "",
                [
                    Encoding::Audio(Codec::Pcmu),
                    Encoding::Audio(Codec::Pcma),
                    Encoding::Foreign,
                ],
            ),
            (
                "a=rtpmap:101 telephone-event/8000\r\n",
                [
                    Encoding::Audio(Codec::Pcmu),
                    Encoding::Audio(Codec::Pcma),
                    Encoding::Event,
                ],
            ),
            (
                "a=rtpmap:101 TELEPHONE-EVENT/48000\r\na=rtpmap:0 G729/8000\r\na=rtpmap:8 pcma/8000/1\r\n",
                [Encoding::Foreign, Encoding::Audio(Codec::Pcma), Encoding::Foreign],
            ),
            (
                "a=rtpmap:101 PCMU/8000\r\na=rtpmap:101 PCMA/8000\r\na=rtpmap:8 PCMA/16000\r\na=rtpmap:0 x\r\n",
                [
                    Encoding::Audio(Codec::Pcmu),
                    Encoding::Foreign,
                    Encoding::Audio(Codec::Pcmu),
                ],
            ),
        ];
        for (attributes, expected) in table {
            let read: Vec<Encoding> = audio(attributes)
                .formats
                .iter()
                .map(|format| format.encoding)
                .collect();
            assert_eq!(read, expected, "{attributes}");
        }
    }

    #[test]
    fn payload_types_over_127_and_words_are_no_formats() {
        let read = parse("v=0\r\nm=audio 4000 RTP/AVP 128 x 300 8 -1\r\n").unwrap();
        let types: Vec<u8> = read.media[0]
            .formats
            .iter()
            .map(|format| format.payload_type)
            .collect();
        assert_eq!(types, [8]);
    }

    #[test]
    fn directions_are_taken_at_either_level() {
        let table = [
            ("", "", Direction::SendReceive),
            ("a=sendonly\r\n", "", Direction::SendOnly),
            ("a=sendonly\r\n", "a=sendrecv\r\n", Direction::SendReceive),
            ("", "a=inactive\r\n", Direction::Inactive),
            ("a=inactive\r\n", "a=recvonly\r\n", Direction::ReceiveOnly),
        ];
        for (session, media, direction) in table {
            let text = format!("v=0\r\n{session}m=audio 4000 RTP/AVP 0\r\n{media}");
            assert_eq!(parse(&text).unwrap().media[0].direction, direction, "{text}");
        }
    }

    #[test]
    fn connection_addresses_are_sorted_into_usable_nowhere_and_not() {
        let ip = |text: &str| RemoteAddress::Ip(text.parse().unwrap());
        let table = [
            ("IN IP4 192.0.2.9", ip("192.0.2.9")),
            ("IN IP6 2001:db8::7", ip("2001:db8::7")),
            ("IN IP6 ::ffff:192.0.2.9", ip("192.0.2.9")),
            ("IN IP4 0.0.0.0", RemoteAddress::Nowhere),
            ("IN IP6 ::", RemoteAddress::Nowhere),
            ("IN IP6 host.INVALID", RemoteAddress::Nowhere),
            ("IN IP4 media.example.com", RemoteAddress::Unusable),
            ("IN IP4 224.2.1.1/127", RemoteAddress::Unusable),
            ("IN IP4 255.255.255.255", RemoteAddress::Unusable),
            ("IN IP6 ff15::101", RemoteAddress::Unusable),
            ("ATM NSAP 47.0091", RemoteAddress::Unusable),
        ];
        for (connection, address) in table {
            let at_session = format!("v=0\r\nc={connection}\r\nm=audio 4000 RTP/AVP 0\r\n");
            let at_media =
                format!("v=0\r\nc=IN IP4 198.51.100.1\r\nm=audio 4000 RTP/AVP 0\r\nc={connection}\r\n");
            assert_eq!(
                parse(&at_session).unwrap().media[0].address,
                address,
                "{connection}"
            );
            assert_eq!(
                parse(&at_media).unwrap().media[0].address,
                address,
                "{connection}"
            );
        }
    }

    #[test]
    fn rtcp_attribute_has_a_port_and_perhaps_an_address() {
        let table = [
            ("a=rtcp:5001\r\n", Some((5001, None))),
            (
                "a=rtcp:5001 IN IP4 192.0.2.7\r\n",
                Some((5001, Some("192.0.2.7".parse().unwrap()))),
            ),
            ("a=rtcp:5001 IN IP4\r\n", None),
            ("a=rtcp:70000\r\n", None),
            ("a=rtcp\r\n", None),
        ];
        for (attribute, rtcp) in table {
            assert_eq!(audio(attribute).rtcp, rtcp, "{attribute}");
        }
    }

    #[test]
    fn no_bandwidth_for_rtcp_is_no_rtcp_wherever_the_lines_stand() {
        let table = [
            ("b=RS:0\r\nb=RR:0\r\n", Some((0, None))),
            ("a=rtcp:5001\r\nb=RR:0\r\nb=RS:0\r\n", Some((0, None))),
            ("b=RS:0\r\n", None),
            ("b=RS:0\r\nb=RR:800\r\n", None),
            ("b=AS:64\r\nb=TIAS:64000\r\n", None),
            ("b=RS\r\nb=RR\r\n", None),
        ];
        for (lines, rtcp) in table {
            assert_eq!(audio(lines).rtcp, rtcp, "{lines}");
        }
        let session = "v=0\r\nc=IN IP4 192.0.2.1\r\nb=RS:0\r\nb=RR:0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let of = |lines: &str| parse(&format!("{session}{lines}")).unwrap().media.remove(0).rtcp;
        assert_eq!((of(""), of("b=RR:800\r\n")), (Some((0, None)), None));
    }
}
