//! Which numbers may be dialled and shown: the check and the dial say the same.

use house::sim::{Answer, Town};
use serde_json::{Value, json};

use crate::scene::*;

/// A town whose carrier refuses every call as busy, so that one after another can be tried.
fn town(seed: u64, edit: impl FnOnce(String) -> String) -> (Town, usize, usize) {
    let mut town = Town::with(seed, edit);
    let router = town.router();
    let carrier = town.party("carrier", "10.0.1.1:5060", CUSTOMER_HZ);
    town.parties[carrier].answer = Answer::Refuse(486);
    (town, router, carrier)
}

fn invites(town: &Town, party: usize) -> usize {
    town.parties[party]
        .got
        .iter()
        .filter(|text| text.starts_with("INVITE "))
        .count()
}

/// Asks the policy, then dials, and asserts that both say `wanted`: `allow` or the rule that denies.
fn assert_decided(town: &mut Town, router: usize, carrier: usize, number: &str, wanted: &str) {
    let decision = town.ask(router, "policy.check", json!({"to": number, "trunk": "carrier"}));
    let before = invites(town, carrier);
    let reply = town.request(router, "leg.dial", json!({"to": number, "trunk": "carrier"}));
    town.run_for(100 * MS);
    let sent = invites(town, carrier) - before;
    if wanted == "allow" {
        assert_eq!(decision["decision"], "allow", "{number}: {decision}");
        assert!(reply.get("result").is_some(), "{number}: {reply}");
        assert_eq!(sent, 1, "{number}");
        return;
    }
    assert_eq!(
        (&decision["decision"], &decision["rule"]),
        (&json!("deny"), &json!(wanted)),
        "{number}"
    );
    let data = &reply["error"]["data"];
    assert_eq!(data["kind"], "destination_not_allowed", "{number}: {reply}");
    for (name, value) in decision
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "seq")
    {
        assert_eq!(
            &data[name], value,
            "{number}: `{name}` of the dial is that of the check"
        );
    }
    assert_eq!(sent, 0, "{number}");
}

#[test]
fn row_40_a_number_that_is_not_ours_is_not_shown() {
    let (mut town, router, carrier) = town(4001, |text| text);
    let dial =
        |number: &str| json!({"to": "+4684060000", "trunk": "carrier", "caller_id": {"number": number}});
    for foreign in ["+493012345679", "+4684060001", "+12025550123"] {
        assert_eq!(
            town.refused(router, "leg.dial", dial(foreign)),
            "caller_id_not_allowed",
            "{foreign}"
        );
        let check = json!({"to": "+4684060000", "trunk": "carrier", "from": foreign});
        assert_eq!(town.ask(router, "policy.check", check)["step"], "caller_id");
    }
    town.run_for(100 * MS);
    assert!(town.parties[carrier].got.is_empty());
    town.parties[carrier].answer = Answer::After(100 * MS);
    let dialled = town.ask(router, "leg.dial", dial("+493012345678"));
    town.run_for(300 * MS);
    let invite = town.parties[carrier]
        .got
        .iter()
        .find(|text| text.starts_with("INVITE "))
        .unwrap();
    assert!(invite.starts_with("INVITE sip:+4684060000@"), "{invite}");
    let from = invite.lines().find(|line| line.starts_with("From:")).unwrap();
    assert!(from.contains("<sip:+493012345678@"), "{from}");
    town.ask(
        router,
        "play.start",
        json!({"target": dialled["leg"], "sources": ["greeting"]}),
    );
    town.run_for(100 * MS);
    assert_hears(&mut town, carrier, &[2500.0], &[]);
}

