//! Traces of the syncs that this program runs, sent to an OpenTelemetry collector if the environment names one.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use kit::{Request, Wire, WireSettings};
use records::Clock;
use sync::{Mapping, SyncReport};
use telemetry::{
    ExportAnswer, ExportRequest, ExportSettings, Exporting, Metrics, Phase, Post, Span, SyncTrace, Traces,
};

use crate::{
    output::Output,
    surroundings::{self, SystemClock},
};

/// How long the end of the program waits for a collector.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// Traces for as long as a command runs.
pub(crate) struct CommandTraces {
    traces: Traces,
    exporting: Option<Exporting>,
}

impl CommandTraces {
    /// Traces as the environment's `OTEL_…` say. Whatever is wrong with them keeps no sync from running; it is told.
    pub(crate) fn start(output: &Output) -> Self {
        let off = Self { traces: Traces::off(), exporting: None };
        let settings = match ExportSettings::from_variables(surroundings::variable) {
            Ok(Some(settings)) => settings.with("service.version", env!("CARGO_PKG_VERSION")),
            Ok(None) => return off,
            Err(error) => {
                output.note(&format!("no traces are sent: {error}"));
                return off;
            }
        };
        let collector = match Collector::open(&settings) {
            Ok(collector) => collector,
            Err(error) => {
                output.note(&format!("no traces are sent: {error}"));
                return off;
            }
        };
        let version = env!("CARGO_PKG_VERSION");
        let metrics = Metrics::new(version, SystemClock.now());
        let (traces, exporting) = Traces::start(settings, version, Arc::new(collector), metrics);
        Self { traces, exporting: Some(exporting) }
    }

    /// Hands in the trace of a sync that came to its end.
    pub(crate) fn ended(&self, report: &SyncReport, mapping: &Mapping, trigger: &str) {
        if self.traces.are_on()
            && let Some(spans) = trace(report, mapping, trigger, SystemClock.now())
        {
            self.traces.send(spans);
        }
    }

    /// Sends what is left.
    pub(crate) async fn finish(self) {
        if let Some(exporting) = self.exporting {
            exporting.finish(FINISH_WITHIN).await;
        }
    }
}

/// The trace of a sync that ended, from what is reported of it. None if it did not begin.
fn trace(report: &SyncReport, mapping: &Mapping, trigger: &str, now: Timestamp) -> Option<Vec<Span>> {
    let sync = report.sync?;
    let began_at = report.phases.first().map_or(now, |first| first.began_at);
    let mut trace = SyncTrace::begin(sync, &report.mapping, began_at);
    trace.about("outflow.trigger", trigger);
    trace.about("outflow.model", mapping.model.name.as_str());
    trace.about("outflow.source", mapping.model.source_name.as_str());
    trace.about("outflow.destination", mapping.connection.name.as_str());
    trace.about("outflow.destination_type", mapping.connection.destination.facts().slug.as_str());
    trace.about("outflow.action", mapping.action.as_str());
    trace.about("outflow.requests", report.requests);
    let mut ended_at = began_at;
    for time in &report.phases {
        trace.phase(phase(time.phase), time.began_at);
        ended_at = time.ended_at.unwrap_or(now);
    }
    let ending = serde_json::to_value(report.ending).ok()?;
    let problem = report.problem.as_ref().map(|problem| problem.code.as_str());
    Some(trace.end(ended_at, ending.as_str()?, problem, &report.counts))
}

fn phase(phase: sync::Phase) -> Phase {
    match phase {
        sync::Phase::Extracting => Phase::Extract,
        sync::Phase::Comparing => Phase::Compare,
        sync::Phase::Loading => Phase::Load,
        sync::Phase::Committing => Phase::Commit,
    }
}

/// The way to a collector, over the HTTP client that tools are called with.
#[derive(Debug)]
struct Collector {
    wire: Wire,
}

impl Collector {
    fn open(settings: &ExportSettings) -> Result<Self, kit::SettingsError> {
        let secrets = settings.headers.iter().map(|(_, value)| value.clone()).collect();
        let settings = WireSettings { secrets, ..WireSettings::default() };
        Ok(Self { wire: Wire::open(settings, Arc::new(SystemClock))? })
    }
}

#[async_trait]
impl Post for Collector {
    async fn post(&self, request: &ExportRequest<'_>) -> Result<ExportAnswer, String> {
        let mut outgoing = Request::post(&request.settings.url).body(request.body.clone());
        outgoing = outgoing.header("content-type", request.content_type);
        for (name, value) in &request.settings.headers {
            outgoing = outgoing.header(name, value);
        }
        let answer = self.wire.for_call().send(outgoing).await.map_err(|error| error.to_string())?;
        Ok(ExportAnswer { status: answer.status, retry_after: answer.retry_after() })
    }
}
