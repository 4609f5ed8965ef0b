//! `outflow schema`: the JSON Schema of project files.

use clap::Args;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    project::{Part, part_schema, project_schema},
};

/// Print the JSON Schema of project files, for editors and for checks in CI.
///
/// `outflow check` follows the same schema.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, for an editor with the YAML language server:
  outflow schema > outflow.schema.json
  # then, as the first line of outflow.yaml:
  # yaml-language-server: $schema=./outflow.schema.json

  outflow schema --part mapping > mapping.schema.json    # for files in mappings/")]
pub(crate) struct Schema {
    /// The schema of one part's own file, such as `mappings/NAME.yaml`.
    #[arg(long, value_enum)]
    part: Option<Part>,
}

impl Schema {
    pub(crate) fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let schema = self.part.map_or_else(project_schema, part_schema);
        // The schema is JSON whatever the output is to be.
        context.output.line(&serde_json::to_string_pretty(&schema).unwrap_or_default());
        Ok(Exit::Done)
    }
}
