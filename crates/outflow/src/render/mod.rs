//! From results to text for people. Pure functions: nothing here reads, writes or knows the time of day.

mod destinations;
mod facts;
mod failure;
mod findings;
mod paint;
mod plan;
mod reference;
mod rows;
mod syncs;
mod trace;
mod tried;

pub(crate) use destinations::{action, case_reports, choices, destination, destinations};
pub(crate) use facts::{DestinationRow, dynamic_fields, sign_in};
pub(crate) use failure::failure;
pub(crate) use findings::findings;
pub(crate) use paint::Paint;
pub(crate) use plan::{PlanView, plan};
pub(crate) use reference::{reference, reference_index};
pub(crate) use rows::{Rows, rows};
pub(crate) use syncs::{StatusRow, history, outcome_of, report, status};
pub(crate) use trace::{TraceView, trace};
pub(crate) use tried::tried;

#[cfg(test)]
mod tests;

/// A number with its thousands apart: `2,314`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 record`, `2,314 records`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(count))
}

/// A duration as people read it: `0.4 s`, `3 min 12 s`.
pub(crate) fn duration(from: jiff::Timestamp, to: jiff::Timestamp) -> String {
    let millis = to.as_millisecond().saturating_sub(from.as_millisecond()).max(0);
    match millis / 1000 {
        seconds if seconds < 60 => format!("{}.{} s", seconds, millis % 1000 / 100),
        seconds if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// How long ago that was, roughly: `just now`, `12 min ago`.
pub(crate) fn ago(from: jiff::Timestamp, now: jiff::Timestamp) -> String {
    match now.as_second().saturating_sub(from.as_second()) {
        ..10 => "just now".to_owned(),
        seconds @ ..120 => format!("{seconds} s ago"),
        seconds @ ..7_200 => format!("{} min ago", seconds / 60),
        seconds @ ..172_800 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

/// A point in time to the second, in UTC.
pub(crate) fn time(timestamp: jiff::Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Text cut to a width, so that a line stays a line.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let text = text.replace(['\n', '\r', '\t'], " ");
    if text.chars().count() <= width {
        return text;
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// Every line moved to the right.
pub(crate) fn indented(text: &str, by: usize) -> String {
    let space = " ".repeat(by);
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{space}{line}\n") }).collect()
}

/// A body as people read it: JSON over several lines, anything else as it is; cut after some lines.
pub(crate) fn body(text: &str, lines_max: usize) -> String {
    let pretty = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(json) if json.is_object() || json.is_array() => {
            serde_json::to_string_pretty(&json).unwrap_or_else(|_| text.to_owned())
        }
        _ => text.to_owned(),
    };
    let total = pretty.lines().count();
    if total <= lines_max {
        return pretty;
    }
    let head: Vec<&str> = pretty.lines().take(lines_max).collect();
    format!("{}\n… {} more lines", head.join("\n"), total - lines_max)
}
