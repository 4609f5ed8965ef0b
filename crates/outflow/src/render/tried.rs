//! One record that was tried: its event, its payload, its requests, and how they were answered.

use kit::Exchange;
use records::OutcomeKind;
use sync::{SentRecord, TriedPayload, TriedRecord};

use super::{Paint, body, cut, indented};

/// The longest line of a header.
const LINE_WIDTH: usize = 140;
/// The most lines of an answer: of what is sent, all is shown.
const ANSWER_LINES_MAX: usize = 40;

/// The record from event to outcome. `send`: it was to be delivered.
pub(crate) fn tried(tried: &TriedRecord, send: bool, paint: Paint) -> String {
    let title = format!("{} {}", tried.mapping, tried.key);
    let mut out = format!("{} {}\n", paint.bold(&title), paint.dim(&format!("· as {}", tried.operation.name())));
    section(&mut out, "event", &body(&tried.event.to_json(), usize::MAX), paint);
    match &tried.payload {
        TriedPayload::LeftOut => {
            let text = "The condition of the mapping leaves this record out, so that nothing is sent.";
            out.push_str(&format!("\n{}\n", paint.yellow(text)));
        }
        TriedPayload::Refused { problems, .. } => {
            out.push_str(&format!("\n{}\n", paint.red("The record is refused, so that nothing is sent:")));
            for problem in problems {
                let text = match problem.field.as_str() {
                    "" => problem.message.clone(),
                    field => format!("`{field}`: {}", problem.message),
                };
                out.push_str(&indented(&text, 4));
            }
        }
        TriedPayload::Mapped { fields } => section(&mut out, "payload", &body(&fields.to_json(), usize::MAX), paint),
    }
    let (looked_up, written): (Vec<_>, Vec<_>) =
        tried.requests.iter().partition(|request| request.status.is_some() || request.error.is_some());
    if !looked_up.is_empty() {
        section(&mut out, "looked up", &exchanges(&looked_up, paint), paint);
    }
    if !written.is_empty() {
        section(&mut out, "would be sent", &exchanges(&written, paint), paint);
    }
    if let Some(problem) = &tried.requests_problem {
        out.push_str(&format!("\n{} {problem}\n", paint.red("No whole request:")));
    } else if matches!(tried.payload, TriedPayload::Mapped { .. }) && tried.sent.is_none() && written.is_empty() {
        out.push_str(&format!("\n{}\n", paint.yellow("No request would be sent.")));
    }
    match &tried.sent {
        Some(sent) => out.push_str(&outcome(sent, paint)),
        None if send => out.push_str(&format!("\n{}\n", paint.dim("Nothing was sent."))),
        None => {}
    }
    out
}

fn outcome(sent: &SentRecord, paint: Paint) -> String {
    let mut out = String::new();
    section(&mut out, "sent", &exchanges(&sent.exchanges.iter().collect::<Vec<_>>(), paint), paint);
    let kind = sent.outcome.outcome;
    let name = match kind {
        OutcomeKind::Delivered => paint.green(kind.name()),
        OutcomeKind::Rejected => paint.red(kind.name()),
        OutcomeKind::Retry | OutcomeKind::InDoubt => paint.yellow(kind.name()),
    };
    let code = sent.outcome.code.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
    let message = sent.outcome.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let note = "Neither checkpoint nor history know of it: the next sync sees the record as it did before.";
    out.push_str(&format!("\n{name}{code}{message}\n{}\n", paint.dim(note)));
    out
}

fn section(out: &mut String, title: &str, text: &str, paint: Paint) {
    out.push_str(&format!("\n{}\n{}", paint.dim(title), indented(text, 2)));
}

fn exchanges(exchanges: &[&Exchange], paint: Paint) -> String {
    exchanges.iter().map(|exchange| one(exchange, paint)).collect()
}

fn one(exchange: &Exchange, paint: Paint) -> String {
    let mut out = format!("{} {}\n", paint.cyan(&exchange.method), exchange.url);
    for (name, value) in &exchange.request_headers {
        out.push_str(&format!("{}\n", paint.dim(&format!("  {name}: {}", cut(value, LINE_WIDTH)))));
    }
    out.push_str(&indented(&body(&exchange.request_body, usize::MAX), 2));
    if let Some(status) = exchange.status {
        let after = paint.dim(&format!("after {} ms", exchange.millis));
        out.push_str(&format!("{} {after}\n", paint.cyan(&status.to_string())));
        out.push_str(&indented(&body(&exchange.answer_body, ANSWER_LINES_MAX), 2));
    }
    if let Some(error) = &exchange.error {
        out.push_str(&format!("{} {error}\n", paint.yellow("no answer:")));
    }
    out
}
