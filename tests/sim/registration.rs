//! Phones that register at the gateway, and the gateway that registers at a carrier.

use std::sync::Arc;
use std::time::Duration;

use gateway::engine::io::Input;
use house::phonebook;
use house::sim::{Answer, PartyEvent, Town};
use serde_json::{Value, json};
use sip::auth::Users;
use sip::endpoint::{Domain, Registrar, RegistrationEvent};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
const CUSTOMER_HZ: f64 = 440.0;
const AGENT_HZ: f64 = 800.0;

/// A town whose agents register, from wherever `allow` says.
fn with_phones(seed: u64, allow: &str) -> Town {
    let users = phonebook::file(&[("anna", "secret"), ("bert", "geheim")]);
    let town = Town::with(seed, |text| {
        text.replace(
            "allow = [\"10.0.2.0/24\"]\n",
            &format!(
                "allow = [\"{allow}\"]\nroute_on = [408, 480, 503]\n\
                 accept_register = {{ users_file = \"{}\", realm = \"phones\", max = 3 }}\n",
                users.display()
            ),
        )
    });
    std::fs::remove_file(users).unwrap();
    town
}

fn trunk(town: &mut Town, router: usize, name: &str) -> Value {
    let list = town.ask(router, "trunk.list", json!({}));
    let trunks = list["trunks"].as_array().unwrap();
    trunks
        .iter()
        .find(|trunk| trunk["trunk"] == name)
        .unwrap()
        .clone()
}

fn dial(town: &mut Town, router: usize, to: &str, call: &str) -> String {
    let dialled = town.ask(
        router,
        "leg.dial",
        json!({"to": to, "trunk": "agents", "call": call}),
    );
    dialled["leg"].as_str().unwrap().to_owned()
}

#[test]
fn a_call_reaches_the_registered_phone_and_both_hear_each_other() {
    let mut town = with_phones(1, "0.0.0.0/0");
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    // From an address that nobody listed.
    let phone = town.party("phone", "10.99.7.3:40112", AGENT_HZ);
    let (caller, call) = town.answered_call(router, customer);
    let early = json!({"to": "sip:anna", "trunk": "agents", "call": call});
    let reply = town.request(router, "leg.dial", early.clone());
    assert_eq!(reply["error"]["data"]["kind"], "no_route");
    assert_eq!(reply["error"]["data"]["why"], "not_registered");

    town.register(phone, "anna", "secret", 600 * S);
    town.run_for(200 * MS);
    let told = town.routers[router].of("phone.registered");
    assert_eq!(told[0]["data"], json!({"trunk": "agents", "user": "anna"}));
    assert_eq!(trunk(&mut town, router, "agents")["phones"], 1);
    for to in [
        "sip:anna",
        "sip:anna@10.0.0.1",
        "sip:anna@phones",
        "sip:ANNA@10.0.0.1",
    ] {
        let check = json!({"to": to, "trunk": "agents"});
        let decision = town.ask(router, "policy.check", check);
        assert_eq!(decision["decision"], "allow", "{to}");
    }
    let refused = json!({"to": "sip:ANNA", "trunk": "agents", "call": call});
    assert_eq!(town.refused(router, "leg.dial", refused), "no_route");

    let desk = dial(&mut town, router, "sip:anna@10.0.0.1", &call);
    town.run_for(400 * MS);
    town.ask(
        router,
        "bridge.create",
        json!({"call": call, "legs": [caller, desk]}),
    );
    town.run_for(100 * MS);
    assert!(town.hears(phone, CUSTOMER_HZ, 400 * MS) > 0.2);
    assert!(town.hears(customer, AGENT_HZ, 400 * MS) > 0.2);
    let invite = town.parties[phone]
        .got
        .iter()
        .find(|text| text.starts_with("INVITE "))
        .unwrap();
    assert!(
        invite.starts_with("INVITE sip:anna@10.99.7.3:40112 SIP/2.0\r\n"),
        "{invite}"
    );
    assert!(invite.contains("To: <sip:anna@10.0.0.1>\r\n"), "{invite}");
    // Our BYE finds the phone, too.
    town.ask(router, "call.end", json!({"call": call}));
    town.run_for(200 * MS);
    assert!(
        town.parties[phone]
            .events
            .iter()
            .any(|(_, event)| *event == PartyEvent::Ended)
    );

    town.unregister(phone);
    town.run_for(200 * MS);
    assert_eq!(town.routers[router].of("phone.unregistered").len(), 1);
    assert_eq!(trunk(&mut town, router, "agents")["phones"], 0);
    town.run_for(40 * S);
    assert_eq!(town.records.len(), 1);
    assert!(town.core.engine().is_empty());
}

