//! The pages about destinations in `docs/destinations`, made from their facts: `make docs` writes them.

use destinations::Texts;
use kit::{Action, Facts, Setting};
use mapping::Field;

use super::facts::{
    DestinationRow, about, batch, choices, default, dynamic_fields, field_choices, field_type, flattened,
    flattened_settings, is_of_every_destination, modes, one_line, pace, range, required, sentence, setting_type,
    sign_in,
};

/// What the examples' model gives. A test syncs them with these columns.
const COLUMNS: &str = "`id`, `email`, `first_name`, `last_name`, `phone`, `company`, `plan`, `signed_up_at`";

/// The list of all pages.
pub(crate) fn reference_index(rows: &[DestinationRow]) -> String {
    let mut out = format!(
        "{}\n\n# Destinations\n\nWhat Outflow delivers to; the slug is the `type` in project files. \
         `outflow destinations list` prints the same, `outflow destinations show SLUG` what one needs and does.\n\n",
        generated("the facts in `crates/destinations/src`")
    );
    let rows = rows.iter().map(|row| {
        let name = format!("[{}]({}.md)", row.name, row.slug);
        vec![name, format!("`{}`", row.slug), row.actions.to_string(), row.sign_in.clone(), row.description.clone()]
    });
    out.push_str(&table(&["destination", "slug", "actions", "sign-in", "does"], rows));
    out.push_str(
        "\nFor a tool that is not here, [HTTP](http.md) calls any API and [file](file.md) writes files that other \
         programs read.\n",
    );
    out
}

/// The page of one destination.
pub(crate) fn reference(facts: &Facts, texts: &Texts) -> String {
    let folder = format!("`crates/destinations/src/{}`", facts.slug);
    let mut out = format!("{}\n\n# {}\n\n", generated(&folder), facts.name);
    let (introduction, rest) = parts(texts.readme);
    out.push_str(&format!("{introduction}\n\n"));
    if let Some(docs) = &facts.docs {
        out.push_str(&format!("The tool's own documentation: <{docs}>.\n\n"));
    }
    out.push_str("## An example\n\n");
    out.push_str(&format!("```yaml\n{}\n```\n\n", texts.destination.trim_end()));
    out.push_str(&format!("```yaml\n{}\n```\n\n", texts.mapping.trim_end()));
    out.push_str(&format!(
        "The model `customers` has the columns {COLUMNS}. [Project files](../project-files.md) and \
         [mappings](../mapping.md) explain the rest.\n\n"
    ));
    if !rest.is_empty() {
        out.push_str(&format!("{rest}\n\n"));
    }
    out.push_str("## Reference\n\n");
    out.push_str(&settings(facts));
    out.push_str(&format!("### Requests\n\nSign-in: {}. Pace: {}.", sign_in(facts), pace(&facts.limits)));
    out.push_str(" `connection.limits` changes the pace.");
    if facts.auth.authorize_url.is_some() {
        out.push_str(&format!(
            " With `oauth.client_id` and `oauth.client_secret` of an app of your own, `outflow connect {}` lets a person \
             grant access in a browser.",
            facts.slug
        ));
    }
    out.push_str("\n\n");
    out.push_str(&actions(facts));
    for action in facts.actions.iter().filter(|action| !action.deprecated) {
        out.push_str(&action_section(facts, action));
    }
    let old: Vec<&Action> = facts.actions.iter().filter(|action| action.deprecated).collect();
    if !old.is_empty() {
        out.push_str("### For mappings that are brought over\n\nThese actions stay for mappings that have them.\n\n");
        for action in old {
            out.push_str(&action_section(facts, action));
        }
    }
    out.trim_end().to_owned() + "\n"
}

fn generated(place: &str) -> String {
    format!("<!-- Written by `make docs` from {place}: change it there. -->")
}

/// A folder's text without its title: what stands before the first section, and the sections.
fn parts(readme: &str) -> (&str, &str) {
    let text = readme.trim();
    let text = match text.strip_prefix("# ") {
        Some(title) => title.split_once('\n').map_or("", |(_, rest)| rest).trim_start(),
        None => text,
    };
    match text.find("\n## ") {
        Some(at) => (text[..at].trim_end(), text[at..].trim()),
        None => (text, ""),
    }
}

fn settings(facts: &Facts) -> String {
    let mut out = "### Settings\n\n".to_owned();
    let own = facts.settings.iter().filter(|setting| !is_of_every_destination(setting));
    let own: Vec<Setting> = own.cloned().collect();
    if own.is_empty() {
        out.push_str("None of its own.\n\n");
    } else {
        out.push_str(&settings_table(&own));
        out.push('\n');
    }
    for setting in facts.settings.iter().filter(|setting| is_of_every_destination(setting)) {
        let keys: Vec<String> = flattened_settings(&setting.properties)
            .into_iter()
            .filter(|(_, inner)| inner.properties.is_empty())
            .map(|(path, inner)| match &inner.default {
                Some(default) => format!("`{path}` ({default})"),
                None => format!("`{path}`"),
            })
            .collect();
        out.push_str(&format!("`{}`: {} {}.\n\n", setting.key, sentence(&setting.description), keys.join(", ")));
    }
    if !facts.options.is_empty() {
        out.push_str("Below `options` of a mapping:\n\n");
        out.push_str(&settings_table(&facts.options));
        out.push('\n');
    }
    out
}

