//! The history of a definition: each version's document, who made it and when.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ResourceError, ResourceKind, ResourceRow};
use crate::{
    Actor, Store, StoreError,
    database::{Row, Transaction, args, variant},
};

/// How many versions of one definition are kept.
const VERSIONS_MAX: u64 = 500;

/// How a version came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionChange {
    Create,
    Edit,
    /// An earlier version was taken up again.
    Restore,
    /// Project files were applied.
    Apply,
}

const CHANGES: [(VersionChange, &str); 4] = [
    (VersionChange::Create, "create"),
    (VersionChange::Edit, "edit"),
    (VersionChange::Restore, "restore"),
    (VersionChange::Apply, "apply"),
];

impl VersionChange {
    fn name(self) -> &'static str {
        match self {
            VersionChange::Create => "create",
            VersionChange::Edit => "edit",
            VersionChange::Restore => "restore",
            VersionChange::Apply => "apply",
        }
    }
}

/// One version of a definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionRow {
    pub version: u64,
    pub change: VersionChange,
    pub document: Value,
    /// The file that owned it.
    pub managed_by: Option<String>,
    pub at: Timestamp,
    pub actor: Actor,
}

pub(super) async fn write(
    transaction: &mut Transaction<'_>,
    row: &ResourceRow,
    change: VersionChange,
) -> Result<(), StoreError> {
    let id = row.id.to_string();
    let sql = "INSERT INTO resource_versions (resource, version, change, document, managed_by, at, actor_id, \
         actor_name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let args = args![
        &id,
        row.version,
        change.name(),
        row.document.to_string(),
        row.managed_by.as_ref(),
        row.updated_at,
        &row.updated_by.id,
        &row.updated_by.name,
    ];
    transaction.execute(sql, args).await?;
    if let Some(oldest) = row.version.checked_sub(VERSIONS_MAX) {
        let sql = "DELETE FROM resource_versions WHERE resource = $1 AND version <= $2";
        transaction.execute(sql, args![&id, oldest]).await?;
    }
    Ok(())
}

impl Store {
    /// The versions of a definition, newest first, from the one below `before` on.
    ///
    /// # Errors
    /// There is no such definition, or a statement fails.
    pub async fn resource_versions(
        &self,
        kind: ResourceKind,
        name_or_id: &str,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<VersionRow>, ResourceError> {
        let resource = self.resource(kind, name_or_id).await?;
        let sql = "SELECT * FROM resource_versions WHERE resource = $1 AND version < $2 ORDER BY version DESC LIMIT $3";
        let args = args![resource.id.to_string(), before.unwrap_or(u64::MAX), limit];
        let rows = self.read().await?.rows("list versions", sql, args).await?;
        Ok(rows.iter().map(version_row).collect::<Result<_, _>>()?)
    }

    /// One version of a definition.
    ///
    /// # Errors
    /// There is no such definition, that version is not kept, or a statement fails.
    pub async fn resource_version(
        &self,
        kind: ResourceKind,
        name_or_id: &str,
        version: u64,
    ) -> Result<VersionRow, ResourceError> {
        let resource = self.resource(kind, name_or_id).await?;
        let sql = "SELECT * FROM resource_versions WHERE resource = $1 AND version = $2";
        let row = self.read().await?.row("find a version", sql, args![resource.id.to_string(), version]).await?;
        let row = row.ok_or(ResourceError::NoVersion { kind, name: resource.name, version })?;
        Ok(version_row(&row)?)
    }
}

fn version_row(row: &Row) -> Result<VersionRow, StoreError> {
    Ok(VersionRow {
        version: row.count("version")?,
        change: variant(&CHANGES, "a kind of change", &row.text("change")?)?,
        document: row.json("document", "a version's document")?,
        managed_by: row.optional_text("managed_by")?,
        at: row.time("at")?,
        actor: Actor { id: row.text("actor_id")?, name: row.text("actor_name")? },
    })
}
