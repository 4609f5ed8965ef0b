//! `outflow baseline`: takes the model's current result for what the destination holds.

use clap::Args;
use serde_json::json;
use sync::{Request, SyncOptions};

use super::Context;
use crate::{
    failure::{Exit, Failure},
    operations::Operations,
    progress::Shown,
    render::counted,
};

/// Take the model's current result for what the destination holds already, without sending anything.
///
/// For a tool that is already filled, and after an edit whose changes should count only from now on.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  outflow baseline customers
  outflow sync customers                    # sends only what changed since")]
pub(crate) struct Baseline {
    #[arg(value_name = "MAPPING")]
    mapping: String,
}

impl Baseline {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let project = context.project()?;
        super::chosen(&project, std::slice::from_ref(&self.mapping))?;
        let operations = Operations::open(&project).await?;
        let mapping = operations.mapping(&self.mapping)?;
        let observer = Shown::new(context.output);
        let options = SyncOptions { trigger: "baseline".to_owned(), ..SyncOptions::default() };
        let request = Request::new(mapping, options, &context.cancel);
        let report = operations.engine.baseline(&request, &observer).await;
        if let Some(problem) = report.problem {
            return Err(problem.into());
        }
        let counts = report.counts;
        let records = counts.extracted - counts.unusable_key();
        let result = json!({ "mapping": self.mapping, "sync": report.sync, "records": records, "counts": counts });
        context.output.result(&result, |_| {
            let unusable = match counts.unusable_key() {
                0 => String::new(),
                count => format!("\n{} left out: the key is null or stands more than once.", counted(count, "record")),
            };
            format!(
                "Took {} of `{}` as delivered. Nothing was sent.{unusable}",
                counted(records, "record"),
                self.mapping
            )
        });
        Ok(Exit::of(report.ending))
    }
}
