//! `outflow map`: runs mappings over events without a project, to try them and to test them in CI.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use mapping::{Event, Program};
use records::{Object, Value};

use super::Context;
use crate::{
    failure::{Exit, Failure, chain},
    project::Node,
};

/// Run the mapping language over events, without a project: to try a mapping, or to test one in CI.
///
/// With `--cases`, each line of the file is one case: {"id", "mapping", "payload"} and, if it is a test, "expected":
/// {"output": …}, {"error": …}, or the output itself. For each, a line {"id", "output"} or {"id", "error"} is printed,
/// and at the end `N passed, N failed`. A mapping that gives nothing prints no "output".
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
}

impl Map {
    pub(crate) fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        match (self.cases, self.mapping, self.events) {
            (Some(cases), ..) => run_cases(&cases, context),
            (None, Some(mapping), Some(events)) => run_events(&mapping, &events, context),
            _ => Err(Failure::usage("give `--cases FILE`, or `--mapping FILE` with `--events FILE`")),
        }
    }
}

fn run_cases(path: &Path, context: &Context<'_>) -> Result<Exit, Failure> {
    let (mut passed, mut failed, mut tests) = (0_u64, 0_u64, false);
    for_each_line(path, |number, line| {
        let case = Value::parse(line).map_err(|error| {
            Failure::new(format!("`{}` line {number} is not a case", path.display())).because(error)
        })?;
        let id = case.get("id").cloned().unwrap_or_else(|| Value::Int(i64::try_from(number).unwrap_or(i64::MAX)));
        let missing = |key: &str| Failure::new(format!("`{}` line {number} has no `{key}`", path.display()));
        let mapping = case.get("mapping").ok_or_else(|| missing("mapping"))?;
        let payload = case.get("payload").ok_or_else(|| missing("payload"))?;
        let result = evaluate(mapping, payload);
        let verdict = case.get("expected").map(|expected| agrees(expected, &result));
        match verdict {
            Some(true) => passed += 1,
            Some(false) => failed += 1,
            None => {}
        }
        tests |= verdict.is_some();
        let mut line = Object::new();
        line.insert("id", id);
        show(result, &mut line);
        if verdict == Some(false) {
            line.insert("expected", case.get("expected").cloned().unwrap_or_default());
        }
        context.output.line(&Value::Object(line).to_json());
        Ok(())
    })?;
    if tests {
        context.output.line(&format!("{passed} passed, {failed} failed"));
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

fn run_events(mapping: &Path, events: &Path, context: &Context<'_>) -> Result<Exit, Failure> {
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
            failure.problems.push(crate::project::Problem::new(mapping, place, path, problem.message));
        }
        failure
    })?;
    let mut exit = Exit::Done;
    for_each_line(events, |number, line| {
        let event = Value::parse(line).map_err(|error| {
            Failure::new(format!("`{}` line {number} is not JSON", events.display())).because(error)
        })?;
        match program.evaluate(&Event::of_value(&event)) {
            Ok(output) => context.output.line(&output.unwrap_or_default().to_json()),
            Err(error) => {
                exit = Exit::Failed;
                let mut line = Object::new();
                show(Err(Refusal::runtime(&error)), &mut line);
                context.output.line(&Value::Object(line).to_json());
            }
        }
        Ok(())
    })?;
    Ok(exit)
}

/// Why a mapping gave nothing to compare.
struct Refusal {
    /// `validation` if the mapping is wrong in itself, `runtime` if this event did not suit it.
    kind: &'static str,
    messages: Vec<String>,
}

impl Refusal {
    fn runtime(error: &mapping::EvaluationError) -> Self {
        Self { kind: "runtime", messages: vec![chain(error).join(": ")] }
    }
}

fn evaluate(mapping: &Value, payload: &Value) -> Result<Option<Value>, Refusal> {
    let program = Program::compile(mapping).map_err(|problems| Refusal {
        kind: "validation",
        messages: problems.into_iter().map(|problem| problem.message).collect(),
    })?;
    program.evaluate(&Event::of_value(payload)).map_err(|error| Refusal::runtime(&error))
}

fn show(result: Result<Option<Value>, Refusal>, line: &mut Object) {
    match result {
        Ok(Some(output)) => {
            line.insert("output", output);
        }
        Ok(None) => {}
        Err(refusal) => {
            let messages = refusal.messages.into_iter().map(Value::Text).collect();
            let error = [("kind".to_owned(), refusal.kind.into()), ("messages".to_owned(), Value::Array(messages))];
            line.insert("error", Value::Object(error.into_iter().collect()));
        }
    }
}

/// Whether a result is the expected one. An expected error is met by any error: its words are for people.
fn agrees(expected: &Value, result: &Result<Option<Value>, Refusal>) -> bool {
    let keys: Option<Vec<&str>> = expected.as_object().map(|object| object.iter().map(|(key, _)| key).collect());
    match (keys.as_deref(), result) {
        (Some(["error"]), Err(_)) => true,
        (Some(["error"]), Ok(_)) => false,
        (_, Err(_)) => false,
        (Some([]), Ok(None)) => true,
        (Some(["output"]), Ok(output)) => same(expected.get("output"), output.as_ref()),
        (_, Ok(output)) => same(Some(expected), output.as_ref()),
    }
}

fn same(expected: Option<&Value>, found: Option<&Value>) -> bool {
    match (expected, found) {
        (Some(expected), Some(found)) => equal(expected, found),
        (None, None) => true,
        _ => false,
    }
}

/// Equal as JSON: a number is a number, however it is kept.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| equal(value, other)))
        }
        _ if left.type_name() == "number" && right.type_name() == "number" => {
            left == right || left.to_json().parse::<f64>().ok() == right.to_json().parse::<f64>().ok()
        }
        _ => left == right,
    }
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
