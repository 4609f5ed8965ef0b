//! One record of a mapping, tried: its event, its payload, its requests, and, if wanted, the delivery itself. Nothing
//! is remembered.

use std::sync::Arc;

use arrow_array::RecordBatch;
use kit::{Batch, DeliveryError, Exchange, Payload, Query, SourceError};
use mapping::DeletedValues;
use records::{ChangeView, KeyColumns, Object, Operation, Outcome, RecordView, Schema, Value};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    Engine, Mapping, Problem,
    blocking::blocking,
    map::{self, Considered},
    problem::chain,
};

/// Batches that may wait while one is looked through.
const BATCHES_WAITING: usize = 2;

/// Which record is tried, and how.
#[derive(Debug, Clone, Default)]
pub struct TryOptions {
    /// The key as text. None: the first record that the mapping lets through.
    pub key: Option<String>,
    /// What is taken to have happened to it. None: the first operation that the mapping acts on.
    pub operation: Option<Operation>,
    /// Deliver it. Without this, only requests that change nothing are made.
    pub send: bool,
}

/// What trying a record showed.
#[derive(Debug, Clone, Serialize)]
pub struct TriedRecord {
    pub mapping: String,
    pub key: String,
    pub operation: Operation,
    /// What the mapping sees.
    pub event: Value,
    pub payload: TriedPayload,
    /// What would be sent, after what was looked up for it: these have an answer. Empty if it was sent for real.
    pub requests: Vec<Exchange>,
    /// Why the requests cannot be shown, or not all of them.
    pub requests_problem: Option<String>,
    /// None if it was not sent.
    pub sent: Option<SentRecord>,
}

/// What mapping made of the record.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum TriedPayload {
    /// The mapping's choice or condition leaves the record out.
    LeftOut,
    Refused {
        /// `condition`, `mapping` or `invalid`.
        code: String,
        problems: Vec<RefusedField>,
    },
    Mapped {
        fields: Value,
    },
}

impl From<Considered> for TriedPayload {
    fn from(considered: Considered) -> Self {
        match considered {
            Considered::Skipped => TriedPayload::LeftOut,
            Considered::Refused(refusal) => {
                let field = |(field, message)| RefusedField { field, message };
                let problems = refusal.problems.into_iter().map(field).collect();
                TriedPayload::Refused { code: refusal.code.to_owned(), problems }
            }
            Considered::Fields(fields) => TriedPayload::Mapped { fields },
        }
    }
}

/// Why a record is refused, in one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedField {
    /// Empty for the whole.
    pub field: String,
    pub message: String,
}

/// How the delivery went.
#[derive(Debug, Clone, Serialize)]
pub struct SentRecord {
    pub exchanges: Vec<Exchange>,
    #[serde(flatten)]
    pub outcome: SentOutcome,
}

/// An outcome in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentOutcome {
    pub outcome: records::OutcomeKind,
    pub code: Option<String>,
    pub message: Option<String>,
}

/// A row that was found.
struct Found {
    batch: RecordBatch,
    row: usize,
}

impl Engine {
    /// Takes a record from the mapping's model and shows what becomes of it. Neither checkpoint nor history know of it
    /// afterwards, even if it was sent.
    ///
    /// # Errors
    /// The model cannot be read, has no such record, or the mapping does not act on the operation.
    pub async fn try_record(
        &self,
        mapping: &Arc<Mapping>,
        options: &TryOptions,
        cancel: &CancellationToken,
    ) -> Result<TriedRecord, Problem> {
        let operation = operation(mapping, options.operation)?;
        let whole = mapping.connection.destination.facts().action(&mapping.action).is_some_and(|action| action.whole);
        if options.send && whole {
            let message = format!(
                "`{}` takes the records of a sync as a whole, so that one cannot be sent alone",
                mapping.action
            );
            return Err(Problem::new("whole", message).with_hint("leave out `--send`"));
        }
        let query = Query { text: mapping.model.query.clone(), rows_max: None };
        let of_source = |error: &SourceError| Problem::of_source(error, &mapping.model.name);
        let schema = mapping.model.source.describe(&query).await.map_err(|error| of_source(&error))?;
        let looking = Looking {
            mapping: Arc::clone(mapping),
            key: KeyColumns::find(&schema, &mapping.model.key).map_err(|error| {
                Problem::new("key_column_missing", format!("model `{}`: {error}", mapping.model.name))
            })?,
            schema,
            wanted: options.key.clone(),
            operation,
            timestamp: records::timestamp_text(self.clock.now().as_microsecond()),
        };
        let looking = Arc::new(looking);
        let found = looking.find(&query, cancel).await?;
        let (event, considered, key) = looking.show(&found);
        let mut tried = TriedRecord {
            mapping: mapping.name.clone(),
            key,
            operation,
            event,
            payload: TriedPayload::LeftOut,
            requests: Vec::new(),
            requests_problem: None,
            sent: None,
        };
        match considered {
            Considered::Fields(fields) => {
                tried.payload = TriedPayload::Mapped { fields: fields.clone() };
                let message_id = looking.message_id(&tried.key);
                let batch = batch(mapping, Payload { index: 0, key: tried.key.clone(), operation, message_id, fields });
                self.request(mapping, &batch, options.send, &mut tried).await;
            }
            without => tried.payload = without.into(),
        }
        Ok(tried)
    }

