//! The audience: who is connected, what each wants to hear, and where each stands in the journal.
//!
//! A client hears live, catches up from the journal at its own pace, or hears nothing. Nobody here can
//! slow anybody else: catching up is pulled line by line as the client's own queue empties.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::journal::{Entry, Facts};
use crate::control::protocol::{EventClass, Filter, Id, Name};
use crate::engine::io::ConnKey;

/// Journal lines handed to a catching-up client at once.
pub const BACKLOG_LINES: usize = 256;
/// Bytes of such lines at once: well below what may wait for one client, however long its lines are.
pub const BACKLOG_BYTES: usize = 1024 * 1024;
/// Filters that one connection may have taken out of its subscription. Ours.
pub const UNWANTED_MAX: usize = 32;
/// A subscriber hears something, if only a `tick`, at least this often.
pub const TICK_INTERVAL: Duration = Duration::from_secs(5);

/// One connection.
#[derive(Debug, Default)]
pub struct Client {
    /// Set by `hello`.
    pub app: Option<Name>,
    /// Set by `hello` or `subscribe`.
    pub filter: Option<Wanted>,
    /// Set by `unsubscribe`: what of it is not wanted after all.
    pub unwanted: Vec<Wanted>,
    /// Where it stands.
    pub feed: Feed,
    /// How often it wants measurements.
    pub stats_every: Option<Duration>,
    /// When it gets the next ones.
    pub stats_at: Option<Instant>,
}

impl Client {
    /// Whether it is to hear of this event.
    pub fn takes(&self, facts: &Facts) -> bool {
        self.filter.as_ref().is_some_and(|wanted| wanted.takes(facts))
            && !self.unwanted.iter().any(|unwanted| unwanted.takes(facts))
    }

    /// Whether measurements of this leg are for it.
    pub fn measures(&self, call: &Id, leg: &Id) -> bool {
        let names = |wanted: &Wanted| {
            wanted.legs.as_ref().is_none_or(|legs| legs.contains(leg))
                && wanted.calls.as_ref().is_none_or(|calls| calls.contains(call))
        };
        self.filter.as_ref().is_none_or(names)
    }
}

/// Where a client stands in the stream of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feed {
    /// It hears nothing.
    #[default]
    Off,
    /// It hears every event as it happens.
    Live,
    /// It is owed the journal from this number on.
    CatchingUp {
        /// The next number it is owed.
        next: u64,
    },
}

/// A filter, ready to be asked. Every part that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    types: Option<BTreeSet<String>>,
    legs: Option<BTreeSet<Id>>,
    calls: Option<BTreeSet<Id>>,
    classes: Option<BTreeSet<EventClass>>,
}

impl Wanted {
    /// Reads a filter as a client sent it.
    pub fn new(filter: &Filter) -> Self {
        Wanted {
            types: filter
                .types
                .as_ref()
                .map(|list| list.0.iter().map(|text| text.as_str().to_owned()).collect()),
            legs: filter.legs.as_ref().map(|list| list.0.iter().cloned().collect()),
            calls: filter.calls.as_ref().map(|list| list.0.iter().cloned().collect()),
            classes: filter.class.as_ref().map(|list| list.0.iter().copied().collect()),
        }
    }

    /// Whether a numbered event is wanted. A type may be named whole or as a group: `leg.*`.
    pub fn takes(&self, facts: &Facts) -> bool {
        let state = self
            .classes
            .as_ref()
            .is_none_or(|classes| classes.contains(&EventClass::State));
        let of_type = self
            .types
            .as_ref()
            .is_none_or(|types| types.iter().any(|wanted| is_type(wanted, facts.kind)));
        let of_leg = self
            .legs
            .as_ref()
            .is_none_or(|legs| facts.leg.as_ref().is_some_and(|leg| legs.contains(leg)));
        let of_call = self
            .calls
            .as_ref()
            .is_none_or(|calls| facts.call.as_ref().is_some_and(|call| calls.contains(call)));
        state && of_type && of_leg && of_call
    }
}

impl Wanted {
    /// Whether it names measurements and nothing else.
    pub fn is_stats_alone(&self) -> bool {
        self.classes
            .as_ref()
            .is_some_and(|classes| classes.len() == 1 && classes.contains(&EventClass::Stats))
    }
}

