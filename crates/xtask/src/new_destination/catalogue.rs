//! A destination of the original as its catalogue lists it, written as our facts: the structure is there, the words
//! are left to a person.

use std::path::Path;

use serde_json::{Value, json};

use super::{NewDestinationError, UNWRITTEN, read as read_text};

/// A line of the catalogue.
pub(super) struct Original(Value);

/// What an action takes in a request where the original does not say.
const RECORDS_MAX: u64 = 1000;

/// What the model `customers` of the examples has.
const COLUMNS: [&str; 8] = ["id", "email", "first_name", "last_name", "phone", "company", "plan", "signed_up_at"];

/// Words that YAML takes for something other than text.
const NOT_TEXT: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Finds the destination in a catalogue, which holds one destination a line.
pub(super) fn read(path: &Path, slug: &str) -> Result<Original, NewDestinationError> {
    for (index, line) in read_text(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |message: String| {
            let catalogue = path.to_owned();
            NewDestinationError::Catalogue { catalogue, line: index + 1, message }
        };
        let listed: Value = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        if listed["slug"] == slug {
            if let Some(key) = ["settings", "actions"].into_iter().find(|key| !listed[*key].is_array()) {
                return Err(wrong(format!("`{slug}` has no list `{key}`")));
            }
            return Ok(Original(listed));
        }
    }
    Err(NewDestinationError::Unlisted { slug: slug.to_owned(), catalogue: path.to_owned() })
}

impl Original {
    /// The name without what the original adds to tell two kinds of destinations apart.
    pub(super) fn name(&self) -> String {
        let name = text(&self.0["name"]).trim();
        name.strip_suffix("(Actions)").unwrap_or(name).trim().to_owned()
    }

    /// The expression that signs in, where in the settings the secret stands, and how the simulator reads what was sent
    /// where that is not as a bearer token.
    pub(super) fn credentials(&self) -> (Option<String>, String, Option<&'static str>) {
        let of_kind = |secret: bool| {
            let mut settings = list(&self.0["settings"]).iter();
            settings.find(|setting| (setting["type"] == "password") == secret).map(|setting| text(&setting["key"]))
        };
        let secret = of_kind(true);
        match (self.scheme(), secret) {
            (scheme, _) if is_oauth(scheme) => (None, "/oauth/access_token".to_owned(), None),
            ("basic", _) => {
                let (user, word) = (of_kind(false).or(secret), secret.or_else(|| of_kind(false)));
                let auth = format!(
                    "Auth::Basic {{ username: text({}), password: text({}) }}",
                    json!(user.unwrap_or_default()),
                    json!(word.unwrap_or_default())
                );
                let sent = "request.basic().map(|(_, password)| password) != self.key";
                (Some(auth), format!("/{}", word.unwrap_or_default()), Some(sent))
            }
            (_, Some(secret)) => {
                (Some(format!("Auth::Bearer {{ token: text({}) }}", json!(secret))), format!("/{secret}"), None)
            }
            (_, None) => (None, "/key".to_owned(), None),
        }
    }

    fn scheme(&self) -> &str {
        text(&self.0["auth"]["scheme"])
    }

    /// The text of `destination.yaml`.
    pub(super) fn facts(&self) -> String {
        let mut yaml = Yaml::default();
        yaml.line(0, format!("slug: {}", scalar(text(&self.0["slug"]))));
        yaml.line(0, format!("name: {}", scalar(&self.name())));
        yaml.unwritten(0, &["description", "docs"]);
        yaml.line(0, "");
        if is_oauth(self.scheme()) {
            yaml.line(0, "auth:");
            yaml.line(2, "scheme: oauth2");
            yaml.unwritten(2, &["authorize_url", "token_url"]);
            yaml.line(2, "scopes: []");
            yaml.line(0, "");
        }
        let settings = list(&self.0["settings"]);
        yaml.line(0, if settings.is_empty() { "settings: []" } else { "settings:" });
        settings.iter().for_each(|setting| yaml.setting(setting));
        yaml.line(0, "");
        yaml.line(
            0,
            "# `records_max` is the original's; write what the tool documents where that is less, or more is wanted.",
        );
        yaml.line(0, "actions:");
        for (index, action) in list(&self.0["actions"]).iter().enumerate() {
            if index > 0 {
                yaml.line(0, "");
            }
            yaml.action(action);
        }
        yaml.line(0, "");
        yaml.line(0, "# Write what the tool documents: `requests_per_second`, `burst`, `concurrency`.");
        yaml.line(0, "limits: { concurrency: 4 }");
        yaml.0
    }

