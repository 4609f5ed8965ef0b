//! Finds where words of the facts are still left to be written.

use mapping::Field;

use super::cases::UNWRITTEN;
use crate::{Facts, Setting};

/// The places in the facts of a destination that nobody has written yet, by their paths.
pub(super) fn places(facts: &Facts) -> Vec<String> {
    let mut places = Places(Vec::new());
    places.look("", &[("name", &facts.name), ("description", &facts.description)]);
    let address = |url: &Option<String>| url.clone().unwrap_or_default();
    places.look("", &[("docs", &address(&facts.docs))]);
    let auth = &facts.auth;
    places.look("auth.", &[("authorize_url", &address(&auth.authorize_url)), ("token_url", &address(&auth.token_url))]);
    places.settings("settings", &facts.settings);
    places.settings("options", &facts.options);
    for action in &facts.actions {
        let path = format!("actions.{}.", action.slug);
        places.look(&path, &[("name", &action.name), ("description", &action.description)]);
        places.fields(&path, &action.fields);
        for hook in &action.hooks {
            let path = format!("{path}{}.", hook.slug);
            places.look(&path, &[("name", &hook.name), ("description", &hook.description)]);
            places.fields(&format!("{path}inputs."), &hook.inputs);
            places.fields(&format!("{path}outputs."), &hook.outputs);
        }
    }
    places.0
}

struct Places(Vec<String>);

impl Places {
    fn look(&mut self, path: &str, texts: &[(&str, &String)]) {
        let unwritten = texts.iter().filter(|(_, text)| text.contains(UNWRITTEN));
        self.0.extend(unwritten.map(|(name, _)| format!("{path}{name}")));
    }

    fn settings(&mut self, path: &str, settings: &[Setting]) {
        for setting in settings {
            let path = format!("{path}.{}", setting.key);
            self.look(&format!("{path}."), &[("label", &setting.label), ("description", &setting.description)]);
            self.settings(&path, &setting.properties);
        }
    }

    fn fields(&mut self, path: &str, fields: &[Field]) {
        for field in fields {
            let path = format!("{path}{}.", field.key);
            self.look(&path, &[("label", &field.label), ("description", &field.description)]);
            for choice in field.choices.iter().flatten() {
                self.look(&path, &[("choices", &choice.label)]);
            }
            self.fields(&path, field.properties.as_deref().unwrap_or_default());
        }
    }
}
