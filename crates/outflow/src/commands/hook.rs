//! `outflow hook`: what an action does when a mapping is saved, such as making a list, and its outputs.

use std::path::{Path, PathBuf};

use clap::Args;
use kit::{Action, Hook};
use mapping::{Columns, Event, Fields, Options, Program};
use project::{Problems, ProjectMapping, listed, outputs_yaml, suggestion, with_outputs};
use serde_json::{Value, json};
use sync::Mapping;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    wiring::wiring,
};

/// Run a hook of a mapping's action: it picks or makes something in the tool, such as a list, and gives its outputs.
///
/// The inputs stand in the mapping, in `fields.HOOK.inputs`; the outputs belong beside them, in
/// `fields.HOOK.outputs`, where every sync reads them. `--write` puts them there and leaves all else in the file as
/// it is. A hook may make something in the tool each time it runs.
#[derive(Debug, Args)]
#[command(
    name = "hook",
    after_help = "\
Examples:
  outflow hook customers                    # run it and print the outputs
  outflow hook customers --write            # and write them into mappings/customers.yaml
  outflow hook customers onMappingSave      # where an action has several"
)]
pub(crate) struct HookCommand {
    #[arg(value_name = "MAPPING")]
    mapping: String,
    /// The hook; not needed if the mapping can mean only one.
    #[arg(value_name = "HOOK")]
    hook: Option<String>,
    /// Write the outputs into the mapping's file.
    #[arg(long)]
    write: bool,
}

impl HookCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let project = context.project()?;
        let names = super::chosen(&project, std::slice::from_ref(&self.mapping))?;
        super::switched_on(&project, &names)?;
        let mapping = wiring(&project).mapping(&self.mapping)?;
        let missing = || Failure::new(format!("there is no mapping `{}`", self.mapping));
        let part = project.mapping(&self.mapping).ok_or_else(missing)?;
        let facts = mapping.connection.destination.facts();
        let action = facts.action(&mapping.action).ok_or_else(missing)?;
        let hook = chosen(action, part, self.hook.as_deref())?;
        let inputs = inputs(part, &mapping, hook)?;
        let file = part.origin.file.clone();
        let path = part.origin.path_in_file(&format!("fields.{}", hook.slug));
        let paste = format!("below `{path}` in `{}`", file.display());
        if self.write {
            // What a hook makes cannot be made a second time, so that its outputs need a place before it runs.
            let nothing = Value::Object(serde_json::Map::new());
            placed(&project.settings.folder.join(&file), &path, &nothing).map_err(|reason| {
                Failure::new(format!(
                    "the outputs cannot be written into `{}`: {reason}; nothing was run",
                    file.display()
                ))
                .hint(format!("run it without `--write` and put the outputs {paste}"))
            })?;
        }
        let wire = mapping.connection.wire.for_call();
        let outputs =
            mapping.connection.destination.save_mapping(&mapping.action, &hook.slug, &inputs, &wire).await.map_err(
                |error| {
                    let error = wire.redact_error(error);
                    Failure::new(format!("the hook `{}` of `{}` failed", hook.slug, self.mapping)).because(error)
                },
            )?;
        let outputs = Value::from(&outputs);
        let result = |written: bool| json!({ "mapping": self.mapping, "hook": hook.slug, "outputs": outputs, "file": file, "written": written });
        let yaml = outputs_yaml(&outputs, 0, "\n");
        if !self.write {
            context.output.result(&result(false), |paint| {
                format!("{yaml}\n{}", paint.dim(&format!("Put these {paste}, or run it with `--write`.")))
            });
            return Ok(Exit::Done);
        }
        if let Err(reason) = written(&project.settings.folder.join(&file), &path, &outputs) {
            // What was made in the tool is known only here, so it is told in any case.
            let mut told = result(false);
            told["reason"] = reason.as_str().into();
            context.output.result(&told, |_| yaml.clone());
            let failure = Failure::new(format!("the outputs were not written into `{}`: {reason}", file.display()));
            return match context.output.is_json() {
                true => Ok(Exit::Failed),
                false => Err(failure.hint(format!("put the lines above {paste}"))),
            };
        }
        context.output.result(&result(true), |paint| format!("{yaml}\n{}", paint.green(&format!("Written {paste}."))));
        Ok(Exit::Done)
    }
}

