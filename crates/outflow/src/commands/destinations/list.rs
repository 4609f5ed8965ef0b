//! `outflow destinations list`: every destination in a line.

use clap::Args;
use serde_json::json;

use crate::{
    commands::Context,
    connectors,
    failure::{Exit, Failure},
    render::{self, DestinationRow},
};

/// List what Outflow can deliver to.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow destinations list
  outflow destinations list --output json")]
pub(crate) struct List {
    /// Print the page that lists them in `docs/destinations`.
    #[arg(long)]
    markdown: bool,
}

impl List {
    pub(crate) fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let facts = connectors::destination_facts();
        let rows: Vec<DestinationRow> = facts.iter().map(DestinationRow::of).collect();
        if self.markdown {
            context.output.line(render::reference_index(&rows).trim_end_matches('\n'));
        } else {
            context.output.result(&json!({ "destinations": rows }), |paint| render::destinations(&rows, paint));
        }
        Ok(Exit::Done)
    }
}
