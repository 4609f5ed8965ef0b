//! Changes a person pages through: those of a saved plan, of a held sync, or of one whose change set is kept.

use std::{path::PathBuf, sync::Arc};

use changes::ChangeSet;
use records::{Operation, SyncId};
use serde::Serialize;

use crate::{
    Engine, FieldChange, Mapping, Problem, TriedPayload, blocking::blocking, map, places, plan_file, problem::chain,
};

/// Changes that one page looks at: a search that finds nothing gives a page without changes, and where to go on.
const LOOKED_AT_MAX: u64 = 100_000;
/// Changes on one page.
const LIMIT_MAX: usize = 1_000;

/// Which changes a page shows.
#[derive(Debug, Clone, Default)]
pub struct PageOptions {
    /// Only those with this operation.
    pub operation: Option<Operation>,
    /// Only those whose key holds this text.
    pub key: Option<String>,
    /// Where to go on: [`ChangePage::next`] of the page before.
    pub from: u64,
    /// How many changes at most. 0 is taken for 1.
    pub limit: usize,
}

/// A page of changes, in the order of the change set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangePage {
    pub changes: Vec<ShownChange>,
    /// Where the next page begins. None: this is the last.
    pub next: Option<u64>,
    /// All changes, whatever the options.
    pub total: u64,
}

/// One change, and what would be sent for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownChange {
    /// Its place in the change set.
    pub index: u64,
    pub operation: Operation,
    pub key: String,
    /// Columns that differ; for an added or deleted record all of its used columns.
    pub fields: Vec<FieldChange>,
    pub payload: TriedPayload,
}

impl Engine {
    /// A page of what a saved plan holds for a mapping. The plan stays on disk.
    ///
    /// # Errors
    /// The file is not a plan, or has no such mapping.
    pub async fn plan_page(
        &self,
        plan: PathBuf,
        mapping: &Arc<Mapping>,
        options: &PageOptions,
    ) -> Result<ChangePage, Problem> {
        let (mapping, options) = (mapping.clone(), options.clone());
        blocking(move || page(&plan_file::open(&plan, &mapping.name)?, &mapping, &options)).await?
    }

    /// A page of the changes of a sync whose change set is kept: those that a guard holds, for instance.
    ///
    /// # Errors
    /// The change set is not kept.
    pub async fn change_page(
        &self,
        sync: SyncId,
        mapping: &Arc<Mapping>,
        options: &PageOptions,
    ) -> Result<ChangePage, Problem> {
        let folder = places::sync(&self.settings.folder, &mapping.name, sync);
        let (mapping, options) = (mapping.clone(), options.clone());
        let gone = move |error: changes::ChangeSetError| {
            Problem::new("change_set_gone", format!("the changes of `{sync}` are not kept: {}", chain(&error)))
        };
        let open = move || ChangeSet::open(&places::change_set(&folder)).map_err(gone);
        blocking(move || page(&open()?, &mapping, &options)).await?
    }
}

fn page(change_set: &ChangeSet, mapping: &Mapping, options: &PageOptions) -> Result<ChangePage, Problem> {
    let unreadable = |error: changes::ChangeSetError| Problem::new("change_set_unreadable", chain(&error));
    let limit = options.limit.clamp(1, LIMIT_MAX);
    let mut page = ChangePage { changes: Vec::new(), next: None, total: change_set.len() };
    if options.from >= page.total {
        return Ok(page);
    }
    let first = change_set.chunk_of(options.from);
    let mut chunks = change_set.chunks(first).map_err(unreadable)?;
    let mut looked_at = 0;
    for number in first..change_set.chunk_count() {
        if options.operation.is_some_and(|operation| !change_set.chunk_has(number, operation)) {
            continue;
        }
        chunks.go_to(number);
        let Some(chunk) = chunks.next() else { break };
        let chunk = chunk.map_err(unreadable)?;
        for row in (0..chunk.len()).filter(|&row| chunk.index(row) >= options.from) {
            let index = chunk.index(row);
            if page.changes.len() == limit || looked_at == LOOKED_AT_MAX {
                page.next = Some(index);
                return Ok(page);
            }
            looked_at += 1;
            let of_operation = options.operation.is_none_or(|operation| chunk.operation(row) == operation);
            if of_operation && options.key.as_ref().is_none_or(|part| chunk.key(row).contains(part.as_str())) {
                let view = chunk.view(row);
                page.changes.push(ShownChange {
                    index,
                    operation: view.operation,
                    key: view.key.to_owned(),
                    fields: map::field_changes(&view),
                    payload: map::consider(mapping, &view).into(),
                });
            }
        }
    }
    Ok(page)
}
