//! What a sync would do.

use records::{Counts, Operation, Value};
use sync::{FieldChange, Plan, SampleRequest};

use super::{Paint, body, counted, cut, indented, number};

/// A plan with what its mapping is, for the heading.
#[derive(Debug)]
pub(crate) struct PlanView<'a> {
    pub(crate) plan: &'a Plan,
    /// `crm · upsertContact · mirror`
    pub(crate) to: String,
}

/// How many records of an unusable or refused kind are listed.
const LISTED_MAX: usize = 5;
/// How many lines of a request's body are shown.
const BODY_LINES_MAX: usize = 40;

/// The plan of one mapping.
pub(crate) fn plan(view: &PlanView<'_>, paint: Paint) -> String {
    let plan = view.plan;
    let mut out = format!("{} {}\n", paint.bold(&plan.mapping), paint.dim(&format!("→ {}", view.to)));
    out.push_str(&indented(&counts_line(&plan.counts, plan.checkpoint, paint), 2));
    for (title, lines) in [("Unusable keys", unusable(plan)), ("Refused by the mapping or the action", refused(plan))] {
        if !lines.is_empty() {
            out.push_str(&format!("\n  {}\n", paint.yellow(title)));
            out.push_str(&indented(&lines.join("\n"), 4));
        }
    }
    if !plan.samples.is_empty() {
        out.push_str(&format!("\n  {}\n", paint.bold("Changes (a sample)")));
        for sample in &plan.samples {
            let mark = mark(sample.operation, paint);
            out.push_str(&format!("  {mark} {}\n", paint.bold(&cut(&sample.key, 60))));
            out.push_str(&fields(sample.operation, &sample.fields, paint));
            if let Err(reason) = &sample.payload {
                out.push_str(&format!("      {}\n", paint.dim(&format!("not sent: {reason}"))));
            }
        }
    }
    for (index, request) in plan.requests.iter().enumerate() {
        if index == 0 {
            out.push_str(&format!("\n  {}\n", paint.bold("Requests, exactly as they would be sent")));
        }
        out.push_str(&indented(&request_text(request, paint), 4));
    }
    if let Some(problem) = &plan.requests_problem {
        out.push_str(&format!("\n  {} {problem}\n", paint.yellow("The requests cannot be shown:")));
    }
    if let Some(held) = &plan.held {
        out.push_str(&format!("\n  {} {held}\n", paint.yellow("A guard would hold this sync:")));
    }
    out
}

/// The counts in one or two lines.
pub(crate) fn counts_line(counts: &Counts, checkpoint: u64, paint: Paint) -> String {
    let mut out = format!(
        "{} read, {} unchanged, {} known to the destination\n",
        counted(counts.extracted, "record"),
        number(counts.unchanged),
        number(checkpoint)
    );
    let mut parts = vec![
        paint.green(&format!("+ {} added", number(counts.added))),
        paint.yellow(&format!("~ {} updated", number(counts.updated))),
        paint.red(&format!("- {} deleted", number(counts.deleted))),
    ];
    for (count, word) in
        [(counts.rejected, "rejected"), (counts.skipped, "skipped"), (counts.unusable_key(), "with an unusable key")]
    {
        if count > 0 {
            parts.push(format!("{} {word}", number(count)));
        }
    }
    out.push_str(&parts.join("   "));
    out
}

fn mark(operation: Operation, paint: Paint) -> String {
    match operation {
        Operation::Added => paint.green("+"),
        Operation::Updated => paint.yellow("~"),
        Operation::Deleted => paint.red("-"),
    }
}

fn fields(operation: Operation, fields: &[FieldChange], paint: Paint) -> String {
    let width = fields.iter().map(|field| field.column.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for field in fields {
        let name = format!("{:width$}", field.column);
        let line = match operation {
            Operation::Added => shown(&field.after),
            Operation::Deleted => shown(&field.before),
            Operation::Updated => {
                format!("{} {} {}", shown(&field.before), paint.dim("→"), paint.bold(&shown(&field.after)))
            }
        };
        out.push_str(&format!("      {}  {line}\n", paint.dim(&name)));
    }
    out
}

fn shown(value: &Value) -> String {
    cut(&value.to_json(), 60)
}

fn request_text(request: &SampleRequest, paint: Paint) -> String {
    let mut out = format!("{} {}\n", paint.cyan(&request.method), request.url);
    for (name, value) in &request.headers {
        out.push_str(&format!("{}\n", paint.dim(&format!("{name}: {value}"))));
    }
    if !request.body.is_empty() {
        out.push_str(&body(&request.body, BODY_LINES_MAX));
        out.push('\n');
    }
    out
}

fn unusable(plan: &Plan) -> Vec<String> {
    let all = plan.unusable.iter().map(|record| {
        let reason = match record.reason.as_str() {
            "duplicate_key" => format!("the key {} stands more than once", cut(&record.key, 40)),
            _ => "a part of the key is null".to_owned(),
        };
        format!("{reason}: {}", cut(&record.values.to_json(), 90))
    });
    limited(all.collect())
}

fn refused(plan: &Plan) -> Vec<String> {
    let all = plan.refused.iter().map(|record| format!("{}: {}", cut(&record.key, 40), record.message));
    limited(all.collect())
}

fn limited(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > LISTED_MAX {
        let more = lines.len() - LISTED_MAX;
        lines.truncate(LISTED_MAX);
        lines.push(format!("… {more} more"));
    }
    lines
}
