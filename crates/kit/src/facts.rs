//! The reader of `destination.yaml`: what a destination is called, what it needs, what it can do.

use std::fmt;

use mapping::SyncMode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Statuses;

/// The facts of one destination. Data only: what needs *if* or *for each* is code.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The name in project files: `http`.
    pub slug: String,
    /// The name for people: `HTTP`.
    pub name: String,
    /// One or two sentences for a catalogue page.
    #[serde(default)]
    pub description: String,
    /// A link to the tool's own documentation.
    #[serde(default)]
    pub docs: Option<String>,
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// What a mapping may set for itself below `options`, over the settings of the destination.
    #[serde(default)]
    pub options: Vec<Setting>,
    pub actions: Vec<Action>,
    #[serde(default)]
    pub limits: Limits,
    /// What an answer's status means: `401: credentials_refused`, `5xx: retry`.
    #[serde(default)]
    pub statuses: Statuses,
    /// How it is signed in to, where that is more than settings that the code reads.
    #[serde(default)]
    pub auth: AuthFacts,
    /// Whether it is called over the network; if so, it has the settings of a connection.
    #[serde(default = "yes")]
    pub network: bool,
    /// Recorded cases of the original that this does better than, so that they cannot agree.
    #[serde(default)]
    pub differences: Vec<Difference>,
}

fn yes() -> bool {
    true
}

/// How a destination is signed in to.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthFacts {
    pub scheme: AuthScheme,
    /// Where a person grants access. For `oauth2`.
    pub authorize_url: Option<String>,
    /// Where a code or a refresh token is turned into a token. For `oauth2`.
    pub token_url: Option<String>,
    /// What is asked for. For `oauth2`.
    pub scopes: Vec<String>,
    /// Whether the client's id and secret stand in the body of a token request; otherwise they go as basic
    /// authentication.
    pub client_in_body: bool,
    /// Further parameters of the page where access is granted.
    pub authorize_parameters: std::collections::BTreeMap<String, String>,
}

/// The kinds of signing in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthScheme {
    /// With settings that the destination reads itself, if any.
    #[default]
    Custom,
    /// With a token that a person grants, or one that was made in the tool.
    Oauth2,
}

/// A recorded case that this does not agree with, on purpose.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The id of the case.
    pub case: String,
    /// What the original gets wrong, and what is done instead.
    pub reason: String,
}

/// Something an action does when a mapping is saved, such as making a list in the tool.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// `retlOnMappingSave` or `onMappingSave`.
    pub slug: String,
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(deserialize_with = "mapping::fields_of_map_or_list")]
    pub inputs: Vec<mapping::Field>,
    /// What it gives, kept in the mapping.
    #[serde(deserialize_with = "mapping::fields_of_map_or_list")]
    pub outputs: Vec<mapping::Field>,
}

/// One setting of a destination.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    pub key: String,
    #[serde(rename = "type", default)]
    pub kind: SettingKind,
    pub label: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub required: bool,
    /// Never shown, and removed from whatever is recorded.
    #[serde(default)]
    pub secret: bool,
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Value>")]
    pub default: Option<serde_json::Value>,
    /// The only values allowed.
    #[serde(default)]
    pub choices: Vec<String>,
    /// The keys of an `object`. None listed: any.
    #[serde(default)]
    pub properties: Vec<Setting>,
}

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettingKind {
    #[default]
    Text,
    Url,
    Integer,
    Number,
    Boolean,
    Object,
    List,
    /// Whatever JSON, such as a template of the mapping language.
    Any,
}

/// One thing a destination can do.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    pub slug: String,
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(deserialize_with = "mapping::fields_of_map_or_list")]
    pub fields: Vec<mapping::Field>,
    pub modes: Vec<SyncMode>,
    #[serde(default)]
    pub batch: BatchLimits,
    /// All records of a sync become visible together when it is finished, or none.
    #[serde(default)]
    pub whole: bool,
    #[serde(default)]
    pub hooks: Vec<Hook>,
    /// There for mappings that are brought over; another action does it better.
    #[serde(default)]
    pub deprecated: bool,
}

/// How much one call of an action takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchLimits {
    pub records_max: usize,
    /// Counted as compact JSON of the payloads.
    pub bytes_max: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { records_max: 1, bytes_max: 4 * 1024 * 1024 }
    }
}

