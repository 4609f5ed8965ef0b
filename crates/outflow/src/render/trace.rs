//! Everything that happened to one record.

use serde_json::{Map, Value};
use store::{HistoryExchange, HistoryRow, Trace};

use super::{Paint, body, cut, indented, number, time};

/// A trace with what it is about.
#[derive(Debug)]
pub(crate) struct TraceView<'a> {
    pub(crate) mapping: &'a str,
    pub(crate) key: &'a str,
    pub(crate) trace: &'a Trace,
    /// Show bodies whole.
    pub(crate) full: bool,
}

/// How many lines of a body are shown: enough for one record, not for its whole batch.
const BODY_LINES_MAX: usize = 16;
/// The same for the request and answer of a record whose own payload was shown already.
const SHARED_LINES_MAX: usize = 6;
/// The longest line of a body.
const LINE_WIDTH: usize = 140;

/// The syncs that touched a record, newest last: what changed, what was sent, what came back.
pub(crate) fn trace(view: &TraceView<'_>, paint: Paint) -> String {
    let TraceView { mapping, key, trace, full } = view;
    let (lines_max, shared_max) = if *full { (usize::MAX, usize::MAX) } else { (BODY_LINES_MAX, SHARED_LINES_MAX) };
    let count = u64::try_from(trace.entries.len()).unwrap_or(u64::MAX);
    let entries = if count == 1 { "1 sync".to_owned() } else { format!("{} syncs, the newest last", number(count)) };
    let mut out = format!("{} {}\n", paint.bold(&format!("{mapping} {key}")), paint.dim(&format!("· {entries}")));
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
        if let Some(payload) = &entry.row.payload {
            out.push_str(&format!("  {}\n", paint.dim("payload")));
            out.push_str(&indented(&shortened(payload, lines_max), 4));
        }
        if let Some(exchange) = &entry.exchange {
            let lines_max = if entry.row.payload.is_some() { lines_max.min(shared_max) } else { lines_max };
            out.push_str(&indented(&exchange_text(exchange, lines_max, paint), 2));
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

/// The columns that differ. What a record was added with is its payload already.
fn changes(before: Option<&str>, after: Option<&str>, paint: Paint) -> String {
    let parse = |text: Option<&str>| text.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    let (Some(before), Some(after)) = (parse(before), parse(after)) else { return String::new() };
    let width = before.keys().map(|key| key.chars().count()).max().unwrap_or(0);
    before
        .iter()
        .filter_map(|(key, old)| after.get(key).filter(|new| *new != old).map(|new| (key, old, new)))
        .map(|(key, old, new)| {
            let (key, new) = (paint.dim(&format!("{key:width$}")), paint.bold(&new.to_string()));
            format!("{key}  {old} {} {new}\n", paint.dim("→"))
        })
        .collect()
}

fn exchange_text(exchange: &HistoryExchange, lines_max: usize, paint: Paint) -> String {
    let mut out = format!("{} {}\n", paint.cyan(&exchange.method), exchange.url);
    for (name, value) in &exchange.request_headers {
        out.push_str(&format!("{}\n", paint.dim(&format!("  {name}: {}", cut(value, LINE_WIDTH)))));
    }
    if !exchange.request_body.is_empty() {
        out.push_str(&indented(&shortened(&exchange.request_body, lines_max), 2));
    }
    match exchange.status {
        Some(status) => {
            let after = paint.dim(&format!("after {} ms", exchange.millis));
            out.push_str(&format!("{} {after}\n", paint.cyan(&status.to_string())));
        }
        None => out.push_str(&format!("{}\n", paint.yellow("no answer"))),
    }
    if let Some(answer) = exchange.answer_body.as_deref().filter(|answer| !answer.is_empty()) {
        out.push_str(&indented(&shortened(answer, lines_max), 2));
    }
    out
}

/// A body that fits the screen, unless all of it is wanted.
fn shortened(text: &str, lines_max: usize) -> String {
    let shown = body(text, lines_max);
    if lines_max == usize::MAX {
        return shown;
    }
    shown.lines().map(|line| format!("{}\n", cut(line, LINE_WIDTH))).collect()
}
