//! Consent to marketing: given by many profiles at once, or withdrawn.

use kit::{Batch, DeliveryError};
use records::{Object, Outcome, Value, object};

use super::api::{Api, Outcomes, Sent};
use super::profile::{self, text};

const PROFILES: &str = "/profiles/data";
const IDENTIFIERS: [&str; 2] = ["email", "phone_number"];
/// Profiles of one request.
const REQUEST_MAX: usize = 100;
/// Klaviyo's number for Segment as a source, which mappings that are brought over have as their default.
const SOURCE_DEFAULT: &str = "-59";

/// Records consent.
pub(super) async fn subscribe(api: Api<'_>, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
    let earlier = batch.records.first().and_then(|record| record.fields.get("historical_import"));
    let earlier = earlier.and_then(Value::as_bool).unwrap_or(false);
    deliver(
        api,
        batch,
        "/profile-subscription-bulk-create-jobs/",
        "custom_source",
        |fields| {
            let consented_at = fields.get("consented_at").filter(|_| earlier).filter(|at| at.as_str() != Some(""));
            let mut consent = Object::new();
            consent.push("consent".to_owned(), "SUBSCRIBED".into());
            if let Some(at) = consented_at {
                consent.push("consented_at".to_owned(), at.clone());
            }
            let marketing = object! { "marketing" => consent };
            profile_with(fields, &marketing, &marketing)
        },
        |profiles, source| {
            object! {
                "type" => "profile-subscription-bulk-create-job",
                "attributes" => object! {
                    "historical_import" => earlier,
                    "custom_source" => if source.is_empty() { SOURCE_DEFAULT } else { source },
                    "profiles" => object! { "data" => profiles },
                },
            }
        },
    )
    .await
}

/// Withdraws consent.
pub(super) async fn unsubscribe(api: Api<'_>, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
    // The path has no slash at its end, unlike the one above.
    deliver(
        api,
        batch,
        "/profile-subscription-bulk-delete-jobs",
        "",
        |fields| {
            let consent = || object! { "consent" => "UNSUBSCRIBED" };
            let email = object! { "marketing" => consent() };
            let sms = object! { "marketing" => consent(), "transactional" => consent() };
            profile_with(fields, &email, &sms)
        },
        |profiles, _| {
            object! {
                "type" => "profile-subscription-bulk-delete-job",
                "attributes" => object! { "profiles" => object! { "data" => profiles } },
            }
        },
    )
    .await
}

/// A profile with its consent for each way of reaching it that the record has.
fn profile_with(fields: &Object, email: &Value, sms: &Value) -> Value {
    let (mut attributes, mut subscriptions) = (Object::new(), Object::new());
    for (key, channel, consent) in [("email", "email", email), ("phone_number", "sms", sms)] {
        if !text(fields, key).is_empty() {
            attributes.push(key.to_owned(), text(fields, key).into());
            subscriptions.push(channel.to_owned(), consent.clone());
        }
    }
    attributes.push("subscriptions".to_owned(), subscriptions.into());
    object! { "type" => "profile", "attributes" => attributes }
}

/// Profiles that go to the same list with the same source.
struct Together {
    list: String,
    source: String,
    places: Vec<usize>,
    profiles: Vec<Value>,
}

async fn deliver(
    api: Api<'_>,
    batch: &Batch,
    path: &str,
    source_field: &str,
    profile: impl Fn(&Object) -> Value,
    job: impl Fn(Vec<Value>, &str) -> Value,
) -> Result<Vec<Outcome>, DeliveryError> {
    let mut outcomes = Outcomes::of(batch.records.len());
    let mut all: Vec<Together> = Vec::new();
    for (place, record) in batch.records.iter().enumerate() {
        let fields = match profile::checked(&record.fields, &IDENTIFIERS) {
            Ok(fields) => fields,
            Err(refusal) => {
                outcomes.set(place, refusal);
                continue;
            }
        };
        let (list, source) = (text(&fields, "list_id"), text(&fields, source_field));
        let same =
            |other: &&mut Together| other.list == list && other.source == source && other.places.len() < REQUEST_MAX;
        let profile = profile(&fields);
        match all.iter_mut().find(same) {
            Some(together) => {
                together.places.push(place);
                together.profiles.push(profile);
            }
            None => all.push(Together {
                list: list.to_owned(),
                source: source.to_owned(),
                places: vec![place],
                profiles: vec![profile],
            }),
        }
    }
    for Together { list, source, places, profiles } in all {
        let mut data = job(profiles, &source);
        if let Value::Object(data) = &mut data
            && !list.is_empty()
        {
            let list = object! { "data" => object! { "type" => "list", "id" => list } };
            data.push("relationships".to_owned(), object! { "list" => list });
        }
        match api.send_many(path, &object! { "data" => data }, PROFILES, places.len()).await {
            Ok(Sent::Taken(_)) => places.iter().for_each(|place| outcomes.set(*place, Outcome::Delivered)),
            Ok(Sent::Refused(found)) => {
                places.iter().zip(found).for_each(|(place, outcome)| outcomes.set(*place, outcome));
            }
            Err(DeliveryError::Refused { code, message }) => outcomes.refused(&places, code, message),
            Err(error) => return outcomes.failed(&places, error),
        }
    }
    outcomes.sent()
}
