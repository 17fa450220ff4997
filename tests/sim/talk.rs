//! A customer and an agent in one bridge, for tests of what passes between two legs.

use std::time::Duration;

use house::sim::{Party, Town};
use house::tone;
use serde_json::{Value, json};

const MS: Duration = Duration::from_millis(1);
pub const CUSTOMER_HZ: f64 = 500.0;
pub const AGENT_HZ: f64 = 800.0;

pub struct Talk {
    pub town: Town,
    pub router: usize,
    pub customer: usize,
    pub agent: usize,
    /// The customer's leg.
    pub caller: String,
    /// The agent's.
    pub desk: String,
    pub call: String,
}

impl Talk {
    /// The customer calls, the agent is dialled, and both are bridged; `prepare` makes them what they are before.
    pub fn begin(mut town: Town, prepare: impl FnOnce(&mut Party, &mut Party)) -> Self {
        let router = town.router();
        let (customer, agent) = (town.customer(CUSTOMER_HZ), town.agent(AGENT_HZ));
        let [one, other] = town.parties.get_disjoint_mut([customer, agent]).unwrap();
        prepare(one, other);
        let (caller, call) = town.answered_call(router, customer);
        let desk = town.dialled(router, agent, &call);
        let legs = json!({"call": call, "legs": [caller, desk]});
        town.ask(router, "bridge.create", legs);
        town.run_for(200 * MS);
        Talk {
            town,
            router,
            customer,
            agent,
            caller,
            desk,
            call,
        }
    }

    /// Each hears the other, and not itself.
    pub fn assert_both_hear(&mut self) {
        let since = self.town.now;
        self.town.run_for(400 * MS);
        let hz = |party: usize| self.town.parties[party].hz;
        let ways = [(self.customer, self.agent), (self.agent, self.customer)];
        for (party, other) in ways {
            let (other, own) = (hz(other), hz(party));
            let samples = self.town.parties[party].samples(since, self.town.now);
            let [other, own] = [other, own].map(|hz| tone::level(&samples, hz));
            assert!(
                other > 0.2 && own < 0.01,
                "{party}: the other {other}, itself {own}"
            );
        }
    }

    /// Both hang up, after which nothing is left but the record.
    pub fn hang_up(&mut self) {
        self.town.hang_up(self.customer);
        self.town.run_for(200 * MS);
        self.town
            .ask(self.router, "leg.hangup", json!({"leg": self.desk}));
        self.town.run_for(Duration::from_secs(40));
        assert!(self.town.core.engine().is_empty());
        assert_eq!(self.town.records.len(), 1);
    }

    /// Both hang up; the record of the call.
    pub fn end(mut self) -> Value {
        self.hang_up();
        self.town.records.remove(0)
    }
}
