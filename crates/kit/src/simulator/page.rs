//! The page of a simulator for people: what came, what it holds. It loads nothing from elsewhere.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Reply, Report};

/// What is shown of the records; all of them are in the JSON.
const HELD_CHARS_MAX: usize = 200_000;
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse}td,th{text-align:left;padding:.15rem 1.5rem .15rem 0;vertical-align:top}\
    pre{background:#8881;padding:1rem;overflow:auto}code{font-size:.9em}:root{color-scheme:light dark}";

pub(super) fn reply(report: &Report) -> Reply {
    Reply::typed(200, "text/html; charset=utf-8", html(report))
        .with_header("content-security-policy", POLICY)
        .with_header("cache-control", "no-store")
}

fn html(report: &Report) -> String {
    let mut rows = String::new();
    for (endpoint, answers) in &report.endpoints {
        let answers: Vec<_> = answers.iter().map(|(answer, count)| format!("{count} × {answer}")).collect();
        let _ = write!(rows, "<tr><td><code>{}</code><td>{}", escaped(endpoint), escaped(&answers.join(", ")));
    }
    if rows.is_empty() {
        rows.push_str("<tr><td>None yet.");
    }
    format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"3\">\
         <title>Simulator</title><style>{STYLE}</style>\
         <h1>Simulator</h1><p>{} so far. The same as JSON: <a href=\"/_simulator\"><code>/_simulator</code></a></p>\
         <h2>Requests</h2><table>{rows}</table>\
         <h2>Settings in force</h2><pre>{}</pre><h2>What it holds</h2><pre>{}</pre></html>",
        if report.requests == 1 { "1 request".to_owned() } else { format!("{} requests", report.requests) },
        escaped(&pretty(&report.settings)),
        escaped(&shortened(pretty(&report.held))),
    )
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(HELD_CHARS_MAX) {
        text.truncate(end);
        text.push_str("\n… (cut)");
    }
    text
}

/// Text that cannot become markup.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}
