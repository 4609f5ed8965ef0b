//! What a sync would do: the same extract, comparison and mapping, and nothing sent or remembered.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    sync::Arc,
};

use changes::{ChangeSet, Unusable};
use kit::{Batch, DeliveryError, Payload, preview_divided};
use records::{Counts, Operation, SyncId, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    Connection, Engine, Held, Mapping, News, Observer, Plan, Problem, RefusedRecord, SampleChange, SampleRequest,
    UnusableRecord,
    blocking::blocking,
    compare::{Comparing, Extracted, Target},
    held::Reads,
    load::own_limits,
    map::{self, Mapped},
    places,
    plan_file::{self, Saved},
    problem::chain,
    request::groups,
};

/// How a plan is to be made.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// Sample changes per operation.
    pub samples: usize,
    /// Write the plan here, for `sync --plan`.
    pub save: Option<PathBuf>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { samples: 3, save: None }
    }
}

/// Refused records that a plan lists.
const REFUSED_MAX: usize = 10;
/// Rows with an unusable key that a plan lists.
const UNUSABLE_MAX: usize = 10;

/// What mapping the whole change set shows.
#[derive(Debug, Default)]
struct Tried {
    counts: Counts,
    samples: Vec<SampleChange>,
    payloads: Vec<Payload>,
    refused: Vec<RefusedRecord>,
}

