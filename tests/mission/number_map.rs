//! Where calls to a number go: each class of number, the map as clients read it, and a new map under load.

use std::path::Path;

use gateway::config::{Config, NumberMap};
use gateway::engine::io::Input;
use house::sim::{PartyEvent, Town};
use serde_json::{Value, json};

use crate::scene::*;

/// A carrier of Japan that brings national numbers, and a map of three classes of number.
const CLASSES: &str = r#"
[[number]]
match = "+815012345678"
app = "internet"
[[number]]
match = "+81120*"
app = "free"
[[number]]
match = "+8180*"
app = "mobile"
unclaimed = { after_ms = 7000, action = "reject", status = 480 }
"#;

fn mapped(seed: u64, numbers: &str) -> Town {
    Town::with(seed, |text| {
        let (head, _) = text.split_once("[[number]]").unwrap();
        let keys = "name = \"carrier\"\nhome_country = \"JP\"\nnumber_in = \"national\"";
        let head = head.replacen("name = \"carrier\"", keys, 1);
        // What a carrier may show follows from the map unless the file says otherwise.
        format!(
            "{}{numbers}",
            head.replacen("caller_ids = [\"+493012345678\"]\n", "", 1)
        )
    })
}

/// The map of a file with these entries.
fn map(numbers: &str) -> NumberMap {
    let trunk = "[[trunk]]\nname = \"carrier\"\nallow = [\"10.0.1.0/24\"]\n";
    let config = Config::parse(
        &format!("{numbers}{trunk}"),
        Path::new("/town/gateway.toml"),
        None,
    );
    config.expect("a map").number_map()
}

fn renumber(town: &mut Town, numbers: &str) {
    let waiting = Vec::new();
    town.input(Input::NumberMap {
        map: map(numbers),
        waiting,
    });
}

fn last(town: &Town, router: usize, kind: &str) -> Value {
    let events = town.routers[router].of(kind);
    (*events.last().unwrap_or_else(|| panic!("no {kind}"))).clone()
}

#[test]
fn row_33_each_class_of_number_is_told_and_goes_where_the_map_says() {
    let mut town = mapped(3301, CLASSES);
    let router = town.router();
    for (dialled, number, app, entry) in [
        ("05012345678", "+815012345678", "internet", "+815012345678"),
        ("0120123456", "+81120123456", "free", "+81120*"),
        ("08012345678", "+818012345678", "mobile", "+8180*"),
    ] {
        let told = town.ask(
            router,
            "number.map",
            json!({"number": dialled, "trunk": "carrier"}),
        );
        assert_eq!(
            (&told["number"], &told["raw"], &told["instance"]),
            (&json!(number), &json!(dialled), &json!("main"))
        );
        assert_eq!(
            (&told["entry"]["match"], &told["entry"]["app"]),
            (&json!(entry), &json!(app))
        );
        let customer = town.customer(CUSTOMER_HZ);
        let (leg, _) = {
            town.call(customer, dialled);
            town.run_for(50 * MS);
            let incoming = last(&town, router, "leg.incoming");
            assert_eq!(
                incoming["data"]["to"],
                json!({"number": number, "raw": dialled}),
                "{incoming}"
            );
            (incoming["leg"].clone(), incoming)
        };
        let started = last(&town, router, "call.started");
        assert_eq!(
            started["data"]["app"], app,
            "the call goes where `number.map` said"
        );
        town.ask(router, "leg.answer", json!({"leg": leg}));
        town.run_for(100 * MS);
        town.ask(
            router,
            "play.start",
            json!({"target": leg, "sources": ["greeting"]}),
        );
        town.run_for(100 * MS);
        assert_hears(&mut town, customer, &[2500.0], &[]);
    }
}

#[test]
fn row_33_a_call_to_an_unmapped_number_is_told_counted_and_recorded() {
    let mut town = mapped(3302, CLASSES);
    let router = town.router();
    let unmapped = json!({"number": "0312345678", "trunk": "carrier"});
    let told = town.ask(router, "number.map", unmapped);
    assert_eq!(
        (&told["number"], &told["entry"]),
        (&json!("+81312345678"), &Value::Null)
    );
    let customer = town.customer(CUSTOMER_HZ);
    town.call(customer, "0312345678");
    town.run_for(200 * MS);
    let ends: Vec<_> = town.parties[customer]
        .events
        .iter()
        .map(|(_, event)| event.clone())
        .collect();
    assert_eq!(ends, [PartyEvent::Refused(404)]);
    let refused = last(&town, router, "call.refused");
    assert_eq!(
        (&refused["data"]["rule"], &refused["data"]["to"]["number"]),
        (&json!("no_number"), &json!("+81312345678"))
    );
    assert_eq!(town.records.len(), 1);
    assert_eq!(town.records[0]["refused"]["rule"], "no_number");
    let tallies = town.core.engine().metrics().tallies();
    let counted: u64 = tallies
        .filter_map(|(_, tally)| tally.refused.get("no_number"))
        .sum();
    assert_eq!(counted, 1);
}

