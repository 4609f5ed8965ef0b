//! What a definition goes through before it is kept: its form, what it refers to, its secrets, and whether the engine
//! could work with it.

use std::collections::BTreeMap;

use project::{Document, Known, Part};
use serde_json::Value;
use store::{ResourceKind, ResourceRef};
use workers::{KeyringSeal, Wired};

use crate::{ApiError, AppState};

/// The names that are there, and who waits for whom.
#[derive(Debug, Default)]
struct KnownNames {
    names: BTreeMap<Part, Vec<String>>,
    waits: BTreeMap<String, Vec<String>>,
}

impl Known for KnownNames {
    fn names(&self, part: Part) -> Vec<&str> {
        self.names.get(&part).into_iter().flatten().map(String::as_str).collect()
    }

    fn awaited(&self, mapping: &str) -> Vec<&str> {
        self.waits.get(mapping).into_iter().flatten().map(String::as_str).collect()
    }
}

impl KnownNames {
    async fn of(state: &AppState, kind: ResourceKind, document: &Value) -> Result<Self, ApiError> {
        let mut known = Self::default();
        if matches!(kind, ResourceKind::Source | ResourceKind::Destination) {
            return Ok(known);
        }
        for head in state.store.resource_heads().await? {
            known.names.entry(part_of(head.kind)).or_default().push(head.name);
        }
        if document.get("schedule").and_then(|schedule| schedule.get("after")).is_some() {
            for (mapping, awaited) in state.store.resource_waits().await? {
                known.waits.entry(mapping).or_default().push(awaited);
            }
        }
        Ok(known)
    }
}

pub(crate) fn part_of(kind: ResourceKind) -> Part {
    match kind {
        ResourceKind::Source => Part::Source,
        ResourceKind::Model => Part::Model,
        ResourceKind::Destination => Part::Destination,
        ResourceKind::Mapping => Part::Mapping,
    }
}

/// The document as it is to be kept, its secrets sealed. `stored` is the one that is there.
///
/// # Errors
/// All that is wrong with it.
pub(crate) async fn checked(
    state: &AppState,
    kind: ResourceKind,
    name: &str,
    json: Value,
    stored: Option<&Value>,
) -> Result<Value, ApiError> {
    let sealed = sealed(state, kind, name, json, stored).await?;
    wired(state, kind, name, &sealed).await?;
    Ok(sealed)
}

/// The same, without a look at whether the engine could work with it.
async fn sealed(
    state: &AppState,
    kind: ResourceKind,
    name: &str,
    json: Value,
    stored: Option<&Value>,
) -> Result<Value, ApiError> {
    let forms = state.workers.forms();
    let known = KnownNames::of(state, kind, &json).await?;
    let document = Document { part: part_of(kind), name: name.to_owned(), json };
    forms.check_document(&document, &known).map_err(|problems| ApiError::of_problems(&problems, &document.place()))?;
    let seal = KeyringSeal(state.workers.keyring().clone());
    let sealed = forms.seal_document(&document, &seal, stored);
    sealed.map_err(|problems| ApiError::of_problems(&problems, &document.place()))
}

/// Whether a document that was kept before would be taken today.
///
/// # Errors
/// All that is wrong with it.
pub(crate) async fn check_sealed(
    state: &AppState,
    kind: ResourceKind,
    name: &str,
    json: &Value,
) -> Result<(), ApiError> {
    let known = KnownNames::of(state, kind, json).await?;
    let document = Document { part: part_of(kind), name: name.to_owned(), json: json.clone() };
    let checked = state.workers.forms().check_document(&document, &known);
    checked.map_err(|problems| ApiError::of_problems(&problems, &document.place()))?;
    wired(state, kind, name, json).await.map(drop)
}

/// A definition that is not kept, with all that it names, ready to be tried. `of` is the one whose secrets it keeps.
///
/// # Errors
/// All that is wrong with it.
pub(crate) async fn drafted(
    state: &AppState,
    kind: ResourceKind,
    of: Option<&str>,
    json: Value,
) -> Result<(Wired, String), ApiError> {
    let found = match of {
        Some(name) => Some(state.store.resource(kind, name).await?),
        None => None,
    };
    let name = found.as_ref().map_or("draft", |row| row.name.as_str()).to_owned();
    let document = sealed(state, kind, &name, json, found.as_ref().map(|row| &row.document)).await?;
    Ok((wired(state, kind, &name, &document).await?, name))
}

/// Puts a document together with all that it names, and wires it.
async fn wired(state: &AppState, kind: ResourceKind, name: &str, sealed: &Value) -> Result<Wired, ApiError> {
    let document = Document { part: part_of(kind), name: name.to_owned(), json: sealed.clone() };
    let place = document.place();
    let workers = &state.workers;
    let wired = workers.wired(&[ResourceRef::new(kind, name)], &[document]).await;
    let wired = wired.map_err(|error| ApiError::of_service(error, &place))?;
    let tried = match kind {
        ResourceKind::Source => workers.wire_source(&wired, name).map(drop),
        ResourceKind::Model => workers.wire_model(&wired, name).map(drop),
        ResourceKind::Destination => workers.wire_destination(&wired, name).map(drop),
        ResourceKind::Mapping => workers.wire_mapping(&wired, name).map(drop),
    };
    tried.map_err(|error| ApiError::of_service(error, &place))?;
    Ok(wired)
}

/// Forgets what a mapping of that name has delivered and noted, for there is no such mapping any more.
pub(crate) async fn forget_mapping(state: &AppState, mapping: &str) -> Result<(), ApiError> {
    let forgotten = state.workers.engine().forget(mapping).await;
    forgotten.map_err(|problem| ApiError::of_service(problem.into(), ""))
}

/// Forgets the access that was granted to a destination that is no more.
pub(crate) async fn forget_granted(state: &AppState, destination: &str) -> Result<(), ApiError> {
    let tokens = state.store.granted_tokens(destination, state.workers.keyring());
    tokens.remove().await.map(drop).map_err(ApiError::internal)
}
