//! What dynamic fields may hold, as the account has it: object types, properties, labels, lists, events.

use kit::{ChoicePage, ChoiceQuery, DeliveryError, DynamicChoice, Request};
use records::{Object, Value};

use super::api::{Api, ORIGIN};
use super::values::{self, segment, text, text_of};

/// Object types that every account has, by the names that the actions take.
const OBJECT_TYPES: [(&str, &str); 10] = [
    ("contact", "Contacts"),
    ("company", "Companies"),
    ("deal", "Deals"),
    ("ticket", "Tickets"),
    ("line_item", "Line items"),
    ("subscription", "Subscriptions"),
    ("product", "Products"),
    ("0-421", "Appointments"),
    ("order", "Orders"),
    ("quote", "Quotes"),
];

/// Properties that HubSpot gives every custom event.
const EVENT_PROPERTIES: [&str; 32] = [
    "hs_asset_description",
    "hs_asset_type",
    "hs_browser",
    "hs_campaign_id",
    "hs_city",
    "hs_country",
    "hs_device_name",
    "hs_device_type",
    "hs_element_class",
    "hs_element_id",
    "hs_element_text",
    "hs_language",
    "hs_link_href",
    "hs_operating_system",
    "hs_operating_version",
    "hs_page_content_type",
    "hs_page_id",
    "hs_page_title",
    "hs_page_url",
    "hs_parent_module_id",
    "hs_referrer",
    "hs_region",
    "hs_screen_height",
    "hs_screen_width",
    "hs_touchpoint_source",
    "hs_tracking_name",
    "hs_user_agent",
    "hs_utm_campaign",
    "hs_utm_content",
    "hs_utm_medium",
    "hs_utm_source",
    "hs_utm_term",
];

const EVENTS_PER_PAGE: &str = "100";

pub(super) async fn page(api: Api<'_>, query: &ChoiceQuery) -> Result<ChoicePage, DeliveryError> {
    let fields = &query.fields;
    let object_type = || needed(fields.at(&["object_details", "object_type"]), "object_details.object_type");
    match (query.action.as_str(), plain(&query.field).as_str()) {
        ("sendCustomBehavioralEvent", "eventName") | ("customEvent", "event_name") => events(api, query).await,
        ("upsertCustomObjectRecord", "objectType") => object_types(api, &["deals", "tickets"]).await,
        ("upsertCustomObjectRecord", "toObjectType") => {
            object_types(api, &["deals", "tickets", "contacts", "companies"]).await
        }
        ("upsertCustomObjectRecord", "associationLabel") => {
            let from = needed(fields.get("objectType"), "objectType")?;
            labels(api, &from, &needed(fields.get("toObjectType"), "toObjectType")?).await
        }
        ("upsertObject" | "customEvent", "object_details.object_type" | "record_details.object_type")
        | ("upsertObject", "associations.object_type" | "dissociations.object_type") => {
            let wide = query.action == "upsertObject";
            let known = OBJECT_TYPES.iter().take(if wide { OBJECT_TYPES.len() } else { 4 });
            object_types(api, &known.map(|(value, _)| *value).collect::<Vec<_>>()).await
        }
        ("upsertObject", "object_details.id_field_name") => id_properties(api, &object_type()?).await,
        ("upsertObject", "object_details.property_group") => property_groups(api, &object_type()?).await,
        ("upsertObject", "properties.__keys__") => properties(api, &object_type()?, false).await,
        ("upsertObject", "sensitive_properties.__keys__") => properties(api, &object_type()?, true).await,
        ("upsertObject", "associations.association_label" | "dissociations.association_label") => {
            labels(api, &object_type()?, &other_object_type(query)?).await
        }
        ("upsertObject", "associations.id_field_name" | "dissociations.id_field_name") => {
            id_properties(api, &other_object_type(query)?).await
        }
        ("upsertObject", "list_details.list_name") => lists(api, &object_type()?, query).await,
        ("customEvent", "properties.__keys__") => {
            event_properties(api, &needed(fields.get("event_name"), "event_name")?).await
        }
        _ => Ok(ChoicePage::default()),
    }
}

/// A field's path without the places in lists: `associations.0.object_type` becomes `associations.object_type`.
fn plain(field: &str) -> String {
    let parts = field.split('.').filter(|part| part.parse::<usize>().is_err());
    parts.collect::<Vec<_>>().join(".")
}

