//! SRTP against the vectors of the RFCs: first the tests' own implementation, then the guard of the media
//! plane against that and against whole packets that others have published.

use std::time::Instant;

use house::srtp::{Line, SUITES, cm, derive, gcm_seal, lengths};
use media::srtp::{MasterKey, Srtp, SrtpKeys, SrtpSuite};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// RFC 3711 B.3.
const KEY_128: &str = "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6";
/// RFC 6188 §7.2.
const KEY_256: &str =
    "F0F04914B513F2763A1B1FA130F10E2998F6F6E43E4309D1E622A0E332B9F1B6 3B04803DE51EE7C96423AB5B78D2";

#[test]
fn rfc_3711_b_2_and_6188_7_1_the_key_stream_of_counter_mode() {
    let iv: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
    let table = [
        (
            "2B7E151628AED2A6ABF7158809CF4F3C",
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0",
        ),
        (
            "57f82fe3613fd170a85ec93c40b1f092 2ec4cb0dc025b58272147cc438944a98",
            "92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac 63c4868b7096d88421b563b8c94c9a31",
        ),
    ];
    for (key, expected) in table {
        let mut stream = [0; 48];
        cm(&hex(key), &iv, &mut stream);
        assert_eq!(stream[..], hex(expected));
    }
}

#[test]
fn rfc_3711_b_3_and_6188_7_2_keys_are_derived() {
    let table = [
        (
            KEY_128,
            16,
            "C61E7A93744F39EE10734AFE3FF7A087",
            "30CBBC08863D8C85D49DB34A9AE1",
            "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4",
        ),
        (
            KEY_256,
            32,
            "5BA1064E30EC51613CAD926C5A28EF731EC7FB397F70A960653CAF06554CD8C4",
            "FA31791685CA444A9E07C6C64E93",
            "FD9C32D39ED5FBB5A9DC96B30818454D1313DC05",
        ),
    ];
    for (master, key_len, cipher, salt, auth) in table {
        let master = hex(master);
        let (key, master_salt) = master.split_at(key_len);
        assert_eq!(derive(key, master_salt, 0, key_len), hex(cipher));
        assert_eq!(derive(key, master_salt, 2, 14), hex(salt));
        assert_eq!(derive(key, master_salt, 1, 20), hex(auth));
    }
}

/// RFC 7714 §16.1.1 names the session key and the IV; the tag is at the end.
#[test]
fn rfc_7714_16_1_a_packet_under_a_session_key() {
    let packet = hex(
        "8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e697320 64697669736120696e207061727465732074726573",
    );
    let iv: [u8; 12] = hex("51753c6580c2726f20718414").try_into().unwrap();
    let sealed = gcm_seal(
        &hex("000102030405060708090a0b0c0d0e0f"),
        &iv,
        &packet[12..],
        &packet[..12],
    );
    let expected = hex(
        "f24de3a3fb34de6cacba861c9d7e4bca be633bd50d294e6f42a5f47a51c7d19b 36de3adf8833899d7f27beb16a9152cf765ee4390cce",
    );
    assert_eq!(sealed, expected);
}

fn suites() -> impl Iterator<Item = (&'static str, SrtpSuite)> {
    SUITES.into_iter().zip(SrtpSuite::ALL)
}

fn guard(suite: SrtpSuite, ours: &[u8], theirs: &[u8]) -> Srtp {
    let key = |bytes: &[u8]| {
        let (key, salt) = bytes.split_at(suite.key_bytes());
        MasterKey::new(suite, key, salt).unwrap()
    };
    Srtp::new(&SrtpKeys {
        send: key(ours),
        receive: key(theirs),
    })
}

