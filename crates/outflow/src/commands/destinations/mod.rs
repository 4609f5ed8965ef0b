//! `outflow destinations`: what this program can deliver to, looked up and proven.

mod choices;
mod list;
mod show;
mod test;

use clap::{Args, Subcommand};
use kit::Facts;
use project::suggestion;

use super::Context;
use crate::{
    connectors,
    failure::{Exit, Failure},
};

/// Look up what Outflow can deliver to: its settings, actions and fields, and what an account has to choose from.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow destinations list
  outflow destinations show hubspot
  outflow destinations show hubspot --action upsertContact
  outflow destinations choices crm upsertObject object_details.object_type
  outflow destinations test hubspot --cases cases.json")]
pub(crate) struct Destinations {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Show(show::Show),
    Test(test::Test),
    Choices(choices::Choices),
}

impl Destinations {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        match self.command {
            Command::List(command) => command.run(context),
            Command::Show(command) => command.run(context),
            Command::Test(command) => command.run(context).await,
            Command::Choices(command) => command.run(context).await,
        }
    }
}

/// The facts of the destination of that slug.
fn facts_of(slug: &str) -> Result<Facts, Failure> {
    let mut all = connectors::destination_facts();
    match all.iter().position(|facts| facts.slug == slug) {
        Some(index) => Ok(all.swap_remove(index)),
        None => {
            let slugs: Vec<&str> = all.iter().map(|facts| facts.slug.as_str()).collect();
            Err(Failure::usage(format!("there is no destination `{slug}`; {}", suggestion(slug, &slugs)))
                .hint("`outflow destinations list` says what each is"))
        }
    }
}

/// The action of that slug.
fn action_of<'a>(facts: &'a Facts, slug: &str) -> Result<&'a kit::Action, Failure> {
    let slugs: Vec<&str> = facts.actions.iter().map(|action| action.slug.as_str()).collect();
    facts
        .action(slug)
        .ok_or_else(|| Failure::usage(format!("`{}` has no action `{slug}`; {}", facts.slug, suggestion(slug, &slugs))))
}
