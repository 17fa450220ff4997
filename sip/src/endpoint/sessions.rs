//! The sessions and the dialogs that lead to them.
//!
//! Must not know transactions.

use std::collections::BTreeMap;

use super::command::{Flow, SessionKey};
use crate::dialog::{DialogId, Session};

/// Every session by its number, and by the names of its dialogs.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_key: BTreeMap<SessionKey, Entry>,
    by_dialog: BTreeMap<DialogId, SessionKey>,
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
        for entry in self.by_key.values_mut() {
            if entry.session.flow == flow && entry.session.domain.is_none() {
                entry.session.domain = Some(domain);
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
