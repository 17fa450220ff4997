//! The sessions and the dialogs that lead to them.
//!
//! Must not know transactions.

use std::collections::{BTreeMap, BTreeSet};

use super::command::{Flow, SessionKey};
use crate::dialog::{DialogId, Session};

/// Every session by its number, by the names of its dialogs, and by where its peer is.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_key: BTreeMap<SessionKey, Entry>,
    by_dialog: BTreeMap<DialogId, SessionKey>,
    by_flow: BTreeMap<Flow, BTreeSet<SessionKey>>,
    numbered: u64,
}

#[derive(Debug)]
struct Entry {
    session: Session,
    /// What stands in `by_dialog` for it.
    indexed: Vec<DialogId>,
}

impl Sessions {
    /// The number of a new inbound session.
    pub fn next_key(&mut self) -> SessionKey {
        self.numbered += 1;
        SessionKey::In(self.numbered)
    }

    pub fn insert(&mut self, session: Session) {
        let key = session.key();
        self.by_flow.entry(session.flow).or_default().insert(key);
        self.by_key.insert(
            key,
            Entry {
                session,
                indexed: vec![],
            },
        );
        self.index(key);
    }

    /// The peer at `flow` has proved whose it is.
    pub fn prove(&mut self, flow: Flow, domain: usize) {
        for key in self.by_flow.get(&flow).into_iter().flatten() {
            if let Some(entry) = self.by_key.get_mut(key) {
                entry.session.domain.get_or_insert(domain);
            }
        }
    }

    /// The peer of a session is at `flow` from now on.
    pub fn move_to(&mut self, key: SessionKey, flow: Flow) {
        let Some(entry) = self.by_key.get_mut(&key) else {
            return;
        };
        let home = std::mem::replace(&mut entry.session.flow, flow);
        self.leave(home, key);
        self.by_flow.entry(flow).or_default().insert(key);
    }

    fn leave(&mut self, home: Flow, key: SessionKey) {
        if let Some(keys) = self.by_flow.get_mut(&home) {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_flow.remove(&home);
            }
        }
    }

    pub fn remove(&mut self, key: SessionKey) {
        let Some(entry) = self.by_key.remove(&key) else {
            return;
        };
        for id in entry.indexed {
            self.by_dialog.remove(&id);
        }
        self.leave(entry.session.flow, key);
    }

    /// Brings the dialog names up to date after an input.
    pub fn index(&mut self, key: SessionKey) {
        let Some(entry) = self.by_key.get_mut(&key) else {
            return;
        };
        let ids = entry.session.dialog_ids();
        if ids == entry.indexed {
            return;
        }
        for id in &entry.indexed {
            self.by_dialog.remove(id);
        }
        for id in &ids {
            self.by_dialog.insert(id.clone(), key);
        }
        entry.indexed = ids;
    }

    pub fn get(&self, key: SessionKey) -> Option<&Session> {
        self.by_key.get(&key).map(|entry| &entry.session)
    }

    pub fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.by_key.get_mut(&key).map(|entry| &mut entry.session)
    }

    pub fn find(&self, id: &DialogId) -> Option<SessionKey> {
        self.by_dialog.get(id).copied()
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn dialogs(&self) -> usize {
        self.by_dialog.len()
    }
}
