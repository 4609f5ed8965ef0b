//! Whether a request, a body or a value is as recorded. The order of keys, headers of the transport, ids that were
//! drawn and values that begin with `env-` (which the original takes from its host) are no difference.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use reqwest::Url;
use serde_json::Value;

use super::form::{Body, ExpectedRequest};
use crate::Request;

/// Headers that belong to the transport, or change from call to call.
const IGNORED_HEADERS: [&str; 11] = [
    "content-length",
    "host",
    "connection",
    "accept-encoding",
    "user-agent",
    "date",
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-security-token",
    "transfer-encoding",
    "content-encoding",
];

/// What differs between two values, each with its place; empty if nothing does.
pub(super) fn value_differences(expected: &Value, made: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(expected, made, "", &mut found);
    found
}

fn compare(expected: &Value, made: &Value, place: &str, found: &mut Vec<String>) {
    let at = || if place.is_empty() { String::new() } else { format!(" at `{place}`") };
    match (expected, made) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                match right.get(key) {
                    Some(other) => compare(value, other, &below(place, key), found),
                    None => found.push(format!("`{}` is missing; expected {value}", below(place, key))),
                }
            }
            for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                found.push(format!("`{}` is not expected: {value}", below(place, key)));
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            if left.len() != right.len() {
                return found.push(format!("{} entries{}, expected {}", right.len(), at(), left.len()));
            }
            for (index, (value, other)) in left.iter().zip(right).enumerate() {
                compare(value, other, &below(place, &index.to_string()), found);
            }
        }
        (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => {}
        (Value::String(left), Value::String(right)) if text_agrees(left, right) => {}
        _ if expected == made => {}
        _ => found.push(format!("{made}{}, expected {expected}", at())),
    }
}

