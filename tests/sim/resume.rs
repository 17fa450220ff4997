//! A router that goes away and comes back sees every event once.

use std::time::Duration;

use house::sim::Town;
use serde_json::json;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_client_that_resumes_sees_every_seq_once() {
    let mut town = Town::new(40);
    let (witness, router) = (town.router(), town.router());
    let customer = town.customer(440.0);
    let (leg, _) = town.answered_call(witness, customer);
    let (epoch, seen) = {
        let last = town.routers[router].events.last().unwrap();
        (last["epoch"].clone(), last["seq"].as_u64().unwrap())
    };
    town.disconnect(router);
    for _ in 0..300 {
        town.ask(witness, "leg.hold", json!({"leg": leg}));
        town.ask(witness, "leg.resume", json!({"leg": leg}));
        town.run_for(5 * MS);
    }
    let back = town.connect("default");
    let hello = json!({"app": "default", "client": "t", "resume": {"epoch": epoch, "seq": seen}});
    let result = town.ask(back, "hello", hello);
    assert_eq!(
        (&result["resumed"], &result["from"]),
        (&json!(true), &json!(seen + 1))
    );
    town.ask(witness, "leg.hangup", json!({"leg": leg}));
    town.run_for(Duration::from_secs(1));
    let seqs: Vec<u64> = town.routers[back]
        .events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    let last = town.routers[witness].events.last().unwrap()["seq"]
        .as_u64()
        .unwrap();
    assert_eq!(seqs, (seen + 1..=last).collect::<Vec<_>>());
}

#[test]
fn a_cursor_of_another_run_gets_a_snapshot() {
    let mut town = Town::new(41);
    let router = town.connect("default");
    let hello = json!({"app": "default", "client": "t", "resume": {"epoch": "gone", "seq": 7}});
    let result = town.ask(router, "hello", hello);
    assert_eq!(
        (&result["resumed"], &result["why"]),
        (&json!(false), &json!("epoch_changed"))
    );
    assert_eq!(result["snapshot"]["seq"], result["seq"]);
    let customer = town.customer(440.0);
    town.call(customer, "+498001234567");
    town.run_for(100 * MS);
    let first = town.routers[router].events[0]["seq"].as_u64().unwrap();
    assert_eq!(first, result["seq"].as_u64().unwrap() + 1);
}

#[test]
fn filters_let_through_what_was_asked_for() {
    let mut town = Town::new(42);
    let all = town.router();
    let some = town.connect("default");
    town.ask(
        some,
        "hello",
        json!({"app": "default", "client": "t", "subscribe": {"types": ["call.record"]}}),
    );
    let customer = town.customer(440.0);
    let (leg, _) = town.answered_call(all, customer);
    town.ask(all, "leg.hangup", json!({"leg": leg}));
    town.run_for(Duration::from_secs(6));
    assert_eq!(town.routers[some].kinds(), vec!["call.record"]);
    assert!(
        town.routers[some]
            .lines
            .iter()
            .any(|line| line["params"]["type"] == "tick")
    );
}

#[test]
fn an_app_without_a_connection_is_lost_and_returns() {
    let mut town = Town::with(43, |text| {
        text + "[app.default]\non_controller_lost = { after_ms = 2000, action = \"hangup\" }\n"
    });
    let watcher = town.router_of("watcher");
    let router = town.router();
    let customer = town.customer(440.0);
    town.answered_call(router, customer);
    town.disconnect(router);
    town.run_for(1900 * MS);
    assert!(town.routers[watcher].of("leg.ended").is_empty());
    town.run_for(200 * MS);
    let ended = town.routers[watcher].of("leg.ended")[0];
    assert_eq!(ended["data"]["reason"], "controller_lost");
    town.router();
    assert_eq!(town.routers[watcher].of("controller.returned").len(), 1);
}