    /// Shows the requests, or makes them.
    async fn request(&self, mapping: &Mapping, batch: &Batch, send: bool, tried: &mut TriedRecord) {
        let destination = mapping.connection.destination.as_ref();
        let wire = &mapping.connection.wire;
        if !send {
            let preview = wire.for_preview();
            let result = destination.deliver(batch, &preview).await;
            tried.requests = preview.exchanges().iter().map(|exchange| (**exchange).clone()).collect();
            let writes = tried.requests.iter().any(|request| request.status.is_none() && request.error.is_none());
            tried.requests_problem = match result {
                Err(DeliveryError::Preview) => None,
                Err(error) => Some(chain(&preview.redact_error(error))),
                Ok(outcomes) => outcomes.first().filter(|_| !writes).and_then(|outcome| {
                    let (code, message) = (outcome.code()?, outcome.message().unwrap_or_default());
                    Some(preview.redact(&format!("the destination refuses the record ({code}): {message}")))
                }),
            };
            return;
        }
        let call = wire.for_call();
        let outcome = match destination.deliver(batch, &call).await {
            Ok(outcomes) => <[Outcome; 1]>::try_from(outcomes).map(|[outcome]| outcome).unwrap_or_else(|outcomes| {
                let message = format!("the destination gave {} outcomes for one record", outcomes.len());
                Outcome::InDoubt { message }
            }),
            Err(error) => outcome_of(error),
        };
        let exchanges = call.exchanges().iter().map(|exchange| (**exchange).clone()).collect();
        let outcome = SentOutcome {
            outcome: outcome.kind(),
            code: outcome.code().map(|code| call.redact(code)),
            message: outcome.message().map(|message| call.redact(message)),
        };
        tried.sent = Some(SentRecord { exchanges, outcome });
    }
}

/// The operation to try, if the mapping acts on it.
fn operation(mapping: &Mapping, wanted: Option<Operation>) -> Result<Operation, Problem> {
    let all = [Operation::Added, Operation::Updated, Operation::Deleted];
    let acted: Vec<Operation> = all.into_iter().filter(|operation| mapping.choice.acts_on(*operation)).collect();
    let names = || acted.iter().map(|operation| operation.name()).collect::<Vec<_>>().join(", ");
    match (wanted, acted.first()) {
        (None, Some(first)) => Ok(*first),
        (Some(wanted), _) if acted.contains(&wanted) => Ok(wanted),
        (wanted, _) => {
            let wanted = wanted.map_or("any", Operation::name);
            let message = format!("the mapping `{}` does not act on {wanted} records", mapping.name);
            Err(Problem::new("not_acted_on", message).with_hint(format!("it acts on these: {}", names())))
        }
    }
}

fn batch(mapping: &Mapping, payload: Payload) -> Batch {
    Batch {
        action: mapping.action.clone(),
        mode: mapping.choice.mode(),
        sync: "sync_test".to_owned(),
        batching: mapping.batching,
        settings: mapping.settings.clone(),
        records: vec![payload],
        jobs: None,
    }
}

/// What an error of the one call means for its one record.
fn outcome_of(error: DeliveryError) -> Outcome {
    let text = error.to_string();
    match error {
        DeliveryError::Refused { code, message } => Outcome::Rejected { code, message },
        DeliveryError::Settings { message } => Outcome::rejected("settings", message),
        DeliveryError::CredentialsRefused { .. } => Outcome::rejected("credentials_refused", text),
        DeliveryError::RateLimited { after } => {
            Outcome::Retry { after, code: "rate_limited".to_owned(), message: text }
        }
        DeliveryError::Failed { code, message } => Outcome::retry(code, message),
        DeliveryError::Unreachable { .. } | DeliveryError::Preview => Outcome::retry("unreachable", text),
        DeliveryError::UnexpectedAnswer { .. } | DeliveryError::NoAnswer { .. } => Outcome::InDoubt { message: text },
    }
}

/// The search for the record.
struct Looking {
    mapping: Arc<Mapping>,
    schema: Schema,
    key: KeyColumns,
    wanted: Option<String>,
    operation: Operation,
    timestamp: String,
}

