//! Definitions: sources, models, destinations and mappings, with their versions. The four kinds are alike here; what
//! one can do beyond that has a file of its own.

mod kinds;
pub(crate) mod saving;
#[cfg(test)]
pub(crate) mod tests;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use project::mask_document;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{
    Actor, Change, Edit, ResourceError, ResourceFilter, ResourceId, ResourceKind, ResourceRef, ResourceRow, SyncState,
    Through, VersionRow,
};
use utoipa::{IntoParams, ToSchema};

pub(crate) use self::kinds::routes;
use crate::{
    ApiError, AppState, Code,
    caller::Caller,
    etag::{IfMatch, Versioned},
    extract::Json,
    openapi::BASE,
    page::{Page, PageQuery},
};

/// Who made a change.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ChangedBy {
    /// `user_…`, `token_…` or `system`.
    id: String,
    name: String,
}

impl From<Actor> for ChangedBy {
    fn from(Actor { id, name }: Actor) -> Self {
        Self { id, name }
    }
}

/// A definition as it is now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DefinitionView {
    #[schema(value_type = String, example = "map_018fd11894007e4f9db6929b8d8367cf")]
    id: ResourceId,
    /// What it is called everywhere; it never changes.
    name: String,
    /// Grows by one with every change.
    version: u64,
    enabled: bool,
    /// What its project file would say. `${kept}` stands in the place of each secret.
    #[schema(value_type = Object)]
    definition: Value,
    /// The project file that owns it: it is changed there, and nowhere else.
    managed_by: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    updated_by: ChangedBy,
}

impl From<ResourceRow> for DefinitionView {
    fn from(row: ResourceRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            version: row.version,
            enabled: row.enabled,
            definition: mask_document(&row.document),
            managed_by: row.managed_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
            updated_by: row.updated_by.into(),
        }
    }
}

fn versioned(row: ResourceRow) -> Versioned<DefinitionView> {
    Versioned(row.version, row.into())
}

/// A new definition.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDefinition {
    /// Letters, digits, `_` and `-`.
    #[schema(example = "customers")]
    name: String,
    /// What its project file would say.
    #[schema(value_type = Object)]
    definition: Map<String, Value>,
}

/// A definition in the place of the one that is there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NextDefinition {
    /// What its project file would say. `${kept}` keeps the secret that is there.
    #[schema(value_type = Object)]
    definition: Map<String, Value>,
}

/// A definition that would be taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckedDefinition {
    #[schema(value_type = Object)]
    definition: Value,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DryRun {
    /// Only look at it, and change nothing.
    dry_run: Option<bool>,
}

impl DryRun {
    fn is_wanted(&self) -> bool {
        self.dry_run == Some(true)
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DefinitionQuery {
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Part of the name, the description, the type or action, or of the name of something that it refers to.
    search: Option<String>,
    /// Models on this source, and mappings of those models.
    source: Option<String>,
    /// Mappings of this model.
    model: Option<String>,
    /// Mappings to this destination.
    destination: Option<String>,
    enabled: Option<bool>,
    /// Whether a project file owns it.
    managed: Option<bool>,
}

/// One version of a definition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionView {
    version: u64,
    /// `create`, `edit`, `restore` or `apply`.
    #[schema(value_type = String, example = "edit")]
    change: store::VersionChange,
    #[schema(value_type = Object)]
    definition: Value,
    /// The project file that owned it.
    managed_by: Option<String>,
    at: Timestamp,
    by: ChangedBy,
}

impl From<VersionRow> for VersionView {
    fn from(row: VersionRow) -> Self {
        Self {
            version: row.version,
            change: row.change,
            definition: mask_document(&row.document),
            managed_by: row.managed_by,
            at: row.at,
            by: row.actor.into(),
        }
    }
}

/// A definition by kind and name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DefinitionRef {
    /// `source`, `model`, `destination` or `mapping`.
    #[schema(value_type = String, example = "mapping")]
    kind: ResourceKind,
    name: String,
}

