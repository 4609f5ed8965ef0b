//! What dynamic fields offer: campaigns, Canvases, catalogs and the fields of a catalog.

use kit::{ChoicePage, ChoiceQuery, DeliveryError, DynamicChoice, Request, Wire};
use records::Value;

use super::Braze;

/// So many campaigns or Canvases Braze gives with one page.
const PAGE: usize = 100;

pub(super) async fn page(braze: &Braze, query: &ChoiceQuery, wire: &Wire) -> Result<ChoicePage, DeliveryError> {
    let mut page = match (query.action.as_str(), query.field.as_str()) {
        ("triggerCampaign", "campaign_id") => listed(braze, "campaigns", "/campaigns/list", query, wire).await?,
        ("triggerCanvas", "canvas_id") => listed(braze, "canvases", "/canvas/list", query, wire).await?,
        ("upsertCatalogItem", "selected_catalog_name") => {
            ChoicePage { choices: catalogs(braze, wire).await?.iter().filter_map(catalog).collect(), next: None }
        }
        ("upsertCatalogItem", "item" | "item.__keys__") => {
            ChoicePage { choices: item_keys(braze, query, wire).await?, next: None }
        }
        _ => ChoicePage::default(),
    };
    if let Some(search) = query.search.as_deref().map(str::to_lowercase) {
        page.choices.retain(|choice| choice.label.to_lowercase().contains(&search));
    }
    Ok(page)
}

/// One page of a list whose pages are counted from 0.
async fn listed(
    braze: &Braze,
    key: &str,
    path: &str,
    query: &ChoiceQuery,
    wire: &Wire,
) -> Result<ChoicePage, DeliveryError> {
    let number: u32 = query.page.as_deref().and_then(|page| page.parse().ok()).unwrap_or_default();
    let answer = get(braze, Request::get(braze.url(path)).query([("page", number.to_string().as_str())]), wire).await?;
    let items = list(&answer, key)?;
    let choice = |item: &Value| {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        Some(DynamicChoice::new(text("id")?, text("name").or(text("id"))?))
    };
    let next = (items.len() >= PAGE).then(|| (number + 1).to_string());
    Ok(ChoicePage { choices: items.iter().filter_map(choice).collect(), next })
}

async fn catalogs(braze: &Braze, wire: &Wire) -> Result<Vec<Value>, DeliveryError> {
    let answer = get(braze, Request::get(braze.url("/catalogs")), wire).await?;
    list(&answer, "catalogs").map(<[_]>::to_vec)
}

fn catalog(catalog: &Value) -> Option<DynamicChoice> {
    let text = |key: &str| catalog.get(key).and_then(Value::as_str);
    let name = text("name")?;
    let description = text("description").unwrap_or_default().to_owned();
    Some(DynamicChoice { description, ..DynamicChoice::new(name, name) })
}

/// The fields of the catalog that the mapping fills, but its id.
async fn item_keys(braze: &Braze, query: &ChoiceQuery, wire: &Wire) -> Result<Vec<DynamicChoice>, DeliveryError> {
    let chosen = query.fields.at(&["onMappingSave", "outputs", "catalog_name"]).and_then(Value::as_str);
    let wrong = |message: String| DeliveryError::Settings { message };
    let chosen = chosen.ok_or_else(|| wrong("choose the catalog of the mapping first".to_owned()))?;
    let catalogs = catalogs(braze, wire).await?;
    let found = catalogs.iter().find(|catalog| catalog.get("name").and_then(Value::as_str) == Some(chosen));
    let fields = found.and_then(|catalog| catalog.get("fields")).and_then(Value::as_array);
    let fields = fields.ok_or_else(|| wrong(format!("Braze has no catalog `{chosen}`")))?;
    let names = fields.iter().filter_map(|field| field.get("name").and_then(Value::as_str));
    Ok(names.filter(|name| *name != "id").map(|name| DynamicChoice::new(name, name)).collect())
}

async fn get(braze: &Braze, request: Request, wire: &Wire) -> Result<Value, DeliveryError> {
    let answer = wire.send(request).await?;
    match braze.failure(&answer) {
        Some(failure) => Err(failure),
        None => answer.json(),
    }
}

fn list<'v>(answer: &'v Value, key: &str) -> Result<&'v [Value], DeliveryError> {
    let items = answer.get(key).and_then(Value::as_array);
    items.ok_or_else(|| super::answers::unexpected(format!("it has no list `{key}`")))
}