#[test]
fn of_two_phones_the_newest_rings_first_and_the_other_when_it_does_not_take_the_call() {
    let mut town = with_phones(2, "10.0.2.0/24").without_media();
    let router = town.router();
    let (old, new) = (town.agent(AGENT_HZ), town.agent(AGENT_HZ));
    for phone in [old, new] {
        town.register(phone, "anna", "secret", 600 * S);
        town.run_for(200 * MS);
    }
    assert_eq!(town.routers[router].of("phone.registered").len(), 1, "one user");
    town.parties[new].answer = Answer::Refuse(480);
    town.parties[old].answer = Answer::Refuse(486);
    let to = json!({"to": "sip:anna", "trunk": "agents"});
    town.ask(router, "leg.dial", to.clone());
    town.run_for(S);
    let rang = |town: &Town, party: usize| {
        let events = town.parties[party].events.iter();
        events.filter(|(_, event)| *event == PartyEvent::Invited).count()
    };
    assert_eq!((rang(&town, new), rang(&town, old)), (1, 1));
    town.parties[new].answer = Answer::Refuse(603);
    town.ask(router, "leg.dial", to);
    town.run_for(S);
    assert_eq!((rang(&town, new), rang(&town, old)), (2, 1), "the user said no");
    town.run_for(40 * S);
    let attempts = &town.records[0]["legs"][0]["attempts"];
    let peers: Vec<_> = attempts
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["status"].clone())
        .collect();
    assert_eq!(peers, [json!(480), json!(486)], "{attempts}");
}

#[test]
fn a_binding_that_is_not_refreshed_is_gone_with_its_time() {
    let mut town = with_phones(3, "10.0.2.0/24").without_media();
    let router = town.router();
    let phone = town.agent(AGENT_HZ);
    town.register(phone, "anna", "secret", 120 * S);
    town.run_for(10 * S);
    town.parties[phone].got.clear();
    // Refreshed in time, for hours.
    town.run_for(7200 * S);
    assert_eq!(trunk(&mut town, router, "agents")["phones"], 1);
    assert_eq!(town.routers[router].of("phone.registered").len(), 1);
    town.set_weather(house::sim::Weather {
        loss_permille: 1000,
        ..Default::default()
    });
    town.run_for(121 * S);
    assert_eq!(town.routers[router].of("phone.unregistered").len(), 1);
    assert_eq!(
        town.refused(router, "leg.dial", json!({"to": "sip:anna", "trunk": "agents"})),
        "no_route"
    );
}