impl Looking {
    /// Reads until the record is found, and no further.
    async fn find(self: &Arc<Self>, query: &Query, cancel: &CancellationToken) -> Result<Found, Problem> {
        let (sender, mut receiver) = mpsc::channel::<RecordBatch>(BATCHES_WAITING);
        let extract = self.mapping.model.source.extract(query, sender, cancel.clone());
        let look = async {
            let mut rows = 0_u64;
            while let Some(batch) = receiver.recv().await {
                rows += batch.num_rows() as u64;
                let looking = Arc::clone(self);
                let (batch, row) = blocking(move || {
                    let row = looking.row_of(&batch);
                    (batch, row)
                })
                .await?;
                if let Some(row) = row {
                    // The receiver goes, so that the source ends its query.
                    drop(receiver);
                    return Ok::<_, Problem>((rows, Some(Found { batch, row })));
                }
            }
            Ok((rows, None))
        };
        let (extracted, looked) = tokio::join!(extract, look);
        match looked? {
            (_, Some(found)) => Ok(found),
            (rows, None) => {
                extracted.map_err(|error| Problem::of_source(&error, &self.mapping.model.name))?;
                Err(self.nothing(rows))
            }
        }
    }

    /// The first row of a batch that is the one.
    fn row_of(&self, batch: &RecordBatch) -> Option<usize> {
        let mut scratch = Vec::new();
        (0..batch.num_rows()).find(|&row| {
            // A record whose key is not whole is in no sync.
            if self.key.hash(batch, row, &mut scratch).is_none() {
                return false;
            }
            let key = self.key.text(batch, row);
            match &self.wanted {
                Some(wanted) => *wanted == key,
                None => {
                    let record = RecordView { schema: &self.schema, batch, row };
                    map::lets_through(&self.mapping, &self.change(record, &key, ""))
                }
            }
        })
    }

    fn nothing(&self, rows: u64) -> Problem {
        let model = &self.mapping.model;
        let read = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
        match &self.wanted {
            Some(key) => {
                let message =
                    format!("the model `{}` has no record with the key `{key}` ({read} were read)", model.name);
                let hint = match &model.key[..] {
                    [one] => format!("the key is the column `{one}`; `outflow preview {}` shows some", model.name),
                    several => format!("the key is a JSON list of {}: '[1,2]'", several.join(", ")),
                };
                Problem::new("no_such_record", message).with_hint(hint)
            }
            None if rows == 0 => Problem::new("no_record", format!("the model `{}` gives no record", model.name)),
            None => {
                let message = format!(
                    "the condition of the mapping `{}` lets no record through ({read} were read)",
                    self.mapping.name
                );
                Problem::new("no_record", message).with_hint("name a record with `--key` to see its event")
            }
        }
    }

    /// The record as a change. It has no other values than its own, so these are the previous ones too.
    fn change<'a>(&'a self, record: RecordView<'a>, key: &'a str, message_id: &'a str) -> ChangeView<'a> {
        ChangeView {
            operation: self.operation,
            key,
            new: (self.operation != Operation::Deleted).then_some(record),
            previous: (self.operation != Operation::Added).then_some(record),
            message_id,
            timestamp: &self.timestamp,
        }
    }

    /// Never the one that a sync gives: a tool that drops what it has seen must take the record again in a sync.
    fn message_id(&self, key: &str) -> String {
        let seed = format!("test\n{}\n{key}\n{}\n{}", self.mapping.name, self.operation.name(), self.timestamp);
        format!("msg_{:032x}", xxh3_128(seed.as_bytes()))
    }

    /// The event, what mapping makes of it, and the key.
    fn show(&self, found: &Found) -> (Value, Considered, String) {
        let key = self.key.text(&found.batch, found.row);
        let message_id = self.message_id(&key);
        let record = RecordView { schema: &self.schema, batch: &found.batch, row: found.row };
        let change = self.change(record, &key, &message_id);
        let considered = map::consider(&self.mapping, &change);
        (self.event(&change, record), considered, key)
    }

    fn event(&self, change: &ChangeView<'_>, record: RecordView<'_>) -> Value {
        let nulls = change.operation == Operation::Deleted && self.mapping.deleted_values == DeletedValues::Null;
        let columns = self.schema.columns().iter().enumerate();
        let property = |(index, column): (usize, &records::Column)| {
            let cell = record.cell(index);
            let value = || cell.to_value().unwrap_or_else(|_| Value::Text(cell.to_text()));
            (column.name.clone(), if nulls { Value::Null } else { value() })
        };
        let properties: Object = columns.map(property).collect();
        records::object! {
            "type" => "track",
            "event" => change.operation.event(),
            "messageId" => change.message_id,
            "__segment_id" => change.key,
            "timestamp" => change.timestamp,
            "receivedAt" => change.timestamp,
            "properties" => Value::Object(properties),
        }
    }
}
