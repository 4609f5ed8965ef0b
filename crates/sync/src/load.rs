//! From a change set to one outcome per change: map, send, journal.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use changes::{ChangeChunk, ChangeSet, Chunks};
use kit::{BatchLimits, Fate, LoadPlan, Payload};
use records::{Counts, Operation, Outcome};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    Engine, LoadJournal, Mapping, Observer, Problem,
    blocking::{begin_blocking, blocking},
    engine::Begun,
    jobs::JobNotes,
    journal::FileJournal,
    map::{self, Mapped},
    problem::chain,
    recording::{Recorded, Recorder, Settled, Told},
    sending::Announced,
};

/// Payloads that may wait for the loader, and fates that may wait for the journal.
pub(crate) const WAITING: usize = 1024;

/// How a load ended.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub recorded: Recorded,
    pub stop: Option<Problem>,
    pub cancelled: bool,
    /// Requests made, the repeated ones too.
    pub requests: u64,
}

/// What will be told of the changes that have no fate yet.
#[derive(Debug, Default)]
pub(crate) struct Underway {
    told: Mutex<HashMap<u64, Told>>,
    /// Fates come only when all is sent, so of each change the least is kept.
    whole: bool,
    least: Mutex<Vec<(Operation, u64)>>,
}

impl Underway {
    fn note(&self, told: Vec<(u64, Told)>) {
        if self.whole {
            let mut least = self.least.lock().unwrap_or_else(PoisonError::into_inner);
            for (index, told) in told {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                let told = (told.operation, told.fingerprint);
                if least.len() <= index {
                    least.resize(index + 1, told);
                }
                least[index] = told;
            }
        } else {
            self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(told);
        }
    }

    pub(crate) fn take(&self, fates: impl Iterator<Item = Fate>) -> Vec<Settled> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let least = self.least.lock().unwrap_or_else(PoisonError::into_inner);
        let of_whole = |index: u64| {
            let (operation, fingerprint) = *least.get(usize::try_from(index).ok()?)?;
            Some(Told { operation, fingerprint, payload: None, before: None, after: None })
        };
        fates
            .map(|fate| Settled {
                index: fate.index,
                told: if self.whole { of_whole(fate.index) } else { told.remove(&fate.index) },
                key: fate.key,
                outcome: Some(fate.outcome),
                attempts: fate.attempts,
                exchange: fate.exchange,
            })
            .collect()
    }
}

impl Engine {
    /// Maps and sends a change set, and journals every outcome before it counts it.
    pub(crate) async fn load(
        &self,
        begun: &Begun,
        change_set: &ChangeSet,
        counts: Counts,
        observer: &dyn Observer,
    ) -> Result<Loaded, Problem> {
        let mapping = &begun.mapping;
        let destination = mapping.connection.destination.clone();
        let whole = destination.facts().action(&mapping.action).is_some_and(|action| action.whole);
        let journal: Arc<dyn LoadJournal> = Arc::new(FileJournal::open(&begun.folder, self.steps.clone()).await?);
        let recorder = Recorder::open(self, begun, journal.clone(), counts, whole).await?;
        let requests = Arc::new(AtomicU64::new(0));
        let announced = Announced { destination, journal: journal.clone(), requests: requests.clone(), whole };
        let plan = LoadPlan {
            destination: Arc::new(announced),
            wire: mapping.connection.wire.clone(),
            action: mapping.action.clone(),
            mode: mapping.choice.mode(),
            sync: begun.id.to_string(),
            batching: mapping.batching,
            settings: mapping.settings.clone(),
            batch: own_limits(mapping),
            batch_keys: mapping.batch_keys.clone(),
            jobs: Some(Arc::new(JobNotes(journal))),
            retry: mapping.retry,
        };
        let (payloads, input) = mpsc::channel(WAITING);
        let (fates, settled) = mpsc::channel(WAITING);
        let (local, local_settled) = mpsc::channel(WAITING);
        let underway = Arc::new(Underway { whole, ..Underway::default() });
        // Cancelled too when the journal fails: nothing may be sent that could not be remembered.
        let halt = begun.cancel.child_token();
        let mapper = map_all(mapping.clone(), change_set.clone(), payloads, local, underway.clone(), halt.clone());
        let loader = kit::load(&plan, input, fates, halt.clone(), self.random.clone());
        let recorder = async {
            let recorded =
                recorder.run(settled, local_settled, &underway, (change_set.len(), &requests), observer).await;
            if recorded.is_err() {
                halt.cancel();
            }
            recorded
        };
        let (mapped, stop, recorder) = tokio::join!(mapper, loader, recorder);
        let (recorder, cancelled) = (recorder?, begun.cancel.is_cancelled());
        mapped?;
        let whole_way = stop.is_ok() && !cancelled && recorder.settled() == change_set.len();
        Ok(Loaded {
            recorded: recorder.finish(whole_way).await?,
            stop: stop.err().map(|stop| Problem::of_stop(&stop)),
            cancelled,
            requests: requests.load(Ordering::Relaxed),
        })
    }
}

