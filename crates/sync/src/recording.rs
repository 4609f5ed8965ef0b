//! What became of each change: journalled, told to history and store, and only then counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use changes::Bits;
use jiff::Timestamp;
use kit::{Exchange, Fate};
use records::{Counts, Operation, Outcome, OutcomeKind};
use store::{FailedRecord, HistoryError, HistoryExchange, HistoryRow, HistoryWriter};
use tokio::sync::mpsc;

use crate::{
    Engine, LoadJournal, News, Observer, Problem,
    blocking::blocking,
    codes::{GIVEN_UP, SKIPPED, code, count, is_taken},
    engine::Begun,
    give_up::{GivenUp, Judge},
    load::{Underway, WAITING},
    places,
    problem::chain,
};

/// What is told of a change beside its fate.
#[derive(Debug)]
pub(crate) struct Told {
    pub operation: Operation,
    /// Of its new values.
    pub fingerprint: u64,
    pub payload: Option<String>,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// One change whose fate is known.
#[derive(Debug)]
pub(crate) struct Settled {
    pub index: u64,
    pub key: String,
    pub told: Option<Told>,
    /// None: skipped.
    pub outcome: Option<Outcome>,
    pub attempts: u32,
    pub exchange: Option<Arc<Exchange>>,
}

impl Settled {
    fn code(&self) -> u8 {
        match &self.outcome {
            None => SKIPPED,
            Some(outcome) => code(outcome.kind()),
        }
    }

    fn failure(&self, sync: records::SyncId, at: Timestamp) -> Option<FailedRecord> {
        let outcome = self.outcome.as_ref().filter(|outcome| !outcome.is_delivered())?;
        Some(FailedRecord {
            sync,
            index: self.index,
            key: self.key.clone(),
            operation: self.told.as_ref().map_or(Operation::Updated, |told| told.operation),
            outcome: outcome.kind(),
            code: outcome.code().unwrap_or_default().to_owned(),
            message: outcome.message().unwrap_or_default().to_owned(),
            at,
            given_up: false,
        })
    }
}

/// What a recorder gives in the end.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub counts: Counts,
    /// Changes that the checkpoint takes.
    pub taken: Bits,
    /// Changes that the destination may have taken: sent, and no answer came.
    pub doubtful: Bits,
    /// Changes that have a fate.
    pub settled: u64,
}

/// Writes down what became of each change, durably, before it is counted.
pub(crate) struct Recorder<'a> {
    engine: &'a Engine,
    begun: &'a Begun,
    journal: Arc<dyn LoadJournal>,
    /// What was delivered is not in the journal yet: a whole counts only when it is finished.
    whole: bool,
    judge: Option<Judge<'a>>,
    /// None while it is written to, and after that went wrong: it is no reason to stop.
    history: Option<Telling>,
    recorded: Recorded,
}

/// The history of the sync, as it is written on a blocking thread.
struct Telling {
    writer: HistoryWriter,
    /// The exchange written last, with its number: records of one batch come one after another.
    exchange: Option<(Arc<Exchange>, u32)>,
}

impl<'a> Recorder<'a> {
    pub(crate) async fn open(
        engine: &'a Engine,
        begun: &'a Begun,
        journal: Arc<dyn LoadJournal>,
        counts: Counts,
        whole: bool,
    ) -> Result<Self, Problem> {
        let history = places::history(&engine.settings.folder);
        let (id, name) = (begun.id, begun.mapping.name.clone());
        let history = blocking(move || {
            let writer = HistoryWriter::create(&history, id, &name)
                .inspect_err(|error| tracing::warn!(error = chain(error), "the history cannot be written"));
            writer.ok().map(|writer| Telling { writer, exchange: None })
        });
        Ok(Self {
            engine,
            begun,
            journal,
            whole,
            judge: Judge::open(engine, begun).await?,
            history: history.await?,
            recorded: Recorded { counts, taken: Bits::new(), doubtful: Bits::new(), settled: 0 },
        })
    }