/// How fast an account of a destination may be called, all syncs together.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// None: no limit but what the destination itself answers.
    pub requests_per_second: Option<f64>,
    /// Requests that may be made at once after a pause.
    pub burst: u32,
    /// Requests under way at one time.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_per_second: None, burst: 1, concurrency: 4 }
    }
}

/// Facts that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the facts are wrong{}: {message}", place(*.line, *.column))]
pub struct FactsError {
    pub message: String,
    /// Counted from 1, where known.
    pub line: Option<u64>,
    pub column: Option<u64>,
}

fn place(line: Option<u64>, column: Option<u64>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!(" at line {line}, column {column}"),
        (Some(line), None) => format!(" at line {line}"),
        _ => String::new(),
    }
}

/// All that is wrong with the settings of a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct SettingsError {
    pub problems: Vec<SettingsProblem>,
}

/// One thing that is wrong with a setting, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsProblem {
    /// The path of the setting: `auth.token`. Empty for the settings as a whole.
    pub field: String,
    pub message: String,
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "`{}`: {}", self.field, self.message) }
    }
}

impl SettingsError {
    /// One problem with one setting.
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { problems: vec![SettingsProblem { field: field.into(), message: message.into() }] }
    }
}

impl Facts {
    /// Reads the facts of a destination.
    ///
    /// # Errors
    /// The text is not YAML, has an unknown key or a wrong type, or contradicts itself.
    pub fn parse(yaml: &str) -> Result<Self, FactsError> {
        let mut facts: Self = serde_saphyr::from_str(yaml).map_err(|error| {
            let location = error.location();
            FactsError {
                message: without_place(&error.to_string()),
                line: location.map(|location| location.line()),
                column: location.map(|location| location.column()),
            }
        })?;
        if let Some(message) = facts.contradiction() {
            return Err(FactsError { message, line: None, column: None });
        }
        facts.settings.extend(crate::connection::settings_of(&facts));
        Ok(facts)
    }

    /// The action of that slug.
    pub fn action(&self, slug: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.slug == slug)
    }

    /// The JSON Schema of `destination.yaml`, for editors.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// Checks the settings of a destination: no unknown key, nothing required missing, each of its type.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check_settings(&self, settings: &serde_json::Value) -> Result<(), SettingsError> {
        check(&self.settings, settings)
    }

    /// Checks what a mapping sets below `options`, as [`Facts::check_settings`] does.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check_options(&self, options: &serde_json::Value) -> Result<(), SettingsError> {
        check(&self.options, options)
    }

    /// The values of the secret settings, for redaction.
    pub fn secrets(&self, settings: &serde_json::Value) -> Vec<String> {
        let mut found = Vec::new();
        collect_secrets(&self.settings, settings, &mut found);
        found
    }

    fn contradiction(&self) -> Option<String> {
        if let Some(own) = self.settings.iter().find(|own| matches!(own.key.as_str(), "connection" | "oauth")) {
            return Some(format!("the setting `{}` is there for every destination", own.key));
        }
        if self.slug.is_empty() || !self.slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Some(format!("the slug `{}` may hold lower-case letters, digits and `-` only", self.slug));
        }
        if self.actions.is_empty() {
            return Some("there must be at least one action".to_owned());
        }
        for (index, action) in self.actions.iter().enumerate() {
            if self.actions[..index].iter().any(|earlier| earlier.slug == action.slug) {
                return Some(format!("two actions are called `{}`", action.slug));
            }
            if action.modes.is_empty() {
                return Some(format!("action `{}` needs at least one of `modes`", action.slug));
            }
            if action.batch.records_max == 0 || action.batch.bytes_max == 0 {
                return Some(format!("action `{}`: `batch` limits must be at least 1", action.slug));
            }
        }
        if self.limits.concurrency == 0 {
            return Some("`limits.concurrency` must be at least 1".to_owned());
        }
        if self.limits.requests_per_second.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return Some("`limits.requests_per_second` must be more than 0".to_owned());
        }
        None
    }
}

/// The reader's sentence without the place in front of it, which stands in fields of its own, and the snippet below.
fn without_place(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    match line.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((place, message)) if place.chars().all(|c| c.is_ascii_digit() || " column".contains(c)) => {
            message.to_owned()
        }
        _ => line.to_owned(),
    }
}

