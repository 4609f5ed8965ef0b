//! `outflow plan`: what a sync would do, without doing it.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sync::PlanOptions;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    operations::Operations,
    progress::Shown,
    render::{self, PlanView},
};

/// Show what a sync would do: counts, values before and after, the exact requests. Nothing is sent or changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow plan                              # all mappings that are switched on
  outflow plan customers --samples 20
  outflow plan customers --save customers.plan
  outflow sync --plan customers.plan        # sends exactly what was planned

The exit code is 4 when a guard would hold one of the syncs.")]
pub(crate) struct Plan {
    /// Names of mappings. None: all that are switched on.
    #[arg(value_name = "MAPPING")]
    mappings: Vec<String>,
    /// Keep the plan in a file, for `outflow sync --plan FILE`.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// How many changes to show of each kind.
    #[arg(long, value_name = "N", default_value_t = 3)]
    samples: usize,
}

impl Plan {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let project = context.project()?;
        let names = super::chosen(&project, &self.mappings)?;
        let operations = Operations::open(&project).await?;
        let mappings = operations.mappings(&names)?;
        let observer = Shown::new(context.output);
        let options = PlanOptions { samples: self.samples, save: self.save.clone() };
        let plans = operations.engine.plan(&mappings, &options, &observer, &context.cancel).await;

        let mut exit = Exit::Done;
        let mut views = Vec::new();
        let mut failures = Vec::new();
        for (mapping, plan) in mappings.iter().zip(&plans) {
            match plan {
                Ok(plan) => {
                    let to =
                        format!("{} · {} · {}", mapping.connection.name, mapping.action, mapping.choice.mode().name());
                    if plan.held.is_some() {
                        exit = exit.worse(Exit::Held);
                    }
                    views.push(PlanView { plan, to });
                }
                Err(problem) => {
                    exit = exit.worse(Exit::Failed);
                    failures.push(json!({ "mapping": mapping.name, "problem": problem }));
                }
            }
        }
        let plans_shown: Vec<_> = views.iter().map(|view| view.plan).collect();
        let result = json!({ "plans": plans_shown, "failures": failures, "saved": self.save });
        context.output.result(&result, |paint| {
            let mut out: Vec<String> = views.iter().map(|view| render::plan(view, paint)).collect();
            for (mapping, plan) in mappings.iter().zip(&plans) {
                if let Err(problem) = plan {
                    let hint = problem.hint.as_ref().map(|hint| format!("\n  {} {hint}", paint.green("hint:")));
                    out.push(format!(
                        "{}\n  {} {}{}\n",
                        paint.bold(&mapping.name),
                        paint.red("error:"),
                        problem.message,
                        hint.unwrap_or_default()
                    ));
                }
            }
            let changed = views.iter().any(|view| view.plan.counts.changed() > 0);
            out.push(match (&self.save, changed) {
                (Some(file), _) => {
                    format!("Nothing was sent. Send this plan: outflow sync --plan {}\n", file.display())
                }
                (None, true) => format!("Nothing was sent. Send it: outflow sync {}\n", names.join(" ")),
                (None, false) => "Nothing was sent.\n".to_owned(),
            });
            out.join("\n")
        });
        Ok(exit)
    }
}