#[test]
fn a_phone_proves_who_calls_and_a_stranger_gets_no_further() {
    let mut town = with_phones(4, "0.0.0.0/0").without_media();
    let router = town.router();
    let stranger = town.party("stranger", "10.99.7.4:5060", CUSTOMER_HZ);
    town.call(stranger, "+498001234567");
    town.run_for(S);
    let refused = |town: &Town, party: usize| {
        let events = town.parties[party].events.iter();
        events
            .filter(|(_, event)| *event == PartyEvent::Refused(401))
            .count()
    };
    assert_eq!(refused(&town, stranger), 1);
    // Guessing is no better, and leaves neither call nor record.
    town.parties[stranger].account = Some(sip::endpoint::Credentials {
        username: "anna".into(),
        password: "guess".into(),
        realm: None,
    });
    town.call(stranger, "+498001234567");
    town.run_for(S);
    assert_eq!(refused(&town, stranger), 2);
    assert!(town.routers[router].of("leg.incoming").is_empty());
    assert!(town.routers[router].of("call.refused").is_empty());

    let phone = town.party("phone", "10.99.7.5:5060", AGENT_HZ);
    town.parties[phone].account = Some(sip::endpoint::Credentials {
        username: "bert".into(),
        password: "geheim".into(),
        realm: Some("phones".into()),
    });
    town.call(phone, "+498001234567");
    town.run_for(S);
    let incoming = town.routers[router].of("leg.incoming");
    assert_eq!(incoming[0]["data"]["user"], "bert");
    assert_eq!(incoming.len(), 1);
    town.run_for(40 * S);
    assert!(town.core.engine().is_empty());
}

/// A town whose carrier wants a registration.
fn with_carrier(seed: u64, hosts: &str, more: &str) -> Town {
    let password = phonebook::secret("geheim\n");
    let town = Town::with(seed, |text| {
        text.replace(
            "hosts = [\"10.0.1.1:5060\"]\n",
            &format!(
                "hosts = [{hosts}]\nregister = true\nregister_expires_s = 600\n{more}\
                 auth = {{ username = \"bert\", password_file = \"{}\" }}\n",
                password.display()
            ),
        )
    });
    std::fs::remove_file(password).unwrap();
    town.without_media()
}

fn registrar(password: &str) -> Domain {
    let users = Users::parse(&phonebook::lines(&[("bert", password)]), phonebook::REALM).unwrap();
    let users = Arc::new(users);
    Domain {
        networks: vec!["10.0.0.1".parse().unwrap()],
        challenge: Some(users.clone()),
        registrar: Some(Registrar {
            users,
            bindings_max: 10,
        }),
        our_host: None,
        contact_host: None,
    }
}

#[test]
fn calls_go_out_only_while_the_trunk_is_registered() {
    let mut town = with_carrier(5, "\"10.0.1.1:5060\"", "");
    let carrier = town.party("carrier", "10.0.1.1:5060", CUSTOMER_HZ);
    let router = town.router();
    let call = json!({"to": "+493012345670", "trunk": "carrier"});
    let reply = town.request(router, "leg.dial", call.clone());
    assert_eq!(reply["error"]["data"]["kind"], "trunk_down");
    assert_eq!(reply["error"]["data"]["why"], "unregistered");
    // What may not be dialled is refused for that, whether the trunk is up or not.
    let denied = json!({"to": "+447400123456", "trunk": "carrier"});
    assert_eq!(
        town.refused(router, "leg.dial", denied),
        "destination_not_allowed"
    );

    // The carrier was away at the start: it is found at the next try.
    town.parties[carrier].be_registrar(Some(registrar("geheim")));
    town.run_for(70 * S);
    let told = town.routers[router].of("trunk.registered");
    assert_eq!(
        told[0]["data"],
        json!({"trunk": "carrier", "server": "10.0.1.1:5060;transport=udp", "expires_s": 600})
    );
    let view = trunk(&mut town, router, "carrier");
    assert_eq!(
        (&view["state"], &view["registered"]),
        (&json!("up"), &json!(true))
    );
    town.ask(router, "leg.dial", call.clone());
    town.run_for(S);
    assert!(
        town.parties[carrier]
            .events
            .iter()
            .any(|(_, event)| *event == PartyEvent::Answered)
    );
    let invite = town.parties[carrier]
        .got
        .iter()
        .rfind(|text| text.starts_with("INVITE "))
        .unwrap();
    assert!(
        invite.contains("Authorization: Digest username=\"bert\""),
        "{invite}"
    );
    town.hang_up(carrier);
    town.run_for(40 * S);

    // Hours later it is still registered, and nobody was told again.
    town.run_for(4 * 3600 * S);
    assert_eq!(town.routers[router].of("trunk.registered").len(), 1);
    town.set_weather(house::sim::Weather {
        loss_permille: 1000,
        ..Default::default()
    });
    town.run_for(601 * S);
    let down = town.routers[router].of("trunk.down");
    assert_eq!(
        down[0]["data"],
        json!({"trunk": "carrier", "why": "unregistered"})
    );
    assert_eq!(trunk(&mut town, router, "carrier")["state"], "down");
    assert_eq!(town.refused(router, "leg.dial", call.clone()), "trunk_down");
    let failed = town.routers[router].of("trunk.registration_failed");
    let last = &failed.last().unwrap()["data"];
    assert_eq!((&last["why"], &last["sip"]), (&json!("timeout"), &Value::Null));
    town.set_weather(house::sim::Weather::default());
    town.run_for(400 * S);
    assert_eq!(town.routers[router].of("trunk.registered").len(), 2);
    assert_eq!(town.routers[router].of("trunk.up").len(), 1);
    town.ask(router, "leg.dial", call);
    town.run_for(40 * S);
}