impl From<ResourceRef> for DefinitionRef {
    fn from(ResourceRef { kind, name }: ResourceRef) -> Self {
        Self { kind, name }
    }
}

/// What would come of deleting a definition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Impact {
    /// Whether it can be deleted now.
    deletable: bool,
    /// What names it, and has to be changed or deleted first.
    used_by: Vec<DefinitionRef>,
    /// Syncs of the mapping that wait or run, and have to end first.
    #[schema(value_type = Vec<String>)]
    running: Vec<records::SyncId>,
    /// How many records the destination holds by this mapping, as far as is known. That is forgotten; the destination
    /// keeps them.
    records: u64,
}

async fn list(
    state: &AppState,
    kind: ResourceKind,
    query: DefinitionQuery,
) -> Result<Json<Page<DefinitionView>>, ApiError> {
    let DefinitionQuery { limit, cursor, search, source, model, destination, enabled, managed } = query;
    let page = PageQuery { limit, cursor };
    let filter = ResourceFilter { kind: Some(kind), search, source, model, destination, enabled, managed };
    let limit = page.limit()?;
    let after = page.after::<String>()?.map(|name| ResourceRef::new(kind, name));
    let rows = state.store.resources(&filter, after.as_ref(), limit + 1).await?;
    Ok(Json(Page::of(rows, limit, |row| row.name.clone(), DefinitionView::from)))
}

