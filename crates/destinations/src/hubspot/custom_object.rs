//! Deals, tickets and custom objects, found by whatever properties a mapping names, and linked with one other record.

use std::collections::HashSet;
use std::time::Duration;

use kit::{Batch, DeliveryError, Request};
use records::{Outcome, Value, object};

use super::api::{Api, ORIGIN, shown_id};
use super::links::{self, Change, Link};
use super::search::{self, Found, Show, wish};
use super::values::{flattened, is_truthy, number_of, segment, text};
use super::writes::Writes;

/// What is created is not found by a search at once.
const UNTIL_FOUND: Duration = Duration::from_secs(30);

/// The kind of link that a label names: category and number.
struct Label {
    category: Value,
    type_id: Value,
}

impl Label {
    /// `HUBSPOT_DEFINED:5`.
    fn of(fields: &Value) -> Option<Self> {
        let label = text(fields, "associationLabel").filter(|label| !label.is_empty())?;
        let mut parts = label.split(':');
        let category = Value::from(parts.next().unwrap_or_default());
        let type_id = parts.next().and_then(|number| number_of(&Value::from(number))).unwrap_or_default();
        Some(Self { category, type_id })
    }

    fn link(&self, of: usize, from: &str, to: &str) -> Link {
        let (category, type_id) = (self.category.clone(), self.type_id.clone());
        Link { of, from: from.to_owned(), to: to.to_owned(), category, type_id }
    }

    /// As it stands in what is created.
    fn association(&self, to: &str) -> Value {
        object! { "to" => object! { "id" => to }, "types" => self.link(0, "", to).types() }
    }
}

/// What a record is to be linked with.
struct Target<'f> {
    object_type: &'f str,
    label: Label,
    wish: &'f Value,
}

fn target(fields: &Value) -> Option<Target<'_>> {
    let object_type = text(fields, "toObjectType").filter(|object_type| !object_type.is_empty())?;
    let wish = wish(fields, "searchFieldsToAssociateCustomObjects")?;
    Some(Target { object_type, label: Label::of(fields)?, wish })
}

fn properties(fields: &Value) -> Value {
    Value::Object(flattened(fields.get("properties")).unwrap_or_default())
}

fn may_create(fields: &Value) -> bool {
    fields.get("createNewCustomRecord").is_none_or(|create| create.is_null() || is_truthy(Some(create)))
}

fn not_found() -> Outcome {
    Outcome::rejected("NOT_FOUND", "no record fits `customObjectSearchFields`, and `createNewCustomRecord` is off")
}

/// What the search for the record itself ends the matter with, if it does.
fn refusal(found: &Found) -> Option<Outcome> {
    match found {
        Found::None | Found::One(_) => None,
        Found::Failed(outcome) => Some(outcome.clone()),
        Found::Several(count) => Some(Outcome::rejected(
            "RECORD_NOT_UNIQUE",
            format!("{count} records fit `customObjectSearchFields`, so none is updated; make the search unique"),
        )),
        Found::Refused(reason) => Some(Outcome::rejected(
            "RECORD_SEARCH_FAILED",
            format!(
                "HubSpot refused the search for the record: {reason}; see that `customObjectSearchFields` names properties of the object type"
            ),
        )),
    }
}

/// What the search for the other record ends the matter with, before anything is written.
fn target_refusal(found: &Found) -> Option<Outcome> {
    match found {
        Found::Failed(outcome) => Some(outcome.clone()),
        Found::Refused(reason) => Some(Outcome::rejected(
            "ASSOCIATION_SEARCH_FAILED",
            format!(
                "HubSpot refused the search for the record to link with: {reason}; see that `searchFieldsToAssociateCustomObjects` names properties of the other object type"
            ),
        )),
        _ => None,
    }
}

/// What becomes of a record that was written.
fn written(target: &Found) -> Outcome {
    match target {
        Found::Several(count) => Outcome::rejected(
            "ASSOCIATION_NOT_UNIQUE",
            format!(
                "the record was written, but not linked: {count} records fit `searchFieldsToAssociateCustomObjects`; make the search unique"
            ),
        ),
        _ => Outcome::Delivered,
    }
}

