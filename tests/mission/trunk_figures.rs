//! `trunk.list` and the metrics page: every figure of a trunk that both tell is the same in both, whatever calls have been.

use house::phonebook;
use house::sim::{Answer, Town};
use serde_json::{Value, json};

use crate::limits::metrics;
use crate::scene::*;

const NUMBER: &str = "+4684060000";

/// The value of the one line with this name and these labels; none where there is no such line.
fn metric(page: &str, name: &str, labels: &str) -> Option<f64> {
    let start = format!("media_gateway_{name}{{{labels}}} ");
    let values: Vec<f64> = page
        .lines()
        .filter_map(|line| line.strip_prefix(&start)?.parse().ok())
        .collect();
    assert!(values.len() <= 1, "{start} stands there {} times", values.len());
    values.first().copied()
}

/// Every figure that both tell, of one trunk: what it is, as the list has it, as the page has it.
fn figures(view: &Value, page: &str) -> Vec<(String, Option<f64>, Option<f64>)> {
    let trunk = view["trunk"].as_str().unwrap();
    let of_trunk = format!("instance=\"main\",trunk=\"{trunk}\"");
    let way = |direction: &str| format!("{of_trunk},direction=\"{direction}\"");
    let out = way("out");
    let counter = |name: &str| metric(page, name, &out).or(Some(0.0));
    let ratio = |part: Option<f64>, whole: Option<f64>| {
        let whole = whole.filter(|whole| *whole > 0.0)?;
        Some(part.unwrap_or(0.0) / whole)
    };
    let mean_ms = |name: &str| {
        let sum = metric(page, &format!("{name}_sum"), &out);
        let mean = ratio(sum, metric(page, &format!("{name}_count"), &out));
        // The list tells whole milliseconds, of a sum in whole milliseconds.
        Some((mean.unwrap_or(0.0) * 1_000.0 + 1e-6).floor())
    };
    let legs = ["in", "out"].map(|direction| metric(page, "trunk_legs_active", &way(direction)).unwrap());
    let peers = view["peers"].as_array().unwrap();
    let quality = &view["quality"];
    let (seized, answered) = (counter("seizures_total"), counter("legs_answered_total"));
    let mut told = vec![
        (
            "up",
            Some(f64::from(view["state"] == "up")),
            metric(page, "trunk_up", &of_trunk),
        ),
        (
            "registered",
            view["registered"].as_bool().map(f64::from),
            metric(page, "trunk_registered", &of_trunk),
        ),
        ("legs", view["calls"]["active"].as_f64(), Some(legs[0] + legs[1])),
        (
            "limit of legs",
            view["calls"]["limit"].as_f64(),
            metric(page, "trunk_legs_limit", &of_trunk),
        ),
        ("seizures", quality["seizures"].as_f64(), seized),
        ("answered", quality["answered"].as_f64(), answered),
        (
            "effective",
            quality["effective"].as_f64(),
            counter("legs_effective_total"),
        ),
        ("asr", quality["asr"].as_f64(), ratio(answered, seized)),
        (
            "ner",
            quality["ner"].as_f64(),
            ratio(counter("legs_effective_total"), seized),
        ),
        (
            "post-dial delay",
            quality["post_dial_delay_ms"].as_f64(),
            mean_ms("post_dial_delay_seconds"),
        ),
        ("set-up", quality["setup_ms"].as_f64(), mean_ms("setup_seconds")),
    ];
    for state in ["up", "down", "resting"] {
        let listed = peers.iter().filter(|peer| peer["state"] == state).count();
        let labels = format!("{of_trunk},state=\"{state}\"");
        told.push(("peers", Some(listed as f64), metric(page, "trunk_peers", &labels)));
    }
    for codec in ["PCMU", "PCMA", "G722", "opus"] {
        let labels = format!("{out},codec=\"{codec}\"");
        let counted = metric(page, "legs_answered_by_codec_total", &labels);
        let share = counted.and_then(|counted| ratio(Some(counted), answered));
        told.push((codec, quality["codecs"][codec].as_f64(), share));
    }
    let named = told.into_iter();
    named
        .map(|(what, listed, shown)| (format!("{what} of {trunk}"), listed, shown))
        .collect()
}

