//! Static lists: found by name, created if wanted, members added and removed.

use kit::{DeliveryError, Request};
use records::{Outcome, Value, object};

use super::Outcomes;
use super::written::Written;
use crate::hubspot::api::{Api, ORIGIN, unexpected};
use crate::hubspot::values::{segment, text, text_of, trimmed};

/// The list that a record's fields name, and whether the record belongs in it.
#[derive(Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) name: String,
    pub(super) belongs: bool,
    pub(super) create: bool,
}

/// None: no list is meant. A list is meant when its name and the membership are given, or when the record comes from
/// an audience of Segment Engage and is connected to it.
pub(super) fn wish(fields: &Value) -> Option<Wish> {
    let detail = |key: &str| fields.at(&["list_details", key]);
    let flag = |key: &str| detail(key).and_then(Value::as_bool);
    let name = detail("list_name").and_then(Value::as_str);
    let create = flag("should_create_list");
    if flag("connected_to_engage_audience")? {
        let key = text(fields, "computation_key").filter(|key| !key.is_empty())?;
        text(fields, "computation_class").filter(|class| matches!(*class, "audience" | "journey_step"))?;
        let belongs = fields.at(&["traits_or_props", key]).and_then(Value::as_bool)?;
        let name = name.filter(|name| !name.is_empty()).unwrap_or(key);
        return Some(Wish { name: name.to_owned(), belongs, create: create.unwrap_or(false) });
    }
    let name = name.map(trimmed).filter(|name| !name.is_empty())?;
    Some(Wish { name: name.to_owned(), belongs: flag("list_action")?, create: create? })
}

/// A list that HubSpot has.
pub(super) struct List {
    key: (String, String),
    id: String,
}

/// Finds the list, or creates it.
pub(super) async fn ensure(
    api: Api<'_>,
    object_type: &str,
    wish: &Wish,
) -> Result<Result<List, Outcome>, DeliveryError> {
    let now = api.wire.now().as_second();
    let key = (object_type.to_owned(), wish.name.clone());
    if let Some(id) = api.cache.lists.get(&key, now) {
        return Ok(Ok(List { key, id }));
    }
    let url = format!("{ORIGIN}/crm/v3/lists/object-type-id/{}/name/{}", segment(object_type), segment(&wish.name));
    let answer = api.answer(Request::get(url).reading()).await?;
    let id = match answer.status {
        404 if !wish.create => {
            let message =
                format!("HubSpot has no list `{}`; create it there, or set `should_create_list` to true", wish.name);
            return Ok(Err(Outcome::rejected("LIST_MISSING", message)));
        }
        404 => match create(api, object_type, &wish.name).await {
            Ok(Ok(id)) => id,
            Ok(Err(outcome)) => return Ok(Err(outcome)),
            // A preview creates nothing; its name stands for the list in the requests that follow.
            Err(DeliveryError::Preview) => return Ok(Ok(List { key, id: wish.name.clone() })),
            Err(error) => return Err(error),
        },
        _ => {
            let read = api.taken(&answer)?;
            let kind = read.at(&["list", "processingType"]).map(text_of).unwrap_or_default();
            if kind != "MANUAL" {
                let message = format!(
                    "the list `{}` is not static ({kind}), so that HubSpot alone decides who is in it",
                    wish.name
                );
                return Ok(Err(Outcome::rejected("LIST_NOT_STATIC", message)));
            }
            list_id(&read)?
        }
    };
    api.cache.lists.put(key.clone(), id.clone(), now);
    Ok(Ok(List { key, id }))
}

async fn create(api: Api<'_>, object_type: &str, name: &str) -> Result<Result<String, Outcome>, DeliveryError> {
    let body = object! { "name" => name, "objectTypeId" => object_type, "processingType" => "MANUAL" };
    let answer = api.answer(Request::post(format!("{ORIGIN}/crm/v3/lists")).json(&body)).await?;
    if (400..500).contains(&answer.status)
        && let Ok(refusal) = answer.json()
        && text(&refusal, "subCategory") == Some("ILS.DUPLICATE_LIST_NAMES")
    {
        return Ok(Err(Outcome::retry("LIST_EXISTS", "another call created the list in the meantime")));
    }
    match api.taken(&answer) {
        Ok(created) => Ok(Ok(list_id(&created)?)),
        Err(DeliveryError::Refused { code, message }) => {
            Ok(Err(Outcome::rejected(code, format!("HubSpot does not create the list `{name}`: {message}"))))
        }
        Err(failure) => Err(failure),
    }
}

fn list_id(answer: &Value) -> Result<String, DeliveryError> {
    let id = answer.at(&["list", "listId"]).filter(|id| !id.is_null()).map(text_of);
    id.filter(|id| !id.is_empty()).ok_or_else(|| unexpected("the answer shows no list with a `listId`"))
}

/// Puts the written records into the list, or takes them out.
pub(super) async fn send(
    api: Api<'_>,
    list: &List,
    written: &[Written],
    outcomes: &mut Outcomes,
) -> Result<(), DeliveryError> {
    let members = |belongs: bool| {
        let ids = written.iter().filter(|written| written.item.in_list == Some(belongs));
        ids.map(|written| Value::from(written.id.as_str())).collect::<Vec<_>>()
    };
    let body = object! { "recordIdsToAdd" => members(true), "recordIdsToRemove" => members(false) };
    let url = format!("{ORIGIN}/crm/v3/lists/{}/memberships/add-and-remove", segment(&list.id));
    let answer = api.answer(Request::put(url).json(&body)).await?;
    if answer.status == 404 {
        // It was deleted since it was found; the next attempt looks for it again.
        api.cache.lists.forget(&list.key);
        return Err(DeliveryError::Failed { code: "list_gone".to_owned(), message: answer.message() });
    }
    if let Some(failure) = answer.failure(api.statuses) {
        return Err(failure);
    }
    if answer.body.is_empty() {
        return Ok(());
    }
    let answer = answer.json()?;
    let missing = answer.get("recordIdsMissing").and_then(Value::as_array).unwrap_or_default();
    let missing: Vec<_> = missing.iter().map(text_of).collect();
    for written in written.iter().filter(|written| missing.contains(&written.id)) {
        let message = "the record was written, but HubSpot did not find it when its membership was to change";
        outcomes.fail(&written.item, Outcome::rejected("LIST_MEMBERSHIP", message));
    }
    Ok(())
}
