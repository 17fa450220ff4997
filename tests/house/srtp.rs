//! SRTP and SDES as another hand wrote them, straight from RFC 3711, 4568, 6188 and 7714: stateless but for
//! what `Line` keeps, and trusting, as only tests use it.

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt, KeyInit};
use aes_gcm::aead::{Aead, Payload};
use hmac::Mac;

/// Names of the suites.
pub const SUITES: [&str; 6] = [
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AEAD_AES_128_GCM",
    "AEAD_AES_256_GCM",
];

/// Session keys of one direction.
#[derive(Clone)]
pub struct Line {
    is_gcm: bool,
    rtp_tag: usize,
    /// Cipher key, authentication key, salt: of RTP, then of RTCP.
    keys: [[Vec<u8>; 3]; 2],
    roc: u32,
    last: Option<u16>,
    index: u32,
}

/// Bytes of master key and salt.
pub fn lengths(suite: &str) -> (usize, usize) {
    let key = if suite.contains("256") { 32 } else { 16 };
    (key, if suite.contains("GCM") { 12 } else { 14 })
}

impl Line {
    /// From a master key with its salt behind it.
    pub fn new(suite: &str, master: &[u8]) -> Self {
        let (key_len, salt_len) = lengths(suite);
        assert_eq!(master.len(), key_len + salt_len, "{suite}");
        let (key, salt) = master.split_at(key_len);
        let derive = |label, len| derive(key, salt, label, len);
        Line {
            is_gcm: suite.contains("GCM"),
            rtp_tag: if suite.ends_with("_32") { 4 } else { 10 },
            keys: [
                [derive(0, key_len), derive(1, 20), derive(2, salt_len)],
                [derive(3, key_len), derive(4, 20), derive(5, salt_len)],
            ],
            roc: 0,
            last: None,
            index: 0,
        }
    }

    /// From what stands behind `inline:`.
    pub fn from_inline(suite: &str, inline: &str) -> Self {
        Line::new(suite, &from_base64(inline))
    }

    pub fn protect_rtp(&mut self, packet: &[u8]) -> Vec<u8> {
        let roc = self.follow(packet);
        let header = header_len(packet);
        let [key, auth, salt] = &self.keys[0];
        let (ssrc, seq) = (&packet[8..12], &packet[2..4]);
        let mut out = packet.to_vec();
        if self.is_gcm {
            let iv = gcm_iv(salt, &[ssrc, &roc.to_be_bytes(), seq]);
            let sealed = gcm_seal(key, &iv, &packet[header..], &packet[..header]);
            out.truncate(header);
            out.extend(sealed);
            return out;
        }
        cm(
            key,
            &cm_iv(salt, &[ssrc, &roc.to_be_bytes(), seq]),
            &mut out[header..],
        );
        let tag = hmac_sha1(auth, &[&out, &roc.to_be_bytes()]);
        out.extend(&tag[..self.rtp_tag]);
        out
    }

    /// None where the tag is wrong.
    pub fn unprotect_rtp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let before = (self.roc, self.last);
        let roc = self.follow(packet);
        let opened = self.open_rtp(packet, roc);
        if opened.is_none() {
            (self.roc, self.last) = before;
        }
        opened
    }

    fn open_rtp(&self, packet: &[u8], roc: u32) -> Option<Vec<u8>> {
        let header = header_len(packet);
        let [key, auth, salt] = &self.keys[0];
        let (ssrc, seq) = (&packet[8..12], &packet[2..4]);
        if self.is_gcm {
            let iv = gcm_iv(salt, &[ssrc, &roc.to_be_bytes(), seq]);
            let opened = gcm_open(key, &iv, packet.get(header..)?, &packet[..header])?;
            return Some([&packet[..header], &opened].concat());
        }
        let body = packet
            .len()
            .checked_sub(self.rtp_tag)
            .filter(|end| *end >= header)?;
        let (body, tag) = packet.split_at(body);
        if hmac_sha1(auth, &[body, &roc.to_be_bytes()])[..self.rtp_tag] != *tag {
            return None;
        }
        let mut out = body.to_vec();
        cm(
            key,
            &cm_iv(salt, &[ssrc, &roc.to_be_bytes(), seq]),
            &mut out[header..],
        );
        Some(out)
    }

    pub fn protect_rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        self.index += 1;
        let (index, e_index) = (self.index.to_be_bytes(), (self.index | 1 << 31).to_be_bytes());
        let [key, auth, salt] = &self.keys[1];
        let ssrc = &packet[4..8];
        let mut out = packet.to_vec();
        if self.is_gcm {
            let iv = gcm_iv(salt, &[ssrc, &[0, 0], &index]);
            let sealed = gcm_seal(key, &iv, &packet[8..], &[&packet[..8], &e_index].concat());
            return [&packet[..8], &sealed, &e_index].concat();
        }
        cm(key, &cm_iv(salt, &[ssrc, &[0, 0], &index]), &mut out[8..]);
        out.extend(e_index);
        let tag = hmac_sha1(auth, &[&out]);
        out.extend(&tag[..10]);
        out
    }

    /// None where the tag is wrong.
    pub fn unprotect_rtcp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let [key, auth, salt] = &self.keys[1];
        let ssrc = packet.get(4..8)?;
        if self.is_gcm {
            let (body, e_index) = packet.split_at_checked(packet.len().checked_sub(4)?)?;
            let index = without_e(e_index);
            let iv = gcm_iv(salt, &[ssrc, &[0, 0], &index]);
            let opened = gcm_open(key, &iv, body.get(8..)?, &[&packet[..8], e_index].concat())?;
            return Some([&packet[..8], &opened].concat());
        }
        let (body, tag) = packet.split_at_checked(packet.len().checked_sub(10)?)?;
        if hmac_sha1(auth, &[body])[..10] != *tag {
            return None;
        }
        let (body, e_index) = body.split_at_checked(body.len().checked_sub(4)?)?;
        let mut out = body.to_vec();
        cm(
            key,
            &cm_iv(salt, &[ssrc, &[0, 0], &without_e(e_index)]),
            out.get_mut(8..)?,
        );
        Some(out)
    }

    /// The rollover counter of a packet (RFC 3711 §3.3.1).
    fn follow(&mut self, packet: &[u8]) -> u32 {
        let seq = u16::from_be_bytes([packet[2], packet[3]]);
        let Some(last) = self.last.replace(seq) else {
            return self.roc;
        };
        if last > 0xc000 && seq < 0x4000 {
            self.roc += 1;
        }
        if last < 0x4000 && seq > 0xc000 {
            self.last = Some(last);
            return self.roc.wrapping_sub(1);
        }
        self.roc
    }
}

