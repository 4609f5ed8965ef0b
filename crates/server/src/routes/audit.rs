//! The audit log, for owners.

use axum::extract::State;
use jiff::Timestamp;
use records::EventId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{AuditEntry, AuditFilter};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, AppState,
    extract::{Json, Query},
    page::{Page, PageQuery},
};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(list_audit))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Who did it: `user_…`, `token_…` or `system`.
    actor: Option<String>,
    /// `mapping.update`, `user.create`, …
    action: Option<String>,
    /// To what kind of thing: `mapping`, `user`, …
    subject_kind: Option<String>,
    /// To which one.
    subject: Option<String>,
    /// Not earlier than this.
    from: Option<Timestamp>,
    /// Earlier than this.
    to: Option<Timestamp>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditView {
    #[schema(value_type = String, example = "event_018fd11894007e4f9db6929b8d8367cf")]
    id: EventId,
    at: Timestamp,
    actor: ActorView,
    action: String,
    subject_kind: String,
    subject: String,
    /// What there is to say about it; its form depends on the action.
    #[schema(value_type = Object)]
    details: Value,
    /// The request that made it.
    request_id: Option<String>,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActorView {
    pub(super) id: String,
    /// What it was called then.
    pub(super) name: String,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            actor: ActorView { id: entry.actor.id, name: entry.actor.name },
            action: entry.action,
            subject_kind: entry.subject_kind,
            subject: entry.subject_name,
            details: entry.details,
            request_id: entry.request_id,
        }
    }
}

/// Read the audit log
#[utoipa::path(
    get, path = "/audit", operation_id = "list_audit", tag = "people", params(AuditQuery),
    responses((status = OK, description = "Newest first", body = Page<AuditView>)),
)]
async fn list_audit(
    State(state): State<AppState>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<AuditView>>, ApiError> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let limit = page.limit()?;
    let filter = AuditFilter {
        actor_id: query.actor,
        action: query.action,
        subject_kind: query.subject_kind,
        subject_name: query.subject,
        from: query.from,
        to: query.to,
    };
    let entries = state.store.audit(&filter, page.after()?, limit + 1).await?;
    Ok(Json(Page::of(entries, limit, |entry| entry.id, AuditView::from)))
}

#[cfg(test)]
mod tests;
