//! `outflow sync`: finds what changed and delivers it.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sync::{Request, SyncOptions};

use super::Context;
use crate::{
    failure::{Exit, Failure},
    operations::{self, Operations},
    progress::Shown,
    render,
    traces::CommandTraces,
};

/// Deliver what changed since the last sync.
///
/// Ctrl-C ends a sync cleanly: what is in flight is waited for, the rest stays pending for the next sync.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow sync customers orders
  outflow sync --all
  outflow sync customers --yes              # a guard held it, and it is right
  outflow sync --plan customers.plan        # exactly what `outflow plan --save` showed

Exit codes: 0 all delivered, 1 failed, 3 some records were not taken, 4 held by a guard.")]
pub(crate) struct Sync {
    /// Names of mappings.
    #[arg(value_name = "MAPPING", required_unless_present_any = ["all", "plan"])]
    mappings: Vec<String>,
    /// All mappings that are switched on.
    #[arg(long, conflicts_with = "mappings")]
    all: bool,
    /// Send what this saved plan holds, instead of reading the source again.
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    plan: Option<PathBuf>,
    /// Go on where a guard would hold.
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Sync {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let project = context.project()?;
        let operations = Operations::open(&project).await?;
        let names = match &self.plan {
            Some(plan) if self.mappings.is_empty() => super::chosen(&project, &operations::planned(plan)?)?,
            _ => super::chosen(&project, &self.mappings)?,
        };
        super::switched_on(&project, &names)?;
        let mappings = operations.mappings(&names)?;
        let observer = Shown::new(context.output);
        let options = SyncOptions { confirmed: self.yes, plan: self.plan, trigger: "command line".to_owned() };
        let request = |mapping| Request::new(mapping, options.clone(), &context.cancel);
        let requests: Vec<Request> = mappings.iter().cloned().map(request).collect();
        let traces = CommandTraces::start(context.output);
        let reports = operations.engine.sync(&requests, &observer).await;
        for (report, mapping) in reports.iter().zip(&mappings) {
            traces.ended(report, mapping, &options.trigger);
        }
        traces.finish().await;
        let exit = reports.iter().fold(Exit::Done, |exit, report| exit.worse(Exit::of(report.ending)));
        context.output.result(&json!({ "syncs": reports }), |paint| {
            reports.iter().map(|report| render::report(report, paint)).collect::<Vec<_>>().join("\n")
        });
        Ok(exit)
    }
}
