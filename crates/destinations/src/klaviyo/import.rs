//! Profiles many at a time: an import job, and what it says became of each profile.

use std::collections::HashMap;
use std::time::Duration;

use kit::{Batch, DeliveryError, Job};
use records::{Object, Outcome, Value, object};

use super::api::{Api, Outcomes, Sent, get, place_in, refusal, segment};
use super::profile::{self, IDENTIFIERS, text};

const JOBS: &str = "/profile-bulk-import-jobs/";
const PROFILES: &str = "/profiles/data";
/// A job is asked about after these times, the first time at once.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// A job that takes longer is left alone; its records are in doubt.
const WAIT_MAX: Duration = Duration::from_secs(30 * 60);
/// So many times in a row a job's state may not be had.
const FAULTS_MAX: u32 = 3;

/// Imports a batch, adds its profiles to the list if there is one, and waits for the results.
pub(super) async fn deliver(api: Api<'_>, batch: &Batch, list: Option<&str>) -> Result<Vec<Outcome>, DeliveryError> {
    let mut outcomes = Outcomes::of(batch.records.len());
    let (mut places, mut profiles) = (Vec::new(), Vec::new());
    for (place, record) in batch.records.iter().enumerate() {
        match profile::attributes(&record.fields) {
            Ok(attributes) => {
                places.push(place);
                profiles.push(attributes);
            }
            Err(refusal) => outcomes.set(place, refusal),
        }
    }
    if places.is_empty() {
        return Ok(outcomes.done());
    }
    let found = match api.send_many(JOBS, &body(&profiles, list), PROFILES, places.len()).await? {
        Sent::Refused(found) => found,
        Sent::Taken(answer) => {
            let json = answer.json()?;
            let id = json.at(&["data", "id"]).and_then(Value::as_str).filter(|id| !id.is_empty());
            let id = id.ok_or_else(|| DeliveryError::UnexpectedAnswer {
                message: "profiles were taken, and the answer does not say the id of their import".to_owned(),
            })?;
            let sent = places.iter().map(|place| Value::from(i64::try_from(*place).unwrap_or(i64::MAX))).collect();
            // The import has begun. Where it cannot be noted, a crash sends its profiles again.
            let _ = batch.job_started(&object! { "job" => id, "sent" => Value::Array(sent) }).await;
            results(api, id, places.len(), &Profiles::of(&profiles)).await?
        }
    };
    for (place, outcome) in places.into_iter().zip(found) {
        outcomes.set(place, outcome);
    }
    Ok(outcomes.done())
}

fn body(profiles: &[Object], list: Option<&str>) -> Value {
    let profiles: Vec<_> = profiles
        .iter()
        .map(|attributes| object! { "type" => "profile", "attributes" => Value::Object(attributes.clone()) })
        .collect();
    let mut data = Object::new();
    data.push("type".to_owned(), "profile-bulk-import-job".into());
    data.push("attributes".to_owned(), object! { "profiles" => object! { "data" => profiles } });
    if let Some(list) = list {
        let lists = vec![object! { "type" => "list", "id" => list }];
        data.push("relationships".to_owned(), object! { "lists" => object! { "data" => lists } });
    }
    object! { "data" => data }
}

/// What became of the records of a job that was noted before the program ended.
pub(super) async fn resume(api: Api<'_>, job: &Job) -> Result<Vec<Outcome>, DeliveryError> {
    let mut outcomes = Outcomes::of(job.records.len());
    let id = job.token.get("job").and_then(Value::as_str).unwrap_or_default();
    let sent = job.token.get("sent").and_then(Value::as_array).unwrap_or_default();
    let sent: Vec<usize> = sent.iter().filter_map(|place| usize::try_from(place.as_i64()?).ok()).collect();
    let found = results(api, id, sent.len(), &Profiles::default()).await?;
    for (place, outcome) in sent.into_iter().zip(found) {
        outcomes.set(place, outcome);
    }
    Ok(outcomes.done())
}

/// The profiles of a job by what identifies them, to find the one that an error speaks of.
#[derive(Default)]
struct Profiles<'a> {
    all: &'a [Object],
    places: HashMap<(&'static str, String), Vec<usize>>,
}

impl<'a> Profiles<'a> {
    fn of(all: &'a [Object]) -> Self {
        let mut places: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, profile) in all.iter().enumerate() {
            for key in IDENTIFIERS.into_iter().filter(|key| !text(profile, key).is_empty()) {
                places.entry((key, folded(text(profile, key)))).or_default().push(place);
            }
        }
        Self { all, places }
    }

    /// The places of the profiles that an import error speaks of: it names a place, or repeats the profile.
    fn of_error(&self, error: &Value, count: usize) -> Vec<usize> {
        let pointer = error.at(&["attributes", "source", "pointer"]).and_then(Value::as_str).unwrap_or_default();
        if let Some(place) = place_in(pointer, PROFILES).filter(|place| *place < count) {
            return vec![place];
        }
        let payload = error.at(&["attributes", "original_payload"]);
        let payload = payload.map(|payload| payload.get("attributes").unwrap_or(payload)).and_then(Value::as_object);
        let Some(payload) = payload else { return Vec::new() };
        let named: Vec<_> = IDENTIFIERS.into_iter().filter(|key| !text(payload, key).is_empty()).collect();
        let Some(first) = named.first() else { return Vec::new() };
        let places = self.places.get(&(*first, folded(text(payload, first)))).cloned().unwrap_or_default();
        let same = |place: &usize| {
            let profile = self.all.get(*place);
            named.iter().all(|key| profile.is_some_and(|own| folded(text(own, key)) == folded(text(payload, key))))
        };
        places.into_iter().filter(same).collect()
    }
}

