use proptest::prelude::*;
use webrtc_srtp::context::Context;

use super::*;

fn key(suite: SrtpSuite, seed: u8) -> MasterKey {
    let bytes: Vec<u8> = (0..46).map(|place| place ^ seed).collect();
    let (key, salt) = bytes.split_at(suite.key_bytes());
    MasterKey::new(suite, key, &salt[..suite.salt_bytes()]).unwrap()
}

fn keys(suite: SrtpSuite, send: u8, receive: u8) -> SrtpKeys {
    SrtpKeys {
        send: key(suite, send),
        receive: key(suite, receive),
    }
}

/// Two ends of one stream.
fn pair(suite: SrtpSuite) -> (Srtp, Srtp) {
    (Srtp::new(&keys(suite, 1, 2)), Srtp::new(&keys(suite, 2, 1)))
}

fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([sequence as u8; 160]);
    packet
}

/// A receiver report without blocks (RFC 3550 §6.4.2), and something behind it.
fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 202, 0, 3]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(*b"\x01\x04name\0\0");
    packet
}

fn at(ms: u64) -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now) + Duration::from_millis(ms)
}

#[test]
fn every_suite_takes_what_it_sent_and_nothing_that_was_changed() {
    for suite in SrtpSuite::ALL {
        let (mut a, mut b) = pair(suite);
        let plain = rtp(7, 1);
        let sent = a.protect_rtp(&plain).unwrap();
        assert_eq!(sent.len(), plain.len() + suite.rtp_tag_bytes());
        assert!(!sent.windows(20).any(|window| window == [1; 20]), "{suite:?}");
        for place in 0..sent.len() {
            let mut changed = sent.to_vec();
            changed[place] ^= 0x20;
            assert!(b.unprotect_rtp(&changed, at(0)).is_err(), "{suite:?} {place}");
        }
        assert_eq!(b.unprotect_rtp(&sent, at(0)).unwrap(), plain, "{suite:?}");

        let plain = rtcp(7);
        let sent = a.protect_rtcp(&plain).unwrap();
        assert_eq!(sent.len(), plain.len() + 4 + suite.rtcp_tag_bytes());
        for place in 0..sent.len() {
            let mut changed = sent.to_vec();
            changed[place] ^= 0x80;
            assert!(b.unprotect_rtcp(&changed, at(0)).is_err(), "{suite:?} {place}");
        }
        assert_eq!(b.unprotect_rtcp(&sent, at(0)).unwrap(), plain, "{suite:?}");
    }
}

/// The first of the crate's faults: unauthenticated RTCP with the E bit 0 comes out as if it were good.
#[test]
fn rtcp_without_its_e_bit_is_dropped_before_the_crate_sees_it() {
    let suite = SrtpSuite::AesCm128Sha1_80;
    let mut forged = rtcp(7);
    forged.extend([0, 0, 0, 1]);
    forged.extend([0x55; 10]);
    let key = key(suite, 1);
    let mut bare = Context::new(key.key(), key.salt(), suite.profile(), None, None).unwrap();
    assert!(
        bare.decrypt_rtcp(&forged).is_ok(),
        "the guard is for a fault that is there"
    );
    let (_, mut b) = pair(suite);
    assert_eq!(b.unprotect_rtcp(&forged, at(0)), Err(Refused::Malformed));
}

/// The second: 4 to 13 bytes of RTCP make it read before their beginning.
#[test]
fn rtcp_of_every_short_length_is_refused() {
    for suite in SrtpSuite::ALL {
        let (_, mut b) = pair(suite);
        for len in 0..64 {
            let datagram: Vec<u8> = [0x80, 201, 0, 1]
                .into_iter()
                .chain([0xff; 60])
                .take(len)
                .collect();
            let least = 8 + 4 + suite.rtcp_tag_bytes();
            let expected = if len < least {
                Refused::Malformed
            } else {
                Refused::Tag
            };
            assert_eq!(
                b.unprotect_rtcp(&datagram, at(0)),
                Err(expected),
                "{suite:?} {len}"
            );
        }
    }
}

