//! Lists of definitions: filtered, by pages, and what changed since a look before.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{ResourceId, ResourceKind, ResourceRef, ResourceRow, references::References, resource_row};
use crate::{
    Store, StoreError,
    database::{Arg, args, variant},
};

/// Which definitions are wanted. What is None lets all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceFilter {
    pub kind: Option<ResourceKind>,
    /// Part of the name, the description, the type or action, or of a name that it refers to; letters of either case.
    pub search: Option<String>,
    /// The source a model runs on, or a mapping's model.
    pub source: Option<String>,
    pub model: Option<String>,
    pub destination: Option<String>,
    pub enabled: Option<bool>,
    /// Whether a file owns it.
    pub managed: Option<bool>,
}

/// The least that tells one definition from another, and an edited one from itself before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceHead {
    pub id: ResourceId,
    pub kind: ResourceKind,
    pub name: String,
    pub version: u64,
    pub enabled: bool,
}

impl ResourceFilter {
    pub fn of_kind(kind: ResourceKind) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    /// The conditions, and their values behind those that stand in `args` already.
    fn conditions(&self, args: &mut Vec<Arg>) -> String {
        let mut conditions = vec!["TRUE".to_owned()];
        let mut add = |condition: &str, arg: Option<Arg>| {
            if let Some(arg) = arg {
                args.push(arg);
                conditions.push(condition.replace('?', &format!("${}", args.len())));
            }
        };
        add("kind = ?", self.kind.map(|kind| kind.name().into()));
        add("found_by LIKE ? ESCAPE '!'", self.search.as_deref().map(|text| pattern(text).into()));
        let of_source = "(ref_source = ? OR ref_model IN (SELECT models.name FROM resources AS models WHERE \
             models.kind = 'model' AND models.ref_source = ?))";
        add(of_source, self.source.as_ref().map(Arg::from));
        add("ref_model = ?", self.model.as_ref().map(Arg::from));
        add("ref_destination = ?", self.destination.as_ref().map(Arg::from));
        add("enabled = ?", self.enabled.map(Arg::from));
        match self.managed {
            Some(true) => conditions.push("managed_by IS NOT NULL".to_owned()),
            Some(false) => conditions.push("managed_by IS NULL".to_owned()),
            None => {}
        }
        conditions.join(" AND ")
    }
}

/// Any text around the one that is searched for, which means nothing but itself.
fn pattern(search: &str) -> String {
    let mut pattern = String::from("%");
    for letter in search.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// What a search looks into.
pub(super) fn found_by(name: &str, document: &Value, references: &References) -> String {
    let texts = ["description", "type", "action"].into_iter().filter_map(|key| document.get(key)?.as_str());
    let named = [&references.source, &references.model, &references.destination].into_iter().flatten();
    let all: Vec<&str> = std::iter::once(name).chain(texts).chain(named.map(String::as_str)).collect();
    all.join("\n").to_lowercase()
}

impl Store {
    /// The definitions a filter lets pass, by kind and name, from the one behind `after` on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn resources(
        &self,
        filter: &ResourceFilter,
        after: Option<&ResourceRef>,
        limit: u32,
    ) -> Result<Vec<ResourceRow>, StoreError> {
        let mut args: Vec<Arg> = vec![limit.into()];
        let mut conditions = filter.conditions(&mut args);
        if let Some(after) = after {
            args.push(after.kind.name().into());
            args.push(after.name.as_str().into());
            conditions.push_str(&format!(" AND (kind, name) > (${}, ${})", args.len() - 1, args.len()));
        }
        let sql = format!("SELECT * FROM resources WHERE {conditions} ORDER BY kind, name LIMIT $1");
        let rows = self.read().await?.rows("list definitions", AssertSqlSafe(sql), &args).await?;
        rows.iter().map(resource_row).collect()
    }

    /// How many definitions a filter lets pass.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn resource_count(&self, filter: &ResourceFilter) -> Result<u64, StoreError> {
        let mut args = Vec::new();
        let sql = format!("SELECT count(*) AS number FROM resources WHERE {}", filter.conditions(&mut args));
        let row = self.read().await?.row("count definitions", AssertSqlSafe(sql), &args).await?;
        row.map_or(Ok(0), |row| row.count("number"))
    }

    /// All definitions, without their documents.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn resource_heads(&self) -> Result<Vec<ResourceHead>, StoreError> {
        let sql = "SELECT id, kind, name, version, enabled FROM resources ORDER BY kind, name";
        let rows = self.read().await?.rows("list definitions", sql, args![]).await?;
        let head = |row: &crate::database::Row| {
            Ok(ResourceHead {
                id: row.parsed("id", "a definition's id")?,
                kind: variant(&super::identity::KINDS, "a kind of definition", &row.text("kind")?)?,
                name: row.text("name")?,
                version: row.count("version")?,
                enabled: row.flag("enabled")?,
            })
        };
        rows.iter().map(head).collect()
    }

    /// A number that grows whenever a definition is made, changed or removed.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn resource_revision(&self) -> Result<u64, StoreError> {
        let sql = "SELECT revision FROM resource_revision";
        let row = self.read().await?.row("see whether definitions changed", sql, args![]).await?;
        row.map_or(Ok(0), |row| row.count("revision"))
    }

    /// The definitions that were made or changed after a revision. Those that were removed are missing among
    /// [`Store::resource_heads`].
    ///
    /// # Errors
    /// The statement fails.
    pub async fn resources_since(&self, revision: u64) -> Result<Vec<ResourceRow>, StoreError> {
        let sql = "SELECT * FROM resources WHERE revision > $1 ORDER BY revision, kind, name";
        let rows = self.read().await?.rows("find changed definitions", sql, args![revision]).await?;
        rows.iter().map(resource_row).collect()
    }
}
