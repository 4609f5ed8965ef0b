//! Everything that happened to one record.

use store::{HistoryExchange, HistoryRow, Trace};

use super::{Paint, body, counted, indented, time};

/// A trace with what it is about.
#[derive(Debug)]
pub(crate) struct TraceView<'a> {
    pub(crate) mapping: &'a str,
    pub(crate) key: &'a str,
    pub(crate) trace: &'a Trace,
}

const BODY_LINES_MAX: usize = 24;

/// The syncs that touched a record, newest first: what changed, what was sent, what came back.
pub(crate) fn trace(view: &TraceView<'_>, paint: Paint) -> String {
    let TraceView { mapping, key, trace } = view;
    let mut out = format!("{} {}\n", paint.bold(&format!("{mapping} {key}")), {
        let count = u64::try_from(trace.entries.len()).unwrap_or(u64::MAX);
        paint.dim(&format!("· {}", counted(count, "entry").replace("entrys", "entries")))
    });
    for entry in &trace.entries {
        let HistoryRow { operation, outcome, code, message, attempts, at, .. } = &entry.row;
        let outcome = if *outcome == records::OutcomeKind::Delivered {
            paint.green(outcome.name())
        } else {
            paint.yellow(outcome.name())
        };
        let attempts = if *attempts > 1 { format!(" at attempt {attempts}") } else { String::new() };
        out.push_str(&format!(
            "\n{}  {}, {outcome}{attempts}  {}\n",
            time(*at),
            operation.name(),
            paint.dim(&entry.sync.to_string())
        ));
        if let Some(message) = message {
            let code = code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
            out.push_str(&format!("  {code}{message}\n"));
        }
        out.push_str(&indented(&changes(entry.row.before.as_deref(), entry.row.after.as_deref(), paint), 4));
        match (&entry.exchange, &entry.row.payload) {
            (Some(exchange), _) => out.push_str(&indented(&exchange_text(exchange, paint), 2)),
            (None, Some(payload)) => out.push_str(&indented(&format!("payload {payload}"), 2)),
            (None, None) => {}
        }
    }
    for unreadable in &trace.unreadable {
        out.push_str(&format!(
            "\n{} {}: {}\n",
            paint.yellow("not read:"),
            unreadable.path.display(),
            unreadable.reason
        ));
    }
    out
}

fn changes(before: Option<&str>, after: Option<&str>, paint: Paint) -> String {
    let parse = |text: Option<&str>| text.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let (before, after) = (parse(before), parse(after));
    let empty = serde_json::Map::new();
    let object = |value: &Option<serde_json::Value>| {
        value.as_ref().and_then(|v| v.as_object()).cloned().unwrap_or(empty.clone())
    };
    let (before, after) = (object(&before), object(&after));
    let mut out = String::new();
    for key in before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))) {
        let line = match (before.get(key), after.get(key)) {
            (Some(before), Some(after)) if before == after => continue,
            (Some(before), Some(after)) => format!("{before} {} {}", paint.dim("→"), paint.bold(&after.to_string())),
            (Some(before), None) => format!("{before}"),
            (None, Some(after)) => format!("{after}"),
            (None, None) => continue,
        };
        out.push_str(&format!("{}  {line}\n", paint.dim(key)));
    }
    out
}

fn exchange_text(exchange: &HistoryExchange, paint: Paint) -> String {
    let mut out = format!("{} {}\n", paint.cyan(&exchange.method), exchange.url);
    if !exchange.request_body.is_empty() {
        out.push_str(&indented(&body(&exchange.request_body, BODY_LINES_MAX), 2));
    }
    match exchange.status {
        Some(status) => {
            out.push_str(&format!(
                "{} {}\n",
                paint.cyan(&status.to_string()),
                paint.dim(&format!("after {} ms", exchange.millis))
            ));
        }
        None => out.push_str(&format!("{}\n", paint.yellow("no answer"))),
    }
    if let Some(answer) = exchange.answer_body.as_deref().filter(|answer| !answer.is_empty()) {
        out.push_str(&indented(&body(answer, BODY_LINES_MAX), 2));
    }
    out
}