    /// The text of the first case: one record of the first action, with what it requires.
    pub(super) fn first_case(&self) -> String {
        let mut settings = json!({ "connection": { "endpoint": "{server}" } });
        if is_oauth(self.scheme()) {
            settings["oauth"] = json!({ "access_token": "secret-token-1" });
        }
        for setting in list(&self.0["settings"]).iter().filter(|setting| is_required(setting)) {
            settings[text(&setting["key"])] = sample(setting);
        }
        let action = self.first_action();
        let record = flow(&sample_of_fields(&action["fields"]));
        format!(
            "# It fails until `request`, `body` and `answer` are what the tool's own documentation says; then make mod.rs agree.\n\
             name: all records are accepted\n\
             settings: {}\n\
             action: {}\n\
             mode: {}\n\
             records:\n  - {record}\n\
             exchanges:\n  - request: {UNWRITTEN}\n    body: {{ \"records\": [{record}] }}\n    \
             answer: {{ status: 200, body: {{ accepted: 1 }} }}\n\
             outcomes: [delivered]\n",
            flow(&settings),
            scalar(text(&action["slug"])),
            first_mode(action),
        )
    }

    /// The text of `example.yaml`: a file of the destination and one of a mapping, with what is required.
    pub(super) fn example(&self, slug: &str) -> String {
        let mut yaml = Yaml::default();
        yaml.line(0, format!("# destinations/{slug}.yaml"));
        yaml.line(0, format!("type: {slug}"));
        let variable =
            |key: &str| format!("${{env:{}}}", format!("{slug}_{}", snake(key)).replace('-', "_").to_uppercase());
        if is_oauth(self.scheme()) {
            yaml.line(0, "oauth:");
            yaml.line(2, format!("access_token: {}", variable("access_token")));
        }
        for setting in list(&self.0["settings"]).iter().filter(|setting| is_required(setting)) {
            let key = text(&setting["key"]);
            let value = if setting["type"] == "password" { variable(key) } else { flow(&sample(setting)) };
            yaml.line(0, format!("{}: {value}", scalar(key)));
        }
        let action = self.first_action();
        yaml.line(0, "---");
        yaml.line(0, format!("# mappings/{slug}.yaml"));
        yaml.line(0, "model: customers");
        yaml.line(0, format!("destination: {slug}"));
        yaml.line(0, format!("action: {}", scalar(text(&action["slug"]))));
        yaml.line(0, format!("mode: {}", first_mode(action)));
        let mut fields = list(&action["fields"]).iter().filter(|field| is_required(field)).peekable();
        yaml.line(0, if fields.peek().is_some() { "fields:" } else { "fields: {}" });
        for field in fields {
            yaml.line(2, format!("{}: {}", scalar(text(&field["key"])), flow(&mapped(field))));
        }
        yaml.0
    }

    fn first_action(&self) -> &Value {
        list(&self.0["actions"]).first().unwrap_or(&Value::Null)
    }
}

/// Text that grows line by line.
#[derive(Default)]
struct Yaml(String);

impl Yaml {
    fn line(&mut self, indent: usize, text: impl AsRef<str>) {
        let text = text.as_ref();
        if !text.is_empty() {
            self.0.push_str(&" ".repeat(indent));
            self.0.push_str(text);
        }
        self.0.push('\n');
    }

    fn unwritten(&mut self, indent: usize, keys: &[&str]) {
        for key in keys {
            self.line(indent, format!("{key}: {UNWRITTEN}"));
        }
    }

    fn flags(&mut self, indent: usize, of: &Value, names: &[(&str, &str)]) {
        for (theirs, ours) in names {
            if of[*theirs] == true {
                self.line(indent, format!("{ours}: true"));
            }
        }
    }

