//! `outflow history`: the syncs that ran.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    operations, render,
};

/// List the syncs that ran, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow history
  outflow history customers --limit 100 --output json")]
pub(crate) struct History {
    /// Only syncs of this mapping.
    #[arg(value_name = "MAPPING")]
    mapping: Option<String>,
    /// At most this many.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: u32,
}

impl History {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let settings = context.settings()?;
        let store = operations::open_store(&settings).await?;
        let syncs = store
            .syncs(self.mapping.as_deref(), self.limit)
            .await
            .map_err(|error| Failure::new("the history of syncs cannot be read").because(error))?;
        context.output.result(&json!({ "syncs": syncs }), |paint| render::history(&syncs, paint));
        Ok(Exit::Done)
    }
}
