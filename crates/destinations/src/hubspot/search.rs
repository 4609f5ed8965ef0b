//! Finding objects by their properties: with a search, or, where a property has unique values, many at once.

use std::collections::HashMap;
use std::time::Duration;

use kit::{DeliveryError, Request};
use records::{Outcome, Value, object};

use super::api::{self, Api, Finder, ORIGIN, RECORDS_MAX, shown_id};
use super::values::{segment, text_of};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    None,
    /// Its id.
    One(String),
    Several(i64),
    /// HubSpot cannot search so, and says why.
    Refused(String),
    /// Not found out for this one.
    Failed(Outcome),
}

/// What the objects that are found show.
#[derive(Clone, Copy, Default)]
pub(super) struct Show<'s> {
    pub(super) properties: &'s [&'s str],
    pub(super) sorts: &'s [&'s str],
}

pub(super) fn has_fields(fields: Option<&Value>) -> bool {
    fields.and_then(Value::as_object).is_some_and(|fields| !fields.is_empty())
}

/// The objects of which any of the properties is equal. Without properties none is found.
pub(super) async fn by_fields(
    api: Api<'_>,
    object_type: &str,
    fields: Option<&Value>,
    show: Show<'_>,
) -> Result<Found, DeliveryError> {
    let Some(fields) = fields.and_then(Value::as_object).filter(|fields| !fields.is_empty()) else {
        return Ok(Found::None);
    };
    let groups = fields.iter().map(|(name, value)| {
        let filter = object! { "propertyName" => name, "operator" => "EQ", "value" => value };
        object! { "filters" => vec![filter] }
    });
    let texts = |names: &[&str]| names.iter().copied().map(Value::from).collect::<Vec<_>>();
    let body = object! {
        "filterGroups" => groups.collect::<Vec<_>>(),
        "properties" => texts(show.properties),
        "sorts" => texts(show.sorts),
    };
    let url = format!("{ORIGIN}/crm/v3/objects/{}/search", segment(object_type));
    let answer = api.answer(Request::post(url).json(&body).reading()).await?;
    if answer.status == 400 {
        return Ok(Found::Refused(answer.message()));
    }
    let found = api.taken(&answer)?;
    let results = found.get("results").and_then(Value::as_array);
    let count = results.and_then(|results| i64::try_from(results.len()).ok());
    let Some(total) = found.get("total").and_then(Value::as_i64).or(count) else {
        return Err(api::unexpected("the answer to a search has neither `results` nor `total`"));
    };
    match (total, results.and_then(<[Value]>::first)) {
        (0, _) => Ok(Found::None),
        (1, Some(object)) => Ok(Found::One(shown_id(object)?)),
        (1, None) => Err(api::unexpected("the answer to a search counts an object and shows none")),
        (several, _) => Ok(Found::Several(several)),
    }
}

/// The same for many records. Equal wishes are searched for once; those by one property with unique values are read
/// together. A search that comes too fast ends the searching: what is known then holds, the others wait.
pub(super) async fn many(
    api: Api<'_>,
    object_type: &str,
    wishes: &[Option<&Value>],
) -> Result<Vec<Found>, DeliveryError> {
    let mut known: HashMap<String, Found> = HashMap::new();
    let mut by_property: Vec<(&str, Vec<String>)> = Vec::new();
    for wish in wishes.iter().flatten() {
        let Some((property, id)) = single(wish) else { continue };
        if !is_unique(api, object_type, property).await? {
            continue;
        }
        let ids = match by_property.iter_mut().find(|(of, _)| *of == property) {
            Some((_, ids)) => ids,
            None => {
                by_property.push((property, Vec::new()));
                let last = by_property.len() - 1;
                &mut by_property[last].1
            }
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let mut read: HashMap<(&str, String), Found> = HashMap::new();
    for (property, ids) in &by_property {
        for ids in ids.chunks(RECORDS_MAX) {
            read_some(api, object_type, property, ids, &mut read).await?;
        }
    }
    let mut found = Vec::with_capacity(wishes.len());
    let mut too_fast = None;
    for wish in wishes {
        let Some(wish) = wish else {
            found.push(Found::None);
            continue;
        };
        let together = single(wish).and_then(|(property, id)| read.get(&(property, id)));
        let alone = wish.to_json();
        found.push(match (together, known.get(&alone)) {
            (Some(found), _) | (None, Some(found)) => found.clone(),
            (None, None) => match &too_fast {
                Some(after) => Found::Failed(wait(*after)),
                None => match by_fields(api, object_type, Some(wish), Show::default()).await {
                    Err(DeliveryError::RateLimited { after }) if !(read.is_empty() && known.is_empty()) => {
                        too_fast = Some(after);
                        Found::Failed(wait(after))
                    }
                    searched => {
                        let found = searched?;
                        known.insert(alone, found.clone());
                        found
                    }
                },
            },
        });
    }
    Ok(found)
}

fn wait(after: Option<Duration>) -> Outcome {
    let limited = DeliveryError::RateLimited { after };
    Outcome::Retry { after, code: "rate_limited".to_owned(), message: limited.to_string() }
}

/// The property and its value, where a wish has one only.
fn single(wish: &Value) -> Option<(&str, String)> {
    let mut fields = wish.as_object()?.iter();
    match (fields.next(), fields.next()) {
        (Some((name, Value::Text(text))), None) if !text.is_empty() => Some((name, text.clone())),
        (Some((name, value @ Value::Int(_))), None) => Some((name, text_of(value))),
        _ => None,
    }
}

async fn is_unique(api: Api<'_>, object_type: &str, property: &str) -> Result<bool, DeliveryError> {
    let of_contacts = matches!(object_type, "contact" | "contacts" | "0-1") && property == "email";
    if property == "hs_object_id" || of_contacts {
        return Ok(true);
    }
    let now = api.wire.now().as_second();
    let key = (object_type.to_owned(), property.to_owned());
    if let Some(unique) = api.cache.unique.get(&key, now) {
        return Ok(unique);
    }
    let url = format!("{ORIGIN}/crm/v3/properties/{}/{}", segment(object_type), segment(property));
    let answer = api.answer(Request::get(url).reading()).await?;
    // What is wrong with a property that does not exist, the search says better.
    let unique = !matches!(answer.status, 400 | 404)
        && api.taken(&answer)?.get("hasUniqueValue").and_then(Value::as_bool) == Some(true);
    api.cache.unique.put(key, unique, now);
    Ok(unique)
}

async fn read_some<'p>(
    api: Api<'_>,
    object_type: &str,
    property: &'p str,
    ids: &[String],
    read: &mut HashMap<(&'p str, String), Found>,
) -> Result<(), DeliveryError> {
    let mut body = api::read_body(&[property], property, ids.iter().map(String::as_str));
    if let Value::Object(body) = &mut body
        && property == "hs_object_id"
    {
        body.remove("idProperty");
    }
    let answered = api.batch(object_type, "read", &body).await?;
    let finder = Finder::new(&answered.results, |object| match property {
        "hs_object_id" => api::id_of(object),
        _ => api::property(object, property),
    });
    for id in ids {
        let found = match answered.read(&finder, id) {
            Ok(Some(place)) => Found::One(shown_id(&answered.results[place])?),
            Ok(None) => Found::None,
            Err(outcome) => Found::Failed(outcome),
        };
        read.insert((property, id.clone()), found);
    }
    Ok(())
}

/// The fields of a record to find an object by, if there are any.
pub(super) fn wish<'f>(fields: &'f Value, key: &str) -> Option<&'f Value> {
    fields.get(key).filter(|wish| has_fields(Some(wish)))
}
