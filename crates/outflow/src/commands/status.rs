//! `outflow status`: every mapping with its last sync.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    operations,
    render::{self, StatusRow},
    surroundings::SystemClock,
};
use records::Clock as _;

/// Show every mapping with its last sync, and why it failed or waits.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  outflow status --output json")]
pub(crate) struct Status {}

impl Status {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let project = context.project()?;
        let store = operations::open_store(&project.settings).await?;
        let mut rows = Vec::new();
        for mapping in &project.mappings {
            let name = &mapping.origin.name;
            let failed = |error| Failure::new("the state of the project cannot be read").because(error);
            let last = store.last_sync(name).await.map_err(failed)?;
            let checkpoint = store.checkpoint(name).await.map_err(failed)?;
            let destination = project.destination(&mapping.form.destination);
            rows.push(StatusRow {
                mapping: name.clone(),
                model: mapping.form.model.clone(),
                destination: mapping.form.destination.clone(),
                enabled: mapping.form.enabled != Some(false) && destination.is_none_or(|to| to.enabled),
                records: checkpoint.map(|checkpoint| checkpoint.records),
                last: last.as_ref().map(render::outcome_of),
            });
        }
        context.output.result(&json!({ "project": project.settings.name, "mappings": rows }), |paint| {
            render::status(&rows, SystemClock.now(), paint)
        });
        Ok(Exit::Done)
    }
}
