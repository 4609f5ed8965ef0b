//! The routes of the four kinds, which differ in their words only.

use utoipa_axum::router::OpenApiRouter;

use crate::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .merge(sources::routes())
        .merge(models::routes())
        .merge(destinations::routes())
        .merge(mappings::routes())
}

/// One kind. The texts are whole, for the document is made of them before any could be put together.
macro_rules! routes_of_kind {
    (
        $module:ident, $kind:ident, $tag:tt,
        $all:tt, $one:tt, $versions:tt, $version:tt, $restore:tt,
        [$list:tt $create:tt $get:tt $replace:tt $update:tt $delete:tt $list_versions:tt $get_version:tt $restore_id:tt],
        [$list_text:tt $create_text:tt $get_text:tt $replace_text:tt $update_text:tt $delete_text:tt $versions_text:tt $version_text:tt $restore_text:tt]
    ) => {
        mod $module {
            use axum::{extract::State, response::Response};
            use serde_json::{Map, Value};
            use store::ResourceKind;
            use utoipa_axum::{router::OpenApiRouter, routes};

            use super::super::{
                self as definitions, CheckedDefinition, DefinitionQuery, DefinitionView, DryRun, Impact, NewDefinition,
                NextDefinition, VersionView,
            };
            use crate::{
                ApiError, AppState,
                caller::Caller,
                etag::{IfMatch, Versioned},
                extract::{Json, Path, Query},
                page::{Page, PageQuery},
            };

            const KIND: ResourceKind = ResourceKind::$kind;

            pub(super) fn routes() -> OpenApiRouter<AppState> {
                OpenApiRouter::default()
                    .routes(routes!(list, create))
                    .routes(routes!(get, replace, update, delete))
                    .routes(routes!(list_versions))
                    .routes(routes!(get_version))
                    .routes(routes!(restore))
            }

            #[doc = $list_text]
            #[utoipa::path(
                get, path = $all, operation_id = $list, tag = $tag, params(DefinitionQuery),
                responses((status = OK, description = "By name", body = Page<DefinitionView>)),
            )]
            async fn list(
                State(state): State<AppState>,
                Query(query): Query<DefinitionQuery>,
            ) -> Result<Json<Page<DefinitionView>>, ApiError> {
                definitions::list(&state, KIND, query).await
            }

            #[doc = $create_text]
            #[utoipa::path(
                post, path = $all, operation_id = $create, tag = $tag, params(DryRun), request_body = NewDefinition,
                responses(
                    (status = CREATED, description = "It is there now", body = DefinitionView,
                     headers(("etag" = String), ("location" = String))),
                    (status = OK, description = "It would be taken; with `dry_run`", body = CheckedDefinition),
                ),
            )]
            async fn create(
                State(state): State<AppState>,
                caller: Caller,
                Query(dry_run): Query<DryRun>,
                Json(new): Json<NewDefinition>,
            ) -> Result<Response, ApiError> {
                definitions::create(&state, &caller, KIND, &dry_run, new).await
            }

            #[doc = $get_text]
            #[utoipa::path(
                get, path = $one, operation_id = $get, tag = $tag,
                params(("name" = String, Path, description = "Its name or id")),
                responses((status = OK, description = "As it is now", body = DefinitionView, headers(("etag" = String)))),
            )]
            async fn get(
                State(state): State<AppState>,
                Path(name): Path<String>,
            ) -> Result<Versioned<DefinitionView>, ApiError> {
                Ok(definitions::versioned(state.store.resource(KIND, &name).await?))
            }

            #[doc = $replace_text]
            #[utoipa::path(
                put, path = $one, operation_id = $replace, tag = $tag, request_body = NextDefinition,
                params(
                    ("name" = String, Path, description = "Its name or id"),
                    ("if-match" = String, Header, description = "The `etag` of what is replaced"),
                    DryRun,
                ),
                responses(
                    (status = OK, description = "As it is now", body = DefinitionView, headers(("etag" = String))),
                ),
            )]
            async fn replace(
                State(state): State<AppState>,
                caller: Caller,
                Path(name): Path<String>,
                if_match: IfMatch,
                Query(dry_run): Query<DryRun>,
                Json(next): Json<NextDefinition>,
            ) -> Result<Response, ApiError> {
                definitions::replace(&state, &caller, (KIND, &name), if_match, &dry_run, next.definition).await
            }

            #[doc = $update_text]
            #[utoipa::path(
                patch, path = $one, operation_id = $update, tag = $tag,
                request_body(content = Object, description = "Keys of the definition with their new values; `null` \
                    takes one away. All others stay."),
                params(
                    ("name" = String, Path, description = "Its name or id"),
                    ("if-match" = String, Header, description = "The `etag` of what is changed"),
                ),
                responses((status = OK, description = "As it is now", body = DefinitionView, headers(("etag" = String)))),
            )]
            async fn update(
                State(state): State<AppState>,
                caller: Caller,
                Path(name): Path<String>,
                if_match: IfMatch,
                Json(changes): Json<Map<String, Value>>,
            ) -> Result<Versioned<DefinitionView>, ApiError> {
                definitions::update(&state, &caller, (KIND, &name), if_match, changes).await
            }

            #[doc = $delete_text]
            #[utoipa::path(
                delete, path = $one, operation_id = $delete, tag = $tag,
                params(
                    ("name" = String, Path, description = "Its name or id"),
                    ("if-match" = String, Header, description = "The `etag` of what is deleted"),
                    DryRun,
                ),
                responses(
                    (status = NO_CONTENT, description = "It is gone"),
                    (status = OK, description = "What would come of it; with `dry_run`", body = Impact),
                ),
            )]
            async fn delete(
                State(state): State<AppState>,
                caller: Caller,
                Path(name): Path<String>,
                if_match: IfMatch,
                Query(dry_run): Query<DryRun>,
            ) -> Result<Response, ApiError> {
                definitions::delete(&state, &caller, (KIND, &name), if_match, &dry_run).await
            }

            #[doc = $versions_text]
            #[utoipa::path(
                get, path = $versions, operation_id = $list_versions, tag = $tag,
                params(("name" = String, Path, description = "Its name or id"), PageQuery),
                responses((status = OK, description = "Newest first", body = Page<VersionView>)),
            )]
            async fn list_versions(
                State(state): State<AppState>,
                Path(name): Path<String>,
                Query(page): Query<PageQuery>,
            ) -> Result<Json<Page<VersionView>>, ApiError> {
                definitions::versions(&state, (KIND, &name), &page).await
            }

            #[doc = $version_text]
            #[utoipa::path(
                get, path = $version, operation_id = $get_version, tag = $tag,
                params(
                    ("name" = String, Path, description = "Its name or id"),
                    ("version" = u64, Path, description = "The version's number"),
                ),
                responses((status = OK, description = "As it was then", body = VersionView)),
            )]
            async fn get_version(
                State(state): State<AppState>,
                Path((name, version)): Path<(String, u64)>,
            ) -> Result<Json<VersionView>, ApiError> {
                definitions::version(&state, (KIND, &name), version).await
            }

            #[doc = $restore_text]
            #[utoipa::path(
                post, path = $restore, operation_id = $restore_id, tag = $tag,
                params(
                    ("name" = String, Path, description = "Its name or id"),
                    ("version" = u64, Path, description = "The number of the version to take up again"),
                    ("if-match" = String, Header, description = "The `etag` of what is there now"),
                ),
                responses((status = OK, description = "As it is now", body = DefinitionView, headers(("etag" = String)))),
            )]
            async fn restore(
                State(state): State<AppState>,
                caller: Caller,
                Path((name, version)): Path<(String, u64)>,
                if_match: IfMatch,
            ) -> Result<Versioned<DefinitionView>, ApiError> {
                definitions::restore(&state, &caller, (KIND, &name), version, if_match).await
            }
        }
    };
}

