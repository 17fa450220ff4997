//! Commands and what they are refused for; batches; retries by key.

use std::time::Duration;

use house::sim::{Answer, Town};
use serde_json::json;

const MS: Duration = Duration::from_millis(1);
const CUSTOMER_HZ: f64 = 440.0;
const AGENT_HZ: f64 = 800.0;
const OTHER_HZ: f64 = 1300.0;
const MUSIC_HZ: f64 = 350.0;

#[test]
fn nothing_but_ping_and_state_before_hello() {
    let mut town = Town::new(20);
    let router = town.connect("default");
    town.ask(router, "ping", json!({}));
    town.ask(router, "state.get", json!({}));
    assert_eq!(town.refused(router, "limits.get", json!({})), "invalid_state");
    town.ask(router, "hello", json!({"app": "default", "client": "t"}));
    town.ask(router, "limits.get", json!({}));
}

#[test]
fn what_is_not_there_is_not_found_and_later_methods_are_named() {
    let mut town = Town::new(21);
    let router = town.router();
    for (method, params) in [
        ("leg.answer", json!({"leg": "nobody"})),
        ("leg.hangup", json!({"leg": "nobody"})),
        ("bridge.destroy", json!({"bridge": "nothing", "then": "park"})),
        ("record.stop", json!({"recording": "nothing"})),
        ("leg.dial", json!({"to": "sip:a@10.0.2.1", "trunk": "nowhere"})),
    ] {
        assert_eq!(town.refused(router, method, params), "not_found", "{method}");
    }
    let reply = town.request(router, "leg.redirect", json!({"leg": "x"}));
    assert_eq!(reply["error"]["code"], -32601);
    assert_eq!(reply["error"]["data"]["kind"], "not_found");
}

#[test]
fn an_atomic_batch_does_all_or_nothing() {
    let mut town = Town::new(22);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let agent = town.agent(AGENT_HZ);
    let (leg, call) = town.answered_call(router, customer);
    let to = town.target(agent);
    let before = town.ask(router, "state.get", json!({}));
    let events = town.routers[router].events.len();
    let reply = town.request(
        router,
        "batch",
        json!({"steps": [
            {"method": "leg.hold", "params": {"leg": leg}},
            {"method": "leg.dial", "params": {"to": to, "trunk": "agents", "call": call, "id": "agent"}},
            {"method": "bridge.create", "params": {"call": call, "legs": [leg, "$1.leg"]}},
            {"method": "leg.mute", "params": {"leg": "nobody", "direction": "send"}},
        ]}),
    );
    assert_eq!(reply["error"]["data"]["kind"], "not_found");
    assert_eq!(reply["error"]["data"]["step"], 3);
    town.run_for(500 * MS);
    assert_eq!(town.ask(router, "state.get", json!({}))["legs"], before["legs"]);
    assert_eq!(
        town.routers[router].events.len(),
        events,
        "no event of a batch that was taken back"
    );
    assert!(
        town.parties[agent].got.is_empty(),
        "no INVITE of a batch that was taken back"
    );
}