fn below(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

fn text_agrees(expected: &str, made: &str) -> bool {
    if expected == made || (is_drawn(expected) && is_uuid(made)) || (is_drawn(made) && looks_random(expected)) {
        return true;
    }
    if let Some((before, _)) = expected.split_once("env-") {
        return made.starts_with(before);
    }
    // JSON within a text, as some forms carry it.
    let looks = |text: &str| text.starts_with(['{', '[']);
    if looks(expected) && looks(made) {
        return match (serde_json::from_str::<Value>(expected), serde_json::from_str::<Value>(made)) {
            (Ok(left), Ok(right)) => value_differences(&left, &right).is_empty(),
            _ => false,
        };
    }
    false
}

/// An id that was drawn when the case was recorded.
fn is_drawn(text: &str) -> bool {
    text.len() == 36 && text.starts_with("00000000-0000-4000-8000-")
}

/// What the original may have drawn with a generator of its own: letters and digits without sense. It stands against an
/// id that the connector drew, so it cannot hide a value that was made from the record.
fn looks_random(text: &str) -> bool {
    (10..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

/// What differs between a recorded request and the one that was made.
pub(super) fn request_differences(
    expected: &ExpectedRequest,
    request: &Request,
    url: &str,
    headers: &HeaderMap,
) -> Vec<String> {
    let mut found = Vec::new();
    if expected.method != request.method.as_str() {
        found.push(format!("the method is {}, expected {}", request.method, expected.method));
    }
    if !url_agrees(&expected.url, url) {
        found.push(format!("the URL is `{url}`, expected `{}`", expected.url));
    }
    header_differences(expected, headers, &mut found);
    found.extend(body_differences(&expected.body, request).into_iter().map(|text| format!("body: {text}")));
    found
}

fn header_differences(expected: &ExpectedRequest, headers: &HeaderMap, found: &mut Vec<String>) {
    let ignored = |name: &str, value: &str| {
        IGNORED_HEADERS.contains(&name)
            || (name == "accept" && value == "*/*")
            || (name == "authorization" && value.starts_with("AWS4-"))
    };
    for (name, value) in &expected.headers {
        let name = name.to_ascii_lowercase();
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if ignored(&name, &value) {
            continue;
        }
        match headers.get(&name).map(|made| String::from_utf8_lossy(made.as_bytes()).into_owned()) {
            Some(made) if header_agrees(&value, &made) => {}
            Some(made) => found.push(format!("the header `{name}` is `{made}`, expected `{value}`")),
            None => found.push(format!("the header `{name}` is missing; expected `{value}`")),
        }
    }
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let recorded = expected.headers.keys().any(|key| key.eq_ignore_ascii_case(name.as_str()));
        if !recorded && !ignored(name.as_str(), &value) {
            found.push(format!("the header `{name}: {value}` is not expected"));
        }
    }
}

fn header_agrees(expected: &str, made: &str) -> bool {
    if let (Some((before, _)), Some((made_before, _))) =
        (expected.split_once("boundary="), made.split_once("boundary="))
    {
        return before == made_before;
    }
    let plain = |text: &str| text.replace("; ", ";").to_ascii_lowercase();
    text_agrees(expected, made) || (expected.contains(';') && plain(expected) == plain(made))
}

/// The same origin and, decoded, the same path and the same pairs in the query.
pub(super) fn url_agrees(expected: &str, made: &str) -> bool {
    let (Ok(left), Ok(right)) = (Url::parse(expected), Url::parse(made)) else { return expected == made };
    let pairs =
        |url: &Url| url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect::<Vec<_>>();
    let (left_pairs, right_pairs) = (pairs(&left), pairs(&right));
    left.origin() == right.origin()
        && path_agrees(left.path(), right.path())
        && left_pairs.len() == right_pairs.len()
        && left_pairs.iter().zip(&right_pairs).all(|(a, b)| a.0 == b.0 && text_agrees(&a.1, &b.1))
}

fn path_agrees(expected: &str, made: &str) -> bool {
    let decoded = |path: &str| {
        // A path's `+` is itself.
        let as_query = path.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
        form_decoded(&as_query)
    };
    text_agrees(&decoded(expected), &decoded(made))
}

fn form_decoded(text: &str) -> String {
    let Ok(url) = Url::parse(&format!("http://host/?{text}")) else { return text.to_owned() };
    url.query_pairs().next().map(|(key, _)| key.into_owned()).unwrap_or_default()
}

fn body_differences(expected: &Body, request: &Request) -> Vec<String> {
    let unpacked = unpacked(request);
    let text = String::from_utf8_lossy(&unpacked);
    let json = |text: &str| serde_json::from_str::<Value>(text);
    match expected.kind.as_str() {
        "none" if unpacked.is_empty() => Vec::new(),
        "none" => vec![format!("`{text}`, expected none")],
        "json" => match json(&text) {
            Ok(made) => value_differences(&expected.value, &made),
            Err(_) => vec![format!("`{text}` is not JSON; expected {}", expected.value)],
        },
        "ndjson" => match text.lines().filter(|line| !line.is_empty()).map(json).collect::<Result<Vec<_>, _>>() {
            Ok(made) => value_differences(&expected.value, &Value::Array(made)),
            Err(_) => vec![format!("`{text}` is not lines of JSON")],
        },
        "form" => {
            let pairs = Url::parse(&format!("http://host/?{text}")).map(|url| {
                let pairs = url.query_pairs();
                pairs.map(|(key, value)| Value::from(vec![key.into_owned(), value.into_owned()])).collect::<Vec<_>>()
            });
            match pairs {
                Ok(pairs) => value_differences(&expected.value, &Value::Array(pairs)),
                Err(_) => vec![format!("`{text}` is not a form")],
            }
        }
        "base64" => {
            let made = STANDARD.encode(&request.body);
            if expected.value.as_str() == Some(made.as_str()) {
                Vec::new()
            } else {
                vec![format!("`{made}` in base 64, expected {}", expected.value)]
            }
        }
        _ => match expected.value.as_str() {
            Some(value) if text_agrees(value, &text) => Vec::new(),
            _ => vec![format!("{:?}, expected {}", text, expected.value)],
        },
    }
}

/// The body before it was packed.
fn unpacked(request: &Request) -> Vec<u8> {
    let packed = request.headers.iter().any(|(name, value)| name == "content-encoding" && value == "gzip");
    if packed {
        let mut out = Vec::new();
        if std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(request.body.as_ref()), &mut out).is_ok() {
            return out;
        }
    }
    request.body.to_vec()
}
