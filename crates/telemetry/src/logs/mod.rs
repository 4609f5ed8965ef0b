//! The log: events with the sync, mapping, worker and request they belong to, as lines of JSON and as a ring of the
//! most recent ones.

mod event;
mod json_lines;
mod layer;
mod recent;

pub use event::LogEvent;
pub use json_lines::JsonLines;
pub use layer::{LogLayer, LogSink};
pub use recent::{LogFilter, LogLimits, RecentLogs};

#[cfg(test)]
mod tests;
