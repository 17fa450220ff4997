//! Names that stay behind a wall: the SIP library, and the meeting of SDP and media.

use super::source::{Source, has_word};

pub fn check(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    if !source.is_in("sip/src/message") {
        findings.extend(source.lines_where("only sip/src/message names rsip", |line| has_word(line, "rsip")));
    }
    let names = |word: &str| source.product.lines().any(|line| has_word(line, word));
    if names("Negotiated") && names("StreamConfig") && !source.is_in("gateway/src/engine/audio/media_plan") {
        findings.push(format!(
            "{}: only media_plan.rs turns Negotiated into StreamConfig",
            source.path
        ));
    }
    findings
}

#[test]
fn rsip_outside_its_wall_is_found() {
    assert_eq!(
        check(&Source::new("sip/src/dialog.rs", "use rsip::Uri;\n")).len(),
        1
    );
    assert_eq!(
        check(&Source::new("gateway/src/a.rs", "fn a(x: rsip::Uri) {}\n")).len(),
        1
    );
    assert!(check(&Source::new("sip/src/message.rs", "use rsip::Uri;\n")).is_empty());
    assert!(check(&Source::new("sip/src/message/uri.rs", "use rsip::Uri;\n")).is_empty());
    assert!(check(&Source::new("sip/src/dialog.rs", "// rsip cannot do this\n")).is_empty());
}

#[test]
fn a_second_meeting_of_sdp_and_media_is_found() {
    let text = "fn a(x: Negotiated) -> StreamConfig {}\n";
    assert_eq!(check(&Source::new("gateway/src/engine/leg.rs", text)).len(), 1);
    assert!(check(&Source::new("gateway/src/engine/audio/media_plan.rs", text)).is_empty());
    assert!(
        check(&Source::new(
            "gateway/src/engine/leg.rs",
            "fn a(x: Negotiated) {}\n"
        ))
        .is_empty()
    );
}
