//! What each action sends: from the fields of its payload to the entity of the Track API.

use kit::DeliveryError;
use records::{Object, Value};

use super::entity::{self, is_true, taken};
use super::times::converted;

/// The entity of a payload, as one call of `/entity` or one item of `/batch` holds it.
pub(super) fn entity(action: &str, fields: &Value) -> Result<Value, DeliveryError> {
    let fields = fields.as_object().cloned().unwrap_or_default();
    Ok(match action {
        "createUpdatePerson" => entity::build("person", "identify", person(fields)),
        "trackEvent" => entity::build("person", "event", event(fields, "name", true)),
        "trackPageView" => entity::build("person", "page", event(fields, "url", false)),
        "trackScreenView" => entity::build("person", "screen", event(fields, "name", false)),
        "reportContentEvent" => content_event(fields),
        "createUpdateDevice" => entity::build("person", "add_device", device(fields)),
        "deleteDevice" => entity::build("person", "delete_device", deleted_device(fields)),
        "createUpdateObject" => {
            let action = object_action_of(&fields);
            entity::build("object", action, business_object(fields))
        }
        "deleteObject" => entity::build("object", "delete", fields),
        "deleteRelationship" => entity::build("object", "delete_relationships", relationship(fields)),
        "deletePerson" => entity::build("person", "delete", fields),
        "suppressPerson" => entity::build("person", "suppress", fields),
        "unsuppressPerson" => entity::build("person", "unsuppress", fields),
        "mergePeople" => entity::build("person", "merge", merge(&fields)),
        _ => return Err(DeliveryError::Settings { message: format!("there is no action `{action}`") }),
    })
}

/// `identify_anonymous` for an object that is related to nobody but an anonymous person.
pub(super) fn object_action(fields: &Value) -> &'static str {
    fields.as_object().map_or("identify", object_action_of)
}

fn object_action_of(fields: &Object) -> &'static str {
    if !is_true(fields.get("user_id")) && is_true(fields.get("anonymous_id")) {
        "identify_anonymous"
    } else {
        "identify"
    }
}

/// A relationship to what those identifiers name.
fn related(identifiers: Option<Object>, attributes: Option<Value>) -> Value {
    let mut relationship = Object::new();
    put(&mut relationship, "identifiers", identifiers.map(Value::Object));
    put(&mut relationship, "relationship_attributes", attributes);
    Value::Array(vec![Value::Object(relationship)])
}

/// Sets a key if there is a value for it, and removes it if not.
fn put(object: &mut Object, key: &str, value: Option<Value>) {
    match value {
        Some(value) => {
            object.insert(key, value);
        }
        None => {
            object.remove(key);
        }
    }
}

fn rename(object: &mut Object, from: &str, to: &str) {
    let value = object.remove(from);
    put(object, to, value);
}

fn person(mut fields: Object) -> Object {
    let mut attributes = match fields.remove("custom_attributes") {
        Some(Value::Object(attributes)) => attributes,
        _ => Object::new(),
    };
    for key in ["createdAt", "created_at", "object_type_id", "relationshipAttributes", "objectTypeId"] {
        attributes.remove(key);
    }
    let relationship_attributes = fields.remove("relationship_attributes");
    if let Some(created_at) = taken(&mut fields, "created_at") {
        attributes.insert("created_at", created_at);
    }
    if let Some(email) = fields.get("email").filter(|email| is_true(Some(email))) {
        attributes.insert("email", email.clone());
    }
    let group = taken(&mut fields, "group_id");
    let group_type = fields.remove("object_type_id").unwrap_or_else(|| Value::from("1"));
    rename(&mut fields, "id", "person_id");
    fields.insert("attributes", Value::Object(attributes));
    if let Some(group) = group {
        let mut identifiers = Object::new();
        identifiers.insert("object_type_id", group_type);
        identifiers.insert("object_id", group);
        fields.insert("cio_relationships", related(Some(identifiers), relationship_attributes));
    }
    fields
}

