//! The contacts of registered users, with the flow each came by (RFC 3261 §10.3, RFC 5626 §6).
//!
//! A call goes where the REGISTER came from, never where a Contact points that nobody checked: the flow is
//! part of the binding. Must not know who may register.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::wish::{Refused, Wanted, Wish};
use crate::endpoint::Flow;
use crate::message::{CallId, NameAddr, Uri};

/// The bindings of one table: at most `max`, at most [`USER_CONTACTS_MAX`] a user.
#[derive(Debug)]
pub struct Bindings {
    max: usize,
    numbered: u64,
    by_number: BTreeMap<u64, Binding>,
    by_user: BTreeMap<String, Vec<u64>>,
    by_expiry: BTreeSet<(Instant, u64)>,
    by_flow: BTreeSet<(Flow, u64)>,
}

/// One contact of one user.
#[derive(Debug)]
struct Binding {
    user: String,
    uri: Uri,
    flow: Flow,
    preference: u16,
    instance: Option<(String, String)>,
    call_id: CallId,
    cseq: u32,
    expires_at: Instant,
}

/// The request that sets bindings.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its Call-ID: requests of one are in order.
    pub call_id: CallId,
    /// Its CSeq number.
    pub cseq: u32,
    /// Where calls to its contacts go.
    pub flow: Flow,
}

/// Where a user can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredContact {
    /// The Request-URI.
    pub uri: String,
    /// Where it is sent.
    pub flow: Flow,
}

/// Contacts of one user. Ours: a desk phone, a softphone, a mobile one, and some that have not expired yet. A further
/// one takes the place of the one that expires first.
pub const USER_CONTACTS_MAX: usize = 8;

impl Bindings {
    /// A table for at most `max` bindings.
    pub fn new(max: usize) -> Self {
        Bindings {
            max,
            numbered: 0,
            by_number: BTreeMap::new(),
            by_user: BTreeMap::new(),
            by_expiry: BTreeSet::new(),
            by_flow: BTreeSet::new(),
        }
    }

    /// Does what a request wants, all of it or nothing.
    pub fn apply(&mut self, user: &str, wish: &Wish, origin: &Origin, now: Instant) -> Result<(), Refused> {
        match wish {
            Wish::List => Ok(()),
            Wish::RemoveAll => {
                let numbers = self.numbers_of(user);
                self.check_order(&numbers, origin)?;
                for number in numbers {
                    self.remove(number);
                }
                Ok(())
            }
            Wish::Set(wanted) => self.set(user, wanted, origin, now),
        }
    }

    fn set(&mut self, user: &str, wanted: &[Wanted], origin: &Origin, now: Instant) -> Result<(), Refused> {
        let found: Vec<_> = wanted.iter().map(|one| self.find(user, one)).collect();
        let known: Vec<u64> = found.iter().copied().flatten().collect();
        self.check_order(&known, origin)?;
        let is_new = |(found, one): &(&Option<u64>, &Wanted)| found.is_none() && !one.expires.is_zero();
        let more = found.iter().zip(wanted).filter(is_new).count();
        let gives_way = (self.numbers_of(user).len() + more).saturating_sub(USER_CONTACTS_MAX);
        if self.by_number.len() + more > self.max + gives_way {
            return Err(Refused::Full);
        }
        for one in wanted {
            // Looked for again: a contact that is named twice is one.
            let known = self.find(user, one);
            if one.expires.is_zero() {
                known.into_iter().for_each(|number| self.remove(number));
            } else {
                self.put(known, user, one, origin, now);
            }
        }
        Ok(())
    }

    fn put(&mut self, known: Option<u64>, user: &str, wanted: &Wanted, origin: &Origin, now: Instant) {
        let number = known.unwrap_or_else(|| {
            self.numbered += 1;
            self.numbered
        });
        self.remove(number);
        self.make_room(user);
        let binding = Binding {
            user: user.to_owned(),
            uri: wanted.uri.clone(),
            flow: origin.flow,
            preference: wanted.preference,
            instance: wanted.instance.clone(),
            call_id: origin.call_id.clone(),
            cseq: origin.cseq,
            expires_at: now + wanted.expires,
        };
        self.by_expiry.insert((binding.expires_at, number));
        self.by_flow.insert((binding.flow, number));
        self.by_user.entry(user.to_owned()).or_default().push(number);
        self.by_number.insert(number, binding);
    }