/// The object type of the association that is asked about: that of the place in the path, else the first.
fn other_object_type(query: &ChoiceQuery) -> Result<String, DeliveryError> {
    let list = query.field.split('.').next().unwrap_or_default();
    let place = query.field.split('.').find_map(|part| part.parse::<usize>().ok()).unwrap_or(0);
    let asked = query.fields.get(list).and_then(Value::as_array).and_then(|list| list.get(place));
    needed(asked.and_then(|asked| asked.get("object_type")), &format!("{list}.object_type"))
}

fn needed(value: Option<&Value>, field: &str) -> Result<String, DeliveryError> {
    let text = value.and_then(Value::as_str).filter(|text| !text.is_empty());
    text.map(str::to_owned)
        .ok_or_else(|| DeliveryError::Settings { message: format!("fill `{field}` first, with a fixed value") })
}

fn results(answer: &Value) -> &[Value] {
    answer.get("results").and_then(Value::as_array).unwrap_or_default()
}

fn whole(mut choices: Vec<DynamicChoice>) -> ChoicePage {
    choices.sort_by_cached_key(|choice| choice.label.to_lowercase());
    ChoicePage { choices, next: None }
}

fn label_of(value: &Value) -> String {
    let label = text(value, "label").or_else(|| text(value, "name"));
    label.unwrap_or_default().to_owned()
}

async fn object_types(api: Api<'_>, known: &[&str]) -> Result<ChoicePage, DeliveryError> {
    let read = api.json(Request::get(format!("{ORIGIN}/crm/v3/schemas?archived=false"))).await?;
    let own = results(&read).iter().filter_map(|schema| {
        let name = text(schema, "fullyQualifiedName")?;
        let label = schema.at(&["labels", "plural"]).and_then(Value::as_str).unwrap_or(name);
        Some(DynamicChoice { description: "Custom object".to_owned(), ..DynamicChoice::new(name, label) })
    });
    let mut page = whole(own.collect());
    let singular =
        |value: &str| OBJECT_TYPES.iter().find(|(name, label)| *name == value || label.eq_ignore_ascii_case(value));
    page.choices.extend(
        known.iter().map(|value| DynamicChoice::new(*value, singular(value).map_or(*value, |(_, label)| *label))),
    );
    Ok(page)
}

async fn read_properties(api: Api<'_>, object_type: &str, sensitive: bool) -> Result<Value, DeliveryError> {
    let query = if sensitive { "?dataSensitivity=sensitive" } else { "" };
    api.json(Request::get(format!("{ORIGIN}/crm/v3/properties/{}{query}", segment(object_type)))).await
}

fn is_unique(property: &Value) -> bool {
    property.get("hasUniqueValue").and_then(Value::as_bool) == Some(true)
}

async fn id_properties(api: Api<'_>, object_type: &str) -> Result<ChoicePage, DeliveryError> {
    let read = read_properties(api, object_type, false).await?;
    let unique = results(&read)
        .iter()
        .filter(|property| is_unique(property) && text(property, "name") != Some("hs_unique_creation_key"));
    let mut page = whole(
        unique
            .map(|property| DynamicChoice::new(text(property, "name").unwrap_or_default(), label_of(property)))
            .collect(),
    );
    if matches!(object_type, "contact" | "contacts") {
        page.choices.insert(0, DynamicChoice::new("email", "Email"));
    }
    page.choices.insert(0, DynamicChoice::new("hs_object_id", "HubSpot's own id (for updates only)"));
    Ok(page)
}

async fn property_groups(api: Api<'_>, object_type: &str) -> Result<ChoicePage, DeliveryError> {
    let read = api.json(Request::get(format!("{ORIGIN}/crm/v3/properties/{}/groups", segment(object_type)))).await?;
    let live = results(&read).iter().filter(|group| group.get("archived").and_then(Value::as_bool) != Some(true));
    Ok(whole(live.map(|group| DynamicChoice::new(text(group, "name").unwrap_or_default(), label_of(group))).collect()))
}

async fn properties(api: Api<'_>, object_type: &str, sensitive: bool) -> Result<ChoicePage, DeliveryError> {
    let read = read_properties(api, object_type, sensitive).await?;
    let writable = results(&read).iter().filter(|property| {
        let read_only = property.at(&["modificationMetadata", "readOnlyValue"]).and_then(Value::as_bool);
        !is_unique(property) && read_only == Some(false)
    });
    Ok(whole(writable.map(typed).collect()))
}

fn typed(property: &Value) -> DynamicChoice {
    let description = text(property, "type").unwrap_or_default().to_owned();
    DynamicChoice { description, ..DynamicChoice::new(text(property, "name").unwrap_or_default(), label_of(property)) }
}

