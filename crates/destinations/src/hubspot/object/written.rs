//! Writing the records themselves, as the sync mode says, and learning their ids.

use kit::DeliveryError;
use mapping::SyncMode;
use records::{Object, Outcome, Value, object};

use super::item::Item;
use super::{Common, Outcomes};
use crate::hubspot::api::{self, Api, Batched, Finder, Said, id_of};

/// An item that HubSpot has now, with its id there.
pub(super) struct Written {
    pub(super) item: Item,
    pub(super) id: String,
}

/// Writes the items and gives those whose ids HubSpot showed.
pub(super) async fn write(
    api: Api<'_>,
    common: &Common<'_>,
    mode: SyncMode,
    items: Vec<Item>,
    outcomes: &mut Outcomes,
) -> Result<Vec<Written>, DeliveryError> {
    match mode {
        SyncMode::Update => update(api, common, items, outcomes).await,
        SyncMode::Add => add(api, common, items, outcomes).await,
        _ => upsert(api, common, items, outcomes).await,
    }
}

async fn upsert(
    api: Api<'_>,
    common: &Common<'_>,
    items: Vec<Item>,
    outcomes: &mut Outcomes,
) -> Result<Vec<Written>, DeliveryError> {
    let inputs = items.iter().map(|item| {
        object! {
            "idProperty" => common.id_property,
            "id" => item.id.as_str(),
            "properties" => with_id(item, common.id_property),
        }
    });
    let body = object! { "inputs" => inputs.collect::<Vec<_>>() };
    let answered = api.batch(common.object_type, "upsert", &body).await?;
    Ok(by_id_property(common, items, &answered, outcomes))
}

async fn update(
    api: Api<'_>,
    common: &Common<'_>,
    items: Vec<Item>,
    outcomes: &mut Outcomes,
) -> Result<Vec<Written>, DeliveryError> {
    let mut there = Vec::with_capacity(items.len());
    let read = read(api, common, &items).await?;
    let finder = finder(common, &read);
    for item in items {
        match read.read(&finder, &item.id) {
            Ok(Some(place)) => there.push(Written { id: api::shown_id(&read.results[place])?, item }),
            Ok(None) => {
                let message = format!(
                    "HubSpot has no {} with {} `{}`, and the sync mode `update` creates none",
                    common.object_type, common.id_property, item.id
                );
                outcomes.set(&item, Outcome::rejected("NOT_FOUND", message));
            }
            Err(outcome) => outcomes.set(&item, outcome),
        }
    }
    if there.is_empty() {
        return Ok(there);
    }
    let inputs = there.iter().map(|written| {
        object! {
            "idProperty" => common.id_property,
            "id" => written.item.id.as_str(),
            "properties" => all_properties(&written.item),
        }
    });
    let body = object! { "inputs" => inputs.collect::<Vec<_>>() };
    let answered = api.batch(common.object_type, "update", &body).await?;
    let by_id = Finder::new(&answered.results, id_of);
    let said = answered.said(
        &there,
        |written| by_id.place(&written.id),
        |written| vec![written.id.clone(), written.item.id.clone()],
    );
    let mut updated = Vec::with_capacity(there.len());
    for (written, said) in there.into_iter().zip(said) {
        outcomes.set(&written.item, said.outcome());
        if matches!(said, Said::Object(_) | Said::Processed) {
            updated.push(written);
        }
    }
    Ok(updated)
}

async fn add(
    api: Api<'_>,
    common: &Common<'_>,
    items: Vec<Item>,
    outcomes: &mut Outcomes,
) -> Result<Vec<Written>, DeliveryError> {
    let read = read(api, common, &items).await?;
    let finder = finder(common, &read);
    let mut new = Vec::with_capacity(items.len());
    for item in items {
        match read.read(&finder, &item.id) {
            // HubSpot has it, and the mode says to leave it as it is.
            Ok(Some(_)) => outcomes.set(&item, Outcome::Delivered),
            Ok(None) => new.push(item),
            Err(outcome) => outcomes.set(&item, outcome),
        }
    }
    let inputs = new.iter().map(|item| {
        object! { "idProperty" => common.id_property, "properties" => with_id(item, common.id_property) }
    });
    let body = object! { "inputs" => inputs.collect::<Vec<_>>() };
    let answered = match api.batch(common.object_type, "create", &body).await {
        // A batch of nothing is sent as the original does; whatever comes back changes nothing.
        Err(DeliveryError::Preview) => return Err(DeliveryError::Preview),
        _ if new.is_empty() => return Ok(Vec::new()),
        answered => answered?,
    };
    Ok(by_id_property(common, new, &answered, outcomes))
}

fn ids(items: &[Item]) -> impl Iterator<Item = &str> {
    items.iter().map(|item| item.id.as_str())
}

async fn read(api: Api<'_>, common: &Common<'_>, items: &[Item]) -> Result<Batched, DeliveryError> {
    let body = api::read_body(&[common.id_property], common.id_property, ids(items));
    api.batch(common.object_type, "read", &body).await
}

/// Finds objects by the id property.
fn finder(common: &Common<'_>, answered: &Batched) -> Finder {
    Finder::new(&answered.results, |object| {
        let shown = api::property(object, common.id_property);
        shown.or_else(|| (common.id_property == "hs_object_id").then(|| id_of(object)).flatten())
    })
}

fn by_id_property(common: &Common<'_>, items: Vec<Item>, answered: &Batched, outcomes: &mut Outcomes) -> Vec<Written> {
    let finder = finder(common, answered);
    let said = answered.said(&items, |item| finder.place(&item.id), |item| vec![item.id.clone()]);
    let mut written = Vec::with_capacity(items.len());
    for (item, said) in items.into_iter().zip(said) {
        outcomes.set(&item, said.outcome());
        let id = match said {
            Said::Object(place) => id_of(&answered.results[place]),
            _ => None,
        };
        match id {
            Some(id) => written.push(Written { item, id }),
            None => {
                // It cannot be linked or listed without its id.
                let more = !item.associations.is_empty() || !item.dissociations.is_empty() || item.in_list.is_some();
                if said == Said::Processed && more {
                    let message = "HubSpot wrote the record without showing its id, so that it is not linked or listed";
                    outcomes.set(&item, Outcome::InDoubt { message: message.to_owned() });
                }
            }
        }
    }
    written
}

fn all_properties(item: &Item) -> Object {
    let mut all = item.properties.clone();
    for (name, value) in item.sensitive.iter() {
        all.insert(name, value.clone());
    }
    all
}

fn with_id(item: &Item, id_property: &str) -> Object {
    let mut all = all_properties(item);
    all.insert(id_property, Value::from(item.id.as_str()));
    all
}
