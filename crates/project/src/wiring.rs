//! From a project's files to what the engine works on: connected sources, destinations, compiled mappings.

use std::{collections::BTreeMap, sync::Arc};

use kit::{Destination, Source, TokenStore};
use mapping::{Columns, Condition, Fields, Program, Required, SyncMode};
use records::Clock;
use serde_json::{Map, Value};
use sync::{Choice, Connection, Guards, Mapping, Model, RecordChoice};

use super::{
    PROJECT_FILE,
    form::{DeletedValues, Keep},
    parts::{Project, ProjectDestination, ProjectMapping},
    problem::{Problem, Problems, listed, suggestion},
    reserved::{self, Reserved},
};

/// Where the tokens of a destination, given by its name, are kept that a person granted or the tool renewed.
pub type TokenStores = Arc<dyn Fn(&str) -> Arc<dyn TokenStore> + Send + Sync>;

/// Makes parts once and hands them out: mappings of one model share it, mappings of one destination its limits.
pub struct Wiring<'p> {
    project: &'p Project,
    tokens: TokenStores,
    clock: Arc<dyn Clock>,
    sources: BTreeMap<String, Arc<dyn Source>>,
    models: BTreeMap<String, Arc<Model>>,
    connections: BTreeMap<String, Connection>,
}

impl<'p> Wiring<'p> {
    pub fn new(project: &'p Project, tokens: TokenStores, clock: Arc<dyn Clock>) -> Self {
        Self { project, tokens, clock, sources: BTreeMap::new(), models: BTreeMap::new(), connections: BTreeMap::new() }
    }

    /// Takes a source that was made before, so that it is shared.
    #[must_use]
    pub fn with_source(mut self, name: &str, source: Arc<dyn Source>) -> Self {
        self.sources.insert(name.to_owned(), source);
        self
    }

    /// Takes a model that was made before: mappings that share it share its extracts.
    #[must_use]
    pub fn with_model(mut self, model: Arc<Model>) -> Self {
        self.models.insert(model.name.clone(), model);
        self
    }

    /// Takes a connection that was made before, so that its limits are shared.
    #[must_use]
    pub fn with_connection(mut self, connection: Connection) -> Self {
        self.connections.insert(connection.name.clone(), connection);
        self
    }

    /// The source of that name, ready to connect.
    ///
    /// # Errors
    /// Its settings contradict each other.
    pub fn source(&mut self, name: &str) -> Result<Arc<dyn Source>, Problems> {
        if let Some(source) = self.sources.get(name) {
            return Ok(Arc::clone(source));
        }
        let part = self.project.source(name).ok_or_else(|| missing("source", name))?;
        let connectors = &self.project.connectors;
        let source = connectors
            .source(&part.kind, &part.settings, &self.project.settings.folder)
            .map_err(|error| Problems::from(part.origin.problem("", error.to_string())))?;
        self.sources.insert(name.to_owned(), Arc::clone(&source));
        Ok(source)
    }

    pub fn model(&mut self, name: &str) -> Result<Arc<Model>, Problems> {
        if let Some(model) = self.models.get(name) {
            return Ok(Arc::clone(model));
        }
        let part = self.project.model(name).ok_or_else(|| missing("model", name))?;
        let model = Arc::new(Model {
            name: name.to_owned(),
            source_name: part.source.clone(),
            source: self.source(&part.source)?,
            query: part.query.clone(),
            key: part.key.clone(),
        });
        self.models.insert(name.to_owned(), Arc::clone(&model));
        Ok(model)
    }

    /// The destination of that name and the way to it.
    pub fn connection(&mut self, name: &str) -> Result<Connection, Problems> {
        if let Some(connection) = self.connections.get(name) {
            return Ok(connection.clone());
        }
        let part = self.project.destination(name).ok_or_else(|| missing("destination", name))?;
        let located = |error: kit::SettingsError| {
            let mut problems = Problems::default();
            for problem in error.problems {
                problems.push(part.origin.problem(&problem.field, problem.message));
            }
            problems
        };
        let destination = self.destination(part, None).map_err(located)?;
        let secrets = self.project.secrets.texts();
        let clock = Arc::clone(&self.clock);
        let wire = self.project.connectors.wire(destination.as_ref(), secrets, (self.tokens)(name), clock);
        let wire = wire.map_err(located)?;
        let connection = Connection { name: name.to_owned(), destination, wire };
        self.connections.insert(name.to_owned(), connection.clone());
        Ok(connection)
    }

