//! The main job, step by step, by ear.

use std::time::Duration;

use house::sim::Town;
use serde_json::json;

const MS: Duration = Duration::from_millis(1);
const CUSTOMER_HZ: f64 = 440.0;
const AGENT_HZ: f64 = 800.0;

#[test]
fn an_inbound_call_is_answered_bridged_and_hung_up() {
    let mut town = Town::new(1);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let agent = town.agent(AGENT_HZ);
    let (caller, call) = town.answered_call(router, customer);
    let desk = town.dialled(router, agent, &call);
    town.ask(
        router,
        "bridge.create",
        json!({"call": call, "legs": [caller, desk]}),
    );
    town.run_for(100 * MS);
    assert!(town.hears(agent, CUSTOMER_HZ, 400 * MS) > 0.2);
    assert!(town.hears(customer, AGENT_HZ, 400 * MS) > 0.2);
    assert!(town.hears(customer, CUSTOMER_HZ, 400 * MS) < 0.01);
    town.hang_up(customer);
    town.run_for(200 * MS);
    let ended = town.routers[router].last_of("leg.ended", &caller).unwrap();
    assert_eq!(
        (&ended["data"]["by"], &ended["data"]["reason"]),
        (&json!("peer"), &json!("completed"))
    );
    town.ask(router, "leg.hangup", json!({"leg": desk}));
    town.run_for(Duration::from_secs(40));
    assert_eq!(town.records.len(), 1, "{:?}", town.routers[router].kinds());
    assert!(town.core.engine().is_empty());
}
