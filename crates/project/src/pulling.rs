//! Definitions written into a project's files. What says the same already stays as it is, comments and all; secrets are
//! written as references to environment variables, never as they are.

mod references;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::{Map, Value};

use self::references::{Merging, same};
use super::{
    PROJECT_FILE,
    assembly::{Piece, Written},
    differences::{bare, normal, spelled},
    documents::Document,
    files, header, outputs,
    problem::{Problem, Problems},
    references::{Variables, escaped},
    schema::{Forms, Part},
    yaml::{self, Order},
};

/// What an empty project's file says.
const EMPTY_PROJECT: &str = "version: 1\n";

/// A file that has to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Relative to the project.
    pub path: PathBuf,
    /// What it says now; none if it is not there.
    pub before: Option<String>,
    /// What it is to say; none if it is to go.
    pub after: Option<String>,
}

impl Forms {
    /// What has to change in the project in `folder`, which need not be one yet, so that its files say what these
    /// documents say. Their secrets are [`KEPT`](crate::KEPT), or sealed. With `prune`, parts that are not among them
    /// are taken out. Nothing is written yet.
    ///
    /// # Errors
    /// A file of the project cannot be read, or a part stands in `outflow.yaml` in a way that cannot be changed safely.
    pub fn write_files(
        &self,
        folder: &Path,
        documents: &[Document],
        prune: bool,
        variables: Variables<'_>,
    ) -> Result<Vec<FileChange>, Problems> {
        let is_project = folder.join(PROJECT_FILE).exists();
        let pieces = if is_project { files::pieces(folder, variables, self)? } else { Vec::new() };
        let mut writing = Writing {
            forms: self,
            folder,
            merging: Merging::new(folder, variables),
            texts: BTreeMap::new(),
            problems: Problems::default(),
        };
        pieces.iter().for_each(|piece| writing.merging.note(&piece.origin.node.to_json()));
        if !is_project {
            writing.set(PROJECT_FILE.into(), Some(EMPTY_PROJECT.to_owned()));
        }
        let mut sorted: Vec<&Document> = documents.iter().collect();
        sorted.sort_by(|a, b| (a.part, &a.name).cmp(&(b.part, &b.name)));
        for document in sorted {
            let is_it = |piece: &&Piece| piece.origin.part == document.part && piece.origin.name == document.name;
            writing.write(document, pieces.iter().find(is_it));
        }
        if prune {
            let wanted: BTreeSet<(Part, &str)> =
                documents.iter().map(|document| (document.part, document.name.as_str())).collect();
            for piece in
                pieces.iter().filter(|piece| !wanted.contains(&(piece.origin.part, piece.origin.name.as_str())))
            {
                writing.remove(piece);
            }
        }
        writing.finish()
    }
}

struct Writing<'a> {
    forms: &'a Forms,
    folder: &'a Path,
    merging: Merging<'a>,
    /// What files are to say.
    texts: BTreeMap<PathBuf, Option<String>>,
    problems: Problems,
}

