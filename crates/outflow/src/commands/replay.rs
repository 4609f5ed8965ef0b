//! `outflow replay`: sends the records of an earlier sync again.

use clap::Args;
use serde_json::json;
use sync::{Request, SyncOptions};

use super::Context;
use crate::{
    failure::{Exit, Failure},
    operations::Operations,
    progress::Shown,
    render,
    traces::CommandTraces,
};

/// Send the records of an earlier sync again, with the values they have now.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow history customers                 # shows the syncs
  outflow replay sync_0192f0c1…             # all its records
  outflow replay sync_0192f0c1… --failed    # only those that were not delivered")]
pub(crate) struct Replay {
    /// The sync's id.
    #[arg(value_name = "SYNC")]
    sync: String,
    /// Only records that were not delivered.
    #[arg(long)]
    failed: bool,
}

impl Replay {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let project = context.project()?;
        let operations = Operations::open(&project).await?;
        let observer = Shown::new(context.output);
        let (sync, name) = operations.sync(&self.sync).await?;
        super::chosen(&project, std::slice::from_ref(&name))?;
        super::switched_on(&project, std::slice::from_ref(&name))?;
        let mapping = operations.mapping(&name)?;
        let options = SyncOptions { trigger: format!("replay of {sync}"), ..SyncOptions::default() };
        let request = Request::new(mapping.clone(), options, &context.cancel);
        let traces = CommandTraces::start(context.output);
        let replayed = operations.engine.replay(&request, sync, self.failed, &observer).await;
        if let Ok(report) = &replayed {
            traces.ended(report, &mapping, &request.options.trigger);
        }
        traces.finish().await;
        let report = replayed?;
        context.output.result(&json!({ "syncs": [report] }), |paint| render::report(&report, paint));
        Ok(Exit::of(report.ending))
    }
}
