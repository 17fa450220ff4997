use proptest::prelude::*;

use super::*;

mod emergency;

fn policy() -> Policy {
    Policy::new(DialRules::default()).unwrap()
}

fn trunk(home: &str) -> TrunkNumbers {
    TrunkNumbers {
        home_country: (!home.is_empty()).then(|| home.to_owned()),
        caller_ids: vec!["*".to_owned()],
        ..TrunkNumbers::default()
    }
}

/// What the default lists say, as `step rule` or the number that is dialled.
fn outcome(to: &str, home: &str) -> String {
    let decision = policy().check_text(to, None, &trunk(home));
    match decision.dial {
        Some(dial) => dial,
        None => format!("{} {}", decision.step.name(), decision.rule),
    }
}

fn assert_outcomes(table: &[(&str, &str, &str)]) {
    let wrong: Vec<String> = table
        .iter()
        .map(|(to, home, expected)| (format!("{to} from {home:?}: "), outcome(to, home), *expected))
        .filter(|(_, outcome, expected)| outcome != expected)
        .map(|(what, outcome, expected)| format!("{what}{outcome} instead of {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_twelve_countries_pass_and_their_neighbours_do_not() {
    assert_outcomes(&[
        ("+61293744000", "", "+61293744000"),
        ("+16137827274", "", "+16137827274"),
        ("+861065529988", "", "+861065529988"),
        ("+4930123456", "", "+4930123456"),
        ("+85221234567", "", "+85221234567"),
        ("+97223456789", "", "+97223456789"),
        ("+81312345678", "", "+81312345678"),
        ("+525512345678", "", "+525512345678"),
        ("+6561234567", "", "+6561234567"),
        ("+4684060000", "", "+4684060000"),
        ("+12025550123", "", "+12025550123"),
        ("+442079460958", "", "+442079460958"),
        // Next to +1: Caribbean, Pacific, Puerto Rico.
        ("+18765551234", "", "region region:JM"),
        ("+16846331234", "", "region region:AS"),
        ("+17872345678", "", "region region:PR"),
        ("+12423651234", "", "region region:BS"),
        // Next to +44: the islands. Next to +86: Macau, Taiwan. Next to +972, +46, +49, +65, +61.
        ("+441534456789", "", "region region:JE"),
        ("+441481256789", "", "region region:GG"),
        ("+441624756789", "", "region region:IM"),
        ("+85328212345", "", "region region:MO"),
        ("+886221234567", "", "region region:TW"),
        ("+970599123456", "", "region region:PS"),
        ("+4722123456", "", "region region:NO"),
        ("+431234567890", "", "region region:AT"),
        ("+60321234567", "", "region region:MY"),
        ("+6432345678", "", "region region:NZ"),
        ("+73012345678", "", "region region:RU"),
        // No country at all.
        ("+883510012345", "", "region region:none"),
        ("+80012345678", "", "region region:none"),
    ]);
}

#[test]
fn hong_kong_is_no_part_of_the_china_entry() {
    let rules = DialRules {
        countries: vec!["CN".to_owned()],
        ..DialRules::default()
    };
    let policy = Policy::new(rules).unwrap();
    assert!(policy.check_text("+861065529988", None, &trunk("")).allow);
    let decision = policy.check_text("+85221234567", None, &trunk(""));
    assert_eq!((decision.allow, decision.rule.as_str()), (false, "region:HK"));
}

#[test]
fn countries_are_added_and_taken_away_by_the_lists() {
    let with = |countries: &[&str]| {
        let countries = countries.iter().map(|country| (*country).to_owned()).collect();
        Policy::new(DialRules {
            countries,
            ..DialRules::default()
        })
        .unwrap()
    };
    assert!(with(&["FR"]).check_text("+33123456789", None, &trunk("")).allow);
    assert!(!with(&["FR"]).check_text("+81312345678", None, &trunk("")).allow);
    assert!(!with(&[]).check_text("+81312345678", None, &trunk("")).allow);
    assert_ne!(with(&["FR"]).list_version(), with(&[]).list_version());
    assert_eq!(with(&["FR"]).list_version(), with(&["FR"]).list_version());
}

#[test]
fn denied_prefixes_come_before_the_region() {
    assert_outcomes(&[
        ("+447700900123", "", "deny_prefix deny_prefix:+447"),
        // The library puts these two in Guernsey and Man.
        ("+447911123456", "", "deny_prefix deny_prefix:+447"),
        ("+447624123456", "", "deny_prefix deny_prefix:+447"),
        ("07911 123456", "GB", "deny_prefix deny_prefix:+447"),
        ("+44 (0)7911 123456", "", "deny_prefix deny_prefix:+447"),
        ("0044 7911 123456", "DE", "deny_prefix deny_prefix:+447"),
        ("010 44 7911 123456", "JP", "deny_prefix deny_prefix:+447"),
        (
            "tel:07911123456;phone-context=+44",
            "JP",
            "deny_prefix deny_prefix:+447",
        ),
        (
            "sip:%2B447911123456@127.0.0.1",
            "",
            "deny_prefix deny_prefix:+447",
        ),
        ("+442079460958", "", "+442079460958"),
    ]);
}

#[test]
fn japanese_mobiles_are_denied_by_their_set_alone() {
    assert_eq!(outcome("+819012345678", "JP"), "+819012345678");
    let rules = DialRules {
        deny_sets: vec![DenySet::JpMobile],
        ..DialRules::default()
    };
    let policy = Policy::new(rules).unwrap();
    for (to, rule) in [
        ("+817012345678", "deny_prefix:+8170"),
        ("+818012345678", "deny_prefix:+8180"),
        ("090-1234-5678", "deny_prefix:+8190"),
    ] {
        assert_eq!(policy.check_text(to, None, &trunk("JP")).rule, rule, "{to}");
    }
    assert!(policy.check_text("+815012345678", None, &trunk("JP")).allow);
}

#[test]
fn the_longest_denied_prefix_names_the_rule() {
    let deny_prefixes = ["+44", "+44207", "+442"].map(str::to_owned).to_vec();
    let policy = Policy::new(DialRules {
        deny_prefixes,
        ..DialRules::default()
    })
    .unwrap();
    assert_eq!(
        policy.check_text("+442079460958", None, &trunk("")).rule,
        "deny_prefix:+44207"
    );
}

#[test]
fn numbers_that_do_not_exist_are_refused_whatever_region_the_library_names() {
    assert_outcomes(&[
        ("+12425551234", "", "valid invalid"),
        ("+5215512345678", "", "valid invalid"),
        ("+81110", "", "valid invalid"),
        ("+1911", "", "valid invalid"),
        ("+8112345", "", "valid invalid"),
        ("+999123456789", "", "parse number_invalid"),
    ]);
}

#[test]
fn an_old_spelling_is_rewritten_and_judged_again() {
    let rewrite = |from: &str, to: &str| Rewrite {
        from: from.to_owned(),
        to: to.to_owned(),
    };
    let policy = |rewrite| {
        Policy::new(DialRules {
            rewrite: vec![rewrite],
            ..DialRules::default()
        })
        .unwrap()
    };
    let mexico = policy(rewrite("+521", "+52")).check_text("+52 1 55 1234 5678", None, &trunk(""));
    assert_eq!(mexico.dial.as_deref(), Some("+525512345678"));
    let into_a_denied_prefix =
        policy(rewrite("+4420", "+4479")).check_text("+442079460958", None, &trunk(""));
    assert_eq!(into_a_denied_prefix.rule, "deny_prefix:+447");
}

#[test]
fn dear_kinds_are_refused_and_free_ones_pass() {
    assert_outcomes(&[
        ("+449012345678", "", "type type:premium"),
        ("+611300123456", "", "type type:shared_cost"),
        ("+448712345678", "", "type type:premium"),
        ("+19005551234", "", "type type:premium"),
        ("0570-012345", "JP", "type type:uan"),
        ("0120-123456", "JP", "+81120123456"),
        ("050-1234-5678", "JP", "+815012345678"),
        ("+18007233456", "", "+18007233456"),
    ]);
}

#[test]
fn dial_prefixes_are_taken_off_in_their_country() {
    for (to, presentation) in [
        ("184 03-1234-5678", Some(Presentation::Withhold)),
        ("186-03-1234-5678", Some(Presentation::Show)),
        ("03-1234-5678", None),
    ] {
        let decision = policy().check_text(to, None, &trunk("JP"));
        assert_eq!(decision.dial.as_deref(), Some("+81312345678"), "{to}");
        assert_eq!(decision.presentation, presentation, "{to}");
    }
}

#[test]
fn an_unlisted_dial_prefix_makes_a_number_that_does_not_exist() {
    let policy = Policy::new(DialRules {
        prefixes: [].into(),
        ..DialRules::default()
    })
    .unwrap();
    let decision = policy.check_text("184 03-1234-5678", None, &trunk("JP"));
    assert_eq!((decision.allow, decision.step), (false, Step::Valid));
    assert_eq!(decision.e164.unwrap().as_str(), "+811840312345678");
}

#[test]
fn service_codes_are_refused() {
    assert_outcomes(&[
        ("117", "JP", "service_code service_code:JP:117"),
        ("184", "JP", "service_code service_code:JP:184"),
        ("411", "US", "service_code service_code:US:411"),
        ("118500", "GB", "service_code service_code:GB:118500"),
        ("116117", "DE", "service_code service_code:DE:116117"),
    ]);
}

#[test]
fn numbers_are_read_in_every_spelling() {
    assert_outcomes(&[
        ("+81 3-1234.5678", "", "+81312345678"),
        ("(03) 1234-5678", "JP", "+81312345678"),
        ("tel:+81-3-1234-5678", "", "+81312345678"),
        ("TEL:0312345678;phone-context=+81", "", "+81312345678"),
        ("tel:0312345678;Phone-Context=%2B81", "DE", "+81312345678"),
        ("sip:+81312345678@10.0.0.1:5060;transport=tcp", "", "+81312345678"),
        ("sip:+81312345678;npdi;rn=+81@10.0.0.1", "", "+81312345678"),
        ("sip:%2b8131234%35678@x.example", "", "+81312345678"),
        ("sip:0312345678@x.example;user=phone", "JP", "+81312345678"),
        ("sip:0312345678@x.example;%75ser=ph%6Fne", "JP", "+81312345678"),
        ("sip:03-1234-5678@x.example", "JP", "+81312345678"),
        ("sip:0312345678", "JP", "+81312345678"),
    ]);
}

#[test]
fn what_is_no_number_is_refused_as_one() {
    for to in [
        "",
        "+",
        "+81x",
        "+8131234567890123",
        "0312345678,,1",
        "*31#0312345678",
        "sip:*3107911123456@10.0.0.1",
        "sip:%2523@10.0.0.1",
        "tel:0312345678;phone-context=example.com",
        "tel:0312345678;phone-context=81",
        "\u{FF10}\u{FF13}12345678",
        "sip:%EF%BC%90312345678@10.0.0.1",
        "+\u{0664}\u{0664}2079460958",
        "sip:anna@10.0.0.1;user=phone",
        "sip:anna@10.0.0.1?Route=%3Csip:evil%3E",
        "sip:a@b@10.0.0.1",
        "sip:a%0d%0ab@10.0.0.1",
        "sip:447911123456:5060",
        "sips:+442079460958@10.0.0.1",
        "mailto:+442079460958",
    ] {
        let decision = policy().check_text(to, None, &trunk("JP"));
        assert_eq!((decision.allow, decision.step), (false, Step::Text), "{to}");
        assert_eq!(decision.error_kind(), "number_invalid", "{to}");
    }
    assert_eq!(outcome("0312345678", ""), "parse no_home_country");
}

#[test]
fn names_and_extensions_are_no_numbers() {
    let name = |user: &str, host: Option<&str>, port, uri: &str| Target::Name {
        user: user.to_owned(),
        host: host.map(str::to_owned),
        port,
        uri: uri.to_owned(),
    };
    let pbx = TrunkNumbers {
        extensions: 4,
        ..trunk("JP")
    };
    let table = [
        (
            "sip:agent1@127.0.0.1:5070",
            name(
                "agent1",
                Some("127.0.0.1"),
                Some(5070),
                "sip:agent1@127.0.0.1:5070",
            ),
        ),
        (
            "SIP:%61gent1@[::1]:5070",
            name("agent1", Some("::1"), Some(5070), "sip:agent1@[::1]:5070"),
        ),
        ("sip:anna", name("anna", None, None, "sip:anna")),
        (
            "sip:127.0.0.1:5070",
            name("", Some("127.0.0.1"), Some(5070), "sip:127.0.0.1:5070"),
        ),
        (
            "sip:1001@127.0.0.1",
            name("1001", Some("127.0.0.1"), None, "sip:1001@127.0.0.1"),
        ),
    ];
    for (to, expected) in table {
        assert_eq!(classify_target(to, &pbx), Ok(expected), "{to}");
    }
    // Not an extension: no such setting, too long, spelt as a number, or an emergency.
    for (to, trunk) in [
        ("sip:1001@127.0.0.1", &trunk("JP")),
        ("sip:10010@127.0.0.1", &pbx),
        ("sip:+1001@127.0.0.1", &pbx),
        ("sip:10-01@127.0.0.1", &pbx),
        ("sip:1001@127.0.0.1;user=phone", &pbx),
        ("sip:119@127.0.0.1", &pbx),
        ("1001", &pbx),
    ] {
        assert!(
            matches!(classify_target(to, trunk), Ok(Target::Number(_))),
            "{to}"
        );
    }
}

#[test]
fn caller_ids_must_be_those_of_the_trunk() {
    let with = |caller_ids: &[&str]| TrunkNumbers {
        caller_ids: caller_ids.iter().map(|text| (*text).to_owned()).collect(),
        ..trunk("JP")
    };
    let table = [
        (Some("+81312345678"), &["+81312345678"][..], true),
        (Some("+81-3-1234-5678"), &["+81312345678"], true),
        (Some("81312345678"), &["+81312345678"], true),
        (Some("+81312345679"), &["+81312345678"], false),
        (Some("+81312345679"), &["+8131234*"], true),
        (Some("anna"), &["+8131234*"], false),
        (Some("anna"), &["*"], true),
        (Some("+81312345678"), &[], false),
        (None, &[], true),
    ];
    for (caller_id, caller_ids, allow) in table {
        let decision = policy().check_text("+442079460958", caller_id, &with(caller_ids));
        assert_eq!(decision.allow, allow, "{caller_id:?} of {caller_ids:?}");
        if !allow {
            assert_eq!(
                (decision.error_kind(), decision.dial),
                ("caller_id_not_allowed", None)
            );
        }
    }
}

#[test]
fn a_decision_names_its_rule_region_kind_and_list() {
    let decision = policy().check_text("+442079460958", None, &trunk(""));
    assert_eq!(
        (decision.step, decision.rule.as_str()),
        (Step::Region, "region:GB")
    );
    assert_eq!(
        (decision.region.as_deref(), decision.kind),
        (Some("GB"), Some(NumberKind::Fixed))
    );
    assert_eq!(decision.e164.unwrap().as_str(), "+442079460958");
    assert_eq!(decision.list_version, policy().list_version());
}

#[test]
fn lists_that_mean_nothing_are_refused() {
    let default = DialRules::default;
    let table = [
        (
            DialRules {
                countries: vec!["UK".to_owned()],
                ..default()
            },
            RulesError::UnknownRegion,
        ),
        (
            DialRules {
                deny_prefixes: vec!["447".to_owned()],
                ..default()
            },
            RulesError::NotAPrefix,
        ),
        (
            DialRules {
                deny_prefixes: vec!["+44 7".to_owned()],
                ..default()
            },
            RulesError::NotAPrefix,
        ),
        (
            DialRules {
                prefixes: [("JP".to_owned(), [(String::new(), Presentation::Show)].into())].into(),
                ..default()
            },
            RulesError::NotADialPrefix,
        ),
    ];
    for (rules, error) in table {
        assert_eq!(Policy::new(rules).unwrap_err(), error);
    }
}

#[test]
fn inbound_numbers_are_read_or_kept_as_they_came() {
    let national = TrunkNumbers {
        number_in: NumberForm::National,
        ..trunk("JP")
    };
    let plain = trunk("");
    let table = [
        ("+81312345678", &plain, Some("+81312345678")),
        ("81312345678", &plain, Some("+81312345678")),
        ("tel:+81-3-1234-5678", &plain, Some("+81312345678")),
        (
            "sip:+81312345678@10.0.0.1;user=phone",
            &plain,
            Some("+81312345678"),
        ),
        ("0312345678", &national, Some("+81312345678")),
        ("+442079460958", &national, Some("+442079460958")),
        ("+447911123456", &plain, Some("+447911123456")),
        ("0312345678", &plain, None),
        ("1001", &plain, None),
        ("anonymous", &plain, None),
        ("", &plain, None),
    ];
    for (raw, trunk, number) in table {
        let read = parse_inbound(raw, trunk);
        assert_eq!(read.number.as_ref().map(E164::as_str), number, "{raw}");
        assert_eq!(read.raw, raw);
    }
}

/// Judges a dialled text without the library: by calling code, and inside +1 and +44 by area code.
fn lies_inside_the_lists(e164: &str) -> bool {
    const CODES: [&str; 11] = [
        "+1", "+852", "+972", "+86", "+81", "+61", "+65", "+52", "+49", "+46", "+44",
    ];
    /// Regions of +1 that are neither the US nor Canada (NANPA, area codes outside the 50 states and DC).
    const ELSEWHERE_IN_1: [&str; 30] = [
        "242", "246", "264", "268", "284", "340", "345", "441", "473", "649", "658", "664", "670", "671",
        "684", "721", "758", "767", "784", "787", "809", "829", "849", "868", "869", "876", "939", "900",
        "500", "533",
    ];
    const ELSEWHERE_IN_44: [&str; 5] = ["7", "1481", "1534", "1624", "9"];
    CODES.iter().any(|code| e164.starts_with(code))
        && e164
            .strip_prefix("+1")
            .is_none_or(|rest| !ELSEWHERE_IN_1.iter().any(|area| rest.starts_with(area)))
        && e164
            .strip_prefix("+44")
            .is_none_or(|rest| !ELSEWHERE_IN_44.iter().any(|area| rest.starts_with(area)))
        && e164.bytes().skip(1).all(|byte| byte.is_ascii_digit())
}

/// A number near a border, then spelt in some way.
fn spelt() -> impl Strategy<Value = String> {
    let codes = [
        "+1", "+44", "+447", "+81", "+86", "+852", "+61", "+7", "+33", "+1876", "+883", "00", "0", "011",
        "184", "186", "010", "+81990", "0990", "0570", "+1900", "+44870", "",
    ];
    let heads = ["", "tel:", "sip:", "SIP:", " "];
    let tails = [
        "",
        "@127.0.0.1",
        "@127.0.0.1;user=phone",
        ";phone-context=+44",
        ";phone-context=+44@h.example",
        ";ext=1",
    ];
    (
        proptest::sample::select(heads.to_vec()),
        proptest::sample::select(codes.to_vec()),
        proptest::collection::vec(
            (
                0_u8..10,
                proptest::sample::select(vec!["", "", "", "-", " ", ".", "(", ")", "%", "wide"]),
            ),
            0..14,
        ),
        proptest::sample::select(tails.to_vec()),
        0_u8..4,
    )
        .prop_map(|(head, code, digits, tail, escaped)| {
            let mut text = format!(
                "{head}{}",
                if escaped == 0 {
                    code.replace('+', "%2B")
                } else {
                    code.to_owned()
                }
            );
            for (digit, separator) in digits {
                match separator {
                    // A full-width digit, which some keyboards write.
                    "wide" => text.extend(char::from_u32(0xFF10 + u32::from(digit))),
                    "%" => text.push_str(&format!("%3{digit}")),
                    separator => text.push_str(&format!("{digit}{separator}")),
                }
            }
            text + tail
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(4000)))]

    #[test]
    fn whatever_the_formatting_no_number_outside_the_lists_is_dialled(
        to in prop_oneof![4 => spelt(), 1 => "\\PC{0,30}", 1 => "(sip:|tel:)?[+0-9%. @;=a-f-]{0,30}"],
        home in proptest::sample::select(vec!["", "JP", "GB", "US", "DE", "AU", "FR", "JM", "CN", "MX"]),
        extensions in 0_u8..5,
    ) {
        let trunk = TrunkNumbers { extensions, ..trunk(home) };
        let decision = policy().check_text(&to, None, &trunk);
        prop_assert_eq!(decision.allow, decision.dial.is_some());
        if let Some(dial) = &decision.dial {
            prop_assert!(lies_inside_the_lists(dial), "{to} from {home} dials {dial}");
            prop_assert_eq!(Some(dial.as_str()), decision.e164.as_ref().map(E164::as_str));
            // What goes out is judged alike when it comes in again.
            let again = policy().check_text(dial, None, &TrunkNumbers::default());
            prop_assert_eq!(&again.dial, &decision.dial);
        }
        // A name never hides a number: it has a letter, or is a short extension, or no user at all.
        if let Ok(Target::Name { user, .. }) = classify_target(&to, &trunk) {
            let is_extension = user.len() <= usize::from(extensions) && user.bytes().all(|byte| byte.is_ascii_digit());
            prop_assert!(is_extension || user.bytes().any(|byte| byte.is_ascii_alphabetic()), "{to} is {user}");
        }
        let _ = parse_inbound(&to, &trunk);
    }
}
