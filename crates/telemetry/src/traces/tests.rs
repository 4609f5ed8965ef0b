//! Traces as a collector reads them, and what happens when it does not take them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value},
    trace::v1::Span as SentSpan,
};
use proptest::prelude::*;
use prost::Message as _;
use records::{Counts, SyncId};
use tokio::time::Instant;

use super::*;
use crate::{Metrics, Phase};

fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn sync(number: u128) -> SyncId {
    SyncId::from_uuid(uuid::Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0000 | number))
}

fn settings() -> ExportSettings {
    let resource = vec![("service.name".to_owned(), "outflow".to_owned())];
    ExportSettings { url: "http://collector:4318/v1/traces".to_owned(), headers: Vec::new(), resource }
}

fn metrics() -> Metrics {
    Metrics::new("1.2.3", moment(0))
}

fn trace(number: u128) -> Vec<Span> {
    let mut trace = SyncTrace::begin(sync(number), "orders", moment(0));
    trace.phase(Phase::Extract, moment(1));
    trace.end(moment(2), "done", None, &Counts::default())
}

fn read(bytes: &[u8]) -> Vec<SentSpan> {
    let mut request = ExportTraceServiceRequest::decode(bytes).unwrap();
    let mut resource = request.resource_spans.remove(0);
    assert!(request.resource_spans.is_empty());
    resource.scope_spans.remove(0).spans
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value?;
    match value {
        any_value::Value::StringValue(text) => Some(text),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sync_and_its_phases_are_spans_of_one_trace() {
    let mut trace = SyncTrace::begin(sync(7), "orders", moment(0));
    trace.about("outflow.destination", "crm");
    trace.phase(Phase::Extract, moment(1));
    trace.about_phase("outflow.records.extracted", 12);
    trace.phase(Phase::Compare, moment(4));
    trace.end_phase(moment(5));
    trace.phase(Phase::Load, moment(60));
    let counts = Counts { extracted: 12, added: 3, delivered: 2, rejected: 1, ..Counts::default() };
    let spans = trace.end(moment(61), "partly", None, &counts);
    let bytes = protobuf::request(&settings().resource, "1.2.3", &spans);

    let request = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
    let resource = &request.resource_spans[0];
    let described = resource.resource.as_ref().unwrap();
    assert_eq!(attribute(&described.attributes, "service.name").unwrap(), "outflow");
    let scope = resource.scope_spans[0].scope.as_ref().unwrap();
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("outflow", "1.2.3"));

    let spans = read(&bytes);
    let root = &spans[0];
    assert_eq!(root.trace_id, sync(7).uuid().as_bytes());
    assert_eq!((root.name.as_str(), root.kind, root.parent_span_id.len()), ("sync", 1, 0));
    for (key, value) in [
        ("outflow.sync", sync(7).to_string().as_str()),
        ("outflow.mapping", "orders"),
        ("outflow.destination", "crm"),
        ("outflow.ending", "partly"),
        ("outflow.records.extracted", "12"),
        ("outflow.records.added", "3"),
        ("outflow.records.delivered", "2"),
        ("outflow.records.rejected", "1"),
        ("outflow.records.retry", "0"),
    ] {
        assert_eq!(attribute(&root.attributes, key).as_deref(), Some(value), "{key}");
    }
    assert!(root.status.is_none());

    let nanoseconds = |second: i64| u64::try_from(moment(second).as_nanosecond()).unwrap();
    let told: Vec<_> =
        spans.iter().map(|span| (span.name.as_str(), span.start_time_unix_nano, span.end_time_unix_nano)).collect();
    assert_eq!(
        told,
        [
            ("sync", nanoseconds(0), nanoseconds(61)),
            ("extract", nanoseconds(1), nanoseconds(4)),
            ("compare", nanoseconds(4), nanoseconds(5)),
            ("load", nanoseconds(60), nanoseconds(61)),
        ]
    );
    assert_eq!(attribute(&spans[1].attributes, "outflow.records.extracted").unwrap(), "12");
    let mut ids: Vec<&[u8]> = spans.iter().map(|span| &span.span_id[..]).collect();
    assert!(ids.iter().all(|id| id.len() == 8 && id.iter().any(|byte| *byte != 0)));
    assert!(spans[1..].iter().all(|span| span.parent_span_id == root.span_id && span.trace_id == root.trace_id));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_problem_marks_the_sync_and_the_phase_it_came_in() {
    let mut trace = SyncTrace::begin(sync(1), "orders", moment(0));
    trace.phase(Phase::Extract, moment(0));
    trace.phase(Phase::Compare, moment(1));
    let spans = trace.end(moment(2), "failed", Some("disk_full"), &Counts::default());
    let spans = read(&protobuf::request(&[], "1", &spans));
    let statuses: Vec<_> =
        spans.iter().map(|span| span.status.as_ref().map(|status| (status.code, status.message.as_str()))).collect();
    assert_eq!(statuses, [Some((2, "disk_full")), None, Some((2, "disk_full"))]);
}

#[test]
fn no_span_ends_before_it_begins_when_the_clock_is_set_back() {
    let mut trace = SyncTrace::begin(sync(1), "orders", moment(100));
    trace.phase(Phase::Extract, moment(101));
    trace.phase(Phase::Load, moment(50));
    let spans = trace.end(moment(40), "done", None, &Counts::default());
    assert!(spans.iter().all(|span| span.start <= span.end), "{spans:?}");
    assert_eq!(spans[0].end, moment(101));
}

#[test]
fn long_texts_are_cut_between_letters() {
    let mut trace = SyncTrace::begin(sync(1), "orders", moment(0));
    trace.about("outflow.destination", format!("x{}", "ä".repeat(4000)).as_str());
    let spans = trace.end(moment(1), "done", None, &Counts::default());
    let spans = read(&protobuf::request(&[], "1", &spans));
    let text = attribute(&spans[0].attributes, "outflow.destination").unwrap();
    assert_eq!(text.len(), 1023);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_attribute_reads_back_as_it_was_written(key in ".{1,300}", text in ".{0,300}", number in any::<u64>(), second in 0i64..4_000_000_000) {
        let at = Timestamp::from_second(second).unwrap();
        let mut trace = SyncTrace::begin(sync(1), &text, at);
        trace.phase(Phase::Load, at);
        trace.about_phase(&key, number);
        let spans = trace.end(at, "done", None, &Counts { added: number, ..Counts::default() });
        let spans = read(&protobuf::request(&[(key.clone(), text.clone())], &text, &spans));
        prop_assert_eq!(attribute(&spans[0].attributes, "outflow.mapping").unwrap(), text);
        let expected = i64::try_from(number).unwrap_or(i64::MAX).to_string();
        prop_assert_eq!(attribute(&spans[1].attributes, &key).unwrap(), expected.clone());
        prop_assert_eq!(attribute(&spans[0].attributes, "outflow.records.added").unwrap(), expected);
        prop_assert_eq!(spans[1].start_time_unix_nano, u64::try_from(at.as_nanosecond()).unwrap());
    }
}

/// A collector that answers as it was told to, then with 200, and keeps what came and when.
#[derive(Debug, Default)]
struct Collector {
    answers: Mutex<VecDeque<Result<ExportAnswer, String>>>,
    came: Mutex<Vec<(Instant, Vec<SentSpan>)>>,
    is_silent: bool,
}

impl Collector {
    fn that_answers(answers: &[u16]) -> Arc<Self> {
        let answer = |&status: &u16| match status {
            0 => Err("connection refused".to_owned()),
            status => Ok(ExportAnswer { status, retry_after: None }),
        };
        Arc::new(Self { answers: Mutex::new(answers.iter().map(answer).collect()), ..Self::default() })
    }

    /// How many spans came with each request.
    fn counts(&self) -> Vec<usize> {
        self.came.lock().unwrap().iter().map(|(_, spans)| spans.len()).collect()
    }

    /// Whole seconds between the requests.
    fn waits(&self) -> Vec<u64> {
        let came = self.came.lock().unwrap();
        came.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs()).collect()
    }
}

#[async_trait]
impl Post for Collector {
    async fn post(&self, request: &ExportRequest<'_>) -> Result<ExportAnswer, String> {
        assert_eq!(request.content_type, "application/x-protobuf");
        assert_eq!(request.settings, &settings());
        self.came.lock().unwrap().push((Instant::now(), read(&request.body)));
        if self.is_silent {
            std::future::pending::<()>().await;
        }
        let next = self.answers.lock().unwrap().pop_front();
        next.unwrap_or(Ok(ExportAnswer { status: 200, retry_after: None }))
    }
}

fn counted(metrics: &Metrics, fate: &str) -> u64 {
    let start = format!("outflow_trace_spans_total{{fate=\"{fate}\"}} ");
    metrics.text().lines().find_map(|line| line.strip_prefix(&start)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn spans_wait_a_little_and_go_together() {
    let (collector, metrics) = (Collector::that_answers(&[]), metrics());
    let (traces, exporting) = Traces::start(settings(), "1", collector.clone(), metrics.clone());
    for number in 0..3 {
        traces.send(trace(number));
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(collector.counts(), Vec::<usize>::new());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(collector.counts(), [6]);
    traces.send(trace(4));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(collector.counts(), [6, 2]);
    exporting.finish(Duration::from_secs(1)).await;
    assert_eq!((counted(&metrics, "sent"), counted(&metrics, "dropped")), (8, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait() {
    let (collector, metrics) = (Collector::that_answers(&[]), metrics());
    let (traces, exporting) = Traces::start(settings(), "1", collector.clone(), metrics.clone());
    for number in 0..600 {
        traces.send(trace(number));
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(collector.counts(), [512, 512]);
    exporting.finish(Duration::from_secs(1)).await;
    assert_eq!(collector.counts(), [512, 512, 176]);
    assert_eq!(counted(&metrics, "sent"), 1200);
}

#[tokio::test(start_paused = true)]
async fn what_fails_in_passing_is_sent_again_and_what_is_refused_is_not() {
    for (answers, requests, sent, dropped) in [
        (&[503, 429, 0][..], 4, 2, 0),
        (&[502, 504, 503, 503, 503], 5, 0, 2),
        (&[400], 1, 0, 2),
        (&[401], 1, 0, 2),
        (&[500], 1, 0, 2),
    ] {
        let (collector, metrics) = (Collector::that_answers(answers), metrics());
        let (traces, exporting) = Traces::start(settings(), "1", collector.clone(), metrics.clone());
        traces.send(trace(1));
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(collector.counts(), vec![2; requests], "{answers:?}");
        assert_eq!((counted(&metrics, "sent"), counted(&metrics, "dropped")), (sent, dropped), "{answers:?}");
        exporting.finish(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn waits_double_unless_the_collector_says_how_long_within_reason() {
    let collector = Collector::that_answers(&[503, 503, 503]);
    let after = |seconds| Ok(ExportAnswer { status: 429, retry_after: Some(Duration::from_secs(seconds)) });
    let impatient = Arc::new(Collector { answers: Mutex::new([after(7), after(3600)].into()), ..Collector::default() });
    for (collector, waits) in [(collector, vec![1, 2, 4]), (impatient, vec![7, 30])] {
        let (traces, exporting) = Traces::start(settings(), "1", collector.clone(), metrics());
        traces.send(trace(1));
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(collector.waits(), waits);
        exporting.finish(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_never_answers_costs_a_bounded_queue_and_no_waiting() {
    let collector = Arc::new(Collector { is_silent: true, ..Collector::default() });
    let metrics = metrics();
    let (traces, exporting) = Traces::start(settings(), "1", collector.clone(), metrics.clone());
    for number in 0..256 {
        traces.send(trace(number));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for number in 0..3000 {
        traces.send(trace(number));
    }
    assert_eq!(counted(&metrics, "dropped"), 2 * (3000 - 1024));
    let begun = Instant::now();
    exporting.finish(Duration::from_secs(3)).await;
    assert_eq!(begun.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_program_sends_what_waits() {
    let (collector, metrics) = (Collector::that_answers(&[]), metrics());
    let (traces, exporting) = Traces::start(settings(), "1", collector.clone(), metrics.clone());
    traces.send(trace(1));
    exporting.finish(Duration::from_secs(3)).await;
    assert_eq!(collector.counts(), [2]);
    // Who comes later is told by the count alone.
    traces.send(trace(2));
    assert_eq!((counted(&metrics, "sent"), counted(&metrics, "dropped")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn traces_that_are_off_do_nothing() {
    let traces = Traces::off();
    assert!(!traces.are_on());
    traces.send(trace(1));
}

fn from(variables: &[(&str, &str)]) -> Result<Option<ExportSettings>, String> {
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    ExportSettings::from_variables(variable).map_err(|error| error.to_string())
}

#[test]
fn without_an_address_traces_are_off() {
    for variables in [
        &[][..],
        &[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_SDK_DISABLED", "TRUE")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        assert_eq!(from(variables), Ok(None), "{variables:?}");
    }
}

#[test]
fn variables_have_the_meaning_that_opentelemetry_gives_them() {
    let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
    for (variables, url, headers, resource) in [
        (vec![general], "http://c:4318/v1/traces", vec![], vec![("service.name", "outflow")]),
        (
            vec![general, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/in")],
            "https://t/in",
            vec![],
            vec![("service.name", "outflow")],
        ),
        (
            vec![
                general,
                ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20YWI%3D, x-team = data ,"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
                ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod,service.name=other"),
                ("OTEL_SERVICE_NAME", "ours"),
            ],
            "http://c:4318/v1/traces",
            vec![("authorization", "Basic YWI="), ("x-team", "data")],
            vec![("service.name", "ours"), ("deployment.environment", "prod")],
        ),
        (
            vec![
                general,
                ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
                ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
                ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other"),
            ],
            "http://c:4318/v1/traces",
            vec![("b", "2")],
            vec![("service.name", "other")],
        ),
    ] {
        let owned = |pairs: Vec<(&str, &str)>| -> Vec<(String, String)> {
            pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let expected = ExportSettings { url: url.to_owned(), headers: owned(headers), resource: owned(resource) };
        assert_eq!(from(&variables), Ok(Some(expected)), "{variables:?}");
    }
}

#[test]
fn variables_that_cannot_be_used_are_told_without_credentials() {
    let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
    for (variables, message) in [
        (
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")],
            "`OTEL_EXPORTER_OTLP_ENDPOINT`: `collector:4317` is no address of a collector; write it as `http://collector:4318`",
        ),
        (
            vec![general, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            "`OTEL_EXPORTER_OTLP_PROTOCOL`: `grpc` is not a protocol that is spoken here; set it to `http/protobuf`, or leave it out",
        ),
        (
            vec![general, ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")],
            "`OTEL_EXPORTER_OTLP_HEADERS` is not a list of pairs; write it as `key=value,key=value`, with `%2C` for a comma in a value",
        ),
        (
            vec![general, ("OTEL_EXPORTER_OTLP_HEADERS", "a=100%")],
            "`OTEL_EXPORTER_OTLP_HEADERS` is not a list of pairs; write it as `key=value,key=value`, with `%2C` for a comma in a value",
        ),
    ] {
        assert_eq!(from(&variables), Err(message.to_owned()), "{variables:?}");
    }
    let settings = from(&[general, ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret")]).unwrap().unwrap();
    assert!(!format!("{settings:?}").contains("s3cret"));
}

#[test]
fn what_the_program_knows_does_not_override_what_was_set() {
    let settings = settings().with("service.name", "mine").with("service.instance.id", "worker_1");
    let keys: Vec<(&str, &str)> = settings.resource.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(keys, [("service.name", "outflow"), ("service.instance.id", "worker_1")]);
}
