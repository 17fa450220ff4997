//! A party's SRTP with keys in SDP (RFC 4568): one suite, one key of its own, and what the other side said.

use crate::srtp::{Line, lengths, to_base64};

/// How a party asks for SRTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// RTP/SAVP with a key.
    Savp,
    /// RTP/AVP with a key.
    AvpCrypto,
    /// RTP/AVP and nothing.
    Avp,
}

pub struct Sdes {
    pub suite: &'static str,
    /// How its offers ask, and whether its answers have a key at all.
    pub ask: Ask,
    key: Vec<u8>,
    /// Tag and profile of the other side's last line.
    heard: Option<(u32, Ask)>,
    theirs: Option<String>,
    out: Line,
    back: Option<Line>,
    /// Keys the other side has used, in order.
    pub keys: Vec<String>,
}

impl Sdes {
    pub fn new(suite: &'static str, ask: Ask, seed: u8) -> Self {
        let key = key_of(suite, seed);
        Sdes {
            suite,
            ask,
            out: Line::new(suite, &key),
            key,
            heard: None,
            theirs: None,
            back: None,
            keys: Vec::new(),
        }
    }

    /// Another key from the next packet on; the next description says so.
    pub fn change_key(&mut self, seed: u8) {
        self.key = key_of(self.suite, seed);
        self.out = Line::new(self.suite, &self.key);
    }

    /// Whether both sides have a key.
    pub fn is_agreed(&self) -> bool {
        self.back.is_some()
    }

    pub fn offer(&self, clear: String) -> String {
        self.described(clear, self.ask, 1)
    }

    /// In the profile of the offer, with its tag.
    pub fn answer(&self, clear: String) -> String {
        match (self.ask, self.heard) {
            (Ask::Savp | Ask::AvpCrypto, Some((tag, ask))) => self.described(clear, ask, tag),
            (Ask::Avp, _) | (_, None) => clear,
        }
    }

    fn described(&self, clear: String, ask: Ask, tag: u32) -> String {
        let text = match ask {
            Ask::Savp => clear.replace("RTP/AVP", "RTP/SAVP"),
            Ask::AvpCrypto => clear,
            Ask::Avp => return clear,
        };
        format!(
            "{text}a=crypto:{tag} {} inline:{}\r\n",
            self.suite,
            to_base64(&self.key)
        )
    }

    pub fn take_offer(&mut self, sdp: &str) {
        let savp = sdp.contains(" RTP/SAVP ");
        self.heard = None;
        for line in sdp.lines().filter_map(|line| line.strip_prefix("a=crypto:")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[1] == self.suite {
                let ask = if savp { Ask::Savp } else { Ask::AvpCrypto };
                self.heard = Some((words[0].parse().unwrap(), ask));
                self.hear_key(words[2]);
            }
        }
    }

    pub fn take_answer(&mut self, sdp: &str) {
        for line in sdp.lines().filter_map(|line| line.strip_prefix("a=crypto:")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[..2], ["1", self.suite], "an answer repeats tag and suite");
            self.hear_key(words[2]);
        }
    }

    fn hear_key(&mut self, parameter: &str) {
        let inline = parameter.strip_prefix("inline:").unwrap();
        if self.theirs.as_deref() != Some(inline) {
            self.back = Some(Line::from_inline(self.suite, inline));
            self.theirs = Some(inline.to_owned());
            self.keys.push(inline.to_owned());
        }
    }

    /// Clear until agreed, as a phone with nothing agreed has no choice.
    pub fn seal(&mut self, packet: Vec<u8>) -> Vec<u8> {
        if self.is_agreed() && self.ask != Ask::Avp {
            self.out.protect_rtp(&packet)
        } else {
            packet
        }
    }

    pub fn open(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        match &mut self.back {
            Some(line) => line.unprotect_rtp(packet),
            None => Some(packet.to_vec()),
        }
    }

    pub fn open_rtcp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        self.back.as_ref()?.unprotect_rtcp(packet)
    }
}

fn key_of(suite: &str, seed: u8) -> Vec<u8> {
    let (key, salt) = lengths(suite);
    (0..key + salt)
        .map(|n| (n as u8).wrapping_mul(7) ^ seed)
        .collect()
}
