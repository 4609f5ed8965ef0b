//! Many records in a job of the Bulk API 2.0: create, upload, close, then wait for it and ask for each record.

use std::time::Duration;

use kit::{Answer, Batch, DeliveryError, Job, Payload, Request, Wire};
use records::{Object, Outcome, Value};
use tokio::time::{Instant, sleep};

use super::Salesforce;
use super::answers::{changes_nothing, failure, refused};
use super::object::Operation;
use super::results::{Fate, assign, read};
use super::table::{Mark, Table};

/// A job that takes longer is stopped; what it did until then counts.
const JOB_LASTS_MAX: Duration = Duration::from_secs(2 * 60 * 60);
/// The longest pause between two questions.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// Questions that may fail one after the other before nobody can say what the job did.
const FAILURES_MAX: u32 = 8;

/// What a row of a file of results has met, given what the file says of it.
type FateOf = fn(&str) -> Fate;

/// The files of results of a job.
const RESULTS: [(&str, FateOf); 3] = [
    ("failedResults", |error| Fate::Failed(error.to_owned())),
    ("successfulResults", |_| Fate::Taken),
    ("unprocessedrecords", |_| Fate::Unprocessed),
];

/// What must be known of a job to read its results.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    job: String,
    /// The columns in their order, that of the id last.
    columns: Vec<String>,
    has_id: bool,
    /// For each record of the batch: what its row is known by, or what became of it without the job.
    places: Vec<Result<Mark, Outcome>>,
}

/// What Salesforce says of a job.
#[derive(Debug)]
struct State {
    name: String,
    processed: Option<i64>,
    failed: Option<i64>,
    message: Option<String>,
}

impl Salesforce {
    /// Sends the records as one job. `None` among them is a record of the batch that this job does not carry; its
    /// outcome is to be sent again.
    pub(super) async fn bulk(
        &self,
        batch: &Batch,
        object: &str,
        operation: Operation,
        records: &[Option<&Payload>],
        wire: &Wire,
    ) -> Result<Vec<Outcome>, DeliveryError> {
        let table = Table::new(records, operation);
        let places = |outcome: &Outcome| -> Vec<Outcome> {
            table.places.iter().map(|place| place.clone().err().unwrap_or_else(|| outcome.clone())).collect()
        };
        if table.is_empty() {
            return Ok(places(&Outcome::retry("not_sent", "not sent")));
        }
        let create = self.create_request(object, operation, &table);
        if wire.is_preview() {
            return self.preview(create, &table, wire).await;
        }
        let job = match self.created(&self.send(wire, create).await.map_err(changes_nothing)?) {
            // Without a code of Salesforce it says nothing of the records.
            Err(DeliveryError::Refused { code, message }) if code.starts_with("http_") => {
                return Err(DeliveryError::Failed { code, message });
            }
            // The object is the action's own, and no field is named, so it is no fault of any record.
            Err(DeliveryError::Refused { code, message })
                if operation != Operation::Upsert
                    && records.iter().flatten().all(|record| record.fields.get("customObjectName").is_none()) =>
            {
                let message = format!("Salesforce makes no bulk job for `{object}` ({code}): {message}");
                return Err(DeliveryError::Settings { message });
            }
            other => other?,
        };
        let uploaded = self.send(wire, self.upload_request(&job, &table)).await;
        let uploaded = uploaded.and_then(|answer| failure(&answer, &self.facts.statuses).map_or(Ok(()), Err));
        if let Err(error) = uploaded {
            // Nothing is processed before the job is closed, and this one never will be.
            self.abort(&job, wire).await;
            return Err(changes_nothing(error));
        }
        let marks = table.marks();
        let sent = Sent {
            job: job.clone(),
            columns: table.names(),
            has_id: operation != Operation::Create,
            places: table
                .places
                .iter()
                .map(|place| place.clone().map(|row| marks.get(row).cloned().unwrap_or_default()))
                .collect(),
        };
        if let Err(error) = batch.job_started(&sent.token()).await {
            self.abort(&job, wire).await;
            return Err(error);
        }
        let closed = self.send(wire, self.close_request(&job)).await;
        let closed = closed.and_then(|answer| failure(&answer, &self.facts.statuses).map_or(Ok(()), Err));
        if let Err(error) = closed {
            // It may have been closed all the same.
            let open = self.state(&job, wire).await.map(|state| state.name == "Open");
            if !matches!(open, Ok(false)) && self.abort(&job, wire).await {
                return Err(changes_nothing(error));
            }
        }
        Ok(self.collect(&sent, batch.jobs.is_some(), wire).await)
    }

