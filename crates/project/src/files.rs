//! Reads a project's folder: gathers its parts, fills in `${…}`, checks each against the schema and each other.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    PROJECT_FILE,
    assembly::{Assembly, Piece, Written, is_name, wrong_name},
    checking::Checker,
    form::ProjectForm,
    header,
    located::{Content, Node},
    parts::{Origin, Project, Settings},
    problem::{Problem, Problems},
    references::{Reach, Variables},
    schema::{Forms, Part},
};

/// What comparing may hold in memory if the project says nothing.
const MEMORY_DEFAULT: u64 = 512 << 20;
/// What one sync may write to disk if the project says nothing.
const DISK_DEFAULT: u64 = 20 << 30;

impl Project {
    /// Reads the project in `folder`.
    ///
    /// # Errors
    /// Everything that is wrong in its files, at once.
    pub fn read(folder: &Path, variables: Variables<'_>, forms: &Forms) -> Result<Self, Problems> {
        let mut reading = Reading::begin(folder, variables, forms);
        let (settings, head) = reading.head()?;
        let pieces = reading.gather(&head);
        reading.assembly.project(settings, pieces, true)
    }
}

/// The parts of the project in `folder` as they are written, with all references as they are.
///
/// # Errors
/// A file cannot be read or is not YAML.
pub(crate) fn pieces(folder: &Path, variables: Variables<'_>, forms: &Forms) -> Result<Vec<Piece>, Problems> {
    let mut reading = Reading::begin(folder, variables, forms);
    let (_, head) = reading.head()?;
    let pieces = reading.gather(&head);
    reading.assembly.problems.into_result(pieces)
}

impl Settings {
    /// Reads only the head of the project, for commands that look at what earlier syncs left.
    ///
    /// # Errors
    /// `outflow.yaml` is missing or its head is wrong.
    pub fn read(folder: &Path, variables: Variables<'_>, forms: &Forms) -> Result<Self, Problems> {
        let mut reading = Reading::begin(folder, variables, forms);
        let (settings, _) = reading.head()?;
        reading.assembly.problems.into_result(settings)
    }
}

struct Reading<'a> {
    folder: &'a Path,
    assembly: Assembly<'a>,
}

impl<'a> Reading<'a> {
    fn begin(folder: &'a Path, variables: Variables<'a>, forms: &'a Forms) -> Self {
        let reach = Reach { folder, variables, allowed: None, seal: None };
        Self { folder, assembly: Assembly::new(forms, reach) }
    }