/// The third: state for whatever SSRC is shown to it.
#[test]
fn unproved_ssrcs_leave_a_bounded_state_and_proved_ones_are_counted() {
    let suite = SrtpSuite::AesCm128Sha1_80;
    let (mut a, _) = pair(suite);
    let mut receiver = Receiver::new(&key(suite, 1));
    for ssrc in 0..100_000 {
        let mut forged = rtp(ssrc, 1);
        forged.extend([0; 10]);
        assert_eq!(receiver.unprotect_rtp(&forged), Err(Refused::Tag));
        let (proved, tried) = receiver.states();
        assert!(proved == 0 && tried <= 64);
    }
    for ssrc in 0..SSRCS_MAX as u32 {
        // A sender has one SSRC; so many are so many senders with one key.
        let sent = Srtp::new(&keys(suite, 1, 2)).protect_rtp(&rtp(ssrc, 1)).unwrap();
        assert!(receiver.unprotect_rtp(&sent).is_ok());
    }
    let sent = a.protect_rtp(&rtp(99, 1)).unwrap();
    assert_eq!(receiver.unprotect_rtp(&sent), Err(Refused::Ssrc));
    assert_eq!(receiver.states().0, SSRCS_MAX);
}

/// The fourth: no window unless asked for. RFC 3711 §3.3.2, docs/threats.md A14.
#[test]
fn a_packet_is_taken_once() {
    for suite in SrtpSuite::ALL {
        let (mut a, mut b) = pair(suite);
        let sent: Vec<_> = (0..300_u16).map(|n| a.protect_rtp(&rtp(7, n)).unwrap()).collect();
        for packet in &sent {
            assert!(b.unprotect_rtp(packet, at(0)).is_ok());
            assert_eq!(b.unprotect_rtp(packet, at(0)), Err(Refused::Replay));
            assert_eq!(b.unprotect_rtp(packet, at(0)), Err(Refused::Replay));
        }
        for packet in &sent {
            assert_eq!(b.unprotect_rtp(packet, at(0)), Err(Refused::Replay));
        }
        let report = a.protect_rtcp(&rtcp(7)).unwrap();
        assert!(b.unprotect_rtcp(&report, at(0)).is_ok());
        assert_eq!(b.unprotect_rtcp(&report, at(0)), Err(Refused::Replay));
    }
}

#[test]
fn packets_in_another_order_are_all_taken_within_the_window() {
    let (mut a, mut b) = pair(SrtpSuite::AesCm128Sha1_80);
    let sent: Vec<_> = (0..WINDOW_PACKETS as u16)
        .map(|n| a.protect_rtp(&rtp(7, n)).unwrap())
        .collect();
    assert!(b.unprotect_rtp(sent.last().unwrap(), at(0)).is_ok());
    for packet in sent.iter().rev().skip(1) {
        assert!(b.unprotect_rtp(packet, at(0)).is_ok());
    }
}

/// A fault beside the four: the crate starts an SSRC's window with the first packet, forged or not.
#[test]
fn a_forged_first_packet_does_not_move_the_window() {
    let (mut a, mut b) = pair(SrtpSuite::AesCm128Sha1_80);
    for sequence in [60_000, 30_000, 2_000] {
        let mut forged = rtp(7, sequence);
        forged.extend([0; 10]);
        assert_eq!(b.unprotect_rtp(&forged, at(0)), Err(Refused::Tag));
    }
    let sent = a.protect_rtp(&rtp(7, 100)).unwrap();
    assert!(b.unprotect_rtp(&sent, at(0)).is_ok());
}

/// Another: an extension element that claims more than there is makes its header reader panic.
#[test]
fn an_extension_that_runs_over_is_no_panic() {
    for profile in [[0xbe, 0xde], [0x10, 0x00]] {
        for suite in SrtpSuite::ALL {
            let (mut a, mut b) = pair(suite);
            let mut packet = rtp(7, 1)[..12].to_vec();
            packet[0] |= 0x10;
            packet.extend(profile);
            packet.extend([0, 1, 0x5f, 0xff, 0xff, 0xff]);
            let sent = a.protect_rtp(&packet).unwrap();
            assert_eq!(sent[..20], packet[..20], "the extension is not encrypted");
            assert_eq!(b.unprotect_rtp(&sent, at(0)).unwrap(), packet);
            packet.extend([0; 16]);
            packet[3] = 2;
            assert_eq!(b.unprotect_rtp(&packet, at(0)), Err(Refused::Tag));
        }
    }
}

/// docs/threats.md A9: every first byte at every length.
#[test]
fn every_first_byte_at_every_length_is_refused_in_peace() {
    for suite in SrtpSuite::ALL {
        let (_, mut b) = pair(suite);
        for first in 0..=255 {
            for len in 0..=80 {
                let datagram: Vec<u8> = std::iter::once(first).chain([0x11; 79]).take(len).collect();
                assert!(b.unprotect_rtp(&datagram, at(0)).is_err());
                assert!(b.unprotect_rtcp(&datagram, at(0)).is_err());
            }
        }
    }
}