impl Engine {
    /// Says what a sync of these mappings would do. Changes nothing, here or there.
    pub async fn plan(
        &self,
        mappings: &[Arc<Mapping>],
        options: &PlanOptions,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Vec<Result<Plan, Problem>> {
        let id = SyncId::new(self.clock.now(), self.random.as_ref());
        let folder = places::plan_scratch(&self.settings.folder, id);
        let folders: Vec<PathBuf> = (0..mappings.len()).map(|index| folder.join(index.to_string())).collect();
        let plans = match blocking(move || folders.iter().try_for_each(std::fs::create_dir_all)).await {
            Ok(Ok(())) => self.plan_in(mappings, id, &folder, options, observer, cancel).await,
            Ok(Err(error)) => mappings.iter().map(|_| Err(Problem::from(std::io::Error::from(error.kind())))).collect(),
            Err(problem) => mappings.iter().map(|_| Err(problem.clone())).collect(),
        };
        let _ = blocking(move || std::fs::remove_dir_all(folder)).await;
        plans
    }

    async fn plan_in(
        &self,
        mappings: &[Arc<Mapping>],
        id: SyncId,
        folder: &std::path::Path,
        options: &PlanOptions,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Vec<Result<Plan, Problem>> {
        let mut plans: Vec<Option<Result<Plan, Problem>>> = mappings.iter().map(|_| None).collect();
        let mut saved = Vec::new();
        let together = |one: usize, other: usize| mappings[one].model.name == mappings[other].model.name;
        for group in groups(mappings.len(), together) {
            let target = |index: usize| Target {
                mapping: mappings[index].clone(),
                sync: id,
                shown: None,
                change_set: folder.join(index.to_string()).join("changes.arrow"),
                scratch: folder.join(format!("{index}-scratch")),
                cancel: cancel.clone(),
                phases: Arc::default(),
            };
            let targets: Vec<Target> = group.iter().map(|&index| target(index)).collect();
            for target in &targets {
                self.tell(observer, &target.mapping.name, None, News::Started);
            }
            let model = targets[0].mapping.model.clone();
            let extracted = self.compare(&model, &targets, observer).await;
            for ((index, target), extracted) in group.into_iter().zip(&targets).zip(extracted) {
                let plan = match extracted {
                    Err(problem) => Err(problem),
                    Ok(Extracted::Held(held)) => Ok(held_plan(&target.mapping.name, held)),
                    Ok(Extracted::Compared(comparing)) => {
                        saved.push(Saved {
                            mapping: target.mapping.name.clone(),
                            generation: comparing.checkpoint.generation(),
                            findings: comparing.findings.clone(),
                            change_set: target.change_set.clone(),
                            reads: Reads::of(&target.mapping),
                        });
                        self.show(&target.mapping, *comparing, options).await
                    }
                };
                plans[index] = Some(plan);
            }
        }
        let missing = || Err(Problem::new("internal", "the plan is missing"));
        let mut plans: Vec<_> = plans.into_iter().map(|plan| plan.unwrap_or_else(missing)).collect();
        if let Some(path) = options.save.clone() {
            let written = blocking(move || plan_file::save(&path, &saved)).await;
            if let Err(problem) | Ok(Err(problem)) = written {
                plans = plans.iter().map(|_| Err(problem.clone())).collect();
            }
        }
        plans
    }

    async fn show(&self, mapping: &Arc<Mapping>, comparing: Comparing, options: &PlanOptions) -> Result<Plan, Problem> {
        let Comparing { compared, findings, held, .. } = comparing;
        let samples = options.samples;
        let (change_set, of, unusable) = (compared.change_set.clone(), mapping.clone(), compared.unusable.clone());
        let tried =
            blocking(move || try_all(&of, &change_set, samples).map(|t| (t, read_unusable(&unusable, UNUSABLE_MAX))));
        let (tried, unusable) = tried.await??;
        let batch = Batch {
            action: mapping.action.clone(),
            mode: mapping.choice.mode(),
            sync: "sync_preview".to_owned(),
            records: tried.payloads,
            batching: mapping.batching,
            settings: mapping.settings.clone(),
            jobs: None,
        };
        let (mut requests, mut requests_problem) = (Vec::new(), None);
        if !batch.records.is_empty() {
            let Connection { destination, wire, .. } = &mapping.connection;
            let division = (own_limits(mapping), mapping.batch_keys.as_slice());
            match preview_divided(destination.as_ref(), wire, &batch, division).await {
                Ok(shown) => requests = shown,
                Err(error @ DeliveryError::Settings { .. }) => return Err(Problem::new("preview", chain(&error))),
                // Something could not be looked up in the tool; the rest of the plan does not depend on it.
                Err(error) => requests_problem = Some(chain(&error)),
            }
        }
        let request = |exchange: kit::Exchange| SampleRequest {
            method: exchange.method,
            url: exchange.url,
            headers: exchange.request_headers,
            body: exchange.request_body,
        };
        Ok(Plan {
            mapping: mapping.name.clone(),
            counts: Counts { skipped: tried.counts.skipped, rejected: tried.counts.rejected, ..compared.counts },
            held,
            samples: tried.samples,
            requests: requests.into_iter().map(request).collect(),
            requests_problem,
            unusable,
            refused: tried.refused,
            checkpoint: findings.checkpoint,
            disk_bytes: compared.disk_bytes_peak,
        })
    }
}

fn held_plan(mapping: &str, held: Held) -> Plan {
    Plan {
        mapping: mapping.to_owned(),
        counts: Counts::default(),
        held: Some(held),
        samples: Vec::new(),
        requests: Vec::new(),
        requests_problem: None,
        unusable: Vec::new(),
        refused: Vec::new(),
        checkpoint: 0,
        disk_bytes: 0,
    }
}

/// Maps every change, keeping a few to show.
fn try_all(mapping: &Mapping, change_set: &ChangeSet, samples: usize) -> Result<Tried, Problem> {
    let unreadable = |error: changes::ChangeSetError| Problem::new("change_set_unreadable", chain(&error));
    let mut tried = Tried::default();
    let mut shown = [0_usize; 3];
    for chunk in change_set.chunks(0).map_err(unreadable)? {
        let chunk = chunk.map_err(unreadable)?;
        for row in 0..chunk.len() {
            let view = chunk.view(row);
            let slot = match view.operation {
                Operation::Added => &mut shown[0],
                Operation::Updated => &mut shown[1],
                Operation::Deleted => &mut shown[2],
            };
            let mut payload_shown: Result<Value, String> = Err("left out by the mapping's choice or condition".into());
            match map::map(mapping, &view, chunk.index(row)) {
                Mapped::Skipped => {
                    tried.counts.skipped += 1;
                    continue;
                }
                Mapped::Refused { code, message } => {
                    tried.counts.rejected += 1;
                    payload_shown = Err(message.clone());
                    if tried.refused.len() < REFUSED_MAX {
                        tried.refused.push(RefusedRecord {
                            key: view.key.to_owned(),
                            operation: view.operation,
                            code: code.to_owned(),
                            message,
                        });
                    }
                }
                Mapped::Payload(payload) => {
                    if *slot < samples {
                        payload_shown = Ok(payload.fields.clone());
                        tried.payloads.push(payload);
                    }
                }
            }
            if *slot < samples {
                *slot += 1;
                tried.samples.push(SampleChange {
                    operation: view.operation,
                    key: view.key.to_owned(),
                    fields: map::field_changes(&view),
                    payload: payload_shown,
                });
            }
        }
    }
    tried.samples.sort_by_key(|sample| sample.operation);
    Ok(tried)
}

/// The first rows of the list of records whose key could not be used.
pub(crate) fn read_unusable(unusable: &Unusable, max: usize) -> Vec<UnusableRecord> {
    let Some(file) = unusable.path.as_ref().and_then(|path| std::fs::File::open(path).ok()) else { return Vec::new() };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let record = |line: String| {
        let value = Value::parse(&line).ok()?;
        Some(UnusableRecord {
            reason: text(value.get("reason")),
            key: text(value.get("key")),
            values: value.get("row").cloned().unwrap_or_default(),
        })
    };
    BufReader::new(file).lines().map_while(Result::ok).filter_map(record).take(max).collect()
}
