//! Occurrences of custom events. Definitions of events and properties that HubSpot lacks are made, if the mode allows.

use std::collections::HashMap;

use kit::{Batch, DeliveryError, Request};
use mapping::SyncMode;
use records::{Object, Outcome, Value, object};

use super::api::{Api, ORIGIN, unexpected};
use super::events;
use super::values::{self, TextKind, is_truthy, number_of, property_name, segment, text, text_of, trimmed};

/// An event as HubSpot defines it.
#[derive(Debug, Clone, Default)]
pub(super) struct Definition {
    name: String,
    full_name: String,
    properties: HashMap<String, PropertyDefinition>,
}

#[derive(Debug, Clone)]
struct PropertyDefinition {
    /// `string`, `number`, `enumeration`, `datetime`.
    kind: String,
    archived: bool,
}

/// What a property's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Boolean,
    Text,
    Time,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Kind::Boolean,
            Value::Text(text) if values::text_kind(text) == TextKind::Plain => Kind::Text,
            Value::Text(_) => Kind::Time,
            _ => Kind::Number,
        }
    }

    /// The type that a property is given when it is created.
    fn name(self) -> &'static str {
        match self {
            Kind::Number => "number",
            Kind::Boolean => "enumeration",
            Kind::Text => "string",
            Kind::Time => "datetime",
        }
    }
}

/// An event on its way.
struct Event {
    name: String,
    object_type: String,
    /// `objectId`, `email`, `utk`, `occurredAt`.
    rest: Object,
    properties: Object,
}

pub(super) async fn deliver(api: Api<'_>, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
    let mut outcomes = Vec::with_capacity(batch.records.len());
    let mut bodies = Vec::with_capacity(batch.records.len());
    for record in &batch.records {
        let mut event = match Event::of(&record.fields) {
            Ok(event) => event,
            Err(refusal) => {
                outcomes.push(refusal);
                continue;
            }
        };
        match define(api, batch.mode, &mut event).await? {
            Ok(full_name) => {
                let mut body = event.body(full_name);
                if batch.batching {
                    body.insert("uuid", Value::from(api.wire.uuid(&record.message_id)));
                }
                bodies.push(Value::Object(body));
                outcomes.push(Outcome::Delivered);
            }
            Err(refusal) => outcomes.push(refusal),
        }
    }
    if batch.batching && !bodies.is_empty() {
        events::send_many(api, bodies).await?;
    } else {
        for body in bodies {
            events::send_one(api, &body).await?;
        }
    }
    Ok(outcomes)
}

impl Event {
    /// The event of a record, or why there can be none.
    fn of(fields: &Value) -> Result<Self, Outcome> {
        let detail = |key: &str| fields.at(&["record_details", key]).filter(|value| !value.is_null());
        let object_type = detail("object_type").and_then(Value::as_str).unwrap_or_default();
        let is_contact = object_type == "contact";
        let id = detail("object_id").filter(|id| id.type_name() == "number");
        let named = is_contact && (is_truthy(detail("email")) || is_truthy(detail("utk")));
        if id.is_none() && !named {
            let message = match is_contact {
                true => {
                    "the event belongs to nobody: map one of `object_id` (a number), `email` and `utk` below `record_details`"
                }
                false => "`record_details.object_id` is needed for every object type but contact, and must be a number",
            };
            return Err(Outcome::rejected("NO_RECORD", message));
        }
        let mut rest = Object::new();
        let identifiers = [("objectId", "object_id", true), ("email", "email", is_contact), ("utk", "utk", is_contact)];
        for (name, key, wanted) in identifiers {
            if let Some(value) = detail(key).filter(|_| wanted) {
                rest.insert(name, value.clone());
            }
        }
        if let Some(time) = fields.get("occurred_at").filter(|time| !time.is_null()) {
            rest.insert("occurredAt", time.clone());
        }
        Ok(Self {
            name: values::event_name(text(fields, "event_name").unwrap_or_default()),
            object_type: object_type.to_owned(),
            rest,
            properties: clean_properties(fields.get("properties"))?,
        })
    }

    fn body(self, full_name: String) -> Object {
        let mut body = Object::new();
        body.insert("eventName", Value::from(full_name));
        for (name, value) in self.rest {
            body.insert(name, value);
        }
        body.insert("properties", Value::Object(self.properties));
        body
    }
}