impl Writing<'_> {
    fn finish(self) -> Result<Vec<FileChange>, Problems> {
        let change = |(path, after): (PathBuf, Option<String>)| {
            let before = std::fs::read_to_string(self.folder.join(&path)).ok();
            (before != after).then_some(FileChange { path, before, after })
        };
        let changes = self.texts.into_iter().filter_map(change).collect();
        self.problems.into_result(changes)
    }

    fn set(&mut self, path: PathBuf, text: Option<String>) {
        self.texts.insert(path, text);
    }

    /// What a file says by now.
    fn text(&self, path: &Path) -> Option<String> {
        match self.texts.get(path) {
            Some(text) => text.clone(),
            None => std::fs::read_to_string(self.folder.join(path)).ok(),
        }
    }

    fn write(&mut self, document: &Document, piece: Option<&Piece>) {
        let wanted = normal(document);
        let Some(piece) = piece else {
            let json = spelled(document.part, self.merging.merged(document, &wanted, None));
            let path = self.own_path(document);
            let text = self.own_text(document.part, &json);
            return self.set(path, Some(text));
        };
        let (there, query_file) = self.read(piece);
        if same(&there, &wanted, &self.merging) {
            return;
        }
        let mut json = spelled(document.part, self.merging.merged(document, &wanted, Some(&there)));
        if let (Some(path), Value::Object(entries)) = (query_file, &mut json) {
            // The query stands in a file of its own, and stays there.
            let query = entries.shift_remove("query").unwrap_or_default();
            entries.insert("file".to_owned(), path.to_string_lossy().into());
            if there["query"] != query {
                self.set(path, Some(format!("{}\n", query.as_str().unwrap_or_default())));
            }
            let head = |json: &Value| {
                let entries = json.as_object().into_iter().flatten();
                let entries = entries.filter(|(key, _)| !["query", "file"].contains(&key.as_str()));
                entries.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>()
            };
            if head(&spelled(document.part, there.clone())) == head(&json) {
                return;
            }
        }
        if piece.origin.prefix.is_empty() {
            let text = self.own_text(document.part, &json);
            return self.set(piece.origin.file.clone(), Some(text));
        }
        if document.part == Part::Model
            && let Some(Value::String(query)) = json.get_mut("query")
        {
            *query = escaped(query);
        }
        self.replace(piece, Some(&json));
    }

    /// What a part says now, a model with its query; and the file of the query, if it stands in one that is no part.
    fn read(&self, piece: &Piece) -> (Value, Option<PathBuf>) {
        let mut json = piece.origin.node.to_json();
        let mut query_file = None;
        if let (Part::Model, Value::Object(entries)) = (piece.origin.part, &mut json) {
            if let Written::Sql(sql) = &piece.written {
                entries.insert("query".to_owned(), header::body(sql).into());
            } else if let Some(Value::String(file)) = entries.shift_remove("file") {
                let query = std::fs::read_to_string(self.folder.join(&file)).unwrap_or_default();
                entries.insert("query".to_owned(), bare(&query).into());
                query_file = Some(PathBuf::from(file));
            } else if let Some(Value::String(query)) = entries.get_mut("query") {
                // In YAML references count; in a document a query is taken as it stands.
                *query = self.merging.meant(query).unwrap_or_else(|| query.clone());
            }
        }
        let document = Document { part: piece.origin.part, name: piece.origin.name.clone(), json };
        (normal(&document), query_file)
    }

    fn remove(&mut self, piece: &Piece) {
        if piece.origin.prefix.is_empty() {
            self.set(piece.origin.file.clone(), None);
        } else {
            self.replace(piece, None);
        }
    }

    /// Puts a part that stands in `outflow.yaml` there in other words, or takes it out.
    fn replace(&mut self, piece: &Piece, json: Option<&Value>) {
        let (origin, path) = (&piece.origin, PathBuf::from(PROJECT_FILE));
        let text = self.text(&path).unwrap_or_default();
        let order = self.order(origin.part);
        let with_entries = json.map(|json| {
            let empty = Map::new();
            let entries = json.as_object().unwrap_or(&empty).clone();
            (json, move |indent: usize| yaml::below(&entries, order, indent))
        });
        let replacement = with_entries.as_ref().map(|(json, write)| (*json, write as &dyn Fn(usize) -> String));
        match outputs::with_entry(&text, origin.part.section(), &origin.name, replacement) {
            Ok(text) => self.set(path, Some(text)),
            Err(reason) => {
                let own = self.own_path_of(origin.part, &origin.name);
                let message =
                    format!("it cannot be changed here: {reason}; move it to `{}` and try again", own.display());
                self.problems.push(Problem::new(path, origin.node.place, origin.path_in_file(""), message));
            }
        }
    }

    fn order(&self, part: Part) -> Order<'_> {
        let root = self.forms.schema();
        Order::new(root, &root["$defs"][part.noun()])
    }

    fn own_path(&self, document: &Document) -> PathBuf {
        self.own_path_of(document.part, &document.name)
    }

    fn own_path_of(&self, part: Part, name: &str) -> PathBuf {
        let extension = if part == Part::Model { "sql" } else { "yaml" };
        Path::new(part.section()).join(format!("{name}.{extension}"))
    }

    /// A part as a file of its own.
    fn own_text(&self, part: Part, json: &Value) -> String {
        let empty = Map::new();
        let entries = json.as_object().unwrap_or(&empty);
        if part == Part::Model { header::write(entries) } else { yaml::document(entries, self.order(part)) }
    }
}
