//! From a payload to the call that Segment's specification has for it.

use records::{Object, Outcome, Value};

use crate::tracking::{consent, filled, needed, object_in, overlaid, present, unfit, user};

/// The names in the context of a call, and the fields they are filled from.
const CONTEXT: [(&str, &str); 13] = [
    ("app", "application"),
    ("campaign", "campaign_parameters"),
    ("device", "device"),
    ("ip", "ip_address"),
    ("locale", "locale"),
    ("location", "location"),
    ("network", "network"),
    ("os", "operating_system"),
    ("page", "page"),
    ("screen", "screen"),
    ("userAgent", "user_agent"),
    ("timezone", "timezone"),
    ("groupId", "group_id"),
];

/// The call of an action.
///
/// # Errors
/// Why the record cannot become one.
pub(super) fn message(action: &str, fields: &Value) -> Result<Object, Outcome> {
    let [user, anonymous] = user(fields)?;
    let of = |key: &str| filled(fields, key).cloned();
    let (traits, properties) = (object_in(fields, "traits"), object_in(fields, "properties"));
    let mut context = context(fields);
    let (kind, own) = match action {
        "sendIdentify" => {
            let traits = overlaid(traits, present([("address", of("address"))]));
            ("identify", present([("traits", Some(traits.into()))]))
        }
        "sendGroup" => {
            // The group is what the call is about, not its circumstance.
            context.remove("groupId");
            let group = needed(fields, "group_id")?;
            ("group", present([("groupId", Some(group)), ("traits", Some(traits.into()))]))
        }
        "sendPage" => {
            let properties = overlaid(page(fields), properties);
            ("page", present([("name", of("page_name")), ("properties", Some(properties.into()))]))
        }
        "sendScreen" => {
            // The original leaves it out here.
            context.remove("timezone");
            let properties = overlaid(present([("name", of("screen_name"))]), properties);
            ("screen", present([("name", of("screen_name")), ("properties", Some(properties.into()))]))
        }
        "sendTrack" => {
            context.insert("traits", traits.into());
            let event = needed(fields, "event_name")?;
            ("track", present([("event", Some(event)), ("properties", Some(properties.into()))]))
        }
        other => return Err(unfit(format!("there is no action `{other}`"))),
    };
    let head = present([
        ("type", Some(kind.into())),
        user,
        anonymous,
        ("timestamp", of("timestamp")),
        ("messageId", of("message_id")),
        ("context", Some(context.into())),
    ]);
    Ok(overlaid(head, own))
}

/// Under what circumstances the call was made.
fn context(fields: &Value) -> Object {
    let known = CONTEXT.into_iter().filter_map(|(name, field)| Some((name.to_owned(), filled(fields, field)?.clone())));
    let mut context: Object = known.collect();
    context.insert("consent", consent(fields).into());
    context
}

/// What the fields of a page say of it. Properties of the same name go before these.
fn page(fields: &Value) -> Object {
    let of = |key: &str| filled(fields, key).cloned();
    let in_page = |key: &str| fields.get("page").and_then(|page| page.get(key)).cloned();
    present([
        ("name", of("page_name")),
        ("category", of("page_category")),
        ("path", in_page("path")),
        ("referrer", in_page("referrer")),
        ("search", in_page("search")),
        ("title", in_page("title")),
        ("url", in_page("url")),
    ])
}