/// docs/threats.md F6: from 65,500 over the wrap, with every tenth packet lost, twice around.
#[test]
fn the_rollover_counter_goes_on_over_the_wrap() {
    for suite in SrtpSuite::ALL {
        let (mut a, mut b) = pair(suite);
        let mut sequence = 65_500_u16;
        for n in 0..140_000_u32 {
            // The middle of each round is left out: thousands of packets, as a long loss would.
            let step = if n % 2 == 0 { 1 } else { 700 };
            sequence = sequence.wrapping_add(step);
            let plain = rtp(7, sequence);
            let sent = a.protect_rtp(&plain).unwrap();
            if n % 10 == 3 {
                continue;
            }
            assert_eq!(
                b.unprotect_rtp(&sent, at(0)).as_deref(),
                Ok(plain.as_slice()),
                "{suite:?} {n}"
            );
            if n > 2_000 {
                break;
            }
        }
    }
}

#[test]
fn late_packets_of_the_round_before_are_taken() {
    let (mut a, mut b) = pair(SrtpSuite::AesCm128Sha1_80);
    let sent: Vec<_> = (0..8_u16)
        .map(|n| a.protect_rtp(&rtp(7, 65_532_u16.wrapping_add(n))).unwrap())
        .collect();
    for place in [0, 1, 5, 2, 3, 6, 4, 7] {
        assert!(b.unprotect_rtp(&sent[place], at(0)).is_ok(), "{place}");
    }
}

/// docs/threats.md A14: forged sequence jumps move nothing; true ones are followed to half a round.
#[test]
fn jumps_of_the_sequence_leave_the_audio_intact() {
    let (mut a, mut b) = pair(SrtpSuite::AesCm128Sha1_80);
    for n in 0..200_u16 {
        let plain = rtp(7, 1000 + n);
        let sent = a.protect_rtp(&plain).unwrap();
        for jump in [32_767_u16, 32_769] {
            let mut forged = sent.to_vec();
            forged[2..4].copy_from_slice(&(1000 + n).wrapping_add(jump).to_be_bytes());
            assert!(b.unprotect_rtp(&forged, at(0)).is_err());
        }
        assert_eq!(b.unprotect_rtp(&sent, at(0)).unwrap(), plain);
    }
    let far = a.protect_rtp(&rtp(7, 1199 + 32_766)).unwrap();
    assert!(b.unprotect_rtp(&far, at(0)).is_ok());
    let next = a.protect_rtp(&rtp(7, 1200 + 32_766)).unwrap();
    assert!(b.unprotect_rtp(&next, at(0)).is_ok());
}

#[test]
fn no_index_is_used_twice() {
    let (mut a, mut b) = pair(SrtpSuite::AesCm128Sha1_80);
    for sequence in [10, 12, 11, 500, 499, 400] {
        let sent = a.protect_rtp(&rtp(7, sequence)).unwrap();
        assert!(b.unprotect_rtp(&sent, at(0)).is_ok(), "{sequence}");
        assert!(a.protect_rtp(&rtp(7, sequence)).is_none(), "{sequence}");
    }
    // Out of what is remembered.
    assert!(a.protect_rtp(&rtp(7, 371)).is_none());
}

#[test]
fn what_is_no_packet_is_not_sent() {
    let (mut a, _) = pair(SrtpSuite::AesCm128Sha1_80);
    assert!(a.protect_rtp(&[0x80; 11]).is_none());
    assert!(a.protect_rtcp(&[0x80; 7]).is_none());
}

#[test]
fn a_new_key_of_the_peer_comes_without_a_gap() {
    let suite = SrtpSuite::AesCm128Sha1_80;
    let (mut a, mut b) = pair(suite);
    let take = |b: &mut Srtp, packet: &Bytes, ms| b.unprotect_rtp(packet, at(ms)).is_ok();
    let first = a.protect_rtp(&rtp(7, 65_535)).unwrap();
    let wrapped = a.protect_rtp(&rtp(7, 0)).unwrap();
    assert!(take(&mut b, &first, 0) && take(&mut b, &wrapped, 0));
    b.configure(&keys(suite, 2, 9));
    // The peer has not changed yet: its round goes on.
    let old = [1, 2, 3].map(|n| a.protect_rtp(&rtp(7, n)).unwrap());
    assert!(take(&mut b, &old[0], 20));
    let mut changed = Srtp::new(&keys(suite, 9, 2));
    // Under its new key its rollover counter begins at zero.
    let new = changed.protect_rtp(&rtp(7, 4)).unwrap();
    assert!(take(&mut b, &new, 40));
    // One was turned around on the way, one comes long after.
    assert!(take(&mut b, &old[1], 60));
    assert!(!take(&mut b, &old[2], 41 + OVERLAP.as_millis() as u64));
    // Ours was kept, with its index.
    assert!(b.protect_rtp(&rtp(8, 1)).is_some());
    b.configure(&keys(suite, 2, 9));
    assert!(b.protect_rtp(&rtp(8, 1)).is_none());
    assert!(
        !take(&mut b, &new, 700),
        "the window is kept with the key that stays"
    );
}

