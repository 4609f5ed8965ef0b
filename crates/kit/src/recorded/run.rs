//! One case after the other: map, validate, deliver, compare.

use std::sync::Arc;

use jiff::Timestamp;
use mapping::{Condition, Event, Fields, Options, Program, SyncMode};
use records::{Clock, Object, Operation, Outcome, Value};
use serde_json::Value as Json;

use super::comparison::value_differences;
use super::form::{Case, CaseFile, Expected, Input};
use super::recording::Recording;
use crate::{Action, Batch, Destination, MappingSettings, Payload, SettingsError, Wire};

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    pub id: String,
    /// A sentence for each thing that is not as recorded.
    pub differences: Vec<String>,
    /// Why that is so, where the destination does better on purpose.
    pub on_purpose: Option<String>,
}

impl CaseReport {
    pub fn passed(&self) -> bool {
        self.differences.is_empty() || self.on_purpose.is_some()
    }
}

/// A file that is none of recorded cases.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    #[error("the cases are not of the form")]
    Form(#[source] serde_json::Error),
    #[error("the cases are of `{0}`, not of `{1}`")]
    Destination(String, String),
    #[error("`frozenTime` is no time: `{0}`")]
    Time(String),
}

/// Runs all cases of a file (JSON) against the destination of that slug, which `connect` makes from settings.
///
/// # Errors
/// The file is not of the form, or is of another destination.
pub async fn run(
    text: &str,
    slug: &str,
    connect: impl Fn(&Json) -> Result<Arc<dyn Destination>, SettingsError>,
) -> Result<Vec<CaseReport>, RecordedError> {
    let file: CaseFile = serde_json::from_str(text).map_err(RecordedError::Form)?;
    if file.destination != slug {
        return Err(RecordedError::Destination(file.destination, slug.to_owned()));
    }
    let time: Timestamp = file.frozen_time.parse().map_err(|_| RecordedError::Time(file.frozen_time.clone()))?;
    let mut reports = Vec::with_capacity(file.cases.len());
    for case in &file.cases {
        let (differences, on_purpose) = match run_case(case, time, &connect).await {
            Ok((differences, destination)) => {
                let known = destination.facts().differences.iter().find(|known| known.case == case.id);
                (differences, known.map(|known| known.reason.clone()))
            }
            Err(differences) => (differences, None),
        };
        reports.push(CaseReport { id: case.id.clone(), differences, on_purpose });
    }
    Ok(reports)
}

/// A clock that stands still.
#[derive(Debug)]
struct FrozenClock(Timestamp);

impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

async fn run_case(
    case: &Case,
    time: Timestamp,
    connect: &impl Fn(&Json) -> Result<Arc<dyn Destination>, SettingsError>,
) -> Result<(Vec<String>, Arc<dyn Destination>), Vec<String>> {
    let Case { input, expected, .. } = case;
    let destination = match (connected(input, connect), &expected.settings_error) {
        (Ok(destination), None) => destination,
        (Err(_), Some(_)) => return Err(Vec::new()),
        (Ok(_), Some(error)) => return Err(vec![format!("the settings were accepted; expected {error}")]),
        (Err(error), None) => return Err(vec![format!("the settings were refused: {error}")]),
    };
    let Some(action) = destination.facts().action(&input.action) else {
        return Err(vec![format!("there is no action `{}`", input.action)]);
    };
    let mut differences = Vec::new();
    let payloads = payloads(input, expected, action, time, &mut differences);

    let posted: Vec<Json> =
        expected.results.iter().filter_map(|result| batch_of(result.data.as_ref()?)).flatten().collect();
    let takes_all = expected.requests.is_empty() && !posted.is_empty();
    let recording = Arc::new(Recording::new(expected.requests.clone(), takes_all));
    let wire = Wire::to_recording(Arc::clone(&recording), destination.wire_settings(), Arc::new(FrozenClock(time)));
    let outcomes = deliver(destination.as_ref(), &wire, input, payloads).await;

    differences.extend(recording.differences());
    if takes_all {
        let made: Vec<Json> = recording.taken().iter().filter_map(batch_of).flatten().collect();
        let found = value_differences(&Json::Array(posted), &Json::Array(made));
        differences.extend(found.into_iter().map(|text| format!("posted events: {text}")));
    }
    compare_outcomes(input, expected, &outcomes, &mut differences);
    Ok((differences, destination))
}

fn batch_of(data: &Json) -> Option<Vec<Json>> {
    data.get("batch")?.as_array().cloned()
}