#[test]
fn limits_drain_and_counts_of_a_batch_that_is_refused_are_as_they_were() {
    let mut town = Town::new(28);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let (leg, call) = town.answered_call(router, customer);
    let before = town.ask(router, "limits.get", json!({}));
    let nobody = json!({"method": "leg.answer", "params": {"leg": "nobody"}});
    let set = |params: serde_json::Value| json!({"method": "limits.set", "params": params});
    let steps = json!([
        set(json!({"calls": 1, "calls_per_second": 2})),
        set(json!({"calls": 3})),
        set(json!({"trunk": "carrier", "calls": 4, "calls_per_second": 5})),
        {"method": "record.start", "params": {"target": leg}},
        {"method": "call.end", "params": {"call": call}},
        {"method": "drain.start", "params": {}},
        nobody,
    ]);
    assert_eq!(
        town.refused(router, "batch", json!({ "steps": steps })),
        "not_found"
    );
    assert_eq!(
        town.ask(router, "limits.get", json!({}))["trunks"],
        before["trunks"]
    );
    assert_eq!(
        town.ask(router, "limits.get", json!({}))["calls"],
        before["calls"]
    );
    assert_eq!(town.ask(router, "drain.status", json!({}))["draining"], false);
    assert_eq!(town.saved_limits, None, "and nothing is kept for the next run");
    let talked = |town: &Town| -> u64 {
        let tallies = town.core.engine().metrics().tallies();
        tallies.map(|(_, tally)| tally.talk.count()).sum()
    };
    assert_eq!(talked(&town), 0, "nobody hung up");
    assert!(town.core.engine().metrics().recordings().is_empty());
    assert!(town.hears(customer, CUSTOMER_HZ, 400 * MS) < 0.01);
    town.ask(
        router,
        "play.start",
        json!({"target": leg, "sources": ["greeting"]}),
    );
    town.run_for(100 * MS);
    assert!(town.hears(customer, 2500.0, 400 * MS) > 0.2, "the call is up");

    // A batch that holds changes the same, once; alone a step stands whatever becomes of the next.
    let steps = json!([set(json!({"calls": 7})), {"method": "call.end", "params": {"call": call}}]);
    town.ask(router, "batch", json!({ "steps": steps }));
    let alone = json!([set(json!({"trunk": "carrier", "calls": 8})), nobody]);
    town.ask(router, "batch", json!({"steps": alone, "atomic": false}));
    let limits = town.ask(router, "limits.get", json!({}));
    assert_eq!(
        (
            &limits["calls"]["limit"],
            &limits["trunks"]["carrier"]["calls"]["limit"]
        ),
        (&json!(7), &json!(8))
    );
    assert_eq!(talked(&town), 1);
}

#[test]
fn a_registration_is_not_given_up_by_a_batch_that_is_refused() {
    let mut town = Town::with(29, |text| {
        let auth = "register = true\nauth = { username = \"bert\", password_file = \"SECRET\" }\n";
        let secret = house::phonebook::secret("geheim\n");
        text.replace(
            "hosts = [\"10.0.1.1:5060\"]\n",
            &format!(
                "hosts = [\"10.0.1.1:5060\"]\n{}",
                auth.replace("SECRET", &secret.display().to_string())
            ),
        )
    });
    let router = town.router();
    let steps = json!([
        {"method": "drain.start", "params": {}},
        {"method": "leg.answer", "params": {"leg": "nobody"}},
    ]);
    assert_eq!(
        town.refused(router, "batch", json!({ "steps": steps })),
        "not_found"
    );
    // Were our contact thought to be leaving, this drain would wait for ever.
    town.ask(router, "drain.start", json!({}));
    town.run_for(Duration::from_secs(40));
    assert_eq!(town.drains, 1);
}

#[test]
fn a_dial_refused_in_a_batch_tells_the_step_of_the_batch_and_that_of_the_policy() {
    let mut town = Town::with(30, |text| {
        let keys = "name = \"carrier\"\nhome_country = \"JP\"";
        text.replacen("name = \"carrier\"", keys, 1)
    });
    let router = town.router();
    let dial = json!({"to": "110", "trunk": "carrier"});
    let steps = json!([
        {"method": "limits.set", "params": {"calls": 50}},
        {"method": "leg.dial", "params": dial},
    ]);
    let reply = town.request(router, "batch", json!({ "steps": steps }));
    let data = &reply["error"]["data"];
    let raised = town.routers[router].of("alarm.raised");
    assert_eq!(raised.len(), 1, "an emergency call was refused");
    assert_eq!(raised[0]["data"]["kind"], "emergency_refused");
    let alone = town.request(router, "leg.dial", dial)["error"]["data"].clone();
    assert_eq!(
        (&data["step"], &data["policy_step"]),
        (&json!(1), &json!("emergency"))
    );
    assert_eq!(alone["step"], "emergency");
    assert_eq!((&data["kind"], &data["rule"]), (&alone["kind"], &alone["rule"]));
    let refused = town.routers[router].of("call.refused");
    assert_eq!(refused.len(), 2);
    assert_eq!(
        refused[1]["data"]["decision"], refused[0]["data"]["decision"],
        "the decision is the policy's own"
    );
}

