//! What facts of a destination say, in words: types, requirements, defaults, limits. For the terminal and for pages.

use kit::{AuthScheme, BatchLimits, Facts, Limits, Setting, SettingKind};
use mapping::{Conditions, Field, FieldType, Required};
use records::Value;

use super::number;

/// Choices beyond these are counted, not listed.
const CHOICES_SHOWN: usize = 16;

/// A destination as a line of a list.
#[derive(Debug, serde::Serialize)]
pub(crate) struct DestinationRow {
    pub(crate) slug: String,
    pub(crate) name: String,
    /// Without those that are there for mappings that are brought over.
    pub(crate) actions: usize,
    pub(crate) sign_in: String,
    pub(crate) description: String,
}

impl DestinationRow {
    pub(crate) fn of(facts: &Facts) -> Self {
        Self {
            slug: facts.slug.clone(),
            name: facts.name.clone(),
            actions: facts.actions.iter().filter(|action| !action.deprecated).count(),
            sign_in: sign_in(facts),
            description: sentence(&facts.description),
        }
    }
}

/// How a destination is signed in to: `OAuth 2`, or the settings that hold its secrets.
pub(crate) fn sign_in(facts: &Facts) -> String {
    let own = || facts.settings.iter().filter(|setting| !is_of_every_destination(setting) && holds_secret(setting));
    let keys = |required: bool| {
        let keys = own().filter(|setting| setting.required == required).map(|setting| format!("`{}`", setting.key));
        keys.collect::<Vec<_>>().join(", ")
    };
    match (facts.auth.scheme, keys(true), keys(false)) {
        (AuthScheme::Oauth2, _, others) if !others.is_empty() => format!("OAuth 2, or {others}"),
        (AuthScheme::Oauth2, ..) => "OAuth 2".to_owned(),
        (_, needed, _) if !needed.is_empty() => needed,
        (_, _, others) if !others.is_empty() => format!("{others} if need be"),
        _ => "none".to_owned(),
    }
}

fn holds_secret(setting: &Setting) -> bool {
    setting.secret || setting.properties.iter().any(holds_secret)
}

/// Whether a setting is the kit's, which all destinations have.
pub(crate) fn is_of_every_destination(setting: &Setting) -> bool {
    matches!(setting.key.as_str(), "connection" | "oauth")
}

pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A sentence with its end.
pub(crate) fn sentence(text: &str) -> String {
    let text = one_line(text);
    if text.is_empty() || text.ends_with(['.', '!', '?', ':']) { text } else { format!("{text}.") }
}

/// What a setting or field is for: its label, and its description where that says more.
pub(crate) fn about(label: &str, description: &str) -> String {
    let (label, description) = (sentence(label), sentence(description));
    if description.is_empty() || label.is_empty() {
        return format!("{label}{description}");
    }
    let begins = description.to_lowercase().starts_with(label.trim_end_matches('.').to_lowercase().as_str());
    if begins { description } else { format!("{label} {description}") }
}

pub(crate) fn setting_type(setting: &Setting) -> &'static str {
    match setting.kind {
        SettingKind::Text => "text",
        SettingKind::Url => "URL",
        SettingKind::Integer => "whole number",
        SettingKind::Number => "number",
        SettingKind::Boolean => "true or false",
        SettingKind::Object => "object",
        SettingKind::List => "list",
        SettingKind::Any => "any value",
    }
}

/// `text (email)`, `list of objects`.
pub(crate) fn field_type(field: &Field) -> String {
    let (one, many) = match field.kind {
        FieldType::String | FieldType::Password => ("text", "texts"),
        FieldType::Text => ("long text", "long texts"),
        FieldType::Number => ("number", "numbers"),
        FieldType::Integer => ("whole number", "whole numbers"),
        FieldType::Boolean => ("true or false", "true or false"),
        FieldType::Datetime => ("time", "times"),
        FieldType::Object => ("object", "objects"),
    };
    let name = if field.multiple { format!("list of {many}") } else { one.to_owned() };
    match &field.format {
        Some(format) => format!("{name} ({format})"),
        None => name,
    }
}

