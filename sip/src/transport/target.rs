//! Locating a peer (RFC 3263 §4): from a host and what DNS said to an ordered list of targets.
//!
//! Pure: answers come in as values, weights are drawn from the caller's random source. Must not know
//! trunks, caches or sockets.

use std::net::{IpAddr, SocketAddr};

/// Targets that one host may stand for; a larger answer is cut (docs/threats.md: B29).
pub const TARGETS_MAX: usize = 32;

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Carriage {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// The host of a peer as its owner wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// An address literal or a name in lower case, without a final dot.
    pub host: String,
    /// Written port: no NAPTR, no SRV (RFC 3263 §4.2).
    pub port: Option<u16>,
    /// Written transport: no NAPTR (RFC 3263 §4.1).
    pub carriage: Option<Carriage>,
}

/// One question to DNS.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// The name, in lower case, without a final dot.
    pub name: String,
    /// What is asked of it.
    pub kind: QuestionKind,
}

/// The record types asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuestionKind {
    /// Services of a domain (RFC 3403).
    Naptr,
    /// Servers of a service (RFC 2782).
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A service and the SRV name that has its servers.
    Naptr {
        /// Lower comes first; rules over `preference`.
        order: u16,
        /// Lower comes first.
        preference: u16,
        /// `s`: the replacement is an SRV name.
        flags: String,
        /// For example `SIP+D2U`.
        service: String,
        /// The SRV name.
        replacement: String,
    },
    /// A server.
    Srv {
        /// Lower comes first.
        priority: u16,
        /// Share of the draw inside one priority.
        weight: u16,
        /// Its port.
        port: u16,
        /// Its name.
        host: String,
    },
    /// An address.
    Address(IpAddr),
}

/// Where a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// How.
    pub carriage: Carriage,
    /// Where.
    pub addr: SocketAddr,
}

/// One place in the order before weights are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Position of its service (NAPTR order and preference), then SRV priority; lower comes first.
    pub rank: (usize, u16),
    /// Share of the draw inside one rank.
    pub weight: u16,
    /// Its addresses in the order of the answer; they are tried one after the other.
    pub targets: Vec<Target>,
}

/// What is known of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Located {
    /// Everything it may stand for.
    pub candidates: Vec<Candidate>,
    /// Questions that have no answer yet; with their answers there may be more.
    pub missing: Vec<Question>,
    /// Every question that the result rests on, answered or not.
    pub asked: Vec<Question>,
}

/// Locates a site. `answer` gives the records of a question, an empty list for a negative answer and `None`
/// where nothing is known yet; `ours` are the transports we have, in order of preference.
pub fn locate<'a>(
    site: &Site,
    ours: &[Carriage],
    answer: impl Fn(&Question) -> Option<&'a [Record]>,
) -> Located {
    let mut search = Search {
        answer,
        found: Located::default(),
    };
    if let Ok(address) = site.host.parse::<IpAddr>() {
        let carriage = site.carriage.unwrap_or(Carriage::Udp);
        let port = site.port.unwrap_or(default_port(carriage));
        let targets = vec![Target {
            carriage,
            addr: SocketAddr::new(address.to_canonical(), port),
        }];
        search.found.candidates.push(Candidate {
            rank: (0, 0),
            weight: 0,
            targets,
        });
    } else if let Some(port) = site.port {
        let carriage = site.carriage.unwrap_or(Carriage::Udp);
        search.addresses(&site.host, carriage, port, (0, 0), 0);
    } else {
        search.services(site, ours);
    }
    search.found
}

struct Search<F> {
    answer: F,
    found: Located,
}

impl<'a, F: Fn(&Question) -> Option<&'a [Record]>> Search<F> {
    /// NAPTR, else SRV of each transport of ours, else addresses.
    fn services(&mut self, site: &Site, ours: &[Carriage]) {
        let services = match site.carriage {
            Some(carriage) => vec![(carriage, srv_name(&site.host, carriage))],
            None => match self.ask(&site.host, QuestionKind::Naptr) {
                None => return,
                Some(records) => {
                    let named = of_naptr(records, ours);
                    if named.is_empty() {
                        ours.iter()
                            .map(|carriage| (*carriage, srv_name(&site.host, *carriage)))
                            .collect()
                    } else {
                        named
                    }
                }
            },
        };
        let mut is_known = true;
        let mut has_servers = false;
        for (position, (carriage, name)) in services.iter().enumerate() {
            match self.ask(name, QuestionKind::Srv) {
                None => is_known = false,
                Some(records) => has_servers |= self.servers(records, *carriage, position),
            }
        }
        // RFC 3263 §4.2: without SRV records the domain itself is the server.
        if is_known && !has_servers {
            let carriage = site.carriage.or(ours.first().copied()).unwrap_or(Carriage::Udp);
            self.addresses(&site.host, carriage, default_port(carriage), (0, 0), 0);
        }
    }

    /// False where the answer names no server. A host of `.` says that there is none (RFC 2782).
    fn servers(&mut self, records: &[Record], carriage: Carriage, position: usize) -> bool {
        let mut any = false;
        for record in records {
            if let Record::Srv {
                priority,
                weight,
                port,
                host,
            } = record
            {
                any = true;
                if !host.is_empty() && *port != 0 {
                    self.addresses(host, carriage, *port, (position, *priority), *weight);
                }
            }
        }
        any
    }

