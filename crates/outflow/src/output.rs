//! Where a command's words go: results to stdout, notes and failures to stderr, secrets nowhere.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::RwLock,
};

use project::Secrets;
use serde::Serialize;
use serde_json::Value;

use crate::{
    arguments::{Format, Global},
    failure::Failure,
    render::{self, Paint},
    surroundings,
};

/// The two streams of the program.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    paint: Paint,
    /// Says nothing at all.
    muted: bool,
    secrets: RwLock<Secrets>,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            format: global.output,
            paint: Paint { on: global.output == Format::Text && surroundings::wants_color(global) },
            muted: false,
            secrets: RwLock::default(),
        }
    }

    /// An output that says nothing, for a command within a command.
    pub(crate) fn muted() -> Self {
        Self { format: Format::Json, paint: Paint::default(), muted: true, secrets: RwLock::default() }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    /// Whether progress bars make sense.
    pub(crate) fn is_terminal(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// From now on these are hidden in whatever is printed.
    pub(crate) fn hide(&self, secrets: &Secrets) {
        if let Ok(mut known) = self.secrets.write() {
            *known = secrets.clone();
        }
    }

    fn clean(&self, text: &str) -> String {
        match self.secrets.read() {
            Ok(secrets) => secrets.hide(text),
            Err(_) => String::new(),
        }
    }

    /// Prints a command's result: as text for people, or as one JSON document.
    pub(crate) fn result(&self, value: &impl Serialize, text: impl FnOnce(Paint) -> String) {
        if self.is_json() {
            let document = serde_json::to_value(value)
                .unwrap_or_else(|error| serde_json::json!({ "error": { "message": error.to_string() } }));
            self.document(document);
        } else {
            self.line(text(self.paint).trim_end_matches('\n'));
        }
    }

    /// One JSON document. Secrets are taken out of its texts alone, so that it stays JSON.
    fn document(&self, mut document: Value) {
        self.clean_texts(&mut document);
        self.write(&serde_json::to_string_pretty(&document).unwrap_or_default());
    }

    fn clean_texts(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.clean(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean_texts(item)),
            Value::Object(map) => map.values_mut().for_each(|value| self.clean_texts(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// One line, or several, on stdout.
    pub(crate) fn line(&self, text: &str) {
        self.write(&self.clean(text));
    }

    fn write(&self, text: &str) {
        if !self.muted {
            // A reader that went away (`| head`) is no failure of ours.
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
    }

    /// A note on stderr; none in JSON.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_json() {
            let text = self.clean(text);
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Tells why a command failed: on stderr for people, on stdout as JSON.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.is_json() {
            self.document(failure.to_json());
        } else {
            let paint = Paint { on: self.paint.on && std::io::stderr().is_terminal() };
            let text = self.clean(&render::failure(failure, paint));
            let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end_matches('\n'));
        }
    }
}
