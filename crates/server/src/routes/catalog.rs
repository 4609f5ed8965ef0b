//! What kinds of sources and destinations there are, and what each asks for: the forms that pages draw.

use axum::extract::State;
use kit::Facts;
use project::Part;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AppState,
    extract::{Json, Path},
};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list_source_types))
        .routes(routes!(list_destination_types))
        .routes(routes!(get_destination_type))
        .routes(routes!(get_form))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceTypes {
    items: Vec<SourceType>,
}

/// A kind of source.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceType {
    /// The definition's `type`.
    #[serde(rename = "type")]
    slug: String,
    /// The JSON Schema of its settings.
    #[schema(value_type = Object)]
    settings: Value,
    /// The settings that are secrets.
    secrets: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DestinationTypes {
    items: Vec<DestinationType>,
}

/// A kind of destination, in short.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DestinationType {
    /// The definition's `type`.
    #[serde(rename = "type")]
    slug: String,
    name: String,
    description: String,
    docs: Option<String>,
    /// Whether a person may grant access in a browser.
    connects: bool,
    actions: Vec<ActionName>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActionName {
    slug: String,
    name: String,
    deprecated: bool,
}

impl From<Facts> for DestinationType {
    fn from(facts: Facts) -> Self {
        let action =
            |action: kit::Action| ActionName { slug: action.slug, name: action.name, deprecated: action.deprecated };
        Self {
            connects: facts.auth.authorize_url.is_some(),
            slug: facts.slug,
            name: facts.name,
            description: facts.description,
            docs: facts.docs,
            actions: facts.actions.into_iter().map(action).collect(),
        }
    }
}

/// List the kinds of sources
#[utoipa::path(
    get, path = "/catalog/sources", operation_id = "list_source_types", tag = "catalog",
    responses((status = OK, description = "All, with what they ask for", body = SourceTypes)),
)]
async fn list_source_types(State(state): State<AppState>) -> Json<SourceTypes> {
    let connectors = state.workers.forms().connectors();
    let of = |slug: &&str| SourceType {
        slug: (*slug).to_owned(),
        settings: connectors.source_settings_schema(slug),
        secrets: connectors.source_secret_settings(slug).iter().map(|key| (*key).to_owned()).collect(),
    };
    Json(SourceTypes { items: connectors.source_types().iter().map(of).collect() })
}

/// List the kinds of destinations
#[utoipa::path(
    get, path = "/catalog/destinations", operation_id = "list_destination_types", tag = "catalog",
    responses((status = OK, description = "All, in short", body = DestinationTypes)),
)]
async fn list_destination_types(State(state): State<AppState>) -> Json<DestinationTypes> {
    let facts = state.workers.forms().connectors().destination_facts();
    Json(DestinationTypes { items: facts.into_iter().map(DestinationType::from).collect() })
}

/// See a kind of destination
///
/// Its settings, and its actions with their fields, modes and limits.
#[utoipa::path(
    get, path = "/catalog/destinations/{type}", operation_id = "get_destination_type", tag = "catalog",
    params(("type" = String, Path, description = "The definition's `type`")),
    responses((status = OK, description = "All that is known of it", body = Object)),
)]
async fn get_destination_type(
    State(state): State<AppState>,
    Path(slug): Path<String>,
) -> Result<Json<Facts>, ApiError> {
    let facts = state.workers.forms().connectors().facts(&slug);
    facts.map(Json).ok_or_else(|| ApiError::not_found("kind of destination", &slug))
}

/// See the form of a kind of definition
#[utoipa::path(
    get, path = "/catalog/forms/{kind}", operation_id = "get_form", tag = "catalog",
    params(("kind" = String, Path, description = "`source`, `model`, `destination` or `mapping`")),
    responses((status = OK, description = "Its JSON Schema", body = Object)),
)]
async fn get_form(State(state): State<AppState>, Path(kind): Path<String>) -> Result<Json<Value>, ApiError> {
    let part =
        [Part::Source, Part::Model, Part::Destination, Part::Mapping].into_iter().find(|part| part.noun() == kind);
    let part = part.ok_or_else(|| ApiError::not_found("kind of definition", &kind))?;
    Ok(Json(state.workers.forms().part_schema(part)))
}

#[cfg(test)]
mod tests;
