//! Metrics, as Prometheus reads them.

mod labels;
mod process;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    encoding::prometheus_text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};
use records::Counts;

use self::labels::{
    AnsweredLabels, Bounded, BuildLabels, FateLabels, OperationLabels, PhaseLabels, RecordLabels, SourceLabels,
    SyncLabels, ToolLabels, status_class,
};
use crate::Phase;

/// The content type of [`Metrics::text`].
pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

/// Kinds of sources and destinations, and operations of the API, that have a value of their own. Programs have fewer;
/// kinds may also come from files of users.
const VALUES_MAX: usize = 256;

/// From a tenth of a second to half a day.
const SYNC_SECONDS: [f64; 12] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 7200.0, 14_400.0, 43_200.0];
/// From a tenth of a second to an hour.
const WAIT_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
/// From a millisecond to ten seconds.
const REQUEST_SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

fn sync_seconds() -> Histogram {
    Histogram::new(SYNC_SECONDS)
}

fn wait_seconds() -> Histogram {
    Histogram::new(WAIT_SECONDS)
}

fn request_seconds() -> Histogram {
    Histogram::new(REQUEST_SECONDS)
}

/// All metrics of a process. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    syncs: Family<SyncLabels, Counter>,
    extracted: Family<SourceLabels, Counter>,
    records: Family<RecordLabels, Counter>,
    sync_seconds: Histogram,
    phase_seconds: Family<PhaseLabels, Histogram>,
    running: Gauge,
    queued: Gauge,
    queue_wait: Histogram,
    schedule_lag: Histogram,
    answered: Family<AnsweredLabels, Counter>,
    answer_seconds: Family<OperationLabels, Histogram>,
    tools: Family<ToolLabels, Counter>,
    spans: Family<FateLabels, Counter>,
    source_types: Bounded,
    destination_types: Bounded,
    operations: Bounded,
}

/// A sync that came to its end.
#[derive(Debug, Clone, Copy)]
pub struct EndedSync<'a> {
    /// One of the few words for how syncs end: `done`, `partly`, `held`, `cancelled`, `failed`.
    pub ending: &'static str,
    /// The kinds of its source and its destination, not their names.
    pub source_type: &'a str,
    pub destination_type: &'a str,
    pub counts: &'a Counts,
    /// From its start, without its time in the queue.
    pub took: Duration,
}

/// Counts a sync as running for as long as it lives.
#[derive(Debug)]
pub struct RunningSync {
    running: Gauge,
}

impl Drop for RunningSync {
    fn drop(&mut self) {
        self.running.dec();
    }
}