#[test]
fn a_consult_batch_holds_and_dials_and_its_events_share_a_group() {
    let mut town = Town::new(23);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let (first, second) = (town.agent(AGENT_HZ), town.agent(OTHER_HZ));
    let (caller, call) = town.answered_call(router, customer);
    let desk = town.dialled(router, first, &call);
    town.ask(
        router,
        "bridge.create",
        json!({"id": "b", "call": call, "legs": [caller, desk]}),
    );
    town.run_for(100 * MS);
    let to = town.target(second);
    let from = town.routers[router].events.len();
    let result = town.ask(
        router,
        "batch",
        json!({"key": "consult-1", "steps": [
            {"method": "leg.hold", "params": {"leg": caller, "music": "default"}},
            {"method": "leg.dial", "params": {"to": to, "trunk": "agents", "bridge": "b", "id": "colleague"}},
        ]}),
    );
    assert_eq!(result["results"][1]["leg"], "colleague");
    let told: Vec<_> = town.routers[router].events[from..]
        .iter()
        .filter(|event| event["cause"]["cmd"].is_string())
        .collect();
    let group = told[0]["group"].clone();
    assert!(
        group.is_string() && told.iter().all(|event| event["group"] == group),
        "{told:?}"
    );
    town.run_for(500 * MS);
    let since = town.now;
    town.run_for(400 * MS);
    let hears = |party: usize, hz: f64| house::tone::level(&town.parties[party].samples(since, town.now), hz);
    assert!(hears(customer, MUSIC_HZ) > 0.2);
    assert!(hears(customer, AGENT_HZ) < 0.01 && hears(customer, OTHER_HZ) < 0.01);
    assert!(
        hears(first, OTHER_HZ) > 0.2 && hears(first, CUSTOMER_HZ) < 0.01 && hears(first, MUSIC_HZ) < 0.01
    );
    assert!(hears(second, AGENT_HZ) > 0.2 && hears(second, CUSTOMER_HZ) < 0.01);
    let seq = result["seq"].clone();
    let again = town.ask(
        router,
        "batch",
        json!({"key": "consult-1", "steps": [
            {"method": "leg.hold", "params": {"leg": caller, "music": "default"}},
            {"method": "leg.dial", "params": {"to": to, "trunk": "agents", "bridge": "b", "id": "colleague"}},
        ]}),
    );
    assert_eq!((&again["replayed"], &again["seq"]), (&json!(true), &seq));
    assert_eq!(
        town.refused(router, "leg.resume", json!({"leg": caller, "key": "consult-1"})),
        "key_conflict"
    );
}

#[test]
fn steps_of_a_loose_batch_stand_alone() {
    let mut town = Town::new(24);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let (leg, _) = town.answered_call(router, customer);
    let result = town.ask(
        router,
        "batch",
        json!({"atomic": false, "steps": [
            {"method": "leg.mute", "params": {"leg": "nobody", "direction": "send"}},
            {"method": "leg.mute", "params": {"leg": leg, "direction": "send"}},
        ]}),
    );
    assert_eq!(result["results"][0]["error"]["data"]["kind"], "not_found");
    let view = town.ask(router, "state.get", json!({}))["legs"][0].clone();
    assert_eq!(view["muted_send"], true);
}

#[test]
fn digits_are_collected_and_a_digit_cuts_the_prompt() {
    let mut town = Town::new(25);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let (leg, _) = town.answered_call(router, customer);
    town.ask(
        router,
        "collect.start",
        json!({"leg": leg, "prompt": ["greeting", "greeting"], "min": 1, "max": 4, "terminators": "#",
               "first_ms": 3000, "inter_ms": 1500}),
    );
    town.run_for(400 * MS);
    for digit in [1, 2, 11] {
        town.parties[customer].press(digit);
        town.run_for(300 * MS);
    }
    let ended = town.routers[router].of("collect.ended")[0]["data"].clone();
    assert_eq!(
        (&ended["digits"], &ended["why"]),
        (&json!("12"), &json!("terminator"))
    );
    assert_eq!(
        town.routers[router].of("play.ended")[0]["data"]["why"],
        "barge_in"
    );
    assert_eq!(town.routers[router].of("leg.dtmf").len(), 3);
}

