//! Writes our session descriptions: one audio line, and refused ones around it.
//!
//! Knows nothing of how the values were agreed.

use bytes::Bytes;
use sdp_types::{Connection, Media, Origin, Session, Time};

use super::crypto::CryptoLine;
use super::model::{Direction, Encoding, Format, LocalMedia, RefusedLine, SideLines};
use super::security::Profile;

/// Digits 0-9, *, #, A-D. RFC 4733 §2.4.1, §3.2.
const EVENTS: &str = "0-15";

/// The audio line as it is to be written.
pub(super) struct AudioLine<'a> {
    pub formats: &'a [Format],
    pub ptime_ms: u8,
    pub direction: Direction,
    pub profile: Profile,
    pub crypto: &'a [CryptoLine],
}

/// The description with `audio` in its place among the other lines.
pub(super) fn write(local: &LocalMedia, side_lines: &SideLines, audio: &AudioLine<'_>) -> Bytes {
    let origin = Origin::with_ip_addr(local.session_id.to_string(), local.version, local.address);
    let mut session = Session::new(origin, "-");
    session.connection = Some(Connection::from_ip_addr(local.address));
    session.times = vec![Time::new(0, 0)];
    session.medias.extend(side_lines.before.iter().map(refused));
    session.medias.push(audio_line(local, audio));
    session.medias.extend(side_lines.after.iter().map(refused));
    let mut text = Vec::with_capacity(512);
    #[expect(
        clippy::expect_used,
        reason = "the only error is that of the writer, and a Vec has none"
    )]
    session.write(&mut text).expect("a Vec takes every byte");
    Bytes::from(text)
}

fn audio_line(local: &LocalMedia, audio: &AudioLine<'_>) -> Media {
    let numbers: Vec<String> = audio
        .formats
        .iter()
        .map(|format| format.payload_type.to_string())
        .collect();
    let mut media = line("audio", local.port, audio.profile.word(), &numbers.join(" "));
    for Format {
        payload_type,
        encoding,
    } in audio.formats
    {
        match encoding {
            Encoding::Audio(codec) => {
                let channels = match codec.channels() {
                    1 => String::new(),
                    more => format!("/{more}"),
                };
                let (name, clock) = (codec.name(), codec.clock_rate_hz());
                media.add_attribute_with_value("rtpmap", format!("{payload_type} {name}/{clock}{channels}"));
                if let Some(parameters) = codec.parameters() {
                    media.add_attribute_with_value("fmtp", format!("{payload_type} {parameters}"));
                }
            }
            Encoding::Event => {
                media.add_attribute_with_value("rtpmap", format!("{payload_type} telephone-event/8000"));
                media.add_attribute_with_value("fmtp", format!("{payload_type} {EVENTS}"));
            }
            Encoding::Foreign => {}
        }
    }
    media.add_attribute_with_value("ptime", audio.ptime_ms);
    if let Some(port) = local.rtcp_port
        && Some(port) != local.port.checked_add(1)
    {
        media.add_attribute_with_value("rtcp", port);
    }
    for line in audio.crypto {
        media.add_attribute_with_value("crypto", line.value());
    }
    media.add_attribute_from_str(audio.direction.attribute());
    media
}

fn refused(refused: &RefusedLine) -> Media {
    line(&refused.media, 0, &refused.protocol, &refused.format)
}

fn line(media: &str, port: u16, protocol: &str, formats: &str) -> Media {
    Media {
        media: media.to_owned(),
        port,
        num_ports: None,
        proto: protocol.to_owned(),
        fmt: formats.to_owned(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}