#[test]
fn a_carrier_that_refuses_raises_an_alarm_and_is_left_alone() {
    let mut town = with_carrier(6, "\"10.0.1.1:5060\", \"10.0.1.2:5060;priority=2\"", "");
    let router = town.router();
    let (first, second) = (
        town.party("first", "10.0.1.1:5060", CUSTOMER_HZ),
        town.party("second", "10.0.1.2:5060", CUSTOMER_HZ),
    );
    town.parties[first].be_registrar(Some(registrar("another")));
    town.run_for(10 * S);
    let failed = town.routers[router].of("trunk.registration_failed");
    let data = &failed[0]["data"];
    assert_eq!((&data["sip"], &data["why"]), (&json!(401), &json!("refused")));
    let alarm = &town.routers[router].of("alarm.raised")[0]["data"];
    assert_eq!(alarm["kind"], "registration_refused");
    let got = |town: &Town, party: usize| town.parties[party].got.len();
    assert_eq!(
        (got(&town, first), got(&town, second)),
        (2, 0),
        "a wrong password is wrong everywhere"
    );
    town.parties[first].be_registrar(Some(registrar("geheim")));
    town.run_for(301 * S);
    assert_eq!(town.routers[router].of("trunk.registered").len(), 1);
    assert_eq!(town.routers[router].of("alarm.cleared").len(), 1);
}

#[test]
fn a_server_without_registrations_leads_to_the_next_which_is_then_dialled_first() {
    let mut town = with_carrier(7, "\"10.0.1.1:5060\", \"10.0.1.2:5060;priority=2\"", "");
    let router = town.router();
    let (first, second) = (
        town.party("first", "10.0.1.1:5060", CUSTOMER_HZ),
        town.party("second", "10.0.1.2:5060", CUSTOMER_HZ),
    );
    town.parties[second].be_registrar(Some(registrar("geheim")));
    town.run_for(S);
    let failed = &town.routers[router].of("trunk.registration_failed")[0]["data"];
    assert_eq!((&failed["sip"], &failed["retry_in_ms"]), (&json!(405), &json!(0)));
    town.ask(
        router,
        "leg.dial",
        json!({"to": "+493012345670", "trunk": "carrier"}),
    );
    town.run_for(S);
    let invited = |town: &Town, party: usize| {
        town.parties[party]
            .events
            .iter()
            .any(|(_, event)| *event == PartyEvent::Invited)
    };
    assert!(invited(&town, second) && !invited(&town, first));
}

