//! A look into sources: their tables, the first rows of a model, and whether a model's key tells its records apart.
//! Nothing that is seen is kept.

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use kit::{Query as SourceQuery, Source, SourceError, TableKind, TableName};
use records::{Schema, cell};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::ResourceKind;
use sync::Model;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use workers::Wired;

use super::{
    definitions::saving,
    trying::{Draft, kept},
};
use crate::{
    ApiError, AppState, Code,
    caller::Caller,
    error::chain,
    extract::{Json, Path, Query},
    rights::Right,
};

const ROWS_DEFAULT: u64 = 50;
const ROWS_MAX: u64 = 500;
/// How long a query may take that somebody waits for.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is shown in place of a personal value.
const MASKED: &str = "[personal]";

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(get_source_schema))
        .routes(routes!(preview_model))
        .routes(routes!(preview_model_draft))
        .routes(routes!(check_model_key))
        .routes(routes!(check_model_key_draft))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SchemaQuery {
    /// Only tables of this schema.
    schema: Option<String>,
    /// The columns of this table.
    table: Option<String>,
}

/// The tables of a source, or the columns of one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceSchema {
    /// Without `table`.
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<Vec<TableView>>,
    /// With `table`.
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<ColumnView>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TableView {
    schema: Option<String>,
    name: String,
    /// As it is written in a query.
    quoted: String,
    is_view: bool,
    /// How many rows it has, as far as the source knows.
    rows: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ColumnView {
    name: String,
    /// What a model that selects it gets: `text`, `int`, `timestamp_tz`, …
    kind: &'static str,
    /// The source's own word.
    type_name: String,
    nullable: bool,
    /// It is one of the primary key.
    key: bool,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PreviewQuery {
    /// How many rows.
    #[param(minimum = 1, maximum = 500, default = 50)]
    rows: Option<u64>,
}

/// The first rows of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Preview {
    columns: Vec<PreviewColumn>,
    /// Each row as a list of the columns' values.
    #[schema(value_type = Vec<Vec<Object>>)]
    rows: Vec<Vec<Value>>,
    milliseconds: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewColumn {
    name: String,
    kind: &'static str,
    /// It is one of the key's.
    key: bool,
    /// Its values are personal.
    personal: bool,
    /// And not shown, for the caller has no right to see them.
    masked: bool,
}

/// Whether a model's key tells its records apart.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyCheck {
    /// Whether it does.
    unique: bool,
    records: u64,
    /// Keys that stand more than once.
    keys_twice: u64,
    /// Records of which a part of the key is null.
    keys_missing: u64,
    milliseconds: u64,
}

/// See the tables of a source
///
/// With `table`, the columns of that table.
#[utoipa::path(
    get, path = "/sources/{name}/schema", operation_id = "get_source_schema", tag = "sources",
    params(("name" = String, Path, description = "Its name or id"), SchemaQuery),
    responses((status = OK, description = "What models may read", body = SourceSchema)),
)]
async fn get_source_schema(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(wanted): Query<SchemaQuery>,
) -> Result<Json<SourceSchema>, ApiError> {
    let (wired, name) = kept(&state, ResourceKind::Source, &name).await?;
    let source = state.workers.wire_source(&wired, &name);
    let source = source.map_err(|error| ApiError::of_service(error, &format!("sources/{name}")))?;
    let Some(table) = wanted.table else {
        let mut tables = in_time(source.tables()).await.map_err(|error| failed(&error, &wired))?;
        if let Some(schema) = &wanted.schema {
            tables.retain(|table| table.name.schema.as_ref() == Some(schema));
        }
        let view = |table: kit::Table| TableView {
            quoted: table.name.quoted(),
            schema: table.name.schema,
            name: table.name.table,
            is_view: table.kind == TableKind::View,
            rows: table.rows,
        };
        return Ok(Json(SourceSchema { tables: Some(tables.into_iter().map(view).collect()), columns: None }));
    };
    let table = TableName { schema: wanted.schema, table };
    let columns = in_time(source.columns(&table)).await.map_err(|error| failed(&error, &wired))?;
    let columns = columns.ok_or_else(|| ApiError::not_found("table", &table.quoted()))?;
    let view = |column: kit::TableColumn| ColumnView {
        name: column.name,
        kind: column.kind.name(),
        type_name: column.type_name,
        nullable: column.is_nullable,
        key: column.is_key,
    };
    Ok(Json(SourceSchema { tables: None, columns: Some(columns.into_iter().map(view).collect()) }))
}