/// Names made fit for HubSpot. Texts that say true or false become that, whatever JavaScript takes for a number
/// becomes one (null too), the rest becomes text.
fn clean_properties(properties: Option<&Value>) -> Result<Object, Outcome> {
    let mut clean = Object::new();
    for (name, value) in properties.and_then(Value::as_object).into_iter().flat_map(Object::iter) {
        let name = property_name(name).map_err(|message| Outcome::rejected("PROPERTY_NAME", message))?;
        let said = value.as_str().map(|text| trimmed(&text.to_lowercase()).to_owned());
        let value = match (said.as_deref(), value) {
            (_, Value::Bool(_)) => value.clone(),
            (Some("true"), _) => Value::Bool(true),
            (Some("false"), _) => Value::Bool(false),
            _ => match (number_of(value), value) {
                (Some(number), _) => number,
                (None, Value::Array(_) | Value::Object(_)) => Value::from(value.to_json()),
                (None, other) => Value::from(trimmed(&text_of(other))),
            },
        };
        clean.insert(name, value);
    }
    Ok(clean)
}

/// How an event fits its definition.
#[derive(Default)]
struct Fit {
    missing: Vec<(String, Kind)>,
    /// Numbers of properties that are text.
    texts: Vec<String>,
}

impl Definition {
    /// # Errors
    /// Why the event cannot be sent.
    fn fit(&self, event: &Event) -> Result<Fit, Outcome> {
        if event.name != self.name && event.name != self.full_name {
            let message = format!("HubSpot gave the event `{}` for the name `{}`", self.full_name, event.name);
            return Err(Outcome::rejected("EVENT_NAME", message));
        }
        let mut fit = Fit::default();
        for (name, value) in event.properties.iter() {
            let kind = Kind::of(value);
            let Some(defined) = self.properties.get(name) else {
                fit.missing.push((name.to_owned(), kind));
                continue;
            };
            if defined.archived {
                let message = format!("the property `{name}` is archived in HubSpot; restore it, or leave it out");
                return Err(Outcome::rejected("PROPERTY_ARCHIVED", message));
            }
            match (kind, defined.kind.as_str()) {
                (Kind::Number, "string") => fit.texts.push(name.to_owned()),
                (Kind::Number, "datetime" | "enumeration") | (Kind::Text | Kind::Time | Kind::Boolean, "number") => {
                    let message = format!(
                        "the value of `{name}` is of type {}, HubSpot's property of type {}",
                        kind.name(),
                        defined.kind
                    );
                    return Err(Outcome::rejected("PROPERTY_TYPE", message));
                }
                _ => {}
            }
        }
        Ok(fit)
    }

    fn add(&mut self, missing: &[(String, Kind)]) {
        for (name, kind) in missing {
            let defined = PropertyDefinition { kind: kind.name().to_owned(), archived: false };
            self.properties.insert(name.clone(), defined);
        }
    }
}