    fn setting(&mut self, setting: &Value) {
        self.line(2, format!("- key: {}", scalar(text(&setting["key"]))));
        self.unwritten(4, &["label", "description"]);
        let kind = match text(&setting["type"]) {
            _ if setting["multiple"] == true => "list",
            "string" | "password" => "text",
            other => other,
        };
        self.line(4, format!("type: {kind}"));
        if setting["type"] == "password" {
            self.line(4, "secret: true");
        }
        self.flags(4, setting, &[("required", "required")]);
        if setting["required"].is_object() {
            self.line(4, format!("# required by the original if {}", flow(&conditions(&setting["required"]))));
        }
        let choices: Vec<Value> = list(&setting["choices"]).iter().map(|choice| value_of(choice).clone()).collect();
        if !choices.is_empty() {
            self.line(4, format!("choices: {}", flow(&Value::Array(choices))));
        }
        if let Some(default) = setting.get("default") {
            self.line(4, format!("default: {}", flow(default)));
        }
    }

    fn action(&mut self, action: &Value) {
        self.line(2, format!("- slug: {}", scalar(text(&action["slug"]))));
        self.unwritten(4, &["name", "description"]);
        self.line(4, format!("modes: [{}]", modes(action).join(", ")));
        let batching = &action["batching"];
        let records_max = match (&batching["supported"], batching["batchSizeDefault"].as_u64()) {
            (Value::Bool(true), Some(size)) if size > 0 => size,
            (Value::Bool(true), _) => RECORDS_MAX,
            _ => 1,
        };
        self.line(4, format!("batch: {{ records_max: {records_max}, bytes_max: 4000000 }}"));
        let hooks = list(&action["hooks"]);
        if !hooks.is_empty() {
            self.line(4, "hooks:");
        }
        for hook in hooks {
            self.line(6, format!("- slug: {}", scalar(text(&hook["hook"]))));
            self.unwritten(8, &["name", "description"]);
            self.fields(8, "inputs", list(&hook["inputFields"]), true);
            let outputs = hook["outputTypes"].as_object().into_iter().flatten();
            let outputs: Vec<_> = outputs
                .map(|(key, output)| {
                    let mut output = output.clone();
                    output["key"] = json!(key);
                    output
                })
                .collect();
            self.fields(8, "outputs", &outputs, true);
        }
        self.fields(4, "fields", list(&action["fields"]), true);
    }

    fn fields(&mut self, indent: usize, name: &str, fields: &[Value], described: bool) {
        self.line(indent, if fields.is_empty() { format!("{name}: []") } else { format!("{name}:") });
        for field in fields {
            self.field(indent + 2, field, described);
        }
    }

