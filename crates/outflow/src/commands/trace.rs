//! `outflow trace`: everything that happened to one record.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    operations,
    render::{self, TraceView},
};

/// Show every sync that touched a record: what changed, the request, the answer, the outcome. Newest last.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow trace customers 42
  outflow trace order_lines '[1001,2]'      # a key of several columns, as a JSON list")]
pub(crate) struct Trace {
    #[arg(value_name = "MAPPING")]
    mapping: String,
    /// The record's key.
    #[arg(value_name = "KEY")]
    key: String,
    /// At most this many syncs.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Show requests and answers whole.
    #[arg(long)]
    full: bool,
}

impl Trace {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let settings = context.settings()?;
        let history = operations::history(&settings);
        let (mapping, key, limit) = (self.mapping.clone(), self.key.clone(), self.limit);
        let trace = tokio::task::spawn_blocking(move || history.trace(&mapping, &key, limit))
            .await
            .map_err(|error| Failure::new("the history cannot be read").because(error))?
            .map_err(|error| Failure::new("the history cannot be read").because(error))?;
        if trace.entries.is_empty() && trace.unreadable.is_empty() {
            let message = format!("the history of `{}` knows no record with the key `{}`", self.mapping, self.key);
            return Err(Failure::new(message).hint(
                "`outflow history` lists the mappings that ran; a key of several columns is a JSON list: '[1,2]'",
            ));
        }
        let view = TraceView { mapping: &self.mapping, key: &self.key, trace: &trace, full: self.full };
        let result = json!({ "mapping": self.mapping, "key": self.key, "trace": trace });
        context.output.result(&result, |paint| render::trace(&view, paint));
        Ok(Exit::Done)
    }
}