/// Sees that HubSpot knows the event and its properties, and gives the event's full name.
async fn define(api: Api<'_>, mode: SyncMode, event: &mut Event) -> Result<Result<String, Outcome>, DeliveryError> {
    let now = api.wire.now().as_second();
    if let Some(known) = api.cache.events.get(&event.name, now)
        && let Ok(fit) = known.fit(event)
        && fit.missing.is_empty()
    {
        write_as_texts(event, &fit.texts);
        return Ok(Ok(known.full_name));
    }
    let (definition, archived) = read(api, &event.name).await?;
    let definition = match definition {
        Some(mut definition) => {
            let fit = match definition.fit(event) {
                Ok(fit) => fit,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if !fit.missing.is_empty() && mode == SyncMode::Add {
                let names: Vec<_> = fit.missing.iter().map(|(name, _)| format!("`{name}`")).collect();
                let message = format!(
                    "HubSpot's event lacks the properties {}, and the sync mode `add` changes no event",
                    names.join(", ")
                );
                return Ok(Err(Outcome::rejected("PROPERTIES_MISSING", message)));
            }
            match create_properties(api, &definition.full_name, &fit.missing).await {
                Ok(Ok(())) => {}
                Ok(Err(refusal)) => return Ok(Err(refusal)),
                // A preview creates nothing, and goes on to the requests that follow.
                Err(DeliveryError::Preview) => {
                    write_as_texts(event, &fit.texts);
                    return Ok(Ok(definition.full_name));
                }
                Err(error) => return Err(error),
            }
            write_as_texts(event, &fit.texts);
            definition.add(&fit.missing);
            definition
        }
        None if mode == SyncMode::Update => {
            let message = format!("HubSpot has no event `{}`, and the sync mode `update` defines none", event.name);
            return Ok(Err(Outcome::rejected("EVENT_MISSING", message)));
        }
        None => match create(api, event, archived).await {
            Ok(Ok(definition)) => definition,
            Ok(Err(refusal)) => return Ok(Err(refusal)),
            // A preview defines nothing; HubSpot makes the full name of this one.
            Err(DeliveryError::Preview) => return Ok(Ok(event.name.clone())),
            Err(error) => return Err(error),
        },
    };
    let full_name = definition.full_name.clone();
    api.cache.events.put(event.name.clone(), definition, now);
    Ok(Ok(full_name))
}

fn write_as_texts(event: &mut Event, names: &[String]) {
    for name in names {
        if let Some(value) = event.properties.get_mut(name) {
            *value = Value::from(text_of(value));
        }
    }
}

/// The definition of an event if there is one, and whether it is archived.
async fn read(api: Api<'_>, name: &str) -> Result<(Option<Definition>, bool), DeliveryError> {
    let url = format!("{ORIGIN}/events/v3/event-definitions/{}/?includeProperties=true", segment(name));
    let answer = api.answer(Request::get(url).reading()).await?;
    if matches!(answer.status, 400 | 404) {
        return Ok((None, false));
    }
    let read = api.taken(&answer)?;
    if is_truthy(read.get("archived")) {
        return Ok((None, true));
    }
    let name_of = |value: &Value, key: &str| text(value, key).unwrap_or_default().to_owned();
    let properties = read.get("properties").and_then(Value::as_array).unwrap_or_default().iter().map(|property| {
        let archived = property.get("archived").and_then(Value::as_bool) == Some(true);
        (name_of(property, "name"), PropertyDefinition { kind: name_of(property, "type"), archived })
    });
    let definition = Definition {
        name: name_of(&read, "name"),
        full_name: name_of(&read, "fullyQualifiedName"),
        properties: properties.collect(),
    };
    if definition.full_name.is_empty() {
        return Err(unexpected("HubSpot's definition of the event has no `fullyQualifiedName`"));
    }
    Ok((Some(definition), false))
}

async fn create(api: Api<'_>, event: &Event, archived: bool) -> Result<Result<Definition, Outcome>, DeliveryError> {
    let properties: Vec<_> = event.properties.iter().map(|(name, value)| (name.to_owned(), Kind::of(value))).collect();
    let body = object! {
        "label" => event.name.as_str(),
        "name" => event.name.as_str(),
        "description" => described(&event.name),
        "primaryObject" => event.object_type.as_str(),
        "propertyDefinitions" => properties.iter().map(|(name, kind)| property(name, *kind)).collect::<Vec<_>>(),
    };
    let answer = api.answer(Request::post(format!("{ORIGIN}/events/v3/event-definitions")).json(&body)).await?;
    if exists_already(answer.status, &answer.message()) {
        return Ok(Err(match archived {
            true => Outcome::rejected(
                "EVENT_ARCHIVED",
                format!("the event `{}` is archived in HubSpot; restore it", event.name),
            ),
            false => Outcome::retry("EVENT_EXISTS", "another call defined the event in the meantime"),
        }));
    }
    let created = match api.taken(&answer) {
        Ok(created) => created,
        Err(DeliveryError::Refused { code, message }) => {
            return Ok(Err(Outcome::rejected(code, format!("HubSpot does not define the event: {message}"))));
        }
        Err(error) => return Err(error),
    };
    let full_name = text(&created, "fullyQualifiedName").filter(|name| !name.is_empty());
    let full_name = full_name.ok_or_else(|| unexpected("the event that was defined has no `fullyQualifiedName`"))?;
    let mut definition =
        Definition { name: event.name.clone(), full_name: full_name.to_owned(), properties: HashMap::new() };
    definition.add(&properties);
    Ok(Ok(definition))
}

async fn create_properties(
    api: Api<'_>,
    event: &str,
    missing: &[(String, Kind)],
) -> Result<Result<(), Outcome>, DeliveryError> {
    for (name, kind) in missing {
        let url = format!("{ORIGIN}/events/v3/event-definitions/{}/property", segment(event));
        let answer = api.answer(Request::post(url).json(&property(name, *kind))).await?;
        if exists_already(answer.status, &answer.message()) {
            continue;
        }
        match answer.failure(api.statuses) {
            None => {}
            Some(DeliveryError::Refused { code, message }) => {
                let message = format!("HubSpot does not create the property `{name}`: {message}");
                return Ok(Err(Outcome::rejected(code, message)));
            }
            Some(failure) => return Err(failure),
        }
    }
    Ok(Ok(()))
}

fn exists_already(status: u16, message: &str) -> bool {
    status == 409 && message.contains("already exists")
}

/// As Segment describes what it creates, so that the two are alike in HubSpot.
fn described(name: &str) -> String {
    format!("{name} - (created by Segment)")
}

fn property(name: &str, kind: Kind) -> Value {
    let mut property = Object::new();
    property.insert("name", Value::from(name));
    property.insert("label", Value::from(name));
    property.insert("type", Value::from(kind.name()));
    property.insert("description", Value::from(described(name)));
    if kind == Kind::Boolean {
        let option = |value: bool, description: &str, order: i64| {
            object! {
                "label" => value.to_string(),
                "value" => value,
                "hidden" => false,
                "description" => description,
                "displayOrder" => order,
            }
        };
        property.insert("options", Value::Array(vec![option(true, "True", 1), option(false, "False", 2)]));
    }
    Value::Object(property)
}
