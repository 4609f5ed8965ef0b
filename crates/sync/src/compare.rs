//! One extract of a model, compared with the checkpoints of all its mappings that are due.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use arrow_array::RecordBatch;
use changes::{Checkpoint, CompareError, Compared, Comparison, Hasher, Limits, Meta, Tracking};
use jiff::Timestamp;
use kit::{Query, SourceError};
use mapping::Columns;
use records::{KeyColumns, Schema, SyncId};
use store::ModelColumn;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    Engine, Held, Mapping, Model, News, Observer, Phase, Problem,
    blocking::blocking,
    guard::{self, Findings},
    places,
    progress::PhaseLog,
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
    /// What an observer is told the sync is: none for a plan.
    pub shown: Option<SyncId>,
    /// Where the change set is written.
    pub change_set: PathBuf,
    pub scratch: PathBuf,
    /// Ends this comparison, and none of those beside it.
    pub cancel: CancellationToken,
    pub phases: Arc<PhaseLog>,
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
    ) -> Vec<Result<Extracted, Problem>> {
        let began = self.clock.now();
        self.enter_all(targets, Phase::Extracting, observer);
        let query = Query { text: model.query.clone(), rows_max: None };
        let schema = tokio::select! {
            schema = model.source.describe(&query) => schema.map_err(|error| Problem::of_source(&error, &model.name)),
            () = all_cancelled(targets) => Err(cancelled()),
        };
        if let (Ok(schema), Some(sync)) = (&schema, targets.iter().find_map(|target| target.shown)) {
            self.note_columns(model, schema, sync).await;
        }
        let schema = match schema.and_then(|schema| key_is_there(&schema, model).map(|()| schema)) {
            Ok(schema) => schema,
            Err(problem) => return targets.iter().map(|_| Err(problem.clone())).collect(),
        };
        let share = self.settings.memory_bytes.saturating_sub(MEMORY_FOR_THE_REST).max(self.settings.memory_bytes / 4);
        let limits = Limits { memory_bytes: share / targets.len().max(1) as u64, disk_bytes: self.settings.disk_bytes };
        let mut results: Vec<Option<Result<Extracted, Problem>>> = Vec::new();
        let mut underway: Vec<Option<Underway>> = Vec::new();
        for target in targets {
            match self.begin_comparing(model, target, &schema, limits, began).await {
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
            let outcome = self.stream(model, &query, &schema, targets, &mut underway, observer).await;
            self.enter_all(targets, Phase::Comparing, observer);
            for (index, begun) in underway.into_iter().enumerate() {
                if results[index].is_some() {
                    continue;
                }
                let failed = outcome.as_ref().map(|failed| &failed[index]);
                results[index] = match (failed, begun) {
                    _ if targets[index].cancel.is_cancelled() => Some(Err(cancelled())),
                    (Err(problem) | Ok(Some(problem)), _) => Some(Err(problem.clone())),
                    (Ok(None), Some(begun)) => Some(finish(begun, &targets[index].mapping).await),
                    (Ok(None), None) => None,
                };
                if let Some(Ok(Extracted::Compared(comparing))) = &results[index] {
                    let news = News::Compared { counts: comparing.compared.counts };
                    self.tell(observer, &targets[index].mapping.name, targets[index].shown, news);
                }
            }
        }
        let missing = || Err(Problem::new("internal", "the comparison has no result"));
        results.into_iter().map(|result| result.unwrap_or_else(missing)).collect()
    }

    /// Keeps what columns the model has, so that people can be told when they change. A plan keeps nothing.
    async fn note_columns(&self, model: &Model, schema: &Schema, sync: SyncId) {
        let column =
            |column: &records::Column| ModelColumn { name: column.name.clone(), kind: column.kind.name().to_owned() };
        let columns: Vec<_> = schema.columns().iter().map(column).collect();
        if let Err(error) = self.store.note_columns(&model.name, &columns, Some(sync)).await {
            // No sync is worse for it; a store that stays away stops it soon enough.
            tracing::warn!(error = &error as &dyn std::error::Error, "the columns of a model were not noted");
        }
    }

    fn enter_all(&self, targets: &[Target], phase: Phase, observer: &dyn Observer) {
        for target in targets {
            target.phases.begin(phase, self.clock.now());
            self.tell(observer, &target.mapping.name, target.shown, News::Phase(phase));
        }
    }

    async fn begin_comparing(
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
        Ok(Ok(Underway { change_set, meta, checkpoint, comparison, used, findings }))
    }

    /// Streams the extract through all comparisons. A comparison that fails is given up alone; its problem stands at
    /// its place in the answer.
    async fn stream(
        &self,
        model: &Model,
        query: &Query,
        schema: &Schema,
        targets: &[Target],
        underway: &mut [Option<Underway>],
        observer: &dyn Observer,
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
        let halt = CancellationToken::new();
        let extract = model.source.extract(query, sender, halt.clone());
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
                for (index, _) in targets.iter().enumerate().filter(|(_, target)| target.cancel.is_cancelled()) {
                    // Its files go with it; the others read on.
                    underway[index] = None;
                    failed[index] = Some(cancelled());
                }
                for (target, _) in targets.iter().zip(underway.iter()).filter(|(_, begun)| begun.is_some()) {
                    let news = News::Extracting { records: extracted };
                    self.tell(observer, &target.mapping.name, target.shown, news);
                }
                if nothing_is_left(&failed, underway) {
                    break;
                }
            }
            drop(receiver);
            Ok::<_, Problem>(failed)
        };
        let (extract, failed) = {
            let mut both = std::pin::pin!(async { tokio::join!(extract, consume) });
            tokio::select! {
                biased;
                both = &mut both => both,
                () = all_cancelled(targets) => {
                    halt.cancel();
                    both.await
                }
            }
        };
        let mut failed = failed?;
        for (slot, _) in failed.iter_mut().zip(targets).filter(|(_, target)| target.cancel.is_cancelled()) {
            slot.get_or_insert_with(cancelled);
        }
        match extract {
            Ok(()) => Ok(failed),
            // Every comparison has failed or is not wanted any more: theirs is the reason.
            Err(SourceError::Cancelled) if nothing_is_left(&failed, underway) => Ok(failed),
            Err(error) => Err(Problem::of_source(&error, &model.name)),
        }
    }
}

/// Whether every comparison has ended before the extract did.
fn nothing_is_left(failed: &[Option<Problem>], underway: &[Option<Underway>]) -> bool {
    failed.iter().zip(underway).all(|(fault, begun)| fault.is_some() || begun.is_none())
}

/// Waits until not one of them is wanted any more.
async fn all_cancelled(targets: &[Target]) {
    for target in targets {
        target.cancel.cancelled().await;
    }
}

fn cancelled() -> Problem {
    Problem::new("cancelled", "cancelled")
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
