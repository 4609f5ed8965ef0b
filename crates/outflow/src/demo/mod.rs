//! The demo: a shop, an endpoint that keeps what it is given, two syncs. It runs the same commands as a person would.

pub(crate) mod endpoint;
pub(crate) mod shop;
mod truth;

use std::path::Path;

use clap::Parser as _;
use project::Project;
use serde_json::json;

use crate::{
    arguments::Arguments,
    commands::{self, Context},
    connectors,
    failure::{Exit, Failure},
    output::Output,
    render::{Paint, counted},
    surroundings,
};
use endpoint::Endpoint;

/// Tells a folder that an earlier demo made, and that may be begun anew.
const MARK: &str = ".outflow-demo";

/// The project's files, the destination apart, which names the endpoint's port.
const FILES: [(&str, &str); 6] = [
    ("outflow.yaml", include_str!("project/outflow.yaml")),
    ("sources/shop.yaml", include_str!("project/source.yaml")),
    ("models/customers.sql", include_str!("project/customers.sql")),
    ("models/orders.sql", include_str!("project/orders.sql")),
    ("mappings/customers.yaml", include_str!("project/customers.yaml")),
    ("mappings/orders.yaml", include_str!("project/orders.yaml")),
];

/// Runs the demo in `folder`. With `serve`, the endpoint stays until the program is interrupted.
pub(crate) async fn run(folder: &Path, customers: u32, serve: bool, context: &Context<'_>) -> Result<Exit, Failure> {
    prepare(folder)?;
    let told = Told::new(context.output);
    let endpoint = Endpoint::start()
        .await
        .map_err(|error| Failure::new("the demo's endpoint cannot be started").because(error))?;
    let orders = shop::create(&folder.join("shop.db"), customers).await?;
    for (path, text) in FILES {
        write(&folder.join(path), text)?;
    }
    write(&folder.join("destinations/crm.yaml"), &destination(&endpoint.url()))?;

    told.title("A small shop, and a CRM to keep equal to it");
    told.say(&format!(
        "{} with {} in {}",
        counted(u64::from(customers), "customer"),
        counted(orders, "order"),
        folder.join("shop.db").display()
    ));
    told.say(&format!("A local endpoint at {} plays the CRM and keeps what it is given", endpoint.url()));

    told.title("The first sync sends everything");
    let mut exit = told.command(folder, &["sync", "--all"], context).await?;

    told.title("A day passes in the shop");
    let changes = shop::change(&folder.join("shop.db")).await?;
    told.say(&format!(
        "{} upgraded to pro, {} moved, {} left, {} joined",
        changes.upgraded, changes.moved, changes.left, changes.joined
    ));

    told.title("What would be sent now? Nothing is sent yet");
    exit = exit.worse(told.command(folder, &["plan", "customers", "--samples", "1"], context).await?);

    told.title("The second sync sends only what changed");
    exit = exit.worse(told.command(folder, &["sync", "--all"], context).await?);

    told.title("What happened to one customer?");
    let key = changes.example.to_string();
    exit = exit.worse(told.command(folder, &["trace", "customers", &key], context).await?);

    told.title("Is it true? The endpoint's records, compared with the models' rows");
    let project = Project::read(folder, &surroundings::variable, &connectors::forms())?;
    let mut equal = true;
    let mut compared = Vec::new();
    for (model, collection) in [("customers", "contacts"), ("orders", "deals")] {
        let found = truth::compare(&project, model, collection, &endpoint, context).await?;
        equal &= found.is_equal();
        told.say(&found.text(told.paint));
        compared.push(found);
    }
    let requests = endpoint.look(|kept| kept.requests);
    told.say(&format!("It took {} in all", counted(requests, "request")));
    told.next(folder, serve);
    if context.output.is_json() {
        let result = json!({ "folder": folder, "requests": requests, "equal": equal, "compared": compared });
        context.output.result(&result, |_| String::new());
    }
    if !equal {
        return Err(Failure::new("the endpoint does not hold what the models give"));
    }
    if serve {
        context.cancel.cancelled().await;
    }
    Ok(exit)
}

