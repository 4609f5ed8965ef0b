//! The properties that records set: compared with what HubSpot has, and created where it lacks them.

use std::collections::HashMap;

use kit::{DeliveryError, Request};
use records::{Object, Outcome, Value, object};

use super::item::Item;
use super::{Common, Outcomes};
use crate::hubspot::api::{Api, ORIGIN};
use crate::hubspot::values::{TextKind, segment, text, text_kind};

/// The type and field type of each property that HubSpot has, by name.
pub(in crate::hubspot) type PropertyTypes = HashMap<String, (String, String)>;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Boolean,
    Date,
    DateTime,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Kind::Boolean,
            Value::Int(_) | Value::Float(_) | Value::Decimal(_) => Kind::Number,
            Value::Text(text) => match text_kind(text) {
                TextKind::Plain => Kind::Text,
                TextKind::Date => Kind::Date,
                TextKind::DateTime => Kind::DateTime,
            },
            Value::Null | Value::Array(_) | Value::Object(_) => Kind::Text,
        }
    }

    /// The type and field type that a property is created with.
    fn types(self) -> (&'static str, &'static str) {
        match self {
            Kind::Text => ("string", "text"),
            Kind::Number => ("number", "number"),
            Kind::Boolean => ("enumeration", "booleancheckbox"),
            Kind::Date => ("date", "date"),
            Kind::DateTime => ("datetime", "date"),
        }
    }

    fn fits(self, (kind, field): (&str, &str)) -> Fit {
        match (kind, field) {
            has if has == self.types() => Fit::Fits,
            ("string", "textarea") if self == Kind::Text => Fit::Fits,
            ("string", "text" | "textarea")
            | ("number", "number")
            | ("date" | "datetime", "date")
            | ("enumeration", "booleancheckbox") => Fit::Differs,
            // Choices, files, owners and the like: HubSpot itself sees whether the value is one.
            _ => Fit::Fits,
        }
    }
}

#[derive(PartialEq)]
enum Fit {
    Fits,
    Differs,
}

/// A property that records set, with the kind of the last one's value.
struct Wanted {
    name: String,
    kind: Kind,
}

/// Sees that HubSpot has the properties that the items set. Items whose properties it will not have are refused and
/// taken out.
pub(super) async fn ensure(
    api: Api<'_>,
    common: &Common<'_>,
    items: &mut Vec<Item>,
    outcomes: &mut Outcomes,
) -> Result<(), DeliveryError> {
    let now = api.wire.now().as_second();
    let mut missing = Vec::new();
    // Both are read before either is judged.
    let mut known = Vec::new();
    for sensitive in [false, true] {
        known.push(types(api, common.object_type, sensitive, items, now).await?);
    }
    for (sensitive, known) in [false, true].into_iter().zip(&known) {
        let Some(known) = known else { continue };
        // A type that differs is the fault of the records that have it; what is left may want something else.
        while let Some((name, kind, has)) =
            wanted(items, sensitive).into_iter().find_map(|wanted| differing(wanted, known))
        {
            let message = format!(
                "the value of `{name}` is of type {}, HubSpot's property is of type {} ({}); map a fitting value, or change the property",
                kind.types().0,
                has.0,
                has.1
            );
            let outcome = Outcome::rejected("PROPERTY_TYPE", message);
            refuse(items, outcomes, &outcome, |item| of(item, sensitive).get(&name).map(Kind::of) == Some(kind));
        }
        let lacking = wanted(items, sensitive).into_iter().filter(|wanted| !known.contains_key(&wanted.name));
        missing.extend(lacking.map(|wanted| (wanted, sensitive)));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let sets_missing =
        |item: &Item| missing.iter().any(|(wanted, sensitive)| of(item, *sensitive).contains_key(&wanted.name));
    let names = || missing.iter().map(|(wanted, _)| format!("`{}`", wanted.name)).collect::<Vec<_>>().join(", ");
    let Some(group) = common.property_group else {
        let message = format!(
            "HubSpot lacks the properties {}; choose a `property_group` to create them in, or leave them out",
            names()
        );
        refuse(items, outcomes, &Outcome::rejected("PROPERTIES_MISSING", message), sets_missing);
        return Ok(());
    };
    match create(api, common.object_type, group, &missing).await {
        Ok(()) => {}
        Err(DeliveryError::Refused { code, message }) => {
            let message = format!("HubSpot does not create the properties {}: {message}", names());
            refuse(items, outcomes, &Outcome::rejected(code, message), sets_missing);
            return Ok(());
        }
        // A preview creates nothing, and goes on to the requests that follow.
        Err(DeliveryError::Preview) => return Ok(()),
        Err(failure) => return Err(failure),
    }
    for (sensitive, known) in [false, true].into_iter().zip(known) {
        let Some(mut known) = known else { continue };
        for (wanted, _) in missing.iter().filter(|(_, of)| *of == sensitive) {
            let (kind, field) = wanted.kind.types();
            known.insert(wanted.name.clone(), (kind.to_owned(), field.to_owned()));
        }
        api.cache.properties.put((common.object_type.to_owned(), sensitive), known, now);
    }
    Ok(())
}

fn of(item: &Item, sensitive: bool) -> &Object {
    if sensitive { &item.sensitive } else { &item.properties }
}

fn refuse(items: &mut Vec<Item>, outcomes: &mut Outcomes, outcome: &Outcome, which: impl Fn(&Item) -> bool) {
    items.retain(|item| {
        let refused = which(item);
        if refused {
            outcomes.set(item, outcome.clone());
        }
        !refused
    });
}

/// The properties that items set, each once.
fn wanted(items: &[Item], sensitive: bool) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (name, value) in items.iter().flat_map(|item| of(item, sensitive).iter()) {
        let kind = Kind::of(value);
        match places.get(name) {
            Some(&place) => wanted[place].kind = kind,
            None => {
                places.insert(name, wanted.len());
                wanted.push(Wanted { name: name.to_owned(), kind });
            }
        }
    }
    wanted
}