    fn addresses(&mut self, host: &str, carriage: Carriage, port: u16, rank: (usize, u16), weight: u16) {
        let mut targets = Vec::new();
        for kind in [QuestionKind::A, QuestionKind::Aaaa] {
            let records = self.ask(host, kind).unwrap_or_default();
            targets.extend(records.iter().filter_map(|record| match record {
                Record::Address(address) => Some(Target {
                    carriage,
                    addr: SocketAddr::new(address.to_canonical(), port),
                }),
                Record::Naptr { .. } | Record::Srv { .. } => None,
            }));
        }
        let known: usize = self.found.candidates.iter().map(|one| one.targets.len()).sum();
        targets.truncate(TARGETS_MAX.saturating_sub(known));
        if !targets.is_empty() {
            self.found.candidates.push(Candidate {
                rank,
                weight,
                targets,
            });
        }
    }

    fn ask(&mut self, name: &str, kind: QuestionKind) -> Option<&'a [Record]> {
        let question = Question {
            name: name.to_ascii_lowercase(),
            kind,
        };
        let records = (self.answer)(&question);
        if !self.found.asked.contains(&question) {
            if records.is_none() {
                self.found.missing.push(question.clone());
            }
            self.found.asked.push(question);
        }
        records
    }
}

/// The SRV names of the services that we speak, in their order.
fn of_naptr(records: &[Record], ours: &[Carriage]) -> Vec<(Carriage, String)> {
    let mut services: Vec<(u16, u16, Carriage, String)> = records
        .iter()
        .filter_map(|record| match record {
            Record::Naptr {
                order,
                preference,
                flags,
                service,
                replacement,
            } if flags.eq_ignore_ascii_case("s") && !replacement.is_empty() => {
                let carriage = carriage_of(service)?;
                Some((*order, *preference, carriage, replacement.clone()))
            }
            Record::Naptr { .. } | Record::Srv { .. } | Record::Address(_) => None,
        })
        .filter(|(_, _, carriage, _)| ours.contains(carriage))
        .collect();
    services.sort_by_key(|(order, preference, _, _)| (*order, *preference));
    services
        .into_iter()
        .map(|(_, _, carriage, name)| (carriage, name))
        .collect()
}

/// RFC 3263 §4.1, table of NAPTR services.
fn carriage_of(service: &str) -> Option<Carriage> {
    match service.to_ascii_uppercase().as_str() {
        "SIP+D2U" => Some(Carriage::Udp),
        "SIP+D2T" => Some(Carriage::Tcp),
        "SIPS+D2T" => Some(Carriage::Tls),
        _ => None,
    }
}

fn srv_name(host: &str, carriage: Carriage) -> String {
    let service = match carriage {
        Carriage::Udp => "_sip._udp",
        Carriage::Tcp => "_sip._tcp",
        Carriage::Tls => "_sips._tcp",
    };
    format!("{service}.{host}")
}

/// RFC 3261 §19.1.2.
pub fn default_port(carriage: Carriage) -> u16 {
    match carriage {
        Carriage::Udp | Carriage::Tcp => 5060,
        Carriage::Tls => 5061,
    }
}

/// The targets in the order of one attempt: rank by rank, inside one by the weighted draw.
pub fn order(candidates: Vec<Candidate>, below: &mut impl FnMut(u64) -> u64) -> Vec<Target> {
    let ranked = candidates
        .into_iter()
        .map(|candidate| (candidate.rank, candidate.weight, candidate.targets));
    draw(ranked.collect(), below).into_iter().flatten().collect()
}

/// Puts items in order by rank, those of one rank by a draw in which each comes first in proportion to its
/// weight. `below` gives a number below its argument.
///
/// Deviates from RFC 2782: the number is drawn from 1 to the sum instead of 0 to the sum, so that small
/// weights are met exactly; a weight of 0 comes after all others, those of weight 0 in any order.
pub fn draw<R: Ord, T>(mut items: Vec<(R, u16, T)>, below: &mut impl FnMut(u64) -> u64) -> Vec<T> {
    items.sort_by(|left, right| left.0.cmp(&right.0));
    let mut drawn = Vec::with_capacity(items.len());
    while let Some((first, _, _)) = items.first() {
        let alike = items.iter().take_while(|(rank, _, _)| rank == first).count();
        let sum: u64 = items
            .iter()
            .take(alike)
            .map(|(_, weight, _)| u64::from(*weight))
            .sum();
        let chosen = match (alike, sum) {
            (1, _) => 0,
            (_, 0) => usize::try_from(below(alike as u64)).unwrap_or(0),
            (_, _) => {
                let mut left = below(sum);
                let hit = items.iter().take(alike).position(|(_, weight, _)| {
                    let mine = u64::from(*weight);
                    let hit = left < mine;
                    left = left.saturating_sub(mine);
                    hit
                });
                hit.unwrap_or(0)
            }
        };
        drawn.push(items.remove(chosen.min(alike - 1)).2);
    }
    drawn
}

#[cfg(test)]
mod tests;