/// `yes`, or when; empty for what is never required.
pub(crate) fn required(required: &Required) -> String {
    match required {
        Required::Always(true) => "yes".to_owned(),
        Required::Always(false) => String::new(),
        Required::When(conditions) => when(conditions),
    }
}

/// `when the mode is `create``
fn when(conditions: &Conditions) -> String {
    let all = matches!(conditions.of, mapping::Match::All);
    let said: Vec<String> = conditions
        .conditions
        .iter()
        .map(|condition| {
            let is = matches!(condition.operator, mapping::ConditionOperator::Is);
            let of_mode =
                condition.kind.as_deref() == Some("syncMode") || condition.field_key == "__segment_internal_sync_mode";
            let of = if of_mode { "the mode".to_owned() } else { format!("`{}`", condition.field_key) };
            match &condition.value {
                Value::Text(text) if text == "__undefined__" => {
                    format!("{of} is {}", if is { "missing" } else { "there" })
                }
                Value::Array(values) => {
                    let values: Vec<String> = values.iter().map(|value| format!("`{}`", plain(value))).collect();
                    format!("{of} is {}{}", if is { "" } else { "none of " }, values.join(" or "))
                }
                value => format!("{of} is {}`{}`", if is { "" } else { "not " }, plain(value)),
            }
        })
        .collect();
    format!("when {}", said.join(if all { " and " } else { " or " }))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_json(), str::to_owned)
}

/// What a mapping has where it leaves a field out, as short as it can be said.
pub(crate) fn default(value: &Value) -> String {
    fn path(value: &Value) -> Option<String> {
        match value {
            Value::Object(object) if object.len() == 1 => {
                let (directive, inner) = object.iter().next()?;
                match directive {
                    "@path" | "@template" => inner.as_str().map(|text| format!("`{text}`")),
                    "@if" => {
                        let (exists, then) = (inner.get("exists").or(inner.get("blank"))?, inner.get("then"));
                        let other = inner.get("else").map(path);
                        match (inner.get("exists").is_some() && then == Some(exists), other) {
                            (true, Some(other)) => Some(format!("{}, else {}", path(exists)?, other?)),
                            (true, None) => path(exists),
                            _ => None,
                        }
                    }
                    _ => None,
                }
            }
            Value::Object(_) | Value::Array(_) => None,
            other => Some(format!("`{}`", plain(other))),
        }
    }
    path(value).unwrap_or_else(|| match value {
        Value::Array(items) if items.iter().all(|item| item.as_str().is_some()) => {
            items.iter().map(|item| format!("`{}`", plain(item))).collect::<Vec<_>>().join(", ")
        }
        Value::Object(object) if !object.iter().any(|(key, _)| key.starts_with('@')) => {
            let said: Option<Vec<String>> =
                object.iter().map(|(key, value)| path(value).map(|value| format!("`{key}`: {value}"))).collect();
            said.map_or_else(|| "a mapping of its parts".to_owned(), |said| said.join("; "))
        }
        Value::Object(object) if object.get("@arrayPath").is_some() => {
            let of = object.get("@arrayPath").and_then(|inner| inner.as_array()?.first()?.as_str());
            of.map_or_else(|| "a mapping of a list".to_owned(), |of| format!("the items of `{of}`"))
        }
        _ => "a mapping".to_owned(),
    })
}

/// `One of …`; empty where there is no list.
pub(crate) fn choices(choices: &[String]) -> String {
    let shown: Vec<String> = choices.iter().take(CHOICES_SHOWN).map(|choice| format!("`{choice}`")).collect();
    match choices.len() {
        0 => String::new(),
        count if count > CHOICES_SHOWN => format!("One of {} values: {}, ….", count, shown.join(", ")),
        _ => format!("One of {}.", shown.join(", ")),
    }
}

