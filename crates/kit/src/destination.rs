//! What a tool's connector does: deliver a batch of payloads and say what became of each.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use records::{Object, Operation, Outcome, Value};

use crate::choices::{ChoicePage, ChoiceQuery};
use crate::job::{Job, JobLog};
use crate::{Facts, Wire, WireSettings};

/// One mapped and validated record on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// Its place in the change set.
    pub index: u64,
    /// The record's key as text.
    pub key: String,
    pub operation: Operation,
    /// The same for the same change in every run.
    pub message_id: String,
    /// The action's fields.
    pub fields: Value,
}

/// Payloads for one call of one action. Never empty, never over the action's limits, all of one group.
#[derive(Debug, Clone)]
pub struct Batch {
    pub action: String,
    pub mode: mapping::SyncMode,
    /// Names the sync, for destinations that write one thing a sync (a file).
    pub sync: String,
    /// Whether the mapping sends batches. If so, the request has the form the tool has for many records, even when
    /// there is one; if not, there is one record, and the request has the form for a single one.
    pub batching: bool,
    pub settings: Arc<MappingSettings>,
    pub records: Vec<Payload>,
    /// Where a job that works on at the tool is written down. None: nowhere, as in a preview.
    pub jobs: Option<Arc<dyn JobLog>>,
}

/// What a mapping says for all of its records, beside its fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MappingSettings {
    /// `__segment_internal_matching_key`.
    pub matching_key: Option<String>,
    /// What hooks gave when the mapping was saved: the hook's slug and its outputs.
    pub hook_outputs: Object,
    /// What earlier actions on the same event left for this one. Always empty in a sync, where each mapping stands by
    /// itself; the original's recorded cases set it.
    pub transaction: Object,
}

impl Batch {
    /// The same without records.
    pub fn head(&self) -> Self {
        Self {
            action: self.action.clone(),
            sync: self.sync.clone(),
            settings: Arc::clone(&self.settings),
            jobs: self.jobs.clone(),
            records: Vec::new(),
            ..*self
        }
    }

    /// Writes down, durably, that a job has been made at the tool for this batch, before the tool is told to begin.
    /// After a crash [`Destination::resume`] gets the token and asks what became of the records.
    ///
    /// # Errors
    /// It could not be written down, so the job must not begin.
    pub async fn job_started(&self, token: &Value) -> Result<(), DeliveryError> {
        let Some(jobs) = &self.jobs else { return Ok(()) };
        let records: Vec<u64> = self.records.iter().map(|record| record.index).collect();
        let written = jobs.started(&records, &token.to_json()).await;
        written.map_err(|message| DeliveryError::Unreachable { message: format!("the job cannot be noted: {message}") })
    }
}

/// Why a whole call failed. A closed set that carries the decision; what befell single records is an [`Outcome`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Stop the sync and tell a person: nothing will be accepted.
    #[error("the destination refused the credentials: {message}")]
    CredentialsRefused { message: String },
    /// Wait, then send the same again.
    #[error("the destination asks to slow down")]
    RateLimited { after: Option<Duration> },
    /// The request was understood and refused. A batch is split until the bad record stands alone.
    #[error("the destination refused the request ({code}): {message}")]
    Refused { code: String, message: String },
    /// Answered, but not as agreed: HTML, cut short, fewer results than records. Whether the records were taken
    /// is not known.
    #[error("the destination's answer is not understood: {message}")]
    UnexpectedAnswer { message: String },
    /// A passing fault on their side, answered as such (5xx): sent again.
    #[error("the destination failed ({code}): {message}")]
    Failed { code: String, message: String },
    /// The request did not leave, so nothing was taken.
    #[error("cannot reach the destination: {message}")]
    Unreachable { message: String },
    /// The request left and no answer came. The records may have been taken.
    #[error("no answer from the destination: {message}")]
    NoAnswer { message: String },
    /// The settings, the action or the payload cannot be made into a request. Found before anything was sent.
    #[error("{message}")]
    Settings { message: String },
    /// A preview captured the request instead of sending it.
    #[error("preview: not sent")]
    Preview,
}

/// A connection to a tool.
///
/// - `deliver` gives exactly one outcome per record, in the batch's order; the kit checks the count.
/// - `Delivered` means the tool said so *for that record*, or that the tool's contract is all or nothing and it
///   took the request. No other answer may become `Delivered`.
/// - The same batch may come again after a fault; calls may run at the same time.
/// - It does not retry, wait for rate limits, split or log: the kit does.
#[async_trait]
pub trait Destination: Send + Sync + std::fmt::Debug {
    /// Name, actions, fields, limits.
    fn facts(&self) -> &Facts;

    /// What its connection needs. Default: no credentials, the facts' limits.
    fn wire_settings(&self) -> WireSettings {
        WireSettings { limits: self.facts().limits, ..WireSettings::default() }
    }

    /// Sees that the settings and credentials work, without changing anything there.
    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError>;

    /// Delivers one batch. All requests go through `wire`.
    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError>;

    /// The payloads of a batch must agree in this, or they are put into different batches. Default: all agree.
    fn group(&self, _action: &str, _payload: &Payload) -> String {
        String::new()
    }

    /// One page of the values that a dynamic field may have, as the tool knows them. Default: none.
    ///
    /// # Errors
    /// As [`Destination::check`].
    async fn choices(&self, _query: &ChoiceQuery, _wire: &Wire) -> Result<ChoicePage, DeliveryError> {
        Ok(ChoicePage::default())
    }

    /// Does what a hook of an action does when a mapping is saved, such as making a list, and gives its outputs, an
    /// object. Asked only for hooks that the facts have, with inputs that fit them.
    ///
    /// # Errors
    /// As [`Destination::deliver`].
    async fn save_mapping(
        &self,
        _action: &str,
        hook: &str,
        _inputs: &Value,
        _wire: &Wire,
    ) -> Result<Value, DeliveryError> {
        Err(DeliveryError::Settings { message: format!("there is no hook `{hook}`") })
    }

    /// What became of the records of a job that [`Batch::job_started`] noted, when the program ended before its
    /// results were read. One outcome for each record of the job, in their order; only `Delivered` and `Rejected` count,
    /// all others leave a record in doubt, for something else may have been under way for it. Default: nobody knows.
    ///
    /// # Errors
    /// As [`Destination::deliver`]. After a passing fault the job is asked about again before the next sync.
    async fn resume(&self, job: &Job, _wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let message = "the program ended before the results were read".to_owned();
        Ok(job.records.iter().map(|_| Outcome::InDoubt { message: message.clone() }).collect())
    }

    /// Called once, after the last batch of a sync, if the action's facts say `whole: true`: until this succeeds,
    /// what `deliver` called delivered is provisional.
    async fn finish(&self, _action: &str, _sync: &str, _wire: &Wire) -> Result<(), DeliveryError> {
        Ok(())
    }

    /// Called instead of [`Destination::finish`] when a sync of a `whole` action stopped: what `deliver` took
    /// provisionally is dropped.
    async fn abandon(&self, _action: &str, _sync: &str) {}
}
