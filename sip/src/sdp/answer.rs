//! Our answer to the peer's offer (RFC 3264 §6).
//!
//! Knows nothing of SIP: a refusal is an [`SdpError`] that names its status.

use bytes::Bytes;

use super::error::SdpError;
use super::model::{
    Codec, Direction, Encoding, Format, LocalMedia, MediaDescription, RefusedLine, SessionDescription,
    SideLines,
};
use super::negotiated::{Negotiated, Remote, ptime};
use super::security::{AgreedCrypto, Profile};
use super::write::{AudioLine, write};

/// Answers an offer with our half; the first audio line we can serve is taken, the others are refused.
///
/// The codec is the first of ours that the offer has, its number the offerer's.
pub fn answer(offer: &[u8], ours: &LocalMedia) -> Result<(Bytes, Negotiated), SdpError> {
    let description = SessionDescription::parse(offer)?;
    let (place, agreed) = choose(&description.media, ours)?;
    let side_lines = side_lines(description.media, place);
    let crypto_lines = agreed.crypto.as_ref().map(AgreedCrypto::line);
    let audio = AudioLine {
        formats: &agreed.formats,
        ptime_ms: agreed.ptime_ms,
        direction: agreed.direction,
        profile: agreed.profile,
        crypto: crypto_lines.as_slice(),
    };
    let text = write(ours, &side_lines, &audio);
    let negotiated = Negotiated {
        remote: agreed.remote.rtp,
        remote_rtcp: agreed.remote.rtcp,
        codec: agreed.codec,
        payload_type: agreed.payload_type,
        accepts: agreed.accepts,
        event_payload_type: agreed.event_payload_type,
        ptime_ms: agreed.ptime_ms,
        send: agreed.direction.sends(),
        receive: agreed.direction.receives(),
        remote_hold: agreed.remote_hold,
        crypto: agreed.crypto,
        side_lines,
    };
    debug_assert!(!negotiated.send || negotiated.remote.is_some());
    Ok((text, negotiated))
}

/// One audio line, agreed.
struct Agreed {
    remote: Remote,
    codec: Codec,
    payload_type: u8,
    accepts: Vec<(u8, Codec)>,
    event_payload_type: Option<u8>,
    /// What the answer lists.
    formats: Vec<Format>,
    ptime_ms: u8,
    direction: Direction,
    remote_hold: bool,
    /// The profile of the line.
    profile: Profile,
    crypto: Option<AgreedCrypto>,
}

