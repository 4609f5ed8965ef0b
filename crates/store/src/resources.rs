//! Definitions: sources, models, destinations and mappings, each a document in the form of its project file.

mod edit;
mod identity;
mod list;
mod references;
#[cfg(test)]
mod tests;
mod versions;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    edit::{Change, Edit, Edited, Outcome, Through},
    identity::{ResourceId, ResourceKind, ResourceRef},
    list::{ResourceFilter, ResourceHead},
    versions::{VersionChange, VersionRow},
};
use crate::{
    Actor, Store, StoreError,
    database::{Row, args, variant},
};

/// One definition, as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceRow {
    pub id: ResourceId,
    pub kind: ResourceKind,
    /// What people and files call it; it never changes.
    pub name: String,
    /// Grows by one with every change, from 1.
    pub version: u64,
    pub enabled: bool,
    /// What its project file would hold. Secrets in it are sealed.
    pub document: Value,
    /// The project file it comes from, if only that may change it.
    pub managed_by: Option<String>,
    /// The source a model runs on.
    pub source: Option<String>,
    /// The model a mapping sends.
    pub model: Option<String>,
    /// The destination a mapping sends to.
    pub destination: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub updated_by: Actor,
}

/// Why a definition was not found or not changed.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    #[error("there is no {kind} `{name}`")]
    Missing { kind: ResourceKind, name: String },
    #[error("there is a {kind} `{name}` already; change that one, or choose another name")]
    Taken { kind: ResourceKind, name: String },
    #[error(
        "`{name}` cannot be the name of a {kind}; use up to 100 of `A-Z`, `a-z`, `0-9`, `_` and `-`, begin with a \
         letter or digit, and write nothing that looks like an id"
    )]
    Name { kind: ResourceKind, name: String },
    #[error(
        "the {kind} `{name}` was changed meanwhile: it is at version {found}, not {expected}; read it again and repeat \
         the change"
    )]
    Outdated { kind: ResourceKind, name: String, expected: u64, found: u64 },
    #[error("the {kind} `{name}` belongs to the file `{file}`; change it there and apply it")]
    Managed { kind: ResourceKind, name: String, file: String },
    #[error("the {kind} `{name}` is used by {}; change or remove those first", told(.by, *.count))]
    Used {
        kind: ResourceKind,
        name: String,
        /// Some of them.
        by: Vec<ResourceRef>,
        /// How many there are.
        count: u64,
    },
    #[error("the {kind} `{name}` names {of}, which does not exist")]
    Dangling { kind: ResourceKind, name: String, of: ResourceRef },
    #[error("version {version} of the {kind} `{name}` is not kept")]
    NoVersion { kind: ResourceKind, name: String, version: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The definition of that kind with that name or id.
    ///
    /// # Errors
    /// There is none, or the statement fails.
    pub async fn resource(&self, kind: ResourceKind, name_or_id: &str) -> Result<ResourceRow, ResourceError> {
        let column = match identity::id_of_kind(kind, name_or_id) {
            Some(_) => "SELECT * FROM resources WHERE kind = $1 AND id = $2",
            None => "SELECT * FROM resources WHERE kind = $1 AND name = $2",
        };
        let row = self.read().await?.row("find a definition", column, args![kind.name(), name_or_id]).await?;
        let missing = || ResourceError::Missing { kind, name: name_or_id.to_owned() };
        Ok(resource_row(&row.ok_or_else(missing)?)?)
    }
}

fn resource_row(row: &Row) -> Result<ResourceRow, StoreError> {
    Ok(ResourceRow {
        id: row.parsed("id", "a definition's id")?,
        kind: variant(&identity::KINDS, "a kind of definition", &row.text("kind")?)?,
        name: row.text("name")?,
        version: row.count("version")?,
        enabled: row.flag("enabled")?,
        document: row.json("document", "a definition")?,
        managed_by: row.optional_text("managed_by")?,
        source: row.optional_text("ref_source")?,
        model: row.optional_text("ref_model")?,
        destination: row.optional_text("ref_destination")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        updated_by: Actor { id: row.text("updated_by")?, name: row.text("updated_by_name")? },
    })
}

/// `the mappings …` in a message: some by name, the rest as a number.
fn told(by: &[ResourceRef], count: u64) -> String {
    let mut text = by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let rest = count.saturating_sub(by.len() as u64);
    if rest > 0 {
        text.push_str(&format!(" and {rest} more"));
    }
    text
}
