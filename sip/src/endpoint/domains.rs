//! Groups of sources, and what each must prove before a request outside dialogs is heard.
//!
//! Its owner makes one for each trunk. Must not know messages or what a user may do.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Flow;
use crate::auth::Users;
use crate::network::Network;
use crate::registration::Bindings;

/// One group of sources. Without one, whoever is heard at all is asked nothing.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its sources; of two domains the longer prefix wins.
    pub networks: Vec<Network>,
    /// Who may send requests other than REGISTER; none: everyone in `networks`.
    pub challenge: Option<Arc<Users>>,
    /// Takes registrations of its users; none: REGISTER is told 405.
    pub registrar: Option<Registrar>,
    /// Our host in Via and Contact towards it; none: the listener's.
    pub our_host: Option<String>,
    /// Our host in Contact alone.
    pub contact_host: Option<String>,
}

/// A registrar.
#[derive(Clone, Debug)]
pub struct Registrar {
    /// Who may register, each his own address.
    pub users: Arc<Users>,
    /// Bindings at once.
    pub bindings_max: usize,
}

/// All domains, each with its bindings.
#[derive(Debug, Default)]
pub(super) struct Domains {
    all: Vec<(Domain, Bindings)>,
    /// Connections whose peer has proved whose it is; at most as many as are open.
    proved: BTreeMap<Flow, usize>,
}

impl Domains {
    pub fn new(domains: Vec<Domain>) -> Self {
        let all = domains.into_iter().map(|domain| {
            let max = domain.registrar.as_ref().map_or(0, |one| one.bindings_max);
            (domain, Bindings::new(max))
        });
        Domains {
            all: all.collect(),
            proved: BTreeMap::new(),
        }
    }

    /// The peer of a connection has proved whose it is, whatever its address says.
    pub fn prove(&mut self, flow: Flow, index: usize) {
        self.proved.insert(flow, index);
    }

    /// The connection is closed.
    pub fn forget(&mut self, flow: &Flow) {
        self.proved.remove(flow);
    }

    /// The domain of what comes or goes on a flow: as its peer has proved, else as its address says.
    pub fn find(&self, flow: Flow) -> Option<usize> {
        let proved = self.proved.get(&flow).copied();
        proved.or_else(|| self.around(flow.remote.ip()))
    }

    /// What the peer of a connection has proved.
    pub fn proved(&self, flow: &Flow) -> Option<usize> {
        self.proved.get(flow).copied()
    }

    /// The domain with the longest prefix around a source, by its place in the list.
    fn around(&self, source: IpAddr) -> Option<usize> {
        let around = self.all.iter().enumerate().filter_map(|(index, (domain, _))| {
            let networks = domain.networks.iter().filter(|one| one.contains(source));
            Some((networks.map(Network::prefix_bits).max()?, index))
        });
        around.max_by_key(|(bits, _)| *bits).map(|(_, index)| index)
    }

    pub fn get(&self, index: usize) -> Option<&Domain> {
        self.all.get(index).map(|(domain, _)| domain)
    }

    /// See [`Domains::find`].
    pub fn of(&self, flow: Flow) -> Option<&Domain> {
        self.get(self.find(flow)?)
    }

    pub fn bindings(&mut self, index: usize) -> Option<&mut Bindings> {
        self.all.get_mut(index).map(|(_, bindings)| bindings)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Bindings of all of them.
    pub fn bindings_len(&self) -> usize {
        self.all.iter().map(|(_, bindings)| bindings.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_prefix_has_the_source() {
        let domain = |networks: &[&str]| Domain {
            networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
            challenge: None,
            registrar: None,
            our_host: None,
            contact_host: None,
        };
        let domains = Domains::new(vec![
            domain(&["0.0.0.0/0"]),
            domain(&["192.0.2.0/24", "198.51.100.1"]),
            domain(&["192.0.2.128/25"]),
        ]);
        for (source, index) in [
            ("203.0.113.1", Some(0)),
            ("192.0.2.1", Some(1)),
            ("192.0.2.200", Some(2)),
            ("::ffff:192.0.2.200", Some(2)),
            ("198.51.100.1", Some(1)),
            ("2001:db8::1", None),
        ] {
            assert_eq!(domains.around(source.parse().unwrap()), index, "{source}");
        }
    }
}