#[test]
fn digits_pass_to_who_hears_the_sender_exactly_once() {
    let mut town = Town::new(26);
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
    town.run_for(200 * MS);
    for digit in [5, 0, 10] {
        town.parties[customer].press(digit);
        town.run_for(400 * MS);
    }
    assert_eq!(town.parties[agent].digits, vec![5, 0, 10]);
    let told: Vec<_> = town.routers[router]
        .of("leg.dtmf")
        .iter()
        .map(|event| event["data"]["digit"].clone())
        .collect();
    assert_eq!(told, vec![json!("5"), json!("0"), json!("*")]);
    let op = town.ask(router, "leg.send_dtmf", json!({"leg": desk, "digits": "12#"}))["op"].clone();
    town.run_for(Duration::from_secs(2));
    assert_eq!(town.parties[agent].digits, vec![5, 0, 10, 1, 2, 11]);
    assert!(
        town.routers[router]
            .of("op.ended")
            .iter()
            .any(|event| event["op"] == op)
    );
}

#[test]
fn a_member_of_another_bridge_must_be_moved() {
    let mut town = Town::new(27);
    let router = town.router();
    let (one, two) = (town.customer(CUSTOMER_HZ), town.customer(OTHER_HZ));
    let (first, call) = town.answered_call(router, one);
    let (second, _) = town.answered_call(router, two);
    town.ask(
        router,
        "bridge.create",
        json!({"id": "b1", "call": call, "legs": [first], "max_legs": 1}),
    );
    town.ask(router, "bridge.create", json!({"id": "b2", "call": call}));
    assert_eq!(
        town.refused(router, "bridge.add", json!({"bridge": "b2", "leg": first})),
        "invalid_state"
    );
    town.ask(router, "bridge.add", json!({"bridge": "b1", "leg": first}));
    assert_eq!(
        town.refused(router, "bridge.add", json!({"bridge": "b1", "leg": second})),
        "limit_legs"
    );
    assert_eq!(
        town.refused(router, "bridge.create", json!({"id": "b1", "call": call})),
        "id_taken"
    );
    town.ask(router, "bridge.move", json!({"leg": first, "to": "b2"}));
    town.ask(router, "bridge.add", json!({"bridge": "b2", "leg": second}));
    town.run_for(100 * MS);
    assert!(
        town.hears(one, OTHER_HZ, 400 * MS) > 0.2,
        "legs of two calls hear each other"
    );
    let left = town.routers[router].of("bridge.left")[0];
    assert_eq!(left["data"]["why"], "moved");
    town.ask(router, "bridge.destroy", json!({"bridge": "b2", "then": "park"}));
    assert_eq!(
        town.ask(router, "bridge.destroy", json!({"bridge": "b2", "then": "park"}))["already_ended"],
        true
    );
    town.run_for(100 * MS);
    assert!(town.hears(one, OTHER_HZ, 400 * MS) < 0.01);
}

#[test]
fn ringback_until_early_media_then_the_far_audio() {
    let mut town = Town::new(28);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let agent = town.agent(AGENT_HZ);
    let (caller, call) = town.answered_call(router, customer);
    town.ask(
        router,
        "bridge.create",
        json!({"id": "b", "call": call, "legs": [caller]}),
    );
    let to = town.target(agent);
    town.parties[agent].answer = Answer::After(Duration::from_secs(5));
    town.ask(
        router,
        "leg.dial",
        json!({"to": to, "trunk": "agents", "bridge": "b"}),
    );
    town.run_for(200 * MS);
    assert!(
        town.hears(customer, 440.0, 800 * MS) > 0.02,
        "ring tone of 440 and 480 Hz"
    );
    assert!(town.hears(customer, 480.0, 800 * MS) > 0.02);
    town.run_for(Duration::from_secs(5));
    assert!(town.hears(customer, AGENT_HZ, 400 * MS) > 0.2);
    assert!(town.hears(customer, 480.0, 400 * MS) < 0.01);
}

