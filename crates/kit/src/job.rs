//! Work that goes on at the tool after it answered: noted before it begins, so that a crash does not lose its results.

use async_trait::async_trait;
use records::Value;

/// A job that was noted and whose results were not read.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub action: String,
    /// What [`crate::Batch::job_started`] was given.
    pub token: Value,
    /// The places in the change set of the records of its batch, in the batch's order.
    pub records: Vec<u64>,
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
