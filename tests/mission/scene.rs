//! A scene most promises begin with: a customer and an agent who talk, and an ear for single frames.

use std::time::{Duration, Instant};

use house::sim::Town;
use house::tone;
use serde_json::{Value, json};

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
/// One packet, one step of the mixer.
pub const TICK: Duration = Duration::from_millis(20);

/// Whole cycles in 20 ms, so that each shows in a single frame and none in another's place.
pub const CUSTOMER_HZ: f64 = 500.0;
pub const AGENT_HZ: f64 = 800.0;
pub const OTHER_HZ: f64 = 1100.0;
pub const MUSIC_HZ: f64 = 350.0;

/// Sent at 0.25; anything above this is that tone.
pub const LOUD: f64 = 0.2;
/// Anything below this is silence, but for the noise of G.711.
pub const FAINT: f64 = 0.005;

/// Customer and agent in one bridge.
pub struct Scene {
    pub town: Town,
    pub router: usize,
    pub customer: usize,
    pub agent: usize,
    /// The customer's leg.
    pub caller: String,
    /// The agent's leg.
    pub desk: String,
    pub call: String,
    pub bridge: String,
}

impl Scene {
    pub fn talking(seed: u64) -> Self {
        Self::talking_in(Town::new(seed))
    }

    pub fn talking_in(mut town: Town) -> Self {
        let router = town.router();
        let customer = town.customer(CUSTOMER_HZ);
        let agent = town.agent(AGENT_HZ);
        let (caller, call) = town.answered_call(router, customer);
        let desk = town.dialled(router, agent, &call);
        let made = town.ask(
            router,
            "bridge.create",
            json!({"call": call, "legs": [caller, desk]}),
        );
        let bridge = made["bridge"].as_str().unwrap().to_owned();
        town.run_for(200 * MS);
        let mut scene = Scene {
            town,
            router,
            customer,
            agent,
            caller,
            desk,
            call,
            bridge,
        };
        assert!(
            scene.hears(scene.customer, AGENT_HZ) > LOUD,
            "the scene begins with two who talk"
        );
        assert!(
            scene.hears(scene.agent, CUSTOMER_HZ) > LOUD,
            "the scene begins with two who talk"
        );
        scene
    }

    /// The customer is held and the agent talks to a third; that one's party and leg.
    pub fn consult(&mut self) -> (usize, String) {
        let other = self.town.agent(OTHER_HZ);
        let to = self.town.target(other);
        let steps = json!([
            {"method": "leg.hold", "params": {"leg": self.caller}},
            {"method": "leg.dial", "params": {"to": to, "trunk": "agents", "bridge": self.bridge}},
        ]);
        let done = self.ask("batch", json!({"steps": steps}));
        let leg = done["results"][1]["leg"].as_str().unwrap().to_owned();
        self.town.run_for(400 * MS);
        (other, leg)
    }

    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.town.ask(self.router, method, params)
    }

    /// How loud `party` hears `hz` over the next 400 ms.
    pub fn hears(&mut self, party: usize, hz: f64) -> f64 {
        self.town.hears(party, hz, 400 * MS)
    }

    /// Asserts that `party` hears each of `loud` and none of `silent` over the next 400 ms.
    pub fn assert_hears(&mut self, party: usize, loud: &[f64], silent: &[f64]) {
        assert_hears(&mut self.town, party, loud, silent);
    }

    pub fn events(&self, kind: &str) -> Vec<Value> {
        self.town.routers[self.router]
            .of(kind)
            .into_iter()
            .cloned()
            .collect()
    }

    /// The last event of a type about a leg.
    pub fn event(&self, kind: &str, leg: &str) -> Value {
        event(&self.town, self.router, kind, leg)
    }

    pub fn leg(&mut self, leg: &str) -> Value {
        leg_view(&mut self.town, self.router, leg)
    }
}

pub fn assert_hears(town: &mut Town, party: usize, loud: &[f64], silent: &[f64]) {
    let since = town.now;
    town.run_for(400 * MS);
    let name = town.parties[party].name.clone();
    let samples = town.parties[party].samples(since, town.now);
    for hz in loud {
        let level = tone::level(&samples, *hz);
        assert!(level > LOUD, "{name} {party} hears {hz} Hz at {level:.4} only");
    }
    for hz in silent {
        let level = tone::level(&samples, *hz);
        assert!(level < FAINT, "{name} {party} hears {hz} Hz at {level:.4}");
    }
}

pub fn event(town: &Town, router: usize, kind: &str, leg: &str) -> Value {
    let found = town.routers[router].last_of(kind, leg);
    found
        .cloned()
        .unwrap_or_else(|| panic!("no {kind} of {leg} in {:?}", town.routers[router].kinds()))
}

pub fn leg_view(town: &mut Town, router: usize, leg: &str) -> Value {
    let state = town.ask(router, "state.get", json!({}));
    let legs = state["legs"].as_array().unwrap();
    legs.iter()
        .find(|view| view["leg"] == leg)
        .unwrap_or_else(|| panic!("no {leg} in {state}"))
        .clone()
}

/// What `party` heard of `hz` in each frame since then.
pub fn frames(town: &Town, party: usize, hz: f64, since: Instant) -> Vec<(Instant, f64)> {
    let frames = town.parties[party].heard.iter().filter(|frame| frame.at > since);
    frames
        .map(|frame| (frame.at, tone::level(&frame.samples, hz)))
        .collect()
}

/// When the first frame with `hz` came.
pub fn first_frame(town: &Town, party: usize, hz: f64, since: Instant) -> Instant {
    let found = frames(town, party, hz, since)
        .into_iter()
        .find(|(_, level)| *level > LOUD);
    found
        .unwrap_or_else(|| panic!("party {party} never heard {hz} Hz"))
        .0
}

/// When the last frame with any of `hz` came.
pub fn last_frame(town: &Town, party: usize, hz: f64, since: Instant) -> Option<Instant> {
    frames(town, party, hz, since)
        .into_iter()
        .rev()
        .find(|(_, level)| *level > FAINT)
        .map(|(at, _)| at)
}

/// When an event happened, since the town began.
pub fn moment(event: &Value) -> Duration {
    let text = event["ts"].as_str().unwrap();
    Duration::from_micros(parse_time(text) - parse_time("2026-01-01T00:00:00.000000Z"))
}

/// Microseconds of an RFC 3339 time inside the January that the town lives in.
pub fn parse_time(text: &str) -> u64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<u64>().unwrap();
    assert!(
        text.starts_with("2026-01-") && text.ends_with('Z') && text.len() == 27,
        "{text}"
    );
    let seconds = ((number(8..10) * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19);
    seconds * 1_000_000 + number(20..26)
}
