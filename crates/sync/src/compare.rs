//! One extract of a model, compared with the checkpoints of all its mappings that are due.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use arrow_array::RecordBatch;
use changes::{Checkpoint, CompareError, Compared, Comparison, Hasher, Limits, Meta, Tracking};
use jiff::Timestamp;
use kit::{Query, SourceError};
use mapping::Columns;
use records::{KeyColumns, Schema, SyncId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    Engine, Held, Mapping, Model, Observer, Problem, Progress,
    engine::{blocking, places},
    guard::{self, Findings},
};

/// Batches that may wait between source and comparison.
const BATCHES_WAITING: usize = 4;
/// What the rest of the process needs of the memory limit: batches under way, buffers, the program itself.
const MEMORY_FOR_THE_REST: u64 = 160 * 1024 * 1024;

/// One mapping that takes part in an extract.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub mapping: Arc<Mapping>,
    /// Names the change set; a plan's is never stored.
    pub sync: SyncId,
    /// Where the change set is written.
    pub change_set: PathBuf,
    pub scratch: PathBuf,
}

/// What an extract showed for one mapping.
pub(crate) struct Comparing {
    pub checkpoint: Checkpoint,
    pub compared: Compared,
    pub findings: Findings,
    pub held: Option<Held>,
}

/// How comparing ended for one mapping, when there was no fault.
pub(crate) enum Extracted {
    Compared(Box<Comparing>),
    /// Held before anything could be compared.
    Held(Held),
}

/// A comparison under way, with what its guard will need.
struct Underway {
    name: String,
    change_set: PathBuf,
    meta: Meta,
    checkpoint: Checkpoint,
    comparison: Comparison,
    used: Vec<String>,
    findings: Findings,
}