    fn make_room(&mut self, user: &str) {
        let numbers = self.numbers_of(user);
        if numbers.len() < USER_CONTACTS_MAX {
            return;
        }
        let expiry = |number: &u64| self.by_number.get(number).map(|one| one.expires_at);
        if let Some(first) = numbers.into_iter().min_by_key(expiry) {
            self.remove(first);
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(binding) = self.by_number.remove(&number) else {
            return;
        };
        self.by_expiry.remove(&(binding.expires_at, number));
        self.by_flow.remove(&(binding.flow, number));
        if let Some(numbers) = self.by_user.get_mut(&binding.user) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_user.remove(&binding.user);
            }
        }
        debug_assert_eq!(self.by_expiry.len(), self.by_number.len());
    }

    /// RFC 3261 §10.3, step 7: of one Call-ID only a higher CSeq changes a binding.
    fn check_order(&self, numbers: &[u64], origin: &Origin) -> Result<(), Refused> {
        let bindings = numbers.iter().filter_map(|number| self.by_number.get(number));
        let is_late = |one: &Binding| one.call_id == origin.call_id && origin.cseq <= one.cseq;
        match bindings.into_iter().any(is_late) {
            true => Err(Refused::OutOfOrder),
            false => Ok(()),
        }
    }

    /// The binding of the same device flow, or of an equal URI.
    fn find(&self, user: &str, wanted: &Wanted) -> Option<u64> {
        let numbers = self.by_user.get(user)?;
        let is_same = |number: &&u64| {
            self.by_number.get(number).is_some_and(|one| {
                let is_same_device = one.instance.is_some() && one.instance == wanted.instance;
                is_same_device || one.uri.is_equivalent(&wanted.uri)
            })
        };
        numbers.iter().find(is_same).copied()
    }

    fn numbers_of(&self, user: &str) -> Vec<u64> {
        self.by_user.get(user).cloned().unwrap_or_default()
    }

    /// Removes what has expired; the users it was of.
    pub fn expire(&mut self, now: Instant) -> BTreeSet<String> {
        let mut users = BTreeSet::new();
        while let Some(&(at, number)) = self.by_expiry.first().filter(|(at, _)| *at <= now) {
            debug_assert!(at <= now);
            users.extend(self.by_number.get(&number).map(|one| one.user.clone()));
            self.remove(number);
        }
        users
    }

    /// Removes what came by a connection that has closed (RFC 5626 §5.3); the users it was of.
    pub fn lose_flow(&mut self, flow: Flow) -> BTreeSet<String> {
        let range = (flow, 0)..=(flow, u64::MAX);
        let lost: Vec<u64> = self.by_flow.range(range).map(|(_, number)| *number).collect();
        let mut users = BTreeSet::new();
        for number in lost {
            users.extend(self.by_number.get(&number).map(|one| one.user.clone()));
            self.remove(number);
        }
        users
    }

    /// Where a user can be reached: the preferred contact first, of equals the newest.
    pub fn contacts(&self, user: &str) -> Vec<RegisteredContact> {
        let mut numbers = self.numbers_of(user);
        numbers.sort_by_key(|number| {
            let preference = self.by_number.get(number).map(|one| one.preference);
            std::cmp::Reverse((preference, *number))
        });
        let bindings = numbers.iter().filter_map(|number| self.by_number.get(number));
        let contact = |one: &Binding| RegisteredContact {
            uri: one.uri.to_string(),
            flow: one.flow,
        };
        bindings.map(contact).collect()
    }

    /// The Contacts of the 200 that lists them, each with the seconds it has left (RFC 3261 §10.3, step 8).
    pub fn listing(&self, user: &str, now: Instant) -> Vec<NameAddr> {
        let numbers = self.numbers_of(user);
        let bindings = numbers.iter().filter_map(|number| self.by_number.get(number));
        let entry = |one: &Binding| {
            let left = one.expires_at.saturating_duration_since(now);
            // Rounded up: a binding that is there has some time left.
            let seconds = (left + Duration::from_millis(999)).as_secs().to_string();
            NameAddr::new(one.uri.clone())
                .with_param("expires", Some(&seconds))
                .ok()
        };
        bindings.filter_map(entry).collect()
    }

    /// When [`Bindings::expire`] has work.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.by_expiry.first().map(|(at, _)| *at)
    }

    /// Bindings there are.
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Transport;

    fn flow(port: u16) -> Flow {
        let at = |text: &str, port| std::net::SocketAddr::new(text.parse().unwrap(), port);
        Flow {
            transport: Transport::Tcp,
            local: at("192.0.2.1", 5060),
            remote: at("192.0.2.2", port),
        }
    }

    fn origin(call_id: &str, cseq: u32, port: u16) -> Origin {
        Origin {
            call_id: CallId::parse(call_id).unwrap(),
            cseq,
            flow: flow(port),
        }
    }

    fn wanted(uri: &str, seconds: u64) -> Wanted {
        Wanted {
            uri: Uri::parse(uri).unwrap(),
            expires: Duration::from_secs(seconds),
            preference: 1000,
            instance: None,
        }
    }

    fn set(uri: &str, seconds: u64) -> Wish {
        Wish::Set(vec![wanted(uri, seconds)])
    }

    fn uris(bindings: &Bindings, user: &str) -> Vec<String> {
        bindings.contacts(user).into_iter().map(|one| one.uri).collect()
    }

    #[test]
    fn the_newest_contact_comes_first_and_a_refresh_keeps_its_place() {
        let (mut bindings, now) = (Bindings::new(10), Instant::now());
        bindings
            .apply("a", &set("sip:a@one", 60), &origin("c1", 1, 1), now)
            .unwrap();
        bindings
            .apply("a", &set("sip:a@two", 60), &origin("c2", 1, 2), now)
            .unwrap();
        bindings
            .apply("a", &set("sip:a@ONE", 120), &origin("c1", 2, 3), now)
            .unwrap();
        assert_eq!(uris(&bindings, "a"), ["sip:a@two", "sip:a@ONE"]);
        assert_eq!(bindings.contacts("a")[1].flow, flow(3));
        let mut low = wanted("sip:a@three", 60);
        low.preference = 500;
        bindings
            .apply("a", &Wish::Set(vec![low]), &origin("c3", 1, 4), now)
            .unwrap();
        assert_eq!(uris(&bindings, "a").last().unwrap(), "sip:a@three");
        assert_eq!(uris(&bindings, "b"), [""; 0]);
    }

    #[test]
    fn an_older_request_of_the_same_call_id_changes_nothing_at_all() {
        let (mut bindings, now) = (Bindings::new(10), Instant::now());
        bindings
            .apply("a", &set("sip:a@one", 60), &origin("c", 5, 1), now)
            .unwrap();
        let both = Wish::Set(vec![wanted("sip:a@two", 60), wanted("sip:a@one", 0)]);
        for cseq in [4, 5] {
            let late = bindings.apply("a", &both, &origin("c", cseq, 1), now);
            assert_eq!(late, Err(Refused::OutOfOrder));
            let late = bindings.apply("a", &Wish::RemoveAll, &origin("c", cseq, 1), now);
            assert_eq!(late, Err(Refused::OutOfOrder));
        }
        assert_eq!(uris(&bindings, "a"), ["sip:a@one"]);
        bindings.apply("a", &both, &origin("other", 1, 1), now).unwrap();
        assert_eq!(uris(&bindings, "a"), ["sip:a@two"]);
        bindings
            .apply("a", &Wish::RemoveAll, &origin("c", 6, 1), now)
            .unwrap();
        assert!(bindings.is_empty() && bindings.by_user.is_empty() && bindings.next_expiry().is_none());
    }

    #[test]
    fn a_device_that_comes_back_elsewhere_replaces_itself() {
        let (mut bindings, now) = (Bindings::new(10), Instant::now());
        let device = |uri: &str, reg_id: &str| {
            let mut one = wanted(uri, 60);
            one.instance = Some(("<urn:uuid:1>".into(), reg_id.into()));
            Wish::Set(vec![one])
        };
        bindings
            .apply("a", &device("sip:a@one", "1"), &origin("c1", 1, 1), now)
            .unwrap();
        bindings
            .apply("a", &device("sip:a@two", "1"), &origin("c2", 1, 2), now)
            .unwrap();
        assert_eq!(uris(&bindings, "a"), ["sip:a@two"]);
        bindings
            .apply("a", &device("sip:a@three", "2"), &origin("c3", 1, 3), now)
            .unwrap();
        assert_eq!(bindings.len(), 2);
    }

    #[test]
    fn bindings_expire_on_time_and_are_listed_with_what_is_left() {
        let (mut bindings, start) = (Bindings::new(10), Instant::now());
        bindings
            .apply("a", &set("sip:a@one", 60), &origin("c1", 1, 1), start)
            .unwrap();
        bindings
            .apply("b", &set("sip:b@one", 90), &origin("c2", 1, 1), start)
            .unwrap();
        let later = start + Duration::from_millis(58_100);
        let listed = bindings.listing("a", later);
        assert_eq!(listed[0].to_string(), "<sip:a@one>;expires=2");
        let at = bindings.next_expiry().unwrap();
        assert_eq!(at, start + Duration::from_secs(60));
        assert!(bindings.expire(at - Duration::from_millis(1)).is_empty());
        assert_eq!(bindings.expire(at), BTreeSet::from(["a".to_owned()]));
        assert_eq!((bindings.len(), uris(&bindings, "b").len()), (1, 1));
    }

    #[test]
    fn a_closed_connection_takes_its_bindings_along() {
        let (mut bindings, now) = (Bindings::new(10), Instant::now());
        bindings
            .apply("a", &set("sip:a@one", 60), &origin("c1", 1, 1), now)
            .unwrap();
        bindings
            .apply("a", &set("sip:a@two", 60), &origin("c2", 1, 2), now)
            .unwrap();
        bindings
            .apply("b", &set("sip:b@one", 60), &origin("c3", 1, 1), now)
            .unwrap();
        let both = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        assert_eq!(bindings.lose_flow(flow(1)), both);
        assert_eq!(bindings.lose_flow(flow(1)), BTreeSet::new());
        assert_eq!(uris(&bindings, "a"), ["sip:a@two"]);
    }

    #[test]
    fn a_further_contact_of_a_user_takes_the_place_of_the_one_that_expires_first() {
        let (mut bindings, now) = (Bindings::new(USER_CONTACTS_MAX), Instant::now());
        for number in 0..USER_CONTACTS_MAX as u64 {
            let wish = set(&format!("sip:a@h{number}"), 100 - number);
            bindings
                .apply("a", &wish, &origin(&format!("c{number}"), 1, 1), now)
                .unwrap();
        }
        bindings
            .apply("a", &set("sip:a@new", 60), &origin("new", 1, 1), now)
            .unwrap();
        let left = uris(&bindings, "a");
        assert_eq!((left.len(), left[0].as_str()), (USER_CONTACTS_MAX, "sip:a@new"));
        assert!(!left.contains(&"sip:a@h7".to_owned()));
    }

    #[test]
    fn a_full_table_takes_refreshes_and_removals_only() {
        let (mut bindings, now) = (Bindings::new(2), Instant::now());
        bindings
            .apply("a", &set("sip:a@one", 60), &origin("c1", 1, 1), now)
            .unwrap();
        bindings
            .apply("b", &set("sip:b@one", 60), &origin("c2", 1, 1), now)
            .unwrap();
        let full = bindings.apply("c", &set("sip:c@one", 60), &origin("c3", 1, 1), now);
        assert_eq!((full, bindings.len()), (Err(Refused::Full), 2));
        bindings
            .apply("a", &set("sip:a@one", 60), &origin("c1", 2, 1), now)
            .unwrap();
        bindings
            .apply("a", &set("sip:a@one", 0), &origin("c1", 3, 1), now)
            .unwrap();
        bindings
            .apply("c", &set("sip:c@one", 60), &origin("c3", 1, 1), now)
            .unwrap();
        assert_eq!(bindings.len(), 2);
    }

    #[test]
    fn a_contact_named_twice_is_one() {
        let (mut bindings, now) = (Bindings::new(9), Instant::now());
        let twice = Wish::Set(vec![wanted("sip:a@one", 60), wanted("sip:a@one", 70)]);
        bindings.apply("a", &twice, &origin("c", 1, 1), now).unwrap();
        assert_eq!(bindings.len(), 1);
        assert_eq!(bindings.next_expiry(), Some(now + Duration::from_secs(70)));
    }
}