#[test]
fn row_53_twelve_countries_and_not_one_more() {
    let (mut town, router, carrier) = town(5301, |text| text);
    for number in [
        "+61293744000",
        "+16137827274",
        "+861065529988",
        "+4930123456",
        "+85221234567",
        "+97223456789",
        "+81312345678",
        "+525512345678",
        "+6561234567",
        "+4684060000",
        "+12025550123",
        "+442079460958",
    ] {
        assert_decided(&mut town, router, carrier, number, "allow");
    }
    for (number, region) in [
        ("+18765551234", "JM"),
        ("+16846331234", "AS"),
        ("+17872345678", "PR"),
        ("+12423651234", "BS"),
        ("+441534456789", "JE"),
        ("+441481256789", "GG"),
        ("+441624756789", "IM"),
        ("+85328212345", "MO"),
        ("+886221234567", "TW"),
        ("+970599123456", "PS"),
        ("+4722123456", "NO"),
        ("+431234567890", "AT"),
        ("+60321234567", "MY"),
        ("+6432345678", "NZ"),
        ("+73012345678", "RU"),
        ("+33123456789", "FR"),
    ] {
        assert_decided(&mut town, router, carrier, number, &format!("region:{region}"));
    }
    let placed = |number: &str, town: &mut Town| {
        town.ask(router, "policy.check", json!({"to": number, "trunk": "carrier"}))["region"].clone()
    };
    assert_eq!(placed("+85221234567", &mut town), "HK", "Hong Kong is not China");
    assert_eq!(placed("+16137827274", &mut town), "CA", "Canada is not the US");
}

#[test]
fn row_54_british_numbers_beginning_447_are_denied() {
    let (mut town, router, carrier) = town(5401, |text| text);
    for denied in [
        "+447911123456",
        "+447700900123",
        "+44 7911 123456",
        "tel:+44-7911-123456",
    ] {
        assert_decided(&mut town, router, carrier, denied, "deny_prefix:+447");
    }
    for allowed in ["+442079460958", "+441212345678", "+819012345678", "+818012345678"] {
        assert_decided(&mut town, router, carrier, allowed, "allow");
    }
}

#[test]
fn row_54_the_preset_for_japanese_mobiles_denies_them() {
    let edit = |text: String| format!("{text}\n[dial]\ndeny_sets = [\"jp_mobile\"]\n");
    let (mut town, router, carrier) = town(5402, edit);
    for (denied, prefix) in [
        ("+817012345678", "+8170"),
        ("+818012345678", "+8180"),
        ("+819012345678", "+8190"),
    ] {
        assert_decided(
            &mut town,
            router,
            carrier,
            denied,
            &format!("deny_prefix:{prefix}"),
        );
    }
    assert_decided(&mut town, router, carrier, "+815012345678", "allow");
}

#[test]
fn row_55_a_country_added_may_be_dialled_and_one_taken_away_may_not() {
    let edit =
        |text: String| format!("{text}\n[dial]\ncountries = [\"DE\", \"FR\"]\ndeny_prefixes = [\"+4930\"]\n");
    let (mut town, router, carrier) = town(5501, edit);
    assert_decided(&mut town, router, carrier, "+33123456789", "allow");
    assert_decided(&mut town, router, carrier, "+4989123456", "allow");
    assert_decided(&mut town, router, carrier, "+4930123456", "deny_prefix:+4930");
    assert_decided(&mut town, router, carrier, "+442079460958", "region:GB");
    assert_decided(&mut town, router, carrier, "+447400123456", "region:GB");
    assert_decided(&mut town, router, carrier, "+81312345678", "region:JP");
    let tallies: Vec<Value> = town
        .core
        .engine()
        .metrics()
        .tallies()
        .filter(|(place, _)| place.trunk == "carrier" && place.direction.as_str() == "out")
        .map(|(_, tally)| json!([tally.offered, tally.admitted, tally.refused.get("policy")]))
        .collect();
    assert_eq!(tallies, [json!([6, 2, 4])]);
}

