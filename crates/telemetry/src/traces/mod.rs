//! Traces of syncs, as OpenTelemetry describes them, sent to a collector over OTLP/HTTP.
//!
//! The few messages that are sent are written here, not taken from a library: the libraries read the clock and draw
//! random numbers by themselves, and bring HTTP clients along.

mod export;
mod protobuf;
mod settings;
mod span;

pub use export::{ExportAnswer, ExportRequest, Exporting, Post, Traces};
pub use settings::{ExportSettings, ExportSettingsError};
pub use span::{AttributeValue, Span, SyncTrace};

#[cfg(test)]
mod tests;
