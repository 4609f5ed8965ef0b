//! `outflow destinations test`: recorded cases run against a destination, without network.

use std::{io::Read as _, path::PathBuf};

use clap::Args;
use kit::recorded::{CaseReport, RecordedError};
use project::suggestion;
use serde_json::{Value, json};

use super::facts_of;
use crate::{
    commands::Context,
    failure::{Exit, Failure},
    render,
};

/// Run recorded cases against a destination, with their canned answers: nothing goes over the network.
///
/// A case holds settings, a mapping and records, and what should come of them: the mapped payloads, the requests, and
/// that nothing which failed there counts as delivered here. What differs is printed below the case's id; at the end,
/// `N passed, N failed`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow destinations test hubspot --cases hubspot.json
  outflow destinations test hubspot --cases hubspot.json --case hubspot/upsertContact/1

The exit code is 1 when a case failed.")]
pub(crate) struct Test {
    /// The destination's `type` in project files.
    #[arg(value_name = "SLUG")]
    slug: String,
    /// The file of cases, JSON; `-` reads stdin.
    #[arg(long, value_name = "FILE")]
    cases: PathBuf,
    /// Only the case of this id; may be given several times.
    #[arg(long = "case", value_name = "ID")]
    ids: Vec<String>,
}

impl Test {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let facts = facts_of(&self.slug)?;
        let text = self.read()?;
        let connect = |settings: &Value| destinations::connect(&facts.slug, settings, &Value::Null);
        let mut reports =
            kit::recorded::run(&text, &facts.slug, connect).await.map_err(|error| self.unusable(&error))?;
        let all: Vec<&str> = reports.iter().map(|report| report.id.as_str()).collect();
        for id in &self.ids {
            if !all.contains(&id.as_str()) {
                let near = if all.len() > 8 { project::nearest(id, &all) } else { None };
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if all.len() > 8 => format!("it has {} others", all.len()),
                    None => suggestion(id, &all),
                };
                return Err(Failure::usage(format!("there is no case `{id}` in `{}`; {hint}", self.cases.display())));
            }
        }
        if !self.ids.is_empty() {
            reports.retain(|report| self.ids.contains(&report.id));
        }
        let failed = reports.iter().filter(|report| !report.passed()).count();
        let result = json!({
            "destination": facts.slug,
            "passed": reports.len() - failed,
            "failed": failed,
            "cases": reports.iter().map(shown).collect::<Vec<_>>(),
        });
        context.output.result(&result, |paint| render::case_reports(&reports, paint));
        Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
    }

    fn read(&self) -> Result<String, Failure> {
        let read = if self.cases.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(&self.cases)
        };
        let text =
            read.map_err(|error| Failure::new(format!("cannot read `{}`", self.cases.display())).because(error))?;
        Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }

    fn unusable(&self, error: &RecordedError) -> Failure {
        let failure = Failure::new(format!("the cases in `{}` cannot be run", self.cases.display())).because(error);
        match error {
            RecordedError::Destination(other, _) if destinations::SLUGS.contains(&other.as_str()) => {
                failure.hint(format!("outflow destinations test {other} --cases {}", self.cases.display()))
            }
            RecordedError::Form(_) => failure.hint(
                "the file is one JSON object: `destination`, `frozenTime` and `cases`, each with `id`, `input` and `expected`",
            ),
            _ => failure,
        }
    }
}

fn shown(report: &CaseReport) -> Value {
    let mut shown = json!({ "id": report.id, "passed": report.passed(), "differences": report.differences });
    if let Some(reason) = report.on_purpose.as_ref().filter(|_| !report.differences.is_empty()) {
        shown["on_purpose"] = json!(reason);
    }
    shown
}
