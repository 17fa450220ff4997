use super::super::model::LocalMedia;
use super::super::{Negotiated, accept_answer, answer, offer};
use super::*;

const KEY_1: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const KEY_2: &str = "NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj";
const SUITES: [CryptoSuite; 2] = [CryptoSuite::AesCm128Sha1_80, CryptoSuite::AesCm128Sha1_32];

fn ours(security: Security) -> LocalMedia {
    LocalMedia {
        security,
        ..LocalMedia::new("198.51.100.1".parse().unwrap(), 20000, 77)
    }
}

fn crypto(profile: Profile) -> Crypto {
    Crypto::new(profile).with_suites(&SUITES, &mut Rng::new([5; 32]))
}

/// off, optional, required.
fn rules() -> [Security; 3] {
    [
        Security::Clear,
        Security::Optional(crypto(Profile::Savp)),
        Security::Required(crypto(Profile::Savp)),
    ]
}

fn text(profile: &str, attributes: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 4000 {profile} 0\r\n{attributes}"
    )
}

fn line(tag: u32, suite: &str, key: &str) -> String {
    format!("a=crypto:{tag} {suite} inline:{key}\r\n")
}

fn answered(text: &str, rule: &Security) -> Result<(String, Negotiated), SdpError> {
    let (body, agreed) = answer(text.as_bytes(), &ours(rule.clone()))?;
    Ok((String::from_utf8(body.to_vec()).unwrap(), agreed))
}

/// Offer × setting: whether it is answered, and secure or clear.
#[test]
fn offers_against_our_rules() {
    let good = line(1, "AES_CM_128_HMAC_SHA1_80", KEY_1);
    let mki = line(1, "AES_CM_128_HMAC_SHA1_80", &format!("{KEY_1}|2^20|1:4"));
    let foreign = line(1, "F8_128_HMAC_SHA1_80", KEY_1);
    let (secure, clear) = (Ok(true), Ok(false));
    let (transport, crypto) = (Err(SdpError::Transport), Err(SdpError::Crypto));
    let table = [
        ("RTP/SAVP", good.as_str(), [transport, secure, secure]),
        ("RTP/SAVP", "", [transport, crypto, crypto]),
        ("RTP/SAVP", &mki, [transport, crypto, crypto]),
        ("RTP/SAVP", &foreign, [transport, crypto, crypto]),
        ("RTP/AVP", &good, [clear, secure, secure]),
        ("RTP/AVP", &mki, [clear, clear, transport]),
        ("RTP/AVP", "", [clear, clear, transport]),
        ("RTP/SAVPF", &good, [transport, transport, transport]),
        ("UDP/TLS/RTP/SAVP", &good, [transport, transport, transport]),
    ];
    for (profile, attributes, expected) in table {
        for (rule, expected) in rules().iter().zip(expected) {
            let result = answered(&text(profile, attributes), rule);
            let is_secure = result.as_ref().map(|(_, agreed)| agreed.crypto.is_some());
            assert_eq!(
                is_secure.map_err(|error| *error),
                expected,
                "{profile} {attributes} {rule:?}"
            );
            if let Err(error) = result {
                assert_eq!(error.status(), 488);
            } else if let Ok((body, agreed)) = result {
                assert!(body.contains(&format!("m=audio 20000 {profile} 0\r\n")), "{body}");
                assert_eq!(
                    body.matches("a=crypto:").count(),
                    usize::from(agreed.crypto.is_some())
                );
            }
        }
    }
}

#[test]
fn an_answer_repeats_the_tag_of_its_suite_and_has_a_key_of_ours() {
    let lines = line(5, "AES_CM_128_HMAC_SHA1_32", KEY_1) + &line(7, "AES_CM_128_HMAC_SHA1_80", KEY_2);
    let rule = Security::Required(crypto(Profile::Savp));
    let (body, agreed) = answered(&text("RTP/SAVP", &lines), &rule).unwrap();
    let agreed = agreed.crypto.unwrap();
    // Our order decides, as with codecs.
    assert_eq!(
        (agreed.tag, agreed.ours.suite()),
        (7, CryptoSuite::AesCm128Sha1_80)
    );
    assert_eq!(agreed.theirs.master_key(), b"70xwPH5@/,L:S1wY");
    let ours = agreed.line().value();
    assert!(ours.starts_with("7 AES_CM_128_HMAC_SHA1_80 inline:"));
    assert!(
        !ours.contains(KEY_2) && body.contains(&format!("a=crypto:{ours}\r\n")),
        "{body}"
    );
}

#[test]
fn of_two_lines_that_are_refused_and_taken_one_is_answered() {
    let lines = "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY\r\n\
                 m=audio 4002 RTP/AVP 0\r\n";
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{}",
        lines.replace("KEY", KEY_1)
    );
    let media = |body: &str| {
        let lines = body.lines().filter(|line| line.starts_with("m="));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let [off, optional, required] = rules().map(|rule| answered(&text, &rule).unwrap());
    assert_eq!(media(&off.0), ["m=audio 0 RTP/SAVP 0", "m=audio 20000 RTP/AVP 0"]);
    for (body, agreed) in [optional, required] {
        assert_eq!(media(&body), ["m=audio 20000 RTP/SAVP 0", "m=audio 0 RTP/AVP 0"]);
        assert!(agreed.crypto.is_some());
    }
}

