//! Reads a project's folder: gathers its parts, fills in `${…}`, checks each against the schema and each other.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    PROJECT_FILE,
    checking::Checker,
    connectors::Connectors,
    form::{MappingForm, ModelForm, ProjectForm},
    header,
    located::{Content, Node, Place},
    problem::{Problem, Problems, suggestion},
    schema::{Forms, Part},
    secrets::{Resolver, Secrets, Variables},
};

/// What comparing may hold in memory if the project says nothing.
const MEMORY_DEFAULT: u64 = 512 << 20;
/// What one sync may write to disk if the project says nothing.
const DISK_DEFAULT: u64 = 20 << 30;

/// A project whose files are right in themselves. Nothing has been connected yet.
#[derive(Debug)]
pub struct Project {
    pub settings: Settings,
    pub sources: Vec<ProjectSource>,
    pub models: Vec<ProjectModel>,
    pub destinations: Vec<ProjectDestination>,
    pub mappings: Vec<ProjectMapping>,
    pub secrets: Secrets,
    pub(crate) connectors: Arc<dyn Connectors>,
}

/// The head of a project: enough to find what earlier syncs left.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: String,
    pub folder: PathBuf,
    /// Where state is kept.
    pub data: PathBuf,
    pub memory_bytes: u64,
    pub disk_bytes: u64,
    pub history_days: Option<u32>,
    pub history_bytes: Option<u64>,
}

/// Where a part stands, for messages about it.
#[derive(Debug, Clone)]
pub struct Origin {
    pub part: Part,
    pub name: String,
    /// Relative to the project.
    pub file: PathBuf,
    /// The way to the part within its file: `mappings.customers`, or empty if the file is the part.
    prefix: String,
    pub node: Node,
}

impl Origin {
    /// A problem at the deepest node of `path` that is there.
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        Problem::new(&self.file, self.node.place_of(path), self.path_in_file(path), message)
    }

    /// A path of the part as it is from the top of its file.
    pub fn path_in_file(&self, path: &str) -> String {
        match (self.prefix.as_str(), path) {
            ("", path) => path.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}.{path}"),
        }
    }
}

#[derive(Debug)]
pub struct ProjectSource {
    pub origin: Origin,
    pub kind: String,
    pub settings: Value,
}

#[derive(Debug)]
pub struct ProjectModel {
    pub origin: Origin,
    pub source: String,
    pub key: Vec<String>,
    pub query: String,
    /// The file the query stands in, and the line before its first.
    pub query_file: PathBuf,
    pub query_line: usize,
}

#[derive(Debug)]
pub struct ProjectDestination {
    pub origin: Origin,
    pub kind: String,
    pub settings: Value,
    pub enabled: bool,
}

#[derive(Debug)]
pub struct ProjectMapping {
    pub origin: Origin,
    pub form: MappingForm,
}

impl Project {
    /// Reads the project in `folder`.
    ///
    /// # Errors
    /// Everything that is wrong in its files, at once.
    pub fn read(folder: &Path, variables: Variables<'_>, forms: &Forms) -> Result<Self, Problems> {
        let mut reading = Reading::begin(folder, variables, forms);
        let (settings, head) = reading.head()?;
        let mut parts = reading.gather(&head);
        reading.fill_in(&mut parts);
        reading.check(&mut parts);
        let mut project = Self {
            settings,
            sources: Vec::new(),
            models: Vec::new(),
            destinations: Vec::new(),
            mappings: Vec::new(),
            secrets: Secrets::default(),
            connectors: Arc::clone(forms.connectors()),
        };
        if reading.problems.is_empty() {
            reading.take(parts, &mut project);
        }
        if reading.problems.is_empty() {
            reading.refer(&project);
        }
        project.secrets = reading.secrets;
        reading.problems.into_result(project)
    }

    pub fn source(&self, name: &str) -> Option<&ProjectSource> {
        self.sources.iter().find(|source| source.origin.name == name)
    }

    pub fn model(&self, name: &str) -> Option<&ProjectModel> {
        self.models.iter().find(|model| model.origin.name == name)
    }

    pub fn destination(&self, name: &str) -> Option<&ProjectDestination> {
        self.destinations.iter().find(|destination| destination.origin.name == name)
    }

    pub fn mapping(&self, name: &str) -> Option<&ProjectMapping> {
        self.mappings.iter().find(|mapping| mapping.origin.name == name)
    }
}

