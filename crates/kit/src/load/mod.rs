//! The loader: from payloads to one fate each, through batches, limits, retries and splitting.

mod batching;
mod call;
mod held;
mod retry;
mod suspicion;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mapping::SyncMode;
use records::{Outcome, Random, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{BatchLimits, DeliveryError, Destination, Exchange, JobLog, MappingSettings, Payload, Wire};
pub use batching::json_bytes;
use batching::{Batcher, Work};
use call::{Called, finish};
use held::Held;
pub use retry::RetrySettings;
use suspicion::Suspicion;
use verdict::Verdict;

/// What a load needs to know.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    pub destination: Arc<dyn Destination>,
    /// The account's connection, shared by all syncs of the destination.
    pub wire: Wire,
    pub action: String,
    pub mode: SyncMode,
    /// Names the sync, for destinations that write one thing a sync.
    pub sync: String,
    /// Whether several records may share a request.
    pub batching: bool,
    pub settings: Arc<MappingSettings>,
    /// Limits below those of the action. The action's hold in any case.
    pub batch: Option<BatchLimits>,
    /// Fields of the payload whose values the records of one request must agree in.
    pub batch_keys: Vec<String>,
    pub jobs: Option<Arc<dyn JobLog>>,
    pub retry: RetrySettings,
}

/// What became of one payload.
#[derive(Debug, Clone)]
pub struct Fate {
    pub index: u64,
    pub key: String,
    pub outcome: Outcome,
    /// How many times it was sent.
    pub attempts: u32,
    /// The last request that carried it, shared with the others of its batch. None if it was not sent over HTTP.
    pub exchange: Option<Arc<Exchange>>,
}

/// Why a load ended before its input did. What has no fate was not sent and stays pending.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadStop {
    #[error("the destination refused the credentials: {message}")]
    CredentialsRefused { message: String },
    #[error("{message}")]
    Settings { message: String },
    #[error("cannot reach the destination: {message}")]
    Unreachable { message: String },
    /// Several batches in a row were tried to the limit, and none was taken.
    #[error("the destination keeps failing: {message}")]
    Failing { message: String },
    /// Many records were sent one by one, all were refused for the same reason, and none was ever taken: most likely
    /// it is the request that is wrong and not the records.
    #[error(
        "the destination takes no record: {records} sent one by one were all refused ({code}): {message}; \
         see that the URL, the action and the fields are right"
    )]
    Refusing { records: u32, code: String, message: String },
    /// A `whole` action could not be finished; nothing of it counts as delivered.
    #[error("the whole could not be finished: {message}")]
    NotFinished { message: String },
}

/// Fates that wait for the caller to take them; while there are more, no input is taken.
const FATES_WAITING_MAX: usize = 4096;
const INPUT_AT_ONCE: usize = 256;
/// Records to draw from when the destination seems to refuse everything.
const DRAWN_AMONG: usize = 4096;

/// Sends the payloads of `input` and gives each its fate on `output`.
///
/// Every payload that was sent, or found unfit to be sent, gets exactly one fate. One that was not sent when the load
/// ends early (`cancel`, or an error) gets none and stays pending. Calls under way are always waited for; the
/// connection's time-outs bound that. What was provisional of a `whole` action gets its fates after `finish`.
///
/// How failures of a whole call are judged:
///
/// | error | then | when attempts or time end |
/// |---|---|---|
/// | `CredentialsRefused` | stop; the batch's records are `Retry` | |
/// | `Settings`, `Preview` | stop; the batch was not sent | |
/// | `RateLimited` | the whole destination pauses, the batch is sent again; bounded by time alone | `Retry` |
/// | `Refused` | split in halves, down to the record that is `Rejected`; stop when nothing else ever happens | |
/// | `Failed` | sent again | `Retry` |
/// | `Unreachable` | sent again; not an attempt, for nothing left | stop |
/// | `NoAnswer`, `UnexpectedAnswer` | sent again | `InDoubt` |
///
/// A record that may have been taken once stays in doubt until a later answer says `Delivered` or `Rejected` for it.
/// A call that gives more or fewer outcomes than records says nothing about any of them: all are `InDoubt`, and it is
/// not made again.
///
/// # Errors
/// See [`LoadStop`].
pub async fn load(
    plan: &LoadPlan,
    input: mpsc::Receiver<Payload>,
    output: mpsc::Sender<Fate>,
    cancel: CancellationToken,
    random: Arc<dyn Random>,
) -> Result<(), LoadStop> {
    let Some(action) = plan.destination.facts().action(&plan.action) else {
        return Err(LoadStop::Settings { message: format!("the destination has no action `{}`", plan.action) });
    };
    let limits = call_limits(action.batch, plan.batch, plan.batching);
    let most_works = plan.wire.limiter().pace.most() + 2;
    let loading = Loading {
        plan,
        random,
        halt: cancel.child_token(),
        whole: action.whole,
        batcher: Batcher::new(limits, most_works),
        ready: VecDeque::new(),
        fates: VecDeque::new(),
        held: Held::default(),
        incomplete: false,
        stop: None,
        given_up_in_a_row: 0,
        suspicion: Suspicion::default(),
        most_works,
    };
    loading.run(input, output, cancel).await
}

