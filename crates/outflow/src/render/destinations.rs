//! Destinations, their actions and fields, what a field may be chosen from, and how recorded cases went: as text.

use kit::{Action, DynamicChoice, Facts, Hook, Setting, recorded::CaseReport};
use mapping::Field;

use super::facts::{
    DestinationRow, about, batch, choices as listed_choices, default, dynamic_fields, field_choices, field_type,
    flattened, flattened_settings, is_of_every_destination, modes, one_line, pace, range, required, sentence,
    setting_type, sign_in,
};
use super::{Paint, counted, indented};

/// The widest a line of prose is.
const WIDTH: usize = 100;

/// A line for each destination.
pub(crate) fn destinations(rows: &[DestinationRow], paint: Paint) -> String {
    let width = |of: fn(&DestinationRow) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let slugs = width(|row| row.slug.chars().count());
    let names = width(|row| row.name.chars().count());
    let mut out = String::new();
    for row in rows {
        let slug = paint.bold(&format!("{:slugs$}", row.slug));
        let actions = counted(u64::try_from(row.actions).unwrap_or(u64::MAX), "action");
        out.push_str(&format!("{slug}  {:names$}  {actions:>10}  sign-in: {}\n", row.name, row.sign_in));
        out.push_str(&folded(&paint.dim(&row.description), slugs + 2));
    }
    out.push_str(&format!("\n{} `outflow destinations show SLUG` says more of one\n", paint.green("hint:")));
    out
}

/// What a destination needs and does; of its fields, the names.
pub(crate) fn destination(facts: &Facts, paint: Paint) -> String {
    let mut out = head(facts, paint);
    out.push_str(&format!("\n{}\n", paint.bold("Settings")));
    for setting in &facts.settings {
        if is_of_every_destination(setting) {
            let keys: Vec<String> = flattened_settings(&setting.properties)
                .into_iter()
                .filter(|(_, inner)| inner.properties.is_empty())
                .map(|(path, inner)| match &inner.default {
                    Some(default) => format!("{path} ({default})"),
                    None => path,
                })
                .collect();
            out.push_str(&format!("  {}  {}\n", paint.cyan(&setting.key), paint.dim("object")));
            out.push_str(&folded(&format!("{} {}", sentence(&setting.description), keys.join(", ")), 6));
        } else {
            for (path, setting) in flattened_settings(std::slice::from_ref(setting)) {
                out.push_str(&setting_text(&path, setting, paint));
            }
        }
    }
    if !facts.options.is_empty() {
        out.push_str(&format!("\n{} {}\n", paint.bold("Options"), paint.dim("· below `options` of a mapping")));
        for (path, setting) in flattened_settings(&facts.options) {
            out.push_str(&setting_text(&path, setting, paint));
        }
    }
    out.push_str(&format!("\n{}\n", paint.bold("Requests")));
    out.push_str(&format!("  sign-in: {}\n  pace: {}\n", sign_in(facts), pace(&facts.limits)));
    if facts.auth.authorize_url.is_some() {
        out.push_str("  `outflow connect NAME` lets a person grant access to the destination NAME of a project\n");
    }
    let (old, current): (Vec<&Action>, Vec<&Action>) = facts.actions.iter().partition(|action| action.deprecated);
    out.push_str(&format!("\n{}\n", paint.bold("Actions")));
    for action in current {
        out.push_str(&indented(&action_head(action, paint), 2));
        let names: Vec<String> = action
            .fields
            .iter()
            .filter(|field| !field.hidden)
            .map(|field| match required(&field.required).as_str() {
                "" => field.key.clone(),
                _ => format!("{}*", field.key),
            })
            .collect();
        out.push_str(&folded(&format!("fields (* required): {}", names.join(", ")), 6));
    }
    if !old.is_empty() {
        let names: Vec<&str> = old.iter().map(|action| action.slug.as_str()).collect();
        out.push_str(&format!("\n{}\n", paint.bold("For mappings that are brought over")));
        out.push_str(&folded(&names.join(", "), 2));
    }
    let hint = format!("`outflow destinations show {} --action ACTION` explains an action's fields", facts.slug);
    out.push_str(&format!("\n{} {hint}\n", paint.green("hint:")));
    out
}

/// One action with all of its fields.
pub(crate) fn action(facts: &Facts, action: &Action, paint: Paint) -> String {
    let mut out = format!("{} {}\n", paint.bold(&facts.name), paint.dim(&format!("· {}", facts.slug)));
    out.push_str(&action_head(action, paint));
    for hook in &action.hooks {
        out.push_str(&hook_text(hook, paint));
    }
    out.push_str(&format!("\n{}\n", paint.bold("Fields")));
    out.push_str(&fields_text(&action.fields, paint));
    let inputs = action.hooks.iter().flat_map(|hook| &hook.inputs);
    if action.fields.iter().chain(inputs).any(|field| !dynamic_fields(std::slice::from_ref(field)).is_empty()) {
        let lists = format!("`outflow destinations choices NAME {} FIELD` lists values from the tool", action.slug);
        out.push_str(&format!("\n{} {lists}, for the destination NAME of a project\n", paint.green("hint:")));
    }
    out
}

