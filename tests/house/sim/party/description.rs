//! What a party says in SDP, and what it takes from that of others.

use super::*;

impl Party {
    pub(super) fn take_offer(&mut self, sdp: Option<&[u8]>) {
        if let (Some(sdes), Some(sdp)) = (&mut self.sdes, sdp) {
            sdes.take_offer(&String::from_utf8_lossy(sdp));
        }
    }

    pub(super) fn take_answer(&mut self, sdp: Option<&[u8]>) {
        if let (Some(sdes), Some(sdp)) = (&mut self.sdes, sdp) {
            sdes.take_answer(&String::from_utf8_lossy(sdp));
        }
    }

    pub(super) fn offer(&mut self, direction: &str) -> Bytes {
        let clear = self.sdp_of(direction);
        Bytes::from(match &self.sdes {
            Some(sdes) => sdes.offer(clear),
            None => clear,
        })
    }

    pub(super) fn sdp(&self, direction: &str) -> Bytes {
        let clear = self.sdp_of(direction);
        Bytes::from(match &self.sdes {
            Some(sdes) => sdes.answer(clear),
            None => clear,
        })
    }

    pub(super) fn sdp_of(&self, direction: &str) -> String {
        let (ip, port) = (self.media.ip(), self.media.port());
        let (formats, map) = self.voice.formats();
        format!(
            "v=0\r\no=- 1 {} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n\
             {map}a={direction}\r\n",
            self.position + 1
        )
    }
}

/// Where an SDP text wants its audio.
pub(super) fn media_of(sdp: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(sdp).ok()?;
    let ip = text
        .lines()
        .find_map(|line| line.strip_prefix("c=IN IP4 "))?
        .trim()
        .parse()
        .ok()?;
    let port = text
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "))?
        .split(' ')
        .next()?
        .parse()
        .ok()?;
    Some(SocketAddr::new(ip, port))
}

pub(super) fn direction_of(sdp: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(sdp);
    ["sendonly", "recvonly", "inactive"]
        .into_iter()
        .find(|word| text.contains(&format!("a={word}")))
        .unwrap_or("sendrecv")
}