pub(crate) fn own_limits(mapping: &Mapping) -> Option<BatchLimits> {
    if mapping.records_max.is_none() && mapping.bytes_max.is_none() {
        return None;
    }
    Some(BatchLimits {
        records_max: mapping.records_max.unwrap_or(usize::MAX),
        bytes_max: mapping.bytes_max.unwrap_or(usize::MAX),
    })
}

/// Maps chunk after chunk on a blocking thread and hands payloads on as fast as they are taken. While those of one
/// chunk are taken, the next is being mapped.
async fn map_all(
    mapping: Arc<Mapping>,
    change_set: ChangeSet,
    payloads: mpsc::Sender<Payload>,
    local: mpsc::Sender<Settled>,
    underway: Arc<Underway>,
    halt: CancellationToken,
) -> Result<(), Problem> {
    let unreadable = |error: changes::ChangeSetError| Problem::new("change_set_unreadable", chain(&error));
    let opened = blocking(move || change_set.chunks(0)).await?;
    let chunks = opened.map_err(unreadable)?;
    let begin = |mut chunks: Chunks| {
        let (mapping, underway) = (mapping.clone(), underway.clone());
        begin_blocking(move || {
            let chunk = chunks.next();
            (chunk.map(|chunk| chunk.map(|chunk| map_chunk(&mapping, &chunk, &underway))), chunks)
        })
    };
    let mut next = begin(chunks);
    loop {
        let (mapped, rest) = next.await?;
        let Some(mapped) = mapped else { return Ok(()) };
        if halt.is_cancelled() {
            return Ok(());
        }
        next = begin(rest);
        let (ready, settled) = mapped.map_err(unreadable)?;
        for one in settled {
            if local.send(one).await.is_err() {
                return Ok(());
            }
        }
        for payload in ready {
            if payloads.send(payload).await.is_err() {
                return Ok(());
            }
        }
    }
}

fn map_chunk(mapping: &Mapping, chunk: &ChangeChunk, underway: &Underway) -> (Vec<Payload>, Vec<Settled>) {
    let mut ready = Vec::with_capacity(chunk.len());
    let mut told_of = Vec::with_capacity(chunk.len());
    let mut settled = Vec::new();
    for row in 0..chunk.len() {
        let view = chunk.view(row);
        let index = chunk.index(row);
        let told = |payload: Option<String>| {
            let (before, after) = differences(&view);
            Told { operation: view.operation, fingerprint: chunk.fingerprint(row), payload, before, after }
        };
        let local =
            |told, outcome| Settled { index, key: view.key.to_owned(), told, outcome, attempts: 0, exchange: None };
        match map::map(mapping, &view, index) {
            Mapped::Skipped => settled.push(local(None, None)),
            Mapped::Refused { code, message } => {
                settled.push(local(Some(told(None)), Some(Outcome::rejected(code, message))));
            }
            Mapped::Payload(payload) => {
                let shown = (!underway.whole).then(|| mapping.connection.wire.redact(&payload.fields.to_json()));
                told_of.push((index, told(shown)));
                ready.push(payload);
            }
        }
    }
    underway.note(told_of);
    (ready, settled)
}

/// What an update changed, as two JSON objects. Added and deleted records are told by their payload.
fn differences(view: &records::ChangeView<'_>) -> (Option<String>, Option<String>) {
    if view.operation != Operation::Updated || view.previous.is_none() {
        return (None, None);
    }
    let mut before = records::Object::new();
    let mut after = records::Object::new();
    for change in map::field_changes(view) {
        before.push(change.column.clone(), change.before);
        after.push(change.column, change.after);
    }
    (Some(records::Value::Object(before).to_json()), Some(records::Value::Object(after).to_json()))
}
