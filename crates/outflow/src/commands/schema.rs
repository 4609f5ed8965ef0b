//! `outflow schema`: the JSON Schema of project files, and the OpenAPI document of the server.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use project::Part;

use super::Context;
use crate::{
    connectors,
    failure::{Exit, Failure},
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
    #[arg(long, value_parser = PossibleValuesParser::new(Part::ALL.map(Part::noun)).try_map(|noun| noun.parse::<Part>()))]
    part: Option<Part>,

    /// The OpenAPI document of the server's API instead.
    #[arg(long, conflicts_with = "part")]
    openapi: bool,
}

impl Schema {
    pub(crate) fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        if self.openapi {
            context.output.line(&server::openapi().to_pretty_json().unwrap_or_default());
            return Ok(Exit::Done);
        }
        let forms = connectors::forms();
        let schema = self.part.map_or_else(|| forms.schema().clone(), |part| forms.part_schema(part));
        // The schema is JSON whatever the output is to be.
        context.output.line(&serde_json::to_string_pretty(&schema).unwrap_or_default());
        Ok(Exit::Done)
    }
}
