//! `outflow test`: one record through a mapping, and if wanted to its destination.

use clap::{Args, ValueEnum};
use records::{Operation, OutcomeKind};
use sync::{TriedPayload, TryOptions};

use super::Context;
use crate::{
    failure::{Exit, Failure},
    operations::Operations,
    render,
};

/// Try a mapping on one record: its event, the payload, the exact requests; with `--send`, the delivery itself.
///
/// Takes the first record of the model that the mapping's condition lets through, or the one that `--key` names.
/// Without `--send` nothing is changed anywhere: only what has to be looked up in the tool, to know the request that
/// follows, is looked up.
///
/// With `--send` the record is delivered for real. Neither checkpoint nor history know of it: the next sync sees the
/// record as it did before, and sends it again if it would have.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow test customers
  outflow test customers --key 42 --as deleted
  outflow test customers --key 42 --send
  outflow test order_lines --key '[1001,2]'  # a key of several columns, as a JSON list

The exit code is 0 if the record was delivered, or without `--send` would be sent or left out; else 1.")]
pub(crate) struct Test {
    #[arg(value_name = "MAPPING")]
    mapping: String,
    /// The record's key, as `outflow trace` takes it.
    #[arg(long, short = 'k', value_name = "KEY", allow_hyphen_values = true)]
    key: Option<String>,
    /// What is taken to have happened to the record; default: the first of these that the mapping acts on.
    #[arg(long = "as", value_enum, value_name = "OPERATION")]
    operation: Option<Happened>,
    /// Deliver it for real.
    #[arg(long)]
    send: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Happened {
    Added,
    Updated,
    Deleted,
}

impl From<Happened> for Operation {
    fn from(happened: Happened) -> Self {
        match happened {
            Happened::Added => Operation::Added,
            Happened::Updated => Operation::Updated,
            Happened::Deleted => Operation::Deleted,
        }
    }
}

impl Test {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let project = context.project()?;
        let names = super::chosen(&project, std::slice::from_ref(&self.mapping))?;
        if self.send {
            super::switched_on(&project, &names)?;
        }
        let operations = Operations::looking(&project).await?;
        let mapping = operations.mapping(&self.mapping)?;
        let options = TryOptions { key: self.key, operation: self.operation.map(Into::into), send: self.send };
        let tried = operations.engine.try_record(&mapping, &options, &context.cancel).await?;
        context.output.result(&tried, |paint| render::tried(&tried, self.send, paint));
        let is_fine = match (&tried.sent, &tried.payload) {
            (Some(sent), _) => sent.outcome.outcome == OutcomeKind::Delivered,
            (None, TriedPayload::Refused { .. }) => false,
            (None, _) => !self.send && tried.requests_problem.is_none(),
        };
        Ok(if is_fine { Exit::Done } else { Exit::Failed })
    }
}
