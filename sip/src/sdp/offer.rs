//! Our offer, and what the peer's answer to it agrees (RFC 3264 §5, §7).
//!
//! Knows nothing of when an offer may be made.

use bytes::Bytes;

use super::error::SdpError;
use super::model::{Encoding, Format, LocalMedia, SessionDescription};
use super::negotiated::{Negotiated, Remote, ptime};
use super::write::{AudioLine, write};

/// The text of our full offer.
pub fn offer(ours: &LocalMedia) -> Bytes {
    let audio = AudioLine {
        formats: &offered(ours),
        ptime_ms: ours.ptime_ms,
        direction: ours.direction,
        profile: ours.security.profile(),
        crypto: &ours.security.lines(),
    };
    write(ours, &ours.side_lines, &audio)
}

/// What the answer to `offer(ours)` agrees.
///
/// Lines beyond those offered are ignored; formats we did not offer are, too.
pub fn accept_answer(ours: &LocalMedia, answer: &[u8]) -> Result<Negotiated, SdpError> {
    let mut description = SessionDescription::parse(answer)?;
    let place = ours.side_lines.before.len();
    if place >= description.media.len() {
        return Err(SdpError::NoAudio);
    }
    let media = description.media.swap_remove(place);
    if !media.is_audio() {
        return Err(SdpError::NoAudio);
    }
    let crypto = ours.security.accept(&media)?;
    let remote = Remote::of(&media)?;
    let mut accepts: Vec<_> = ours
        .codecs
        .iter()
        .map(|codec| (ours.payload_type(*codec), *codec))
        .collect();
    let mut chosen = None;
    let mut event_payload_type = None;
    for Format {
        payload_type,
        encoding,
    } in &media.formats
    {
        match encoding {
            Encoding::Audio(codec) if ours.codecs.contains(codec) => {
                chosen = chosen.or(Some((*payload_type, *codec)));
                if accepts.iter().all(|(known, _)| known != payload_type) {
                    accepts.push((*payload_type, *codec));
                }
            }
            Encoding::Event if ours.event_payload_type.is_some() => {
                event_payload_type = event_payload_type.or(Some(*payload_type));
            }
            Encoding::Audio(_) | Encoding::Event | Encoding::Foreign => {}
        }
    }
    let Some((payload_type, codec)) = chosen else {
        return Err(SdpError::NoCommonCodec);
    };
    Ok(Negotiated {
        codec,
        payload_type,
        accepts,
        event_payload_type,
        ptime_ms: ptime(&media, ours.ptime_ms),
        send: ours.direction.sends() && media.direction.receives() && remote.rtp.is_some(),
        receive: ours.direction.receives() && media.direction.sends(),
        remote_hold: remote.rtp.is_none() || (ours.direction.sends() && !media.direction.receives()),
        remote: remote.rtp,
        remote_rtcp: remote.rtcp,
        crypto,
        side_lines: ours.side_lines.clone(),
    })
}