#[test]
fn early_audio_is_heard_before_the_answer_and_one_way() {
    let mut town = Town::new(29);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let agent = town.agent(AGENT_HZ);
    let (caller, call) = town.answered_call(router, customer);
    town.ask(
        router,
        "bridge.create",
        json!({"id": "b", "call": call, "legs": [caller]}),
    );
    let to = town.target(agent);
    town.parties[agent].answer = Answer::Early(Duration::from_secs(3));
    town.ask(
        router,
        "leg.dial",
        json!({"to": to, "trunk": "agents", "bridge": "b"}),
    );
    town.run_for(300 * MS);
    assert!(town.hears(customer, AGENT_HZ, 400 * MS) > 0.2);
    assert!(town.hears(agent, CUSTOMER_HZ, 400 * MS) < 0.01);
    town.run_for(Duration::from_secs(3));
    assert!(town.hears(agent, CUSTOMER_HZ, 400 * MS) > 0.2);
}

#[test]
fn hold_by_signalling_tells_the_peer_and_music_goes_on() {
    let mut town = Town::new(30);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let (leg, _) = town.answered_call(router, customer);
    let reply = town.ask(router, "leg.hold", json!({"leg": leg, "signal": true}));
    town.run_for(300 * MS);
    assert!(
        town.parties[customer]
            .got
            .iter()
            .any(|message| message.contains("a=sendonly"))
    );
    assert!(
        town.routers[router]
            .of("op.ended")
            .iter()
            .any(|event| event["op"] == reply["op"])
    );
    assert!(town.hears(customer, MUSIC_HZ, 400 * MS) > 0.2);
    assert_ne!(
        town.ask(router, "leg.resume", json!({"leg": leg}))["already"],
        true
    );
    town.run_for(200 * MS);
    assert_eq!(
        town.ask(router, "leg.resume", json!({"leg": leg}))["already"],
        true
    );
    assert!(town.hears(customer, MUSIC_HZ, 400 * MS) < 0.01);
}

#[test]
fn a_peer_that_holds_us_is_told_and_comes_back() {
    let mut town = Town::new(31);
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
    town.reinvite(customer, "inactive");
    town.run_for(200 * MS);
    assert!(town.routers[router].last_of("leg.far_held", &caller).is_some());
    assert!(town.hears(customer, AGENT_HZ, 400 * MS) < 0.01);
    town.reinvite(customer, "sendrecv");
    town.run_for(200 * MS);
    assert!(town.routers[router].last_of("leg.far_resumed", &caller).is_some());
    assert!(town.hears(customer, AGENT_HZ, 400 * MS) > 0.2);
    assert!(town.hears(agent, CUSTOMER_HZ, 400 * MS) > 0.2);
}

#[test]
fn an_unclaimed_call_is_refused_after_its_time_and_a_claimed_one_is_not() {
    let mut town = Town::new(32);
    let router = town.router();
    let (left, taken) = (town.customer(CUSTOMER_HZ), town.customer(OTHER_HZ));
    town.call(left, "+498001234567");
    town.run_for(100 * MS);
    town.call(taken, "+498001234567");
    town.run_for(100 * MS);
    let leg = town.routers[router].of("leg.incoming")[1]["leg"].clone();
    town.ask(router, "leg.progress", json!({"leg": leg, "status": 180}));
    town.run_for(Duration::from_secs(6));
    let ended = town.routers[router].of("leg.ended");
    assert_eq!(ended.len(), 1);
    assert_eq!(
        (&ended[0]["data"]["reason"], &ended[0]["cause"]["by"]),
        (&json!("no_answer"), &json!("policy"))
    );
    assert!(
        town.parties[left]
            .events
            .iter()
            .any(|(_, event)| *event == house::sim::PartyEvent::Refused(503))
    );
}