fn differing(wanted: Wanted, known: &PropertyTypes) -> Option<(String, Kind, (String, String))> {
    let has = known.get(&wanted.name)?;
    let differs = wanted.kind.fits((&has.0, &has.1)) == Fit::Differs;
    differs.then(|| (wanted.name, wanted.kind, has.clone()))
}

/// What HubSpot has, as far as the items need it: as known, or asked for. None: they set no such properties.
async fn types(
    api: Api<'_>,
    object_type: &str,
    sensitive: bool,
    items: &[Item],
    now: i64,
) -> Result<Option<PropertyTypes>, DeliveryError> {
    let wanted = wanted(items, sensitive);
    if wanted.is_empty() {
        return Ok(None);
    }
    let key = (object_type.to_owned(), sensitive);
    if let Some(known) = api.cache.properties.get(&key, now) {
        let fits = |wanted: &Wanted| {
            known.get(&wanted.name).is_some_and(|has| wanted.kind.fits((&has.0, &has.1)) == Fit::Fits)
        };
        if wanted.iter().all(fits) {
            return Ok(Some(known));
        }
    }
    let query = if sensitive { "?dataSensitivity=sensitive" } else { "" };
    let url = format!("{ORIGIN}/crm/v3/properties/{}{query}", segment(object_type));
    let read = api.json(Request::get(url).reading()).await?;
    let listed = read.get("results").and_then(Value::as_array).unwrap_or_default().iter().filter_map(|property| {
        let part = |key: &str| text(property, key).unwrap_or_default().to_owned();
        Some((text(property, "name")?.to_owned(), (part("type"), part("fieldType"))))
    });
    let known: PropertyTypes = listed.collect();
    api.cache.properties.put(key, known.clone(), now);
    Ok(Some(known))
}

async fn create(api: Api<'_>, object_type: &str, group: &str, missing: &[(Wanted, bool)]) -> Result<(), DeliveryError> {
    let inputs = missing.iter().map(|(wanted, sensitive)| {
        let (kind, field) = wanted.kind.types();
        let mut property = Object::new();
        property.insert("name", Value::from(wanted.name.as_str()));
        property.insert("label", Value::from(wanted.name.as_str()));
        property.insert("groupName", Value::from(group));
        property.insert("type", Value::from(kind));
        if *sensitive {
            property.insert("dataSensitivity", Value::from("sensitive"));
        }
        property.insert("fieldType", Value::from(field));
        if wanted.kind == Kind::Boolean {
            let option = |value: &str, description: &str, order: i64| {
                object! {
                    "label" => value,
                    "value" => value,
                    "hidden" => false,
                    "description" => description,
                    "displayOrder" => order,
                }
            };
            property.insert("options", Value::Array(vec![option("true", "True", 1), option("false", "False", 2)]));
        }
        Value::Object(property)
    });
    let body = object! { "inputs" => inputs.collect::<Vec<_>>() };
    let url = format!("{ORIGIN}/crm/v3/properties/{}/batch/create", segment(object_type));
    let answer = api.answer(Request::post(url).json(&body)).await?;
    // Another call may have created them in the meantime; if not, the writes are refused.
    if answer.status == 409 { Ok(()) } else { api.acknowledged(&answer) }
}
