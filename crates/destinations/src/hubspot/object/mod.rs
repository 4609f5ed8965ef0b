//! Records of any object type, found by a unique property: written, linked with others, put into lists.

mod associated;
mod item;
mod lists;
mod properties;
mod written;

use kit::{Batch, DeliveryError};
use records::{Outcome, Value};

use super::api::Api;
use super::links::Change;
use super::values::text;
use item::Item;
pub(super) use properties::PropertyTypes;

/// What all records of a batch agree in.
struct Common<'b> {
    object_type: &'b str,
    id_property: &'b str,
    property_group: Option<&'b str>,
    creates_associated: bool,
}

/// Records with another object type, id property, property group, way of associating or list go into another batch.
pub(super) fn group(fields: &Value) -> String {
    let detail = |key: &str| fields.at(&["object_details", key]).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = lists::wish(fields);
    let list_name = list.as_ref().map(|list| list.name.clone()).unwrap_or_default();
    let creates = list.is_some_and(|list| list.create);
    let parts = [
        detail("object_type"),
        detail("id_field_name"),
        detail("property_group"),
        text(fields, "association_sync_mode").unwrap_or_default().to_owned(),
        list_name,
        creates.to_string(),
    ];
    parts.join("\n")
}

pub(super) async fn deliver(api: Api<'_>, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
    let Some(first) = batch.records.first().map(|record| &record.fields) else { return Ok(Vec::new()) };
    let detail = |key: &str| first.at(&["object_details", key]).and_then(Value::as_str).filter(|text| !text.is_empty());
    let common = Common {
        object_type: detail("object_type").unwrap_or_default(),
        id_property: detail("id_field_name").unwrap_or_default(),
        property_group: detail("property_group"),
        creates_associated: text(first, "association_sync_mode") != Some("read"),
    };
    let mut outcomes = Outcomes(batch.records.iter().map(|_| None).collect());
    let mut items = item::items(batch, &mut outcomes, api.wire.now().as_millisecond());
    if items.is_empty() {
        return Ok(outcomes.finished());
    }
    properties::ensure(api, &common, &mut items, &mut outcomes).await?;
    if items.is_empty() {
        return Ok(outcomes.finished());
    }
    let list = match lists::wish(first) {
        Some(wish) => match lists::ensure(api, common.object_type, &wish).await? {
            Ok(list) => Some(list),
            Err(refusal) => {
                items.iter().for_each(|item| outcomes.set(item, refusal.clone()));
                return Ok(outcomes.finished());
            }
        },
        None => None,
    };
    let written = written::write(api, &common, batch.mode, items, &mut outcomes).await?;
    associated::change(api, &common, Change::Make, &written, &mut outcomes).await?;
    associated::change(api, &common, Change::Remove, &written, &mut outcomes).await?;
    if let Some(list) = list {
        lists::send(api, &list, &written, &mut outcomes).await?;
    }
    Ok(outcomes.finished())
}

/// What became of each record of the batch.
struct Outcomes(Vec<Option<Outcome>>);

impl Outcomes {
    /// Sets it for all records of an item.
    fn set(&mut self, item: &Item, outcome: Outcome) {
        for record in &item.records {
            self.0[*record] = Some(outcome.clone());
        }
    }

    /// Sets it where what came before went well: the first failure is the one that is told.
    fn fail(&mut self, item: &Item, outcome: Outcome) {
        for record in &item.records {
            if self.0[*record].as_ref().is_none_or(Outcome::is_delivered) {
                self.0[*record] = Some(outcome.clone());
            }
        }
    }

    fn finished(self) -> Vec<Outcome> {
        let unknown = || Outcome::InDoubt { message: "HubSpot's answers say nothing about this record".to_owned() };
        self.0.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect()
    }
}
