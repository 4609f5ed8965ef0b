//! `outflow reset`: forgets what a destination holds, so that it is sent again.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    operations::Operations,
    progress::Shown,
    render::counted,
};

/// Forget what the destination holds, so that the next sync sends every record as added. Nothing is deleted there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow reset customers
  outflow reset customers --key 42 --key 43
  outflow plan customers                    # shows what the next sync would send")]
pub(crate) struct Reset {
    #[arg(value_name = "MAPPING")]
    mapping: String,
    /// Only the records with these keys. A key of several columns is a JSON list: '[1001,2]'.
    #[arg(long = "key", short = 'k', value_name = "KEY")]
    keys: Vec<String>,
}

impl Reset {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let project = context.project()?;
        super::chosen(&project, std::slice::from_ref(&self.mapping))?;
        let operations = Operations::open(&project).await?;
        let observer = Shown::new(context.output);
        let forgotten = operations.engine.reset(&self.mapping, &self.keys, &observer).await?;
        context.output.result(&json!({ "mapping": self.mapping, "forgotten": forgotten }), |_| {
            format!(
                "Forgot {} of `{}`. The next sync sends what the model then holds.",
                counted(forgotten, "record"),
                self.mapping
            )
        });
        Ok(Exit::Done)
    }
}