fn prepare(folder: &Path) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::new(format!("cannot write to `{}`", folder.display())).because(error);
    let is_empty = std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if folder.join(MARK).exists() {
        std::fs::remove_dir_all(folder).map_err(cannot)?;
    } else if !is_empty {
        let message = format!("`{}` is not empty, and no earlier demo made it", folder.display());
        return Err(Failure::new(message).hint("give another folder: `outflow demo --dir DIR`"));
    }
    write(&folder.join(MARK), "`outflow demo` made this folder and makes it anew each time it runs here.\n")
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text))
        .map_err(|error| Failure::new(format!("cannot write `{}`", path.display())).because(error))
}

/// The CRM: it takes lists of records and answers with a result for each.
fn destination(url: &str) -> String {
    format!(
        "# The endpoint that the demo started; it listens as long as the demo runs.\n\
         type: http\nbase_url: {url}\noptions:\n  batch:\n    records_max: 200\n  \
         # The answer holds one result for each record; one with an `error` was not taken.\n  \
         results:\n    path: results\n    error_path: error\n"
    )
}

/// Tells the demo's story to a person; to a program it says nothing until the end.
struct Told<'a> {
    output: &'a Output,
    paint: Paint,
    muted: Output,
    chapter: std::cell::Cell<u32>,
}

impl<'a> Told<'a> {
    fn new(output: &'a Output) -> Self {
        Self { output, paint: output.paint(), muted: Output::muted(), chapter: std::cell::Cell::new(0) }
    }

    fn line(&self, text: &str) {
        if !self.output.is_json() {
            self.output.line(text);
        }
    }

    fn title(&self, text: &str) {
        self.chapter.set(self.chapter.get() + 1);
        self.line(&format!("\n{}  {}\n", self.paint.cyan(&self.chapter.get().to_string()), self.paint.bold(text)));
    }

    fn say(&self, text: &str) {
        self.line(&format!("   {text}"));
    }

    /// Runs a command as the command line would.
    async fn command(&self, folder: &Path, words: &[&str], context: &Context<'_>) -> Result<Exit, Failure> {
        self.line(&format!("   {}\n", self.paint.green(&format!("$ outflow {}", words.join(" ")))));
        let all = ["outflow".as_ref(), "--project".as_ref(), folder.as_os_str()];
        let all = all.into_iter().chain(words.iter().map(|word| std::ffi::OsStr::new(*word)));
        let arguments = Arguments::try_parse_from(all).map_err(|error| Failure::usage(error.to_string()))?;
        let output = if self.output.is_json() { &self.muted } else { self.output };
        let context = Context { global: &arguments.global, output, cancel: context.cancel.clone() };
        Box::pin(commands::run(arguments.command, &context)).await
    }

    fn next(&self, folder: &Path, serve: bool) {
        let folder = folder.display();
        self.title("Try next");
        let mut lines = vec![format!("cd {folder}")];
        if let Some(program) = surroundings::program_outside_path() {
            lines.push(format!("alias outflow={}", program.display()));
        }
        lines.extend([
            "outflow preview customers          # a model's rows".to_owned(),
            "outflow status                     # every mapping and its last sync".to_owned(),
            "outflow history".to_owned(),
            "outflow trace customers 42".to_owned(),
        ]);
        if serve {
            lines.push("sqlite3 shop.db \"update customers set plan = 'pro' where id < 10\"".to_owned());
            lines.push("outflow plan && outflow sync --all".to_owned());
        } else {
            lines.push(
                "outflow demo --serve               # the same, and the endpoint stays for syncs of your own"
                    .to_owned(),
            );
        }
        lines.push("outflow init my-project            # a project of your own, with comments".to_owned());
        lines.iter().for_each(|line| self.say(line));
        if serve {
            self.line("");
            self.say("The endpoint listens until you press Ctrl-C.");
        }
    }
}
