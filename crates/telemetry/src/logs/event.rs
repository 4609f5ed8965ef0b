//! One event of the log, taken out of what `tracing` hands over.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use tracing::field::{Field, Visit};

/// Longer texts are cut.
const TEXT_BYTES_MAX: usize = 8 * 1024;
const FIELDS_MAX: usize = 32;

/// One event of the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogEvent {
    /// Its place in a ring, counted from 1; 0 elsewhere.
    #[serde(skip_serializing_if = "is_zero")]
    pub number: u64,
    pub time: Timestamp,
    #[serde(serialize_with = "level")]
    pub level: tracing::Level,
    /// The part of the program it comes from: `sync::load`.
    pub target: String,
    pub message: String,
    #[serde(flatten)]
    pub context: Context,
    /// What else it tells.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "map")]
    pub fields: Vec<(&'static str, Value)>,
}

/// What an event belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Context {
    fn place(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "sync" => Some(&mut self.sync),
            "mapping" => Some(&mut self.mapping),
            "worker" => Some(&mut self.worker),
            "request_id" => Some(&mut self.request_id),
            _ => None,
        }
    }

    /// Takes from a wider context what this one does not say.
    pub(super) fn fill_from(&mut self, wider: &Context) {
        for name in ["sync", "mapping", "worker", "request_id"] {
            let mut wider = wider.clone();
            if let (Some(place), Some(value)) = (self.place(name), wider.place(name))
                && place.is_none()
            {
                *place = value.take();
            }
        }
    }
}

impl LogEvent {
    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let context = [&self.context.sync, &self.context.mapping, &self.context.worker, &self.context.request_id];
        let context: usize = context.into_iter().flatten().map(String::len).sum();
        let fields: usize =
            self.fields.iter().map(|(_, value)| size_of::<(&str, Value)>() + value.as_str().map_or(0, str::len)).sum();
        size_of::<Self>() + self.target.len() + self.message.len() + context + fields
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn level<S: Serializer>(level: &tracing::Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match *level {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warn",
        tracing::Level::INFO => "info",
        tracing::Level::DEBUG => "debug",
        tracing::Level::TRACE => "trace",
    })
}

fn map<S: Serializer>(fields: &[(&'static str, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(fields.len()))?;
    for (name, value) in fields {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// Collects the fields of an event or a span.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) message: String,
    pub(super) context: Context,
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl Reading {
    fn take(&mut self, field: &Field, value: Value) {
        let as_text = |value: Value| match value {
            Value::String(text) => text,
            value => value.to_string(),
        };
        if field.name() == "message" {
            self.message = as_text(value);
        } else if let Some(place) = self.context.place(field.name()) {
            *place = Some(as_text(value));
        } else if self.fields.len() < FIELDS_MAX {
            self.fields.push((field.name(), value));
        }
    }
}

impl Visit for Reading {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, Value::String(cut(value.to_owned())));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field, value.into());
    }

    /// With all that caused it.
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause.filter(|_| text.len() < TEXT_BYTES_MAX) {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        self.take(field, Value::String(cut(text)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, Value::String(cut(format!("{value:?}"))));
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}
