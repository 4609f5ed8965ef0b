//! The HTTP destination: a request builder for what has no folder of its own.

mod multipart;
mod options;
mod path;
mod results;
mod settings;
mod simulator;

use std::sync::Arc;

use ::http::Method;
use async_trait::async_trait;
use bytes::Bytes;
use kit::{
    Batch, DeliveryError, Destination, Facts, Payload, Request, SettingsError, Wire, WireSettings, form_encoded,
};
use records::{Outcome, Value};

use options::{Format, Options};
use settings::Target;
pub(crate) use simulator::simulator;

#[derive(Debug)]
struct Http {
    facts: Facts,
    target: Target,
    wire: WireSettings,
    options: Options,
}

/// Makes the destination. Settings and options were checked against the facts.
pub(crate) fn connect(
    mut facts: Facts,
    settings: &serde_json::Value,
    options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let own = settings.get("options").unwrap_or(&serde_json::Value::Null);
    facts.check_options(own)?;
    let options = Options::read(Some(own), options)?;
    let target = settings::target(settings)?;
    let wire = settings::wire(&facts, settings, &target)?;
    facts.limits = wire.limits;
    if let Some(batch) = &options.batch {
        for action in &mut facts.actions {
            action.batch.records_max = batch.records_max;
            action.batch.bytes_max = batch.bytes_max;
        }
    }
    Ok(Arc::new(Http { facts, target, wire, options }))
}

/// What the records of one request agree in.
struct Head {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
}

#[async_trait]
impl Destination for Http {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        let (method, url) = match (&self.target.check_url, &self.target.base_url) {
            (Some(check), _) => (Method::GET, self.absolute(check)),
            (None, Some(base)) => (Method::HEAD, Ok(base.clone())),
            (None, None) => return Ok("nothing to check without `base_url` or `check_url`".to_owned()),
        };
        let url = url.map_err(|message| DeliveryError::Settings { message })?;
        let mut request = Request::new(method, url.clone());
        request.headers.clone_from(&self.target.headers);
        let answer = wire.send(request).await?;
        match answer.failure(&self.options.statuses) {
            None => Ok(format!("{url} answered with status {}", answer.status)),
            Some(refused @ DeliveryError::CredentialsRefused { .. }) => Err(refused),
            // Without a URL made for it, any other answer shows only that somebody is there.
            Some(_) if self.target.check_url.is_none() => {
                Ok(format!("{url} answered with status {}; set `check_url` to check the credentials", answer.status))
            }
            Some(failure) => Err(failure),
        }
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let Some(first) = batch.records.first() else { return Ok(Vec::new()) };
        let refuse = |code: &str, message: String| Ok(vec![Outcome::rejected(code, message); batch.records.len()]);
        let mut head = match self.head(first) {
            Ok(head) => head,
            Err(message) => return refuse("bad_request", message),
        };
        let body = match self.body(batch, &mut head, wire) {
            Ok(body) => body,
            Err(message) => return refuse("bad_body", message),
        };
        let Head { method, url, headers } = head;
        let mut request = Request::new(method, url).body(body);
        request.headers = headers;
        if self.options.gzip && !request.body.is_empty() {
            request = request.gzip();
        }
        let answer = wire.send(request).await;
        let answer = match answer {
            // The credentials were good when the sync began, so it is the record's own URL or header.
            Err(DeliveryError::Settings { message }) => return refuse("bad_request", message),
            other => other?,
        };
        results::outcomes(&self.options, &batch.records, &answer)
    }

    fn group(&self, _action: &str, payload: &Payload) -> String {
        if self.options.batch.is_none() {
            return String::new();
        }
        let mut group = String::new();
        for key in ["method", "url", "headers", "query"] {
            if let Some(value) = payload.fields.get(key) {
                value.write_json(&mut group);
            }
            group.push('\n');
        }
        group
    }
}