impl Engine {
    /// Extracts a model once and compares it for every target. The results stand in the targets' order.
    pub(crate) async fn compare(
        &self,
        model: &Model,
        targets: &[Target],
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Vec<Result<Extracted, Problem>> {
        let began = self.clock.now();
        let query = Query { text: model.query.clone(), rows_max: None };
        let schema = tokio::select! {
            schema = model.source.describe(&query) => schema.map_err(|error| Problem::of_source(&error, &model.name)),
            () = cancel.cancelled() => Err(Problem::new("cancelled", "cancelled")),
        };
        let schema = match schema.and_then(|schema| key_is_there(&schema, model).map(|()| schema)) {
            Ok(schema) => schema,
            Err(problem) => return targets.iter().map(|_| Err(problem.clone())).collect(),
        };
        let share = self.settings.memory_bytes.saturating_sub(MEMORY_FOR_THE_REST).max(self.settings.memory_bytes / 4);
        let limits = Limits { memory_bytes: share / targets.len().max(1) as u64, disk_bytes: self.settings.disk_bytes };
        let mut results: Vec<Option<Result<Extracted, Problem>>> = Vec::new();
        let mut underway: Vec<Option<Underway>> = Vec::new();
        for target in targets {
            match self.begin(model, target, &schema, limits, began).await {
                Ok(Ok(begun)) => {
                    results.push(None);
                    underway.push(Some(begun));
                }
                Ok(Err(held)) => {
                    results.push(Some(Ok(Extracted::Held(held))));
                    underway.push(None);
                }
                Err(problem) => {
                    results.push(Some(Err(problem)));
                    underway.push(None);
                }
            }
        }
        if underway.iter().any(Option::is_some) {
            let outcome = self.stream(model, &query, &schema, targets, &mut underway, observer, cancel).await;
            for (index, slot) in underway.into_iter().enumerate() {
                let Some(begun) = slot else { continue };
                results[index] = Some(match &outcome {
                    Err(problem) => Err(problem.clone()),
                    Ok(failed) => match &failed[index] {
                        Some(problem) => Err(problem.clone()),
                        None => finish(begun, &targets[index].mapping).await,
                    },
                });
                if let Some(Ok(Extracted::Compared(comparing))) = &results[index] {
                    let counts = comparing.compared.counts;
                    observer.progress(Progress::Compared { mapping: &targets[index].mapping.name, counts });
                }
            }
        }
        let missing = || Err(Problem::new("internal", "the comparison has no result"));
        results.into_iter().map(|result| result.unwrap_or_else(missing)).collect()
    }

    async fn begin(
        &self,
        model: &Model,
        target: &Target,
        schema: &Schema,
        limits: Limits,
        began: Timestamp,
    ) -> Result<Result<Underway, Held>, Problem> {
        let mapping = &target.mapping;
        let folder = places::checkpoint(&self.settings.folder, &mapping.name);
        let steps = self.steps.clone();
        let checkpoint = blocking(move || Checkpoint::open(&folder, steps)).await?;
        let checkpoint = checkpoint.map_err(|error| Problem::of_checkpoint(&error))?;
        let mut findings = Findings { checkpoint: checkpoint.len(), ..Findings::default() };
        let (used, missing) = used_columns(mapping.columns(), schema);
        findings.missing_columns = missing;
        let tracking = Tracking { key: model.key.clone(), used, keep: mapping.keep };
        let (scratch, schema, steps) = (target.scratch.clone(), schema.clone(), self.steps.clone());
        let mut used = tracking.used.clone();
        used.sort();
        let begun = blocking(move || {
            let comparison = Comparison::begin(&checkpoint, &tracking, &schema, &scratch, limits, steps);
            comparison.map(|comparison| (checkpoint, comparison))
        });
        let (checkpoint, comparison) = match begun.await? {
            Ok(begun) => begun,
            Err(CompareError::KeyChanged { before, now }) => {
                let describe = |columns: Vec<records::Column>| {
                    columns.into_iter().map(|column| format!("{} ({})", column.name, column.kind.name())).collect()
                };
                return Ok(Err(Held::KeyChanged { checkpoint: describe(before), now: describe(now) }));
            }
            Err(error) => return Err(Problem::of_compare(&error)),
        };
        let meta = Meta {
            mapping: mapping.name.clone(),
            sync: target.sync,
            timestamp: records::timestamp_text(began.as_microsecond()),
        };
        let change_set = target.change_set.clone();
        Ok(Ok(Underway { name: mapping.name.clone(), change_set, meta, checkpoint, comparison, used, findings }))
    }

    /// Streams the extract through all comparisons. A comparison that fails is given up alone; its problem stands at
    /// its place in the answer.
    #[expect(clippy::too_many_arguments, reason = "one call, split off for reading")]
    async fn stream(
        &self,
        model: &Model,
        query: &Query,
        schema: &Schema,
        targets: &[Target],
        underway: &mut [Option<Underway>],
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<Vec<Option<Problem>>, Problem> {
        let mut used = BTreeSet::new();
        for begun in underway.iter().flatten() {
            used.extend(begun.used.iter().cloned());
        }
        let used: Vec<String> = used.into_iter().collect();
        let hasher = Hasher::new(schema, &model.key, &used)
            .map_err(|error| Problem::new("compare_failed", crate::problem::chain(&error)))?;
        let hasher = Arc::new(hasher);
        let (sender, mut receiver) = mpsc::channel(BATCHES_WAITING);
        let extract = model.source.extract(query, sender, cancel.clone());
        let consume = async {
            let mut failed: Vec<Option<Problem>> = targets.iter().map(|_| None).collect();
            let mut extracted = 0;
            while let Some(batch) = receiver.recv().await {
                extracted += batch.num_rows() as u64;
                let taken: Vec<Option<Underway>> = underway.iter_mut().map(Option::take).collect();
                let hasher = hasher.clone();
                let (back, faults) = blocking(move || push(&hasher, taken, &batch)).await?;
                for (slot, begun) in underway.iter_mut().zip(back) {
                    *slot = begun;
                }
                for (slot, fault) in failed.iter_mut().zip(faults) {
                    if fault.is_some() {
                        *slot = fault;
                    }
                }
                for begun in underway.iter().flatten() {
                    observer.progress(Progress::Extracting { mapping: &begun.name, records: extracted });
                }
                if failed.iter().zip(underway.iter()).all(|(fault, begun)| fault.is_some() || begun.is_none()) {
                    break;
                }
            }
            drop(receiver);
            Ok::<_, Problem>(failed)
        };
        let (extract, failed) = tokio::join!(extract, consume);
        let failed = failed?;
        match extract {
            Ok(()) => Ok(failed),
            // The receiver was dropped because every comparison had failed: theirs is the reason.
            Err(SourceError::Cancelled) if !cancel.is_cancelled() && failed.iter().any(Option::is_some) => Ok(failed),
            Err(error) => Err(Problem::of_source(&error, &model.name)),
        }
    }
}

type Pushed = (Vec<Option<Underway>>, Vec<Option<Problem>>);

/// Hashes a batch once and shows it to every comparison.
fn push(hasher: &Hasher, underway: Vec<Option<Underway>>, batch: &RecordBatch) -> Pushed {
    let hashed = match hasher.hash(batch) {
        Ok(hashed) => hashed,
        Err(error) => {
            let problem = Problem::new("compare_failed", crate::problem::chain(&error));
            let faults = underway.iter().map(|begun| begun.as_ref().map(|_| problem.clone())).collect();
            return (underway, faults);
        }
    };
    let mut faults = Vec::with_capacity(underway.len());
    let mut back = Vec::with_capacity(underway.len());
    for mut slot in underway {
        let fault = slot.as_mut().and_then(|begun| begun.comparison.push(batch, &hashed).err());
        faults.push(fault.map(|error| Problem::of_compare(&error)));
        back.push(slot);
    }
    (back, faults)
}

async fn finish(begun: Underway, mapping: &Mapping) -> Result<Extracted, Problem> {
    let Underway { change_set, meta, checkpoint, comparison, mut findings, .. } = begun;
    let compared = blocking(move || comparison.finish(&change_set, &meta)).await?;
    let compared = compared.map_err(|error| Problem::of_compare(&error))?;
    findings.counts = compared.counts;
    if let Some(change) = &compared.tracking_changed {
        findings.added_columns = change.added.clone();
        findings.added_columns.extend(change.retyped.iter().map(|column| format!("{column} (of another type)")));
        findings.removed_columns = change.removed.clone();
    }
    let held = guard::held(&mapping.guards, &findings);
    Ok(Extracted::Compared(Box::new(Comparing { checkpoint, compared, findings, held })))
}

fn key_is_there(schema: &Schema, model: &Model) -> Result<(), Problem> {
    KeyColumns::find(schema, &model.key).map(|_| ()).map_err(|error| {
        Problem::new("key_column_missing", format!("model `{}`: {error}", model.name))
            .with_hint("select the column in the model's query, or name another `key`")
    })
}

/// The columns a mapping uses that the result has, sorted, and those it does not have.
fn used_columns(columns: Columns, schema: &Schema) -> (Vec<String>, Vec<String>) {
    match columns {
        Columns::All => {
            let mut all: Vec<String> = schema.columns().iter().map(|column| column.name.clone()).collect();
            all.sort();
            (all, Vec::new())
        }
        Columns::Named(names) => names.into_iter().partition(|name| schema.get(name).is_some()),
    }
}