async fn create(
    state: &AppState,
    caller: &Caller,
    kind: ResourceKind,
    dry_run: &DryRun,
    new: NewDefinition,
) -> Result<Response, ApiError> {
    let NewDefinition { name, definition } = new;
    let document = saving::checked(state, kind, &name, Value::Object(definition), None).await?;
    if dry_run.is_wanted() {
        return Ok(Json(CheckedDefinition { definition: mask_document(&document) }).into_response());
    }
    let is_left = kind == ResourceKind::Mapping && state.store.checkpoint(&name).await?.is_some();
    if is_left && matches!(state.store.resource(kind, &name).await, Err(ResourceError::Missing { .. })) {
        // One of that name was deleted and not forgotten to the end: what it delivered is not this one's.
        saving::forget_mapping(state, &name).await?;
    }
    let row = edit(state, caller, Edit::new(kind, &name, Change::Create(document))).await?;
    let location = HeaderValue::try_from(format!("{BASE}/{}/{name}", kind.plural()));
    let mut response = (StatusCode::CREATED, versioned(row)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn replace(
    state: &AppState,
    caller: &Caller,
    (kind, name): (ResourceKind, &str),
    if_match: IfMatch,
    dry_run: &DryRun,
    definition: Map<String, Value>,
) -> Result<Response, ApiError> {
    let found = state.store.resource(kind, name).await?;
    if_match.check(found.version)?;
    let definition = Value::Object(definition);
    let document = saving::checked(state, kind, &found.name, definition, Some(&found.document)).await?;
    if dry_run.is_wanted() {
        return Ok(Json(CheckedDefinition { definition: mask_document(&document) }).into_response());
    }
    let edited = edit(state, caller, Edit::new(kind, &found.name, Change::Replace(document)).at_version(found.version));
    Ok(versioned(edited.await?).into_response())
}

async fn update(
    state: &AppState,
    caller: &Caller,
    (kind, name): (ResourceKind, &str),
    if_match: IfMatch,
    changes: Map<String, Value>,
) -> Result<Versioned<DefinitionView>, ApiError> {
    let found = state.store.resource(kind, name).await?;
    if_match.check(found.version)?;
    let mut definition = mask_document(&found.document);
    if let Some(keys) = definition.as_object_mut() {
        for (key, value) in changes {
            if value.is_null() {
                keys.remove(&key);
            } else {
                keys.insert(key, value);
            }
        }
    }
    let document = saving::checked(state, kind, &found.name, definition, Some(&found.document)).await?;
    let change = Edit::new(kind, &found.name, Change::Replace(document)).at_version(found.version);
    Ok(versioned(edit(state, caller, change).await?))
}

async fn delete(
    state: &AppState,
    caller: &Caller,
    (kind, name): (ResourceKind, &str),
    if_match: IfMatch,
    dry_run: &DryRun,
) -> Result<Response, ApiError> {
    let found = state.store.resource(kind, name).await?;
    if_match.check(found.version)?;
    let impact = impact(state, &found).await?;
    if dry_run.is_wanted() {
        return Ok(Json(impact).into_response());
    }
    if let Some(sync) = impact.running.first() {
        let detail = format!("the mapping `{}` is at work: `{sync}`", found.name);
        return Err(ApiError::new(Code::Conflict, detail).with_hint("cancel it, wait for its end, and delete it then"));
    }
    edit(state, caller, Edit::new(kind, &found.name, Change::Remove).at_version(found.version)).await?;
    match kind {
        ResourceKind::Mapping => saving::forget_mapping(state, &found.name).await?,
        ResourceKind::Destination => saving::forget_granted(state, &found.name).await?,
        ResourceKind::Source | ResourceKind::Model => {}
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn impact(state: &AppState, found: &ResourceRow) -> Result<Impact, ApiError> {
    let used_by = state.store.resource_users(found.kind, &found.name).await?;
    // A mapping that waits for itself is no reason to keep it.
    let used_by: Vec<DefinitionRef> = used_by
        .into_iter()
        .filter(|user| (user.kind, &user.name) != (found.kind, &found.name))
        .map(Into::into)
        .collect();
    let (mut running, mut records) = (Vec::new(), 0);
    if found.kind == ResourceKind::Mapping {
        let unfinished = state.store.unfinished(&found.name).await?;
        // What is held has sent nothing and is at nothing.
        running = unfinished.iter().filter(|sync| sync.state != SyncState::Held).map(|sync| sync.id).collect();
        records = state.store.checkpoint(&found.name).await?.map_or(0, |checkpoint| checkpoint.records);
    }
    let deletable = used_by.is_empty() && running.is_empty() && found.managed_by.is_none();
    Ok(Impact { deletable, used_by, running, records })
}

async fn versions(
    state: &AppState,
    (kind, name): (ResourceKind, &str),
    page: &PageQuery,
) -> Result<Json<Page<VersionView>>, ApiError> {
    let limit = page.limit()?;
    let rows = state.store.resource_versions(kind, name, page.after()?, limit + 1).await?;
    Ok(Json(Page::of(rows, limit, |row| row.version, VersionView::from)))
}

async fn version(
    state: &AppState,
    (kind, name): (ResourceKind, &str),
    version: u64,
) -> Result<Json<VersionView>, ApiError> {
    Ok(Json(state.store.resource_version(kind, name, version).await?.into()))
}

async fn restore(
    state: &AppState,
    caller: &Caller,
    (kind, name): (ResourceKind, &str),
    version: u64,
    if_match: IfMatch,
) -> Result<Versioned<DefinitionView>, ApiError> {
    let found = state.store.resource(kind, name).await?;
    if_match.check(found.version)?;
    let earlier = state.store.resource_version(kind, &found.name, version).await?;
    saving::check_sealed(state, kind, &found.name, &earlier.document).await?;
    let change = Change::Restore { document: earlier.document, of_version: version };
    let edited = edit(state, caller, Edit::new(kind, &found.name, change).at_version(found.version)).await?;
    Ok(versioned(edited))
}

async fn edit(state: &AppState, caller: &Caller, edit: Edit) -> Result<ResourceRow, ApiError> {
    let edited = state.store.edit_resources(&[edit], Through::Api, &caller.author).await?;
    state.workers.definitions_changed();
    // One edit has one outcome.
    edited
        .into_iter()
        .next()
        .map(|edited| edited.resource)
        .ok_or_else(|| ApiError::new(Code::Internal, "the request could not be carried out"))
}
