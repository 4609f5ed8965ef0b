//! Puts payloads into batches: by group, within the limits on count and bytes.

use std::collections::HashMap;
use std::sync::Arc;

use records::{Outcome, Value};
use tokio::time::Instant;

use crate::{BatchLimits, Exchange, Payload};

/// A batch to be sent, and what its records went through before.
#[derive(Debug)]
pub(super) struct Work {
    pub payloads: Vec<Payload>,
    /// One for each payload.
    pub tries: Vec<Tried>,
    /// Passing faults so far.
    pub failures: u32,
    /// How often it was told to slow down.
    pub waits: u32,
    pub first_sent: Option<Instant>,
    /// Not to be sent earlier.
    pub not_before: Option<Instant>,
}

/// What a record went through so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Tried {
    /// How many times it was sent.
    pub attempts: u32,
    /// Why it may have been taken, if it may.
    pub doubt: Option<Arc<str>>,
    /// What was said last, if it was not taken.
    pub last: Option<Outcome>,
    pub exchange: Option<Arc<Exchange>>,
}

impl Tried {
    /// The outcome if nothing more is sent.
    pub(super) fn outcome_so_far(&self) -> Outcome {
        match (&self.doubt, &self.last) {
            (Some(doubt), _) => Outcome::InDoubt { message: doubt.to_string() },
            (None, Some(last)) => last.clone(),
            (None, None) => Outcome::retry("not_sent_again", "the sync was stopped"),
        }
    }
}

impl Work {
    fn new(payloads: Vec<Payload>) -> Self {
        let tries = vec![Tried::default(); payloads.len()];
        Self { payloads, tries, failures: 0, waits: 0, first_sent: None, not_before: None }
    }

    /// Two works of half the records each. Must hold at least two.
    pub(super) fn halves(mut self) -> [Self; 2] {
        let middle = self.payloads.len().div_ceil(2);
        let payloads = self.payloads.split_off(middle);
        let tries = self.tries.split_off(middle);
        self.not_before = None;
        // What was refused was answered: the halves begin anew.
        self.failures = 0;
        self.waits = 0;
        let second = Self { payloads, tries, failures: 0, waits: 0, first_sent: self.first_sent, not_before: None };
        [self, second]
    }

    /// Takes out one record, which then is a work of its own. Must hold more than `at`.
    pub(super) fn take_one(&mut self, at: usize) -> Self {
        Self {
            payloads: vec![self.payloads.remove(at)],
            tries: vec![self.tries.remove(at)],
            failures: 0,
            waits: 0,
            first_sent: self.first_sent,
            not_before: self.not_before,
        }
    }
}

/// Batches that are not full yet, one for each group.
#[derive(Debug)]
pub(super) struct Batcher {
    limits: BatchLimits,
    open: HashMap<String, Open>,
    records: usize,
    /// Above this the oldest group is sent as it is: many groups must not fill the memory.
    records_max: usize,
    opened: u64,
}

#[derive(Debug)]
struct Open {
    payloads: Vec<Payload>,
    bytes: usize,
    order: u64,
}

const GROUPS_MAX: usize = 256;

impl Batcher {
    pub(super) fn new(limits: BatchLimits, works: usize) -> Self {
        let records_max = limits.records_max.saturating_mul(works).max(1024);
        Self { limits, open: HashMap::new(), records: 0, records_max, opened: 0 }
    }

    pub(super) fn limits(&self) -> BatchLimits {
        self.limits
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.records = 0;
    }

    /// Adds a payload of so many bytes and gives what is full.
    pub(super) fn add(&mut self, group: String, payload: Payload, bytes: usize) -> Vec<Work> {
        let mut full = Vec::new();
        let fits = |open: &Open| open.bytes + bytes <= self.limits.bytes_max;
        if self.open.get(&group).is_some_and(|open| !fits(open)) {
            full.extend(self.close(&group));
        }
        let order = self.opened;
        let open = self.open.entry(group.clone()).or_insert_with(|| {
            self.opened += 1;
            Open { payloads: Vec::new(), bytes: 0, order }
        });
        open.payloads.push(payload);
        // One more for the comma between two.
        open.bytes += bytes + 1;
        self.records += 1;
        if open.payloads.len() >= self.limits.records_max {
            full.extend(self.close(&group));
        } else if self.records > self.records_max || self.open.len() > GROUPS_MAX {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.order).map(|(group, _)| group.clone());
            full.extend(oldest.and_then(|group| self.close(&group)));
        }
        full
    }

    /// All that is left, in the order in which the groups began.
    pub(super) fn flush(&mut self) -> Vec<Work> {
        let mut rest: Vec<_> = std::mem::take(&mut self.open).into_values().collect();
        rest.sort_by_key(|open| open.order);
        self.records = 0;
        rest.into_iter().map(|open| Work::new(open.payloads)).collect()
    }

    fn close(&mut self, group: &str) -> Option<Work> {
        let open = self.open.remove(group)?;
        self.records -= open.payloads.len();
        Some(Work::new(open.payloads))
    }
}

/// The length of the value as compact JSON, without writing it.
pub fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Int(int) => {
            let digits = int.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
            digits + usize::from(*int < 0)
        }
        Value::Float(float) if float.is_finite() => records::number_text(*float).len(),
        Value::Float(_) => 4,
        Value::Decimal(digits) => digits.len(),
        Value::Text(text) => text_bytes(text),
        Value::Array(items) => 2 + items.len().saturating_sub(1) + items.iter().map(json_bytes).sum::<usize>(),
        Value::Object(object) => {
            let pairs: usize = object.iter().map(|(key, value)| text_bytes(key) + 1 + json_bytes(value)).sum();
            2 + object.len().saturating_sub(1) + pairs
        }
    }
}

fn text_bytes(text: &str) -> usize {
    let escapes = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..=0x1f => 5,
        _ => 0,
    };
    2 + text.len() + text.bytes().map(escapes).sum::<usize>()
}