/// The values that a field may have.
pub(crate) fn field_choices(field: &Field) -> Vec<String> {
    field.choices.iter().flatten().map(|choice| plain(&choice.value)).collect()
}

/// `1 to 250 characters`; empty where nothing is said.
pub(crate) fn range(field: &Field) -> String {
    let unit = match field.kind {
        FieldType::Number | FieldType::Integer => "",
        _ => " characters",
    };
    // Zero means none, as in the original.
    let bound = |bound: Option<f64>| bound.filter(|bound| *bound != 0.0);
    match (bound(field.minimum), bound(field.maximum)) {
        (Some(least), Some(most)) => format!("{least} to {most}{unit}."),
        (Some(least), None) => format!("At least {least}{unit}."),
        (None, Some(most)) => format!("At most {most}{unit}."),
        (None, None) => String::new(),
    }
}

/// A field's path and the field, its objects' fields behind it.
pub(crate) fn flattened(fields: &[Field]) -> Vec<(String, &Field)> {
    fn add<'a>(fields: &'a [Field], before: &str, all: &mut Vec<(String, &'a Field)>) {
        for field in fields {
            let path = format!("{before}{}", field.key);
            all.push((path.clone(), field));
            add(field.properties.as_deref().unwrap_or_default(), &format!("{path}."), all);
        }
    }
    let mut all = Vec::new();
    add(fields, "", &mut all);
    all
}

/// A setting's path and the setting, its objects' settings behind it.
pub(crate) fn flattened_settings(settings: &[Setting]) -> Vec<(String, &Setting)> {
    fn add<'a>(settings: &'a [Setting], before: &str, all: &mut Vec<(String, &'a Setting)>) {
        for setting in settings {
            let path = format!("{before}{}", setting.key);
            all.push((path.clone(), setting));
            add(&setting.properties, &format!("{path}."), all);
        }
    }
    let mut all = Vec::new();
    add(settings, "", &mut all);
    all
}

/// The fields whose values the tool knows, as a destination is asked for them. Of an object, the tool knows the keys.
pub(crate) fn dynamic_fields(fields: &[Field]) -> Vec<String> {
    let dynamic = flattened(fields).into_iter().filter(|(_, field)| field.dynamic);
    dynamic
        .map(|(path, field)| if field.kind == FieldType::Object { format!("{path}.__keys__") } else { path })
        .collect()
}

/// `One record a request.`, `Up to 75 records or 4 MB a request.`
pub(crate) fn batch(batch: &BatchLimits) -> String {
    if batch.records_max == 1 {
        return "one record a request".to_owned();
    }
    let records = number(u64::try_from(batch.records_max).unwrap_or(u64::MAX));
    format!("batches of up to {records} records or {}", bytes(batch.bytes_max))
}

fn bytes(count: usize) -> String {
    let whole = |size: usize| number(u64::try_from(count / size).unwrap_or(u64::MAX));
    match count {
        _ if count >= 1 << 20 && count.is_multiple_of(1 << 20) => format!("{} MiB", whole(1 << 20)),
        _ if count >= 1_000_000 && count.is_multiple_of(1_000_000) => format!("{} MB", whole(1_000_000)),
        _ if count >= 1_000_000 && count.is_multiple_of(100_000) => {
            format!("{}.{} MB", whole(1_000_000), count / 100_000 % 10)
        }
        _ if count >= 1_000 && count.is_multiple_of(1_000) => format!("{} kB", whole(1_000)),
        _ => format!("{} bytes", whole(1)),
    }
}

/// `Up to 10 requests a second, 20 at once after a pause, 4 under way at one time.`
pub(crate) fn pace(limits: &Limits) -> String {
    let rate = match limits.requests_per_second {
        Some(rate) if rate < 1.0 => format!("a request every {} seconds", round(1.0 / rate)),
        Some(1.0) => "a request a second".to_owned(),
        Some(rate) => format!("{} requests a second", round(rate)),
        None => "no limit but what the tool answers".to_owned(),
    };
    let burst = if limits.burst > 1 { format!(", {} at once after a pause", limits.burst) } else { String::new() };
    format!("{rate}{burst}, {} under way at one time", limits.concurrency)
}

