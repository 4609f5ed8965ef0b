//! Whether a user may be reached by email, SMS, WhatsApp and push: from the fields to the form that Engage reads.

use std::borrow::Cow;

use records::{Outcome, Value, number_text, object};

use crate::tracking::{filled, unfit};

/// An id that a user is reached by, and what may be sent there.
struct Reach {
    /// The field with the id.
    field: &'static str,
    /// What the profile calls the id.
    kind: &'static str,
    /// The channels, each with the field of its status.
    channels: &'static [(&'static str, &'static str)],
}

const REACHES: [Reach; 4] = [
    Reach { field: "email", kind: "email", channels: &[("EMAIL", "email_subscription_status")] },
    Reach {
        field: "phone",
        kind: "phone",
        channels: &[("SMS", "sms_subscription_status"), ("WHATSAPP", "whatsapp_subscription_status")],
    },
    Reach {
        field: "android_push_token",
        kind: "android.push_token",
        channels: &[("ANDROID_PUSH", "android_push_subscription_status")],
    },
    Reach {
        field: "ios_push_token",
        kind: "ios.push_token",
        channels: &[("IOS_PUSH", "ios_push_subscription_status")],
    },
];

const INVALID: &str = "INVALID";

/// What a record says of subscriptions.
pub(super) struct Subscriptions {
    /// One for each channel that has a status.
    pub statuses: Vec<Value>,
    /// The ids that the profile is found by.
    pub ids: Vec<Value>,
}

impl Subscriptions {
    /// Reads the fields.
    ///
    /// # Errors
    /// An id or a status is missing, or no status is one that Engage knows.
    pub(super) fn of(fields: &Value) -> Result<Self, Outcome> {
        check(fields)?;
        let (mut statuses, mut ids) = (Vec::new(), Vec::new());
        for reach in &REACHES {
            let id = filled(fields, reach.field);
            if let Some(id) = id {
                ids.push(object! { "id" => id, "type" => reach.kind, "collection" => "users", "encoding" => "none" });
            }
            for (channel, field) in reach.channels {
                let status = filled(fields, field).and_then(Value::as_str).and_then(engage_status);
                let (Some(id), Some(status)) = (id, status) else { continue };
                let mut entry = object! { "key" => id, "type" => *channel, "status" => status };
                if let (Value::Object(entry), "EMAIL", Some(groups)) = (&mut entry, *channel, groups(fields)) {
                    entry.insert("groups", groups.into());
                }
                statuses.push(entry);
            }
        }
        Ok(Self { statuses, ids })
    }
}

/// Sees that ids and statuses go together.
fn check(fields: &Value) -> Result<(), Outcome> {
    let has = |key: &str| filled(fields, key).is_some();
    if !REACHES.iter().any(|reach| has(reach.field)) {
        return Err(unfit("one of `email`, `phone`, `android_push_token` and `ios_push_token` must hold something"));
    }
    let channels = || REACHES.iter().flat_map(|reach| reach.channels.iter().map(|(_, status)| (reach.field, *status)));
    if !channels().any(|(_, status)| has(status)) {
        return Err(unfit("there is no subscription status; map at least one"));
    }
    if filled(fields, "subscription_groups").is_some() && groups(fields).is_some() && !has("email_subscription_status")
    {
        return Err(unfit("`subscription_groups` need an `email_subscription_status` beside them"));
    }
    if let Some((id, status)) = channels().find(|(id, status)| has(status) && !has(id)) {
        return Err(unfit(format!("`{status}` has nothing to be a status of: `{id}` is empty")));
    }
    let invalid =
        |status: &str| filled(fields, status).and_then(Value::as_str).and_then(engage_status) == Some(INVALID);
    if channels().all(|(_, status)| invalid(status)) {
        return Err(unfit(
            "no subscription status is one that Engage knows: `subscribed`, `unsubscribed` or `did_not_subscribe`",
        ));
    }
    Ok(())
}

/// The status of each email subscription group; none if there are no groups.
fn groups(fields: &Value) -> Option<Vec<Value>> {
    let groups = fields.get("subscription_groups")?.as_object().filter(|groups| !groups.is_empty())?;
    let one = |(name, status): (&str, &Value)| match engage_status(&plain(status)) {
        Some(status) => object! { "name" => name, "status" => status },
        None => object! { "name" => name },
    };
    Some(groups.iter().map(one).collect())
}

/// What Engage calls a status; nothing if there is none.
fn engage_status(text: &str) -> Option<&'static str> {
    // JavaScript's white space, which the original trims.
    let trimmed = text.trim_matches(|c: char| c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}'));
    Some(match trimmed.to_lowercase().as_str() {
        "" => return None,
        "true" | "subscribed" => "SUBSCRIBED",
        "false" | "unsubscribed" => "UNSUBSCRIBED",
        "did-not-subscribe" | "did_not_subscribe" => "DID_NOT_SUBSCRIBE",
        _ => INVALID,
    })
}

/// A value as plain text, as JavaScript writes it. A list is its items.
fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Text(text) => Cow::Borrowed(text),
        Value::Float(number) => Cow::Owned(number_text(*number)),
        Value::Array(items) => {
            let items = items.iter().map(|item| if item.is_null() { Cow::Borrowed("") } else { plain(item) });
            Cow::Owned(items.collect::<Vec<_>>().join(","))
        }
        Value::Object(_) => Cow::Borrowed("[object Object]"),
        other => Cow::Owned(other.to_json()),
    }
}
