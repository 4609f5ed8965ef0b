//! Where a command's words go: results to stdout, notes and failures to stderr, secrets nowhere.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::RwLock,
};

use serde::Serialize;

use crate::{
    arguments::{Format, Global},
    failure::Failure,
    project::Secrets,
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
            let json = serde_json::to_string_pretty(value).unwrap_or_else(|error| {
                format!("{{\"error\": {{\"message\": {}}}}}", serde_json::Value::from(error.to_string()))
            });
            self.line(&json);
        } else {
            self.line(text(self.paint).trim_end_matches('\n'));
        }
    }

    /// One line, or several, on stdout.
    pub(crate) fn line(&self, text: &str) {
        if self.muted {
            return;
        }
        let text = self.clean(text);
        // A reader that went away (`| head`) is no failure of ours.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
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
            let json = serde_json::to_string_pretty(&failure.to_json()).unwrap_or_default();
            self.line(&json);
        } else {
            let paint = Paint { on: self.paint.on && std::io::stderr().is_terminal() };
            let text = self.clean(&render::failure(failure, paint));
            let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end_matches('\n'));
        }
    }
}