/// Makes the destination. The original was given this token by its host wherever a case does not say another.
fn connected(
    input: &Input,
    connect: &impl Fn(&Json) -> Result<Arc<dyn Destination>, SettingsError>,
) -> Result<Arc<dyn Destination>, SettingsError> {
    const TOKEN: &str = "oracle-access-token";
    let mut settings = settings(input);
    connect(&settings).or_else(|error| {
        if input.auth.is_some() || !error.problems.iter().any(|problem| problem.field.starts_with("oauth")) {
            return Err(error);
        }
        settings["oauth"] = serde_json::json!({ "access_token": TOKEN });
        connect(&settings)
    })
}

fn settings(input: &Input) -> Json {
    let mut settings = input.settings.clone();
    if let Some(auth) = &input.auth {
        let mut oauth = serde_json::Map::new();
        oauth.extend(auth.access_token.iter().map(|token| ("access_token".to_owned(), Json::from(token.as_str()))));
        if auth.access_token.is_none() {
            oauth.extend(
                auth.refresh_token.iter().map(|token| ("refresh_token".to_owned(), Json::from(token.as_str()))),
            );
        }
        settings.insert("oauth".to_owned(), Json::Object(oauth));
    }
    Json::Object(settings)
}

/// The mapping with what stands in it for the host.
fn effective_mapping(input: &Input, action: &Action) -> serde_json::Map<String, Json> {
    let mut mapping = input.mapping.clone();
    if input.use_default_mappings {
        for field in &action.fields {
            if let Some(default) = field.default.as_ref().filter(|_| !mapping.contains_key(&field.key)) {
                mapping.insert(field.key.clone(), Json::from(default));
            }
        }
    }
    mapping
}

/// The validated payloads that are to be sent: for each record one, or none.
fn payloads(
    input: &Input,
    expected: &Expected,
    action: &Action,
    time: Timestamp,
    differences: &mut Vec<String>,
) -> Vec<Option<Payload>> {
    let mut mapping = effective_mapping(input, action);
    if let Some(effective) = &expected.effective_mapping {
        let mut shown = effective.clone();
        // The modes are told apart from the mapping.
        if let Some(shown) = shown.as_object_mut() {
            shown.retain(|key, _| !key.starts_with("__segment_internal_"));
        }
        let found = value_differences(&shown, &Json::Object(mapping.clone()));
        differences.extend(found.into_iter().map(|text| format!("effective mapping: {text}")));
    }
    for (key, value) in
        [("__segment_internal_sync_mode", &input.sync_mode), ("__segment_internal_matching_key", &input.matching_key)]
    {
        if let Some(value) = value {
            mapping.entry(key).or_insert_with(|| Json::from(value.as_str()));
        }
    }
    let program = match Program::compile(&Value::from(Json::Object(mapping))) {
        Ok(program) => program,
        Err(problems) => {
            if expected.error.is_none() && expected.mapped.iter().all(|mapped| mapped.error.is_none()) {
                let problems: Vec<_> = problems.iter().map(|problem| problem.message.clone()).collect();
                differences.push(format!("the mapping was refused: {}", problems.join("; ")));
            }
            return input.records.iter().map(|_| None).collect();
        }
    };
    let condition = input.subscribe.as_deref().map(Condition::parse);
    let condition = match condition.transpose() {
        Ok(condition) => condition,
        Err(problems) => {
            differences.push(format!("`subscribe` was refused: {problems:?}"));
            None
        }
    };
    let fields = Fields::compile(action.fields.clone());
    let mut made = Vec::new();
    let mut validated = Vec::new();
    for (index, record) in input.records.iter().enumerate() {
        let record = Value::from(record.clone());
        let event = Event::of_value(&record).at(time);
        let mapped = program.evaluate(&event);
        match (expected.mapped.get(index), &mapped) {
            (Some(expected), Ok(value)) if expected.error.is_none() => {
                let value = value.clone().unwrap_or_else(|| Value::Object(Object::new()));
                let found = value_differences(expected.ok.as_ref().unwrap_or(&Json::Null), &Json::from(&value));
                differences.extend(found.into_iter().map(|text| format!("record {}, mapped: {text}", index + 1)));
            }
            (Some(expected), Ok(_)) => {
                let error = expected.error.as_ref().unwrap_or(&Json::Null);
                differences.push(format!("record {} was mapped; expected {error}", index + 1));
            }
            (Some(expected), Err(error)) if expected.error.is_none() => {
                differences.push(format!("record {} was not mapped: {error}", index + 1));
            }
            _ => {}
        }
        let subscribed = condition.as_ref().is_none_or(|condition| condition.holds(&event).unwrap_or(false));
        let payload = mapped.ok().flatten().filter(|_| subscribed).unwrap_or_else(|| Value::Object(Object::new()));
        let payload = subscribed.then(|| fields.validate(payload, Options { batch: input.batch }).ok()).flatten();
        validated.extend(payload.as_ref().map(Json::from));
        made.push(payload.map(|fields| Payload {
            index: index as u64,
            key: record.get("__segment_id").map(plain).unwrap_or_default(),
            operation: match record.get("event").and_then(Value::as_str) {
                Some("deleted") => Operation::Deleted,
                Some("updated") => Operation::Updated,
                _ => Operation::Added,
            },
            message_id: record.get("messageId").map(plain).unwrap_or_default(),
            fields,
        }));
    }
    let mut due = Vec::new();
    for performed in &expected.performed {
        match &performed.payload {
            Json::Array(payloads) if input.batch => due.extend(payloads.iter().cloned()),
            payload => due.push(payload.clone()),
        }
    }
    let found = value_differences(&Json::Array(due), &Json::Array(validated));
    differences.extend(found.into_iter().map(|text| format!("validated payloads: {text}")));
    made
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_json(), str::to_owned)
}

