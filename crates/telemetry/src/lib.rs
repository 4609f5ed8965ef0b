//! What a running Outflow tells those who watch over it: metrics for Prometheus, traces for OpenTelemetry, and the
//! log as JSON and as a ring of recent events. All of it is handed around; nothing is a global.

mod logs;
mod metrics;
mod phase;
mod traces;

pub use logs::{JsonLines, LogEvent, LogFilter, LogLayer, LogLimits, LogSink, RecentLogs};
pub use metrics::{CONTENT_TYPE, EndedSync, Metrics, RunningSync};
pub use phase::Phase;
pub use traces::{
    AttributeValue, ExportAnswer, ExportRequest, ExportSettings, ExportSettingsError, Exporting, Post, Span, SyncTrace,
    Traces,
};
