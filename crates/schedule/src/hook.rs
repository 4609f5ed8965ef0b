//! Requests from outside that start a sync: signed ones of any program, and those of dbt Cloud's jobs.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "schedule_hook_kind")]
pub enum HookKind {
    /// Any program that signs the request's body with the secret (HMAC-SHA256).
    #[default]
    Signed,
    /// A webhook of dbt Cloud, for jobs that ran to their end and succeeded.
    DbtCloud,
}

/// A request that starts a sync.
#[derive(Clone, PartialEq, Eq)]
pub struct Hook {
    pub(crate) kind: HookKind,
    pub(crate) secret: String,
    pub(crate) header: String,
    /// Jobs of dbt Cloud; none stands for all.
    pub(crate) jobs: Vec<u64>,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook")
            .field("kind", &self.kind)
            .field("header", &self.header)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

impl Hook {
    /// Where any program puts its signature unless the schedule says otherwise.
    pub(crate) const HEADER: &str = "X-Outflow-Signature";
    /// Where dbt Cloud puts it.
    pub(crate) const DBT_CLOUD_HEADER: &str = "Authorization";

    pub fn kind(&self) -> HookKind {
        self.kind
    }

    /// What the body is signed with.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The header that holds the HMAC-SHA256 of the body.
    pub fn signature_header(&self) -> &str {
        &self.header
    }

    /// The jobs of dbt Cloud whose success starts a sync; none stands for all.
    pub fn jobs(&self) -> &[u64] {
        &self.jobs
    }

    /// Whether what dbt Cloud tells is the success of one of the jobs.
    pub fn is_awaited(&self, event: &DbtCloudEvent) -> bool {
        let job = event.data.job_id;
        event.event_type == "job.run.completed"
            && event.data.run_status.eq_ignore_ascii_case("success")
            && (self.jobs.is_empty() || job.is_some_and(|job| self.jobs.contains(&job)))
    }
}

/// The body of a webhook of dbt Cloud, as far as a schedule looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DbtCloudEvent {
    /// One id an event: an event that is sent again has it again.
    #[serde(rename = "eventId", default)]
    pub event_id: String,
    /// `job.run.started`, `job.run.completed` or `job.run.errored`.
    #[serde(rename = "eventType")]
    pub event_type: String,
    /// When it happened.
    #[serde(default)]
    pub timestamp: Option<Timestamp>,
    pub data: DbtCloudRun,
}

/// The run that an event of dbt Cloud is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DbtCloudRun {
    #[serde(rename = "jobId", default, deserialize_with = "id")]
    pub job_id: Option<u64>,
    #[serde(rename = "runId", default, deserialize_with = "id")]
    pub run_id: Option<u64>,
    /// `Success`, `Errored`, `Cancelled`, `Running`.
    #[serde(rename = "runStatus", default)]
    pub run_status: String,
}

/// A number, or text that holds one: dbt Cloud's webhooks write ids as text, its API as numbers.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(u64),
        Text(String),
    }
    match Option::<Id>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Id::Number(number)) => Ok(Some(number)),
        Some(Id::Text(text)) => {
            text.parse().map(Some).map_err(|_| serde::de::Error::custom("an id of dbt Cloud must be a number"))
        }
    }
}

#[cfg(test)]
mod tests;
