//! What identifies a profile, and what is sent of it.

use records::{Object, Outcome, Value};

use super::phone::e164;

/// Fields that say how a profile is sent; the others are sent.
const NOT_SENT: [&str; 6] =
    ["list_id", "override_list_id", "enable_batching", "batch_size", "batch_keys", "country_code"];
const EXTERNAL_ID_MAX: usize = 255;

/// A field's text, empty if it has none.
pub(super) fn text<'a>(fields: &'a Object, key: &str) -> &'a str {
    fields.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The number in E.164 form; nothing if there is none.
pub(super) fn phone(fields: &Object) -> Result<Option<String>, Outcome> {
    let (number, country) = (text(fields, "phone_number"), text(fields, "country_code"));
    if number.is_empty() {
        return Ok(None);
    }
    let country = Some(country).filter(|country| !country.is_empty());
    match (e164(number, country), country) {
        (Some(number), _) => Ok(Some(number)),
        (None, Some(country)) => Err(Outcome::rejected(
            "invalid_phone_number",
            format!("`{number}` in `phone_number` is no number of {country}, and not in E.164 form"),
        )),
        (None, None) => Err(Outcome::rejected(
            "invalid_phone_number",
            format!("`{number}` in `phone_number` is not in E.164 form such as `+14155550101`; map `country_code` too"),
        )),
    }
}

/// Sees that a profile can be told by one of those fields, its `phone_number` being in E.164 form already.
pub(super) fn identified(fields: &Object, identifiers: &[&str]) -> Result<(), Outcome> {
    if identifiers.iter().all(|key| text(fields, key).is_empty()) {
        let keys = identifiers.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        return Err(Outcome::rejected("no_identifier", format!("one of {keys} is needed, and all are empty")));
    }
    let length = text(fields, "external_id").encode_utf16().count();
    if identifiers.contains(&"external_id") && length > EXTERNAL_ID_MAX {
        return Err(Outcome::rejected(
            "external_id_too_long",
            format!("`external_id` has {length} characters; Klaviyo takes {EXTERNAL_ID_MAX}"),
        ));
    }
    Ok(())
}

pub(super) const IDENTIFIERS: [&str; 3] = ["external_id", "email", "phone_number"];

/// The fields with the number in E.164 form, if the profile can be told by one of those identifiers.
pub(super) fn checked(fields: &Value, identifiers: &[&str]) -> Result<Object, Outcome> {
    let mut fields = fields.as_object().cloned().unwrap_or_default();
    match phone(&fields)? {
        Some(number) => fields.insert("phone_number", Value::from(number)),
        None => fields.remove("phone_number"),
    };
    identified(&fields, identifiers)?;
    Ok(fields)
}

/// A profile's attributes.
pub(super) fn attributes(fields: &Value) -> Result<Object, Outcome> {
    let mut attributes = checked(fields, &IDENTIFIERS)?;
    attributes.retain(|key, _| !NOT_SENT.contains(&key));
    Ok(attributes)
}
