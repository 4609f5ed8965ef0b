//! Definitions read from the store, put together with all that they need, and wired to connectors.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use project::{Document, Part, Problems, Project, Reach, Wiring};
use serde_json::Value;
use store::{ResourceError, ResourceKind, ResourceRef, ResourceRow};
use sync::{Connection, Mapping, Model};

use crate::{Service, ServiceError, catalogue::extracts_max, sealing::KeyringSeal, tokens::StoredTokens};

/// Definitions put together with all that they need, as they stood at one moment.
#[derive(Debug)]
pub struct Wired {
    pub project: Project,
    /// As they are in the store; what was given in their place is missing.
    rows: BTreeMap<ResourceRef, ResourceRow>,
    /// Some of it is not as the store has it.
    is_draft: bool,
}

/// A connection that was made, for as long as the destination's settings stay what they were: all mappings share its
/// limits and its tokens.
#[derive(Debug)]
pub(crate) struct KeptConnection {
    kind: String,
    settings: Value,
    connection: Connection,
    /// What it takes out of all that it records.
    secrets: BTreeSet<String>,
}

impl Wired {
    pub fn row(&self, kind: ResourceKind, name: &str) -> Option<&ResourceRow> {
        self.rows.get(&ResourceRef::new(kind, name))
    }

    /// How many extracts the source bears at once that a mapping's model runs on.
    pub(crate) fn extracts_max(&self, source: &str) -> u32 {
        let row = self.row(ResourceKind::Source, source);
        self.project.source(source).map_or_else(
            || extracts_max(row.map_or(&Value::Null, |row| &row.document)),
            |source| source.extracts_max.max(1),
        )
    }

    /// What of a mapping is switched off: itself, its model or its destination.
    pub fn switched_off(&self, mapping: &str) -> Option<ResourceRef> {
        let row = self.row(ResourceKind::Mapping, mapping)?;
        let parts = [
            (ResourceKind::Mapping, Some(mapping)),
            (ResourceKind::Model, row.model.as_deref()),
            (ResourceKind::Destination, row.destination.as_deref()),
        ];
        let is_off = |kind, name: &str| self.row(kind, name).is_some_and(|row| !row.enabled);
        parts
            .into_iter()
            .find_map(|(kind, name)| name.filter(|name| is_off(kind, name)).map(|name| (kind, name)))
            .map(|(kind, name)| ResourceRef::new(kind, name))
    }
}

impl Service {
    /// Reads definitions with all that they need. What stands in `drafts` is taken from there: what a person is about
    /// to save, for instance.
    ///
    /// # Errors
    /// One of them is missing or wrong.
    pub async fn wired(&self, wanted: &[ResourceRef], drafts: &[Document]) -> Result<Wired, ServiceError> {
        let (documents, rows) = self.gather(wanted, drafts).await?;
        let project = self.assemble(&documents)?;
        Ok(Wired { project, rows, is_draft: !drafts.is_empty() })
    }

    /// The mapping of that name or id, ready to be worked on.
    ///
    /// # Errors
    /// It, or what it needs, is missing or wrong.
    pub async fn mapping(&self, name_or_id: &str) -> Result<Arc<Mapping>, ServiceError> {
        let row = self.store().resource(ResourceKind::Mapping, name_or_id).await?;
        let wired = self.wired(&[ResourceRef::new(ResourceKind::Mapping, &row.name)], &[]).await?;
        self.wire_mapping(&wired, &row.name).map(Arc::new)
    }