impl Http {
    fn head(&self, payload: &Payload) -> Result<Head, String> {
        let text = |key: &str| payload.fields.get(key).and_then(Value::as_str);
        let method = text("method").unwrap_or("POST").to_ascii_uppercase();
        let method = Method::try_from(method.as_str()).map_err(|_| format!("`{method}` is not a method"))?;
        let mut url = self.absolute(text("url").unwrap_or_default())?;
        let query = pairs(payload.fields.get("query"), "query")?;
        if !query.is_empty() {
            let encoded = form_encoded(query.iter().map(|(key, value)| (key.as_str(), value.as_str())));
            let (before, fragment) = url.split_once('#').map_or((url.as_str(), ""), |(before, rest)| (before, rest));
            let mark = if before.contains('?') { '&' } else { '?' };
            let tail = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
            url = format!("{before}{mark}{encoded}{tail}");
        }
        let own = pairs(payload.fields.get("headers"), "headers")?;
        let mut headers: Vec<(String, String)> = self
            .target
            .headers
            .iter()
            .filter(|(name, _)| !own.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)))
            .cloned()
            .collect();
        headers.extend(own);
        Ok(Head { method, url, headers })
    }

    /// The URL, which must not lead away from the base URL: the credentials would go with it.
    fn absolute(&self, url: &str) -> Result<String, String> {
        let is_absolute = url.starts_with("https://") || url.starts_with("http://");
        match &self.target.base_url {
            Some(base) if is_absolute => {
                if origin(url).is_some() && origin(url) == origin(base) {
                    Ok(url.to_owned())
                } else {
                    Err(format!("`{url}` leads elsewhere than the base URL `{base}`"))
                }
            }
            Some(base) if url.is_empty() => Ok(base.clone()),
            Some(base) if url.starts_with('?') => Ok(format!("{base}{url}")),
            Some(base) => Ok(format!("{base}/{}", url.trim_start_matches('/'))),
            None if is_absolute => Ok(url.to_owned()),
            None => Err(format!("`{url}` is not absolute, and the destination has no `base_url`")),
        }
    }

    fn body(&self, batch: &Batch, head: &mut Head, wire: &Wire) -> Result<Bytes, String> {
        let mut kind = match self.options.format {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Form => "application/x-www-form-urlencoded",
            Format::Multipart => "multipart/form-data",
        };
        let own_kind: String;
        let body = |payload: &Payload| payload.fields.get("body").cloned();
        let mut text = String::new();
        if self.options.batch.is_none() {
            match batch.records.first().and_then(body) {
                None | Some(Value::Null) => kind = "",
                Some(value) if self.options.format == Format::Form => {
                    let pairs = pairs(Some(&value), "body")?;
                    text = form_encoded(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())));
                }
                Some(value) if self.options.format == Format::Multipart => {
                    let parts = multipart::parts(&value)?;
                    let boundary = wire.uuid(&multipart::seed(&parts));
                    text = multipart::written(&parts, &boundary);
                    // Whatever the record says of its type, without the boundary it could not be read.
                    head.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
                    own_kind = format!("{kind}; boundary={boundary}");
                    kind = &own_kind;
                }
                Some(value) => value.write_json(&mut text),
            }
        } else if let Some(program) = &self.options.body {
            let bodies = batch.records.iter().map(|payload| body(payload).unwrap_or_default()).collect();
            let mut event = records::Object::new();
            event.insert("records", Value::Array(bodies));
            let event = Value::Object(event);
            let whole = program
                .evaluate(&mapping::Event::of_value(&event))
                .map_err(|error| format!("the batch's body cannot be made: {error}"))?;
            whole.unwrap_or_default().write_json(&mut text);
        } else {
            let lines = self.options.format == Format::Ndjson;
            for (index, payload) in batch.records.iter().enumerate() {
                if !lines {
                    text.push(if index == 0 { '[' } else { ',' });
                }
                payload.fields.get("body").unwrap_or(&Value::Null).write_json(&mut text);
                if lines {
                    text.push('\n');
                }
            }
            if !lines {
                text.push(']');
            }
        }
        if !kind.is_empty() && !head.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            head.headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        Ok(text.into())
    }
}

fn origin(url: &str) -> Option<(String, String, u16)> {
    kit::url_origin(url)
}

/// The pairs of an object of texts, numbers and booleans. Nulls are left out, lists repeat the key.
fn pairs(value: Option<&Value>, field: &str) -> Result<Vec<(String, String)>, String> {
    let object = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(object)) => object,
        Some(other) => return Err(format!("`{field}` must be an object, not a {}", other.type_name())),
    };
    let mut pairs = Vec::with_capacity(object.len());
    for (key, value) in object.iter() {
        match value {
            Value::Null => {}
            Value::Array(items) => pairs.extend(items.iter().map(|item| (key.to_owned(), plain(item)))),
            other => pairs.push((key.to_owned(), plain(other))),
        }
    }
    Ok(pairs)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_json(), str::to_owned)
}