/// Delivers as the host would: one by one, or what may go together together.
async fn deliver(
    destination: &dyn Destination,
    wire: &Wire,
    input: &Input,
    payloads: Vec<Option<Payload>>,
) -> Vec<Option<Outcome>> {
    let object = |value: &serde_json::Map<String, Json>| match Value::from(Json::Object(value.clone())) {
        Value::Object(object) => object,
        _ => Object::new(),
    };
    let hooks = ["onMappingSave", "retlOnMappingSave"].into_iter().filter_map(|hook| {
        let outputs = input.mapping.get(hook)?.get("outputs")?;
        Some((hook.to_owned(), Value::from(outputs.clone())))
    });
    let text = |key: &str| input.mapping.get(key).and_then(Json::as_str).map(str::to_owned);
    let mode = input.sync_mode.clone().or_else(|| text("__segment_internal_sync_mode"));
    let head = Batch {
        action: input.action.clone(),
        mode: mode.and_then(|mode| SyncMode::from_name(&mode)).unwrap_or(SyncMode::Upsert),
        sync: "sync_1".to_owned(),
        batching: input.batch,
        settings: Arc::new(MappingSettings {
            matching_key: input.matching_key.clone().or_else(|| text("__segment_internal_matching_key")),
            hook_outputs: hooks.collect(),
            transaction: object(&input.transaction_context),
        }),
        records: Vec::new(),
        jobs: None,
    };
    let mut outcomes: Vec<Option<Outcome>> = payloads.iter().map(|_| None).collect();
    let mut batches: Vec<(String, Vec<Payload>)> = Vec::new();
    for payload in payloads.into_iter().flatten() {
        let group = destination.group(&input.action, &payload);
        match batches.iter_mut().find(|(of, _)| input.batch && *of == group) {
            Some((_, batch)) => batch.push(payload),
            None => batches.push((group, vec![payload])),
        }
    }
    for (_, records) in batches {
        let batch = Batch { records, ..head.head() };
        let result = destination.deliver(&batch, wire).await;
        for (place, record) in batch.records.iter().enumerate() {
            let outcome = match &result {
                Ok(outcomes) => outcomes.get(place).cloned(),
                Err(error) => Some(Outcome::retry("failed", error.to_string())),
            };
            if let Some(slot) = usize::try_from(record.index).ok().and_then(|index| outcomes.get_mut(index)) {
                *slot = outcome;
            }
        }
    }
    outcomes
}

/// What the original calls failed may not be delivered.
fn compare_outcomes(input: &Input, expected: &Expected, outcomes: &[Option<Outcome>], differences: &mut Vec<String>) {
    for (index, outcome) in outcomes.iter().enumerate() {
        let failed = if input.batch {
            expected.error.is_some() || expected.multistatus.get(index).is_some_and(|status| status.status >= 300)
        } else {
            expected.error.is_some() || expected.results.get(index).is_some_and(|result| !result.ok)
        };
        if failed && outcome.as_ref().is_some_and(Outcome::is_delivered) {
            differences.push(format!("record {} is delivered; it failed in the recording", index + 1));
        }
    }
}
