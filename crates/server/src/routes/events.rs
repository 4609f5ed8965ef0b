//! What happens, told as it happens (server-sent events).

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event as Told, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use workers::Event;

use crate::{ApiError, AppState, caller::Caller, extract::Query};

/// How often a silent connection is told that it still is one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(watch_events))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Only what concerns this mapping.
    mapping: Option<String>,
}

/// Watch what happens
///
/// Events `sync`, `progress` and `plan`, each with the mapping and the id it is about. Nothing is told again: after
/// `missed`, and after a connection that broke, read what you show anew.
#[utoipa::path(
    get, path = "/events", operation_id = "watch_events", tag = "events", params(EventQuery),
    responses((status = OK, description = "A stream of events", content_type = "text/event-stream", body = String)),
)]
async fn watch_events(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<EventQuery>,
) -> Result<Sse<impl Stream<Item = Result<Told, Infallible>>>, ApiError> {
    let mapping = match query.mapping {
        Some(mapping) => Some(state.mapping_name(&mapping).await?),
        None => None,
    };
    let watching = Watching { events: state.workers.events(), mapping, end: state.shutdown.clone() };
    let told = stream::unfold(watching, |mut watching| async move {
        let told = watching.next().await?;
        Some((Ok(told), watching))
    });
    Ok(Sse::new(told).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Watching {
    events: Receiver<Event>,
    mapping: Option<String>,
    end: CancellationToken,
}

impl Watching {
    /// The next event that is wanted. None: the server is ending.
    async fn next(&mut self) -> Option<Told> {
        loop {
            let event = tokio::select! {
                biased;
                () = self.end.cancelled() => return None,
                event = self.events.recv() => event,
            };
            match event {
                Ok(event) if self.mapping.as_ref().is_none_or(|mapping| *mapping == event.mapping) => {
                    let value = serde_json::to_value(&event).unwrap_or_default();
                    let name = value.get("event").and_then(serde_json::Value::as_str).unwrap_or("event").to_owned();
                    return Some(Told::default().event(name).data(value.to_string()));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => {
                    return Some(Told::default().event("missed").data(missed.to_string()));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
