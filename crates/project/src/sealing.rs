//! Secrets of documents as they are kept: sealed, shown to nobody, and taken over where a person leaves them as they
//! are.

mod keeping;
#[cfg(test)]
mod tests;

use kit::{Facts, Setting};
use serde_json::Value;

use super::{
    documents::Document,
    problem::{Problem, Problems},
    references::{check_secret, is_reference, joined, named},
    schema::{Forms, Part},
    secrets::{HIDDEN, is_telling, password_of_url},
};

const SEALED: &str = "${sealed:";
const GIVEN: &str = "${secret:";
const END: char = '}';
/// The word of [`KEPT`].
pub(crate) const KEPT_WORD: &str = "kept";
/// What stands in the place of a secret in whatever is handed out; handed back, it keeps the secret.
pub const KEPT: &str = "${kept}";

/// Encrypts texts, and decrypts them. What a text is about (`destination/crm`) is bound to it, so that it opens nowhere
/// else.
pub trait Seal: Send + Sync {
    /// The sealed form of a text, without `}`.
    fn seal(&self, about: &str, plain: &str) -> String;

    /// The text that was sealed.
    ///
    /// # Errors
    /// Its key is not there, it was changed, or it is about something else; told without a word of the text.
    fn open(&self, about: &str, sealed: &str) -> Result<String, String>;
}

impl Forms {
    /// The document as it is kept: each secret in it sealed. A secret is what the connector's settings say is one, what
    /// stands under a name that tells (`token`), an address with a password in it, and a text that says so itself:
    /// `${secret:TEXT}`. A text that is nothing but a reference (`${env:NAME}`) is none and stays as it is.
    ///
    /// [`KEPT`] stands for the secret at the same place of `stored`, the document as it is kept now.
    ///
    /// # Errors
    /// There is nothing to keep in a place, or a text claims to be sealed already.
    pub fn seal_document(
        &self,
        document: &Document,
        seal: &dyn Seal,
        stored: Option<&Value>,
    ) -> Result<Value, Problems> {
        let mut problems = Problems::default();
        let mut problem = |path: &str, message: &str| {
            problems.push(Problem::of_document(document, path, message));
        };
        let mut json = document.json.clone();
        self.each_text(document, &mut json, &mut |text, path, _| {
            if text.replace("$${", "").contains(SEALED) {
                problem(path, "what is sealed cannot be handed in; write the secret itself, or `${kept}` to keep it");
            } else if text != KEPT && text.replace("$${", "").contains(KEPT) {
                problem(path, "`${kept}` stands for a whole text; write the whole text anew, or `${kept}` alone");
            }
        });
        // A secret stays with what it was given to.
        let kind = |json: &Value| json.get("type").cloned();
        let stored = stored.filter(|stored| kind(stored) == kind(&json));
        keeping::keep(&mut json, stored, "", &mut problem);
        let about = document.about();
        self.each_text(document, &mut json, &mut |text, path, is_secret| {
            let is_plain = !text.is_empty() && !is_reference(text) && !is_sealed(text) && text != KEPT;
            let plain = match given(text) {
                Some(plain) => plain,
                None if is_secret && is_plain => text.as_str(),
                None => return,
            };
            match check_secret(plain) {
                Ok(()) => *text = format!("{SEALED}{}{END}", seal.seal(&about, plain)),
                Err(message) => problem(path, &message),
            }
        });
        problems.into_result(json)
    }