#[test]
fn our_offers_list_every_suite_in_the_profile_asked_for() {
    for (profile, word) in [(Profile::Savp, "RTP/SAVP"), (Profile::Avp, "RTP/AVP")] {
        for rule in [
            Security::Optional(crypto(profile)),
            Security::Required(crypto(profile)),
        ] {
            let body = String::from_utf8(offer(&ours(rule)).to_vec()).unwrap();
            assert!(
                body.contains(&format!("m=audio 20000 {word} 0 8 101\r\n")),
                "{body}"
            );
            assert!(body.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"));
            assert!(body.contains("a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:"));
        }
    }
    let body = offer(&ours(Security::Clear));
    assert!(!String::from_utf8(body.to_vec()).unwrap().contains("crypto"));
}

/// Answers to our offers: the profile we offered in × setting.
#[test]
fn answers_against_our_rules() {
    let good = line(2, "AES_CM_128_HMAC_SHA1_32", KEY_1);
    let other_tag = line(3, "AES_CM_128_HMAC_SHA1_32", KEY_1);
    let other_suite = line(1, "AES_CM_128_HMAC_SHA1_32", KEY_1);
    let mki = line(2, "AES_CM_128_HMAC_SHA1_32", &format!("{KEY_1}|1:4"));
    let (secure, clear) = (Ok(true), Ok(false));
    let (transport, none) = (Err(SdpError::Transport), Err(SdpError::Crypto));
    // Clear; optional and required over AVP; optional and required over SAVP.
    let table = [
        ("RTP/AVP", "", [clear, clear, none, transport, transport]),
        (
            "RTP/AVP",
            good.as_str(),
            [clear, secure, secure, transport, transport],
        ),
        ("RTP/AVP", &other_tag, [clear, none, none, transport, transport]),
        ("RTP/AVP", &other_suite, [clear, none, none, transport, transport]),
        ("RTP/AVP", &mki, [clear, none, none, transport, transport]),
        ("RTP/SAVP", "", [transport, transport, transport, none, none]),
        (
            "RTP/SAVP",
            &good,
            [transport, transport, transport, secure, secure],
        ),
        (
            "RTP/SAVP",
            &other_tag,
            [transport, transport, transport, none, none],
        ),
        ("RTP/SAVP", &mki, [transport, transport, transport, none, none]),
    ];
    let rules = [
        Security::Clear,
        Security::Optional(crypto(Profile::Avp)),
        Security::Required(crypto(Profile::Avp)),
        Security::Optional(crypto(Profile::Savp)),
        Security::Required(crypto(Profile::Savp)),
    ];
    for (profile, attributes, expected) in table {
        for (rule, expected) in rules.iter().zip(expected) {
            let result = accept_answer(&ours(rule.clone()), text(profile, attributes).as_bytes());
            let is_secure = result.map(|agreed| agreed.crypto.is_some());
            assert_eq!(is_secure, expected, "{profile} {attributes} {rule:?}");
        }
    }
}

#[test]
fn both_sides_agree_on_both_keys() {
    for suite in CryptoSuite::ALL {
        let caller = Crypto::new(Profile::Avp).with_suites(&[suite], &mut Rng::new([1; 32]));
        let called = Crypto::new(Profile::Savp).with_suites(&CryptoSuite::ALL, &mut Rng::new([2; 32]));
        let (caller, called) = (ours(Security::Required(caller)), ours(Security::Optional(called)));
        let (body, answerer) = answer(&offer(&caller), &called).unwrap();
        let (offerer, answerer) = (accept_answer(&caller, &body).unwrap().crypto, answerer.crypto);
        let (offerer, answerer) = (offerer.unwrap(), answerer.unwrap());
        assert_eq!((offerer.ours.suite(), answerer.profile), (suite, Profile::Avp));
        assert_eq!(
            (&offerer.ours, &offerer.theirs),
            (&answerer.theirs, &answerer.ours)
        );
        assert_ne!(offerer.ours, offerer.theirs);
    }
}

#[test]
fn keys_are_kept_where_a_suite_stays_and_fresh_where_one_comes_back() {
    let mut rng = Rng::new([9; 32]);
    let first = Crypto::new(Profile::Savp).with_suites(&SUITES, &mut rng);
    assert_eq!(first.with_suites(&SUITES, &mut rng), first);
    let rule = Security::Required(first.clone());
    let (_, agreed) = answered(&text("RTP/SAVP", &line(1, SUITES[1].name(), KEY_1)), &rule).unwrap();
    let kept = Crypto::agreed(&agreed.crypto.unwrap());
    assert_eq!(kept.keys, [first.keys[1].clone()]);
    let again = kept.with_suites(&SUITES, &mut rng);
    assert_eq!(again.keys[1], first.keys[1]);
    assert_ne!(again.keys[0], first.keys[0]);
}

#[test]
fn one_seed_gives_the_same_keys_and_no_two_suites_share_one() {
    assert_eq!(crypto(Profile::Savp), crypto(Profile::Savp));
    let keys = crypto(Profile::Savp).keys;
    assert_ne!(keys[0].master_key(), keys[1].master_key());
}
