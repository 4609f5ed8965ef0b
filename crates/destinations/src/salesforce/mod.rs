//! Salesforce: records of any object, one at a time with the REST API or in jobs of the Bulk API 2.0.

mod answers;
mod bulk;
mod erase;
mod lookup;
mod object;
mod password;
mod results;
mod simulator;
mod single;
mod table;

use std::sync::Arc;

use async_trait::async_trait;
use kit::{
    Answer, Auth, AuthScheme, Batch, ChoicePage, ChoiceQuery, DeliveryError, Destination, DynamicChoice, Facts, Job,
    Payload, Request, SettingsError, Wire, WireSettings,
};
use records::{Outcome, Value};
use serde_json::Value as Json;
use tokio::sync::Mutex;

use answers::failure;
use object::{Kind, Operation, operation};
use password::Password;
pub(crate) use simulator::simulator;

/// The version that the original speaks.
const API_VERSION: &str = "v53.0";
/// The results of a job are as large as what was sent, and more.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug)]
struct Salesforce {
    facts: Facts,
    wire: WireSettings,
    /// `https://example.my.salesforce.com/services/data/v53.0/`.
    base: String,
    /// For those who sign in with a user's name and password.
    password: Option<Password>,
}

/// Makes the destination. Settings and options were checked against the facts.
pub(crate) fn connect(
    mut facts: Facts,
    settings: &Json,
    _options: &Json,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let text = |key: &str| settings.get(key).and_then(Json::as_str).unwrap_or_default();
    let instance = text("instanceUrl");
    check_instance(instance)?;
    let base = format!("{}/services/data/{API_VERSION}/", instance.strip_suffix('/').unwrap_or(instance));
    if settings.get("isSandbox").and_then(Json::as_bool) == Some(true) {
        for url in [&mut facts.auth.authorize_url, &mut facts.auth.token_url].into_iter().flatten() {
            *url = url.replace("//login.", "//test.");
        }
    }
    let mut password = None;
    let mut wire = if text("username").is_empty() || text("auth_password").is_empty() {
        kit::wire_settings(&facts, settings)?
    } else {
        let oauth = |key: &str| settings["oauth"][key].as_str().unwrap_or_default().to_owned();
        password = Some(Password {
            token_url: facts.auth.token_url.clone().unwrap_or_default(),
            client_id: oauth("client_id"),
            client_secret: oauth("client_secret"),
            username: text("username").to_owned(),
            password: format!("{}{}", text("auth_password"), text("security_token")),
            token: Mutex::default(),
        });
        let mut own = facts.clone();
        own.auth.scheme = AuthScheme::Custom;
        WireSettings { auth: Auth::None, ..kit::wire_settings(&own, settings)? }
    };
    wire.secrets.extend(password.iter().map(|password| password.password.clone()));
    wire.answer_bytes_max = ANSWER_BYTES_MAX;
    facts.limits = wire.limits;
    Ok(Arc::new(Salesforce { facts, wire, base, password }))
}

/// Credentials go there, so it must be Salesforce.
fn check_instance(url: &str) -> Result<(), SettingsError> {
    let host = url.strip_prefix("https://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let good = |host: &str| {
        (host.ends_with(".salesforce.com") || host.ends_with(".salesforce.mil"))
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
    };
    if host.is_some_and(good) {
        return Ok(());
    }
    let message = "must be the address of an org, such as `https://example.my.salesforce.com`";
    Err(SettingsError::one("instanceUrl", message))
}