/// Klaviyo keeps addresses in lower case.
fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Waits for a job to end and reads what became of each of its profiles.
async fn results(api: Api<'_>, id: &str, count: usize, profiles: &Profiles<'_>) -> Result<Vec<Outcome>, DeliveryError> {
    let doubt = |message: String| Ok(vec![Outcome::InDoubt { message }; count]);
    let attributes = match ended(api, id).await {
        Ok(attributes) => attributes,
        Err(Unknown::Credentials(error)) => return Err(error),
        Err(Unknown::Result(message)) => return doubt(message),
    };
    if attributes.get("status").and_then(Value::as_str) != Some("complete") {
        return doubt(format!("Klaviyo gave the import `{id}` up, so some of its profiles may be missing"));
    }
    let failed = attributes.get("failed_count").and_then(Value::as_i64);
    if failed == Some(0) {
        return Ok(vec![Outcome::Delivered; count]);
    }
    let path = format!("{JOBS}{}/import-errors?page%5Bsize%5D=100", segment(id));
    let errors = match api.pages(&path, get(&path).collecting()).await {
        Ok(errors) => errors,
        Err(error @ DeliveryError::CredentialsRefused { .. }) => return Err(unreadable(error)),
        Err(error) => return doubt(format!("the errors of the import `{id}` cannot be read: {error}")),
    };
    let mut refused: HashMap<usize, Outcome> = HashMap::new();
    let mut all_known = true;
    for error in &errors {
        let places = profiles.of_error(error, count);
        all_known &= !places.is_empty();
        for place in places {
            refused.entry(place).or_insert_with(|| refusal(error.get("attributes").unwrap_or(&Value::Null)));
        }
    }
    // A profile may have several errors, and Klaviyo counts profiles.
    all_known &= failed.and_then(|failed| usize::try_from(failed).ok()).is_some_and(|failed| failed <= refused.len());
    let other = || match all_known {
        true => Outcome::Delivered,
        false => {
            Outcome::InDoubt { message: format!("the import `{id}` refused some profiles and does not say which") }
        }
    };
    Ok((0..count).map(|place| refused.remove(&place).unwrap_or_else(other)).collect())
}

/// Why the results of a job are not known.
enum Unknown {
    /// The key may write and not read.
    Credentials(DeliveryError),
    Result(String),
}

fn unreadable(error: DeliveryError) -> DeliveryError {
    let said = match error {
        DeliveryError::CredentialsRefused { message } => message,
        other => other.to_string(),
    };
    DeliveryError::CredentialsRefused {
        message: format!(
            "profiles were imported, and the results of the import cannot be read; the key needs the scopes \
             `lists:read` and `profiles:read`: {said}"
        ),
    }
}

/// The attributes of a job once it has ended.
async fn ended(api: Api<'_>, id: &str) -> Result<Value, Unknown> {
    let begun = api.wire.now();
    let (mut pause, mut faults) = (PAUSE_FIRST, 0);
    loop {
        let mut wait = pause;
        match api.read(get(&format!("{JOBS}{}", segment(id))).collecting()).await {
            Ok(job) => {
                faults = 0;
                let status = job.at(&["data", "attributes", "status"]).and_then(Value::as_str).unwrap_or_default();
                if !matches!(status, "queued" | "processing") {
                    return Ok(job.at(&["data", "attributes"]).cloned().unwrap_or_default());
                }
            }
            Err(error @ DeliveryError::CredentialsRefused { .. }) => {
                return Err(Unknown::Credentials(unreadable(error)));
            }
            Err(error @ (DeliveryError::Refused { .. } | DeliveryError::Settings { .. } | DeliveryError::Preview)) => {
                return Err(Unknown::Result(format!("the state of the import `{id}` cannot be read: {error}")));
            }
            Err(DeliveryError::RateLimited { after }) => wait = after.unwrap_or(PAUSE_MAX),
            Err(error) => {
                faults += 1;
                if faults == FAULTS_MAX {
                    return Err(Unknown::Result(format!("the state of the import `{id}` cannot be read: {error}")));
                }
            }
        }
        if Duration::try_from(api.wire.now().duration_since(begun)).is_ok_and(|waited| waited + wait > WAIT_MAX) {
            return Err(Unknown::Result(format!("the import `{id}` has not ended after half an hour")));
        }
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
