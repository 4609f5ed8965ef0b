//! What a definition names, and who names it.

use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{ResourceError, ResourceKind, ResourceRef};
use crate::{
    Store, StoreError,
    database::{Row, Transaction, args, variant},
};

/// How many of those that use a definition are told by name.
const TOLD_MAX: u32 = 5;

/// What a document names.
#[derive(Debug, Default)]
pub(super) struct References {
    pub(super) source: Option<String>,
    pub(super) model: Option<String>,
    pub(super) destination: Option<String>,
    /// Mappings that it waits for.
    pub(super) mappings: Vec<String>,
}

impl References {
    pub(super) fn of(kind: ResourceKind, document: &Value) -> Self {
        let text = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
        match kind {
            ResourceKind::Source | ResourceKind::Destination => Self::default(),
            ResourceKind::Model => Self { source: text("source"), ..Self::default() },
            ResourceKind::Mapping => Self {
                model: text("model"),
                destination: text("destination"),
                mappings: waited_for(document),
                ..Self::default()
            },
        }
    }

    fn each(&self) -> impl Iterator<Item = (ResourceKind, &str)> {
        [
            (ResourceKind::Source, &self.source),
            (ResourceKind::Model, &self.model),
            (ResourceKind::Destination, &self.destination),
        ]
        .into_iter()
        .filter_map(|(kind, name)| Some((kind, name.as_deref()?)))
        .chain(self.mappings.iter().map(|name| (ResourceKind::Mapping, name.as_str())))
    }
}

/// The mappings in a schedule's `after`: one name, or a list.
fn waited_for(document: &Value) -> Vec<String> {
    let mut names: Vec<String> = match document.get("schedule").and_then(|schedule| schedule.get("after")) {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    names.sort_unstable();
    names.dedup();
    names
}

/// All that a definition names must be there.
pub(super) async fn check(
    transaction: &mut Transaction<'_>,
    kind: ResourceKind,
    name: &str,
    references: &References,
) -> Result<(), ResourceError> {
    for (of_kind, of) in references.each() {
        let sql = "SELECT id FROM resources WHERE kind = $1 AND name = $2";
        if transaction.row(sql, args![of_kind.name(), of]).await?.is_none() {
            return Err(ResourceError::Dangling { kind, name: name.to_owned(), of: ResourceRef::new(of_kind, of) });
        }
    }
    Ok(())
}

/// Nothing may name what is gone.
pub(super) async fn check_unused(
    transaction: &mut Transaction<'_>,
    kind: ResourceKind,
    name: &str,
) -> Result<(), ResourceError> {
    let by = transaction.rows(AssertSqlSafe(using(kind, true)), args![name, TOLD_MAX]).await?;
    if by.is_empty() {
        return Ok(());
    }
    let by = by.iter().map(resource_ref).collect::<Result<Vec<_>, _>>()?;
    let count = transaction.row(AssertSqlSafe(counting(kind)), args![name]).await?;
    let count = count.map_or(Ok(0), |row| row.count("users"))?;
    Err(ResourceError::Used { kind, name: name.to_owned(), by, count })
}

/// The definitions that name one of a kind, whose name is the first argument.
fn condition(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Source => "ref_source = $1",
        ResourceKind::Model => "ref_model = $1",
        ResourceKind::Destination => "ref_destination = $1",
        ResourceKind::Mapping => "id IN (SELECT resource FROM resource_waits WHERE mapping = $1)",
    }
}

fn using(kind: ResourceKind, is_limited: bool) -> String {
    let limit = if is_limited { " LIMIT $2" } else { "" };
    format!("SELECT kind, name FROM resources WHERE {} ORDER BY kind, name{limit}", condition(kind))
}

fn counting(kind: ResourceKind) -> String {
    format!("SELECT count(*) AS users FROM resources WHERE {}", condition(kind))
}

fn resource_ref(row: &Row) -> Result<ResourceRef, StoreError> {
    let kind = variant(&super::identity::KINDS, "a kind of definition", &row.text("kind")?)?;
    Ok(ResourceRef { kind, name: row.text("name")? })
}

impl Store {
    /// The definitions that name this one: models of a source, mappings of a model or destination, mappings that wait
    /// for a mapping.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn resource_users(&self, kind: ResourceKind, name: &str) -> Result<Vec<ResourceRef>, StoreError> {
        let sql = AssertSqlSafe(using(kind, false));
        let rows = self.read().await?.rows("find what uses a definition", sql, args![name]).await?;
        rows.iter().map(resource_ref).collect()
    }

    /// Who waits for whom: each mapping with one that its schedule names.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn resource_waits(&self) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT resources.name, resource_waits.mapping FROM resource_waits \
             JOIN resources ON resources.id = resource_waits.resource ORDER BY 1, 2";
        let rows = self.read().await?.rows("see which mappings wait", sql, args![]).await?;
        rows.iter().map(|row| Ok((row.text("name")?, row.text("mapping")?))).collect()
    }
}
