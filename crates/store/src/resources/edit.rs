//! Making, changing and removing definitions. Several are edited together or not at all; one is a batch of one.

use serde_json::{Value, json};

use super::{
    ResourceError, ResourceId, ResourceKind, ResourceRow,
    identity::is_name,
    list::found_by,
    references::{self, References},
    resource_row,
    versions::{self, VersionChange},
};
use crate::{
    Author, Store, StoreError, audit,
    database::{Transaction, args},
};

/// What happens to one definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    pub kind: ResourceKind,
    pub name: String,
    /// It happens only if the definition is at this version. None: whatever it is at.
    pub version: Option<u64>,
    /// The file that owns it from now on. Only edits that come through files have one.
    pub managed_by: Option<String>,
    pub change: Change,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Create(Value),
    Replace(Value),
    /// An earlier version's document, as it is now understood.
    Restore {
        document: Value,
        of_version: u64,
    },
    Remove,
}

/// The way an edit comes. What files own is changed through files alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// The API, which pages and the command line use.
    Api,
    /// Applied project files.
    Files,
}

/// What became of one edit.
#[derive(Debug, Clone, PartialEq)]
pub struct Edited {
    pub outcome: Outcome,
    /// As it is now; one that was removed, as it was.
    pub resource: ResourceRow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Changed,
    /// It was so already; no version was made.
    Unchanged,
    Removed,
}

impl Edit {
    pub fn new(kind: ResourceKind, name: impl Into<String>, change: Change) -> Self {
        Self { kind, name: name.into(), version: None, managed_by: None, change }
    }

    #[must_use]
    pub fn at_version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    #[must_use]
    pub fn of_file(self, file: impl Into<String>) -> Self {
        Self { managed_by: Some(file.into()), ..self }
    }
}

impl Store {
    /// Edits definitions, all or none, each with its version and its line in the audit log. What an edit names may be
    /// made by a later one; at the end nothing may be named that is not there.
    ///
    /// # Errors
    /// One of the edits cannot be done, or a statement fails; then none was done.
    pub async fn edit_resources(
        &self,
        edits: &[Edit],
        through: Through,
        author: &Author,
    ) -> Result<Vec<Edited>, ResourceError> {
        let mut editing =
            Editing { store: self, transaction: self.begin("change definitions").await?, revision: 0, through, author };
        // Whoever changes definitions holds this row, so nobody takes away what another is about to name.
        let sql = "INSERT INTO resource_revision (one, revision) VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET \
             revision = resource_revision.revision + 1 RETURNING revision";
        let revision = editing.transaction.row(sql, args![]).await?;
        editing.revision = revision.map_or(Ok(0), |row| row.count("revision"))?;
        let mut all = Vec::with_capacity(edits.len());
        for edit in edits {
            all.push(editing.edit(edit).await?);
        }
        let mut transaction = editing.transaction;
        for Edited { outcome, resource: ResourceRow { kind, name, document, .. } } in &all {
            match outcome {
                Outcome::Created | Outcome::Changed => {
                    references::check(&mut transaction, *kind, name, &References::of(*kind, document)).await?;
                }
                // It may have been made again by a later edit.
                Outcome::Removed if find(&mut transaction, *kind, name).await?.is_none() => {
                    references::check_unused(&mut transaction, *kind, name).await?;
                }
                Outcome::Removed | Outcome::Unchanged => {}
            }
        }
        if all.iter().any(|edited| edited.outcome != Outcome::Unchanged) {
            transaction.commit().await?;
        }
        Ok(all)
    }
}

struct Editing<'a> {
    store: &'a Store,
    transaction: Transaction<'a>,
    revision: u64,
    through: Through,
    author: &'a Author,
}