/// RFC 3711 §3.3.1: the rollover counter belongs to the key, whatever is said in between.
#[test]
fn a_key_that_stays_keeps_its_round_whatever_is_agreed_anew() {
    for suite in SrtpSuite::ALL {
        let (mut a, mut b) = pair(suite);
        // Three rounds, with an agreement that changes no key in each.
        for n in (60_000..200_000_u32).step_by(500) {
            let plain = rtp(7, n as u16);
            let there = a.protect_rtp(&plain).unwrap();
            assert_eq!(b.unprotect_rtp(&there, at(0)).unwrap(), plain, "{suite:?} {n}");
            let back = b.protect_rtp(&plain).unwrap();
            assert_eq!(a.unprotect_rtp(&back, at(0)).unwrap(), plain, "{suite:?} {n}");
            if n % 20_000 == 0 {
                a.configure(&keys(suite, 1, 2));
                b.configure(&keys(suite, 2, 1));
            }
        }
    }
}

/// RFC 3711 §3.2.3: a context is of one SSRC; a new one begins its own round under the key that stays.
#[test]
fn another_ssrc_under_the_same_key_has_a_round_of_its_own() {
    let suite = SrtpSuite::AesCm128Sha1_80;
    let (mut a, mut b) = pair(suite);
    let take = |a: &mut Srtp, b: &mut Srtp, ssrc, sequence| {
        let sent = a.protect_rtp(&rtp(ssrc, sequence)).unwrap();
        b.unprotect_rtp(&sent, at(0)).is_ok()
    };
    for sequence in [65_534, 65_535, 0, 1] {
        assert!(take(&mut a, &mut b, 7, sequence));
    }
    b.configure(&keys(suite, 2, 1));
    // The far end was transferred: who comes has the key, and a sequence of its own that turns too.
    let mut next = Srtp::new(&keys(suite, 1, 2));
    for sequence in [65_000, 65_535, 0, 1, 30_000, 60_000, 2] {
        assert!(take(&mut next, &mut b, 8, sequence), "{sequence}");
    }
    // The first one comes back in its own round.
    assert!(take(&mut a, &mut b, 7, 2));
}

#[test]
fn a_peer_that_goes_back_to_the_key_it_never_left_is_heard_in_its_round() {
    let suite = SrtpSuite::AesCm128Sha1_80;
    let (mut a, mut b) = pair(suite);
    let sent = [65_534, 65_535, 0, 1, 2, 3, 4].map(|n| a.protect_rtp(&rtp(7, n)).unwrap());
    let take = |b: &mut Srtp, n: usize| b.unprotect_rtp(&sent[n], at(0)).is_ok();
    assert!(take(&mut b, 0) && take(&mut b, 1) && take(&mut b, 2));
    // Two changes that the peer takes back before it sends anything under them.
    b.configure(&keys(suite, 2, 9));
    b.configure(&keys(suite, 2, 8));
    assert!(take(&mut b, 3), "still under the first");
    b.configure(&keys(suite, 2, 1));
    assert!(
        take(&mut b, 4) && !take(&mut b, 4),
        "in its round, with its window"
    );
    // And what was announced last is taken where the peer means it.
    b.configure(&keys(suite, 2, 9));
    b.configure(&keys(suite, 2, 8));
    let new = Srtp::new(&keys(suite, 8, 2)).protect_rtp(&rtp(7, 5)).unwrap();
    assert!(b.unprotect_rtp(&new, at(0)).is_ok());
    assert!(take(&mut b, 5), "what was under way under the first");
}

