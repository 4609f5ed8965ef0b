//! A project: sources, models, destinations and mappings as people write them, from their forms to what the engine
//! works on.

mod checking;
mod connectors;
mod files;
mod form;
mod header;
mod located;
mod outputs;
mod problem;
mod reserved;
mod schema;
mod secrets;
#[cfg(test)]
mod tests;
mod wiring;

pub use connectors::Connectors;
pub use files::{Origin, Project, ProjectDestination, ProjectMapping, ProjectModel, ProjectSource, Settings};
pub use form::{BatchForm, DeletedValues, GuardsForm, Keep, MappingForm, OnFindingForm, Records, RetryForm, Size};
pub use located::{Content, Entry, Node, Place, SyntaxProblem};
pub use outputs::{NotPlaced, outputs_yaml, with_outputs};
pub use problem::{Problem, Problems, listed, nearest, suggestion};
pub use reserved::hooks_without_outputs;
pub use schema::{Forms, Part};
pub use secrets::{Secrets, Variables};
pub use wiring::{TokenStores, Wiring};

/// The file that makes a folder a project.
pub const PROJECT_FILE: &str = "outflow.yaml";