fn check(settings: &[Setting], value: &serde_json::Value) -> Result<(), SettingsError> {
    let mut problems = Vec::new();
    check_object(settings, value, "", &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(SettingsError { problems }) }
}

fn check_object(settings: &[Setting], value: &serde_json::Value, path: &str, problems: &mut Vec<SettingsProblem>) {
    let empty = serde_json::Map::new();
    let object = match value {
        serde_json::Value::Object(object) => object,
        serde_json::Value::Null => &empty,
        other => {
            problems.push(SettingsProblem {
                field: path.to_owned(),
                message: format!("must be an object of settings, not {}", described(other)),
            });
            return;
        }
    };
    let field = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for key in object.keys() {
        if !settings.iter().any(|setting| setting.key == *key) {
            let known: Vec<_> = settings.iter().map(|setting| format!("`{}`", setting.key)).collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
            problems
                .push(SettingsProblem { field: field(key), message: format!("no such setting; known here: {known}") });
        }
    }
    for setting in settings {
        match object.get(&setting.key) {
            None | Some(serde_json::Value::Null) if setting.required && setting.default.is_none() => {
                problems.push(SettingsProblem { field: field(&setting.key), message: missing(setting) });
            }
            None | Some(serde_json::Value::Null) => {}
            Some(value) => check_value(setting, value, &field(&setting.key), problems),
        }
    }
}

fn missing(setting: &Setting) -> String {
    let what = if setting.description.is_empty() { &setting.label } else { &setting.description };
    format!("is required ({})", what.trim_end().trim_end_matches('.'))
}

fn check_value(setting: &Setting, value: &serde_json::Value, path: &str, problems: &mut Vec<SettingsProblem>) {
    let right = match setting.kind {
        SettingKind::Text | SettingKind::Url => value.is_string(),
        SettingKind::Integer => value.is_i64() || value.is_u64(),
        SettingKind::Number => value.is_number(),
        SettingKind::Boolean => value.is_boolean(),
        SettingKind::List => value.is_array(),
        SettingKind::Object if setting.properties.is_empty() => value.is_object(),
        SettingKind::Object => return check_object(&setting.properties, value, path, problems),
        SettingKind::Any => true,
    };
    let mut problem = |message: String| problems.push(SettingsProblem { field: path.to_owned(), message });
    if !right {
        let shown = if setting.secret { described(value).to_owned() } else { shown(value) };
        return problem(format!("must be {}, not {shown}", setting.kind.described()));
    }
    if let Some(text) = value.as_str() {
        if setting.required && text.is_empty() {
            return problem(missing(setting));
        }
        if !setting.choices.is_empty() && !setting.choices.iter().any(|choice| choice == text) {
            let choices: Vec<_> = setting.choices.iter().map(|choice| format!("`{choice}`")).collect();
            return problem(format!("must be one of {}, not `{text}`", choices.join(", ")));
        }
        if setting.kind == SettingKind::Url {
            let scheme = reqwest::Url::parse(text).ok().map(|url| url.scheme().to_owned());
            if !matches!(scheme.as_deref(), Some("http" | "https")) {
                problem("must be a URL that begins with `https://` or `http://`".to_owned());
            }
        }
    }
}

fn collect_secrets(settings: &[Setting], value: &serde_json::Value, found: &mut Vec<String>) {
    for setting in settings {
        let Some(value) = value.get(&setting.key) else { continue };
        if setting.secret {
            every_text(value, found);
        } else if !setting.properties.is_empty() {
            collect_secrets(&setting.properties, value, found);
        }
    }
}

fn every_text(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) if !text.is_empty() => found.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| every_text(item, found)),
        serde_json::Value::Object(map) => map.values().for_each(|item| every_text(item, found)),
        _ => {}
    }
}

impl SettingKind {
    fn described(self) -> &'static str {
        match self {
            SettingKind::Text => "text",
            SettingKind::Url => "a URL",
            SettingKind::Integer => "a whole number",
            SettingKind::Number => "a number",
            SettingKind::Boolean => "true or false",
            SettingKind::Object => "an object",
            SettingKind::List => "a list",
            SettingKind::Any => "any value",
        }
    }
}

fn described(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "nothing",
        serde_json::Value::Bool(_) => "true or false",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "text",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "an object",
    }
}

fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => format!("`{value}`"),
        other => described(other).to_owned(),
    }
}