fn head(facts: &Facts, paint: Paint) -> String {
    let mut out = format!("{} {}\n", paint.bold(&facts.name), paint.dim(&format!("· type: {}", facts.slug)));
    out.push_str(&folded(&one_line(&facts.description), 0));
    if let Some(docs) = &facts.docs {
        out.push_str(&format!("{}\n", paint.dim(docs)));
    }
    out
}

fn action_head(action: &Action, paint: Paint) -> String {
    let mut out = format!("{}  {}\n", paint.cyan(&action.slug), action.name);
    out.push_str(&folded(&one_line(&action.description), 4));
    if action.deprecated {
        out.push_str("    for mappings that are brought over; another action does it better\n");
    }
    out.push_str(&folded(&format!("modes {}; {}", modes(&action.modes), batch(&action.batch)), 4));
    if action.whole {
        out.push_str("    all records of a sync become visible together\n");
    }
    for hook in &action.hooks {
        out.push_str(&folded(&format!("hook `{}`: {}", hook.slug, about(&hook.name, &hook.description)), 4));
    }
    out
}

fn hook_text(hook: &Hook, paint: Paint) -> String {
    let mut out = format!("\n{} {}\n", paint.bold(&format!("Hook {}", hook.slug)), paint.dim("· inputs"));
    out.push_str(&fields_text(&hook.inputs, paint));
    let outputs: Vec<&str> = hook.outputs.iter().map(|field| field.key.as_str()).collect();
    out.push_str(&folded(&format!("`outflow hook MAPPING` runs it; its outputs: {}", outputs.join(", ")), 2));
    out
}

fn setting_text(path: &str, setting: &Setting, paint: Paint) -> String {
    let mut marks = vec![setting_type(setting).to_owned()];
    if setting.required && setting.default.is_none() {
        marks.push(paint.yellow("required"));
    }
    if setting.secret {
        marks.push("secret".to_owned());
    }
    if let Some(default) = setting.default.as_ref().filter(|default| default.as_str() != Some("")) {
        marks.push(format!("default {}", default.as_str().map_or_else(|| default.to_string(), str::to_owned)));
    }
    let mut out = format!("  {}  {}\n", paint.cyan(path), marks.join(", "));
    out.push_str(&folded(&spaced([about(&setting.label, &setting.description), listed_choices(&setting.choices)]), 6));
    out
}

fn fields_text(fields: &[Field], paint: Paint) -> String {
    let mut out = String::new();
    for (path, field) in flattened(fields) {
        let mut marks = vec![field_type(field)];
        match required(&field.required).as_str() {
            "" => {}
            "yes" => marks.push(paint.yellow("required")),
            when => marks.push(format!("{} {when}", paint.yellow("required"))),
        }
        if let Some(value) = &field.default {
            marks.push(format!("default {}", default(value)));
        }
        if field.allow_null {
            marks.push("null is sent".to_owned());
        }
        if field.dynamic {
            marks.push("values from the tool".to_owned());
        }
        if field.hidden {
            marks.push("for mappings that are brought over".to_owned());
        }
        out.push_str(&format!("  {}  {}\n", paint.cyan(&path), marks.join(", ")));
        let said = [about(&field.label, &field.description), listed_choices(&field_choices(field)), range(field)];
        out.push_str(&folded(&spaced(said), 6));
    }
    out
}

fn spaced<const N: usize>(parts: [String; N]) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Prose over several lines, each moved to the right.
fn folded(text: &str, by: usize) -> String {
    let mut lines = vec![String::new()];
    let mut width = by;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width + length + 1 > WIDTH && width > by {
            lines.push(String::new());
            width = by;
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            width += length + 1;
        }
    }
    let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    indented(&lines.join("\n"), by)
}

/// The values that a field may have, a line each.
pub(crate) fn choices(field: &str, choices: &[DynamicChoice], more: bool, paint: Paint) -> String {
    if choices.is_empty() {
        return format!("The tool has no values for `{field}`.\n");
    }
    let width = choices.iter().map(|choice| choice.value.chars().count()).max().unwrap_or(0).min(48);
    let mut out = String::new();
    for choice in choices {
        let value = paint.bold(&format!("{:width$}", choice.value));
        let label = if choice.label == choice.value { "" } else { choice.label.as_str() };
        let line = [value.as_str(), label, &paint.dim(&one_line(&choice.description))].join("  ");
        out.push_str(&format!("{}\n", line.trim_end()));
    }
    if more {
        let count = counted(u64::try_from(choices.len()).unwrap_or(u64::MAX), "value");
        out.push_str(&paint.dim(&format!("… the first {count}; `--limit` shows more, `--search` fewer\n")));
    }
    out
}

/// What differs in each case, and how many passed.
pub(crate) fn case_reports(reports: &[CaseReport], paint: Paint) -> String {
    let mut out = String::new();
    for report in reports.iter().filter(|report| !report.differences.is_empty()) {
        match &report.on_purpose {
            Some(reason) => {
                out.push_str(&format!("{} {}\n", paint.bold(&report.id), paint.dim("differs on purpose")));
                out.push_str(&folded(&paint.dim(&format!("note: {}", sentence(reason))), 2));
            }
            None => out.push_str(&format!("{} {}\n", paint.bold(&report.id), paint.red("failed"))),
        }
        for difference in &report.differences {
            out.push_str(&indented(difference, 2));
        }
    }
    let failed = reports.iter().filter(|report| !report.passed()).count();
    out.push_str(&format!("{} passed, {failed} failed\n", reports.len() - failed));
    out
}