async fn labels(api: Api<'_>, from: &str, to: &str) -> Result<ChoicePage, DeliveryError> {
    let url = format!("{ORIGIN}/crm/v4/associations/{}/{}/labels", segment(from), segment(to));
    let read = api.json(Request::get(url)).await?;
    let labels = results(&read).iter().map(|kind| {
        let type_id = kind.get("typeId").map(text_of).unwrap_or_default();
        let label = match text(kind, "label").filter(|label| !label.is_empty()) {
            Some(label) => format!("{from} to {to}: {label}"),
            None => format!("{from} to {to}: without label (type {type_id})"),
        };
        DynamicChoice::new(format!("{}:{type_id}", text(kind, "category").unwrap_or_default()), label)
    });
    Ok(whole(labels.collect()))
}

/// Static lists of an object type, a page at a time.
async fn lists(api: Api<'_>, object_type: &str, query: &ChoiceQuery) -> Result<ChoicePage, DeliveryError> {
    let schema = api.json(Request::get(format!("{ORIGIN}/crm/v3/schemas/{}", segment(object_type)))).await?;
    let type_id = schema.get("objectTypeId").cloned().unwrap_or_default();
    let mut body = Object::new();
    body.insert("processingTypes", Value::Array(vec![Value::from("MANUAL")]));
    if let Some(offset) = query.page.as_deref().and_then(|page| page.parse::<i64>().ok()) {
        body.insert("offset", Value::Int(offset));
    }
    if let Some(search) = query.search.as_deref().filter(|search| !search.is_empty()) {
        body.insert("query", Value::from(search));
    }
    let request = Request::post(format!("{ORIGIN}/crm/v3/lists/search"));
    let read = api.json(request.json(&Value::Object(body))).await?;
    let found =
        read.get("lists").and_then(Value::as_array).unwrap_or_default().iter().filter(|list| {
            text(list, "processingType") == Some("MANUAL") && list.get("objectTypeId") == Some(&type_id)
        });
    let choices = found.filter_map(|list| text(list, "name")).map(|name| DynamicChoice::new(name, name)).collect();
    let more = read.get("hasMore").and_then(Value::as_bool) == Some(true);
    let next = read.get("offset").filter(|_| more).map(text_of);
    Ok(ChoicePage { choices, next })
}

async fn event_definitions(api: Api<'_>, properties: bool, after: Option<&str>) -> Result<Value, DeliveryError> {
    let flag = if properties { "true" } else { "false" };
    let url = format!("{ORIGIN}/events/v3/event-definitions/?includeProperties={flag}&limit={EVENTS_PER_PAGE}");
    api.json(Request::get(url).query(after.map(|after| ("after", after)))).await
}

fn next_page(read: &Value) -> Option<String> {
    read.at(&["paging", "next", "after"]).filter(|after| !after.is_null()).map(text_of)
}

fn is_live(event: &Value) -> bool {
    event.get("archived").and_then(Value::as_bool) != Some(true)
}

async fn events(api: Api<'_>, query: &ChoiceQuery) -> Result<ChoicePage, DeliveryError> {
    let read = event_definitions(api, false, query.page.as_deref()).await?;
    let choices = results(&read).iter().filter(|event| is_live(event)).filter_map(|event| {
        let name = text(event, "fullyQualifiedName")?;
        let label = ["singular", "plural"].iter().find_map(|form| event.at(&["labels", form])?.as_str());
        Some(DynamicChoice::new(name, label.or_else(|| text(event, "name")).unwrap_or(name)))
    });
    Ok(ChoicePage { next: next_page(&read), ..whole(choices.collect()) })
}

/// The properties of an event, or those of every event where it has none yet.
async fn event_properties(api: Api<'_>, name: &str) -> Result<ChoicePage, DeliveryError> {
    let name = values::event_name(name);
    let mut page: Option<String> = None;
    loop {
        let read = event_definitions(api, true, page.as_deref()).await?;
        let is_it = |event: &&Value| {
            let named = |key: &str| text(event, key) == Some(name.as_str());
            is_live(event) && (named("fullyQualifiedName") || named("name"))
        };
        if let Some(event) = results(&read).iter().find(is_it) {
            let properties = event.get("properties").and_then(Value::as_array).unwrap_or_default();
            return Ok(whole(properties.iter().filter(|property| is_live(property)).map(typed).collect()));
        }
        let next = next_page(&read);
        if next.is_none() || next == page {
            let choices = EVENT_PROPERTIES.iter().map(|name| DynamicChoice::new(*name, readable(name)));
            return Ok(whole(choices.collect()));
        }
        page = next;
    }
}

/// `hs_page_title` as `Page title`.
fn readable(name: &str) -> String {
    let words = name.trim_start_matches("hs_").replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