fn is_type(wanted: &str, kind: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(prefix) => kind.starts_with(prefix),
        None => wanted == kind,
    }
}

/// All connections.
#[derive(Debug)]
pub struct Audience {
    clients: BTreeMap<ConnKey, Client>,
    next_tick: Instant,
}

impl Audience {
    /// Nobody yet.
    pub fn new(now: Instant) -> Self {
        Audience {
            clients: BTreeMap::new(),
            next_tick: now + TICK_INTERVAL,
        }
    }

    /// A connection opened.
    pub fn opened(&mut self, conn: ConnKey) {
        self.clients.insert(conn, Client::default());
    }

    /// A connection closed; its app, if it was the app's last one.
    pub fn closed(&mut self, conn: ConnKey) -> Option<Name> {
        let app = self.clients.remove(&conn)?.app?;
        let left = self
            .clients
            .values()
            .any(|client| client.app.as_ref() == Some(&app));
        (!left).then_some(app)
    }

    /// A client by connection.
    pub fn get(&self, conn: ConnKey) -> Option<&Client> {
        self.clients.get(&conn)
    }

    /// A client to change.
    pub fn get_mut(&mut self, conn: ConnKey) -> Option<&mut Client> {
        self.clients.get_mut(&conn)
    }

    /// Who hears this event as it happens.
    pub fn live_for<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = ConnKey> + 'a {
        let live = self
            .clients
            .iter()
            .filter(|(_, client)| client.feed == Feed::Live);
        live.filter(|(_, client)| client.takes(&entry.facts))
            .map(|(conn, _)| *conn)
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// When ticks or measurements are next due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let subscribed = self.clients.values().any(|client| client.filter.is_some());
        let tick = subscribed.then_some(self.next_tick);
        self.clients
            .values()
            .filter_map(|client| client.stats_at)
            .chain(tick)
            .min()
    }

    /// Who gets a tick now.
    pub fn tick_due(&mut self, now: Instant) -> Vec<ConnKey> {
        if now < self.next_tick {
            return Vec::new();
        }
        self.next_tick = now + TICK_INTERVAL;
        let live = self
            .clients
            .iter()
            .filter(|(_, client)| client.feed == Feed::Live && client.filter.is_some());
        live.map(|(conn, _)| *conn).collect()
    }

    /// Who gets measurements now.
    pub fn stats_due(&mut self, now: Instant) -> Vec<ConnKey> {
        let mut due = Vec::new();
        for (conn, client) in &mut self.clients {
            let (Some(at), Some(every)) = (client.stats_at, client.stats_every) else {
                continue;
            };
            if now >= at {
                client.stats_at = Some(now + every);
                due.push(*conn);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::OneOrMany;

    fn facts(kind: &'static str, leg: &str) -> Facts {
        Facts {
            kind,
            call: Some(Id::new("c1").unwrap()),
            leg: Id::new(leg).ok(),
        }
    }

    #[test]
    fn an_empty_filter_takes_everything() {
        assert!(Wanted::default().takes(&facts("leg.held", "l1")));
    }

    #[test]
    fn every_part_must_match() {
        let legs = OneOrMany(vec![Id::new("l1").unwrap()]);
        let wanted = Wanted::new(&Filter {
            legs: Some(legs),
            ..Filter::default()
        });
        assert!(wanted.takes(&facts("leg.held", "l1")));
        assert!(!wanted.takes(&facts("leg.held", "l2")));
        assert!(!wanted.takes(&Facts {
            kind: "call.ended",
            call: Id::new("c1").ok(),
            leg: None
        }));
    }

    #[test]
    fn a_type_may_be_a_group() {
        assert!(is_type("leg.*", "leg.held"));
        assert!(is_type("leg.held", "leg.held"));
        assert!(!is_type("leg.held", "leg.held_too"));
        assert!(!is_type("bridge.*", "leg.held"));
    }

    #[test]
    fn an_app_is_lost_with_its_last_connection() {
        let mut audience = Audience::new(Instant::now());
        for number in [1, 2] {
            audience.opened(ConnKey(number));
            audience.get_mut(ConnKey(number)).unwrap().app = Some(Name::from("default"));
        }
        assert_eq!(audience.closed(ConnKey(1)), None);
        assert_eq!(audience.closed(ConnKey(2)), Some(Name::from("default")));
    }
}