/// The first audio line that can be served, with its place; else what is wrong with the first one.
fn choose(media: &[MediaDescription], ours: &LocalMedia) -> Result<(usize, Agreed), SdpError> {
    let mut refusal = None;
    for (place, line) in media.iter().enumerate().filter(|(_, line)| line.is_audio()) {
        match agree(line, ours) {
            Ok(agreed) => return Ok((place, agreed)),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.unwrap_or(SdpError::NoAudio))
}

fn agree(line: &MediaDescription, ours: &LocalMedia) -> Result<Agreed, SdpError> {
    let crypto = ours.security.answer(line)?;
    let profile = line.profile().ok_or(SdpError::Transport)?;
    let remote = Remote::of(line)?;
    let mut accepts: Vec<(u8, Codec)> = Vec::new();
    for Format {
        payload_type,
        encoding,
    } in &line.formats
    {
        if let Encoding::Audio(codec) = encoding
            && ours.codecs.contains(codec)
            && !accepts.contains(&(*payload_type, *codec))
        {
            accepts.push((*payload_type, *codec));
        }
    }
    // Our order decides; of two numbers for one codec the offerer's first.
    let mut common = ours
        .codecs
        .iter()
        .filter_map(|ours| accepts.iter().find(|(_, codec)| codec == ours).copied());
    let Some((payload_type, codec)) = common.next() else {
        return Err(SdpError::NoCommonCodec);
    };
    let event_payload_type = ours.event_payload_type.and_then(|_| {
        line.formats
            .iter()
            .find(|format| format.encoding == Encoding::Event)
            .map(|format| format.payload_type)
    });

    let further = common.filter(|_| !ours.answer_one);
    let formats = std::iter::once((payload_type, codec))
        .chain(further)
        .map(|(payload_type, codec)| Format {
            payload_type,
            encoding: Encoding::Audio(codec),
        })
        .chain(event_payload_type.map(|payload_type| Format {
            payload_type,
            encoding: Encoding::Event,
        }))
        .collect();

    // 0.0.0.0 says what sendonly says: send nothing here (RFC 3264 §8.4).
    let they_receive = line.direction.receives() && remote.rtp.is_some();
    let direction = Direction::new(
        ours.direction.sends() && they_receive,
        ours.direction.receives() && line.direction.sends(),
    );
    Ok(Agreed {
        remote,
        codec,
        payload_type,
        accepts,
        event_payload_type,
        formats,
        ptime_ms: ptime(line, ours.ptime_ms),
        direction,
        // One that only receives holds us too, unless it but follows a hold of ours.
        remote_hold: !they_receive || (ours.direction.receives() && !line.direction.sends()),
        profile,
        crypto,
    })
}

fn side_lines(media: Vec<MediaDescription>, place: usize) -> SideLines {
    let mut before: Vec<RefusedLine> = media.into_iter().map(|media| media.line).collect();
    let after = before.drain(place..).skip(1).collect();
    SideLines { before, after }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::offer::{accept_answer, offer};
    use super::*;

    fn ours() -> LocalMedia {
        LocalMedia::new("198.51.100.1".parse().unwrap(), 20000, 77)
    }

    fn description(lines: &str) -> String {
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{lines}")
    }

    fn answered(lines: &str, ours: &LocalMedia) -> (String, Negotiated) {
        let (text, agreed) = answer(description(lines).as_bytes(), ours).unwrap();
        (String::from_utf8(text.to_vec()).unwrap(), agreed)
    }

    fn media_lines(text: &str) -> Vec<&str> {
        text.lines().filter(|line| line.starts_with("m=")).collect()
    }

    #[test]
    fn the_whole_answer_is_as_written_here() {
        let lines = "m=audio 4000 RTP/AVP 18 8 0 97\r\na=rtpmap:97 telephone-event/8000\r\na=ptime:30\r\na=rtcp-mux\r\n";
        let (text, agreed) = answered(lines, &ours());
        let expected = "v=0\r\no=- 77 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
            m=audio 20000 RTP/AVP 0 97\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:97 telephone-event/8000\r\n\
            a=fmtp:97 0-15\r\na=ptime:30\r\na=sendrecv\r\n";
        assert_eq!(text, expected);
        assert_eq!(
            agreed,
            Negotiated {
                remote: Some("192.0.2.1:4000".parse().unwrap()),
                remote_rtcp: Some("192.0.2.1:4001".parse().unwrap()),
                codec: Codec::Pcmu,
                payload_type: 0,
                accepts: vec![(8, Codec::Pcma), (0, Codec::Pcmu)],
                event_payload_type: Some(97),
                ptime_ms: 30,
                send: true,
                receive: true,
                remote_hold: false,
                crypto: None,
                side_lines: SideLines::default(),
            }
        );
    }

    #[test]
    fn formats_of_answers() {
        let event = "a=rtpmap:101 telephone-event/8000\r\n";
        let both = "a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n";
        let all = LocalMedia {
            answer_one: false,
            ..ours()
        };
        let a_law_first = LocalMedia {
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            ..ours()
        };
        let no_events = LocalMedia {
            event_payload_type: None,
            ..ours()
        };
        let table = [
            (&ours(), "0 8 101", event, "0 101"),
            (&ours(), "8 0 101", event, "0 101"),
            (&ours(), "8", "", "8"),
            (&all, "8 0 101", event, "0 8 101"),
            (&all, "0 0 8 8", "", "0 8"),
            (&a_law_first, "0 8 101", event, "8 101"),
            (&no_events, "0 8 101", event, "0"),
            (&ours(), "98 101", "a=rtpmap:98 PCMA/8000\r\n", "98"),
            (&ours(), "0 110 126", both, "0 126"),
        ];
        for (local, formats, attributes, expected) in table {
            let (text, _) = answered(&format!("m=audio 4000 RTP/AVP {formats}\r\n{attributes}"), local);
            assert_eq!(
                media_lines(&text),
                [format!("m=audio 20000 RTP/AVP {expected}")],
                "{formats}"
            );
        }
    }

    #[test]
    fn lines_keep_their_count_and_order_and_all_but_one_are_refused() {
        let lines = "m=video 5000 RTP/AVP 31 32\r\nm=audio 4000 RTP/SAVP 0\r\nm=audio 4002 RTP/AVP 0\r\n\
            m=audio 4004 RTP/AVP 8\r\nm=image 4006 udptl t38\r\nm=application 0 TCP/BFCP *\r\n";
        let (text, agreed) = answered(lines, &ours());
        assert_eq!(
            media_lines(&text),
            [
                "m=video 0 RTP/AVP 31",
                "m=audio 0 RTP/SAVP 0",
                "m=audio 20000 RTP/AVP 0",
                "m=audio 0 RTP/AVP 8",
                "m=image 0 udptl t38",
                "m=application 0 TCP/BFCP *",
            ]
        );
        assert_eq!(agreed.remote, Some("192.0.2.1:4002".parse().unwrap()));
        assert_eq!(
            (agreed.side_lines.before.len(), agreed.side_lines.after.len()),
            (2, 3)
        );
    }

    #[test]
    fn offers_that_cannot_be_served_name_their_status_and_warning() {
        let table = [
            ("", 488, Some(304)),
            ("m=video 5000 RTP/AVP 31\r\n", 488, Some(304)),
            ("m=audio 0 RTP/AVP 0\r\n", 488, Some(304)),
            ("m=image 4000 udptl t38\r\n", 488, Some(304)),
            ("m=audio 4000 RTP/AVP 18 101\r\n", 488, Some(305)),
            ("m=audio 4000 RTP/SAVP 0\r\n", 488, Some(302)),
            ("m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n", 488, Some(302)),
            (
                "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 phone.example\r\n",
                488,
                Some(301),
            ),
            ("m=audio 4000\r\n", 400, None),
        ];
        for (lines, status, warning) in table {
            let error = answer(description(lines).as_bytes(), &ours()).unwrap_err();
            assert_eq!(
                (error.status(), error.warning().map(|(code, _)| code)),
                (status, warning),
                "{lines}"
            );
        }
        let without_address = answer(b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n", &ours()).unwrap_err();
        assert_eq!(without_address.status(), 400);
    }

    #[test]
    fn holds_in_all_their_spellings() {
        use Direction::{Inactive, ReceiveOnly, SendOnly, SendReceive};
        let nowhere = "c=IN IP4 0.0.0.0\r\n";
        // ours, what the m-line has → answered, held by the peer. RFC 3264 §6.1, §8.4.
        let table = [
            (SendReceive, "", SendReceive, false),
            (SendReceive, "a=sendonly\r\n", ReceiveOnly, true),
            (SendReceive, "a=recvonly\r\n", SendOnly, true),
            (SendReceive, "a=inactive\r\n", Inactive, true),
            (SendReceive, nowhere, ReceiveOnly, true),
            (SendOnly, "", SendOnly, false),
            (SendOnly, "a=sendonly\r\n", Inactive, true),
            (SendOnly, "a=recvonly\r\n", SendOnly, false),
            (Inactive, "", Inactive, false),
            (SendOnly, nowhere, Inactive, true),
        ];
        for (direction, attributes, expected, remote_hold) in table {
            let local = LocalMedia { direction, ..ours() };
            let (text, agreed) = answered(&format!("m=audio 4000 RTP/AVP 0\r\n{attributes}"), &local);
            assert!(
                text.ends_with(&format!("a={}\r\n", expected.attribute())),
                "{direction:?} {attributes}{text}"
            );
            assert_eq!(
                Direction::new(agreed.send, agreed.receive),
                expected,
                "{direction:?} {attributes}"
            );
            assert_eq!(agreed.remote_hold, remote_hold, "{direction:?} {attributes}");
            assert_eq!(agreed.remote.is_none(), attributes == nowhere);
        }
    }

    #[test]
    fn nowhere_and_inactive_together_are_inactive() {
        let (text, _) = answered(
            "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n",
            &ours(),
        );
        assert!(text.ends_with("a=inactive\r\n"));
    }

    #[test]
    fn our_own_offers_and_answers_agree_from_both_sides() {
        let theirs = LocalMedia {
            codecs: vec![Codec::Pcma],
            direction: Direction::SendOnly,
            ..ours()
        };
        let (text, answerer) = answer(&offer(&theirs), &ours()).unwrap();
        let offerer = accept_answer(&theirs, &text).unwrap();
        assert_eq!((offerer.codec, answerer.codec), (Codec::Pcma, Codec::Pcma));
        assert_eq!((offerer.send, offerer.receive), (answerer.receive, answerer.send));
        assert!(answerer.remote_hold && !offerer.remote_hold);
    }

    /// Lines that mean something, so that random descriptions reach past the first check.
    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("v=0".to_owned()),
            "o=- [0-9]{1,25} [0-9]{1,25} IN IP4 [0-9.]{1,16}",
            "c=IN IP[46] [0-9a-f.:/]{0,20}",
            "m=(audio|video|image) {1,2}[0-9]{1,6}(/[0-9]{1,3})? (RTP/AVP|RTP/SAVP|udptl)( [0-9]{1,4}){0,9}",
            "a=rtpmap:[0-9]{1,4} (PCMU|pcma|telephone-event|x)/?[0-9]{0,6}(/[0-9])?",
            "a=(ptime|maxptime|rtcp|fmtp):[-0-9e. INP]{0,20}",
            "a=(sendrecv|sendonly|recvonly|inactive)",
            "[a-z]=\\PC{0,30}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = answer(&text, &ours());
            let _ = accept_answer(&ours(), &text);
        }

        #[test]
        fn whatever_is_answered_is_a_true_answer(
            lines in proptest::collection::vec(line(), 0..14),
            start in any::<bool>(),
        ) {
            let head = if start { "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0 8\r\n" } else { "v=0\r\n" };
            let text = format!("{head}{}\r\n", lines.join("\r\n"));
            let _ = accept_answer(&ours(), text.as_bytes());
            if let Ok((answered, agreed)) = answer(text.as_bytes(), &ours()) {
                let offered = SessionDescription::parse(text.as_bytes()).unwrap();
                let written = SessionDescription::parse(&answered).unwrap();
                prop_assert_eq!(written.media.len(), offered.media.len());
                prop_assert_eq!(written.media.iter().filter(|line| line.port != 0).count(), 1);
                for (theirs, ours) in offered.media.iter().zip(&written.media) {
                    prop_assert_eq!(&theirs.line.media, &ours.line.media);
                    prop_assert_eq!(&theirs.line.protocol, &ours.line.protocol);
                    if ours.port != 0 {
                        prop_assert!(ours.formats.iter().all(|format| theirs.formats.contains(format)));
                        prop_assert!(!ours.direction.sends() || theirs.direction.receives());
                        prop_assert!(!ours.direction.receives() || theirs.direction.sends());
                    }
                }
                prop_assert!((10..=60).contains(&agreed.ptime_ms));
            }
        }
    }
}
