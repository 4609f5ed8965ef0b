//! The JSON Schema of project files: what `outflow schema` prints, editors use and `check` follows.

use std::{str::FromStr, sync::Arc};

use kit::{Facts, Setting, SettingKind};
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    checking,
    connectors::Connectors,
    form::{MappingForm, ModelForm, ProjectForm},
    problem::suggestion,
};

/// The kinds of parts that have a file of their own, or stand below their section in `outflow.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Source,
    Model,
    Destination,
    Mapping,
}

impl Part {
    pub const ALL: [Part; 4] = [Part::Source, Part::Model, Part::Destination, Part::Mapping];

    pub fn noun(self) -> &'static str {
        match self {
            Part::Source => "source",
            Part::Model => "model",
            Part::Destination => "destination",
            Part::Mapping => "mapping",
        }
    }

    /// What sealed texts of a part are bound to: `destination/crm`.
    pub(crate) fn about(self, name: &str) -> String {
        format!("{}/{name}", self.noun())
    }

    /// The name of its section and of its folder.
    pub fn section(self) -> &'static str {
        match self {
            Part::Source => "sources",
            Part::Model => "models",
            Part::Destination => "destinations",
            Part::Mapping => "mappings",
        }
    }
}

impl Part {
    /// Keys of a document whose text is taken as it is written: no reference counts in it, and nothing is secret.
    pub(crate) fn verbatim(self) -> &'static [&'static str] {
        if self == Part::Model { &["query"] } else { &[] }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(noun: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::noun);
        Self::ALL.into_iter().find(|part| part.noun() == noun).ok_or_else(|| suggestion(noun, &known))
    }
}

/// The forms of all definitions, with the settings of the connectors that the program has. Made once.
#[derive(Debug, Clone)]
pub struct Forms {
    connectors: Arc<dyn Connectors>,
    schema: Arc<Value>,
}

impl Forms {
    pub fn new(connectors: Arc<dyn Connectors>) -> Self {
        let schema = Arc::new(project_schema(connectors.as_ref()));
        Self { connectors, schema }
    }

    pub fn connectors(&self) -> &Arc<dyn Connectors> {
        &self.connectors
    }

    /// The schema of `outflow.yaml`; the parts stand in `$defs` under their nouns.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The schema of one part, on its own, for its own file.
    pub fn part_schema(&self, part: Part) -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": format!("Outflow {}", part.noun()),
            "$ref": format!("#/$defs/{}", part.noun()),
            "$defs": self.schema["$defs"],
        })
    }
}

fn project_schema(connectors: &dyn Connectors) -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let mut generator = settings.into_generator();
    generator.subschema_for::<ModelForm>();
    generator.subschema_for::<MappingForm>();
    let mut schema = generator.into_root_schema_for::<ProjectForm>().to_value();
    schema["title"] = json!("Outflow project");
    schema["required"] = json!(["version"]);
    let sources: Vec<Value> = connectors
        .source_types()
        .iter()
        .map(|slug| source_branch(slug, connectors.source_settings_schema(slug)))
        .collect();
    let facts = connectors.destination_facts();
    let destinations: Vec<Value> = facts.iter().map(destination_branch).collect();
    schema["$defs"]["source"] = json!({ "description": "A connection to a warehouse or database.", "oneOf": sources });
    schema["$defs"]["destination"] = json!({ "description": "A connection to a tool.", "oneOf": destinations });
    schema
}

fn source_branch(slug: &str, mut settings: Value) -> Value {
    let mut properties = json!({
        "type": { "description": "The kind of warehouse.", "const": slug },
        "description": { "description": "What it is, for people.", "type": "string" },
    });
    let of_all = json!({
        "extracts_max": {
            "description": "How many extracts a server runs on it at a time; others wait for their turn. Default: 4.",
            "type": "integer",
            "minimum": 1,
            "maximum": 1000,
        },
        "outcomes_table": {
            "description": "Where a server writes the summary and the record outcomes of each sync: `schema.name` or \
                            `name`, with which the names of the tables begin. Default: nowhere.",
            "type": "string",
            "format": checking::TABLE,
            "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,39}(\\.[A-Za-z_][A-Za-z0-9_]{0,39})?$",
        },
    });
    if let (Some(all), Some(own), Value::Object(mut of_all)) =
        (properties.as_object_mut(), settings["properties"].as_object_mut(), of_all)
    {
        all.append(own);
        all.append(&mut of_all);
    }
    let mut required = vec![json!("type")];
    required.extend(settings["required"].as_array().cloned().unwrap_or_default());
    let mut branch = json!({
        "title": slug,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    // A settings schema is whole in itself; its definitions are put where they are used.
    if let Some(definitions) = settings.get("$defs").cloned() {
        inline(&mut branch, &definitions);
    }
    branch
}

/// Replaces references into `definitions` by what they stand for.
fn inline(schema: &mut Value, definitions: &Value) {
    match schema {
        Value::Object(object) => {
            let name = object.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
            if let Some(Value::Object(definition)) = name.and_then(|name| definitions.get(name)) {
                let definition = definition.clone();
                object.remove("$ref");
                for (key, value) in definition {
                    object.entry(key).or_insert(value);
                }
            }
            for value in object.values_mut() {
                inline(value, definitions);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| inline(item, definitions)),
        _ => {}
    }
}

fn destination_branch(facts: &Facts) -> Value {
    let mut branch = object_schema(&facts.settings);
    if branch["properties"].get("options").is_some() {
        branch["properties"]["options"] = object_schema(&facts.options);
    }
    let own = branch["properties"].take();
    let mut properties = json!({
        "type": { "description": one_line(&facts.description), "const": facts.slug },
        "enabled": { "description": "Whether mappings may send to it. Default: true.", "type": "boolean" },
        "description": { "description": "What it is, for people.", "type": "string" },
    });
    if let (Some(all), Value::Object(mut own)) = (properties.as_object_mut(), own) {
        all.append(&mut own);
    }
    branch["title"] = json!(facts.name);
    branch["properties"] = properties;
    let mut required = vec![json!("type")];
    required.extend(branch["required"].as_array().cloned().unwrap_or_default());
    branch["required"] = Value::Array(required);
    branch
}

/// The schema of a map of settings as a destination's facts list them.
fn object_schema(settings: &[Setting]) -> Value {
    let properties: serde_json::Map<String, Value> =
        settings.iter().map(|setting| (setting.key.clone(), setting_schema(setting))).collect();
    let required: Vec<&str> = settings
        .iter()
        .filter(|setting| setting.required && setting.default.is_none())
        .map(|setting| setting.key.as_str())
        .collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn setting_schema(setting: &Setting) -> Value {
    let mut schema = match setting.kind {
        SettingKind::Text if !setting.choices.is_empty() => json!({ "type": "string", "enum": setting.choices }),
        SettingKind::Text => json!({ "type": "string" }),
        SettingKind::Url => json!({ "type": "string", "format": "uri" }),
        SettingKind::Integer => json!({ "type": "integer" }),
        SettingKind::Number => json!({ "type": "number" }),
        SettingKind::Boolean => json!({ "type": "boolean" }),
        SettingKind::Object if setting.properties.is_empty() => json!({ "type": "object" }),
        SettingKind::Object => object_schema(&setting.properties),
        SettingKind::List => json!({ "type": "array" }),
        SettingKind::Any => json!({}),
    };
    let about = if setting.description.is_empty() { &setting.label } else { &setting.description };
    schema["description"] = json!(one_line(about));
    if let Some(default) = &setting.default {
        schema["default"] = default.clone();
    }
    if setting.secret {
        schema["writeOnly"] = json!(true);
    }
    schema
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
