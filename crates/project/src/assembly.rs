//! Parts put together to a project: `${…}` filled in, each checked against the schema, then against each other.

use std::{path::PathBuf, sync::Arc};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    checking::Checker,
    form::{EXTRACTS_MAX, MappingForm, ModelForm, Names},
    located::Node,
    parts::{Origin, Project, ProjectDestination, ProjectMapping, ProjectModel, ProjectSource, Settings},
    problem::Problems,
    references::{Reach, Resolver},
    referring,
    schema::{Forms, Part},
    secrets::Secrets,
};

/// A part as it was found.
pub(crate) struct Piece {
    pub(crate) origin: Origin,
    pub(crate) written: Written,
}

/// How a part is written.
pub(crate) enum Written {
    /// In YAML.
    Yaml,
    /// A model: the text of its own file.
    Sql(String),
    /// In a document, which stands in no file and refers to none.
    Document,
}

/// What is being put together, and what was found wrong in it.
pub(crate) struct Assembly<'a> {
    pub(crate) forms: &'a Forms,
    pub(crate) reach: Reach<'a>,
    pub(crate) secrets: Secrets,
    pub(crate) problems: Problems,
}

impl<'a> Assembly<'a> {
    pub(crate) fn new(forms: &'a Forms, reach: Reach<'a>) -> Self {
        Self { forms, reach, secrets: Secrets::default(), problems: Problems::default() }
    }

    /// The project of these parts. If it is `whole`, all that they name is among them; if not, only what a sync needs.
    pub(crate) fn project(
        mut self,
        settings: Settings,
        mut pieces: Vec<Piece>,
        whole: bool,
    ) -> Result<Project, Problems> {
        self.fill_in(&mut pieces);
        self.check(&mut pieces);
        let mut project = Project {
            settings,
            sources: Vec::new(),
            models: Vec::new(),
            destinations: Vec::new(),
            mappings: Vec::new(),
            secrets: Secrets::default(),
            connectors: Arc::clone(self.forms.connectors()),
        };
        if self.problems.is_empty() {
            self.take(pieces, &mut project);
        }
        if self.problems.is_empty() {
            self.refer(&project, whole);
        }
        project.secrets = self.secrets;
        self.problems.into_result(project)
    }

    pub(crate) fn resolver<'r>(&'r mut self, about: &'r str) -> Resolver<'r> {
        Resolver {
            reach: self.reach,
            about,
            secrets: &mut self.secrets,
            problems: &mut self.problems,
            outside: Vec::new(),
        }
    }

    fn fill_in(&mut self, pieces: &mut [Piece]) {
        for Piece { origin, written } in pieces {
            let except = if matches!(written, Written::Document) { origin.part.verbatim() } else { &[] };
            let about = origin.part.about(&origin.name);
            let mut resolver = self.resolver(&about);
            resolver.resolve(&origin.file, &mut origin.node, &origin.prefix, except);
            let outside = resolver.outside.into_iter();
            let beginning = origin.path_in_file("");
            origin.from_outside = outside
                .filter_map(|path| Some(path.strip_prefix(&beginning)?.trim_start_matches('.').to_owned()))
                .collect();
        }
    }

    fn check(&mut self, pieces: &mut [Piece]) {
        for Piece { origin, written } in pieces {
            if matches!(written, Written::Sql(_)) && origin.node.get("source").is_none() {
                let message = "the source is missing; the file must begin with comments that name it: `-- source: NAME` \
                               and `-- key: COLUMN`";
                self.problems.push(origin.problem("source", message));
                continue;
            }
            let root = self.forms.schema();
            let mut checker = Checker::new(&origin.file, root, &mut self.problems);
            checker.check(&mut origin.node, &root["$defs"][origin.part.noun()], &origin.prefix);
        }
    }