    fn destination(
        &self,
        part: &ProjectDestination,
        options: Option<&Value>,
    ) -> Result<Arc<dyn Destination>, kit::SettingsError> {
        let connectors = &self.project.connectors;
        connectors.destination(&part.kind, &part.settings, options, &self.project.settings.folder)
    }

    /// The mapping of that name, compiled.
    ///
    /// # Errors
    /// All that is wrong with it, each at its place.
    pub fn mapping(&mut self, name: &str) -> Result<Mapping, Problems> {
        let part = self.project.mapping(name).ok_or_else(|| missing("mapping", name))?;
        let ProjectMapping { origin, form, .. } = part;
        let model = self.model(&form.model)?;
        let mut connection = self.connection(&form.destination)?;
        let mut problems = Problems::default();

        if let Some(options) = &form.options
            && let Some(to) = self.project.destination(&form.destination)
        {
            match self.destination(to, Some(options)) {
                Ok(destination) => connection.destination = destination,
                Err(error) => {
                    error
                        .problems
                        .into_iter()
                        .for_each(|found| problems.push(origin.problem(&found.field, found.message)));
                }
            }
        }

        let facts = connection.destination.facts();
        let slugs: Vec<&str> = facts.actions.iter().map(|action| action.slug.as_str()).collect();
        let action = match (&form.action, &facts.actions[..]) {
            (Some(slug), _) => facts.action(slug).ok_or_else(|| {
                let noun = format!("`{}` has no action `{slug}`", form.destination);
                origin.problem("action", format!("{noun}; {}", suggestion(slug, &slugs)))
            }),
            (None, [only]) => Ok(only),
            (None, _) => {
                let message = format!("`{}` has several actions; name one of {}", form.destination, listed(&slugs));
                Err(origin.problem("action", message))
            }
        };
        let action = match action {
            Ok(action) => action,
            Err(problem) => {
                problems.push(problem);
                return problems.into_result(()).and(Err(missing("action", "")));
            }
        };

        let empty = Map::new();
        let given = form.fields.as_object().filter(|given| !is_directive(given)).unwrap_or(&empty);
        let reserved = Reserved::read(given, action).unwrap_or_else(|found| {
            for (key, message) in found {
                problems.push(origin.problem(&format!("fields.{key}"), message));
            }
            Reserved::default()
        });
        let choice = match (form.mode.or(reserved.mode), form.records) {
            (Some(mode), _) if !action.modes.contains(&mode) => {
                let modes: Vec<&str> = action.modes.iter().map(|mode| mode.name()).collect();
                let message =
                    format!("the action `{}` cannot `{}`; it can {}", action.slug, mode.name(), listed(&modes));
                problems.push(origin.problem("mode", message));
                Choice::Mode(mode)
            }
            (Some(mode), Some(records)) => Choice::Both(records.into(), mode),
            (Some(mode), None) => Choice::Mode(mode),
            (None, Some(records)) => match action.modes[..] {
                [only] => Choice::Both(records.into(), only),
                _ => Choice::Records(records.into()),
            },
            (None, None) => match action.modes[..] {
                // Nothing else can be done with a record there, and a new one may be known to the tool.
                [only @ SyncMode::Update] => Choice::Both(RecordChoice::AddedOrUpdated, only),
                [only] => Choice::Mode(only),
                _ => {
                    let modes: Vec<&str> = action.modes.iter().map(|mode| mode.name()).collect();
                    let message = format!("it is missing; it must be one of {}", listed(&modes));
                    problems.push(origin.problem("mode", message));
                    return problems.into_result(()).and(Err(missing("mode", "")));
                }
            },
        };

        let condition = form.condition.as_ref().and_then(|condition| {
            Condition::compile(&condition.clone().into())
                .map_err(|found| report(&mut problems, part, "where", found))
                .ok()
        });
        let program = Program::compile(&with_defaults(&form.fields, action, choice.mode()).into())
            .map_err(|found| report(&mut problems, part, "fields", found))
            .ok();
        check_fields(&mut problems, part, action);
        let fields = Fields::compile(action.fields.clone());
        let guards = &form.guards;
        let defaults = Guards::default();
        let mapping = program.map(|program| Mapping {
            name: name.to_owned(),
            model,
            connection: connection.clone(),
            action: action.slug.clone(),
            choice,
            condition,
            program,
            fields,
            deleted_values: match form.deleted_values.unwrap_or_default() {
                DeletedValues::Last => mapping::DeletedValues::Last,
                DeletedValues::Nulls => mapping::DeletedValues::Null,
            },
            keep: match form.keep.unwrap_or_default() {
                Keep::Values => changes::Keep::Values,
                Keep::Keys => changes::Keep::Keys,
            },
            guards: Guards {
                deletions_percent: guards.deletions_percent.unwrap_or(defaults.deletions_percent),
                deletions_records_min: guards.deletions_records_min.unwrap_or(defaults.deletions_records_min),
                empty_result: guards.on_empty.map_or(defaults.empty_result, Into::into),
                missing_column: guards.on_missing_column.map_or(defaults.missing_column, Into::into),
                edited: guards.on_edit.map_or(defaults.edited, Into::into),
            },
            batching: form.batch.enabled.or(reserved.batching).unwrap_or(true),
            settings: reserved.settings.clone(),
            batch_keys: reserved.batch_keys.clone(),
            records_max: form.batch.records_max.or(reserved.records_max).and_then(|most| usize::try_from(most).ok()),
            bytes_max: form
                .batch
                .bytes_max
                .map(|bytes| bytes.0)
                .or(reserved.bytes_max)
                .and_then(|most| usize::try_from(most).ok()),
            retry: form.retry.settings(),
            give_up: form.give_up.policy(),
        });
        problems.into_result(()).and(mapping.ok_or_else(|| missing("mapping", name)))
    }