/// Ways to write a number with `+`, so that lists which look at text would miss it.
fn spellings(number: &str) -> Vec<String> {
    let digits = number.trim_start_matches('+');
    let wide: String = digits
        .bytes()
        .map(|digit| char::from_u32(0xFF10 + u32::from(digit - b'0')).unwrap())
        .collect();
    let escaped: String = digits.bytes().map(|digit| format!("%{digit:02X}")).collect();
    let (head, tail) = digits.split_at(4);
    vec![
        number.to_owned(),
        format!("  {number} "),
        format!("+{head} {tail}"),
        format!("+({head})-{tail}"),
        format!("tel:+{head}.{tail}"),
        format!("TEL:{number};ext=1"),
        format!("tel:{number};phone-context=+46"),
        format!("sip:{number}@10.0.1.1"),
        format!("sip:{number}@evil.example;user=phone"),
        format!("SIP:%2B{escaped}@10.0.1.1"),
        format!("sip:%252B{digits}@10.0.1.1"),
        format!("sip:{number};npdi;rn={number}@10.0.1.1"),
        format!("+{wide}"),
        format!("tel:+{wide}"),
        format!("sip:{digits}@10.0.1.1"),
        format!("{digits}"),
        format!("00{digits}"),
        format!("010{digits}"),
        format!("184010{digits}"),
        format!("186-010-{head}-{tail}"),
        format!("184{number}"),
        format!("0{digits}"),
        format!("sip:+{head}%20{tail}@10.0.1.1:5060"),
        format!("sip:anna@10.0.1.1,{number}"),
        format!("sips:{number}@10.0.1.1"),
        format!("{number}\r\n"),
        format!("\u{202E}{number}"),
    ]
}

#[test]
fn however_a_denied_number_is_written_no_invite_leaves() {
    let home = |text: String| {
        text.replacen(
            "name = \"carrier\"",
            "name = \"carrier\"\nhome_country = \"JP\"",
            1,
        )
    };
    let (mut town, router, carrier) = town(5501, home);
    for denied in [
        "+447911123456",
        "+449012345678",
        "+448712345678",
        "+19005551234",
        "+18765551234",
        "+12423651234",
        "+81990123456",
        "+81570012345",
        "+33123456789",
        "+882161234567",
        "+88351001234",
        "+97412345678",
    ] {
        for to in spellings(denied) {
            let dial = json!({"to": to, "trunk": "carrier"});
            let check = town.request(router, "policy.check", dial.clone());
            assert_ne!(check["result"]["decision"], "allow", "{to}: {check}");
            let reply = town.request(router, "leg.dial", dial);
            assert!(reply.get("error").is_some(), "{to} was dialled");
        }
    }
    // National spellings of Japan's own dear numbers.
    for to in [
        "0990123456",
        "0570012345",
        "184-0570-012345",
        "186 0990 123456",
        "tel:0570012345;phone-context=+81",
    ] {
        town.request(router, "leg.dial", json!({"to": to, "trunk": "carrier"}));
    }
    town.run_for(SECOND);
    assert_eq!(invites(&town, carrier), 0);

    // The same spellings of a number that may be dialled send that number, or nothing.
    let mut sent = 0;
    for to in spellings("+4684060000") {
        let reply = town.request(router, "leg.dial", json!({"to": to, "trunk": "carrier"}));
        town.run_for(100 * MS);
        sent += usize::from(reply.get("result").is_some());
        assert_eq!(invites(&town, carrier), sent, "{to}");
    }
    assert!(sent >= 12, "{sent} spellings are understood");
    let targets = town.parties[carrier]
        .got
        .iter()
        .filter(|text| text.starts_with("INVITE "));
    for invite in targets {
        assert!(
            invite.starts_with("INVITE sip:+4684060000@10.0.1.1:5060 "),
            "{invite}"
        );
    }
}

#[test]
fn japans_prefixes_withhold_and_show_the_number() {
    let home = |text: String| {
        text.replacen(
            "name = \"carrier\"",
            "name = \"carrier\"\nhome_country = \"JP\"",
            1,
        )
    };
    let (mut town, router, carrier) = town(5502, home);
    for (to, is_withheld) in [
        ("184-03-1234-5678", true),
        ("18609012345678", false),
        ("0312345678", false),
    ] {
        town.ask(router, "leg.dial", json!({"to": to, "trunk": "carrier"}));
        town.run_for(100 * MS);
        let invite = town.parties[carrier]
            .got
            .iter()
            .rfind(|text| text.starts_with("INVITE "))
            .unwrap();
        assert!(invite.starts_with("INVITE sip:+81"), "{to}: {invite}");
        assert_eq!(invite.contains("Privacy: id"), is_withheld, "{to}: {invite}");
        assert_eq!(invite.contains("+493012345678"), !is_withheld, "{to}: {invite}");
    }
}
