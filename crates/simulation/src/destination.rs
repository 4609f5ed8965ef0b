//! A destination that keeps its own truth, and is as unreliable as the seed says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use kit::{Batch, DeliveryError, Destination, Facts, Job, Payload, Wire};
use records::{Operation, Outcome};

use crate::{
    clock::Dice,
    faults::{Fate, lock},
};

/// What the tool behind the fake destination has been given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    /// Key → the payload's JSON.
    pub records: BTreeMap<String, String>,
    /// Keys whose last change was taken without our hearing of it.
    pub unanswered: BTreeSet<String>,
    /// How often each change was taken, by message id.
    pub taken: BTreeMap<String, u64>,
    /// Message id → the payload first seen under it.
    pub payloads: BTreeMap<String, String>,
    /// Message ids that came again with another payload: must stay empty.
    pub altered: Vec<String>,
    pub calls: u64,
    pub batch_records_max: usize,
    pub at_once: usize,
    pub at_once_max: usize,
    /// Jobs that took something: token → which changes.
    pub jobs: BTreeMap<String, BTreeSet<u64>>,
    /// Records whose fate a job told after a crash.
    pub collected: u64,
    /// Keys taken since the sync began: a process that dies may not write down that it was told so.
    pub recent: BTreeSet<String>,
}

impl Truth {
    fn take(&mut self, payload: &Payload, job: &str, answered: bool) {
        self.jobs.entry(job.to_owned()).or_default().insert(payload.index);
        *self.taken.entry(payload.message_id.clone()).or_default() += 1;
        match payload.operation {
            Operation::Deleted => {
                self.records.remove(&payload.key);
            }
            Operation::Added | Operation::Updated => {
                self.records.insert(payload.key.clone(), payload.fields.to_json());
            }
        }
        self.recent.insert(payload.key.clone());
        if answered {
            self.unanswered.remove(&payload.key);
        } else {
            self.unanswered.insert(payload.key.clone());
        }
    }
}

/// Records that this tool never takes: the record itself is wrong.
pub(crate) fn is_poison(payload_json: &str) -> bool {
    payload_json.contains("\"score\":13")
}

#[derive(Debug)]
pub(crate) struct FakeDestination {
    pub facts: Facts,
    pub truth: Arc<Mutex<Truth>>,
    pub fate: Arc<Fate>,
    pub dice: Arc<Dice>,
    /// Whether a batch becomes a job, whose results can be asked for later.
    pub jobs: bool,
}

fn job_token(batch: &Batch) -> String {
    let ids: Vec<&str> = batch.records.iter().map(|payload| payload.message_id.as_str()).collect();
    format!("{} {}", batch.sync, ids.join(" "))
}

fn poisoned(payload: &Payload) -> bool {
    payload.operation != Operation::Deleted && is_poison(&payload.fields.to_json())
}

impl FakeDestination {
    fn arrive(&self, batch: &Batch) {
        let mut truth = lock(&self.truth);
        truth.calls += 1;
        truth.batch_records_max = truth.batch_records_max.max(batch.records.len());
        truth.at_once += 1;
        truth.at_once_max = truth.at_once_max.max(truth.at_once);
        for payload in &batch.records {
            let json = payload.fields.to_json();
            let first = truth.payloads.entry(payload.message_id.clone()).or_insert_with(|| json.clone());
            if *first != json {
                let note = format!("{}: `{first}` then `{json}`", payload.message_id);
                truth.altered.push(note);
            }
        }
    }

    fn take_all(&self, batch: &Batch, answered: bool) {
        let mut truth = lock(&self.truth);
        let job = job_token(batch);
        for payload in batch.records.iter().filter(|payload| !poisoned(payload)) {
            truth.take(payload, &job, answered);
        }
    }

