//! `outflow check`: everything that can be found wrong before a sync.

use clap::Args;
use kit::{Auth, Query, Wire};
use mapping::Columns;
use project::{Part, Problem, Problems, Project, Wiring, listed, suggestion};
use records::{KeyColumns, Schema};
use serde::Serialize;
use serde_json::json;

use super::Context;
use crate::{
    failure::{Exit, Failure, chain},
    render,
    wiring::wiring,
};

/// Look for everything that is wrong before a sync: files, connections, queries, mappings. Nothing is sent.
///
/// Files are read and checked against the schema; sources and destinations are connected to; each model's query is
/// described, its key found; mappings are compiled and held against the columns of their model and the fields of
/// their action.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow check
  outflow check --offline                   # files only, for CI without access to databases")]
pub(crate) struct Check {
    /// Only what can be found without connecting anywhere.
    #[arg(long)]
    offline: bool,
}

/// What was found about one part.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) part: &'static str,
    pub(crate) name: String,
    pub(crate) ok: bool,
    /// What was reached, or nothing if it is in `problems`.
    pub(crate) about: String,
    pub(crate) problems: Vec<Problem>,
}

impl Check {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let project = context.project()?;
        let mut checking = Checking { project: &project, wiring: wiring(&project), findings: Vec::new() };
        for source in &project.sources {
            checking.source(&source.origin.name, self.offline).await;
        }
        let mut schemas = Vec::new();
        for model in &project.models {
            schemas.push(checking.model(&model.origin.name, self.offline).await);
        }
        for destination in &project.destinations {
            checking.destination(&destination.origin.name, self.offline).await;
        }
        for mapping in &project.mappings {
            let model = project.models.iter().position(|model| model.origin.name == mapping.form.model);
            let schema = model.and_then(|index| schemas[index].as_ref());
            checking.mapping(&mapping.origin.name, schema);
        }
        let findings = checking.findings;
        let ok = findings.iter().all(|finding| finding.ok);
        let result = json!({ "project": project.settings.name, "ok": ok, "findings": findings });
        context.output.result(&result, |paint| render::findings(&project.settings.name, &findings, paint));
        Ok(if ok { Exit::Done } else { Exit::Failed })
    }
}

struct Checking<'p> {
    project: &'p Project,
    wiring: Wiring<'p>,
    findings: Vec<Finding>,
}