    /// The document with its secrets sealed anew, which is with the newest key.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub fn reseal_document(&self, document: &Document, seal: &dyn Seal) -> Result<Value, Problems> {
        let mut problems = Problems::default();
        let mut json = document.json.clone();
        let about = document.about();
        self.each_text(document, &mut json, &mut |text, path, _| {
            let Some(sealed) = sealed(text) else { return };
            match seal.open(&about, sealed) {
                Ok(plain) => *text = format!("{SEALED}{}{END}", seal.seal(&about, &plain)),
                Err(message) => problems.push(Problem::of_document(document, path, message)),
            }
        });
        problems.into_result(json)
    }

    /// The document for people to look at: each secret of it, sealed or not, is [`HIDDEN`].
    pub fn hide_document(&self, document: &Document) -> Value {
        let mut json = document.json.clone();
        self.each_text(document, &mut json, &mut |text, _, is_secret| {
            if is_sealed(text) || given(text).is_some() || is_secret && !text.is_empty() && !is_reference(text) {
                *text = HIDDEN.to_owned();
            }
        });
        json
    }

    /// Calls `visit` with each text of a document in which references count, its path, and whether it is a secret by
    /// where it stands or by its looks.
    pub(crate) fn each_text(
        &self,
        document: &Document,
        json: &mut Value,
        visit: &mut dyn FnMut(&mut String, &str, bool),
    ) {
        let kind = json.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let facts: Option<Facts>;
        let rule = match document.part {
            Part::Source => Rule::Names(self.connectors().source_secret_settings(&kind)),
            Part::Destination => {
                facts = self.connectors().facts(&kind);
                facts.as_ref().map_or(Rule::None, |facts| Rule::Settings(&facts.settings, &facts.options))
            }
            Part::Model | Part::Mapping => Rule::None,
        };
        if let Value::Object(entries) = json {
            let verbatim = document.part.verbatim();
            for (key, value) in entries.iter_mut().filter(|(key, _)| !verbatim.contains(&key.as_str())) {
                walk(value, rule.below(key), key, key, "", visit);
            }
        }
    }
}

/// The document as it is handed out: [`KEPT`] in the place of each sealed text.
pub fn mask_document(json: &Value) -> Value {
    match json {
        Value::String(text) if is_sealed(text) => Value::from(KEPT),
        Value::Array(items) => items.iter().map(mask_document).collect(),
        Value::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), mask_document(value))).collect(),
        other => other.clone(),
    }
}

/// Which settings below a map are secrets.
#[derive(Clone, Copy)]
enum Rule<'a> {
    /// Those that facts say are, and the options below.
    Settings(&'a [Setting], &'a [Setting]),
    /// Those of these names.
    Names(&'a [&'a str]),
    /// All.
    Secret,
    /// None by a rule.
    None,
}

impl<'a> Rule<'a> {
    fn below(self, key: &str) -> Self {
        match self {
            Rule::Secret => Rule::Secret,
            Rule::Names(names) if names.contains(&key) => Rule::Secret,
            Rule::Settings(settings, options) => match settings.iter().find(|setting| setting.key == key) {
                Some(setting) if setting.secret => Rule::Secret,
                Some(setting) if !setting.properties.is_empty() => Rule::Settings(&setting.properties, &[]),
                Some(_) if key == "options" => Rule::Settings(options, &[]),
                _ => Rule::None,
            },
            Rule::Names(_) | Rule::None => Rule::None,
        }
    }
}

fn walk(
    value: &mut Value,
    rule: Rule<'_>,
    path: &str,
    key: &str,
    above: &str,
    visit: &mut dyn FnMut(&mut String, &str, bool),
) {
    match value {
        Value::String(text) => {
            let is_secret = matches!(rule, Rule::Secret)
                || is_telling(key, above)
                || password_of_url(text).is_some_and(|password| !is_reference(password));
            visit(text, path, is_secret);
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, rule, &format!("{path}[{index}]"), key, above, visit);
            }
        }
        Value::Object(entries) => {
            for (below, value) in entries {
                let path = joined(path, below);
                let (key, above) = named(below, key, above);
                walk(value, rule.below(below), &path, key, above, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Puts the sealed texts of `stored` in the place of those that are kept, as far as that is clear.
pub(crate) fn keep_all(json: &mut Value, stored: &Value) {
    keeping::keep(json, Some(stored), "", &mut |_, _| {});
}

/// What is inside a sealed text, for whoever opens it.
pub(crate) fn sealed(text: &str) -> Option<&str> {
    text.strip_prefix(SEALED)?.strip_suffix(END).filter(|inner| !inner.contains(END))
}

pub(crate) fn is_sealed(text: &str) -> bool {
    sealed(text).is_some()
}

/// The text that says of itself that it is a secret.
pub(crate) fn given(text: &str) -> Option<&str> {
    text.strip_prefix(GIVEN)?.strip_suffix(END)
}

/// A text that says of itself that it is a secret, for a place that does not.
pub(crate) fn as_given(plain: &str) -> String {
    format!("{GIVEN}{plain}{END}")
}