#[test]
fn the_whole_map_is_told_with_what_may_be_shown_and_a_question_that_makes_no_sense_is_refused() {
    let mut town = mapped(3303, CLASSES);
    let router = town.router();
    let told = town.ask(router, "number.map", json!({}));
    let entries = told["entries"].as_array().unwrap();
    let row = |entry: &Value| {
        json!([
            entry["match"],
            entry["app"],
            entry["unclaimed_after_ms"],
            entry["unclaimed_status"],
            entry["caller_id_on"]
        ])
    };
    let rows: Vec<Value> = entries.iter().map(row).collect();
    // The agents' trunk may show every number; a pattern is shown nowhere.
    let expected = [
        json!(["+815012345678", "internet", 5000, 503, ["carrier", "agents"]]),
        json!(["+81120*", "free", 5000, 503, []]),
        json!(["+8180*", "mobile", 7000, 480, []]),
    ];
    assert_eq!(rows, expected);
    let alone = town.refused(router, "number.map", json!({"trunk": "carrier"}));
    assert_eq!(alone, "invalid_params");
    let nowhere = json!({"number": "0120123456", "trunk": "nobody"});
    assert_eq!(town.refused(router, "number.map", nowhere), "not_found");
    // What is no number is read by nobody, and only `*` would take it.
    let told = town.ask(router, "number.map", json!({"number": "sales"}));
    assert_eq!(
        (&told["number"], &told["raw"], &told["entry"]),
        (&Value::Null, &json!("sales"), &Value::Null)
    );
}

#[test]
fn what_a_trunk_may_show_follows_the_map() {
    let entry = |number: &str| format!("[[number]]\nmatch = \"{number}\"\n");
    let mut town = mapped(3304, &entry("+81312345678"));
    let router = town.router();
    let shown = |town: &mut Town, number: &str| {
        let check = json!({"to": "+4684060000", "from": number, "trunk": "carrier"});
        town.ask(router, "policy.check", check)["decision"].clone()
    };
    assert_eq!(shown(&mut town, "+81312345678"), "allow");
    assert_eq!(shown(&mut town, "+81398765432"), "deny");
    renumber(&mut town, &entry("+81398765432"));
    assert_eq!(
        shown(&mut town, "+81312345678"),
        "deny",
        "it was ported elsewhere"
    );
    assert_eq!(shown(&mut town, "+81398765432"), "allow");
    let applied = last(&town, router, "config.applied");
    let expected = json!({"numbers_added": 1, "numbers_removed": 1, "numbers_changed": 0,
        "trunks_with_other_caller_ids": 1, "waits_for_restart": []});
    assert_eq!(applied["data"], expected);
    assert_eq!(applied["cause"], json!({"by": "policy"}));
}

/// Forty calls a second for six seconds, the map another one each second: to each of two apps in turn, or to neither.
#[test]
fn row_34_a_map_changed_under_load_loses_no_call() {
    let waits = "unclaimed = { after_ms = 60000, action = \"reject\", status = 503 }";
    let to = |app: &str| format!("[[number]]\nmatch = \"+81120*\"\napp = \"{app}\"\n{waits}\n");
    let none = "[[number]]\nmatch = \"+8150*\"\napp = \"first\"\n".to_owned();
    let mut town = mapped(3401, &to("first"));
    let (router, callers) = (town.router(), 240);
    let talking = town.customer(CUSTOMER_HZ);
    town.call(talking, "0120111111");
    town.run_for(50 * MS);
    let leg = last(&town, router, "leg.incoming")["leg"].clone();
    town.ask(router, "leg.answer", json!({"leg": leg}));
    town.ask(router, "limits.set", json!({"calls": 1000}));
    let maps = [
        to("first"),
        to("second"),
        to("first"),
        none.clone(),
        to("second"),
        none,
    ];
    let mut wanted = Vec::new();
    for number in 0..callers {
        if number % 40 == 0 && number > 0 {
            renumber(&mut town, &maps[number / 40]);
        }
        wanted.push(match number / 40 {
            0 | 2 => Some("first"),
            1 | 4 => Some("second"),
            _ => None,
        });
        let caller = town.customer(OTHER_HZ);
        town.call(caller, "0120123456");
        town.run_for(25 * MS);
    }
    // Those that wait keep the app they came to, and are answered from there.
    town.run_for(200 * MS);
    let apps: Vec<String> = town.routers[router]
        .of("call.started")
        .iter()
        .skip(1)
        .map(|started| started["data"]["app"].as_str().unwrap().to_owned())
        .collect();
    let admitted: Vec<&str> = wanted.iter().flatten().copied().collect();
    assert_eq!(apps, admitted, "each call goes where the map said when it came");
    let refused = town.routers[router].of("call.refused");
    assert_eq!(
        refused.len(),
        80,
        "and those to a number that was taken out are told"
    );
    assert!(
        refused
            .iter()
            .all(|refused| refused["data"]["rule"] == "no_number")
    );
    let tallies = town.core.engine().metrics().tallies();
    let [offered, admitted, unmapped] = tallies.fold([0; 3], |[offered, admitted, unmapped], (_, tally)| {
        let no_number = tally.refused.get("no_number").copied().unwrap_or_default();
        [
            offered + tally.offered,
            admitted + tally.admitted,
            unmapped + no_number,
        ]
    });
    assert_eq!(
        [offered, admitted, unmapped],
        [241, 161, 80],
        "none lost, to the unit"
    );
    assert_eq!(
        town.routers[router].of("config.applied").len(),
        5,
        "once for each map"
    );
    assert!(
        town.routers[router].of("leg.ended").is_empty(),
        "nobody was cut off"
    );
    // Whoever talks from before goes on talking.
    town.ask(
        router,
        "play.start",
        json!({"target": leg, "sources": ["greeting"]}),
    );
    town.run_for(100 * MS);
    assert_hears(&mut town, talking, &[2500.0], &[]);
}

#[test]
fn a_map_that_changes_nothing_is_told_to_nobody_and_what_waits_for_a_restart_is() {
    let mut town = mapped(3402, CLASSES);
    let router = town.router();
    renumber(&mut town, CLASSES);
    assert!(town.routers[router].of("config.applied").is_empty());
    let waiting = vec!["limits".to_owned(), "trunk".to_owned()];
    town.input(Input::NumberMap {
        map: map(CLASSES),
        waiting,
    });
    let applied = last(&town, router, "config.applied");
    assert_eq!(applied["data"]["waits_for_restart"], json!(["limits", "trunk"]));
}