/// The hook that is named, or the only one that can be meant.
fn chosen<'a>(action: &'a Action, part: &ProjectMapping, named: Option<&str>) -> Result<&'a Hook, Failure> {
    let slugs: Vec<&str> = action.hooks.iter().map(|hook| hook.slug.as_str()).collect();
    let name = &part.origin.name;
    if slugs.is_empty() {
        return Err(Failure::usage(format!("the action `{}` of `{name}` has no hooks", action.slug)));
    }
    if let Some(named) = named {
        return action.hooks.iter().find(|hook| hook.slug == named).ok_or_else(|| {
            Failure::usage(format!("the action `{}` has no hook `{named}`; {}", action.slug, suggestion(named, &slugs)))
        });
    }
    let given = |hook: &&Hook| part.form.fields.get(&hook.slug).is_some();
    match (&action.hooks[..], &action.hooks.iter().filter(given).collect::<Vec<_>>()[..]) {
        ([only], _) => Ok(only),
        (_, [only]) => Ok(only),
        _ => Err(Failure::usage(format!(
            "the action `{}` has several hooks; name one of {}",
            action.slug,
            listed(&slugs)
        ))),
    }
}

/// What the mapping gives the hook, as the hook takes it.
fn inputs(part: &ProjectMapping, mapping: &Mapping, hook: &Hook) -> Result<records::Value, Problems> {
    let path = format!("fields.{}.inputs", hook.slug);
    let known: Vec<&str> = hook.inputs.iter().map(|input| input.key.as_str()).collect();
    let mut problems = Problems::default();
    let given = part.form.fields.get(&hook.slug).and_then(|saved| saved.get("inputs")).filter(|given| !given.is_null());
    let Some(given) = given else {
        let message = format!("it is missing; the hook of `{}` takes {}", mapping.action, listed(&known));
        return Err(part.origin.problem(&path, message).into());
    };
    for key in given.as_object().into_iter().flat_map(serde_json::Map::keys) {
        if !known.contains(&key.as_str()) && !key.starts_with('@') {
            let message = format!("the hook has no input `{key}`; {}", suggestion(key, &known));
            problems.push(part.origin.problem(&format!("{path}.{key}"), message));
        }
    }
    let program = match Program::compile(&given.clone().into()) {
        Ok(program) => program,
        Err(found) => {
            for problem in found {
                let place = problem.place.trim_start_matches('/').replace('/', ".");
                problems.push(part.origin.problem(format!("{path}.{place}").trim_end_matches('.'), problem.message));
            }
            return problems.into_result(records::Value::Null);
        }
    };
    if !matches!(program.columns(), Columns::Named(names) if names.is_empty()) {
        let message = "a hook runs once, for all records, so that its inputs cannot read a record";
        problems.push(part.origin.problem(&path, message));
        return problems.into_result(records::Value::Null);
    }
    let nothing = records::Value::Object(records::Object::new());
    let inputs = program.evaluate(&Event::of_value(&nothing)).map(Option::unwrap_or_default);
    let inputs = inputs.map_err(|error| part.origin.problem(&path, error.to_string()))?;
    match Fields::compile(hook.inputs.clone()).validate(inputs, Options::default()) {
        Ok(inputs) => problems.into_result(inputs),
        Err(found) => {
            // That the whole does not fit says less than what in it does not.
            let is_told = found.iter().any(|problem| !problem.field.is_empty());
            for problem in found.into_iter().filter(|problem| !is_told || !problem.field.is_empty()) {
                let place = format!("{path}.{}", problem.field.replace('/', "."));
                problems.push(part.origin.problem(place.trim_end_matches('.'), problem.message));
            }
            problems.into_result(records::Value::Null)
        }
    }
}

/// The file itself, where a link leads to it, and its text with the outputs.
fn placed(file: &Path, path: &str, outputs: &Value) -> Result<(PathBuf, String), String> {
    let unreadable = |error: std::io::Error| error.to_string();
    let file = file.canonicalize().map_err(unreadable)?;
    let text = std::fs::read_to_string(&file).map_err(unreadable)?;
    let text = with_outputs(&text, path, outputs).map_err(|reason| reason.to_string())?;
    Ok((file, text))
}

/// Puts the outputs into the file, whole or not at all. A link stays one.
fn written(file: &Path, path: &str, outputs: &Value) -> Result<(), String> {
    let (file, text) = placed(file, path, outputs)?;
    let temporary = file.with_extension("yaml.new");
    let replace = || {
        std::fs::write(&temporary, &text)?;
        std::fs::set_permissions(&temporary, std::fs::metadata(&file)?.permissions())?;
        std::fs::rename(&temporary, &file)
    };
    replace().map_err(|error| {
        let _ = std::fs::remove_file(&temporary);
        error.to_string()
    })
}