fn offered(ours: &LocalMedia) -> Vec<Format> {
    let codecs = ours.codecs.iter().map(|codec| Format {
        payload_type: ours.payload_type(*codec),
        encoding: Encoding::Audio(*codec),
    });
    let events = ours.event_payload_type.map(|payload_type| Format {
        payload_type,
        encoding: Encoding::Event,
    });
    codecs.chain(events).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::model::{Codec, Direction, RefusedLine, SideLines};
    use super::*;

    fn ours() -> LocalMedia {
        LocalMedia::new("198.51.100.1".parse().unwrap(), 20000, 77)
    }

    fn answered(line: &str) -> Result<Negotiated, SdpError> {
        accept_answer(
            &ours(),
            format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{line}")
                .as_bytes(),
        )
    }

    #[test]
    fn the_whole_offer_is_as_written_here() {
        let expected = "v=0\r\no=- 77 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
            m=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
            a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";
        assert_eq!(std::str::from_utf8(&offer(&ours())).unwrap(), expected);
    }

    #[test]
    fn ipv6_order_version_rtcp_and_direction_are_written() {
        let mut local = LocalMedia::new(IpAddr::V6("2001:db8::1".parse().unwrap()), 20000, 77);
        local.codecs = vec![Codec::Pcma, Codec::Pcmu];
        local.version = 3;
        local.rtcp_port = Some(20003);
        local.event_payload_type = Some(96);
        local.direction = Direction::SendOnly;
        let text = offer(&local);
        let text = std::str::from_utf8(&text).unwrap();
        for line in [
            "o=- 77 3 IN IP6 2001:db8::1\r\n",
            "c=IN IP6 2001:db8::1\r\n",
            "m=audio 20000 RTP/AVP 8 0 96\r\n",
            "a=rtcp:20003\r\n",
            "a=sendonly\r\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn an_answer_gives_codec_event_and_addresses() {
        let agreed =
            answered("m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n")
                .unwrap();
        assert_eq!(agreed.remote, Some("192.0.2.1:4000".parse().unwrap()));
        assert_eq!(agreed.remote_rtcp, Some("192.0.2.1:4001".parse().unwrap()));
        assert_eq!((agreed.codec, agreed.payload_type), (Codec::Pcma, 8));
        assert_eq!(agreed.accepts, [(0, Codec::Pcmu), (8, Codec::Pcma)]);
        assert_eq!((agreed.event_payload_type, agreed.ptime_ms), (Some(101), 30));
        assert!(agreed.send && agreed.receive && !agreed.remote_hold);
    }

    #[test]
    fn answers_that_agree_on_nothing_are_refused() {
        let table = [
            ("", SdpError::NoAudio),
            ("m=audio 0 RTP/AVP 0\r\n", SdpError::NoAudio),
            ("m=image 4000 udptl t38\r\n", SdpError::NoAudio),
            ("m=audio 4000 RTP/SAVP 0\r\n", SdpError::Transport),
            ("m=audio 4000 RTP/AVP 18\r\n", SdpError::NoCommonCodec),
            (
                "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n",
                SdpError::NoCommonCodec,
            ),
            (
                "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 phone.example\r\n",
                SdpError::Address,
            ),
        ];
        for (line, error) in table {
            assert_eq!(answered(line), Err(error), "{line}");
        }
    }

    #[test]
    fn a_codec_or_event_we_did_not_offer_is_not_agreed() {
        let mut local = ours();
        local.codecs = vec![Codec::Pcma];
        local.event_payload_type = None;
        let text = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
        let agreed = accept_answer(&local, text).unwrap();
        assert_eq!((agreed.codec, agreed.event_payload_type), (Codec::Pcma, None));
        assert_eq!(agreed.accepts, [(8, Codec::Pcma)]);
    }

    #[test]
    fn directions_of_answers_by_the_direction_we_offered() {
        use Direction::{Inactive, ReceiveOnly, SendOnly, SendReceive};
        // ours, theirs → send, receive, held by the peer
        let table = [
            (SendReceive, "sendrecv", true, true, false),
            (SendReceive, "sendonly", false, true, true),
            (SendReceive, "recvonly", true, false, false),
            (SendReceive, "inactive", false, false, true),
            (SendOnly, "recvonly", true, false, false),
            (SendOnly, "inactive", false, false, true),
            (SendOnly, "sendrecv", true, false, false),
            (ReceiveOnly, "sendonly", false, true, false),
            (Inactive, "inactive", false, false, false),
            (Inactive, "sendrecv", false, false, false),
        ];
        for (direction, theirs, send, receive, remote_hold) in table {
            let local = LocalMedia { direction, ..ours() };
            let text = format!("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\na={theirs}\r\n");
            let agreed = accept_answer(&local, text.as_bytes()).unwrap();
            assert_eq!(
                (agreed.send, agreed.receive, agreed.remote_hold),
                (send, receive, remote_hold),
                "{direction:?} {theirs}"
            );
        }
    }

    #[test]
    fn an_unspecified_address_in_an_answer_is_a_hold_without_remote() {
        let agreed = answered("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n").unwrap();
        assert_eq!((agreed.remote, agreed.remote_rtcp), (None, None));
        assert!(!agreed.send && agreed.receive && agreed.remote_hold);
    }

    #[test]
    fn a_later_offer_keeps_the_refused_lines_in_their_places() {
        let refused = |media: &str, format: &str| RefusedLine {
            media: media.to_owned(),
            protocol: "RTP/AVP".to_owned(),
            format: format.to_owned(),
        };
        let local = LocalMedia {
            side_lines: SideLines {
                before: vec![refused("video", "31")],
                after: vec![refused("image", "x")],
            },
            ..ours()
        };
        let text = offer(&local);
        let lines: Vec<&str> = std::str::from_utf8(&text)
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("m="))
            .collect();
        assert_eq!(
            lines,
            [
                "m=video 0 RTP/AVP 31",
                "m=audio 20000 RTP/AVP 0 8 101",
                "m=image 0 RTP/AVP x"
            ]
        );
        let answer = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=video 0 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 0\r\nm=image 0 RTP/AVP x\r\n";
        let agreed = accept_answer(&local, answer).unwrap();
        assert_eq!(agreed.remote, Some("192.0.2.1:4000".parse().unwrap()));
        assert_eq!(agreed.side_lines, local.side_lines);
    }
}
