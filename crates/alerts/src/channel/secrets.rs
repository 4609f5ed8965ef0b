//! The secrets in a channel's document: sealed where it is kept, hidden where it is shown, kept where a person leaves
//! them as they are.

use serde_json::Value;
use store::{ChannelRow, Keyring};

use super::ChannelForm;
use crate::Problem;

const SEALED: &str = "${sealed:";
const END: char = '}';
/// What stands in the place of a secret in whatever is handed out; handed back, it keeps the secret.
pub const KEPT: &str = "${kept}";

/// Where secrets stand, by the type of the channel. `*` is every key.
fn places(document: &Value) -> &'static [&'static [&'static str]] {
    match document.get("type").and_then(Value::as_str) {
        Some("email") => &[&["smtp", "password"]],
        Some("slack") => &[&["url"]],
        Some("webhook") => &[&["secret"], &["headers", "*"]],
        _ => &[],
    }
}

/// What a channel's secrets are bound to, so that they open nowhere else.
fn about(name: &str) -> String {
    format!("channel/{name}")
}

/// The document of a channel of that name as it is kept: each secret sealed. [`KEPT`] stands for the secret at the
/// same place of `stored`, if it would still go where it went.
///
/// # Errors
/// There is nothing to keep, it would go elsewhere, or a text is none that can be a secret.
pub fn seal_channel(
    name: &str,
    document: &Value,
    stored: Option<&Value>,
    keyring: &Keyring,
) -> Result<Value, Vec<Problem>> {
    let about = about(name);
    let mut problems = Vec::new();
    let mut sealed = document.clone();
    let stored = stored.filter(|stored| stored.get("type") == document.get("type"));
    each(&mut sealed, &mut |path, text| {
        if text.contains(SEALED) {
            let message = "what is sealed cannot be handed in; write the secret itself, or `${kept}` to keep it";
            problems.push(Problem::new(path.join("."), message));
        } else if text.starts_with("${env:") || text.starts_with("${file:") {
            let message = "variables and files are not read here; write the secret itself, which is kept encrypted";
            problems.push(Problem::new(path.join("."), message));
        } else if text == KEPT {
            let kept = stored.and_then(|stored| Some((stored, at(stored, path)?.as_str()?)));
            match kept {
                None => {
                    let message = "there is no secret to keep; write the secret itself";
                    problems.push(Problem::new(path.join("."), message));
                }
                Some((stored, _)) if !goes_the_same_way(document, stored, path) => {
                    let message = "it would be sent to another server than the one it was given for; write it anew";
                    problems.push(Problem::new(path.join("."), message));
                }
                Some((_, kept)) => kept.clone_into(text),
            }
        } else {
            *text = format!("{SEALED}{}{END}", keyring.seal(&about, text));
        }
    });
    if problems.is_empty() { Ok(sealed) } else { Err(problems) }
}

/// The form of a channel with its secrets opened.
///
/// # Errors
/// One of the secrets cannot be opened, or another version wrote the document: why, without a word of a secret.
pub fn open_channel(channel: &ChannelRow, keyring: &Keyring) -> Result<ChannelForm, String> {
    open_document(&channel.name, &channel.document, keyring)
}

/// The same of the document of a channel of that name.
///
/// # Errors
/// As for [`open_channel`].
pub fn open_document(name: &str, document: &Value, keyring: &Keyring) -> Result<ChannelForm, String> {
    let about = about(name);
    let mut result = Ok(());
    let mut opened = document.clone();
    each(&mut opened, &mut |_, text| {
        let Some(sealed) = text.strip_prefix(SEALED).and_then(|rest| rest.strip_suffix(END)) else { return };
        match keyring.open(&about, sealed) {
            Ok(plain) => *text = plain,
            Err(error) => result = Err(format!("the channel's secrets cannot be opened: {error}")),
        }
    });
    result?;
    serde_json::from_value(opened).map_err(|_| "this version cannot read the channel".to_owned())
}

/// The document for people to look at: [`KEPT`] in the place of each secret.
pub fn hide_channel(document: &Value) -> Value {
    let mut hidden = document.clone();
    each(&mut hidden, &mut |_, text| KEPT.clone_into(text));
    hidden
}

/// A secret must not be led to somebody else by changing where it goes and leaving it as it is.
fn goes_the_same_way(document: &Value, stored: &Value, path: &[&str]) -> bool {
    let same = |place: &[&str]| at(document, place) == at(stored, place);
    match path {
        ["smtp", "password"] => same(&["smtp", "host"]) && same(&["smtp", "port"]) && same(&["smtp", "security"]),
        ["headers", _] => {
            let origin = |document: &Value| document.get("url").and_then(Value::as_str).and_then(kit::url_origin);
            origin(document) == origin(stored)
        }
        // What is signed with a secret does not tell it.
        _ => true,
    }
}

fn at<'a>(document: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(document, |value, key| value.get(key))
}

fn each(document: &mut Value, visit: &mut dyn FnMut(&[&str], &mut String)) {
    for place in places(document) {
        match place {
            [outer, "*"] => {
                let Some(Value::Object(entries)) = document.get_mut(*outer) else { continue };
                for (key, value) in entries.iter_mut() {
                    if let Value::String(text) = value {
                        visit(&[outer, key], text);
                    }
                }
            }
            _ => {
                let found = place.iter().try_fold(&mut *document, |value, key| value.get_mut(*key));
                if let Some(Value::String(text)) = found {
                    visit(place, text);
                }
            }
        }
    }
}
