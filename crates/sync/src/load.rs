//! From a change set to one outcome per change: map, send, journal.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use changes::{Bits, ChangeChunk, ChangeSet, Chunks, Journal};
use kit::{BatchLimits, Exchange, Fate, LoadPlan, Payload};
use records::{Counts, Operation, Outcome, OutcomeKind};
use store::{FailedRecord, HistoryExchange, HistoryRow, HistoryWriter};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    Engine, Mapping, News, Observer, Problem,
    blocking::{begin_blocking, blocking},
    engine::Begun,
    jobs::JobFile,
    map::{self, Mapped},
    places,
    problem::chain,
    sending::{self, Announced, SharedJournal},
};

/// Payloads that may wait for the loader, and fates that may wait for the journal.
const WAITING: usize = 1024;

/// The journal's code for a change that was left out on purpose.
pub(crate) const SKIPPED: u8 = 4;

/// The journal's code for an outcome.
pub(crate) fn code(kind: OutcomeKind) -> u8 {
    match kind {
        OutcomeKind::Delivered => 0,
        OutcomeKind::Rejected => 1,
        OutcomeKind::Retry => 2,
        OutcomeKind::InDoubt => 3,
    }
}

pub(crate) fn count(counts: &mut Counts, code: u8, records: u64) {
    match code {
        0 => counts.delivered += records,
        1 => counts.rejected += records,
        2 => counts.retry += records,
        3 | sending::SENDING => counts.in_doubt += records,
        _ => counts.skipped += records,
    }
}

/// How a load ended.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub counts: Counts,
    /// Changes that the checkpoint takes: delivered and skipped.
    pub taken: Bits,
    /// Changes that the destination may have taken: sent, and no answer came.
    pub doubtful: Bits,
    pub stop: Option<Problem>,
    pub cancelled: bool,
    /// Requests made, the repeated ones too.
    pub requests: u64,
}

/// What history tells of a change beside its fate.
#[derive(Debug)]
struct Told {
    operation: Operation,
    payload: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

/// One change whose fate is known.
#[derive(Debug)]
struct Settled {
    index: u64,
    key: String,
    told: Option<Told>,
    /// None: skipped.
    outcome: Option<Outcome>,
    attempts: u32,
    exchange: Option<Arc<Exchange>>,
}

/// What history will tell of the changes that have no fate yet.
#[derive(Debug, Default)]
struct Underway {
    told: Mutex<HashMap<u64, Told>>,
    /// Fates come only when all is sent, so of each change the operation alone is kept.
    whole: bool,
    operations: Mutex<Vec<Operation>>,
}

impl Underway {
    fn note(&self, told: Vec<(u64, Told)>) {
        if self.whole {
            let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
            for (index, told) in told {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                if operations.len() <= index {
                    operations.resize(index + 1, told.operation);
                }
                operations[index] = told.operation;
            }
        } else {
            self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(told);
        }
    }