    fn head(&mut self) -> Result<(Settings, Node), Problems> {
        let file = Path::new(PROJECT_FILE);
        let text = match std::fs::read_to_string(self.folder.join(file)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let message = format!(
                    "there is no `{PROJECT_FILE}` in `{}`; run `outflow init` to make a project, or name its folder with \
                     `--project`",
                    self.folder.display()
                );
                return Err(Problem::of_file(file, message).into());
            }
            Err(error) => return Err(Problem::of_file(file, format!("it cannot be read: {error}")).into()),
        };
        let mut node = Node::parse(&text)
            .map_err(|problem| Problems::from(Problem::new(file, problem.place, "", problem.message)))?;
        let whole = node.clone();
        // The parts are checked one by one below; here only that a section is a map.
        let root = self.assembly.forms.schema();
        let mut schema = root.clone();
        for part in Part::ALL {
            schema["properties"][part.section()] = serde_json::json!({ "type": "object" });
        }
        if let Content::Map(entries) = &mut node.content {
            for entry in entries.iter_mut() {
                let is_section = Part::ALL.iter().any(|part| part.section() == entry.key);
                if is_section && entry.node.content == Content::Null {
                    entry.node.content = Content::Map(Vec::new());
                } else if is_section && let Content::Map(below) = &mut entry.node.content {
                    below.clear();
                }
            }
        }
        self.assembly.resolver("").resolve(file, &mut node, "", &[]);
        Checker::new(file, root, &mut self.assembly.problems).check(&mut node, &schema, "");
        if !self.assembly.problems.is_empty() && !matches!(node.content, Content::Map(_)) {
            return Err(std::mem::take(&mut self.assembly.problems));
        }
        let form: ProjectForm = serde_json::from_value(node.to_json()).unwrap_or_default();
        Ok((self.settings(form), whole))
    }

    fn settings(&self, form: ProjectForm) -> Settings {
        let folder = std::path::absolute(self.folder).unwrap_or_else(|_| self.folder.to_owned());
        let of_folder = || folder.file_name().map_or("outflow".to_owned(), |name| name.to_string_lossy().into_owned());
        Settings {
            name: form.name.unwrap_or_else(of_folder),
            data: folder.join(form.settings.data.as_deref().unwrap_or(".outflow")),
            folder,
            memory_bytes: form.settings.memory.map_or(MEMORY_DEFAULT, |size| size.0),
            disk_bytes: form.settings.disk.map_or(DISK_DEFAULT, |size| size.0),
            history_days: form.settings.history.keep_days,
            history_bytes: form.settings.history.keep_bytes.map(|size| size.0),
        }
    }

    /// All parts, wherever they stand; a name that stands twice is reported.
    fn gather(&mut self, head: &Node) -> Vec<Piece> {
        let mut parts = Vec::new();
        for part in Part::ALL {
            if let Some(Content::Map(entries)) = head.get(part.section()).map(|node| &node.content) {
                for entry in entries {
                    let prefix = format!("{}.{}", part.section(), entry.key);
                    let origin = Origin {
                        part,
                        name: entry.key.clone(),
                        file: PROJECT_FILE.into(),
                        prefix: prefix.clone(),
                        node: entry.node.clone(),
                        from_outside: Vec::new(),
                    };
                    if !is_name(&entry.key) {
                        self.assembly.problems.push(Problem::new(
                            PROJECT_FILE,
                            entry.place,
                            prefix,
                            wrong_name(&entry.key),
                        ));
                    }
                    parts.push(Piece { origin, written: Written::Yaml });
                }
            }
            for file in self.listed(part) {
                parts.extend(self.read_file(part, file));
            }
        }
        let mut seen: BTreeMap<(Part, String), PathBuf> = BTreeMap::new();
        for part in &parts {
            let key = (part.origin.part, part.origin.name.clone());
            if let Some(first) = seen.insert(key, part.origin.file.clone()) {
                let noun = part.origin.part.noun();
                let message = format!(
                    "there is a {noun} `{}` in `{}` already; give one of them another name",
                    part.origin.name,
                    first.display()
                );
                self.assembly.problems.push(part.origin.problem("", message));
            }
        }
        parts
    }

    /// The files of a part's folder, by name. Others than its own kind are reported.
    fn listed(&mut self, part: Part) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.folder.join(part.section())) else { return Vec::new() };
        let mut files: Vec<PathBuf> =
            entries.flatten().map(|entry| Path::new(part.section()).join(entry.file_name())).collect();
        files.sort();
        files.retain(|file| {
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with('.') || self.folder.join(file).is_dir() {
                return false;
            }
            let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            let message = match (part, extension) {
                (Part::Model, "sql") => return true,
                (Part::Model, "yaml" | "yml") => {
                    "a model's file is SQL: `models/NAME.sql` with `-- source: …` and `-- key: …` at its top"
                }
                (Part::Model, _) => return false,
                (_, "yaml") => return true,
                (_, "yml") => "its name must end in `.yaml`",
                _ => return false,
            };
            self.assembly.problems.push(Problem::of_file(file, message));
            false
        });
        files
    }

    fn read_file(&mut self, part: Part, file: PathBuf) -> Option<Piece> {
        let text = match std::fs::read_to_string(self.folder.join(&file)) {
            Ok(text) => text,
            Err(error) => {
                self.assembly.problems.push(Problem::of_file(file, format!("it cannot be read: {error}")));
                return None;
            }
        };
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if !is_name(&name) {
            self.assembly.problems.push(Problem::of_file(&file, wrong_name(&name)));
        }
        let read = if part == Part::Model { header::read(&text) } else { Node::parse(&text) };
        match read {
            Ok(node) => {
                let written = if part == Part::Model { Written::Sql(text) } else { Written::Yaml };
                Some(Piece {
                    origin: Origin { part, name, file, prefix: String::new(), node, from_outside: Vec::new() },
                    written,
                })
            }
            Err(problem) => {
                self.assembly.problems.push(Problem::new(file, problem.place, "", problem.message));
                None
            }
        }
    }
}
