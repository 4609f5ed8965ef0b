//! Runs the recorded cases of a destination: records in, requests expected, answers given, outcome of each record.

use std::sync::Arc;
use std::time::Duration;

use mapping::SyncMode;
use records::{Operation, Value};
use serde::Deserialize;

use super::conformance::outcome_text;
use super::{Reply, Server, TestClock, load_all, load_plan, payload};
use crate::{Destination, Facts, LoadPlan, MappingSettings, Payload, RetrySettings, SettingsError, Wire};

/// One file of `cases/`. `{server}` in the settings stands for the server's URL.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    #[serde(default)]
    pub settings: serde_json::Value,
    #[serde(default)]
    pub options: serde_json::Value,
    pub action: String,
    pub mode: SyncMode,
    /// Whether records may share a request. Default: they may.
    #[serde(default = "yes")]
    pub batching: bool,
    /// What happened to each record. Default: all were added.
    #[serde(default)]
    pub operations: Vec<Operation>,
    /// What hooks gave when the mapping was saved.
    #[serde(default)]
    pub hook_outputs: serde_json::Value,
    #[serde(default)]
    pub matching_key: Option<String>,
    /// The fields of each payload.
    pub records: Vec<Value>,
    /// The requests in their order, each with the answer it is given.
    pub exchanges: Vec<Expected>,
    /// `delivered`, `rejected code: message`, `retry code: message`, `in doubt code: message`.
    pub outcomes: Vec<String>,
    /// What the load ends with, if not well.
    #[serde(default)]
    pub stop: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// `POST /contacts?x=1`.
    pub request: String,
    /// Headers that must be there, names in lower case.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// The body as JSON.
    #[serde(default)]
    pub body: Option<serde_json::Value>,
    /// The body as text, where it is no JSON.
    #[serde(default)]
    pub text: Option<String>,
    pub answer: Answer,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    #[serde(default)]
    pub status: u16,
    /// No answer comes in time.
    #[serde(default)]
    pub timeout: bool,
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    pub body: Option<serde_json::Value>,
    #[serde(default)]
    pub text: Option<String>,
}

/// Runs a case and gives a sentence for each thing that is not as it says.
///
/// # Errors
/// The case cannot be read.
pub async fn run(
    yaml: &str,
    connect: impl Fn(&serde_json::Value, &serde_json::Value) -> Result<Arc<dyn Destination>, SettingsError>,
) -> Result<Vec<String>, String> {
    let case: Case = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
    let answers: Vec<_> = case.exchanges.iter().map(|expected| expected.answer.clone()).collect();
    let server = Server::start(move |request| match answers.get(request.number) {
        Some(answer) => answer.reply(),
        None => Reply::typed(500, "text/plain", "the case has no such request"),
    });
    let server = server.await.map_err(|error| error.to_string())?;
    let settings = case.settings.to_string().replace("{server}", &server.url());
    let settings: serde_json::Value = serde_json::from_str(&settings).map_err(|error| error.to_string())?;
    let destination = connect(&settings, &case.options).map_err(|error| error.to_string())?;
    let mut wire_settings = destination.wire_settings();
    // One after the other, so that their order is that of the case.
    wire_settings.limits = crate::Limits { concurrency: 1, ..crate::Limits::default() };
    if case.exchanges.iter().any(|expected| expected.answer.timeout) {
        wire_settings.total_timeout = Duration::from_millis(300);
    }
    let wire = Wire::open(wire_settings, TestClock::new()).map_err(|error| error.to_string())?;
    let plan = LoadPlan {
        batching: case.batching,
        settings: Arc::new(MappingSettings {
            matching_key: case.matching_key.clone(),
            hook_outputs: match Value::from(case.hook_outputs.clone()) {
                Value::Object(outputs) => outputs,
                _ => records::Object::new(),
            },
            ..MappingSettings::default()
        }),
        retry: RetrySettings {
            attempts_max: 1,
            elapsed_max: Duration::ZERO,
            failing_batches_max: 1000,
            ..RetrySettings::default()
        },
        ..load_plan(destination, wire, &case.action, case.mode)
    };
    let payloads = case.records.iter().enumerate().map(|(index, fields)| {
        let operation = case.operations.get(index).copied().unwrap_or(Operation::Added);
        Payload { operation, ..payload(index as u64, fields.clone()) }
    });
    let payloads = payloads.collect();
    let (fates, result) = load_all(&plan, payloads).await;
    let mut failures = Vec::new();
    let received = server.received();
    if received.len() != case.exchanges.len() {
        failures.push(format!("{} requests came, the case has {}", received.len(), case.exchanges.len()));
    }
    for (request, expected) in received.iter().zip(&case.exchanges) {
        let line = format!("{} {}", request.method, request.target);
        if line != expected.request {
            failures.push(format!("request {}: `{line}`, not `{}`", request.number, expected.request));
        }
        for (name, value) in &expected.headers {
            if request.header(name) != Some(value) {
                failures.push(format!(
                    "request {}: header `{name}` is {:?}, not `{value}`",
                    request.number,
                    request.header(name)
                ));
            }
        }
        let json_differs = expected.body.as_ref().is_some_and(|body| *body != request.json());
        let text_differs = expected.text.as_ref().is_some_and(|text| *text != request.text());
        if json_differs || text_differs {
            failures.push(format!("request {}: the body is `{}`", request.number, request.text()));
        }
    }
    let outcomes: Vec<_> = fates.iter().map(|fate| outcome_text(&fate.outcome)).collect();
    if outcomes != case.outcomes {
        failures.push(format!("the outcomes are {outcomes:#?}"));
    }
    let stop = result.err().map(|stop| stop.to_string());
    if stop != case.stop {
        failures.push(format!("the load ended with {stop:?}"));
    }
    Ok(failures)
}

impl Answer {
    fn reply(&self) -> Reply {
        if self.timeout {
            return Reply::Silence;
        }
        let mut reply = match (&self.body, &self.text) {
            (Some(body), _) => Reply::json(self.status, body),
            (None, Some(text)) => Reply::typed(self.status, "text/plain", text.clone()),
            (None, None) => Reply::status(self.status),
        };
        for (name, value) in &self.headers {
            reply = reply.with_header(name, value);
        }
        reply
    }
}

/// What `cargo xtask new-destination` writes where words are left to a person.
pub const UNWRITTEN: &str = "WRITE ME";

/// What is wrong with the facts of a destination, beyond what their reader refuses.
pub fn facts_failures(facts: &Facts, folder: &str) -> Vec<String> {
    let mut failures = Vec::new();
    if facts.slug != folder {
        failures.push(format!("the slug `{}` is not the folder's name `{folder}`", facts.slug));
    }
    if facts.description.is_empty() {
        failures.push("there is no description".to_owned());
    }
    for action in &facts.actions {
        for field in &action.fields {
            if field.label.is_empty() || field.description.is_empty() {
                failures.push(format!("field `{}` of `{}` needs a label and a description", field.key, action.slug));
            }
        }
    }
    let unwritten = super::unwritten::places(facts);
    failures
        .extend(unwritten.iter().map(|place| format!("`{place}` is still `{UNWRITTEN}`: write it in your own words")));
    failures
}