impl Checking<'_> {
    fn found(&mut self, part: Part, name: &str, result: Result<String, Problems>) {
        let (ok, about, problems) = match result {
            Ok(about) => (true, about, Vec::new()),
            Err(problems) => (false, String::new(), problems.iter().cloned().collect()),
        };
        self.findings.push(Finding { part: part.noun(), name: name.to_owned(), ok, about, problems });
    }

    async fn source(&mut self, name: &str, offline: bool) {
        let result = match self.wiring.source(name) {
            Err(problems) => Err(problems),
            Ok(_) if offline => Ok("not connected to".to_owned()),
            Ok(source) => source.check().await.map_err(|error| {
                let origin = self.project.source(name).map(|source| &source.origin);
                let message = chain(&error).join(": ");
                origin.map(|origin| origin.problem("", message)).into_iter().collect()
            }),
        };
        self.found(Part::Source, name, result);
    }

    async fn model(&mut self, name: &str, offline: bool) -> Option<Schema> {
        let part = self.project.model(name)?;
        let model = match self.wiring.model(name) {
            Ok(model) => model,
            Err(problems) => {
                // What is wrong with its source was told there.
                let known = self
                    .findings
                    .iter()
                    .any(|finding| !finding.ok && problems.iter().all(|problem| finding.problems.contains(problem)));
                let result =
                    if known { Ok(format!("not run: the source `{}` is wrong", part.source)) } else { Err(problems) };
                self.found(Part::Model, name, result);
                return None;
            }
        };
        if offline {
            self.found(Part::Model, name, Ok("not run".to_owned()));
            return None;
        }
        let reached = self.findings.iter().any(|found| found.part == "source" && found.name == part.source && found.ok);
        if !reached {
            self.found(Part::Model, name, Ok(format!("not run: the source `{}` was not reached", part.source)));
            return None;
        }
        let query = Query { text: part.query.clone(), rows_max: None };
        let described = model.source.describe(&query).await;
        let schema = match described {
            Ok(schema) => schema,
            Err(error) => {
                let message = chain(&error).join(": ");
                self.found(Part::Model, name, Err(part.query_problem(error.place(), message).into()));
                return None;
            }
        };
        let result = match KeyColumns::find(&schema, &part.key) {
            Ok(_) => {
                let columns = render::counted(u64::try_from(schema.columns().len()).unwrap_or(u64::MAX), "column");
                let key: Vec<&str> = part.key.iter().map(String::as_str).collect();
                Ok(format!("{columns}, key {}", listed(&key)))
            }
            Err(error) => Err(part.origin.problem("key", error.to_string()).into()),
        };
        self.found(Part::Model, name, result);
        Some(schema)
    }

    async fn destination(&mut self, name: &str, offline: bool) {
        let result = match self.wiring.connection(name) {
            Err(problems) => Err(problems),
            Ok(connection) if is_unconnected(&connection.wire).await => {
                let message = format!("nobody has granted access yet; run `outflow connect {name}`");
                let origin = self.project.destination(name).map(|destination| &destination.origin);
                Err(origin.map(|origin| origin.problem("", message)).into_iter().collect())
            }
            Ok(_) if offline => Ok("not connected to".to_owned()),
            Ok(connection) => connection.destination.check(&connection.wire).await.map_err(|error| {
                let origin = self.project.destination(name).map(|destination| &destination.origin);
                let message = chain(&connection.wire.redact_error(error)).join(": ");
                origin.map(|origin| origin.problem("", message)).into_iter().collect()
            }),
        };
        self.found(Part::Destination, name, result);
    }

    fn mapping(&mut self, name: &str, schema: Option<&Schema>) {
        let result = self.wiring.mapping(name).and_then(|mapping| {
            let to = format!("{} · {} · {}", mapping.connection.name, mapping.action, mapping.choice.mode().name());
            let columns = mapping.columns();
            let reads = match &columns {
                Columns::All => "all columns".to_owned(),
                Columns::Named(names) => render::counted(u64::try_from(names.len()).unwrap_or(u64::MAX), "column"),
            };
            let mut problems = Problems::default();
            if let (Columns::Named(names), Some(schema), Some(part)) = (columns, schema, self.project.mapping(name)) {
                let known: Vec<&str> = schema.columns().iter().map(|column| column.name.as_str()).collect();
                for column in names.iter().filter(|column| !known.contains(&column.as_str())) {
                    let message = format!(
                        "it reads the column `{column}`, which the model `{}` does not have; {}",
                        mapping.model.name,
                        suggestion(column, &known)
                    );
                    problems.push(part.origin.problem(&path_of(&part.form.fields, column), message));
                }
            }
            if let Some(part) = self.project.mapping(name) {
                for hook in project::hooks_without_outputs(&part.form.fields) {
                    let message = format!("it has inputs and no outputs yet; run `outflow hook {name} --write`");
                    problems.push(part.origin.problem(&format!("fields.{hook}"), message));
                }
            }
            problems.into_result(format!("{} → {to}, reads {reads}", mapping.model.name))
        });
        let result = result.map_err(|problems| {
            // What is wrong with its source or destination was told there.
            let told: Vec<&Problem> = self.findings.iter().flat_map(|finding| &finding.problems).collect();
            problems.iter().filter(|problem| !told.contains(problem)).cloned().collect::<Problems>()
        });
        let result = match result {
            Err(problems) if problems.is_empty() => Ok("not checked: its model or destination is wrong".to_owned()),
            result => result,
        };
        self.found(Part::Mapping, name, result);
    }
}

/// Whether a person has still to grant access. What cannot be read is told when it is connected to.
async fn is_unconnected(wire: &Wire) -> bool {
    match wire.auth() {
        Auth::OAuth(oauth) => oauth.is_unconnected().await.unwrap_or(false),
        _ => false,
    }
}

/// The first field that reads a column, by the look of its texts.
fn path_of(fields: &serde_json::Value, column: &str) -> String {
    fn find(value: &serde_json::Value, column: &str, path: &str) -> Option<String> {
        match value {
            serde_json::Value::String(text) => text.contains(column).then(|| path.to_owned()),
            serde_json::Value::Array(items) => {
                items.iter().enumerate().find_map(|(index, item)| find(item, column, &format!("{path}[{index}]")))
            }
            serde_json::Value::Object(map) => {
                map.iter().find_map(|(key, below)| find(below, column, &format!("{path}.{key}")))
            }
            _ => None,
        }
    }
    find(fields, column, "fields").unwrap_or_else(|| "fields".to_owned())
}