    fn create_request(&self, object: &str, operation: Operation, table: &Table) -> Request {
        let mut body = Object::new();
        body.insert("object", object.into());
        body.insert("contentType", "CSV".into());
        let name = match operation {
            Operation::Create => "insert",
            Operation::Update => "update",
            Operation::Upsert => "upsert",
            Operation::Delete => "delete",
        };
        body.insert("operation", name.into());
        if matches!(operation, Operation::Update | Operation::Upsert) {
            body.insert("externalIdFieldName", table.id_column().into());
        }
        Request::post(self.url("jobs/ingest")).json(&Value::Object(body))
    }

    fn upload_request(&self, job: &str, table: &Table) -> Request {
        let request = Request::put(self.url(&format!("jobs/ingest/{job}/batches")));
        request.header("accept", "application/json").text("text/csv", table.csv())
    }

    fn close_request(&self, job: &str) -> Request {
        Request::patch(self.url(&format!("jobs/ingest/{job}"))).json(&serde_json::json!({ "state": "UploadComplete" }))
    }

    /// Shows the three requests, with a stand-in for the id of the job.
    async fn preview(&self, create: Request, table: &Table, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        const JOB: &str = "ID_OF_THE_JOB";
        let mut end = DeliveryError::Preview;
        for request in [create, self.upload_request(JOB, table), self.close_request(JOB)] {
            if let Err(error) = self.send(wire, request).await {
                end = error;
            }
        }
        Err(end)
    }