/// Both agree, trunk by trunk; the views.
fn assert_agreed(town: &mut Town, router: usize, when: &str) -> Vec<Value> {
    let list = town.ask(router, "trunk.list", json!({}));
    let page = metrics(town);
    let views = list["trunks"].as_array().unwrap().clone();
    assert_eq!(views.len(), 3);
    for view in &views {
        for (what, listed, shown) in figures(view, &page) {
            let is_same = match (listed, shown) {
                (Some(listed), Some(shown)) => (listed - shown).abs() < 1e-9,
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            assert!(
                is_same,
                "{what}, {when}: {listed:?} in the list, {shown:?} on the page"
            );
        }
    }
    views
}

/// A carrier of three peers, agents, and a trunk whose carrier takes no registration.
fn town() -> (Town, usize) {
    let secret = phonebook::secret("geheim\n");
    let mut town = Town::with(7401, |text| {
        let hosts = "hosts = [\"10.0.1.1:5060;priority=1\", \"10.0.1.2:5060;priority=2\", \
                     \"10.0.1.3:5060;priority=3\"]\noptions_interval_s = 10\n";
        let text = text.replacen("hosts = [\"10.0.1.1:5060\"]\noptions_interval_s = 0\n", hosts, 1);
        let third = format!(
            "[[trunk]]\nname = \"line\"\nhosts = [\"10.0.3.1:5060\"]\nallow = [\"10.0.3.0/24\"]\nregister = true\n\
             options_interval_s = 0\nauth = {{ username = \"bert\", password_file = \"{}\" }}\n[[number]]",
            secret.display()
        );
        text.replacen("[[number]]", &third, 1)
    });
    std::fs::remove_file(secret).unwrap();
    let router = town.router();
    (town, router)
}

fn dial(town: &mut Town, router: usize, trunk: &str, to: &str, ring_ms: u32) -> String {
    let dial = json!({"to": to, "trunk": trunk, "ring_timeout_ms": ring_ms});
    let dialled = town.ask(router, "leg.dial", dial);
    dialled["leg"].as_str().unwrap().to_owned()
}

#[test]
fn the_list_of_trunks_and_the_metrics_page_say_the_same_after_a_mix_of_calls() {
    let (mut town, router) = town();
    let peers = [1, 2, 3].map(|host| town.party("peer", &format!("10.0.1.{host}:5060"), CUSTOMER_HZ));
    assert_agreed(&mut town, router, "before any call");
    // Answered late and early, refused in every class, given up, rung out: each on a peer that is up.
    for answer in [
        Answer::After(70 * MS),
        Answer::Early(130 * MS),
        Answer::Refuse(486),
        Answer::Refuse(404),
        Answer::Refuse(603),
        Answer::RefuseAfter(183, 480),
        Answer::Never,
    ] {
        town.parties[peers[0]].answer = answer;
        let leg = dial(&mut town, router, "carrier", NUMBER, 1_500);
        town.run_for(37 * MS);
        assert_agreed(&mut town, router, "while a call is set up");
        town.run_for(2 * SECOND);
        assert_agreed(&mut town, router, "after a call");
        // Those that were refused are gone already.
        town.request(router, "leg.hangup", json!({"leg": leg}));
        town.run_for(200 * MS);
    }
    let cancelled = dial(&mut town, router, "carrier", NUMBER, 60_000);
    town.run_for(300 * MS);
    town.ask(router, "leg.hangup", json!({"leg": cancelled}));
    // Two that talk, one each way, and an agent.
    let customer = town.customer(CUSTOMER_HZ);
    let agent = town.agent(AGENT_HZ);
    let (caller, call) = town.answered_call(router, customer);
    let desk = town.dialled(router, agent, &call);
    town.ask(router, "bridge.create", json!({"legs": [caller, desk]}));
    town.run_for(300 * MS);
    let views = assert_agreed(&mut town, router, "while two talk");
    assert_eq!(views[1]["calls"]["active"], 1);
    assert_hears(&mut town, customer, &[AGENT_HZ], &[]);
    // One peer asks for a pause, another is gone.
    town.parties[peers[0]].answer = Answer::RefuseFor(503, 600);
    town.parties[peers[1]].dead = true;
    dial(&mut town, router, "carrier", NUMBER, 60_000);
    town.run_for(60 * SECOND);
    town.ask(router, "limits.set", json!({"trunk": "carrier", "calls": 17}));
    let views = assert_agreed(&mut town, router, "with a peer that rests and one that is down");
    let states: Vec<&Value> = views[0]["peers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| &peer["state"])
        .collect();
    assert!(
        states.contains(&&json!("resting")) && states.contains(&&json!("down")),
        "{states:?}"
    );
    assert_eq!(
        (&views[2]["registered"], &views[2]["state"]),
        (&json!(false), &json!("down"))
    );
    let quality = &views[0]["quality"];
    for figure in [
        "seizures",
        "answered",
        "effective",
        "asr",
        "ner",
        "post_dial_delay_ms",
        "setup_ms",
    ] {
        assert!(
            quality[figure].as_f64().unwrap() > 0.0,
            "{figure} was put to the test: {quality}"
        );
    }
    town.ask(router, "trunk.disable", json!({"trunk": "carrier"}));
    assert_agreed(&mut town, router, "switched off");
}
