//! Bodies in the form `multipart/form-data` (RFC 7578).

use records::Value;

/// One part: its head without the ends of lines, and what it holds.
pub(super) struct Part {
    head: String,
    content: String,
}

/// The parts of a body that is an object: a part for each key, and for a list one for each item. An object with a
/// `filename` is a file; any other is a part of JSON.
pub(super) fn parts(body: &Value) -> Result<Vec<Part>, String> {
    let Value::Object(object) = body else {
        return Err(format!("`body` must be an object, not a {}", body.type_name()));
    };
    let mut parts = Vec::with_capacity(object.len());
    for (name, value) in object.iter() {
        match value {
            Value::Null => {}
            Value::Array(items) => {
                for item in items.iter().filter(|item| !item.is_null()) {
                    parts.push(part(name, item)?);
                }
            }
            value => parts.push(part(name, value)?),
        }
    }
    Ok(parts)
}

fn part(name: &str, value: &Value) -> Result<Part, String> {
    let disposition = format!("Content-Disposition: form-data; name=\"{}\"", escaped(name));
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    if let Some(filename) = text("filename") {
        let kind = text("content_type").unwrap_or("application/octet-stream");
        if kind.contains(['\r', '\n']) {
            return Err(format!("the `content_type` of `body.{name}` holds a line break"));
        }
        let content = text("content").ok_or_else(|| format!("the file `body.{name}` needs its `content` as text"))?;
        let head = format!("{disposition}; filename=\"{}\"\r\nContent-Type: {kind}", escaped(filename));
        return Ok(Part { head, content: content.to_owned() });
    }
    Ok(match value {
        Value::Object(_) | Value::Array(_) => {
            Part { head: format!("{disposition}\r\nContent-Type: application/json"), content: value.to_json() }
        }
        value => Part { head: disposition, content: super::plain(value) },
    })
}

/// As browsers write names: what would end a name or a line is encoded.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// What the boundary is made from, so that the same body has the same one and no content holds it.
pub(super) fn seed(parts: &[Part]) -> String {
    parts.iter().map(|part| format!("{}\r\n\r\n{}\r\n", part.head, part.content)).collect()
}

pub(super) fn written(parts: &[Part], boundary: &str) -> String {
    let mut text: String =
        parts.iter().map(|part| format!("--{boundary}\r\n{}\r\n\r\n{}\r\n", part.head, part.content)).collect();
    text.push_str(&format!("--{boundary}--\r\n"));
    text
}