/// What one call takes: the action's limits, a mapping's own below them, one record without batching.
pub(crate) fn call_limits(action: BatchLimits, own: Option<BatchLimits>, batching: bool) -> BatchLimits {
    let limits = own.map_or(action, |own| BatchLimits {
        records_max: own.records_max.clamp(1, action.records_max),
        bytes_max: own.bytes_max.clamp(1, action.bytes_max),
    });
    if batching { limits } else { BatchLimits { records_max: 1, ..limits } }
}

/// What the records of one call agree in: what the destination demands, and the values of those fields.
pub(crate) fn group(destination: &dyn Destination, action: &str, payload: &Payload, batch_keys: &[String]) -> String {
    let mut group = destination.group(action, payload);
    for key in batch_keys {
        group.push('\n');
        payload.fields.get(key).unwrap_or(&Value::Null).write_json(&mut group);
    }
    group
}

struct Loading<'a> {
    plan: &'a LoadPlan,
    random: Arc<dyn Random>,
    /// Cancelled when no further call may begin.
    halt: CancellationToken,
    whole: bool,
    batcher: Batcher,
    ready: VecDeque<Work>,
    fates: VecDeque<Fate>,
    /// Provisionally delivered records of a `whole` action.
    held: Held,
    /// A record of a `whole` action that is neither delivered nor rejected: the whole would lack it.
    incomplete: bool,
    stop: Option<LoadStop>,
    given_up_in_a_row: u32,
    suspicion: Suspicion,
    most_works: usize,
}