routes_of_kind!(
    sources, Source, "sources",
    "/sources", "/sources/{name}", "/sources/{name}/versions", "/sources/{name}/versions/{version}", "/sources/{name}/versions/{version}/restore",
    ["list_sources" "create_source" "get_source" "replace_source" "update_source" "delete_source" "list_source_versions" "get_source_version" "restore_source"],
    ["List sources" "Create a source" "See a source" "Replace a source" "Change keys of a source" "Delete a source" "List the versions of a source" "See a version of a source" "Take up an earlier version of a source"]
);
routes_of_kind!(
    models, Model, "models",
    "/models", "/models/{name}", "/models/{name}/versions", "/models/{name}/versions/{version}", "/models/{name}/versions/{version}/restore",
    ["list_models" "create_model" "get_model" "replace_model" "update_model" "delete_model" "list_model_versions" "get_model_version" "restore_model"],
    ["List models" "Create a model" "See a model" "Replace a model" "Change keys of a model" "Delete a model" "List the versions of a model" "See a version of a model" "Take up an earlier version of a model"]
);
routes_of_kind!(
    destinations, Destination, "destinations",
    "/destinations", "/destinations/{name}", "/destinations/{name}/versions", "/destinations/{name}/versions/{version}", "/destinations/{name}/versions/{version}/restore",
    ["list_destinations" "create_destination" "get_destination" "replace_destination" "update_destination" "delete_destination" "list_destination_versions" "get_destination_version" "restore_destination"],
    ["List destinations" "Create a destination" "See a destination" "Replace a destination" "Change keys of a destination" "Delete a destination" "List the versions of a destination" "See a version of a destination" "Take up an earlier version of a destination"]
);
routes_of_kind!(
    mappings, Mapping, "mappings",
    "/mappings", "/mappings/{name}", "/mappings/{name}/versions", "/mappings/{name}/versions/{version}", "/mappings/{name}/versions/{version}/restore",
    ["list_mappings" "create_mapping" "get_mapping" "replace_mapping" "update_mapping" "delete_mapping" "list_mapping_versions" "get_mapping_version" "restore_mapping"],
    ["List mappings" "Create a mapping" "See a mapping" "Replace a mapping" "Change keys of a mapping" "Delete a mapping" "List the versions of a mapping" "See a version of a mapping" "Take up an earlier version of a mapping"]
);
