//! Work that goes on at the tool after it answered: noted before it begins, so that a crash does not lose its results.

use async_trait::async_trait;
use records::Value;

/// A job that was noted and whose results were not read.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub action: String,
    /// What [`crate::Batch::job_started`] was given.
    pub token: Value,
    /// The records it carries, in the order of their batch.
    pub records: Vec<JobRecord>,
}

/// A record of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// Its place in the change set.
    pub index: u64,
    /// Its key as text.
    pub key: String,
}

/// Where jobs are noted.
#[async_trait]
pub trait JobLog: Send + Sync + std::fmt::Debug {
    /// Notes a job durably: the places of its records in the change set and its token, compact JSON.
    ///
    /// # Errors
    /// Why it could not be.
    async fn started(&self, records: &[u64], token: &str) -> Result<(), String>;
}
