//! All routes: one file a noun, each with its operations and the forms they take and give.

mod alert_rules;
mod alerts;
mod audit;
mod browsing;
mod catalog;
mod channels;
mod choosing;
pub(crate) mod connecting;
mod definitions;
mod document;
mod events;
mod exporting;
mod failures;
mod health;
mod hooks;
mod links;
mod me;
mod oidc;
mod overview;
mod plans;
mod setup;
mod sign_in;
mod syncs;
mod tokens;
mod traces;
mod trying;
mod users;

use utoipa_axum::router::OpenApiRouter;

use crate::{AppState, openapi};

/// Every route with its part of the OpenAPI document.
pub(crate) fn all() -> OpenApiRouter<AppState> {
    let api = OpenApiRouter::default()
        .merge(document::routes())
        .merge(setup::routes())
        .merge(sign_in::routes())
        .merge(oidc::routes())
        .merge(links::routes())
        .merge(me::routes())
        .merge(users::routes())
        .merge(tokens::routes())
        .merge(audit::routes())
        .merge(definitions::routes())
        .merge(catalog::routes())
        .merge(trying::routes())
        .merge(browsing::routes())
        .merge(alert_rules::routes())
        .merge(alerts::routes())
        .merge(channels::routes())
        .merge(hooks::routes())
        .merge(syncs::routes())
        .merge(failures::routes())
        .merge(plans::routes())
        .merge(traces::routes())
        .merge(overview::routes())
        .merge(events::routes())
        .merge(choosing::routes())
        .merge(connecting::routes())
        .merge(exporting::routes());
    let mut all = OpenApiRouter::with_openapi(openapi::base()).merge(health::routes()).nest(openapi::BASE, api);
    openapi::complete(all.get_openapi_mut());
    all
}
