//! Calls that come to nothing, many of them: abandoned, cancelled, refused and crossed. Nothing of them stays.

use std::time::{Duration, Instant};

use house::sim::{Answer, Town, Weather};
use serde_json::json;

const MS: Duration = Duration::from_millis(1);
const AT_ONCE: usize = 50;

/// How many calls: `HOSTILE_FACTOR`, which `make soak` sets to 10, times 10,000.
fn calls() -> usize {
    let factor = std::env::var("HOSTILE_FACTOR")
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    10_000 * factor.unwrap_or(1).min(10)
}

/// One round: each caller's call ends in another way.
fn round(town: &mut Town, router: usize, customers: &[usize], agent: usize, number: usize) {
    let seen = town.routers[router].events.len();
    for customer in customers {
        town.call(*customer, "+498001234567");
    }
    town.run_for(30 * MS);
    let incoming: Vec<_> = town.routers[router].events[seen..]
        .iter()
        .filter(|event| event["type"] == "leg.incoming")
        .map(|event| (event["leg"].clone(), event["call"].clone()))
        .collect();
    for (index, (leg, call)) in incoming.iter().enumerate() {
        match (index + number) % 7 {
            // Refused by the router.
            0 => drop(town.request(router, "leg.reject", json!({"leg": leg, "status": 486}))),
            // Cancelled while it rings.
            1 => drop(town.request(router, "leg.progress", json!({"leg": leg, "status": 183}))),
            // Answered and cancelled at once: the two cross on the wire.
            2 => {
                town.hang_up(customers[index % customers.len()]);
                town.request(router, "leg.answer", json!({ "leg": leg }));
            }
            // A dial that is refused, never answered, or crosses the caller's end.
            3 | 4 => {
                town.request(router, "leg.answer", json!({ "leg": leg }));
                town.parties[agent].answer = [Answer::Refuse(486), Answer::Never, Answer::Silent][number % 3];
                let dial = json!({"to": town.target(agent), "trunk": "agents", "call": call, "ring_timeout_ms": 1_000});
                town.request(router, "leg.dial", dial);
            }
            // Ended by the router while the caller hangs up.
            5 => {
                town.request(router, "leg.answer", json!({ "leg": leg }));
                town.run_for(5 * MS);
                town.hang_up(customers[index % customers.len()]);
                town.request(router, "call.end", json!({ "call": call }));
            }
            // Nobody takes it, and the caller just goes away.
            _ => {}
        }
    }
    town.run_for(10 * MS);
    for customer in customers {
        if !(number + customer).is_multiple_of(4) {
            town.hang_up(*customer);
        }
    }
    town.hang_up(agent);
    town.run_for(100 * MS);
    for (_, call) in &incoming {
        town.request(router, "call.end", json!({ "call": call }));
    }
    town.run_for(200 * MS);
}

#[test]
fn calls_that_come_to_nothing_leave_nothing() {
    let begun = Instant::now();
    let mut town = Town::with(4475, |text| text.replace("calls = 100\n", "calls = 1000\n"));
    town.set_weather(Weather {
        loss_permille: 30,
        duplicate_permille: 20,
        delay: 2 * MS,
        jitter: 10 * MS,
    });
    let mut town = town.without_media();
    let router = town.router();
    let customers: Vec<usize> = (0..AT_ONCE).map(|_| town.customer(440.0)).collect();
    let agent = town.agent(800.0);
    for number in 0..calls() / AT_ONCE {
        round(&mut town, router, &customers, agent, number);
        if number % 20 == 0 {
            town.routers[router].events.clear();
            town.routers[router].lines.clear();
            town.routers[router].replies.clear();
            town.recorder.clear();
            for party in &mut town.parties {
                party.got.clear();
                party.events.clear();
            }
        }
    }
    town.run_for(Duration::from_secs(200));
    let endpoint = town.core.endpoint();
    assert_eq!(
        (
            endpoint.sessions(),
            endpoint.dialogs(),
            endpoint.transactions(),
            endpoint.connections()
        ),
        (0, 0, 0, 0)
    );
    assert!(town.core.engine().is_empty());
    // The source table forgets two with each message; the carrier's and the agents' are all it ever had.
    assert!(endpoint.sources() <= 2, "{}", endpoint.sources());
    assert_eq!(town.media_in_use(), [(0, 0)], "streams and ports");
    let mut named: Vec<_> = town
        .records
        .iter()
        .map(|record| record["call"].to_string())
        .collect();
    let records = named.len();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named.len(), records, "one record a call");
    assert!(records > calls() * 9 / 10, "{records} records");
    println!("{records} calls in {:?}", begun.elapsed());
}
