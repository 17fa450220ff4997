//! Levels at one moment, read from the live guards and tables.

use std::collections::BTreeMap;

use sip::endpoint::Endpoint;

use super::engine::Engine;
use super::io::Now;
use super::policy::admission::Way;
use super::policy::gates::Scope;
use super::trunks::peers::Health;
use crate::control::protocol::Direction;
use crate::observe::metrics::{Gauges, InstanceGauges, TrunkGauges};

/// What SIP holds now, by kind; each goes back to where it was when calls are over, or something leaks.
pub fn sip_held(endpoint: &Endpoint) -> BTreeMap<&'static str, u64> {
    let held = [
        ("session", endpoint.sessions()),
        ("dialog", endpoint.dialogs()),
        ("transaction", endpoint.transactions()),
        ("timer", endpoint.timers()),
        ("connection", endpoint.connections()),
    ];
    held.into_iter()
        .map(|(kind, count)| (kind, count as u64))
        .collect()
}

impl Engine {
    /// What the metrics page shows as gauges.
    pub fn gauges(&self, now: Now) -> Gauges {
        let calls = self.world.guards.calls();
        let instance = InstanceGauges {
            instance: self.setup.config.instance.clone(),
            calls_peak: self.gates.peak(Scope::Instance, calls, now.mono) as u64,
            calls_limit: self.gates.calls_max(Scope::Instance).into(),
            calls_per_second_limit: self.gates.calls_per_second(Scope::Instance).into(),
        };
        Gauges {
            instances: vec![instance],
            trunks: (0..self.gates.trunks())
                .map(|trunk| self.trunk_gauges(trunk, now))
                .collect(),
            control_connections: self.audience.len() as u64,
            journal_bytes: self.journal.bytes() as u64,
            signalling_wait: self.overload.wait(),
            recordings_active: self
                .world
                .recordings
                .iter()
                .filter(|(_, row)| row.is_open())
                .count() as u64,
            disk_free_mb: self.gates.free_mb(),
            stir_waiting: self.world.waiting.len() as u64,
            stir_certificates: self.world.certificates.len() as u64,
            draining: self.gates.is_draining(),
        }
    }

    /// Peers up, down and resting, as `trunk.list` shows them.
    fn peers_by_state(&self, trunk: usize, now: Now) -> [u64; 3] {
        let mut counts = [0; 3];
        for (target, peer) in self.peers.of(trunk) {
            let [up, down, resting] = &mut counts;
            let count = match peer.health {
                Health::Down { .. } => down,
                Health::Up { .. } if self.peers.is_usable(trunk, *target, now.mono) => up,
                Health::Up { .. } => resting,
            };
            *count += 1;
        }
        counts
    }

    fn trunk_gauges(&self, trunk: usize, now: Now) -> TrunkGauges {
        let calls = |direction| {
            let up = self
                .world
                .calls
                .iter()
                .filter(|(_, call)| !call.is_closing() && call.direction == direction);
            let first = up.filter_map(|(_, call)| self.world.legs.get(call.legs.first()?));
            first.filter(|leg| leg.trunk == trunk).count() as u64
        };
        TrunkGauges {
            instance: self.setup.config.instance.clone(),
            trunk: self
                .setup
                .trunk(trunk)
                .map_or_else(String::new, |trunk| trunk.name.clone()),
            calls_in: calls(Direction::In),
            calls_out: calls(Direction::Out),
            legs_in: self.world.guards.legs_of(trunk, Some(Way::In)) as u64,
            legs_out: self.world.guards.legs_of(trunk, Some(Way::Out)) as u64,
            is_up: self.peers.down_why(trunk).is_none()
                && self.world.disabled.get(&trunk).is_none()
                && self.registrations.is_registered(trunk) != Some(false),
            peers: self.peers_by_state(trunk, now),
            legs_limit: self.gates.calls_max(Scope::Trunk(trunk)).into(),
            registered: self.registrations.is_registered(trunk),
            registrations: self.registrations.contacts(trunk),
        }
    }
}
