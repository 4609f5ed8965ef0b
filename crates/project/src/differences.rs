//! What differs between the definitions that somebody wants and those that are there. Secrets are compared, never shown.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    documents::Document,
    references::joined,
    schema::{Forms, Part},
    sealing::{Seal, given, keep_all, sealed},
};

/// What would have to be done to one definition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    pub part: Part,
    pub name: String,
    pub kind: DifferenceKind,
    /// Of an update.
    pub fields: Vec<FieldDifference>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    Create,
    Update,
    Delete,
    Unchanged,
}

/// A field that differs, as people may see it: a secret is `[secret]`, before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldDifference {
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Forms {
    /// Compares the definitions that are wanted with those that are there, whose secrets `seal` opens. In an order in
    /// which it can be done: what is created or updated before what refers to it, what is deleted after that.
    pub fn compare(&self, desired: &[Document], current: &[Document], seal: &dyn Seal) -> Vec<Difference> {
        let there: BTreeMap<(Part, &str), &Document> =
            current.iter().map(|document| ((document.part, document.name.as_str()), document)).collect();
        let mut found = Vec::new();
        for wanted in desired {
            let before = there.get(&(wanted.part, wanted.name.as_str()));
            let (kind, fields) = match before {
                None => (DifferenceKind::Create, Vec::new()),
                Some(before) => {
                    let fields = self.fields(before, wanted, seal);
                    (if fields.is_empty() { DifferenceKind::Unchanged } else { DifferenceKind::Update }, fields)
                }
            };
            found.push(Difference { part: wanted.part, name: wanted.name.clone(), kind, fields });
        }
        for ((part, name), _) in there {
            if !desired.iter().any(|wanted| wanted.part == part && wanted.name == name) {
                let kind = DifferenceKind::Delete;
                found.push(Difference { part, name: name.to_owned(), kind, fields: Vec::new() });
            }
        }
        found.sort_by(|a, b| {
            let is_deleted = |difference: &Difference| difference.kind == DifferenceKind::Delete;
            let order = is_deleted(a).cmp(&is_deleted(b));
            let parts = if is_deleted(a) { b.part.cmp(&a.part) } else { a.part.cmp(&b.part) };
            order.then(parts).then_with(|| a.name.cmp(&b.name))
        });
        found
    }

    fn fields(&self, before: &Document, after: &Document, seal: &dyn Seal) -> Vec<FieldDifference> {
        // What is kept is what is there.
        let mut wanted = after.json.clone();
        keep_all(&mut wanted, &before.json);
        let wanted = Document { json: wanted, ..after.clone() };
        let [before, after] = [before, &wanted].map(|document| {
            let document = Document { json: normal(document), ..document.clone() };
            Pair { shown: self.hide_document(&document), plain: self.opened(&document, seal) }
        });
        let mut found = Vec::new();
        differ(&before, &after, "", &mut found);
        found
    }

    /// The document with its secrets as they are. One that does not open is unlike every other.
    fn opened(&self, document: &Document, seal: &dyn Seal) -> Value {
        let mut json = document.json.clone();
        let about = document.about();
        self.each_text(document, &mut json, &mut |text, _, _| {
            if let Some(plain) = given(text) {
                *text = plain.to_owned();
            } else if let Some(plain) = sealed(text).and_then(|sealed| seal.open(&about, sealed).ok()) {
                *text = plain;
            }
        });
        json
    }
}

/// A value as it is, and as people may see it. Both have the same form.
struct Pair {
    plain: Value,
    shown: Value,
}

fn differ(before: &Pair, after: &Pair, path: &str, found: &mut Vec<FieldDifference>) {
    if before.plain == after.plain {
        return;
    }
    let (Value::Object(old), Value::Object(new)) = (&before.plain, &after.plain) else {
        let difference = FieldDifference {
            path: path.to_owned(),
            before: Some(before.shown.clone()),
            after: Some(after.shown.clone()),
        };
        return found.push(difference);
    };
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    for key in keys {
        let path = joined(path, key);
        match (below(before, key), below(after, key)) {
            (Some(before), Some(after)) => differ(&before, &after, &path, found),
            (before, after) => found.push(FieldDifference {
                path,
                before: before.map(|pair| pair.shown),
                after: after.map(|pair| pair.shown),
            }),
        }
    }
}

fn below(pair: &Pair, key: &str) -> Option<Pair> {
    Some(Pair { plain: pair.plain.get(key)?.clone(), shown: pair.shown.get(key)?.clone() })
}

/// A document in the one form of several that mean the same: a key or several columns as a list, a query without empty
/// lines around it, nothing where there is nothing.
pub(crate) fn normal(document: &Document) -> Value {
    let Value::Object(entries) = &document.json else { return document.json.clone() };
    let mut entries: Map<String, Value> =
        entries.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect();
    if document.part == Part::Model {
        for key in ["key", "personal"] {
            if let Some(one @ Value::String(_)) = entries.get(key) {
                let list = Value::Array(vec![one.clone()]);
                entries.insert(key.to_owned(), list);
            }
        }
        if let Some(Value::String(query)) = entries.get_mut("query") {
            *query = bare(query).to_owned();
        }
    }
    Value::Object(entries)
}

/// A model as people write it: a single column is no list.
pub(crate) fn spelled(part: Part, mut json: Value) -> Value {
    if let (Part::Model, Value::Object(entries)) = (part, &mut json) {
        for key in ["key", "personal"] {
            if let Some(Value::Array(items)) = entries.get(key)
                && let [one] = &items[..]
            {
                let one = one.clone();
                entries.insert(key.to_owned(), one);
            }
        }
    }
    json
}

/// A text without the empty lines before and after it.
pub(crate) fn bare(text: &str) -> &str {
    let mut rest = text.trim_end();
    while let Some((line, after)) = rest.split_once('\n') {
        if !line.trim().is_empty() {
            break;
        }
        rest = after;
    }
    rest
}

#[cfg(test)]
mod tests;