/// Updates or creates one record.
pub(super) async fn deliver_one(api: Api<'_>, fields: &Value) -> Result<Outcome, DeliveryError> {
    let object_type = text(fields, "objectType").unwrap_or_default();
    let found = search::by_fields(api, object_type, wish(fields, "customObjectSearchFields"), Show::default()).await?;
    if let Found::Refused(_) = found {
        return Ok(refusal(&found).unwrap_or_else(not_found));
    }
    let target = target(fields);
    let other = match &target {
        Some(target) => search::by_fields(api, target.object_type, Some(target.wish), Show::default()).await?,
        None => Found::None,
    };
    if let Some(refusal) = target_refusal(&other) {
        return Ok(refusal);
    }
    if let Some(refusal) = refusal(&found) {
        return Ok(refusal);
    }
    let properties = properties(fields);
    let place = format!("{ORIGIN}/crm/v3/objects/{}", segment(object_type));
    match (&found, &other, &target) {
        (Found::One(id), other, target) => {
            let body = object! { "properties" => properties };
            shown_id(&api.json(Request::patch(format!("{place}/{}", segment(id))).json(&body)).await?)?;
            if let (Found::One(to), Some(target)) = (other, target) {
                let url = format!(
                    "{ORIGIN}/crm/v4/objects/{}/{}/associations/{}/{}",
                    segment(object_type),
                    segment(id),
                    segment(target.object_type),
                    segment(to)
                );
                let request = Request::put(url).json(&target.label.link(0, id, to).types());
                let answer = api.answer(request).await?;
                api.acknowledged(&answer)?;
            }
        }
        _ if !may_create(fields) => return Ok(not_found()),
        (_, other, target) => {
            let association = match (other, target) {
                (Found::One(to), Some(target)) => vec![target.label.association(to)],
                _ => Vec::new(),
            };
            let body = object! { "properties" => properties, "associations" => association };
            shown_id(&api.json(Request::post(place).json(&body)).await?)?;
        }
    }
    Ok(written(&other))
}

/// Records of a batch agree in this.
pub(super) fn group(fields: &Value) -> String {
    let of = |key: &str| text(fields, key).unwrap_or_default().to_owned();
    [of("objectType"), of("toObjectType")].join("\n")
}

/// Updates and creates many records of one object type, each with one request, and links them with another.
pub(super) async fn deliver_batch(api: Api<'_>, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
    let fields: Vec<&Value> = batch.records.iter().map(|record| &record.fields).collect();
    let object_type = fields.first().and_then(|fields| text(fields, "objectType")).unwrap_or_default();
    let mut outcomes: Vec<Option<Outcome>> = fields.iter().map(|_| None).collect();

    let wishes: Vec<_> = fields.iter().map(|fields| wish(fields, "customObjectSearchFields")).collect();
    let found = search::many(api, object_type, &wishes).await?;
    let mut seen = HashSet::new();
    for (record, wish) in wishes.iter().enumerate() {
        if wish.is_some_and(|wish| !seen.insert(wish.to_json())) {
            outcomes[record] = Some(Outcome::Retry {
                after: (found[record] == Found::None).then_some(UNTIL_FOUND),
                code: "SAME_RECORD".to_owned(),
                message: "another record of the batch has the same search fields; sent again after it".to_owned(),
            });
        }
    }
    // Of what is not written now, the other record is not searched for: searches are few.
    let is_open = |record: usize| outcomes[record].is_none() && refusal(&found[record]).is_none();
    let targets = fields.iter().enumerate().map(|(record, fields)| target(fields).filter(|_| is_open(record)));
    let targets: Vec<_> = targets.collect();
    let others = match targets.iter().flatten().next() {
        Some(first) => {
            let wishes: Vec<_> = targets.iter().map(|target| target.as_ref().map(|target| target.wish)).collect();
            search::many(api, first.object_type, &wishes).await?
        }
        None => vec![Found::None; fields.len()],
    };

    let (mut updates, mut creates, mut links) = (Writes::updates(), Writes::creates(), Vec::new());
    for (record, fields) in fields.iter().enumerate() {
        if outcomes[record].is_some() {
            continue;
        }
        outcomes[record] = target_refusal(&others[record]).or_else(|| refusal(&found[record]));
        if outcomes[record].is_some() {
            continue;
        }
        let linked = match (&others[record], &targets[record]) {
            (Found::One(to), Some(target)) => Some((to, target)),
            _ => None,
        };
        outcomes[record] = match &found[record] {
            Found::One(id) => {
                links.extend(linked.map(|(to, target)| target.label.link(record, id, to)));
                updates.add(record, Some(id.clone()), &properties(fields), None)
            }
            _ if !may_create(fields) => Some(not_found()),
            _ => {
                let association = linked.map(|(to, target)| target.label.association(to));
                creates.add(record, None, &properties(fields), association)
            }
        };
    }
    updates.send(api, object_type, &mut outcomes).await?;
    let delivered = |outcome: &Option<Outcome>| outcome.as_ref().is_some_and(Outcome::is_delivered);
    links.retain(|link| delivered(&outcomes[link.of]));
    if let Some(target) = targets.iter().flatten().next() {
        for (record, outcome) in links::change(api, Change::Make, object_type, target.object_type, &links).await? {
            outcomes[record] = Some(outcome);
        }
    }
    // Last: after a fault the whole batch comes again, and a search does not find at once what was created.
    creates.send(api, object_type, &mut outcomes).await?;

    for (record, outcome) in outcomes.iter_mut().enumerate() {
        if delivered(outcome) {
            *outcome = Some(written(&others[record]));
        }
    }
    let unknown = || Outcome::InDoubt { message: "nothing is known of this record".to_owned() };
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect())
}
