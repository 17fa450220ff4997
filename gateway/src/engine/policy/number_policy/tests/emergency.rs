//! Emergency numbers and services: recognised first, and where they go.

use super::*;

#[test]
fn emergency_numbers_come_before_everything() {
    assert_outcomes(&[
        ("110", "JP", "emergency emergency:JP:110"),
        ("1-1-9", "JP", "emergency emergency:JP:119"),
        ("sip:%31%31%30@127.0.0.1", "JP", "emergency emergency:JP:110"),
        ("tel:110;phone-context=+81", "GB", "emergency emergency:JP:110"),
        ("184110", "JP", "emergency emergency:JP:110"),
        ("911", "US", "emergency emergency:US:911"),
        ("999", "GB", "emergency emergency:GB:999"),
        ("000", "AU", "emergency emergency:AU:000"),
        ("112", "FR", "emergency emergency:any:112"),
        ("911", "", "emergency emergency:any:911"),
    ]);
    let decision = policy().check_text("110", None, &trunk("JP"));
    assert!(decision.is_alarm() && !decision.allow);
    assert_eq!(decision.error_kind(), "destination_not_allowed");

    let flagged = TrunkNumbers {
        emergency: vec!["JP".into()],
        caller_ids: Vec::new(),
        ..trunk("JP")
    };
    let decision = policy().check_text("184110", Some("+442079460958"), &flagged);
    assert_eq!((decision.allow, decision.dial.as_deref()), (true, Some("110")));
    assert_eq!(decision.presentation, Some(Presentation::Withhold));
}

#[test]
fn emergency_services_have_names_and_go_to_a_trunk_of_their_country() {
    for (to, home, flagged, expected) in [
        ("urn:service:sos", "JP", "JP", Some("urn:service:sos")),
        ("URN:Service:SOS.Fire", "JP", "JP", Some("urn:service:sos.fire")),
        ("urn:service:sos", "", "DE", Some("urn:service:sos")),
        ("urn:service:sos", "JP", "DE", None),
        ("urn:service:sos", "JP", "", None),
        ("112", "FR", "FR", Some("112")),
        ("112", "FR", "DE", None),
        ("110", "", "GB", None),
        ("110", "", "DE", Some("110")),
        ("tel:110;phone-context=+81", "GB", "JP", Some("110")),
        ("tel:110;phone-context=+81", "GB", "GB", None),
    ] {
        let numbers = TrunkNumbers {
            emergency: Some(flagged.to_owned())
                .filter(|flagged| !flagged.is_empty())
                .into_iter()
                .collect(),
            ..trunk(home)
        };
        let decision = policy().check_text(to, None, &numbers);
        assert_eq!(decision.step, Step::Emergency, "{to}");
        assert_eq!(
            (decision.allow, decision.dial.as_deref()),
            (expected.is_some(), expected),
            "{to} {home} {flagged}"
        );
        assert_eq!(policy().is_emergency(to, &numbers), expected.is_some());
    }
    for no_service in [
        "urn:service:counseling",
        "urn:service:sos.",
        "urn:service:sosx",
        "urn:uuid:1",
        "urn:service:sos@h",
    ] {
        assert_eq!(
            classify_target(no_service, &trunk("JP")),
            Err(TargetError::NotAUri),
            "{no_service}"
        );
    }
}