    /// Several mappings; the problems of all are told together.
    pub fn mappings(&mut self, names: &[String]) -> Result<Vec<Mapping>, Problems> {
        let mut problems = Problems::default();
        let mut mappings = Vec::new();
        for name in names {
            match self.mapping(name) {
                Ok(mapping) => mappings.push(mapping),
                Err(found) => found.iter().for_each(|problem| problems.push(problem.clone())),
            }
        }
        problems.into_result(mappings)
    }
}

/// The default of a field that a mapping leaves out. One that reads columns is only proposed: a column goes to a tool
/// because somebody said so, and the model may not have it.
fn implied(field: &mapping::Field) -> Option<Value> {
    let default = field.default.as_ref()?;
    let reads_columns = || {
        let fields = records::object! { field.key.as_str() => default };
        let columns = Program::compile(&fields).map(|program| program.columns());
        !matches!(columns, Ok(Columns::Named(names)) if names.is_empty())
    };
    (field.implicit || !reads_columns()).then(|| default.into())
}

/// The mapping's fields, and the defaults of those of the action that it leaves out.
fn with_defaults(fields: &Value, action: &kit::Action, mode: SyncMode) -> Value {
    let mut fields = fields.clone();
    if let Some(given) = fields.as_object_mut().filter(|given| !is_directive(given)) {
        // Whether a field is required may depend on the mode.
        if action.fields.iter().any(|field| matches!(field.required, Required::When(_))) {
            given.insert(reserved::SYNC_MODE.to_owned(), mode.name().into());
        }
        for field in &action.fields {
            if !given.contains_key(&field.key)
                && let Some(default) = implied(field)
            {
                given.insert(field.key.clone(), default);
            }
        }
    }
    fields
}

/// Whether a map is one directive: what fields it gives is known only when it runs.
fn is_directive(fields: &Map<String, Value>) -> bool {
    fields.keys().any(|key| key.starts_with('@'))
}

/// Reports required fields that the mapping lacks, and fields that the action does not have.
fn check_fields(problems: &mut Problems, part: &ProjectMapping, action: &kit::Action) {
    let Some(given) = part.form.fields.as_object().filter(|given| !is_directive(given)) else { return };
    for field in &action.fields {
        let is_due = field.required == Required::Always(true) && implied(field).is_none();
        if is_due && !given.contains_key(&field.key) {
            let about = if field.description.is_empty() { &field.label } else { &field.description };
            let message = format!("it is missing; the action `{}` needs it: {about}", action.slug);
            problems.push(part.origin.problem(&format!("fields.{}", field.key), message));
        }
    }
    let known: Vec<&str> = action.fields.iter().map(|field| field.key.as_str()).collect();
    for key in given.keys().filter(|key| !known.contains(&key.as_str()) && !reserved::is_reserved(key)) {
        let message = format!("the action `{}` has no field `{key}`; {}", action.slug, suggestion(key, &known));
        problems.push(part.origin.problem(&format!("fields.{key}"), message));
    }
}

fn report(problems: &mut Problems, part: &ProjectMapping, field: &str, found: Vec<mapping::Problem>) {
    for problem in found {
        let place = problem.place.trim_start_matches('/').replace('/', ".");
        let path = if place.is_empty() { field.to_owned() } else { format!("{field}.{place}") };
        problems.push(part.origin.problem(&path, problem.message));
    }
}

fn missing(noun: &str, name: &str) -> Problems {
    Problem::of_file(PROJECT_FILE, format!("there is no {noun} `{name}`")).into()
}