#[async_trait]
impl Destination for Salesforce {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        let answer = self.send(wire, Request::get(self.url(""))).await?;
        if let Some(error) = failure(&answer, &self.facts.statuses) {
            return Err(error);
        }
        let json = answer.json()?;
        // `https://login.salesforce.com/id/ORG/USER`
        let identity = json.get("identity").and_then(Value::as_str).unwrap_or_default();
        let mut parts = identity.rsplit('/');
        match (parts.next(), parts.next()) {
            (Some(user), Some(org)) if !org.is_empty() => Ok(format!("signed in to org {org} as user {user}")),
            _ if json.get("sobjects").is_some() => Ok("signed in".to_owned()),
            _ => Err(DeliveryError::UnexpectedAnswer { message: "the list of resources was expected".to_owned() }),
        }
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let Some(kind) = Kind::of(&batch.action) else {
            return Err(DeliveryError::Settings { message: format!("there is no action `{}`", batch.action) });
        };
        if !batch.batching {
            let mut outcomes = Vec::with_capacity(batch.records.len());
            for record in &batch.records {
                outcomes.push(match operation(batch, record) {
                    Some(operation) => self.one(kind, operation, record, wire).await?,
                    None => no_operation(),
                });
            }
            return Ok(outcomes);
        }
        self.many(batch, kind, wire).await
    }

    fn group(&self, action: &str, payload: &Payload) -> String {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let external = text(payload.fields.at(&["bulkUpsertExternalId", "externalIdName"]));
        let object = text(payload.fields.get("customObjectName"));
        let operation = if action.ends_with('2') { String::new() } else { text(payload.fields.get("operation")) };
        [operation, object, external].join("\n")
    }

    async fn choices(&self, query: &ChoiceQuery, wire: &Wire) -> Result<ChoicePage, DeliveryError> {
        if query.field != "customObjectName" || query.page.is_some() {
            return Ok(ChoicePage::default());
        }
        let answer = self.send(wire, Request::get(self.url("sobjects"))).await?;
        if let Some(error) = failure(&answer, &self.facts.statuses) {
            return Err(error);
        }
        let json = answer.json()?;
        let objects = json.get("sobjects").and_then(Value::as_array).ok_or_else(|| {
            DeliveryError::UnexpectedAnswer { message: "a list of objects (`sobjects`) was expected".to_owned() }
        })?;
        let search = query.search.as_deref().unwrap_or_default().to_lowercase();
        let choice = |object: &Value| {
            let text = |key: &str| object.get(key).and_then(Value::as_str);
            let creatable = object.get("createable").and_then(Value::as_bool) == Some(true);
            let choice = DynamicChoice::new(text("name")?, text("label").or(text("name"))?);
            let wanted = choice.label.to_lowercase().contains(&search) || choice.value.to_lowercase().contains(&search);
            (creatable && wanted).then_some(choice)
        };
        Ok(ChoicePage { choices: objects.iter().filter_map(choice).collect(), next: None })
    }

    async fn resume(&self, job: &Job, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        self.resume_job(job, wire).await
    }
}

impl Salesforce {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, wire: &Wire, request: Request) -> Result<Answer, DeliveryError> {
        match &self.password {
            Some(password) => password.send(wire, request).await,
            None => wire.send(request).await,
        }
    }

    /// Delivers a batch: what is written goes as a job, and what is deleted after it, two hundred with a request.
    async fn many(&self, batch: &Batch, kind: &Kind, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let operations: Vec<_> = batch.records.iter().map(|record| operation(batch, record)).collect();
        let mut outcomes: Vec<Option<Outcome>> = operations.iter().map(|_| None).collect();
        let mut object = None;
        for (place, record) in batch.records.iter().enumerate() {
            outcomes[place] = match operations[place] {
                None => Some(no_operation()),
                // A mirror needs its deletions to be as fast as its writes; everywhere else they are refused, as in
                // the original.
                Some(Operation::Delete) if batch.mode != mapping::SyncMode::Mirror => Some(no_bulk_delete()),
                Some(operation) if kind.lacks_custom_fields(operation, record) => kind.incomplete(operation, record),
                Some(_) => match kind.object(record) {
                    Ok(named) if object.is_none_or(|object| object == named) => {
                        object = Some(named);
                        None
                    }
                    Ok(_) => Some(Outcome::retry("not_sent", "the records of a job must be of one object")),
                    Err(refusal) => Some(refusal),
                },
            };
        }
        let Some(object) = object else { return Ok(outcomes.into_iter().flatten().collect()) };
        let is = |place: usize, wanted: Operation| outcomes[place].is_none() && operations[place] == Some(wanted);
        let written = [Operation::Create, Operation::Update, Operation::Upsert];
        let write = (0..operations.len()).find_map(|place| written.into_iter().find(|wanted| is(place, *wanted)));
        let to_write: Vec<_> = write.map_or_else(Vec::new, |operation| {
            batch.records.iter().enumerate().map(|(place, record)| is(place, operation).then_some(record)).collect()
        });
        let to_delete: Vec<usize> = (0..operations.len()).filter(|place| is(*place, Operation::Delete)).collect();
        if let Some(operation) = write {
            let job = self.bulk(batch, object, operation, &to_write, wire).await?;
            for ((slot, outcome), record) in outcomes.iter_mut().zip(job).zip(&to_write) {
                if record.is_some() {
                    *slot = Some(outcome);
                }
            }
        }
        if !to_delete.is_empty() {
            let records: Vec<_> = to_delete.iter().map(|place| &batch.records[*place]).collect();
            let deleted = match self.erase(object, &records, wire).await {
                Err(error) if write.is_none() => return Err(error),
                Err(error) => vec![answers::outcome_of(&error); records.len()],
                Ok(deleted) => deleted,
            };
            for (place, outcome) in to_delete.into_iter().zip(deleted) {
                outcomes[place] = Some(outcome);
            }
        }
        let unsent = || Outcome::retry("not_sent", "a job does one thing; this comes with the next");
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unsent)).collect())
    }
}

fn no_operation() -> Outcome {
    Outcome::rejected("MISSING_OPERATION", "`operation` has no value; map one of create, update, upsert, delete")
}

fn no_bulk_delete() -> Outcome {
    let message = "records are not deleted in batches here; switch `enable_batching` off, or use an action that has \
                   the sync mode mirror";
    Outcome::rejected("UNSUPPORTED_OPERATION", message)
}
