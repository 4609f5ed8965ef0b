//! What the scheduler knows of all definitions: names, switches, schedules. It follows the store by its revisions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use store::{ResourceKind, ResourceRow, Store, StoreError};

use crate::moments::{self, Wanted};

/// How many extracts a source bears that says nothing of it.
pub(crate) const EXTRACTS_MAX: u32 = 4;

/// All definitions, as far as starting syncs needs them.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    revision: u64,
    mappings: BTreeMap<String, MappingEntry>,
    models: BTreeMap<String, ModelEntry>,
    destinations: BTreeMap<String, bool>,
    sources: BTreeMap<String, u32>,
}

#[derive(Debug)]
struct MappingEntry {
    version: u64,
    enabled: bool,
    model: String,
    destination: String,
    /// None: it can be told only with what the definition refers to.
    schedule: Option<String>,
}

#[derive(Debug)]
struct ModelEntry {
    enabled: bool,
    source: String,
}

/// Where a mapping's syncs stand in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) mapping_version: u64,
    pub(crate) model: String,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) extracts_max: u32,
}

/// What has changed since the store was looked at before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Mappings whose moments have to be worked out again.
    pub(crate) mappings: BTreeSet<String>,
    pub(crate) removed: BTreeSet<String>,
}

impl Catalogue {
    /// Takes over what has changed in the store.
    pub(crate) async fn follow(&mut self, store: &Store) -> Result<Changed, StoreError> {
        let revision = store.resource_revision().await?;
        if revision == self.revision {
            return Ok(Changed::default());
        }
        let mut changed = Changed::default();
        for row in store.resources_since(self.revision).await? {
            self.take(&row, &mut changed);
        }
        let heads = store.resource_heads().await?;
        let names = |kind| -> BTreeSet<&str> {
            heads.iter().filter(|head| head.kind == kind).map(|head| head.name.as_str()).collect()
        };
        let mappings = names(ResourceKind::Mapping);
        changed.removed = self.mappings.keys().filter(|name| !mappings.contains(name.as_str())).cloned().collect();
        self.mappings.retain(|name, _| mappings.contains(name.as_str()));
        let models = names(ResourceKind::Model);
        self.models.retain(|name, _| models.contains(name.as_str()));
        let destinations = names(ResourceKind::Destination);
        self.destinations.retain(|name, _| destinations.contains(name.as_str()));
        let sources = names(ResourceKind::Source);
        self.sources.retain(|name, _| sources.contains(name.as_str()));
        changed.mappings.retain(|name| self.mappings.contains_key(name));
        // What changed while these statements ran is found the next time.
        self.revision = revision;
        Ok(changed)
    }

    fn take(&mut self, row: &ResourceRow, changed: &mut Changed) {
        let name = row.name.clone();
        match row.kind {
            ResourceKind::Source => {
                self.sources.insert(name, extracts_max(&row.document));
            }
            ResourceKind::Model => {
                let entry = ModelEntry { enabled: row.enabled, source: row.source.clone().unwrap_or_default() };
                let before = self.models.insert(name, entry).map(|before| before.enabled);
                if before != Some(row.enabled) {
                    self.note(changed, |mapping| mapping.model == row.name);
                }
            }
            ResourceKind::Destination => {
                if self.destinations.insert(name, row.enabled) != Some(row.enabled) {
                    self.note(changed, |mapping| mapping.destination == row.name);
                }
            }
            ResourceKind::Mapping => {
                let entry = MappingEntry {
                    version: row.version,
                    enabled: row.enabled,
                    model: row.model.clone().unwrap_or_default(),
                    destination: row.destination.clone().unwrap_or_default(),
                    schedule: moments::of_document(&row.document).map(|form| moments::written(&form)),
                };
                changed.mappings.insert(name.clone());
                self.mappings.insert(name, entry);
            }
        }
    }

    fn note(&self, changed: &mut Changed, is_concerned: impl Fn(&MappingEntry) -> bool) {
        let concerned = self.mappings.iter().filter(|(_, mapping)| is_concerned(mapping));
        changed.mappings.extend(concerned.map(|(name, _)| name.clone()));
    }

    pub(crate) fn mappings(&self) -> impl Iterator<Item = &str> {
        self.mappings.keys().map(String::as_str)
    }

    /// What the definitions say about when a mapping starts. None: there is no such mapping. `Err`: its schedule can be
    /// told only with what it refers to, and is to be given to [`Catalogue::resolve`].
    pub(crate) fn wanted(&self, mapping: &str) -> Option<Result<Wanted, ()>> {
        let entry = self.mappings.get(mapping)?;
        let Some(schedule) = entry.schedule.clone() else { return Some(Err(())) };
        let model_enabled = self.models.get(&entry.model).is_some_and(|model| model.enabled);
        let destination_enabled = self.destinations.get(&entry.destination) == Some(&true);
        let enabled = entry.enabled && model_enabled && destination_enabled;
        Some(Ok(Wanted { model: entry.model.clone(), enabled, schedule }))
    }

    /// Notes the schedule of a mapping that could not be told from its document alone.
    pub(crate) fn resolve(&mut self, mapping: &str, schedule: String) {
        if let Some(entry) = self.mappings.get_mut(mapping) {
            entry.schedule = Some(schedule);
        }
    }

    pub(crate) fn place(&self, mapping: &str) -> Option<Place> {
        let entry = self.mappings.get(mapping)?;
        let source = &self.models.get(&entry.model)?.source;
        Some(Place {
            mapping_version: entry.version,
            model: entry.model.clone(),
            source: source.clone(),
            destination: entry.destination.clone(),
            extracts_max: self.sources.get(source).copied().unwrap_or(EXTRACTS_MAX),
        })
    }
}

/// How many extracts a source bears at once.
pub(crate) fn extracts_max(document: &Value) -> u32 {
    let said = document.get("extracts_max").and_then(Value::as_u64).and_then(|most| u32::try_from(most).ok());
    said.filter(|most| *most > 0).unwrap_or(EXTRACTS_MAX)
}

#[cfg(test)]
mod tests;
