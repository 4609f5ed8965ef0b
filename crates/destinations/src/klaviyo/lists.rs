//! The account's lists: to choose from, and to make when a mapping is saved.

use http::Method;
use kit::{ChoicePage, ChoiceQuery, DeliveryError, DynamicChoice};
use records::{Value, object};

use super::api::{Api, following, get, next_page, resources, segment};

const LISTS: &str = "/lists/";

/// One page of lists.
pub(super) async fn choices(api: Api<'_>, query: &ChoiceQuery) -> Result<ChoicePage, DeliveryError> {
    let path = query.page.as_ref().map_or_else(|| LISTS.to_owned(), |cursor| following(LISTS, cursor));
    let page = api.read(get(&path)).await?;
    let next = next_page(&page);
    let wanted = query.search.as_deref().unwrap_or_default().to_lowercase();
    let lists = resources(page)?;
    let choices = lists.iter().filter_map(|list| {
        let id = list.get("id")?.as_str()?;
        let name = list.at(&["attributes", "name"]).and_then(Value::as_str).unwrap_or(id);
        Some(DynamicChoice::new(id, name))
    });
    // Klaviyo searches for whole names only.
    let choices = choices.filter(|choice| choice.label.to_lowercase().contains(&wanted)).collect();
    Ok(ChoicePage { choices, next })
}

/// Takes the list that is there, or makes the one that is named; gives its id and name.
pub(super) async fn picked(api: Api<'_>, inputs: &Value) -> Result<Value, DeliveryError> {
    let text = |key: &str| inputs.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let wrong = |message: &str| DeliveryError::Settings { message: message.to_owned() };
    if let Some(id) = text("list_identifier") {
        let list = api.read(get(&format!("/lists/{}", segment(id)))).await?;
        let (found, name) = id_and_name(&list)?;
        if found != id {
            return Err(wrong(&format!(
                "Klaviyo gives the list `{found}` in place of `{id}`; check `list_identifier`"
            )));
        }
        return Ok(object! { "id" => found, "name" => name });
    }
    let name = text("list_name").ok_or_else(|| wrong("give `list_identifier`, or `list_name` for a new list"))?;
    let list = object! { "type" => "list", "attributes" => object! { "name" => name } };
    let answer = api.taken(Method::POST, "/lists", &object! { "data" => list }, 201).await?;
    let made = answer.json()?;
    let (id, name) = id_and_name(&made)?;
    Ok(object! { "id" => id, "name" => name })
}

fn id_and_name(list: &Value) -> Result<(&str, &str), DeliveryError> {
    let id = list.at(&["data", "id"]).and_then(Value::as_str).filter(|id| !id.is_empty());
    let id =
        id.ok_or_else(|| DeliveryError::UnexpectedAnswer { message: "the answer has no id of a list".to_owned() })?;
    Ok((id, list.at(&["data", "attributes", "name"]).and_then(Value::as_str).unwrap_or(id)))
}
