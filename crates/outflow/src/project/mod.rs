//! A project: a folder of YAML and SQL files with sources, models, destinations and mappings.

mod checking;
mod files;
mod form;
mod header;
mod located;
mod outputs;
mod problem;
mod schema;
mod secrets;
#[cfg(test)]
mod tests;

pub(crate) use files::{Project, ProjectDestination, ProjectMapping, Settings};
pub(crate) use form::{DeletedValues, Keep};
pub(crate) use located::Node;
pub(crate) use outputs::{outputs_yaml, with_outputs};
pub(crate) use problem::{Problem, Problems, listed, nearest, suggestion};
pub(crate) use schema::{Part, part_schema, project_schema};
pub(crate) use secrets::Secrets;

/// The file that makes a folder a project.
pub(crate) const PROJECT_FILE: &str = "outflow.yaml";
