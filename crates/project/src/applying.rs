//! A project that was read from files, as the documents that a server is given: references filled in, secrets marked.

use std::path::PathBuf;

use serde_json::Value;

use super::{
    differences::bare,
    documents::Document,
    header,
    parts::{Origin, Project},
    references::{escaped, joined},
    sealing::as_given,
};

/// A definition and the file it comes from, relative to the project.
#[derive(Debug, Clone, PartialEq)]
pub struct FileDocument {
    pub document: Document,
    pub file: PathBuf,
}

impl Project {
    /// All definitions, sources first, mappings last. What came into a text from outside and may be a secret is marked
    /// as one (`${secret:TEXT}`), wherever it stands; only a server's seal takes the marks away.
    pub fn documents(&self) -> Vec<FileDocument> {
        let sources = self.sources.iter().map(|source| of(&source.origin));
        let models = self.models.iter().map(|model| {
            let mut definition = of(&model.origin);
            let has_own_file = model.origin.file.extension().is_some_and(|extension| extension == "sql");
            let query = if has_own_file { header::body(&model.query) } else { bare(&model.query).to_owned() };
            if let Value::Object(entries) = &mut definition.document.json {
                entries.shift_remove("file");
                entries.insert("query".to_owned(), query.into());
            }
            definition
        });
        let destinations = self.destinations.iter().map(|destination| of(&destination.origin));
        let mappings = self.mappings.iter().map(|mapping| of(&mapping.origin));
        sources.chain(models).chain(destinations).chain(mappings).collect()
    }
}

fn of(origin: &Origin) -> FileDocument {
    let mut json = origin.node.to_json();
    write(&mut json, "", origin);
    let document = Document { part: origin.part, name: origin.name.clone(), json };
    FileDocument { document, file: origin.file.clone() }
}

/// Writes texts as a document has them.
fn write(value: &mut Value, path: &str, origin: &Origin) {
    match value {
        Value::String(text) if origin.from_outside.iter().any(|outside| outside == path) => {
            *text = as_given(&escaped(text));
        }
        Value::String(text) => *text = escaped(text),
        Value::Array(items) => {
            items.iter_mut().enumerate().for_each(|(index, item)| write(item, &format!("{path}[{index}]"), origin));
        }
        Value::Object(entries) => {
            let is_verbatim = |key: &str| path.is_empty() && origin.part.verbatim().contains(&key);
            for (key, below) in entries.iter_mut().filter(|(key, _)| !is_verbatim(key)) {
                write(below, &joined(path, key), origin);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
