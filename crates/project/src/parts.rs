//! The parts of a project, checked and with their references filled in. Nothing has been connected yet.

use std::{path::PathBuf, sync::Arc};

use schedule::Schedule;
use serde_json::Value;

use super::{
    connectors::Connectors,
    form::MappingForm,
    located::{Node, Place},
    problem::Problem,
    schema::Part,
    secrets::Secrets,
};

/// A project whose files are right in themselves. Nothing has been connected yet.
#[derive(Debug)]
pub struct Project {
    pub settings: Settings,
    pub sources: Vec<ProjectSource>,
    pub models: Vec<ProjectModel>,
    pub destinations: Vec<ProjectDestination>,
    pub mappings: Vec<ProjectMapping>,
    pub secrets: Secrets,
    pub(crate) connectors: Arc<dyn Connectors>,
}

/// The head of a project: enough to find what earlier syncs left.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: String,
    pub folder: PathBuf,
    /// Where state is kept.
    pub data: PathBuf,
    pub memory_bytes: u64,
    pub disk_bytes: u64,
    pub history_days: Option<u32>,
    pub history_bytes: Option<u64>,
}

/// Where a part stands, for messages about it.
#[derive(Debug, Clone)]
pub struct Origin {
    pub part: Part,
    pub name: String,
    /// Relative to the project.
    pub file: PathBuf,
    /// The way to the part within its file: `mappings.customers`, or empty if the file is the part.
    pub(crate) prefix: String,
    pub node: Node,
    /// The paths of texts into which something came from outside that may be a secret.
    pub(crate) from_outside: Vec<String>,
}

impl Origin {
    /// A problem at the deepest node of `path` that is there.
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        Problem::new(&self.file, self.node.place_of(path), self.path_in_file(path), message)
    }

    /// A path of the part as it is from the top of its file.
    pub fn path_in_file(&self, path: &str) -> String {
        match (self.prefix.as_str(), path) {
            ("", path) => path.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}.{path}"),
        }
    }
}

#[derive(Debug)]
pub struct ProjectSource {
    pub origin: Origin,
    pub kind: String,
    pub settings: Value,
    /// How many extracts may run on it at a time.
    pub extracts_max: u32,
    /// Where each sync's summary and outcomes are written: the beginning of the tables' names, after a schema and a
    /// full stop if it is to be another than the login's own.
    pub outcomes_table: Option<String>,
}

#[derive(Debug)]
pub struct ProjectModel {
    pub origin: Origin,
    pub source: String,
    pub key: Vec<String>,
    /// Columns whose values are shown only to those who may see them.
    pub personal: Vec<String>,
    pub enabled: bool,
    pub query: String,
    /// The file the query stands in, and the line before its first.
    pub query_file: PathBuf,
    pub query_line: usize,
}

#[derive(Debug)]
pub struct ProjectDestination {
    pub origin: Origin,
    pub kind: String,
    pub settings: Value,
    pub enabled: bool,
}

#[derive(Debug)]
pub struct ProjectMapping {
    pub origin: Origin,
    pub form: MappingForm,
    pub schedule: Schedule,
}

impl Project {
    pub fn source(&self, name: &str) -> Option<&ProjectSource> {
        self.sources.iter().find(|source| source.origin.name == name)
    }

    pub fn model(&self, name: &str) -> Option<&ProjectModel> {
        self.models.iter().find(|model| model.origin.name == name)
    }

    pub fn destination(&self, name: &str) -> Option<&ProjectDestination> {
        self.destinations.iter().find(|destination| destination.origin.name == name)
    }

    pub fn mapping(&self, name: &str) -> Option<&ProjectMapping> {
        self.mappings.iter().find(|mapping| mapping.origin.name == name)
    }
}

impl ProjectModel {
    /// A problem at a place of the query, as the source tells it.
    pub fn query_problem(&self, place: Option<kit::Place>, message: impl Into<String>) -> Problem {
        match place {
            // In a document the query is a field of its own.
            Some(place) if self.origin.node.place == Place::NONE => {
                let place = Place { line: place.line, column: place.column };
                Problem::new(&self.query_file, place, "query", message)
            }
            Some(place) => {
                let place = Place { line: self.query_line + place.line, column: place.column };
                Problem::new(&self.query_file, place, "", message)
            }
            None => self.origin.problem("query", message),
        }
    }
}