/// Events, page views and screen views: `name` is the field that names them. An empty id is sent with events only.
fn event(mut fields: Object, name: &str, keeps_empty_id: bool) -> Object {
    rename(&mut fields, "id", "person_id");
    let id = fields.remove("event_id").filter(|id| keeps_empty_id || is_true(Some(id)));
    put(&mut fields, "id", id);
    rename(&mut fields, name, "name");
    rename(&mut fields, "data", "attributes");
    fields
}

fn content_event(mut fields: Object) -> Value {
    if let Some(Value::Object(data)) = fields.get_mut("data")
        && is_true(data.get("actionType"))
    {
        data.remove("actionType");
    }
    rename(&mut fields, "data", "attributes");
    rename(&mut fields, "actionType", "name");
    let action = fields.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    entity::build("person", &action, fields)
}

fn device(mut fields: Object) -> Object {
    let app_version = taken(&mut fields, "app_version");
    let mut attributes = match fields.remove("attributes") {
        Some(Value::Object(attributes)) => attributes,
        _ => Object::new(),
    };
    if let Some(version) = app_version {
        attributes.insert("app_version", version);
    }
    let mut device = Object::new();
    put(&mut device, "token", fields.remove("device_id"));
    put(&mut device, "platform", fields.remove("platform"));
    put(&mut device, "last_used", fields.remove("last_used"));
    device.insert("attributes", Value::Object(attributes));
    fields.insert("device", Value::Object(device));
    fields
}

fn deleted_device(mut fields: Object) -> Object {
    let mut device = Object::new();
    put(&mut device, "token", fields.remove("device_id"));
    fields.insert("device", Value::Object(device));
    fields
}

/// Dates are converted here, not later, so that those of the relationship are and its identifiers are not.
fn business_object(mut fields: Object) -> Object {
    let converts = fields.remove("convert_timestamp").is_some_and(|convert| convert != Value::Bool(false));
    let mut relationship_attributes = fields.remove("relationship_attributes");
    let user = fields.get("user_id").filter(|user| is_true(Some(user))).cloned();
    let anonymous = fields.get("anonymous_id").filter(|id| is_true(Some(id))).cloned();
    rename(&mut fields, "id", "object_id");
    rename(&mut fields, "user_id", "person_id");
    if !fields.contains_key("object_type_id") {
        fields.insert("object_type_id", Value::from("1"));
    }
    let has_created_at = is_true(fields.get("created_at"));
    let mut attributes = fields.remove("custom_attributes");
    if let Some(Value::Object(attributes)) = &mut attributes {
        for key in ["object_type_id", "objectTypeId", "relationshipAttributes"] {
            attributes.remove(key);
        }
    }
    put(&mut fields, "attributes", attributes);
    if converts {
        fields = converted(fields);
        if let Some(Value::Object(attributes)) = relationship_attributes {
            relationship_attributes = Some(Value::Object(converted(attributes)));
        }
    }
    if !has_created_at {
        fields.remove("created_at");
    }
    if let Some(user) = user {
        let identifiers = entity::identifiers(None, None, None, Some(&user), None);
        fields.insert("cio_relationships", related(identifiers, relationship_attributes));
    } else if let Some(anonymous) = anonymous {
        let mut identifiers = Object::new();
        identifiers.insert("anonymous_id", anonymous);
        fields.insert("cio_relationships", related(Some(identifiers), relationship_attributes));
    }
    fields
}

fn relationship(mut fields: Object) -> Object {
    let identifiers = entity::identifiers(fields.get("anonymous_id"), None, None, fields.get("person_id"), None);
    fields.insert("cio_relationships", related(identifiers, None));
    fields
}

fn merge(fields: &Object) -> Object {
    let mut merge = Object::new();
    for key in ["primary", "secondary"] {
        let identifiers = entity::identifiers(None, None, None, fields.get(key), None);
        put(&mut merge, key, identifiers.map(Value::Object));
    }
    merge
}