/// Preview a model
#[utoipa::path(
    post, path = "/models/{name}/preview", operation_id = "preview_model", tag = "models",
    params(("name" = String, Path, description = "Its name or id"), PreviewQuery),
    responses((status = OK, description = "Its first rows, as its source gives them now", body = Preview)),
)]
async fn preview_model(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    Query(wanted): Query<PreviewQuery>,
) -> Result<Response, ApiError> {
    let (wired, name) = kept(&state, ResourceKind::Model, &name).await?;
    preview(&state, &caller, &wired, &name, &wanted).await
}

/// Preview a model that is not saved
#[utoipa::path(
    post, path = "/drafts/model/preview", operation_id = "preview_model_draft", tag = "models", request_body = Draft,
    params(PreviewQuery),
    responses((status = OK, description = "Its first rows, as its source gives them now", body = Preview)),
)]
async fn preview_model_draft(
    State(state): State<AppState>,
    caller: Caller,
    Query(wanted): Query<PreviewQuery>,
    Json(draft): Json<Draft>,
) -> Result<Response, ApiError> {
    let json = Value::Object(draft.definition);
    let (wired, name) = saving::drafted(&state, ResourceKind::Model, draft.of.as_deref(), json).await?;
    preview(&state, &caller, &wired, &name, &wanted).await
}

/// Check the key of a model
///
/// Runs the model's query once, whole, in the source.
#[utoipa::path(
    post, path = "/models/{name}/check-key", operation_id = "check_model_key", tag = "models",
    params(("name" = String, Path, description = "Its name or id")),
    responses((status = OK, description = "What was counted", body = KeyCheck)),
)]
async fn check_model_key(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<KeyCheck>, ApiError> {
    let (wired, name) = kept(&state, ResourceKind::Model, &name).await?;
    check_key(&state, &wired, &name).await
}

/// Check the key of a model that is not saved
#[utoipa::path(
    post, path = "/drafts/model/check-key", operation_id = "check_model_key_draft", tag = "models",
    request_body = Draft, responses((status = OK, description = "What was counted", body = KeyCheck)),
)]
async fn check_model_key_draft(
    State(state): State<AppState>,
    Json(draft): Json<Draft>,
) -> Result<Json<KeyCheck>, ApiError> {
    let json = Value::Object(draft.definition);
    let (wired, name) = saving::drafted(&state, ResourceKind::Model, draft.of.as_deref(), json).await?;
    check_key(&state, &wired, &name).await
}