/// RFC 3711 §3.3.1 has the counter go on under a new key, RFC 4568 §7.1.4 begins it anew with a new address.
#[test]
fn under_a_new_key_a_peer_may_go_on_in_its_round_or_begin_anew() {
    for suite in SrtpSuite::ALL {
        for rounds in [1_u32, 2, 40] {
            for goes_on in [true, false] {
                let (mut a, mut b) = pair(suite);
                let end = (rounds << 16) + 500;
                let last = (0..=end).step_by(0x6000).chain([end]);
                for n in last.clone() {
                    let sent = a.protect_rtp(&rtp(7, n as u16)).unwrap();
                    assert!(b.unprotect_rtp(&sent, at(0)).is_ok());
                }
                b.configure(&keys(suite, 2, 9));
                let mut next = Srtp::new(&keys(suite, 9, 2));
                if goes_on {
                    // The same peer, had it had this key from the start.
                    last.for_each(|n| drop(next.protect_rtp(&rtp(7, n as u16))));
                }
                for n in end + 1..end + 20 {
                    let plain = rtp(7, n as u16);
                    let sent = next.protect_rtp(&plain).unwrap();
                    let taken = b.unprotect_rtp(&sent, at(0));
                    assert_eq!(
                        taken.as_deref(),
                        Ok(plain.as_slice()),
                        "{suite:?} {rounds} {goes_on}"
                    );
                    assert_eq!(b.unprotect_rtp(&sent, at(0)), Err(Refused::Replay));
                }
                // Over the next turn as well.
                for n in [end + 0x7000, end + 0xe000, end + 0x15000] {
                    let sent = next.protect_rtp(&rtp(7, n as u16)).unwrap();
                    assert!(
                        b.unprotect_rtp(&sent, at(0)).is_ok(),
                        "{suite:?} {rounds} {goes_on}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_round_too_far_off_is_not_gone_on_with() {
    let mut far = rounds::Rounds::default();
    far.begin(7, u64::from(ROUNDS_MAX) << 16);
    assert_eq!(far.later(7, 5), Some((u64::from(ROUNDS_MAX) << 16) + 5));
    far.begin(7, u64::from(ROUNDS_MAX + 1) << 16);
    assert_eq!((far.later(7, 5), far.later(8, 5)), (None, None));
    let mut first = rounds::Rounds::default();
    first.note(7, 60_000);
    assert_eq!(
        first.later(7, 60_001),
        None,
        "the first round is tried in any case"
    );
    assert_eq!(first.later(7, 2), Some(0x1_0002));
}

#[test]
fn a_key_of_ours_that_changes_begins_anew() {
    let suite = SrtpSuite::AeadAes128Gcm;
    let (mut a, _) = pair(suite);
    a.protect_rtp(&rtp(7, 65_535)).unwrap();
    a.protect_rtp(&rtp(7, 0)).unwrap();
    a.configure(&keys(suite, 5, 2));
    let sent = a.protect_rtp(&rtp(7, 1)).unwrap();
    let mut fresh = Srtp::new(&keys(suite, 2, 5));
    assert!(fresh.unprotect_rtp(&sent, at(0)).is_ok());
}

#[test]
fn keys_have_the_lengths_of_their_suite_and_are_not_shown() {
    for suite in SrtpSuite::ALL {
        let (key_bytes, salt_bytes) = (suite.key_bytes(), suite.salt_bytes());
        let bytes = [0xab; 46];
        assert!(MasterKey::new(suite, &bytes[..key_bytes - 1], &bytes[..salt_bytes]).is_none());
        assert!(MasterKey::new(suite, &bytes[..key_bytes], &bytes[..salt_bytes + 1]).is_none());
        let stream = Srtp::new(&keys(suite, 0xab, 0xab));
        let shown = format!("{stream:?} {:?}", keys(suite, 0xab, 0xab));
        assert!(!shown.contains("171") && !shown.contains("ab, "), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

    #[test]
    fn no_bytes_panic(
        which in 0..SrtpSuite::ALL.len(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        shaped in any::<bool>(),
    ) {
        let (mut a, mut b) = pair(SrtpSuite::ALL[which]);
        let mut bytes = bytes;
        if let (true, Some(first)) = (shaped, bytes.first_mut()) {
            *first = *first & 0x3f | 0x80;
        }
        prop_assert!(b.unprotect_rtp(&bytes, at(0)).is_err());
        prop_assert!(b.unprotect_rtcp(&bytes, at(0)).is_err());
        let _ = (a.protect_rtp(&bytes), a.protect_rtcp(&bytes));
    }

    #[test]
    fn a_packet_changed_anywhere_is_not_taken(
        which in 0..SrtpSuite::ALL.len(),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        len in 0..40_usize,
    ) {
        let (mut a, mut b) = pair(SrtpSuite::ALL[which]);
        let mut packet = rtp(7, 5);
        packet.truncate(12 + len);
        let mut sent = a.protect_rtp(&packet).unwrap().to_vec();
        let place = place.index(sent.len());
        sent[place] ^= 1 << bit;
        prop_assert!(b.unprotect_rtp(&sent, at(0)).is_err());
    }
}