    fn created(&self, answer: &Answer) -> Result<String, DeliveryError> {
        if let Some(error) = failure(answer, &self.facts.statuses) {
            return Err(changes_nothing(error));
        }
        let json = answer.json().map_err(changes_nothing)?;
        let id = json.get("id").and_then(Value::as_str);
        match id.filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            Some(id) => Ok(id.to_owned()),
            None => Err(DeliveryError::Failed {
                code: "unexpected_answer".to_owned(),
                message: format!("the bulk job has no id: {}", answer.message()),
            }),
        }
    }

    /// Whether the job is known to be stopped.
    async fn abort(&self, job: &str, wire: &Wire) -> bool {
        let request = Request::patch(self.url(&format!("jobs/ingest/{job}")));
        let request = request.json(&serde_json::json!({ "state": "Aborted" })).collecting();
        let Ok(answer) = self.send(wire, request).await else { return false };
        failure(&answer, &self.facts.statuses).is_none()
    }

    async fn state(&self, job: &str, wire: &Wire) -> Result<State, DeliveryError> {
        let request = Request::get(self.url(&format!("jobs/ingest/{job}"))).collecting();
        let answer = self.send(wire, request).await?;
        if let Some(error) = failure(&answer, &self.facts.statuses) {
            return Err(error);
        }
        let json = answer.json()?;
        let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        let name = text("state").ok_or_else(|| DeliveryError::UnexpectedAnswer {
            message: format!("the bulk job has no `state`: {}", answer.message()),
        })?;
        let count = |key: &str| json.get(key).and_then(Value::as_i64);
        Ok(State {
            name,
            processed: count("numberRecordsProcessed"),
            failed: count("numberRecordsFailed"),
            message: text("errorMessage").filter(|message| !message.is_empty()),
        })
    }

    /// Waits for the end of a job. A job that is noted is worth patience, since its results are lost otherwise.
    async fn ended(&self, job: &str, patient: bool, wire: &Wire) -> Result<State, DeliveryError> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(250);
        let mut failures = 0;
        let mut stopped = false;
        loop {
            match self.state(job, wire).await {
                Ok(state) if matches!(state.name.as_str(), "JobComplete" | "Failed" | "Aborted") => return Ok(state),
                Ok(_) => failures = 0,
                Err(error @ (DeliveryError::Refused { .. } | DeliveryError::CredentialsRefused { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    failures += 1;
                    if !patient || failures >= FAILURES_MAX {
                        return Err(error);
                    }
                }
            }
            if begun.elapsed() > JOB_LASTS_MAX {
                if stopped {
                    let message = "the bulk job did not end in time".to_owned();
                    return Err(DeliveryError::NoAnswer { message });
                }
                stopped = self.abort(job, wire).await;
                if !stopped {
                    let message = "the bulk job did not end in time and cannot be stopped".to_owned();
                    return Err(DeliveryError::NoAnswer { message });
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// What became of each record of the batch, once the job has ended.
    async fn collect(&self, sent: &Sent, patient: bool, wire: &Wire) -> Vec<Outcome> {
        let rows: Vec<Mark> = sent.places.iter().flatten().cloned().collect();
        let state = match self.ended(&sent.job, patient, wire).await {
            Ok(state) => state,
            Err(error) => return sent.outcomes(|| in_doubt(&sent.job, &error.to_string())),
        };
        let count = i64::try_from(rows.len()).ok();
        if state.name == "JobComplete" && state.failed == Some(0) && state.processed == count {
            return sent.outcomes(|| Outcome::Delivered);
        }
        if state.name != "JobComplete" && state.processed == Some(0) {
            return sent.outcomes(|| state.unprocessed(&sent.job));
        }
        let mut found = Vec::new();
        let mut missing = None;
        for (file, fate) in RESULTS {
            if found.len() < rows.len() {
                match self.results(sent, file, fate, patient, wire).await {
                    Ok(rows) => found.extend(rows),
                    Err(error) => missing = Some(error),
                }
            }
        }
        let mut fates = assign(&rows, found).into_iter();
        sent.outcomes(|| match fates.next().flatten() {
            Some(Fate::Taken) => Outcome::Delivered,
            Some(Fate::Failed(error)) => failed(&error),
            // Some of the reasons may pass, and what was not taken can be sent again.
            Some(Fate::FailedSomehow(errors)) => {
                Outcome::retry("FAILED", format!("refused for one of these reasons: {errors}"))
            }
            Some(Fate::Unprocessed) => state.unprocessed(&sent.job),
            None => match &missing {
                Some(error) => in_doubt(&sent.job, &error.to_string()),
                None => in_doubt(&sent.job, "it has no result for this record"),
            },
        })
    }

    async fn results(
        &self,
        sent: &Sent,
        file: &str,
        fate: FateOf,
        patient: bool,
        wire: &Wire,
    ) -> Result<Vec<super::results::Found>, DeliveryError> {
        let mut failures = 0;
        loop {
            let request = Request::get(self.url(&format!("jobs/ingest/{}/{file}/", sent.job))).collecting();
            let answer = self.send(wire, request).await;
            let answer = answer.and_then(|answer| match failure(&answer, &self.facts.statuses) {
                Some(error) => Err(error),
                None => Ok(answer),
            });
            match answer {
                Ok(answer) => {
                    let text = std::str::from_utf8(&answer.body).ok().filter(|_| !answer.is_html());
                    let rows = text.and_then(|text| read(text, &sent.columns, sent.has_id, fate));
                    return rows.ok_or_else(|| DeliveryError::UnexpectedAnswer {
                        message: format!("`{file}` is not the CSV that it should be"),
                    });
                }
                Err(error @ (DeliveryError::Refused { .. } | DeliveryError::CredentialsRefused { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    failures += 1;
                    if !patient || failures >= FAILURES_MAX {
                        return Err(error);
                    }
                    sleep(PAUSE_MAX).await;
                }
            }
        }
    }

    /// What became of the records of a job that was noted when the program ended.
    pub(super) async fn resume_job(&self, job: &Job, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let Some(sent) = Sent::of_token(&job.token).filter(|sent| sent.places.len() == job.records.len()) else {
            let message = "the note of the bulk job cannot be read".to_owned();
            return Ok(vec![Outcome::InDoubt { message }; job.records.len()]);
        };
        if self.state(&sent.job, wire).await?.name == "Open" && self.abort(&sent.job, wire).await {
            let message = format!("bulk job {} was never closed, so nothing of it was processed", sent.job);
            return Ok(sent.outcomes(|| Outcome::retry("not_sent", message.as_str())));
        }
        Ok(self.collect(&sent, true, wire).await)
    }
}

impl Sent {
    /// One outcome for each record of the batch: `of_row` in turn for those that have a row.
    fn outcomes(&self, mut of_row: impl FnMut() -> Outcome) -> Vec<Outcome> {
        self.places.iter().map(|place| place.as_ref().err().cloned().unwrap_or_else(&mut of_row)).collect()
    }

    /// What is noted before the job begins.
    fn token(&self) -> Value {
        let place = |place: &Result<Mark, Outcome>| match place {
            Ok(mark) => {
                let texts = [format!("{:x}", mark.exact), format!("{:x}", mark.loose)].map(Value::from);
                Value::Array(texts.into_iter().chain(mark.id.clone().map(Value::from)).collect())
            }
            Err(Outcome::Rejected { code, message }) => {
                records::object! { "code" => code.as_str(), "message" => message.as_str() }
            }
            // It was not sent, so it is sent again.
            Err(_) => Value::Null,
        };
        records::object! {
            "job" => self.job.as_str(),
            "columns" => self.columns.iter().map(|name| Value::from(name.as_str())).collect::<Vec<_>>(),
            "has_id" => self.has_id,
            "rows" => self.places.iter().map(place).collect::<Vec<_>>(),
        }
    }

    fn of_token(token: &Value) -> Option<Self> {
        let place = |place: &Value| match place {
            Value::Null => Some(Err(Outcome::retry("not_sent", "not sent yet"))),
            Value::Object(_) => {
                let text = |key: &str| place.get(key).and_then(Value::as_str);
                Some(Err(Outcome::rejected(text("code")?, text("message")?)))
            }
            Value::Array(parts) => {
                let number = |at: usize| u64::from_str_radix(parts.get(at)?.as_str()?, 16).ok();
                let id = parts.get(2).and_then(Value::as_str).map(str::to_owned);
                Some(Ok(Mark { exact: number(0)?, loose: number(1)?, id }))
            }
            _ => None,
        };
        Some(Self {
            job: token.get("job")?.as_str()?.to_owned(),
            columns: token
                .get("columns")?
                .as_array()?
                .iter()
                .map(|name| Some(name.as_str()?.to_owned()))
                .collect::<Option<_>>()?,
            has_id: token.get("has_id")?.as_bool()?,
            places: token.get("rows")?.as_array()?.iter().map(place).collect::<Option<_>>()?,
        })
    }
}

impl State {
    /// What it means that a record was not processed.
    fn unprocessed(&self, job: &str) -> Outcome {
        let Some(message) = &self.message else {
            return Outcome::retry("UNPROCESSED", format!("bulk job {job} ended ({}) before this record", self.name));
        };
        // The columns or the form of the whole are wrong, and will be again.
        let lasting = ["InvalidBatch", "ClientInputError"].iter().any(|kind| message.contains(kind));
        let text = format!("bulk job {job} failed: {message}");
        if lasting { Outcome::rejected("JOB_FAILED", text) } else { Outcome::retry("JOB_FAILED", text) }
    }
}

fn in_doubt(job: &str, why: &str) -> Outcome {
    Outcome::InDoubt { message: format!("bulk job {job}: {why}") }
}

/// `CODE:what is wrong:its fields --`.
fn failed(error: &str) -> Outcome {
    let error = error.trim().trim_end_matches("--").trim_end();
    match error.split_once(':') {
        Some((code, message))
            if !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') =>
        {
            refused(code, message.trim().trim_end_matches(':'))
        }
        _ => Outcome::rejected("FAILED", if error.is_empty() { "Salesforce gave no reason" } else { error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_rows_are_split_into_code_and_message() {
        let check = |error: &str, code: &str, message: &str| {
            let outcome = failed(error);
            assert_eq!((outcome.code(), outcome.message()), (Some(code), Some(message)), "{error}");
        };
        check(
            "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --",
            "REQUIRED_FIELD_MISSING",
            "Required fields are missing: [LastName]:LastName",
        );
        check("UNABLE_TO_LOCK_ROW:busy:--", "UNABLE_TO_LOCK_ROW", "busy");
        check("odd: thing", "FAILED", "odd: thing");
        check("", "FAILED", "Salesforce gave no reason");
        assert!(matches!(failed("UNABLE_TO_LOCK_ROW:busy:--"), Outcome::Retry { .. }));
    }

    #[test]
    fn a_token_keeps_what_the_results_are_known_by() {
        let sent = Sent {
            job: "750X".to_owned(),
            columns: vec!["Name".to_owned(), "ext__c".to_owned()],
            has_id: true,
            places: vec![
                Ok(Mark { exact: u64::MAX, loose: 1, id: Some("a".to_owned()) }),
                Ok(Mark { exact: 2, loose: 3, id: None }),
                Err(Outcome::rejected("X", "y")),
                Err(Outcome::retry("not_sent", "not sent yet")),
            ],
        };
        let text = sent.token().to_json();
        assert_eq!(Sent::of_token(&Value::parse(&text).unwrap()), Some(sent));
        assert_eq!(Sent::of_token(&Value::Null), None);
    }
}