#[test]
fn all_numbers_are_registered_at_once_and_called_by_their_own() {
    let mut town = with_carrier(
        8,
        "\"10.0.1.1:5060\"",
        "gin = true\nfrom_host = \"carrier.example\"\n",
    );
    let router = town.router();
    let carrier = town.party("carrier", "10.0.1.1:5060", CUSTOMER_HZ);
    town.run_for(S);
    let register = &town.parties[carrier].got[0];
    for line in [
        "REGISTER sip:carrier.example SIP/2.0\r\n",
        "\r\nTo: <sip:bert@carrier.example>\r\n",
        "\r\nContact: <sip:10.0.0.1:5060;bnc>\r\n",
        "\r\nRequire: gin\r\n",
        "\r\nProxy-Require: gin\r\n",
    ] {
        assert!(register.contains(line), "{line} in {register}");
    }
    // Inbound calls then name the number at our address.
    town.call(carrier, "+498001234567");
    town.run_for(S);
    let incoming = town.routers[router].of("leg.incoming");
    assert_eq!(incoming[0]["data"]["to"]["number"], "+498001234567");
}

#[test]
fn a_drain_ends_with_our_contact_removed_and_its_cancel_brings_it_back() {
    let mut town = with_carrier(9, "\"10.0.1.1:5060\"", "");
    let router = town.router();
    let carrier = town.party("carrier", "10.0.1.1:5060", CUSTOMER_HZ);
    town.parties[carrier].be_registrar(Some(registrar("geheim")));
    town.run_for(40 * S);
    town.ask(
        router,
        "leg.dial",
        json!({"to": "+493012345670", "trunk": "carrier"}),
    );
    town.run_for(S);
    town.input(Input::Drain { deadline_ms: None });
    town.run_for(S);
    let left = |town: &Town| {
        let all = town.parties[carrier].registrations.iter();
        let gone = |event: &RegistrationEvent| matches!(event, RegistrationEvent::Contacts { contacts, .. } if contacts.is_empty());
        all.filter(|(_, event)| gone(event)).count()
    };
    assert_eq!((left(&town), town.drains), (0, 0), "a call is up");
    town.hang_up(carrier);
    town.run_for(10 * S);
    assert_eq!((left(&town), town.drains), (1, 1));
    assert_eq!(town.routers[router].of("drain.done").len(), 1);
    town.ask(router, "drain.cancel", json!({}));
    town.run_for(S);
    assert_eq!(trunk(&mut town, router, "carrier")["registered"], true);
    // A carrier that is gone holds nothing up for long.
    town.set_weather(house::sim::Weather {
        loss_permille: 1000,
        ..Default::default()
    });
    town.input(Input::Stopping);
    town.input(Input::Drain { deadline_ms: None });
    town.run_for(3 * S);
    assert_eq!(town.drains, 2);
}

#[test]
fn while_a_trunk_is_not_registered_its_fallback_is_dialled() {
    let mut town = with_carrier(9, "\"10.0.1.1:5060\"", "fallback = [\"agents\"]\n");
    let router = town.router();
    let other = town.party("other", "10.0.2.1:5060", AGENT_HZ);
    let dial = json!({"to": "+4684060000", "trunk": "carrier"});
    // Nobody answers our REGISTER.
    town.run_for(S);
    assert_eq!(trunk(&mut town, router, "carrier")["registered"], false);
    let dialled = town.ask(router, "leg.dial", dial.clone());
    let leg = dialled["leg"].as_str().unwrap();
    town.run_for(S);
    let dialing = town.routers[router].last_of("leg.dialing", leg).unwrap();
    assert_eq!(
        (&dialing["data"]["trunk"], &dialing["data"]["route"]),
        (&json!("agents"), &json!("fallback"))
    );
    assert!(
        town.parties[other]
            .got
            .iter()
            .any(|text| text.starts_with("INVITE sip:+4684060000@"))
    );
    assert!(town.routers[router].last_of("leg.answered", leg).is_some());
    // Where the fallback is down too, the trunk that was named says why.
    town.ask(router, "trunk.disable", json!({"trunk": "agents"}));
    let refused = town.request(router, "leg.dial", dial);
    let data = &refused["error"]["data"];
    assert_eq!(
        (&data["kind"], &data["trunk"], &data["why"]),
        (&json!("trunk_down"), &json!("carrier"), &json!("unregistered"))
    );
}