impl Settings {
    /// Reads only the head of the project, for commands that look at what earlier syncs left.
    ///
    /// # Errors
    /// `outflow.yaml` is missing or its head is wrong.
    pub fn read(folder: &Path, variables: Variables<'_>, forms: &Forms) -> Result<Self, Problems> {
        let mut reading = Reading::begin(folder, variables, forms);
        let (settings, _) = reading.head()?;
        reading.problems.into_result(settings)
    }
}

impl ProjectModel {
    /// A problem at a place of the query, as the source tells it.
    pub fn query_problem(&self, place: Option<kit::Place>, message: impl Into<String>) -> Problem {
        match place {
            Some(place) => {
                let place = Place { line: self.query_line + place.line, column: place.column };
                Problem::new(&self.query_file, place, "", message)
            }
            None => self.origin.problem("query", message),
        }
    }
}

struct Piece {
    origin: Origin,
    /// The text of a model's own file.
    sql: Option<String>,
}

struct Reading<'a> {
    folder: &'a Path,
    variables: Variables<'a>,
    forms: &'a Forms,
    secrets: Secrets,
    problems: Problems,
}

impl<'a> Reading<'a> {
    fn begin(folder: &'a Path, variables: Variables<'a>, forms: &'a Forms) -> Self {
        Self { folder, variables, forms, secrets: Secrets::default(), problems: Problems::default() }
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
        let root = self.forms.schema();
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
        self.resolver(|resolver| resolver.resolve(file, &mut node));
        Checker { file, root, problems: &mut self.problems }.check(&mut node, &schema, "");
        if !self.problems.is_empty() && !matches!(node.content, Content::Map(_)) {
            return Err(std::mem::take(&mut self.problems));
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
                    };
                    if !is_name(&entry.key) {
                        self.problems.push(Problem::new(PROJECT_FILE, entry.place, prefix, wrong_name(&entry.key)));
                    }
                    parts.push(Piece { origin, sql: None });
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
                self.problems.push(part.origin.problem("", message));
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
            self.problems.push(Problem::of_file(file, message));
            false
        });
        files
    }

    fn read_file(&mut self, part: Part, file: PathBuf) -> Option<Piece> {
        let text = match std::fs::read_to_string(self.folder.join(&file)) {
            Ok(text) => text,
            Err(error) => {
                self.problems.push(Problem::of_file(file, format!("it cannot be read: {error}")));
                return None;
            }
        };
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if !is_name(&name) {
            self.problems.push(Problem::of_file(&file, wrong_name(&name)));
        }
        let read = if part == Part::Model { header::read(&text) } else { Node::parse(&text) };
        match read {
            Ok(node) => {
                let sql = (part == Part::Model).then_some(text);
                Some(Piece { origin: Origin { part, name, file, prefix: String::new(), node }, sql })
            }
            Err(problem) => {
                self.problems.push(Problem::new(file, problem.place, "", problem.message));
                None
            }
        }
    }

    fn resolver(&mut self, with: impl FnOnce(&mut Resolver<'_>)) {
        with(&mut Resolver {
            folder: self.folder,
            variables: self.variables,
            secrets: &mut self.secrets,
            problems: &mut self.problems,
        });
    }

    fn fill_in(&mut self, parts: &mut [Piece]) {
        for part in parts {
            let file = part.origin.file.clone();
            let prefix = part.origin.prefix.clone();
            self.resolver(|resolver| resolver.resolve_below(&file, &mut part.origin.node, &prefix));
        }
    }

    fn check(&mut self, parts: &mut [Piece]) {
        for Piece { origin, sql } in parts {
            let noun = origin.part.noun();
            if sql.is_some() && origin.node.get("source").is_none() {
                let message = "the source is missing; the file must begin with comments that name it: `-- source: NAME` \
                               and `-- key: COLUMN`";
                self.problems.push(origin.problem("source", message));
                continue;
            }
            let root = self.forms.schema();
            let prefix = origin.prefix.clone();
            let mut checker = Checker { file: &origin.file, root, problems: &mut self.problems };
            checker.check(&mut origin.node, &root["$defs"][noun], &prefix);
        }
    }

    fn take(&mut self, parts: Vec<Piece>, project: &mut Project) {
        for Piece { origin, sql } in parts {
            match origin.part {
                Part::Source => {
                    let (kind, settings) = typed(&origin.node);
                    let secrets = self.forms.connectors().source_secret_settings(&kind).iter();
                    secrets
                        .filter_map(|key| settings.get(key).and_then(Value::as_str))
                        .for_each(|secret| self.secrets.add(secret));
                    project.sources.push(ProjectSource { origin, kind, settings });
                }
                Part::Destination => {
                    let (kind, mut settings) = typed(&origin.node);
                    let enabled = settings.as_object_mut().and_then(|map| map.remove("enabled"));
                    let facts = self.forms.connectors().facts(&kind);
                    facts
                        .map_or_else(Vec::new, |facts| facts.secrets(&settings))
                        .iter()
                        .for_each(|secret| self.secrets.add(secret));
                    let enabled = enabled.is_none_or(|enabled| enabled != Value::Bool(false));
                    project.destinations.push(ProjectDestination { origin, kind, settings, enabled });
                }
                Part::Model => {
                    if let Some(model) = self.model(origin, sql) {
                        project.models.push(model);
                    }
                }
                Part::Mapping => {
                    if let Some(form) = self.form::<MappingForm>(&origin) {
                        project.mappings.push(ProjectMapping { origin, form });
                    }
                }
            }
        }
    }

    fn form<T: DeserializeOwned>(&mut self, origin: &Origin) -> Option<T> {
        match serde_json::from_value(origin.node.to_json()) {
            Ok(form) => Some(form),
            Err(error) => {
                self.problems.push(origin.problem("", error.to_string()));
                None
            }
        }
    }

    fn model(&mut self, origin: Origin, sql: Option<String>) -> Option<ProjectModel> {
        let form: ModelForm = self.form(&origin)?;
        let (query, query_file, query_line) = match (sql, form.query, form.file) {
            (Some(sql), None, None) => (sql, origin.file.clone(), 0),
            (Some(_), ..) => {
                let message = "the file itself is the query; remove `query` and `file` from its header";
                self.problems.push(origin.problem("query", message));
                return None;
            }
            (None, Some(query), None) => {
                // The place of a block text (`query: |`) is that of its first line.
                let line = origin.node.get("query").map_or(1, |node| node.place.line);
                (query, origin.file.clone(), line - 1)
            }
            (None, None, Some(file)) => match std::fs::read_to_string(self.folder.join(&file)) {
                Ok(query) => (query, PathBuf::from(file), 0),
                Err(error) => {
                    let message = format!("the file `{file}` cannot be read: {error}");
                    self.problems.push(origin.problem("file", message));
                    return None;
                }
            },
            (None, Some(_), Some(_)) => {
                let message = "a model has `query` or `file`, not both; remove one of them";
                self.problems.push(origin.problem("file", message));
                return None;
            }
            (None, None, None) => {
                let message = "it is missing; give the SQL as `query`, or the file that holds it as `file`";
                self.problems.push(origin.problem("query", message));
                return None;
            }
        };
        Some(ProjectModel { source: form.source, key: form.key.into_vec(), origin, query, query_file, query_line })
    }

    /// Checks that what a part names is there.
    fn refer(&mut self, project: &Project) {
        let sources: Vec<&str> = project.sources.iter().map(|source| source.origin.name.as_str()).collect();
        let models: Vec<&str> = project.models.iter().map(|model| model.origin.name.as_str()).collect();
        let destinations: Vec<&str> = project.destinations.iter().map(|to| to.origin.name.as_str()).collect();
        for model in &project.models {
            self.refer_one(&model.origin, Part::Source, "source", &model.source, &sources);
        }
        for ProjectMapping { origin, form } in &project.mappings {
            self.refer_one(origin, Part::Model, "model", &form.model, &models);
            self.refer_one(origin, Part::Destination, "destination", &form.destination, &destinations);
        }
    }

    fn refer_one(&mut self, origin: &Origin, part: Part, path: &str, name: &str, known: &[&str]) {
        if !known.contains(&name) {
            let message = format!("there is no {} `{name}`; {}", part.noun(), suggestion(name, known));
            self.problems.push(origin.problem(path, message));
        }
    }
}

/// The type of a source or destination, and the rest of its keys.
fn typed(node: &Node) -> (String, Value) {
    let mut settings = node.to_json();
    let kind = node.get("type").and_then(Node::text).unwrap_or_default().to_owned();
    if let Some(map) = settings.as_object_mut() {
        map.remove("type");
        map.remove("description");
    }
    (kind, settings)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphanumeric())
        && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
}

fn wrong_name(name: &str) -> String {
    format!("`{name}` is not a name; use letters, digits, `_` and `-`, and begin with a letter or digit")
}