fn round(number: f64) -> String {
    let rounded = (number * 10.0).round() / 10.0;
    format!("{rounded}")
}

/// `add`, `update`
pub(crate) fn modes(modes: &[mapping::SyncMode]) -> String {
    modes.iter().map(|mode| format!("`{}`", mode.name())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str) -> String {
        default(&Value::parse(json).unwrap())
    }

    #[test]
    fn defaults_are_said_in_short() {
        assert_eq!(said(r#"{"@path": "$.traits.email"}"#), "`$.traits.email`");
        let either = r#"{"@if": {"exists": {"@path": "$.a"}, "then": {"@path": "$.a"}, "else": {"@path": "$.b"}}}"#;
        assert_eq!(said(either), "`$.a`, else `$.b`");
        let other = r#"{"@if": {"exists": {"@path": "$.a"}, "then": "yes", "else": {"@path": "$.b"}}}"#;
        assert_eq!(said(other), "a mapping");
        assert_eq!(
            said(r#"{"@arrayPath": ["$.products", {"id": {"@path": "product_id"}}]}"#),
            "the items of `$.products`"
        );
        assert_eq!(said(r#"{"city": {"@path": "$.city"}, "zip": "0"}"#), "`city`: `$.city`; `zip`: `0`");
        assert_eq!(said(r#"["url", "method"]"#), "`url`, `method`");
        assert_eq!(said("75"), "`75`");
    }

    #[test]
    fn requirements_are_said_with_their_conditions() {
        let of = |json: &str| required(&serde_json::from_str(json).unwrap());
        assert_eq!((of("true"), of("false")), ("yes".to_owned(), String::new()));
        let mode = r#"{"conditions": [{"field_key": "__segment_internal_sync_mode", "operator": "is", "value": ["add", "upsert"]}]}"#;
        assert_eq!(of(mode), "when the mode is `add` or `upsert`");
        let any = r#"{"match": "any", "conditions": [
            {"field_key": "a", "operator": "is_not", "value": "x"}, {"field_key": "b", "operator": "is", "value": "__undefined__"}]}"#;
        assert_eq!(of(any), "when `a` is not `x` or `b` is missing");
    }

    #[test]
    fn labels_stand_before_what_they_do_not_say() {
        assert_eq!(about("List", "Where profiles go"), "List. Where profiles go.");
        assert_eq!(about("The list", "the list of all"), "the list of all.");
        assert_eq!(about("List", ""), "List.");
    }

    #[test]
    fn limits_are_said_in_words() {
        let limits = |records_max, bytes_max| batch(&BatchLimits { records_max, bytes_max });
        assert_eq!(limits(1, 9), "one record a request");
        assert_eq!(limits(2_000, 4_000_000), "batches of up to 2,000 records or 4 MB");
        assert_eq!(limits(10, 475_000), "batches of up to 10 records or 475 kB");
        assert_eq!(limits(10, 3_500_000), "batches of up to 10 records or 3.5 MB");
        assert_eq!(limits(10, 4 << 20), "batches of up to 10 records or 4 MiB");
        let at = |rate| pace(&Limits { requests_per_second: rate, burst: 1, concurrency: 2 });
        assert_eq!(at(None), "no limit but what the tool answers, 2 under way at one time");
        assert_eq!(at(Some(1.0)), "a request a second, 2 under way at one time");
        assert_eq!(at(Some(0.5)), "a request every 2 seconds, 2 under way at one time");
        let many: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        assert!(choices(&many).starts_with("One of 20 values: `0`, ") && choices(&many).ends_with(", `15`, …."));
    }
}
