//! Events as lines of JSON.

use std::{
    fmt,
    io::Write,
    sync::{Mutex, PoisonError},
};

use super::{event::LogEvent, layer::LogSink};

/// Writes each event as one line of JSON.
pub struct JsonLines<W> {
    writer: Mutex<W>,
}

impl<W> JsonLines<W> {
    pub fn new(writer: W) -> Self {
        Self { writer: Mutex::new(writer) }
    }
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonLines")
    }
}

impl<W: Write + Send + 'static> LogSink for JsonLines<W> {
    fn take(&self, event: LogEvent) {
        let Ok(mut line) = serde_json::to_vec(&event) else { return };
        line.push(b'\n');
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever reads the log may have gone; the program goes on.
        let _ = writer.write_all(&line).and_then(|()| writer.flush());
    }
}