impl Editing<'_> {
    async fn edit(&mut self, edit: &Edit) -> Result<Edited, ResourceError> {
        let Edit { kind, ref name, .. } = *edit;
        let found = find(&mut self.transaction, kind, name).await?;
        match (&edit.change, found) {
            (Change::Create(_), Some(_)) => Err(ResourceError::Taken { kind, name: name.clone() }),
            (Change::Create(document), None) => self.create(edit, document).await,
            (_, None) => Err(ResourceError::Missing { kind, name: name.clone() }),
            (change, Some(found)) => {
                self.may_change(edit, &found)?;
                match change {
                    Change::Restore { document, of_version } => {
                        self.replace(edit, found, document, Some(*of_version)).await
                    }
                    Change::Create(document) | Change::Replace(document) => {
                        self.replace(edit, found, document, None).await
                    }
                    Change::Remove => self.remove(found).await,
                }
            }
        }
    }

    fn may_change(&self, edit: &Edit, found: &ResourceRow) -> Result<(), ResourceError> {
        let (kind, name) = (found.kind, found.name.clone());
        match (&found.managed_by, edit.version) {
            (Some(file), _) if self.through == Through::Api => {
                Err(ResourceError::Managed { kind, name, file: file.clone() })
            }
            (_, Some(expected)) if expected != found.version => {
                Err(ResourceError::Outdated { kind, name, expected, found: found.version })
            }
            _ => Ok(()),
        }
    }

    async fn create(&mut self, edit: &Edit, document: &Value) -> Result<Edited, ResourceError> {
        let Edit { kind, ref name, .. } = *edit;
        if !is_name(kind, name) {
            return Err(ResourceError::Name { kind, name: name.clone() });
        }
        let now = self.store.now();
        let id = ResourceId::new(kind, now, self.author.random());
        let references = References::of(kind, document);
        let row = ResourceRow {
            id,
            kind,
            name: name.clone(),
            version: 1,
            enabled: is_enabled(document),
            document: document.clone(),
            managed_by: self.owner(edit),
            source: references.source.clone(),
            model: references.model.clone(),
            destination: references.destination.clone(),
            created_at: now,
            updated_at: now,
            updated_by: self.author.actor.clone(),
        };
        let sql = "INSERT INTO resources (id, kind, name, version, enabled, document, managed_by, ref_source, \
             ref_model, ref_destination, found_by, revision, created_at, updated_at, updated_by, updated_by_name) \
             VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14)";
        let args = args![
            id.to_string(),
            kind.name(),
            name,
            row.enabled,
            document.to_string(),
            row.managed_by.as_ref(),
            references.source.as_ref(),
            references.model.as_ref(),
            references.destination.as_ref(),
            found_by(name, document, &references),
            self.revision,
            now,
            &row.updated_by.id,
            &row.updated_by.name,
        ];
        self.transaction.execute(sql, args).await?;
        let change = if self.through == Through::Files { VersionChange::Apply } else { VersionChange::Create };
        self.wrote(&row, &references, change, "create", json!({ "version": 1 })).await?;
        Ok(Edited { outcome: Outcome::Created, resource: row })
    }

    async fn replace(
        &mut self,
        edit: &Edit,
        found: ResourceRow,
        document: &Value,
        restored: Option<u64>,
    ) -> Result<Edited, ResourceError> {
        let managed_by = self.owner(edit);
        if found.document == *document && found.managed_by == managed_by {
            return Ok(Edited { outcome: Outcome::Unchanged, resource: found });
        }
        let references = References::of(found.kind, document);
        let mut details = json!({ "version": found.version + 1, "changed": changed_keys(&found.document, document) });
        if let Some(version) = restored {
            details["restored"] = version.into();
        }
        if found.managed_by != managed_by {
            details["managed_by"] = managed_by.clone().into();
        }
        let row = ResourceRow {
            version: found.version + 1,
            enabled: is_enabled(document),
            document: document.clone(),
            managed_by,
            source: references.source.clone(),
            model: references.model.clone(),
            destination: references.destination.clone(),
            updated_at: self.store.now(),
            updated_by: self.author.actor.clone(),
            ..found
        };
        let sql = "UPDATE resources SET version = $1, enabled = $2, document = $3, managed_by = $4, ref_source = $5, \
             ref_model = $6, ref_destination = $7, found_by = $8, revision = $9, updated_at = $10, updated_by = $11, \
             updated_by_name = $12 WHERE id = $13";
        let args = args![
            row.version,
            row.enabled,
            document.to_string(),
            row.managed_by.as_ref(),
            references.source.as_ref(),
            references.model.as_ref(),
            references.destination.as_ref(),
            found_by(&row.name, document, &references),
            self.revision,
            row.updated_at,
            &row.updated_by.id,
            &row.updated_by.name,
            row.id.to_string(),
        ];
        self.transaction.execute(sql, args).await?;
        let change = match (self.through, restored) {
            (Through::Files, _) => VersionChange::Apply,
            (Through::Api, Some(_)) => VersionChange::Restore,
            (Through::Api, None) => VersionChange::Edit,
        };
        self.wrote(&row, &references, change, "update", details).await?;
        Ok(Edited { outcome: Outcome::Changed, resource: row })
    }

    async fn remove(&mut self, found: ResourceRow) -> Result<Edited, ResourceError> {
        self.transaction.execute("DELETE FROM resources WHERE id = $1", args![found.id.to_string()]).await?;
        self.audit(&found, "delete", json!({ "version": found.version })).await?;
        Ok(Edited { outcome: Outcome::Removed, resource: found })
    }

    /// What goes with every write: whom it waits for, its version, its line in the audit log.
    async fn wrote(
        &mut self,
        row: &ResourceRow,
        references: &References,
        change: VersionChange,
        verb: &str,
        details: Value,
    ) -> Result<(), ResourceError> {
        let id = row.id.to_string();
        self.transaction.execute("DELETE FROM resource_waits WHERE resource = $1", args![&id]).await?;
        for mapping in &references.mappings {
            let sql = "INSERT INTO resource_waits (resource, mapping) VALUES ($1, $2)";
            self.transaction.execute(sql, args![&id, mapping]).await?;
        }
        versions::write(&mut self.transaction, row, change).await?;
        Ok(self.audit(row, verb, details).await?)
    }

    async fn audit(&mut self, row: &ResourceRow, verb: &str, details: Value) -> Result<(), StoreError> {
        let kind = row.kind.name();
        let action = format!("{kind}.{verb}");
        let entry = self.author.entry(self.store.now(), &action, kind, &row.name, details);
        audit::write(&mut self.transaction, &entry).await
    }

    fn owner(&self, edit: &Edit) -> Option<String> {
        edit.managed_by.clone().filter(|_| self.through == Through::Files)
    }
}

async fn find(
    transaction: &mut Transaction<'_>,
    kind: ResourceKind,
    name: &str,
) -> Result<Option<ResourceRow>, StoreError> {
    let sql = "SELECT * FROM resources WHERE kind = $1 AND name = $2";
    transaction.row(sql, args![kind.name(), name]).await?.as_ref().map(resource_row).transpose()
}

fn is_enabled(document: &Value) -> bool {
    document.get("enabled") != Some(&Value::Bool(false))
}

/// The keys of two documents whose values differ. The values themselves may be secret.
fn changed_keys(before: &Value, after: &Value) -> Vec<String> {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return Vec::new() };
    let mut keys: Vec<String> =
        after.iter().filter(|(key, value)| before.get(*key) != Some(value)).map(|(key, _)| key.clone()).collect();
    keys.extend(before.keys().filter(|key| !after.contains_key(*key)).cloned());
    keys
}
