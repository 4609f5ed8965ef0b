//! From a payload to the call that updates a profile. No call is passed on to a space's destinations.

use records::{Object, Outcome, Value, object};

use super::subscriptions::Subscriptions;
use crate::tracking::{consent, filled, needed, object_in, overlaid, present, unfit, user};

/// The call of an action.
///
/// # Errors
/// Why the record cannot become one.
pub(super) fn message(action: &str, fields: &Value) -> Result<Object, Outcome> {
    let of = |key: &str| filled(fields, key).cloned();
    let traits = || Some(object_in(fields, "traits").into());
    let mut context = Object::new();
    let own = match action {
        "sendIdentify" => {
            let [user, anonymous] = user(fields)?;
            present([
                ("type", Some("identify".into())),
                user,
                anonymous,
                ("groupId", of("group_id")),
                ("traits", traits()),
            ])
        }
        "sendGroup" => {
            let [user, anonymous] = user(fields)?;
            let group = needed(fields, "group_id")?;
            present([("type", Some("group".into())), user, anonymous, ("groupId", Some(group)), ("traits", traits())])
        }
        "sendTrack" => {
            let [user, anonymous] = user(fields)?;
            let event = needed(fields, "event_name")?;
            let properties = object_in(fields, "properties").into();
            present([
                ("type", Some("track".into())),
                user,
                anonymous,
                ("event", Some(event)),
                ("properties", Some(properties)),
            ])
        }
        "sendSubscription" => {
            let subscriptions = Subscriptions::of(fields)?;
            context.insert("messaging_subscriptions", subscriptions.statuses.into());
            context.insert("externalIds", subscriptions.ids.into());
            context.insert("messaging_subscriptions_retl", true.into());
            // Email, phone and tokens say who it is, so no id of the user's is needed.
            present([
                ("type", Some("identify".into())),
                ("userId", of("user_id")),
                ("anonymousId", of("anonymous_id")),
                ("traits", traits()),
            ])
        }
        other => return Err(unfit(format!("there is no action `{other}`"))),
    };
    context.insert("consent", consent(fields).into());
    let rest = present([
        ("timestamp", of("timestamp")),
        ("messageId", of("message_id")),
        ("context", Some(context.into())),
        ("integrations", Some(object! { "All" => false })),
    ]);
    Ok(overlaid(own, rest))
}