    fn answer(&self, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
        let (bad_calls, crash) = self.fate.call();
        if let Some(taken) = crash {
            if taken {
                self.take_all(batch, false);
            }
            self.fate.die(if taken { "after a batch was taken" } else { "before a batch was taken" });
            return Err(DeliveryError::NoAnswer { message: "the process is dead".to_owned() });
        }
        if self.dice.chance(bad_calls) {
            return self.misbehave(batch);
        }
        self.take_each(batch, 0)
    }

    /// The honest way: each record is taken or refused for itself; `busy` percent are told to come again.
    fn take_each(&self, batch: &Batch, busy: u64) -> Result<Vec<Outcome>, DeliveryError> {
        let mut truth = lock(&self.truth);
        let job = job_token(batch);
        let outcomes = batch.records.iter().map(|payload| {
            if poisoned(payload) {
                Outcome::rejected("poison", "this record is never taken")
            } else if self.dice.chance(busy) {
                Outcome::retry("busy", "come again")
            } else {
                truth.take(payload, &job, true);
                Outcome::Delivered
            }
        });
        Ok(outcomes.collect())
    }

    fn misbehave(&self, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
        let message = "by the seed".to_owned();
        match self.dice.below(11) {
            0 => Err(DeliveryError::RateLimited { after: None }),
            1 => Err(DeliveryError::RateLimited { after: Some(Duration::from_secs(self.dice.range(1, 20))) }),
            2 => Err(DeliveryError::Failed { code: "503".to_owned(), message }),
            3 => Err(DeliveryError::Unreachable { message }),
            4 => Err(DeliveryError::NoAnswer { message }),
            5 => {
                self.take_all(batch, false);
                Err(DeliveryError::NoAnswer { message })
            }
            6 => {
                self.take_all(batch, false);
                Err(DeliveryError::UnexpectedAnswer { message })
            }
            7 => Err(DeliveryError::UnexpectedAnswer { message }),
            8 => self.take_each(batch, 40),
            9 if batch.records.iter().any(poisoned) => {
                Err(DeliveryError::Refused { code: "400".to_owned(), message: "a record in it is wrong".to_owned() })
            }
            9 => self.take_each(batch, 0),
            // Fewer outcomes than records: nothing in such an answer may count as delivered.
            _ => {
                self.take_all(batch, false);
                Ok(vec![Outcome::Delivered; batch.records.len() - 1])
            }
        }
    }
}

#[async_trait]
impl Destination for FakeDestination {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn check(&self, _: &Wire) -> Result<String, DeliveryError> {
        Ok("the fake destination".to_owned())
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        if wire.is_preview() {
            return Err(DeliveryError::Preview);
        }
        if self.fate.is_dead() {
            return Err(DeliveryError::Unreachable { message: "the process is dead".to_owned() });
        }
        if self.jobs {
            batch.job_started(&records::Value::Text(job_token(batch))).await?;
        }
        self.arrive(batch);
        tokio::time::sleep(Duration::from_millis(self.dice.range(1, 200))).await;
        let answer = if self.fate.is_dead() {
            Err(DeliveryError::NoAnswer { message: "dead".to_owned() })
        } else {
            self.answer(batch)
        };
        lock(&self.truth).at_once -= 1;
        answer
    }

    async fn resume(&self, job: &Job, _: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        match self.dice.below(100) {
            0..20 if self.fate.is_troubled() => {
                return Err(DeliveryError::Unreachable { message: "by the seed".to_owned() });
            }
            20..30 => return Err(DeliveryError::UnexpectedAnswer { message: "by the seed".to_owned() }),
            _ => {}
        }
        let mut truth = lock(&self.truth);
        let took = job.token.as_str().and_then(|token| truth.jobs.get(token)).cloned();
        let outcomes = job.records.iter().map(|index| {
            if !took.as_ref().is_some_and(|took| took.contains(index)) {
                return Outcome::retry("not_taken", "the job did not take it");
            }
            truth.collected += 1;
            Outcome::Delivered
        });
        Ok(outcomes.collect())
    }
}
