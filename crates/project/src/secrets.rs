//! `${env:NAME}` and `${file:PATH}` in text values, and what must not be shown afterwards.

use std::path::Path;

use super::{
    located::{Content, Node},
    problem::{Problem, Problems},
};

/// Reads an environment variable. Handed in, so that only the entry of the program reads the environment.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Fields whose value is never a secret, though it may come from outside.
const PLAIN: [&str; 13] = [
    "host",
    "port",
    "database",
    "user",
    "path",
    "method",
    "schema",
    "mode",
    "name",
    "folder",
    "format",
    "enabled",
    // It stands in the address that a person opens to grant access.
    "client_id",
];

/// Parts of a field's name that tell a secret, though it stands in the file.
const TELLING: [&str; 8] = ["password", "secret", "token", "api_key", "apikey", "private", "authorization", "cookie"];
/// Ends of names that tell of a secret's place, not of the secret: `token_url`.
const PLACES: [&str; 3] = ["_url", "_header", "_path"];

/// Words that stand everywhere and are no one's secret.
const COMMON: [&str; 6] = ["true", "false", "null", "none", "localhost", "https"];

/// Shorter values are not hidden: they would be found everywhere.
const LENGTH_MIN: usize = 4;

/// Texts that are replaced in whatever is shown.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// The longest first, so that a secret within another does not leave the rest readable.
    texts: Vec<String>,
}

impl Secrets {
    pub fn add(&mut self, text: &str) {
        if text.len() < LENGTH_MIN || COMMON.contains(&text) || self.texts.iter().any(|known| known == text) {
            return;
        }
        self.texts.push(text.to_owned());
        // Inside JSON the text may stand escaped.
        let escaped = serde_json::Value::from(text).to_string();
        let escaped = escaped.trim_matches('"');
        if escaped != text {
            self.texts.push(escaped.to_owned());
        }
        if let Some(password) = password_of_url(text) {
            self.add(password);
        }
        self.texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// The text with every secret replaced.
    pub fn hide(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.texts {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), "[secret]");
            }
        }
        out
    }

    /// All of them, for whoever hides them elsewhere.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }
}

/// The password in `scheme://user:password@host`.
fn password_of_url(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let (user, _) = rest.split_once('@')?;
    user.split_once(':').map(|(_, password)| password).filter(|password| !password.is_empty())
}

/// What replacing works with.
pub(crate) struct Resolver<'a> {
    pub folder: &'a Path,
    pub variables: Variables<'a>,
    pub secrets: &'a mut Secrets,
    pub problems: &'a mut Problems,
}

impl Resolver<'_> {
    /// Replaces the references in every text value below `node`; keys stay as they are.
    pub(crate) fn resolve(&mut self, file: &Path, node: &mut Node) {
        self.resolve_below(file, node, "");
    }

    /// The same for a part that stands at `prefix` of its file.
    pub(crate) fn resolve_below(&mut self, file: &Path, node: &mut Node, prefix: &str) {
        self.walk(file, node, prefix, "");
    }

    fn walk(&mut self, file: &Path, node: &mut Node, path: &str, key: &str) {
        let place = node.place;
        match &mut node.content {
            Content::Text(text) => {
                if text.contains("${") {
                    match self.replaced(text, key) {
                        Ok(replaced) => *text = replaced,
                        Err(message) => self.problems.push(Problem::new(file, place, path, message)),
                    }
                }
                let name = key.to_lowercase().replace('-', "_");
                let is_place = PLACES.iter().any(|end| name.ends_with(end));
                if !is_place && TELLING.iter().any(|part| name.contains(part)) {
                    self.secrets.add(text);
                } else if let Some(password) = password_of_url(text) {
                    self.secrets.add(password);
                }
            }
            Content::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.walk(file, item, &format!("{path}[{index}]"), key);
                }
            }
            Content::Map(entries) => {
                for entry in entries {
                    let below = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                    self.walk(file, &mut entry.node, &below, &entry.key);
                }
            }
            Content::Null | Content::Flag(_) | Content::Number(_) => {}
        }
    }

    fn replaced(&mut self, text: &str, key: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, from) = rest.split_at(start);
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = &from[2..];
                continue;
            }
            out.push_str(before);
            let Some(end) = from.find('}') else {
                return Err("`${` has no `}`; write `$${` if you mean the characters themselves".to_owned());
            };
            let value = self.value_of(&from[2..end])?;
            if !PLAIN.contains(&key) {
                self.secrets.add(&value);
            }
            out.push_str(&value);
            rest = &from[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value_of(&self, reference: &str) -> Result<String, String> {
        match reference.split_once(':') {
            Some(("env", name)) => (self.variables)(name)
                .ok_or_else(|| format!("the environment variable `{name}` is not set; set it before running outflow")),
            Some(("file", path)) => {
                let full = self.folder.join(path);
                match std::fs::read_to_string(&full) {
                    Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
                    Err(error) => Err(format!("the file `{}` cannot be read: {error}", full.display())),
                }
            }
            _ => Err(format!(
                "`${{{reference}}}` is not understood; write `${{env:NAME}}` or `${{file:PATH}}`, or `$${{` for the \
                 characters themselves"
            )),
        }
    }
}
