//! A keyed table that can take back what one input did to it, and knows when its rows next need time.
//!
//! Every input runs as a transaction over a few tables: a command that is refused, or an input that
//! panics, is rolled back row by row, so nothing is ever half applied. Deadlines stay fields of the
//! rows; the index over them is derived here when a transaction commits. Knows nothing of what a row means.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A row that may want to be woken.
pub trait Row: Clone {
    /// When this row next needs time; `None`: never.
    fn deadline(&self) -> Option<Instant>;
}

/// Rows by key, in key order, with an undo log and a deadline index.
#[derive(Debug)]
pub struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// First image of every row touched since the last commit; `None`: it did not exist.
    before: BTreeMap<K, Option<V>>,
    indexed: BTreeMap<K, Instant>,
    by_deadline: BTreeSet<(Instant, K)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table {
            rows: BTreeMap::new(),
            before: BTreeMap::new(),
            indexed: BTreeMap::new(),
            by_deadline: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Clone, V: Row> Table<K, V> {
    /// Adds a row; its key must be new.
    pub fn insert(&mut self, key: K, row: V) {
        debug_assert!(!self.rows.contains_key(&key), "keys are never used twice");
        self.remember(key.clone());
        self.rows.insert(key, row);
    }

    /// Takes a row out.
    pub fn remove(&mut self, key: K) -> Option<V> {
        self.remember(key.clone());
        self.rows.remove(&key)
    }

    /// A row to change; its first image is kept until commit.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.remember(key.clone());
        self.rows.get_mut(key)
    }

    /// Keys of the rows touched since the last commit.
    pub fn touched(&self) -> impl Iterator<Item = &K> {
        self.before.keys()
    }

    /// A row as it was at the last commit, if it was touched since.
    pub fn before(&self, key: &K) -> Option<&V> {
        self.before.get(key).and_then(Option::as_ref)
    }

    /// Makes everything since the last commit final and brings the deadline index up to date.
    pub fn commit(&mut self) {
        let touched: Vec<K> = self.before.keys().cloned().collect();
        self.before.clear();
        for key in touched {
            let wanted = self.rows.get(&key).and_then(Row::deadline);
            let known = self.indexed.get(&key).copied();
            if wanted == known {
                continue;
            }
            if let Some(known) = known {
                self.by_deadline.remove(&(known, key.clone()));
                self.indexed.remove(&key);
            }
            if let Some(wanted) = wanted {
                self.by_deadline.insert((wanted, key.clone()));
                self.indexed.insert(key, wanted);
            }
        }
    }

    /// Takes back everything since the last commit.
    pub fn rollback(&mut self) {
        for (key, image) in std::mem::take(&mut self.before) {
            match image {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }

    /// A row to read.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// All rows in key order.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.rows.iter().map(|(key, row)| (key.clone(), row))
    }

    /// All keys in order; owned, so that rows may change while they are walked.
    pub fn keys(&self) -> Vec<K> {
        self.rows.keys().cloned().collect()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The earliest deadline of any committed row.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(at, _)| *at)
    }

    /// Keys whose deadline has come, earliest first.
    pub fn due(&self, now: Instant) -> Vec<K> {
        self.by_deadline
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, key)| key.clone())
            .collect()
    }

    fn remember(&mut self, key: K) {
        if !self.before.contains_key(&key) {
            self.before.insert(key.clone(), self.rows.get(&key).cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Clone, Debug, PartialEq)]
    struct Alarm(Option<Instant>);

    impl Row for Alarm {
        fn deadline(&self) -> Option<Instant> {
            self.0
        }
    }

    #[test]
    fn rollback_restores_changed_added_and_removed_rows() {
        let mut table: Table<u32, Alarm> = Table::default();
        table.insert(1, Alarm(None));
        table.insert(2, Alarm(None));
        table.commit();
        let later = Instant::now();
        table.get_mut(&1).unwrap().0 = Some(later);
        table.remove(2);
        table.insert(3, Alarm(None));
        table.rollback();
        assert_eq!(table.keys(), vec![1, 2]);
        assert_eq!(table.get(&1), Some(&Alarm(None)));
        assert_eq!(table.next_deadline(), None);
    }

    #[test]
    fn a_row_changed_twice_goes_back_to_its_first_image() {
        let base = Instant::now();
        let mut table: Table<u32, Alarm> = Table::default();
        table.insert(1, Alarm(Some(base)));
        table.commit();
        table.get_mut(&1).unwrap().0 = None;
        table.get_mut(&1).unwrap().0 = Some(base + Duration::from_secs(9));
        table.rollback();
        assert_eq!(table.get(&1), Some(&Alarm(Some(base))));
    }

    #[test]
    fn due_follows_the_rows_after_commit() {
        let base = Instant::now();
        let mut table: Table<u32, Alarm> = Table::default();
        table.insert(1, Alarm(Some(base + Duration::from_secs(2))));
        table.insert(2, Alarm(Some(base + Duration::from_secs(1))));
        table.commit();
        assert_eq!(table.next_deadline(), Some(base + Duration::from_secs(1)));
        assert_eq!(table.due(base + Duration::from_secs(2)), vec![2, 1]);
        table.remove(2);
        table.commit();
        assert_eq!(table.next_deadline(), Some(base + Duration::from_secs(2)));
    }
}
