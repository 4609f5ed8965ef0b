//! The OpenAPI document of the API, made of the routes themselves.

use utoipa::{
    Modify, OpenApi as _, ToSchema as _,
    openapi::{
        Content, OpenApi, PathItem, Ref, RefOr, Response,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{
    cookies,
    problem_body::{self, Problem},
    routes,
};

/// Where the API is.
pub(crate) const BASE: &str = "/api/v1";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Outflow",
        description = "Reverse ETL: models on a warehouse, mapped to the actions of destinations.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(Problem)),
    modifiers(&SignIn),
    security(("token" = []), ("session" = [])),
)]
struct Document;

/// The two ways to say who calls.
struct SignIn;

impl Modify for SignIn {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let token =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API token: `of_…`.")).build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let cookie = ApiKeyValue::with_description(
            cookies::SESSION.name_in_documents(),
            "A session of the pages. Requests that change something also send the header `x-outflow-csrf`.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The whole document.
pub fn openapi() -> OpenApi {
    routes::all().into_openapi()
}

/// What the routes' own documents are merged into.
pub(crate) fn base() -> OpenApi {
    Document::openapi()
}

/// Says what every operation has in common: problems.
pub(crate) fn complete(document: &mut OpenApi) {
    let problem = Content::builder().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let response = Response::builder()
        .description("Not done, and why: the codes are listed in docs/errors.md.")
        .content(problem_body::MEDIA_TYPE, problem)
        .build();
    for operation in document.paths.paths.values_mut().flat_map(operations_mut) {
        operation.responses.responses.insert("default".to_owned(), RefOr::T(response.clone()));
    }
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}

#[cfg(test)]
mod tests;
