//! What the program tells those who watch over it: traces to a collector, and a log that machines read.

use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value};
use prost::Message as _;
use serde_json::Value;

use super::support::{Project, Reply, Sink};

/// A project whose traces go to a collector of the test's own.
fn traced(collector: &Sink, sink: &Sink) -> Project {
    let mut project = Project::new(sink);
    project.variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    project.variable("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=tok-5ecret%20value");
    project.variable("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test");
    project
}

#[test]
fn a_sync_is_a_trace_at_the_collector() {
    let (collector, sink) = (Sink::answering(|_| Reply::json(200, &Value::Null)), Sink::start());
    let project = traced(&collector, &sink);
    let run = project.run(&["sync", "customers", "--output", "json", "--log", "trace"]);
    assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    assert!(!format!("{}{}", run.out, run.err).contains("tok-5ecret value"), "{}{}", run.out, run.err);

    let requests = collector.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/traces"));
    for (name, value) in [("content-type", "application/x-protobuf"), ("x-api-key", "tok-5ecret value")] {
        assert!(request.headers.contains(&(name.to_owned(), value.to_owned())), "{:?}", request.headers);
    }

    let sent = ExportTraceServiceRequest::decode(&request.bytes[..]).unwrap();
    let resource = &sent.resource_spans[0];
    let text = |attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue], key: &str| {
        let found = attributes.iter().find(|attribute| attribute.key == key);
        match found.and_then(|attribute| attribute.value.clone()?.value) {
            Some(any_value::Value::StringValue(text)) => text,
            Some(any_value::Value::IntValue(number)) => number.to_string(),
            other => panic!("{key}: {other:?}"),
        }
    };
    let described = &resource.resource.as_ref().unwrap().attributes;
    for (key, value) in [
        ("service.name", "outflow"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment", "test"),
    ] {
        assert_eq!(text(described, key), value);
    }
    let spans = &resource.scope_spans[0].spans;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["sync", "extract", "compare", "load", "commit"]);
    let trace_id: String = spans[0].trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    for (key, value) in [
        ("outflow.sync", format!("sync_{trace_id}").as_str()),
        ("outflow.mapping", "customers"),
        ("outflow.model", "customers"),
        ("outflow.source", "shop"),
        ("outflow.destination", "crm"),
        ("outflow.destination_type", "http"),
        ("outflow.trigger", "command line"),
        ("outflow.ending", "done"),
        ("outflow.records.extracted", "3"),
        ("outflow.records.delivered", "3"),
        ("outflow.requests", "1"),
    ] {
        assert_eq!(text(&spans[0].attributes, key), value, "{key}");
    }
    for pair in spans[1..].windows(2) {
        assert!(pair[0].end_time_unix_nano <= pair[1].start_time_unix_nano);
    }
    assert!(spans[0].start_time_unix_nano <= spans[1].start_time_unix_nano);
    assert!(spans[0].end_time_unix_nano >= spans[4].end_time_unix_nano);
}

#[test]
fn a_failed_sync_is_a_trace_with_the_code_of_its_problem() {
    let (collector, sink) = (Sink::answering(|_| Reply::json(200, &Value::Null)), Sink::start());
    let project = traced(&collector, &sink);
    project.write("models/customers.sql", "-- source: shop\n-- key: id\nselect id, email, plan from nothing\n");
    let run = project.run(&["sync", "customers", "--output", "json"]);
    assert_eq!(run.exit, 1, "{}{}", run.out, run.err);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let sent = ExportTraceServiceRequest::decode(&collector.requests()[0].bytes[..]).unwrap();
    let spans = &sent.resource_spans[0].scope_spans[0].spans;
    let statuses: Vec<_> = spans.iter().map(|span| (span.name.as_str(), span.status.clone().unwrap())).collect();
    let code = report["syncs"][0]["problem"]["code"].as_str().unwrap();
    assert_eq!(statuses.len(), 2);
    for (name, status) in statuses {
        assert_eq!((status.code, status.message.as_str()), (2, code), "{name}");
    }
}

#[test]
fn a_collector_that_is_not_there_or_named_wrongly_keeps_no_sync_from_running() {
    let sink = Sink::start();
    for (address, note) in [
        ("http://127.0.0.1:1", ""),
        ("127.0.0.1:4318", "no traces are sent: `OTEL_EXPORTER_OTLP_ENDPOINT`: `127.0.0.1:PORT` is no address"),
    ] {
        let mut project = Project::new(&sink);
        project.variable("OTEL_EXPORTER_OTLP_ENDPOINT", address);
        let run = project.run(&["sync", "customers"]);
        assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
        assert!(run.err.contains(note), "{}", run.err);
        assert_eq!(sink.records().len(), 3);
    }
}

#[test]
fn the_log_is_an_object_a_line_where_that_is_asked_for() {
    let sink = Sink::start();
    let mut project = Project::new(&sink);
    let words = ["sync", "customers", "--output", "json", "--log", "debug"];
    let by_option = project.run(&[&words[..], &["--log-format", "json"]].concat());
    project.variable("OUTFLOW_LOG_FORMAT", "json");
    let by_variable = project.run(&words);
    for run in [by_option, by_variable] {
        assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
        let events: Vec<Value> = run.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let loaded = events.iter().find(|event| event["message"] == "loaded the index").unwrap();
        assert_eq!((loaded["level"].as_str(), loaded["target"].as_str()), (Some("debug"), Some("changes::comparison")));
        assert!(loaded["fields"]["records"].is_u64(), "{loaded}");
        assert!(loaded["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{loaded}");
    }
    let run = project.run(&[&words[..], &["--log-format", "text"]].concat());
    assert!(run.err.lines().any(|line| line.contains("loaded the index") && !line.starts_with('{')), "{}", run.err);
}