impl Metrics {
    /// Metrics of a program of this version, in a process that started then. All counts begin at zero.
    pub fn new(version: &str, started: Timestamp) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process::Process { started }));
        let ours = registry.sub_registry_with_prefix("outflow");
        let build = Info::new(BuildLabels { version: version.to_owned() });
        ours.register("build", "The version of the program", build);

        let syncs = Family::default();
        ours.register("syncs", "Syncs that came to an end, by how", syncs.clone());
        let extracted = Family::default();
        ours.register("records_extracted", "Records that models returned", extracted.clone());
        let records = Family::default();
        ours.register("records", "Changes of records, by what became of them", records.clone());
        let whole = sync_seconds();
        ours.register_with_unit("sync", "How long syncs took, without the queue", Unit::Seconds, whole.clone());
        let phase_seconds = Family::new_with_constructor(sync_seconds as fn() -> Histogram);
        let help = "How long the phases of syncs took";
        ours.register_with_unit("sync_phase", help, Unit::Seconds, phase_seconds.clone());
        let (running, queued) = (Gauge::default(), Gauge::default());
        ours.register("syncs_running", "Syncs that run in this process", running.clone());
        ours.register("syncs_queued", "Syncs that are due and wait for a worker or a source", queued.clone());
        let queue_wait = wait_seconds();
        let help = "How long syncs waited in the queue";
        ours.register_with_unit("queue_wait", help, Unit::Seconds, queue_wait.clone());
        let schedule_lag = wait_seconds();
        let help = "How long after its due time a scheduled sync was queued";
        ours.register_with_unit("schedule_lag", help, Unit::Seconds, schedule_lag.clone());

        let answered = Family::default();
        ours.register("http_requests", "Requests to the API, by operation and answer", answered.clone());
        let answer_seconds = Family::new_with_constructor(request_seconds as fn() -> Histogram);
        let help = "How long requests to the API took";
        ours.register_with_unit("http_request", help, Unit::Seconds, answer_seconds.clone());
        let tools = Family::default();
        let help = "Requests to the tools of destinations, by answer";
        ours.register("requests_to_tools", help, tools.clone());
        let spans = Family::default();
        ours.register("trace_spans", "Spans of traces, by whether the collector has them", spans.clone());

        let inner = Inner {
            registry,
            syncs,
            extracted,
            records,
            sync_seconds: whole,
            phase_seconds,
            running,
            queued,
            queue_wait,
            schedule_lag,
            answered,
            answer_seconds,
            tools,
            spans,
            source_types: Bounded::new(VALUES_MAX),
            destination_types: Bounded::new(VALUES_MAX),
            operations: Bounded::new(VALUES_MAX),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Everything, in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = prometheus_text::encode(&mut text, &self.inner.registry);
        text
    }

    /// A scheduled sync was queued this long after it was due.
    pub fn was_due(&self, lag: Duration) {
        self.inner.schedule_lag.observe(lag.as_secs_f64());
    }

    /// So many syncs are in the queue.
    pub fn queued(&self, syncs: usize) {
        self.inner.queued.set(i64::try_from(syncs).unwrap_or(i64::MAX));
    }

    /// A sync left the queue after this time and runs until what is returned is dropped.
    pub fn sync_started(&self, waited: Duration) -> RunningSync {
        self.inner.queue_wait.observe(waited.as_secs_f64());
        self.inner.running.inc();
        RunningSync { running: self.inner.running.clone() }
    }

    pub fn phase_ended(&self, phase: Phase, took: Duration) {
        let labels = PhaseLabels { phase: phase.name() };
        self.inner.phase_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    pub fn sync_ended(&self, sync: &EndedSync<'_>) {
        let inner = &self.inner;
        let destination_type = inner.destination_types.label(sync.destination_type);
        inner.sync_seconds.observe(sync.took.as_secs_f64());
        let labels = SyncLabels { ending: sync.ending, destination_type: destination_type.clone() };
        inner.syncs.get_or_create(&labels).inc();
        let labels = SourceLabels { source_type: inner.source_types.label(sync.source_type) };
        inner.extracted.get_or_create(&labels).inc_by(sync.counts.extracted);
        let Counts { skipped, delivered, rejected, retry, in_doubt, .. } = *sync.counts;
        let outcomes = [
            ("delivered", delivered),
            ("skipped", skipped),
            ("rejected", rejected),
            ("retry", retry),
            ("in_doubt", in_doubt),
            ("unusable_key", sync.counts.unusable_key()),
        ];
        for (outcome, count) in outcomes {
            let labels = RecordLabels { outcome, destination_type: destination_type.clone() };
            inner.records.get_or_create(&labels).inc_by(count);
        }
    }

    /// A request to the API was answered. `operation` is its id in the API's description.
    pub fn request_answered(&self, operation: &str, status: u16, took: Duration) {
        let operation = self.inner.operations.label(operation);
        let labels = OperationLabels { operation: operation.clone() };
        self.inner.answer_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        let labels = AnsweredLabels { operation, status_class: status_class(status) };
        self.inner.answered.get_or_create(&labels).inc();
    }

    /// A request to the tool of a destination of that kind was answered with this status, or not at all.
    pub fn tool_answered(&self, destination_type: &str, status: Option<u16>) {
        let destination_type = self.inner.destination_types.label(destination_type);
        let labels = ToolLabels { destination_type, class: status.map_or("no_answer", status_class) };
        self.inner.tools.get_or_create(&labels).inc();
    }

    pub(crate) fn spans_sent(&self, count: usize) {
        self.count_spans("sent", count);
    }

    pub(crate) fn spans_dropped(&self, count: usize) {
        self.count_spans("dropped", count);
    }

    fn count_spans(&self, fate: &'static str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.inner.spans.get_or_create(&FateLabels { fate }).inc_by(count);
    }
}

#[cfg(test)]
mod tests;