async fn preview(
    state: &AppState,
    caller: &Caller,
    wired: &Wired,
    name: &str,
    wanted: &PreviewQuery,
) -> Result<Response, ApiError> {
    let rows_max = match wanted.rows.unwrap_or(ROWS_DEFAULT) {
        rows @ 1..=ROWS_MAX => rows,
        other => return Err(ApiError::invalid("rows", format!("{other} is not between 1 and {ROWS_MAX}"))),
    };
    let model = model(state, wired, name)?;
    let personal = wired.project.model(name).map_or(&[][..], |part| &part.personal[..]);
    let shows_personal = caller.has(Right::SeePersonal);
    let begun = Instant::now();
    let query = SourceQuery { text: model.query.clone(), rows_max: Some(rows_max) };
    let (schema, mut rows) = rows(&*model.source, &query).await.map_err(|error| failed(&error, wired))?;
    rows.truncate(usize::try_from(rows_max).unwrap_or(usize::MAX));
    let column = |column: &records::Column| {
        let is_personal = personal.contains(&column.name);
        PreviewColumn {
            name: column.name.clone(),
            kind: column.kind.name(),
            key: model.key.contains(&column.name),
            personal: is_personal,
            masked: is_personal && !shows_personal,
        }
    };
    let columns: Vec<PreviewColumn> = schema.columns().iter().map(column).collect();
    for row in &mut rows {
        let masked = row.iter_mut().zip(&columns).filter(|(value, column)| column.masked && !value.is_null());
        masked.for_each(|(value, _)| *value = MASKED.into());
    }
    let preview = Preview { columns, rows, milliseconds: milliseconds(begun) };
    let mut response = Json(preview).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn check_key(state: &AppState, wired: &Wired, name: &str) -> Result<Json<KeyCheck>, ApiError> {
    let model = model(state, wired, name)?;
    let begun = Instant::now();
    let query = SourceQuery { text: counting(&model), rows_max: None };
    let (schema, rows) = rows(&*model.source, &query).await.map_err(|error| failed(&error, wired))?;
    let count = |name: &str| {
        let place = schema.columns().iter().position(|column| column.name == name);
        place.and_then(|place| rows.first()?.get(place)).map_or(0, number)
    };
    let (keys_twice, keys_missing) = (count("keys_twice"), count("keys_missing"));
    Ok(Json(KeyCheck {
        unique: keys_twice == 0 && keys_missing == 0,
        records: count("records"),
        keys_twice,
        keys_missing,
        milliseconds: milliseconds(begun),
    }))
}

/// Some sources give counts as text.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

/// Counts the model's records, and the keys that do not tell one of them from the others.
fn counting(model: &Model) -> String {
    let quoted: Vec<String> = model.key.iter().map(|key| format!("\"{}\"", key.replace('"', "\"\""))).collect();
    let missing: Vec<String> = quoted.iter().map(|key| format!("{key} IS NULL")).collect();
    let (keys, missing) = (quoted.join(", "), missing.join(" OR "));
    let query = model.query.trim().trim_end_matches(';');
    format!(
        "WITH outflow_model AS ({query}\n), outflow_keys AS (SELECT count(*) AS times FROM outflow_model \
         WHERE NOT ({missing}) GROUP BY {keys}) \
         SELECT (SELECT count(*) FROM outflow_model) AS records, \
         (SELECT count(*) FROM outflow_keys WHERE times > 1) AS keys_twice, \
         (SELECT count(*) FROM outflow_model WHERE {missing}) AS keys_missing"
    )
}

fn model(state: &AppState, wired: &Wired, name: &str) -> Result<std::sync::Arc<Model>, ApiError> {
    let model = state.workers.wire_model(wired, name);
    model.map_err(|error| ApiError::of_service(error, &format!("models/{name}")))
}

/// All rows of a query that gives few. Whoever stops waiting ends it.
async fn rows(source: &dyn Source, query: &SourceQuery) -> Result<(Schema, Vec<Vec<Value>>), SourceError> {
    let cancel = CancellationToken::new();
    let _ends: DropGuard = cancel.clone().drop_guard();
    let (sender, mut receiver) = mpsc::channel(4);
    let read = async {
        let schema = source.describe(query).await?;
        let extract = source.extract(query, sender, cancel);
        let collect = async {
            let mut rows = Vec::new();
            while let Some(batch) = receiver.recv().await {
                for row in 0..batch.num_rows() {
                    let value = |(index, column): (usize, &records::Column)| {
                        let cell = cell(batch.column(index).as_ref(), column.kind, row);
                        // What JSON lacks (NaN) is its text.
                        cell.to_value().map_or_else(|_| Value::from(cell.to_text()), |value| (&value).into())
                    };
                    rows.push(schema.columns().iter().enumerate().map(value).collect());
                }
            }
            rows
        };
        let (extracted, rows) = tokio::join!(extract, collect);
        extracted.map(|()| rows).map(|rows| (schema, rows))
    };
    in_time(read).await
}

async fn in_time<T>(work: impl Future<Output = Result<T, SourceError>>) -> Result<T, SourceError> {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or(Err(SourceError::TimedOut { seconds: PATIENCE.as_secs() }))
}

fn milliseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What the source said: of the query if that is at fault, with its place in it.
fn failed(error: &SourceError, wired: &Wired) -> ApiError {
    let said = wired.project.secrets.hide(&chain(error));
    match error {
        SourceError::ModelRefused { place, .. } | SourceError::QueryFailed { place, .. } => {
            let place =
                place.map_or_else(String::new, |place| format!(" (line {}, column {})", place.line, place.column));
            ApiError::invalid("query", format!("{said}{place}"))
        }
        _ => ApiError::new(Code::UpstreamFailed, said),
    }
}

#[cfg(test)]
mod tests;
