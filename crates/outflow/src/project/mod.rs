//! A project: a folder of YAML and SQL files with sources, models, destinations and mappings.

mod checking;
mod files;
mod form;
mod header;
mod located;
mod problem;
mod schema;
mod secrets;
#[cfg(test)]
mod tests;

pub(crate) use files::{Origin, Project, ProjectDestination, ProjectMapping, ProjectModel, ProjectSource, Settings};
pub(crate) use form::{DeletedValues, Keep};
pub(crate) use located::{Node, Place};
pub(crate) use problem::{Problem, Problems, listed, suggestion};
pub(crate) use schema::{Part, part_schema, project_schema};
pub(crate) use secrets::{Secrets, Variables};

/// The file that makes a folder a project.
pub(crate) const PROJECT_FILE: &str = "outflow.yaml";
