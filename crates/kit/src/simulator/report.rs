//! What came to a simulator, counted, and what it holds.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Paths are counted one by one up to this many; what comes after them is counted together.
const ENDPOINTS_MAX: usize = 1000;
const OTHERS: &str = "others";

/// Requests by how they were answered: a status, `dropped`, `silence` or `cut short`.
pub type Answers = BTreeMap<String, u64>;

/// What came so far, and what there is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub requests: u64,
    pub answers: Answers,
    /// By method and path.
    pub endpoints: BTreeMap<String, Answers>,
    /// The settings in force, credentials apart.
    pub settings: Value,
    pub held: Value,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) answers: Answers,
    pub(super) endpoints: BTreeMap<String, Answers>,
}

impl Counts {
    pub(super) fn add(&mut self, method: &str, path: &str, answer: &str) {
        self.requests += 1;
        *self.answers.entry(answer.to_owned()).or_default() += 1;
        let mut endpoint = format!("{method} {path}");
        if self.endpoints.len() >= ENDPOINTS_MAX && !self.endpoints.contains_key(&endpoint) {
            endpoint = OTHERS.to_owned();
        }
        *self.endpoints.entry(endpoint).or_default().entry(answer.to_owned()).or_default() += 1;
    }
}