    fn take(&self, fates: impl Iterator<Item = Fate>) -> Vec<Settled> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        let of_whole = |index: u64| {
            let operation = *operations.get(usize::try_from(index).ok()?)?;
            Some(Told { operation, payload: None, before: None, after: None })
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
        let recorder = Recorder::open(self, begun, counts, whole).await?;
        let requests = Arc::new(AtomicU64::new(0));
        let announced = Announced { destination, journal: recorder.journal.clone(), requests: requests.clone(), whole };
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
            jobs: Some(Arc::new(JobFile::new(places::jobs(&begun.folder)))),
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
        let (mapped, stop, recorded) = tokio::join!(mapper, loader, recorder);
        let (counts, taken, doubtful) = recorded?;
        mapped?;
        Ok(Loaded {
            counts,
            taken,
            doubtful,
            stop: stop.err().map(|stop| Problem::of_stop(&stop)),
            cancelled: begun.cancel.is_cancelled(),
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
            Told { operation: view.operation, payload, before, after }
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

/// Writes down what became of each change, durably, before it is counted.
struct Recorder<'a> {
    engine: &'a Engine,
    begun: &'a Begun,
    counts: Counts,
    taken: Bits,
    doubtful: Bits,
    journal: SharedJournal,
    files: Option<Files>,
    settled: u64,
}

/// What the recorder writes to on a blocking thread.
struct Files {
    journal: SharedJournal,
    /// What was delivered is not in the journal yet: a whole counts only when it is finished.
    whole: bool,
    /// None after the history could not be written: it is no reason to stop.
    history: Option<HistoryWriter>,
    /// The exchange written last, with its number: records of one batch come one after another.
    exchange: Option<(Arc<Exchange>, u32)>,
}

impl<'a> Recorder<'a> {
    async fn open(engine: &'a Engine, begun: &'a Begun, counts: Counts, whole: bool) -> Result<Self, Problem> {
        let journal: PathBuf = places::journal(&begun.folder);
        let history = places::history(&engine.settings.folder);
        let (steps, id, name) = (engine.steps.clone(), begun.id, begun.mapping.name.clone());
        let files = blocking(move || {
            let journal = Journal::open(&journal, steps).map_err(|error| Problem::new("journal", chain(&error)))?;
            let history = HistoryWriter::create(&history, id, &name)
                .inspect_err(|error| tracing::warn!(error = chain(error), "the history cannot be written"))
                .ok();
            let journal = Arc::new(Mutex::new(journal));
            Ok::<_, Problem>(Files { journal, whole, history, exchange: None })
        });
        let files = files.await??;
        Ok(Self {
            engine,
            begun,
            counts,
            taken: Bits::new(),
            doubtful: Bits::new(),
            journal: files.journal.clone(),
            files: Some(files),
            settled: 0,
        })
    }

    async fn run(
        mut self,
        mut fates: mpsc::Receiver<Fate>,
        mut local: mpsc::Receiver<Settled>,
        underway: &Underway,
        (total, requests): (u64, &AtomicU64),
        observer: &dyn Observer,
    ) -> Result<(Counts, Bits, Bits), Problem> {
        let (mut from_loader, mut from_mapper) = (Vec::new(), Vec::new());
        let (mut loader_open, mut mapper_open) = (true, true);
        while loader_open || mapper_open {
            tokio::select! {
                biased;
                count = fates.recv_many(&mut from_loader, WAITING), if loader_open => loader_open = count > 0,
                count = local.recv_many(&mut from_mapper, WAITING), if mapper_open => mapper_open = count > 0,
            }
            let mut settled: Vec<Settled> = std::mem::take(&mut from_mapper);
            settled.extend(underway.take(from_loader.drain(..)));
            if settled.is_empty() {
                continue;
            }
            self.write(settled).await?;
            let failed = self.counts.rejected + self.counts.retry + self.counts.in_doubt;
            let requests = requests.load(Ordering::Relaxed);
            let news = News::Loading { done: self.settled, total, failed, requests };
            self.engine.tell(observer, &self.begun.mapping.name, Some(self.begun.id), news);
        }
        if let Some(Files { history: Some(history), .. }) = self.files.take() {
            let finished = blocking(move || history.finish()).await?;
            if let Err(error) = finished {
                tracing::warn!(error = chain(&error), "the history cannot be finished");
            }
        }
        Ok((self.counts, self.taken, self.doubtful))
    }

    async fn write(&mut self, settled: Vec<Settled>) -> Result<(), Problem> {
        let Some(mut files) = self.files.take() else {
            return Err(Problem::new("journal", "the journal failed before"));
        };
        let now = self.engine.clock.now();
        let (files, settled, written) = blocking(move || {
            let written = files.write(&settled, now);
            (files, settled, written)
        })
        .await?;
        written?;
        self.files = Some(files);
        let failures: Vec<FailedRecord> = settled.iter().filter_map(|one| failure(one, self.begun.id, now)).collect();
        if !failures.is_empty() {
            self.engine.step("store: record failures")?;
            self.engine.store.record_failures(&failures).await.map_err(|error| Problem::of_store(&error))?;
        }
        for one in &settled {
            let code = one.outcome.as_ref().map_or(SKIPPED, |outcome| code(outcome.kind()));
            count(&mut self.counts, code, 1);
            if code == SKIPPED || code == self::code(OutcomeKind::Delivered) {
                self.taken.insert(one.index);
            }
            if code == self::code(OutcomeKind::InDoubt) {
                self.doubtful.insert(one.index);
            }
        }
        self.settled += settled.len() as u64;
        Ok(())
    }
}

impl Files {
    fn write(&mut self, settled: &[Settled], now: jiff::Timestamp) -> Result<(), Problem> {
        let entry = |one: &Settled| (one.index, one.outcome.as_ref().map_or(SKIPPED, |outcome| code(outcome.kind())));
        // What a call delivered was journalled before the call was over.
        let missing = |(_, found): &(u64, u8)| self.whole || *found != code(OutcomeKind::Delivered);
        let entries: Vec<(u64, u8)> = settled.iter().map(entry).filter(missing).collect();
        let failed = |error: changes::JournalError| {
            Problem::new("journal", chain(&error)).with_hint("free the disk; what was delivered is not sent again")
        };
        if !entries.is_empty() {
            sending::write(&self.journal, &entries).map_err(failed)?;
        }
        for one in settled {
            if let (Some(outcome), Some(told)) = (&one.outcome, &one.told)
                && let Err(error) = self.tell(one, outcome, told, now)
            {
                tracing::warn!(error = chain(&error), "the history cannot be written");
                self.history = None;
            }
        }
        Ok(())
    }

    fn tell(
        &mut self,
        one: &Settled,
        outcome: &Outcome,
        told: &Told,
        at: jiff::Timestamp,
    ) -> Result<(), store::HistoryError> {
        let Some(history) = &mut self.history else { return Ok(()) };
        let exchange = match (&one.exchange, &self.exchange) {
            (None, _) => None,
            (Some(exchange), Some((last, number))) if Arc::ptr_eq(exchange, last) => Some(*number),
            (Some(exchange), _) => {
                let number = history.append_exchange(history_exchange(exchange, at))?;
                self.exchange = Some((exchange.clone(), number));
                Some(number)
            }
        };
        history.append(HistoryRow {
            key: one.key.clone(),
            operation: told.operation,
            outcome: outcome.kind(),
            code: outcome.code().map(str::to_owned),
            message: outcome.message().map(str::to_owned),
            attempts: one.attempts,
            at,
            payload: told.payload.clone(),
            before: told.before.clone(),
            after: told.after.clone(),
            exchange,
        })
    }
}

fn history_exchange(exchange: &Exchange, at: jiff::Timestamp) -> HistoryExchange {
    HistoryExchange {
        method: exchange.method.clone(),
        url: exchange.url.clone(),
        request_headers: exchange.request_headers.clone(),
        request_body: exchange.request_body.clone(),
        status: exchange.status,
        answer_headers: exchange.answer_headers.clone(),
        answer_body: match (&exchange.error, exchange.answer_body.is_empty()) {
            (None, true) => None,
            (None, false) => Some(exchange.answer_body.clone()),
            (Some(error), true) => Some(error.clone()),
            (Some(error), false) => Some(format!("{}\n{error}", exchange.answer_body)),
        },
        started_at: exchange.started_at.parse().unwrap_or(at),
        millis: exchange.millis,
    }
}

fn failure(one: &Settled, sync: records::SyncId, at: jiff::Timestamp) -> Option<FailedRecord> {
    let outcome = one.outcome.as_ref().filter(|outcome| !outcome.is_delivered())?;
    Some(FailedRecord {
        sync,
        index: one.index,
        key: one.key.clone(),
        operation: one.told.as_ref().map_or(Operation::Updated, |told| told.operation),
        outcome: outcome.kind(),
        code: outcome.code().unwrap_or_default().to_owned(),
        message: outcome.message().unwrap_or_default().to_owned(),
        at,
    })
}
