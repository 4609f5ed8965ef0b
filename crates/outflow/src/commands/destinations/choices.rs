//! `outflow destinations choices`: what an account has for a field to be chosen from.

use clap::Args;
use kit::{Action, ChoiceQuery, DynamicChoice, Hook};
use project::suggestion;
use serde_json::{Value, json};

use super::action_of;
use crate::{
    commands::{Context, known},
    failure::{Exit, Failure},
    render::{self, dynamic_fields},
    wiring::wiring,
};

/// List the values that a field may have, as the tool knows them: its lists, object types, properties.
///
/// Fields that have such values are marked in `outflow destinations show SLUG --action ACTION`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow destinations choices klaviyo upsertProfile list_id
  outflow destinations choices klaviyo upsertProfile list_identifier \\
      --hook retlOnMappingSave --search news
  outflow destinations choices crm upsertObject properties.__keys__ \\
      --fields '{\"object_details\": {\"object_type\": \"contact\"}}'")]
pub(crate) struct Choices {
    /// A destination of the project.
    #[arg(value_name = "NAME")]
    name: String,
    /// An action of it.
    #[arg(value_name = "ACTION")]
    action: String,
    /// The field: `list_id`, `object_details.object_type`, or `properties.__keys__` for the keys of an object.
    #[arg(value_name = "FIELD")]
    field: String,
    /// The fields that are filled already, since one may depend on another: a JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}", hide_default_value = true)]
    fields: String,
    /// Only values whose name holds this.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// The hook whose input the field is.
    #[arg(long, value_name = "HOOK")]
    hook: Option<String>,
    /// At most this many values.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl Choices {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let fields: Value = match serde_json::from_str(&self.fields) {
            Ok(fields @ Value::Object(_)) => fields,
            Ok(_) => return Err(Failure::usage("`--fields` must be a JSON object, such as '{\"list_id\": \"1\"}'")),
            Err(error) => return Err(Failure::usage("`--fields` is not JSON").because(error)),
        };
        let project = context.project()?;
        let names: Vec<&str> =
            project.destinations.iter().map(|destination| destination.origin.name.as_str()).collect();
        known("destination", &self.name, &names)?;
        let connection = wiring(&project).connection(&self.name)?;
        let facts = connection.destination.facts();
        let action = action_of(facts, &self.action)?;
        let hook = self.hook.as_deref().map(|slug| hook_of(action, slug)).transpose()?;
        let field = asked(&self.field, action, hook)?;

        let mut query = ChoiceQuery {
            action: action.slug.clone(),
            hook: hook.map(|hook| hook.slug.clone()),
            field,
            fields: fields.into(),
            search: self.search.clone().filter(|text| !text.is_empty()),
            page: None,
        };
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut found: Vec<DynamicChoice> = Vec::new();
        let more = loop {
            let page = connection.destination.choices(&query, &connection.wire);
            let page = tokio::select! {
                page = page => page,
                () = context.cancel.cancelled() => return Err(Failure::new("cancelled")),
            };
            let page = page.map_err(|error| {
                let message = format!("the values of `{}` cannot be listed", query.field);
                Failure::new(message).because(connection.wire.redact_error(error))
            })?;
            // Not every tool can search.
            found.extend(page.choices.into_iter().filter(|choice| is_like(choice, query.search.as_deref())));
            let goes_on = page.next.is_some() && page.next != query.page;
            if found.len() >= limit || !goes_on {
                break goes_on || found.len() > limit;
            }
            query.page = page.next;
        };
        found.truncate(limit);
        let result = json!({ "field": query.field, "choices": found, "more": more });
        context.output.result(&result, |paint| render::choices(&query.field, &found, more, paint));
        Ok(Exit::Done)
    }
}

fn hook_of<'a>(action: &'a Action, slug: &str) -> Result<&'a Hook, Failure> {
    let slugs: Vec<&str> = action.hooks.iter().map(|hook| hook.slug.as_str()).collect();
    action.hooks.iter().find(|hook| hook.slug == slug).ok_or_else(|| {
        Failure::usage(format!("the action `{}` has no hook `{slug}`; {}", action.slug, suggestion(slug, &slugs)))
    })
}

/// The field as the destination is asked for it, if the tool has values for it.
fn asked(field: &str, action: &Action, hook: Option<&Hook>) -> Result<String, Failure> {
    let dynamic = dynamic_fields(hook.map_or(&action.fields, |hook| &hook.inputs));
    // A place within a list says which of its objects is meant: `associations.0.object_type`.
    let plain: Vec<&str> = field.split('.').filter(|part| part.parse::<usize>().is_err()).collect();
    let plain = plain.join(".");
    if dynamic.contains(&plain) {
        return Ok(field.to_owned());
    }
    let keys = format!("{plain}.__keys__");
    if dynamic.contains(&keys) {
        return Ok(format!("{field}.__keys__"));
    }
    let of = match hook {
        Some(hook) => format!("the hook `{}` of `{}`", hook.slug, action.slug),
        None => format!("the action `{}`", action.slug),
    };
    let names: Vec<&str> = dynamic.iter().map(String::as_str).collect();
    let message = match names[..] {
        [] => format!("{of} has no field whose values the tool knows"),
        _ => format!("{of} has no field `{field}` whose values the tool knows; {}", suggestion(&plain, &names)),
    };
    let failure = Failure::usage(message);
    let hook = action.hooks.iter().find(|hook| dynamic_fields(&hook.inputs).contains(&plain));
    Err(match hook {
        Some(hook) => failure.hint(format!("it is an input of a hook: add `--hook {}`", hook.slug)),
        None => failure,
    })
}

fn is_like(choice: &DynamicChoice, search: Option<&str>) -> bool {
    let Some(search) = search.map(str::to_lowercase) else { return true };
    [&choice.label, &choice.value, &choice.description].iter().any(|text| text.to_lowercase().contains(&search))
}