    fn field(&mut self, indent: usize, field: &Value, described: bool) {
        self.line(indent, format!("- key: {}", scalar(text(&field["key"]))));
        let within = indent + 2;
        self.unwritten(within, if described { &["label", "description"] } else { &["label"] });
        self.line(within, format!("type: {}", text(&field["type"])));
        if field["required"].is_object() {
            self.line(within, format!("required: {}", flow(&conditions(&field["required"]))));
        }
        self.flags(
            within,
            field,
            &[
                ("required", "required"),
                ("multiple", "multiple"),
                ("allowNull", "allow_null"),
                ("additionalProperties", "additional_properties"),
                ("dynamic", "dynamic"),
                ("unsafe_hidden", "hidden"),
            ],
        );
        for key in ["format", "category", "minimum", "maximum"] {
            if let Some(value) = field.get(key).filter(|value| !value.is_null()) {
                self.line(within, format!("{key}: {}", value.as_str().map_or_else(|| flow(value), scalar)));
            }
        }
        let choices: Vec<Value> = list(&field["choices"]).iter().map(choice).collect();
        if !choices.is_empty() {
            self.line(within, format!("choices: {}", flow(&Value::Array(choices))));
        }
        if field["depends_on"].is_object() {
            self.line(within, format!("depends_on: {}", flow(&conditions(&field["depends_on"]))));
        }
        if let Some(default) = field.get("default") {
            self.line(within, format!("default: {}", flow(default)));
        }
        if let Some(properties) = field["properties"].as_array() {
            self.fields(within, "properties", properties, false);
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is_oauth(scheme: &str) -> bool {
    scheme.starts_with("oauth")
}

fn is_required(field: &Value) -> bool {
    field["required"] == true
}

/// The value of a choice, which may stand alone or with a label.
fn value_of(choice: &Value) -> &Value {
    choice.get("value").unwrap_or(choice)
}

/// A choice of a field, without the original's words.
fn choice(choice: &Value) -> Value {
    match choice.get("label") {
        Some(label) if label != value_of(choice) => json!({ "value": value_of(choice), "label": UNWRITTEN }),
        _ => value_of(choice).clone(),
    }
}

/// Without modes of its own, an action acts on whatever changes.
fn modes(action: &Value) -> Vec<String> {
    let own: Vec<_> = list(&action["syncMode"]["choices"]).iter().map(|mode| text(value_of(mode)).to_owned()).collect();
    if own.is_empty() { ["add", "update", "upsert", "delete", "mirror"].map(str::to_owned).into() } else { own }
}

/// A mode for examples.
fn first_mode(action: &Value) -> String {
    let mut modes = modes(action);
    let upsert = modes.iter().position(|mode| mode == "upsert").unwrap_or(0);
    modes.swap_remove(upsert)
}

/// The mapping of a required field from the model of the examples, where its name says it.
fn mapped(field: &Value) -> Value {
    let name = snake(text(&field["key"]));
    let column = match name.as_str() {
        name if COLUMNS.contains(&name) => name,
        name if name.ends_with("id") => "id",
        _ if field["choices"].is_array() || field["type"] == "boolean" => return sample(field),
        _ => return json!(UNWRITTEN),
    };
    json!({ "@path": format!("$.properties.{column}") })
}

/// `apiKey` is `api_key`.
fn snake(key: &str) -> String {
    let mut snake = String::with_capacity(key.len() + 4);
    let mut after_small = false;
    for char in key.chars() {
        if char.is_ascii_uppercase() && after_small {
            snake.push('_');
        }
        after_small = char.is_ascii_lowercase() || char.is_ascii_digit();
        snake.push(char.to_ascii_lowercase());
    }
    snake
}

/// Conditions on other fields, in our words.
fn conditions(theirs: &Value) -> Value {
    let one = |condition: &Value| {
        let mut ours = json!({});
        for (from, to) in [("fieldKey", "field_key"), ("type", "type"), ("operator", "operator"), ("value", "value")] {
            if let Some(value) = condition.get(from) {
                ours[to] = value.clone();
            }
        }
        ours
    };
    let mut ours = json!({});
    if let Some(of) = theirs.get("match") {
        ours["match"] = of.clone();
    }
    ours["conditions"] = list(&theirs["conditions"]).iter().map(one).collect();
    ours
}

fn sample_of_fields(fields: &Value) -> Value {
    let required = list(fields).iter().filter(|field| is_required(field));
    Value::Object(required.map(|field| (text(&field["key"]).to_owned(), sample(field))).collect())
}

/// A value that fits a field or setting.
fn sample(field: &Value) -> Value {
    let one = match (list(&field["choices"]).first(), text(&field["type"]), text(&field["format"])) {
        (Some(choice), _, _) => value_of(choice).clone(),
        (_, "number" | "integer", _) => json!(1),
        (_, "boolean", _) => json!(true),
        (_, "object", _) => sample_of_fields(&field["properties"]),
        (_, "password", _) => json!("secret-word-1"),
        (_, _, "email") => json!("a@example.com"),
        (_, _, "uri" | "uri-reference") => json!("https://example.com/"),
        (_, _, "date") => json!("2026-01-01"),
        (_, _, "ipv4") => json!("192.0.2.1"),
        (_, _, "uuid") => json!("00000000-0000-4000-8000-000000000001"),
        (_, "datetime", _) | (_, _, "date-time") => json!("2026-01-01T00:00:00Z"),
        _ => json!(format!("{} 1", text(&field["key"]))),
    };
    if field["multiple"] == true { json!([one]) } else { one }
}

/// Text as YAML has it, in quotes where it could be taken for something else.
fn scalar(text: &str) -> String {
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphabetic());
    let plain = text.chars().all(|char| char.is_ascii_alphanumeric() || "_-. ()/&".contains(char));
    let is_text = !NOT_TEXT.contains(&text.to_ascii_lowercase().as_str()) && !text.ends_with(' ');
    if starts_well && plain && is_text { text.to_owned() } else { json!(text).to_string() }
}

/// JSON on one line with spaces, which is YAML too.
fn flow(value: &Value) -> String {
    let joined = |items: Vec<String>| items.join(", ");
    match value {
        Value::Array(items) => format!("[{}]", joined(items.iter().map(flow).collect())),
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{}: {}", json!(key), flow(value)));
            format!("{{ {} }}", joined(entries.collect()))
        }
        other => other.to_string(),
    }
}
