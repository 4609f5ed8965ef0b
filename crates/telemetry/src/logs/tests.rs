//! Events with what they belong to, as lines and in the ring.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use records::Clock;
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

use super::*;

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-05-01T12:00:00Z".parse().unwrap()
    }
}

#[derive(Debug, Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What `work` logs, as lines.
fn lines(work: impl FnOnce()) -> Vec<String> {
    let paper = Paper::default();
    let layer = LogLayer::new(JsonLines::new(paper.clone()), Arc::new(Noon)).of_worker("worker_1");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A ring of what `work` logs.
fn ring(limits: LogLimits, work: impl FnOnce()) -> RecentLogs {
    let logs = RecentLogs::new(limits);
    let layer = LogLayer::new(logs.clone(), Arc::new(Noon)).with_filter(LevelFilter::INFO);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    logs
}

fn messages(events: &[Arc<LogEvent>]) -> Vec<&str> {
    events.iter().map(|event| event.message.as_str()).collect()
}

#[derive(Debug, thiserror::Error)]
#[error("the outer one")]
struct Outer(#[source] std::fmt::Error);

#[test]
fn an_event_is_a_line_of_json() {
    let written = lines(|| {
        let error: &dyn std::error::Error = &Outer(std::fmt::Error);
        tracing::warn!(target: "sync::load", records = 3, ok = true, error, sync = "sync_1", "not \"taken\"\nyet");
        tracing::info!(target: "a", name = "ä", left = ?Some(1));
    });
    assert_eq!(
        written,
        [
            r#"{"time":"2026-05-01T12:00:00Z","level":"warn","target":"sync::load","message":"not \"taken\"\nyet","sync":"sync_1","worker":"worker_1","fields":{"records":3,"ok":true,"error":"the outer one: an error occurred when formatting an argument"}}"#,
            r#"{"time":"2026-05-01T12:00:00Z","level":"info","target":"a","message":"","worker":"worker_1","fields":{"name":"ä","left":"Some(1)"}}"#,
        ]
    );
}

#[test]
fn an_event_belongs_to_what_the_spans_around_it_say_the_inner_ones_first() {
    let written = lines(|| {
        let request = tracing::info_span!("request", request_id = "req_1", mapping = "outer");
        let _in_request = request.enter();
        let sync = tracing::info_span!("sync", sync = tracing::field::Empty, mapping = "orders", worker = "worker_2");
        sync.record("sync", "sync_9");
        sync.in_scope(|| {
            tracing::info!(target: "t", "one");
            tracing::info!(target: "t", mapping = "its own", "two");
        });
        tracing::info!(target: "t", "three");
    });
    let start = r#"{"time":"2026-05-01T12:00:00Z","level":"info","target":"t","#;
    assert_eq!(
        written,
        [
            r#""message":"one","sync":"sync_9","mapping":"orders","worker":"worker_2","request_id":"req_1"}"#,
            r#""message":"two","sync":"sync_9","mapping":"its own","worker":"worker_2","request_id":"req_1"}"#,
            r#""message":"three","mapping":"outer","worker":"worker_1","request_id":"req_1"}"#,
        ]
        .map(|rest| format!("{start}{rest}"))
    );
}

#[test]
fn two_layers_see_the_same() {
    let (paper, logs) = (Paper::default(), RecentLogs::new(LogLimits::default()));
    let subscriber = tracing_subscriber::registry()
        .with(LogLayer::new(JsonLines::new(paper.clone()), Arc::new(Noon)))
        .with(LogLayer::new(logs.clone(), Arc::new(Noon)));
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("sync", sync = "sync_1", mapping = tracing::field::Empty);
        span.record("mapping", "orders");
        span.in_scope(|| tracing::info!("one"));
    });
    let event = logs.before(None, &LogFilter::default(), 1).remove(0);
    assert_eq!((event.context.sync.as_deref(), event.context.mapping.as_deref()), (Some("sync_1"), Some("orders")));
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains(r#""sync":"sync_1","mapping":"orders""#), "{text}");
}

#[test]
fn the_ring_keeps_the_newest_and_pages_both_ways() {
    let logs = ring(LogLimits { events: 4, bytes: 1 << 20 }, || {
        for number in 1..=6 {
            tracing::info!("event {number}");
            tracing::debug!("not looked at");
        }
    });
    let all = LogFilter::default();
    assert_eq!(messages(&logs.before(None, &all, 2)), ["event 6", "event 5"]);
    assert_eq!(messages(&logs.before(Some(5), &all, 10)), ["event 4", "event 3"]);
    assert_eq!(messages(&logs.after(4, &all, 10)), ["event 5", "event 6"]);
    assert_eq!(messages(&logs.after(0, &all, 1)), ["event 3"]);
    assert_eq!(messages(&logs.after(6, &all, 1)), [""; 0]);
    let numbers: Vec<u64> = logs.after(0, &all, 10).iter().map(|event| event.number).collect();
    assert_eq!(numbers, [3, 4, 5, 6]);
    assert_eq!(*logs.watch().borrow(), 6);
}

#[test]
fn the_ring_is_bounded_in_bytes_too() {
    let logs = ring(LogLimits { events: 1_000_000, bytes: 100_000 }, || {
        for number in 0..200 {
            tracing::info!(text = "x".repeat(20_000), "event {number}");
        }
    });
    let kept = logs.after(0, &LogFilter::default(), 1000);
    // A text of 20,000 letters is cut to 8 KiB, of which eleven fit.
    assert_eq!(kept.len(), 11);
    assert_eq!(kept.last().unwrap().message, "event 199");
}

#[test]
fn a_filter_chooses_by_level_by_what_events_belong_to_and_by_text() {
    let logs = ring(LogLimits::default(), || {
        tracing::info!(target: "sync::load", sync = "sync_1", mapping = "orders", "Batch sent");
        tracing::warn!(target: "sync::load", sync = "sync_1", mapping = "orders", "batch refused");
        tracing::error!(target: "store", request_id = "req_1", worker = "worker_1", "gone");
    });
    let text = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (LogFilter::default(), vec!["Batch sent", "batch refused", "gone"]),
        (LogFilter { level: Some(Level::WARN), ..LogFilter::default() }, vec!["batch refused", "gone"]),
        (LogFilter { level: Some(Level::ERROR), ..LogFilter::default() }, vec!["gone"]),
        (LogFilter { sync: text("sync_1"), ..LogFilter::default() }, vec!["Batch sent", "batch refused"]),
        (LogFilter { sync: text("sync_2"), ..LogFilter::default() }, vec![]),
        (
            LogFilter { mapping: text("orders"), level: Some(Level::WARN), ..LogFilter::default() },
            vec!["batch refused"],
        ),
        (LogFilter { request_id: text("req_1"), ..LogFilter::default() }, vec!["gone"]),
        (LogFilter { worker: text("worker_1"), ..LogFilter::default() }, vec!["gone"]),
        (LogFilter { text: text("BATCH"), ..LogFilter::default() }, vec!["Batch sent", "batch refused"]),
        (LogFilter { text: text("::load"), ..LogFilter::default() }, vec!["Batch sent", "batch refused"]),
    ] {
        assert_eq!(messages(&logs.after(0, &filter, 10)), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn who_watches_is_told_of_new_events() {
    let logs = RecentLogs::new(LogLimits::default());
    let mut watch = logs.watch();
    let layer = LogLayer::new(logs.clone(), Arc::new(Noon));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || tracing::info!("one"));
    watch.changed().await.unwrap();
    assert_eq!(*watch.borrow_and_update(), 1);
    assert_eq!(messages(&logs.after(0, &LogFilter::default(), 10)), ["one"]);
}
