//! What is known of an account: definitions of properties and events, ids of lists. Kept for a while, so that not
//! every batch asks for them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use super::custom_event::Definition;
use super::object::PropertyTypes;

const HOUR: i64 = 60 * 60;
const ENTRIES_MAX: usize = 2000;

/// Shared by all calls of one destination. Times are seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// By object type and whether they are sensitive.
    pub(super) properties: Kept<(String, bool), PropertyTypes, HOUR>,
    /// Whether a property of an object type has unique values.
    pub(super) unique: Kept<(String, String), bool, HOUR>,
    /// The id of a list, by object type and name.
    pub(super) lists: Kept<(String, String), String, { HOUR / 2 }>,
    /// By the name that mappings give.
    pub(super) events: Kept<String, Definition, HOUR>,
}

/// Values that are forgotten after that many seconds.
#[derive(Debug)]
pub(super) struct Kept<K, V, const SECONDS: i64>(Mutex<HashMap<K, (i64, V)>>);

impl<K, V, const SECONDS: i64> Default for Kept<K, V, SECONDS> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone, const SECONDS: i64> Kept<K, V, SECONDS> {
    pub(super) fn get(&self, key: &K, now: i64) -> Option<V> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).filter(|(since, _)| (0..SECONDS).contains(&(now - since))).map(|(_, value)| value.clone())
    }

    pub(super) fn put(&self, key: K, value: V, now: i64) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, (since, _)| (0..SECONDS).contains(&(now - *since)));
            if entries.len() >= ENTRIES_MAX {
                entries.clear();
            }
        }
        entries.insert(key, (now, value));
    }

    pub(super) fn forget(&self, key: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
