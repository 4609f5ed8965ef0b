//! Profiles taken off a list: searched by what identifies them, then removed together.

use std::collections::HashSet;

use http::Method;
use kit::{Batch, DeliveryError};
use records::{Object, Outcome, Value, object};

use super::api::{Api, Outcomes, get, segment};
use super::profile::{self, IDENTIFIERS, text};

/// Takes the records' profiles off their list. In a batch, a profile that is not in Klaviyo is on no list either.
pub(super) async fn deliver(api: Api<'_>, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
    let mut outcomes = Outcomes::of(batch.records.len());
    let (mut places, mut records) = (Vec::new(), Vec::new());
    for (place, record) in batch.records.iter().enumerate() {
        match profile::checked(&record.fields, &IDENTIFIERS) {
            Ok(fields) => {
                places.push(place);
                records.push(fields);
            }
            Err(refusal) => outcomes.set(place, refusal),
        }
    }
    let Some(list) = records.first().map(|fields| text(fields, "list_id")) else { return Ok(outcomes.done()) };
    let mut found = Found::default();
    for key in IDENTIFIERS {
        let values: Vec<&str> = records.iter().map(|fields| text(fields, key)).filter(|v| !v.is_empty()).collect();
        if !values.is_empty() {
            found.search(api, key, &values).await?;
        }
    }
    if !found.ids.is_empty() {
        let members: Vec<_> = found.ids.iter().map(|id| object! { "type" => "profile", "id" => id.as_str() }).collect();
        let path = format!("/lists/{}/relationships/profiles/", segment(list));
        api.taken(Method::DELETE, &path, &object! { "data" => members }, 204).await?;
    }
    for (place, fields) in places.into_iter().zip(&records) {
        let outcome = match found.is_unsure(fields) {
            true => Outcome::InDoubt { message: "not all profiles could be searched for".to_owned() },
            false if found.ids.is_empty() && !batch.batching => {
                Outcome::rejected("no_profile", "no profile has one of the identifiers, so none was taken off the list")
            }
            false => Outcome::Delivered,
        };
        outcomes.set(place, outcome);
    }
    Ok(outcomes.done())
}

/// The profiles that were found.
#[derive(Default)]
struct Found {
    /// Their ids, each once, in the order they came.
    ids: Vec<String>,
    /// What was searched for and could not be.
    unsure: HashSet<String>,
}

impl Found {
    /// Finds the profiles that have one of the values in that field.
    async fn search(&mut self, api: Api<'_>, key: &str, values: &[&str]) -> Result<(), DeliveryError> {
        // A value that would end the filter, or the URL's query, never stands in one as it is.
        let raw: Vec<&str> = values.iter().copied().filter(|value| !ends_filter(value)).collect();
        let mut known = HashSet::new();
        if !raw.is_empty() {
            let path = format!(r#"/profiles/?filter=any({key},["{}"])"#, raw.join(r#"",""#));
            known = self.take(key, api.pages(&path, get(&path)).await?);
        }
        // The original writes values into the URL as they are, where a `+` means a space. Those that are not found
        // so are searched for once more, encoded.
        let again: Vec<&str> =
            values.iter().copied().filter(|value| !is_plain(value) && !known.contains(&folded(value))).collect();
        if again.is_empty() {
            return Ok(());
        }
        let quoted: Vec<_> =
            again.iter().map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))).collect();
        let filter = format!("any({key},[{}])", quoted.join(","));
        let path = format!("/profiles/?filter={}", segment(&filter));
        match api.pages(&path, get(&path).collecting()).await {
            Ok(profiles) => {
                self.take(key, profiles);
            }
            Err(error @ (DeliveryError::CredentialsRefused { .. } | DeliveryError::Preview)) => return Err(error),
            Err(_) => self.unsure.extend(again.into_iter().map(str::to_owned)),
        }
        Ok(())
    }

    /// Keeps the ids, and gives the values that the profiles have in that field.
    fn take(&mut self, key: &str, profiles: Vec<Value>) -> HashSet<String> {
        let mut known = HashSet::new();
        for profile in &profiles {
            let Some(id) = profile.get("id").and_then(Value::as_str) else { continue };
            known.extend(profile.at(&["attributes", key]).and_then(Value::as_str).map(folded));
            if !self.ids.iter().any(|other| other == id) {
                self.ids.push(id.to_owned());
            }
        }
        known
    }

    fn is_unsure(&self, fields: &Object) -> bool {
        IDENTIFIERS.iter().any(|key| self.unsure.contains(text(fields, key)))
    }
}

/// Whether a text, written as it is, would be read as more than a value: of the filter, or of the URL.
fn ends_filter(text: &str) -> bool {
    text.chars().any(|letter| letter.is_control() || matches!(letter, '&' | '#' | '%' | '"' | '\\'))
}

/// Whether a text means itself in a URL.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte))
}

/// Klaviyo keeps addresses in lower case.
fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}