fn settings_table(settings: &[Setting]) -> String {
    let rows = flattened_settings(settings).into_iter().map(|(path, setting)| {
        let needed = if setting.required && setting.default.is_none() { "yes" } else { "" };
        let default = match &setting.default {
            Some(serde_json::Value::String(text)) if text.is_empty() => String::new(),
            Some(serde_json::Value::String(text)) => format!("`{text}`"),
            Some(default) => format!("`{default}`"),
            None => String::new(),
        };
        let secret = if setting.secret { "Secret." } else { "" };
        let said = [about(&setting.label, &setting.description), choices(&setting.choices), secret.to_owned()];
        vec![format!("`{path}`"), setting_type(setting).to_owned(), needed.to_owned(), default, spaced(said)]
    });
    table(&["setting", "type", "required", "default", "is"], rows)
}

fn actions(facts: &Facts) -> String {
    let rows = facts.actions.iter().filter(|action| !action.deprecated).map(|action| {
        let hooks: Vec<String> = action.hooks.iter().map(|hook| format!("`{}`", hook.slug)).collect();
        vec![
            format!("`{}`", action.slug),
            sentence(if action.description.is_empty() { &action.name } else { &action.description }),
            modes(&action.modes),
            batch(&action.batch),
            hooks.join(", "),
        ]
    });
    let mut out = "### Actions\n\n".to_owned();
    out.push_str(&table(&["action", "does", "modes", "sends", "hooks"], rows));
    out.push('\n');
    out
}

fn action_section(facts: &Facts, action: &Action) -> String {
    let mut out = format!("#### `{}`: {}\n\n", action.slug, one_line(&action.name));
    if !action.description.is_empty() {
        out.push_str(&format!("{} ", sentence(&action.description)));
    }
    out.push_str(&format!("Modes: {}. It sends {}.", modes(&action.modes), batch(&action.batch)));
    if action.whole {
        out.push_str(" All records of a sync become visible together.");
    }
    out.push_str("\n\n");
    if !action.fields.is_empty() {
        out.push_str(&fields_table(&action.fields));
        out.push('\n');
    }
    out.push_str(&known_values(facts, action, &action.fields, ""));
    for hook in &action.hooks {
        out.push_str(&format!(
            "The hook `{0}`, which `outflow hook MAPPING` runs: {1} Its inputs stand in the mapping below \
             `fields.{0}.inputs`.\n\n",
            hook.slug,
            about(&hook.name, &hook.description)
        ));
        if !hook.inputs.is_empty() {
            out.push_str(&fields_table(&hook.inputs).replacen("| field |", "| input |", 1));
            out.push('\n');
        }
        out.push_str(&known_values(facts, action, &hook.inputs, &format!(" --hook {}", hook.slug)));
        let outputs: Vec<String> = hook
            .outputs
            .iter()
            .map(|field| format!("`{}` ({})", field.key, about(&field.label, &field.description).trim_end_matches('.')))
            .collect();
        if !outputs.is_empty() {
            out.push_str(&format!(
                "Its outputs are kept below `fields.{}.outputs`: {}.\n\n",
                hook.slug,
                outputs.join(", ")
            ));
        }
    }
    out
}

/// How the values that the tool has are listed.
fn known_values(facts: &Facts, action: &Action, fields: &[Field], hook: &str) -> String {
    let dynamic: Vec<String> = dynamic_fields(fields).iter().map(|field| format!("`{field}`")).collect();
    if dynamic.is_empty() {
        return String::new();
    }
    format!(
        "The tool knows values of {}: `outflow destinations choices {} {} FIELD{hook}` lists them, where `{}` is the \
         destination's name in the project.\n\n",
        dynamic.join(", "),
        facts.slug,
        action.slug,
        facts.slug
    )
}

fn fields_table(fields: &[Field]) -> String {
    let rows = flattened(fields).into_iter().map(|(path, field)| {
        let mut notes = vec![about(&field.label, &field.description), choices(&field_choices(field)), range(field)];
        if field.allow_null {
            notes.push("Null is sent.".to_owned());
        }
        if field.hidden && !field.description.contains("brought over") {
            notes.push("For mappings that are brought over.".to_owned());
        }
        let said = notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join(" ");
        let default = field.default.as_ref().map(default).unwrap_or_default();
        vec![format!("`{path}`"), field_type(field), required(&field.required), default, said]
    });
    table(&["field", "type", "required", "default", "is"], rows)
}

fn spaced<const N: usize>(parts: [String; N]) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut out = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}
