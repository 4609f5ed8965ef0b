//! What a file may say in place of what a document says: a reference for its value, and any text for a secret.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use crate::{
    Document, KEPT, Problems, Reach, Secrets, Variables,
    references::{Resolver, has_references, joined, variables_of},
    schema::Part,
    sealing::is_sealed,
};

/// Puts documents into the words that a file has for them.
pub(super) struct Merging<'a> {
    reach: Reach<'a>,
    /// The variables that stand for secrets.
    names: BTreeSet<String>,
}

impl<'a> Merging<'a> {
    pub(super) fn new(folder: &'a Path, variables: Variables<'a>) -> Self {
        Self { reach: Reach { folder, variables, allowed: None, seal: None }, names: BTreeSet::new() }
    }

    /// Notes the variables that a value refers to, so that none of them comes to stand for something else.
    pub(super) fn note(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.names.extend(variables_of(text).map(str::to_owned)),
            Value::Array(items) => items.iter().for_each(|item| self.note(item)),
            Value::Object(entries) => entries.values().for_each(|value| self.note(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A text as it is meant, if all it refers to is there.
    pub(super) fn meant(&self, text: &str) -> Option<String> {
        let (mut secrets, mut problems) = (Secrets::default(), Problems::default());
        let mut resolver = Resolver {
            reach: self.reach,
            about: "",
            secrets: &mut secrets,
            problems: &mut problems,
            outside: Vec::new(),
        };
        resolver.replaced(text, "").ok()
    }

    /// Whether a text of a file says what one of a document says.
    fn same_text(&self, file: &str, document: &str) -> bool {
        file == document
            || is_secret(document)
            || has_references(file)
                && !has_references(document)
                && self.meant(file).is_some_and(|meant| Some(meant) == self.meant(document))
    }

    /// The document as it is to be written, where its file, if there is one, says `file`: what is the same in other
    /// words stays, and what is secret becomes a reference.
    pub(super) fn merged(&mut self, document: &Document, wanted: &Value, file: Option<&Value>) -> Value {
        let mut json = wanted.clone();
        self.merge(document, &mut json, file, "");
        json
    }

    fn merge(&mut self, document: &Document, value: &mut Value, file: Option<&Value>, path: &str) {
        match value {
            Value::String(_) if path == "query" && document.part == Part::Model => {}
            Value::String(text) => match file.and_then(Value::as_str) {
                Some(file) if self.same_text(file, text) => *text = file.to_owned(),
                _ if is_secret(text) => *text = format!("${{env:{}}}", self.name(document, path)),
                _ => {}
            },
            Value::Object(entries) => {
                for (key, below) in entries {
                    self.merge(document, below, file.and_then(|file| file.get(key)), &joined(path, key));
                }
            }
            Value::Array(items) => {
                let empty = Vec::new();
                let file = file.and_then(Value::as_array).unwrap_or(&empty);
                let is_as_long = file.len() == items.len();
                let partners: Vec<Option<usize>> = self.partners(items, file);
                for (index, item) in items.iter_mut().enumerate() {
                    // An item that was edited is still where it was.
                    let edited = (is_as_long && !partners.contains(&Some(index))).then_some(index);
                    let partner = partners[index].or(edited).and_then(|place| file.get(place));
                    self.merge(document, item, partner, &format!("{path}[{index}]"));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The items of the file that say the same as those of the document, each at most once.
    fn partners(&self, items: &[Value], file: &[Value]) -> Vec<Option<usize>> {
        let mut is_taken = vec![false; file.len()];
        let mut partners = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let fits = |place: &usize| !is_taken[*place] && same(&file[*place], item, self);
            let here = Some(index).filter(|index| *index < file.len()).filter(fits);
            let partner = here.or_else(|| (0..file.len()).find(fits));
            if let Some(place) = partner {
                is_taken[place] = true;
            }
            partners.push(partner);
        }
        partners
    }

    /// The variable for a secret: `OUTFLOW_DESTINATION_CRM_API_KEY`.
    fn name(&mut self, document: &Document, path: &str) -> String {
        let words = format!("OUTFLOW_{}_{}_{path}", document.part.noun(), document.name);
        let mut name = String::new();
        for letter in words.chars() {
            match letter.to_ascii_uppercase() {
                letter if letter.is_ascii_alphanumeric() => name.push(letter),
                _ if name.ends_with('_') => {}
                _ => name.push('_'),
            }
        }
        let name = name.trim_end_matches('_').to_owned();
        // Two names may differ in what a variable's name cannot have.
        let mut free = name.clone();
        let mut number = 2;
        while !self.names.insert(free.clone()) {
            free = format!("{name}_{number}");
            number += 1;
        }
        free
    }
}

/// Whether a file says what a document says.
pub(super) fn same(file: &Value, document: &Value, merging: &Merging<'_>) -> bool {
    match (file, document) {
        (Value::String(file), Value::String(document)) => merging.same_text(file, document),
        (Value::Array(file), Value::Array(document)) => {
            file.len() == document.len()
                && file.iter().zip(document).all(|(file, document)| same(file, document, merging))
        }
        (Value::Object(file), Value::Object(document)) => {
            file.len() == document.len()
                && document.iter().all(|(key, value)| file.get(key).is_some_and(|file| same(file, value, merging)))
        }
        // A number may come from outside, as text.
        (Value::String(file), other @ (Value::Number(_) | Value::Bool(_))) => {
            let shown = other.to_string();
            has_references(file) && merging.meant(file).is_some_and(|meant| meant == shown)
        }
        (file, document) => file == document,
    }
}

fn is_secret(text: &str) -> bool {
    text == KEPT || is_sealed(text)
}