    /// A mapping of definitions that were read, compiled and connected.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn wire_mapping(&self, wired: &Wired, name: &str) -> Result<Mapping, ServiceError> {
        let destination = wired.project.mapping(name).map(|mapping| mapping.form.destination.clone());
        let mut wiring = self.wiring(wired, destination.as_deref())?;
        Ok(wiring.mapping(name)?)
    }

    /// A model of definitions that were read, with its source.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn wire_model(&self, wired: &Wired, name: &str) -> Result<Arc<Model>, ServiceError> {
        Ok(self.wiring(wired, None)?.model(name)?)
    }

    /// A source of definitions that were read.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn wire_source(&self, wired: &Wired, name: &str) -> Result<Arc<dyn kit::Source>, ServiceError> {
        Ok(self.wiring(wired, None)?.source(name)?)
    }

    /// A destination of definitions that were read, and the way to it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn wire_destination(&self, wired: &Wired, name: &str) -> Result<Connection, ServiceError> {
        Ok(self.wiring(wired, Some(name))?.connection(name)?)
    }

    /// The wiring of definitions, with the connection that all share to a destination.
    fn wiring<'w>(&self, wired: &'w Wired, destination: Option<&str>) -> Result<Wiring<'w>, ServiceError> {
        let (store, keyring, random) = (self.store().clone(), self.keyring().clone(), self.random());
        let tokens = Arc::new(move |name: &str| -> Arc<dyn kit::TokenStore> {
            let granted = store.granted_tokens(name, &keyring);
            Arc::new(StoredTokens { granted, random: Arc::clone(&random) })
        });
        let mut wiring = Wiring::new(&wired.project, tokens, self.clock());
        let Some(name) = destination.filter(|_| !wired.is_draft) else { return Ok(wiring) };
        let Some(part) = wired.project.destination(name) else { return Ok(wiring) };
        let texts = wired.project.secrets.texts();
        let mut kept = self.connections().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get_mut(name)
            && known.kind == part.kind
            && known.settings == part.settings
        {
            for secret in texts {
                if known.secrets.insert(secret.clone()) {
                    known.connection.wire.add_secret(secret);
                }
            }
            return Ok(wiring.with_connection(known.connection.clone()));
        }
        let connection = wiring.connection(name)?;
        kept.insert(
            name.to_owned(),
            KeptConnection {
                kind: part.kind.clone(),
                settings: part.settings.clone(),
                connection,
                secrets: texts.iter().cloned().collect(),
            },
        );
        Ok(wiring)
    }

    fn assemble(&self, documents: &[Document]) -> Result<Project, Problems> {
        let places = self.places();
        let seal = KeyringSeal(self.keyring().clone());
        let variables = self.variables();
        let reach = Reach {
            folder: &places.settings.folder,
            variables: &*variables,
            allowed: Some(&places.allowed),
            seal: Some(&seal),
        };
        Project::from_documents(places.settings.clone(), documents, reach, self.forms())
    }

    /// The documents of definitions and of all that they name.
    async fn gather(
        &self,
        wanted: &[ResourceRef],
        drafts: &[Document],
    ) -> Result<(Vec<Document>, BTreeMap<ResourceRef, ResourceRow>), ServiceError> {
        let mut documents = Vec::new();
        let mut rows = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<(ResourceRef, bool)> = wanted.iter().map(|one| (one.clone(), true)).collect();
        while let Some((one, is_asked_for)) = open.pop() {
            if !seen.insert(one.clone()) {
                continue;
            }
            let part = part_of(one.kind);
            let draft = drafts.iter().find(|draft| draft.part == part && draft.name == one.name);
            let json = match draft {
                Some(draft) => draft.json.clone(),
                None => match self.store().resource(one.kind, &one.name).await {
                    Ok(row) => {
                        let json = row.document.clone();
                        rows.insert(one.clone(), row);
                        json
                    }
                    // Whoever names it is told.
                    Err(ResourceError::Missing { .. }) if !is_asked_for => continue,
                    Err(error) => return Err(error.into()),
                },
            };
            let named = match one.kind {
                ResourceKind::Source | ResourceKind::Destination => &[][..],
                ResourceKind::Model => &[("source", ResourceKind::Source)][..],
                ResourceKind::Mapping => {
                    &[("model", ResourceKind::Model), ("destination", ResourceKind::Destination)][..]
                }
            };
            for (key, kind) in named {
                if let Some(name) = json.get(key).and_then(Value::as_str) {
                    open.push((ResourceRef::new(*kind, name), false));
                }
            }
            documents.push(Document { part, name: one.name, json });
        }
        Ok((documents, rows))
    }
}

/// The part of a project that a kind of definition is.
pub(crate) fn part_of(kind: ResourceKind) -> Part {
    match kind {
        ResourceKind::Source => Part::Source,
        ResourceKind::Model => Part::Model,
        ResourceKind::Destination => Part::Destination,
        ResourceKind::Mapping => Part::Mapping,
    }
}