    fn take(&mut self, pieces: Vec<Piece>, project: &mut Project) {
        for Piece { origin, written } in pieces {
            match origin.part {
                Part::Source => {
                    let (kind, mut settings) = typed(&origin.node);
                    let secrets = self.forms.connectors().source_secret_settings(&kind).iter();
                    secrets
                        .filter_map(|key| settings.get(*key).and_then(Value::as_str))
                        .for_each(|secret| self.secrets.add(secret));
                    let extracts_max = settings.shift_remove("extracts_max").as_ref().and_then(Value::as_u64);
                    let extracts_max = extracts_max.and_then(|most| u32::try_from(most).ok()).unwrap_or(EXTRACTS_MAX);
                    let outcomes_table = settings.shift_remove("outcomes_table");
                    let outcomes_table = outcomes_table.as_ref().and_then(Value::as_str).map(str::to_owned);
                    let settings = Value::Object(settings);
                    project.sources.push(ProjectSource { origin, kind, settings, extracts_max, outcomes_table });
                }
                Part::Destination => {
                    let (kind, mut settings) = typed(&origin.node);
                    let enabled = settings.shift_remove("enabled").is_none_or(|enabled| enabled != Value::Bool(false));
                    let settings = Value::Object(settings);
                    let facts = self.forms.connectors().facts(&kind);
                    facts
                        .map_or_else(Vec::new, |facts| facts.secrets(&settings))
                        .iter()
                        .for_each(|secret| self.secrets.add(secret));
                    project.destinations.push(ProjectDestination { origin, kind, settings, enabled });
                }
                Part::Model => {
                    if let Some(model) = self.model(origin, written) {
                        project.models.push(model);
                    }
                }
                Part::Mapping => {
                    if let Some(mapping) = self.mapping(origin) {
                        project.mappings.push(mapping);
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

    fn mapping(&mut self, origin: Origin) -> Option<ProjectMapping> {
        let form: MappingForm = self.form(&origin)?;
        match form.schedule.check() {
            Ok(schedule) => Some(ProjectMapping { origin, form, schedule }),
            Err(found) => {
                found.iter().for_each(|problem| self.problems.push(referring::schedule_problem(&origin, problem)));
                None
            }
        }
    }

    fn model(&mut self, origin: Origin, written: Written) -> Option<ProjectModel> {
        let form: ModelForm = self.form(&origin)?;
        let (query, query_file, query_line) = match (written, form.query, form.file) {
            (Written::Sql(sql), None, None) => (sql, origin.file.clone(), 0),
            (Written::Sql(_), ..) => {
                let message = "the file itself is the query; remove `query` and `file` from its header";
                self.problems.push(origin.problem("query", message));
                return None;
            }
            (_, Some(query), None) => {
                // The place of a block text (`query: |`) is that of its first line.
                let line = origin.node.get("query").map_or(1, |node| node.place.line);
                (query, origin.file.clone(), line.saturating_sub(1))
            }
            (Written::Document, _, Some(_)) => {
                let message = "a file cannot be named here; give the SQL as `query`";
                self.problems.push(origin.problem("file", message));
                return None;
            }
            (Written::Yaml, None, Some(file)) => match std::fs::read_to_string(self.reach.folder.join(&file)) {
                Ok(query) => (query, PathBuf::from(file), 0),
                Err(error) => {
                    let message = format!("the file `{file}` cannot be read: {error}");
                    self.problems.push(origin.problem("file", message));
                    return None;
                }
            },
            (Written::Yaml, Some(_), Some(_)) => {
                let message = "a model has `query` or `file`, not both; remove one of them";
                self.problems.push(origin.problem("file", message));
                return None;
            }
            (written, None, None) => {
                let message = match written {
                    Written::Document => "it is missing; give the SQL",
                    _ => "it is missing; give the SQL as `query`, or the file that holds it as `file`",
                };
                self.problems.push(origin.problem("query", message));
                return None;
            }
        };
        Some(ProjectModel {
            source: form.source,
            key: form.key.into_vec(),
            personal: form.personal.map_or_else(Vec::new, Names::into_vec),
            enabled: form.enabled.unwrap_or(true),
            origin,
            query,
            query_file,
            query_line,
        })
    }

    /// Checks that what a part names is there.
    fn refer(&mut self, project: &Project, whole: bool) {
        let models = project.models.iter().map(|model| &model.origin);
        let mappings = project.mappings.iter().map(|mapping| &mapping.origin);
        referring::check(models.chain(mappings.clone()), project, &mut self.problems);
        if whole {
            referring::check_waiting(mappings, project, &mut self.problems);
        }
    }
}

/// The type of a source or destination, and the rest of its keys.
fn typed(node: &Node) -> (String, Map<String, Value>) {
    let kind = node.get("type").and_then(Node::text).unwrap_or_default().to_owned();
    let Value::Object(mut settings) = node.to_json() else { return (kind, Map::new()) };
    settings.shift_remove("type");
    settings.shift_remove("description");
    (kind, settings)
}

pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphanumeric())
        && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
}

pub(crate) fn wrong_name(name: &str) -> String {
    format!("`{name}` is not a name; use letters, digits, `_` and `-`, and begin with a letter or digit")
}
