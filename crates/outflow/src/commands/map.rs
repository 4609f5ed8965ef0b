//! `outflow map`: runs mappings over events without a project, to try them and to test them in CI.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::Timestamp;
use mapping::{Event, Program, cases::Case};
use project::Node;
use records::{Clock as _, Value};

use super::Context;
use crate::{
    failure::{Exit, Failure, chain},
    surroundings::SystemClock,
};

/// Run the mapping language over events, without a project: to try a mapping, or to test one in CI.
///
/// With `--cases`, each line of the file is one case: {"id", "mapping", "payload"} and, if it is a test, "expected":
/// {"output": …}, {"error": …}, or {} for a mapping that gives nothing. For each, a line {"id", "output"} or
/// {"id", "error"} is printed, and at the end `N passed, N failed`.
///
/// With `--mapping` and `--events`, each line of the events is mapped and printed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow map --cases tests/mappings.jsonl
  echo '{\"properties\":{\"email\":\"Ada@Example.com\"}}' | outflow map --mapping fields.yaml --events -

The mapping's file holds the fields as in a project (YAML or JSON), or is a project's mapping file with `fields`.
The exit code is 1 when a case fails or an event cannot be mapped.")]
pub(crate) struct Map {
    /// Cases, one JSON object a line; `-` reads stdin.
    #[arg(long, value_name = "FILE", required_unless_present = "mapping", conflicts_with_all = ["mapping", "events"])]
    cases: Option<PathBuf>,
    /// The mapping: YAML or JSON.
    #[arg(long, value_name = "FILE", requires = "events")]
    mapping: Option<PathBuf>,
    /// Events, one JSON object a line; `-` reads stdin.
    #[arg(long, value_name = "FILE", requires = "mapping")]
    events: Option<PathBuf>,
    /// What `now` means in Liquid, such as 2026-06-15T12:00:00Z. A case may say it for itself with `"now"`.
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
}

impl Map {
    pub(crate) fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        match (self.cases, self.mapping, self.events) {
            (Some(cases), ..) => run_cases(&cases, self.now, context),
            (None, Some(mapping), Some(events)) => run_events(&mapping, &events, self.now, context),
            _ => Err(Failure::usage("give `--cases FILE`, or `--mapping FILE` with `--events FILE`")),
        }
    }
}

fn run_cases(path: &Path, now: Option<Timestamp>, context: &Context<'_>) -> Result<Exit, Failure> {
    let (mut passed, mut failed) = (0_u64, 0_u64);
    for_each_line(path, |number, line| {
        let case = Case::parse(line).map_err(|error| {
            Failure::new(format!("`{}` line {number} is not a case", path.display())).because(error)
        })?;
        let answer = case.run(now.unwrap_or_else(|| SystemClock.now()));
        context.output.line(&case.line(&answer));
        match case.accepts(&answer) {
            Some(true) => passed += 1,
            Some(false) => {
                failed += 1;
                let expected = case.expected.as_ref().map(Value::to_json).unwrap_or_default();
                context.output.note(&format!("{} failed: expected {expected}", case.id));
            }
            None => {}
        }
        Ok(())
    })?;
    if passed + failed > 0 {
        context.output.line(&format!("{passed} passed, {failed} failed"));
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

fn run_events(mapping: &Path, events: &Path, now: Option<Timestamp>, context: &Context<'_>) -> Result<Exit, Failure> {
    let text = std::fs::read_to_string(mapping)
        .map_err(|error| Failure::new(format!("cannot read `{}`", mapping.display())).because(error))?;
    let node = Node::parse(&text).map_err(|problem| {
        let place = problem.place;
        Failure::new(format!("{}:{}:{}: {}", mapping.display(), place.line, place.column, problem.message))
    })?;
    // A project's mapping file holds more than the fields.
    let fields = match node.get("fields") {
        Some(fields) if node.get("model").is_some() => fields,
        _ => &node,
    };
    let program = Program::compile(&fields.to_json().into()).map_err(|problems| {
        let mut failure = Failure::new(format!("the mapping in `{}` is wrong", mapping.display()));
        for problem in problems {
            let path = problem.place.trim_start_matches('/').replace('/', ".");
            let place = fields.place_of(&path);
            failure.problems.push(project::Problem::new(mapping, place, path, problem.message));
        }
        failure
    })?;
    let mut exit = Exit::Done;
    for_each_line(events, |number, line| {
        let event = Value::parse(line).map_err(|error| {
            Failure::new(format!("`{}` line {number} is not JSON", events.display())).because(error)
        })?;
        let mut subject = Event::of_value(&event);
        if let Some(now) = now {
            subject = subject.at(now);
        }
        match program.evaluate(&subject) {
            Ok(output) => context.output.line(&output.unwrap_or_default().to_json()),
            Err(error) => {
                exit = Exit::Failed;
                let line = [("error".to_owned(), Value::Text(chain(&error).join(": ")))];
                context.output.line(&Value::Object(line.into_iter().collect()).to_json());
            }
        }
        Ok(())
    })?;
    Ok(exit)
}

fn for_each_line(path: &Path, mut with: impl FnMut(usize, &str) -> Result<(), Failure>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Failure::new(format!("cannot read `{}`", path.display())).because(error);
    let input: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(std::fs::File::open(path).map_err(unreadable)?),
    };
    for (index, line) in BufReader::new(input).lines().enumerate() {
        let line = line.map_err(unreadable)?;
        if !line.trim().is_empty() {
            with(index + 1, line.strip_prefix('\u{feff}').unwrap_or(&line))?;
        }
    }
    Ok(())
}
