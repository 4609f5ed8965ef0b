//! The commands, one file each: what they take, what they do. How results look is in `render`.

mod backup;
mod baseline;
mod check;
mod connect;
mod demo;
mod destinations;
mod history;
mod hook;
mod init;
mod keys;
mod map;
mod plan;
mod preview;
mod replay;
mod reset;
mod schema;
mod serve;
mod simulate;
mod status;
mod sync;
mod test;
mod trace;

pub(crate) use check::Finding;
use clap::Subcommand;
use project::{Project, Settings, suggestion};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Global,
    connectors,
    failure::{Exit, Failure},
    output::Output,
    surroundings,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Demo(demo::Demo),
    Check(check::Check),
    Connect(connect::Connect),
    Preview(preview::Preview),
    Plan(plan::Plan),
    Sync(sync::Sync),
    Status(status::Status),
    History(history::History),
    Trace(trace::Trace),
    Reset(reset::Reset),
    Baseline(baseline::Baseline),
    Replay(replay::Replay),
    Map(map::Map),
    Test(test::Test),
    Hook(hook::HookCommand),
    Destinations(destinations::Destinations),
    Schema(schema::Schema),
    Serve(serve::Serve),
    Worker(serve::WorkerCommand),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Keys(keys::Keys),
    Simulate(simulate::Simulate),
}

/// What every command may use.
pub(crate) struct Context<'a> {
    pub(crate) global: &'a Global,
    pub(crate) output: &'a Output,
    pub(crate) cancel: CancellationToken,
}

impl Context<'_> {
    /// The project, all of it read and checked; its secrets are hidden from now on.
    pub(crate) fn project(&self) -> Result<Project, Failure> {
        let project = Project::read(&self.global.project, &surroundings::variable, &connectors::forms())?;
        self.output.hide(&project.secrets);
        Ok(project)
    }

    /// Only the project's head, for commands that work though a variable is not set or a file is wrong.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        // If the whole can be read, its secrets are known and hidden.
        if let Ok(project) = self.project() {
            return Ok(project.settings);
        }
        Ok(Settings::read(&self.global.project, &surroundings::variable, &connectors::forms())?)
    }
}

/// Runs one command.
pub(crate) async fn run(command: Command, context: &Context<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Init(command) => command.run(context).await,
        Command::Demo(command) => command.run(context).await,
        Command::Check(command) => command.run(context).await,
        Command::Connect(command) => command.run(context).await,
        Command::Preview(command) => command.run(context).await,
        Command::Plan(command) => command.run(context).await,
        Command::Sync(command) => command.run(context).await,
        Command::Status(command) => command.run(context).await,
        Command::History(command) => command.run(context).await,
        Command::Trace(command) => command.run(context).await,
        Command::Reset(command) => command.run(context).await,
        Command::Baseline(command) => command.run(context).await,
        Command::Replay(command) => command.run(context).await,
        Command::Map(command) => command.run(context),
        Command::Test(command) => command.run(context).await,
        Command::Hook(command) => command.run(context).await,
        Command::Destinations(command) => command.run(context).await,
        Command::Schema(command) => command.run(context),
        Command::Serve(command) => command.run(context).await,
        Command::Worker(command) => command.run(context).await,
        Command::Backup(command) => command.run(context).await,
        Command::Restore(command) => command.run(context).await,
        Command::Keys(command) => command.run(context).await,
        Command::Simulate(command) => command.run(context).await,
    }
}

/// The mappings that a command line names: these, or all that are switched on.
fn chosen(project: &Project, names: &[String]) -> Result<Vec<String>, Failure> {
    let all: Vec<&str> = project.mappings.iter().map(|mapping| mapping.origin.name.as_str()).collect();
    for name in names {
        known("mapping", name, &all)?;
    }
    if !names.is_empty() {
        let mut chosen: Vec<String> = Vec::new();
        names.iter().for_each(|name| {
            if !chosen.contains(name) {
                chosen.push(name.clone())
            }
        });
        return Ok(chosen);
    }
    let is_on = |mapping: &&project::ProjectMapping| {
        let destination = project.destination(&mapping.form.destination);
        let model = project.model(&mapping.form.model);
        mapping.form.enabled != Some(false)
            && destination.is_none_or(|destination| destination.enabled)
            && model.is_none_or(|model| model.enabled)
    };
    let chosen: Vec<String> =
        project.mappings.iter().filter(is_on).map(|mapping| mapping.origin.name.clone()).collect();
    if chosen.is_empty() {
        return Err(Failure::new("the project has no mapping that is switched on")
            .hint("write one into `mappings/NAME.yaml`; `outflow init` in an empty folder shows how"));
    }
    Ok(chosen)
}

/// Refuses to send to a destination that is switched off, or from such a model, though the mapping was named.
fn switched_on(project: &Project, names: &[String]) -> Result<(), Failure> {
    for mapping in names.iter().filter_map(|name| project.mapping(name)) {
        let model = &mapping.form.model;
        if project.model(model).is_some_and(|model| !model.enabled) {
            let message = format!("the model `{model}` of `{}` is switched off", mapping.origin.name);
            return Err(Failure::new(message).hint("set `enabled: true` in its file to send from it"));
        }
        let destination = &mapping.form.destination;
        if project.destination(destination).is_some_and(|destination| !destination.enabled) {
            let message = format!("the destination `{destination}` of `{}` is switched off", mapping.origin.name);
            return Err(Failure::new(message).hint("set `enabled: true` in its file to send to it"));
        }
    }
    Ok(())
}

fn known(noun: &str, name: &str, all: &[&str]) -> Result<(), Failure> {
    if all.contains(&name) {
        return Ok(());
    }
    Err(Failure::usage(format!("there is no {noun} `{name}` in the project; {}", suggestion(name, all))))
}