/// RFC 3711 §4.3.1 with a key derivation rate of 0, RFC 6188 §3, RFC 7714 §11.
pub fn derive(key: &[u8], salt: &[u8], label: u8, len: usize) -> Vec<u8> {
    let mut iv = [0; 16];
    iv[..salt.len()].copy_from_slice(salt);
    iv[7] ^= label;
    let mut out = vec![0; len];
    cm(key, &iv, &mut out);
    out
}

/// AES in counter mode (RFC 3711 §4.1.1): the last 16 bits count.
pub fn cm(key: &[u8], iv: &[u8; 16], data: &mut [u8]) {
    for (count, chunk) in data.chunks_mut(16).enumerate() {
        let mut block = *iv;
        let low = u16::from_be_bytes([iv[14], iv[15]]).wrapping_add(count as u16);
        block[14..].copy_from_slice(&low.to_be_bytes());
        let mut block = GenericArray::from(block);
        match key.len() {
            16 => aes::Aes128::new_from_slice(key)
                .unwrap()
                .encrypt_block(&mut block),
            _ => aes::Aes256::new_from_slice(key)
                .unwrap()
                .encrypt_block(&mut block),
        }
        for (byte, mask) in chunk.iter_mut().zip(block) {
            *byte ^= mask;
        }
    }
}

/// SSRC and index, shifted left by 16 bits, over the salt (RFC 3711 §4.1.1).
fn cm_iv(salt: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut iv = [0; 16];
    for (place, byte) in iv[4..].iter_mut().zip(parts.concat()) {
        *place = byte;
    }
    for (place, byte) in iv.iter_mut().zip(salt) {
        *place ^= byte;
    }
    iv
}

/// RFC 7714 §8.1, §9.1.
fn gcm_iv(salt: &[u8], parts: &[&[u8]]) -> [u8; 12] {
    let mut iv = [0; 12];
    for (place, byte) in iv[2..].iter_mut().zip(parts.concat()) {
        *place = byte;
    }
    for (place, byte) in iv.iter_mut().zip(salt) {
        *place ^= byte;
    }
    iv
}

pub fn gcm_seal(key: &[u8], iv: &[u8; 12], msg: &[u8], aad: &[u8]) -> Vec<u8> {
    let (nonce, payload) = (GenericArray::from_slice(iv), Payload { msg, aad });
    match key.len() {
        16 => aes_gcm::Aes128Gcm::new_from_slice(key)
            .unwrap()
            .encrypt(nonce, payload),
        _ => aes_gcm::Aes256Gcm::new_from_slice(key)
            .unwrap()
            .encrypt(nonce, payload),
    }
    .unwrap()
}

fn gcm_open(key: &[u8], iv: &[u8; 12], msg: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let (nonce, payload) = (GenericArray::from_slice(iv), Payload { msg, aad });
    match key.len() {
        16 => aes_gcm::Aes128Gcm::new_from_slice(key)
            .unwrap()
            .decrypt(nonce, payload),
        _ => aes_gcm::Aes256Gcm::new_from_slice(key)
            .unwrap()
            .decrypt(nonce, payload),
    }
    .ok()
}

fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <hmac::Hmac<sha1::Sha1> as Mac>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn without_e(e_index: &[u8]) -> [u8; 4] {
    let mut index: [u8; 4] = e_index.try_into().unwrap();
    index[0] &= 0x7f;
    index
}

fn header_len(packet: &[u8]) -> usize {
    let fixed = 12 + 4 * usize::from(packet[0] & 0xf);
    if packet[0] & 0x10 == 0 {
        return fixed;
    }
    fixed + 4 + 4 * usize::from(u16::from_be_bytes([packet[fixed + 2], packet[fixed + 3]]))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub fn from_base64(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut held) = (0u32, 0);
    for letter in text.bytes().take_while(|letter| *letter != b'=') {
        let value = BASE64.iter().position(|known| *known == letter).unwrap();
        (bits, held) = (bits << 6 | value as u32, held + 6);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

pub fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(group);
        for letter in 0..4 {
            let place = (bits >> (18 - 6 * letter)) & 63;
            out.push(if letter > chunk.len() {
                '='
            } else {
                BASE64[place as usize] as char
            });
        }
    }
    out
}
