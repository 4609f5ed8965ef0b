//! Profiles one at a time: made, brought up to date, and added to a list.

use http::Method;
use kit::{Answer, DeliveryError};
use records::{Outcome, Value, object};

use super::api::{Api, segment};
use super::profile;

/// Makes the profile or brings it up to date, then adds it to the list if there is one.
pub(super) async fn upsert(api: Api<'_>, fields: &Value, list: Option<&str>) -> Result<Outcome, DeliveryError> {
    let attributes = match profile::attributes(fields) {
        Ok(attributes) => Value::Object(attributes),
        Err(refusal) => return Ok(refusal),
    };
    let body = object! { "data" => object! { "type" => "profile", "attributes" => &attributes } };
    let answer = api.send(Method::POST, "/profiles/", &body).await?;
    let id = match duplicate(&answer) {
        Some(id) => {
            let data = object! { "type" => "profile", "id" => id.as_str(), "attributes" => attributes };
            let path = format!("/profiles/{}", segment(&id));
            let answer = api.taken(Method::PATCH, &path, &object! { "data" => data }, 200).await?;
            answer.json()?;
            id
        }
        None => made(api, &answer)?,
    };
    match list {
        Some(list) => add_to_list(api, &id, list, "the profile is saved").await,
        None => Ok(Outcome::Delivered),
    }
}

/// Makes the profile if it is not there, and adds it to the list. A profile that is there stays as it is.
pub(super) async fn add(api: Api<'_>, fields: &Value) -> Result<Outcome, DeliveryError> {
    let attributes = match profile::attributes(fields) {
        Ok(attributes) => attributes,
        Err(refusal) => return Ok(refusal),
    };
    let list = fields.get("list_id").and_then(Value::as_str).unwrap_or_default();
    let body = object! { "data" => object! { "type" => "profile", "attributes" => attributes } };
    let answer = api.send(Method::POST, "/profiles/", &body).await?;
    let id = match duplicate(&answer) {
        Some(id) => id,
        None => made(api, &answer)?,
    };
    add_to_list(api, &id, list, "the profile is there").await
}

/// The id of the profile that is there already.
fn duplicate(answer: &Answer) -> Option<String> {
    if answer.status != 409 {
        return None;
    }
    let json = answer.json().ok()?;
    let error = json.get("errors")?.as_array()?.first()?;
    let id = error.at(&["meta", "duplicate_profile_id"])?.as_str()?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// The id of the profile that was made.
fn made(api: Api<'_>, answer: &Answer) -> Result<String, DeliveryError> {
    api.expect(answer, 201)?;
    let json = answer.json()?;
    let id = json.at(&["data", "id"]).and_then(Value::as_str).filter(|id| !id.is_empty());
    id.map(str::to_owned).ok_or_else(|| DeliveryError::UnexpectedAnswer {
        message: "the profile was made, and the answer does not say its id".to_owned(),
    })
}

async fn add_to_list(api: Api<'_>, id: &str, list: &str, before: &str) -> Result<Outcome, DeliveryError> {
    let member = object! { "type" => "profile", "id" => id };
    let path = format!("/lists/{}/relationships/profiles/", segment(list));
    match api.taken(Method::POST, &path, &object! { "data" => vec![member] }, 204).await {
        Ok(_) => Ok(Outcome::Delivered),
        Err(DeliveryError::Refused { code, message }) => {
            Ok(Outcome::rejected(code, format!("{before}, but not on the list `{list}`: {message}")))
        }
        Err(error) => Err(error),
    }
}
