//! Requests of other programs that start a sync: signed ones of any program, and those of dbt Cloud's jobs.

use std::time::Duration;

use axum::extract::{Request, State};
use http::StatusCode;
use schedule::{DbtCloudEvent, Hook, HookKind, Schedule};
use serde::Serialize;
use store::{ResourceError, ResourceKind, ResourceRef};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use workers::ServiceError;

use crate::{
    ApiError, AppState, Code,
    extract::{Json, Path, body},
    hook_signature::{Checked, check},
};

/// An event of dbt Cloud that is older starts nothing: by then what told a repeat may be forgotten.
const EVENT_AGE_MAX: Duration = Duration::from_secs(86_400);

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(call_hook))
}

/// What became of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HookAnswer {
    /// Whether a sync starts: now, or when the one that runs has ended.
    started: bool,
    /// Why none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Start a mapping that waits for a signed request
///
/// The signature is that of the mapping's hook; docs/schedules.md says how it is made.
#[utoipa::path(
    post, path = "/hooks/{mapping}", operation_id = "call_hook", tag = "hooks", security(()),
    params(("mapping" = String, Path, description = "The mapping's name")),
    request_body(content = Vec<u8>, content_type = "*/*", description = "What is signed; may be empty"),
    responses(
        (status = ACCEPTED, description = "A sync starts", body = HookAnswer),
        (status = OK, description = "The request is right and starts nothing", body = HookAnswer),
    ),
)]
async fn call_hook(
    State(state): State<AppState>,
    Path(mapping): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<HookAnswer>), ApiError> {
    let headers = request.headers().clone();
    let body = body(request, &state).await?;
    let hook = hook(&state, &mapping).await?.ok_or_else(wrong_signature)?;
    let now = state.clock.now();
    let checked = check(&hook, &headers, &body, now);
    if checked == Checked::Wrong {
        return Err(wrong_signature());
    }
    let event = match (hook.kind(), checked) {
        (HookKind::DbtCloud, _) => {
            let event: DbtCloudEvent = serde_json::from_slice(&body)
                .map_err(|error| ApiError::new(Code::Invalid, "the body is no event of dbt Cloud").with_cause(error))?;
            if !hook.is_awaited(&event) {
                return Ok(nothing("it is not the success of a job that is awaited"));
            }
            let is_old = |time: jiff::Timestamp| {
                Duration::try_from(now.duration_since(time)).is_ok_and(|age| age > EVENT_AGE_MAX)
            };
            if event.timestamp.is_some_and(is_old) {
                return Ok(nothing("the event is more than a day old"));
            }
            Some(event.event_id).filter(|id| !id.is_empty())
        }
        (HookKind::Signed, Checked::Once(id)) => Some(id),
        (HookKind::Signed, _) => None,
    };
    let started = state.workers.hook_fired(&mapping, event.as_deref()).await;
    match started.map_err(|error| ApiError::of_service(error, "hooks"))? {
        true => Ok((StatusCode::ACCEPTED, Json(HookAnswer { started: true, reason: None }))),
        false => Ok(nothing("it came before, or the mapping, its model or its destination is switched off")),
    }
}

fn nothing(reason: &'static str) -> (StatusCode, Json<HookAnswer>) {
    (StatusCode::OK, Json(HookAnswer { started: false, reason: Some(reason) }))
}

/// The same whatever is wrong, so that nobody learns which mappings there are.
fn wrong_signature() -> ApiError {
    ApiError::new(Code::WrongSignature, "no hook of that mapping takes the signature")
}

/// The hook that a mapping waits for, with its secret.
async fn hook(state: &AppState, mapping: &str) -> Result<Option<Hook>, ApiError> {
    // Most of those who guess a name end here.
    match state.store.resource(ResourceKind::Mapping, mapping).await {
        Ok(row) if row.name == mapping && row.document.pointer("/schedule/hook").is_some() => {}
        Ok(_) | Err(ResourceError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    match state.workers.wired(&[ResourceRef::new(ResourceKind::Mapping, mapping)], &[]).await {
        Ok(wired) => Ok(match wired.project.mapping(mapping).map(|mapping| &mapping.schedule) {
            Some(Schedule::Hook(hook)) => Some(hook.clone()),
            _ => None,
        }),
        Err(ServiceError::Store(error)) => Err(error.into()),
        // A mapping that cannot be read has no secret to check with.
        Err(error) => {
            tracing::warn!(mapping, error = &error as &dyn std::error::Error, "a hook cannot be checked");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;