/// Whole packets, as libsrtp's own test program has them.
#[test]
fn the_guard_makes_and_takes_the_packets_others_publish() {
    let rtp = "800f1234decafbadcafebabe abababababababababababababababab";
    let rtcp = "81c8000bcafebabe abababababababababababababababab";
    let gcm = "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab";
    let table = [
        (
            SrtpSuite::AesCm128Sha1_80,
            KEY_128,
            "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb",
            Some("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798"),
        ),
        (
            SrtpSuite::Aes256CmSha1_80,
            KEY_256,
            "800f1234decafbadcafebabe f1d9de17ff251ff1aa007774b0b4b40d a08d9d9a5b3a55d8873b",
            None,
        ),
        (
            SrtpSuite::AeadAes128Gcm,
            gcm,
            "800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392",
            Some(
                "81c8000bcafebabe c98b8b5df0392a55852b6c21ac8e7025 c52c6fbea2b3b446ea31123ba88ce61e 80000001",
            ),
        ),
    ];
    let now = Instant::now();
    for (suite, key, srtp, srtcp) in table {
        let key = hex(key);
        let (mut a, mut b) = (guard(suite, &key, &key), guard(suite, &key, &key));
        assert_eq!(a.protect_rtp(&hex(rtp)).unwrap(), hex(srtp), "{suite:?}");
        assert_eq!(b.unprotect_rtp(&hex(srtp), now).unwrap(), hex(rtp), "{suite:?}");
        if let Some(srtcp) = srtcp {
            assert_eq!(a.protect_rtcp(&hex(rtcp)).unwrap(), hex(srtcp), "{suite:?}");
            assert_eq!(
                b.unprotect_rtcp(&hex(srtcp), now).unwrap(),
                hex(rtcp),
                "{suite:?}"
            );
        }
    }
}

fn rtp(sequence: u16, extended: bool) -> Vec<u8> {
    let mut packet = vec![if extended { 0x92 } else { 0x80 }, 0x88];
    packet.extend(sequence.to_be_bytes());
    packet.extend([1, 2, 3, 4, 0xca, 0xfe, 0xba, 0xbe]);
    if extended {
        packet.extend([9; 8]);
        // One-byte elements with padding between (RFC 8285 §4.2).
        packet.extend([0xbe, 0xde, 0, 2, 0x11, 1, 2, 0, 0, 0x20, 7, 0]);
    }
    packet.extend([sequence as u8; 80]);
    packet
}

/// Both ways, over the wrap of the sequence number, with CSRCs and extensions.
#[test]
fn the_guard_and_the_other_implementation_read_each_other() {
    let now = Instant::now();
    for (name, suite) in suites() {
        let (key_len, salt_len) = lengths(name);
        let ours: Vec<u8> = (0..key_len + salt_len).map(|n| n as u8 * 5).collect();
        let theirs: Vec<u8> = ours.iter().map(|byte| byte ^ 0xa5).collect();
        let mut guard = guard(suite, &ours, &theirs);
        let (mut out, mut back) = (Line::new(name, &theirs), Line::new(name, &ours));
        for n in 0..200_u16 {
            let plain = rtp(65_500_u16.wrapping_add(n), n % 3 == 0);
            let sent = guard.protect_rtp(&plain).unwrap();
            assert_eq!(
                back.unprotect_rtp(&sent).as_deref(),
                Some(&plain[..]),
                "{name} {n}"
            );
            let taken = guard.unprotect_rtp(&out.protect_rtp(&plain), now);
            assert_eq!(taken.as_deref(), Ok(&plain[..]), "{name} {n}");
            let report = [&hex("80c90001cafebabe81ca0002cafebabe")[..], &[n as u8; 8]].concat();
            let sent = guard.protect_rtcp(&report).unwrap();
            assert_eq!(
                back.unprotect_rtcp(&sent).as_deref(),
                Some(&report[..]),
                "{name} {n}"
            );
            let taken = guard.unprotect_rtcp(&out.protect_rtcp(&report), now);
            assert_eq!(taken.as_deref(), Ok(&report[..]), "{name} {n}");
        }
    }
}