    pub(crate) async fn run(
        mut self,
        mut fates: mpsc::Receiver<Fate>,
        mut local: mpsc::Receiver<Settled>,
        underway: &Underway,
        (total, requests): (u64, &AtomicU64),
        observer: &dyn Observer,
    ) -> Result<Self, Problem> {
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
            let counts = &self.recorded.counts;
            let failed = counts.rejected + counts.retry + counts.in_doubt;
            let requests = requests.load(Ordering::Relaxed);
            let news = News::Loading { done: self.recorded.settled, total, failed, requests };
            self.engine.tell(observer, &self.begun.mapping.name, Some(self.begun.id), news);
        }
        Ok(self)
    }

    pub(crate) fn settled(&self) -> u64 {
        self.recorded.settled
    }

    /// Ends the record. `whole_way`: the load went through, so that every change was tried.
    pub(crate) async fn finish(mut self, whole_way: bool) -> Result<Recorded, Problem> {
        if let Some(judge) = self.judge.take().filter(|_| whole_way) {
            let now = self.engine.clock.now();
            self.give_up(judge.judge(now).await?, now).await?;
        }
        if let Some(history) = self.history.take() {
            let finished = blocking(move || history.writer.finish()).await?;
            if let Err(error) = finished {
                tracing::warn!(error = chain(&error), "the history cannot be finished");
            }
        }
        Ok(self.recorded)
    }

    /// Writes down what is given up. Until now each was counted as what it failed with.
    async fn give_up(&mut self, given_up: Vec<GivenUp>, now: Timestamp) -> Result<(), Problem> {
        if given_up.is_empty() {
            return Ok(());
        }
        let entries: Vec<(u64, u8)> = given_up.iter().map(|one| (one.failure.index, GIVEN_UP)).collect();
        self.journal.append(&entries).await?;
        for one in &given_up {
            self.recorded.taken.insert(one.failure.index);
            if one.was == OutcomeKind::Retry {
                self.recorded.counts.retry -= 1;
                self.recorded.counts.rejected += 1;
            }
        }
        let failures: Vec<FailedRecord> = given_up.into_iter().map(|one| one.failure).collect();
        self.engine.step("store: record what is given up")?;
        self.engine.store.record_failures(&failures).await.map_err(|error| Problem::of_store(&error))?;
        self.with_history(move |history| failures.iter().try_for_each(|failure| history.tell_given_up(failure, now)))
            .await
    }

    async fn write(&mut self, settled: Vec<Settled>) -> Result<(), Problem> {
        let now = self.engine.clock.now();
        // What a call delivered was journalled before the call was over.
        let missing = |(_, found): &(u64, u8)| self.whole || *found != code(OutcomeKind::Delivered);
        let entries: Vec<(u64, u8)> = settled.iter().map(|one| (one.index, one.code())).filter(missing).collect();
        if !entries.is_empty() {
            self.journal.append(&entries).await?;
        }
        let settled = Arc::new(settled);
        let told = settled.clone();
        self.with_history(move |history| history.tell_all(&told, now)).await?;
        let failures: Vec<FailedRecord> = settled.iter().filter_map(|one| one.failure(self.begun.id, now)).collect();
        if !failures.is_empty() {
            self.engine.step("store: record failures")?;
            self.engine.store.record_failures(&failures).await.map_err(|error| Problem::of_store(&error))?;
        }
        if let Some(judge) = &mut self.judge {
            judge.see(&settled).await?;
        }
        for one in settled.iter() {
            let code = one.code();
            count(&mut self.recorded.counts, code, 1);
            if is_taken(code) {
                self.recorded.taken.insert(one.index);
            }
            if code == self::code(OutcomeKind::InDoubt) {
                self.recorded.doubtful.insert(one.index);
            }
        }
        self.recorded.settled += settled.len() as u64;
        Ok(())
    }

    /// Writes to the history on a thread for it. What goes wrong there never stops anything.
    async fn with_history(
        &mut self,
        write: impl FnOnce(&mut Telling) -> Result<(), HistoryError> + Send + 'static,
    ) -> Result<(), Problem> {
        let Some(mut history) = self.history.take() else { return Ok(()) };
        self.history = blocking(move || match write(&mut history) {
            Ok(()) => Some(history),
            Err(error) => {
                tracing::warn!(error = chain(&error), "the history cannot be written");
                None
            }
        })
        .await?;
        Ok(())
    }
}

impl Telling {
    fn tell_all(&mut self, settled: &[Settled], at: Timestamp) -> Result<(), HistoryError> {
        for one in settled {
            if let (Some(outcome), Some(told)) = (&one.outcome, &one.told) {
                self.tell(one, outcome, told, at)?;
            }
        }
        Ok(())
    }

    fn tell_given_up(&mut self, failure: &FailedRecord, at: Timestamp) -> Result<(), HistoryError> {
        self.writer.append(HistoryRow {
            key: failure.key.clone(),
            operation: failure.operation,
            outcome: failure.outcome,
            code: Some(failure.code.clone()),
            message: Some(failure.message.clone()),
            attempts: 0,
            at,
            payload: None,
            before: None,
            after: None,
            exchange: None,
        })
    }

    fn tell(&mut self, one: &Settled, outcome: &Outcome, told: &Told, at: Timestamp) -> Result<(), HistoryError> {
        let exchange = match (&one.exchange, &self.exchange) {
            (None, _) => None,
            (Some(exchange), Some((last, number))) if Arc::ptr_eq(exchange, last) => Some(*number),
            (Some(exchange), _) => {
                let number = self.writer.append_exchange(history_exchange(exchange, at))?;
                self.exchange = Some((exchange.clone(), number));
                Some(number)
            }
        };
        self.writer.append(HistoryRow {
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

fn history_exchange(exchange: &Exchange, at: Timestamp) -> HistoryExchange {
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
