//! A project: sources, models, destinations and mappings as people write them, from their forms to what the engine
//! works on.

mod applying;
mod assembly;
mod checking;
mod connectors;
mod differences;
mod documents;
mod files;
mod form;
mod header;
mod located;
mod outputs;
mod parts;
mod problem;
mod pulling;
mod references;
mod referring;
mod reserved;
mod schema;
mod sealing;
mod secrets;
#[cfg(test)]
mod tests;
mod wiring;
mod yaml;

pub use applying::FileDocument;
pub use connectors::Connectors;
pub use differences::{Difference, DifferenceKind, FieldDifference};
pub use documents::Document;
pub use form::{
    BatchForm, DeletedValues, GiveUpForm, GuardsForm, Keep, MappingForm, OnFindingForm, Records, RetryForm, Size,
};
pub use located::{Content, Entry, Node, Place, SyntaxProblem};
pub use outputs::{NotPlaced, outputs_yaml, with_outputs};
pub use parts::{Origin, Project, ProjectDestination, ProjectMapping, ProjectModel, ProjectSource, Settings};
pub use problem::{Problem, Problems, listed, nearest, suggestion};
pub use pulling::FileChange;
pub use references::{Allowed, Reach, Variables};
pub use referring::Known;
pub use reserved::hooks_without_outputs;
pub use schema::{Forms, Part};
pub use sealing::{KEPT, Seal, mask_document};
pub use secrets::{HIDDEN, Secrets};
pub use wiring::{TokenStores, Wiring};

/// The file that makes a folder a project.
pub const PROJECT_FILE: &str = "outflow.yaml";
