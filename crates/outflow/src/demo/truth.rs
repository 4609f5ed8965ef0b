//! Holds what the demo's endpoint keeps against what a model gives.

use std::collections::BTreeMap;

use kit::Query;
use project::Project;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::endpoint::Endpoint;
use crate::{
    commands::Context,
    failure::Failure,
    render::{Paint, Rows, number},
    wiring::wiring,
};

/// How a model and a collection compare.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    model: String,
    collection: String,
    rows: usize,
    records: usize,
    /// Rows whose record is there with the same values.
    same: usize,
}

impl Compared {
    pub(super) fn is_equal(&self) -> bool {
        self.rows == self.records && self.rows == self.same
    }

    pub(super) fn text(&self, paint: Paint) -> String {
        let count = |count: usize| number(u64::try_from(count).unwrap_or(u64::MAX));
        let verdict = if self.is_equal() { paint.green("✓ equal") } else { paint.red("✗ not equal") };
        format!(
            "{:10} {} rows, {} {} at the endpoint, {} with the same values  {verdict}",
            self.model,
            count(self.rows),
            count(self.records),
            self.collection,
            count(self.same)
        )
    }
}

/// Reads the model anew and looks for each of its rows at the endpoint.
pub(super) async fn compare(
    project: &Project,
    name: &str,
    collection: &str,
    endpoint: &Endpoint,
    context: &Context<'_>,
) -> Result<Compared, Failure> {
    let failed = |error: kit::SourceError| Failure::new(format!("the model `{name}` cannot be read")).because(error);
    let model = wiring(project).model(name)?;
    let query = Query { text: model.query.clone(), rows_max: None };
    let schema = model.source.describe(&query).await.map_err(failed)?;
    let (sender, mut receiver) = mpsc::channel(4);
    let extract = model.source.extract(&query, sender, context.cancel.clone());
    let collect = async {
        let mut batches = Vec::new();
        while let Some(batch) = receiver.recv().await {
            batches.push(batch);
        }
        batches
    };
    let (extracted, batches) = tokio::join!(extract, collect);
    extracted.map_err(failed)?;
    let rows = Rows::of(&schema, &batches, u64::MAX).to_json(&schema);
    let key = model.key.first().map_or("id", String::as_str);
    let held: BTreeMap<String, Value> = endpoint.look(|kept| kept.records.get(collection).cloned().unwrap_or_default());
    let same = rows.iter().filter(|row| held.get(&text(&row[key])).is_some_and(|record| agrees(row, record))).count();
    Ok(Compared {
        model: name.to_owned(),
        collection: collection.to_owned(),
        rows: rows.len(),
        records: held.len(),
        same,
    })
}

/// Whether the fields that row and record share are equal.
fn agrees(row: &Value, record: &Value) -> bool {
    let Some(row) = row.as_object() else { return false };
    row.iter().all(|(column, value)| record.get(column).is_none_or(|held| held == value))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