impl Loading<'_> {
    async fn run(
        mut self,
        mut input: mpsc::Receiver<Payload>,
        output: mpsc::Sender<Fate>,
        cancel: CancellationToken,
    ) -> Result<(), LoadStop> {
        let plan = self.plan;
        let halt = self.halt.clone();
        let mut calls = FuturesUnordered::new();
        let mut taken = Vec::with_capacity(INPUT_AT_ONCE);
        let mut open = true;
        loop {
            while calls.len() < self.most_works
                && let Some(work) = self.next_work()
            {
                calls.push(call::call(plan, work, halt.clone()));
            }
            let idle = calls.is_empty() && self.ready.is_empty();
            if idle && self.fates.is_empty() && !open {
                break;
            }
            let room = calls.len() < self.most_works || self.wants_more_to_draw_from();
            let take = open && room && self.fates.len() < FATES_WAITING_MAX;
            tokio::select! {
                biased;
                () = halt.cancelled(), if open => {
                    open = false;
                    input.close();
                    // What was never sent gets no fate; it is still the caller's.
                    self.batcher.clear();
                    self.withdraw_ready();
                }
                Some(called) = calls.next(), if !calls.is_empty() => {
                    self.judge(called);
                    if self.stop.is_some() {
                        self.halt.cancel();
                    }
                    if self.halt.is_cancelled() {
                        self.withdraw_ready();
                    }
                }
                permit = output.reserve(), if !self.fates.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(fate) = self.fates.pop_front() {
                            permit.send(fate);
                        }
                    }
                    // Nobody listens: nothing more may be sent.
                    Err(_) => {
                        self.halt.cancel();
                        self.fates.clear();
                        if idle && !open {
                            break;
                        }
                    }
                },
                count = input.recv_many(&mut taken, INPUT_AT_ONCE), if take => {
                    for payload in taken.drain(..) {
                        self.accept(payload);
                    }
                    if count == 0 {
                        open = false;
                        self.ready.extend(self.batcher.flush());
                    }
                }
            }
        }
        drop(calls);
        if self.whole {
            let early = self.stop.is_some() || cancel.is_cancelled();
            self.settle_whole(early, &output, &cancel).await;
        }
        self.stop.map_or(Ok(()), Err)
    }

    fn accept(&mut self, payload: Payload) {
        let bytes = json_bytes(&payload.fields);
        let bytes_max = self.batcher.limits().bytes_max;
        if bytes > bytes_max {
            let message = format!("the payload is {bytes} bytes as JSON; one call of this action takes {bytes_max}");
            let outcome = Outcome::rejected("too_large", message);
            self.fates.push_back(Fate { index: payload.index, key: payload.key, outcome, attempts: 0, exchange: None });
            return;
        }
        let group = group(self.plan.destination.as_ref(), &self.plan.action, &payload, &self.plan.batch_keys);
        self.ready.extend(self.batcher.add(group, payload, bytes));
    }

    fn next_work(&mut self) -> Option<Work> {
        if !self.suspicion.is_strong() {
            return self.ready.pop_front();
        }
        let waiting = self.records_ready();
        let mut at = usize::try_from(self.random.next() % waiting.max(1) as u64).unwrap_or(0);
        for (place, work) in self.ready.iter_mut().enumerate() {
            match work.payloads.len() {
                1 if at == 0 => return self.ready.remove(place),
                records if at < records => return Some(work.take_one(at)),
                records => at -= records,
            }
        }
        None
    }

    fn records_ready(&self) -> usize {
        self.ready.iter().map(|work| work.payloads.len()).sum()
    }

    fn wants_more_to_draw_from(&self) -> bool {
        self.suspicion.is_strong() && self.records_ready() < DRAWN_AMONG
    }

    /// Ends works that will not be sent any more: those that were sent before get the fate they have had so far.
    fn withdraw_ready(&mut self) {
        for work in std::mem::take(&mut self.ready) {
            self.withdraw(work);
        }
    }

    fn withdraw(&mut self, work: Work) {
        let Work { payloads, tries, .. } = work;
        for (payload, tried) in payloads.into_iter().zip(tries) {
            if tried.attempts == 0 {
                self.incomplete = true;
                continue;
            }
            let outcome = tried.outcome_so_far();
            self.give(payload, outcome, tried.attempts, tried.exchange);
        }
    }

    fn give(&mut self, payload: Payload, outcome: Outcome, attempts: u32, exchange: Option<Arc<Exchange>>) {
        if self.whole {
            match &outcome {
                Outcome::Delivered => return self.held.push(payload.index, &payload.key, attempts),
                Outcome::Rejected { .. } => {}
                Outcome::Retry { .. } | Outcome::InDoubt { .. } => self.incomplete = true,
            }
        }
        self.fates.push_back(Fate { index: payload.index, key: payload.key, outcome, attempts, exchange });
    }

    /// Turns what a call gave into fates, further works, or the end of the load.
    fn judge(&mut self, called: Called) {
        let mut verdict = Verdict::of(called, self.plan, self.random.as_ref());
        if let Some(stop) = verdict.stop.take() {
            self.stop.get_or_insert(stop);
        }
        if verdict.gave_up {
            self.given_up_in_a_row += 1;
            if self.given_up_in_a_row >= self.plan.retry.failing_batches_max.max(1) {
                let message = verdict.why.unwrap_or_default();
                self.stop.get_or_insert(LoadStop::Failing { message });
            }
        } else if verdict.answered {
            self.given_up_in_a_row = 0;
        }
        if verdict.ended.iter().any(|(_, outcome, ..)| outcome.is_delivered()) {
            self.suspicion.clear();
        }
        if let Some((code, message)) = verdict.refused_alone
            && let Some(stop) = self.suspicion.refused_alone(&code, &message)
        {
            self.stop.get_or_insert(stop);
        }
        for (payload, outcome, attempts, exchange) in verdict.ended {
            self.give(payload, outcome, attempts, exchange);
        }
        for work in verdict.unsent {
            self.withdraw(work);
        }
        // In front: a batch that was split is done with before new ones begin.
        for work in verdict.again.into_iter().rev() {
            self.ready.push_front(work);
        }
    }

    /// Makes the whole visible, or drops it, and gives the records that were held their fates.
    async fn settle_whole(&mut self, early: bool, output: &mpsc::Sender<Fate>, cancel: &CancellationToken) {
        let plan = self.plan;
        let outcome = if early || self.incomplete {
            plan.destination.abandon(&plan.action, &plan.sync).await;
            let message = if early { "the sync was stopped" } else { "other records of the whole were not taken" };
            Outcome::retry("not_finished", message)
        } else if self.held.is_empty() {
            // Nothing was delivered, so there is nothing to finish.
            plan.destination.abandon(&plan.action, &plan.sync).await;
            return;
        } else {
            match finish(plan, cancel, self.random.as_ref()).await {
                Ok(()) => Outcome::Delivered,
                Err(error) => {
                    plan.destination.abandon(&plan.action, &plan.sync).await;
                    self.stop = Some(match &error {
                        DeliveryError::CredentialsRefused { message } => {
                            LoadStop::CredentialsRefused { message: message.clone() }
                        }
                        DeliveryError::Settings { message } => LoadStop::Settings { message: message.clone() },
                        other => LoadStop::NotFinished { message: other.to_string() },
                    });
                    match error {
                        DeliveryError::NoAnswer { message } | DeliveryError::UnexpectedAnswer { message } => {
                            Outcome::InDoubt { message }
                        }
                        other => Outcome::retry("not_finished", other.to_string()),
                    }
                }
            }
        };
        for (index, key, attempts) in std::mem::take(&mut self.held) {
            let fate = Fate { index, key, outcome: outcome.clone(), attempts, exchange: None };
            if output.send(fate).await.is_err() {
                return;
            }
        }
    }
}
