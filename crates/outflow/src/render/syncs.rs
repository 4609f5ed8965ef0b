//! Reports of syncs, the status of mappings, their history.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use records::Counts;
use serde::Serialize;
use store::{SyncRow, SyncState};
use sync::{Ending, SyncReport};

use super::{Paint, ago, counted, cut, duration, indented, number, time};

/// What became of one sync, in some lines.
pub(crate) fn report(report: &SyncReport, paint: Paint) -> String {
    let counts = &report.counts;
    let headline = match report.ending {
        Ending::Done if counts.changed() == 0 => paint.green("nothing changed"),
        Ending::Done => paint.green("done"),
        Ending::Partly => paint.yellow("partly delivered"),
        Ending::Held => paint.yellow("held"),
        Ending::Cancelled => paint.yellow("cancelled"),
        Ending::Failed => paint.red("failed"),
    };
    let mut out = format!("{} {headline}", paint.bold(&report.mapping));
    if let Some(sync) = &report.sync {
        out.push_str(&format!("  {}", paint.dim(&sync.to_string())));
    }
    out.push('\n');
    if counts.extracted > 0 || counts.changed() > 0 {
        out.push_str(&format!("  {}\n", changes(counts)));
    }
    if counts.changed() > 0 && report.ending != Ending::Held {
        out.push_str(&format!("  {}\n", outcomes(counts, paint)));
    }
    for failure in &report.failures {
        let line = format!(
            "{} {} ({}): {}, for example key {}",
            number(failure.records),
            failure.outcome.name(),
            failure.code,
            cut(&failure.message, 160),
            cut(&failure.key, 40)
        );
        out.push_str(&indented(&line, 4));
    }
    for record in report.unusable.iter().take(5) {
        let reason = match record.reason.as_str() {
            "duplicate_key" => format!("the key {} stands more than once", cut(&record.key, 40)),
            _ => "a part of the key is null".to_owned(),
        };
        out.push_str(&indented(&format!("{reason}: {}", cut(&record.values.to_json(), 90)), 4));
    }
    if let Some(held) = &report.held {
        out.push_str(&format!("  {} {held}\n", paint.yellow("held:")));
        let next = if held.can_be_released() {
            format!("look at it with `outflow plan {0}`, release it with `outflow sync {0} --yes`", report.mapping)
        } else {
            format!("`outflow baseline {0}` or `outflow reset {0}` begin anew", report.mapping)
        };
        out.push_str(&format!("  {} {next}\n", paint.green("hint:")));
    }
    if let Some(problem) = &report.problem {
        out.push_str(&format!("  {} {}\n", paint.red("error:"), problem.message));
        if let Some(hint) = &problem.hint {
            out.push_str(&format!("  {} {hint}\n", paint.green("hint:")));
        }
    }
    if report.ending == Ending::Cancelled {
        out.push_str(&format!(
            "  {} what was not delivered is pending; the next sync sends it\n",
            paint.green("hint:")
        ));
    }
    out
}

fn changes(counts: &Counts) -> String {
    let mut parts = vec![
        format!("{} read", counted(counts.extracted, "record")),
        format!("{} unchanged", number(counts.unchanged)),
        format!("{} added", number(counts.added)),
        format!("{} updated", number(counts.updated)),
        format!("{} deleted", number(counts.deleted)),
    ];
    if counts.unusable_key() > 0 {
        parts.push(format!("{} with an unusable key", number(counts.unusable_key())));
    }
    parts.join(", ")
}

fn outcomes(counts: &Counts, paint: Paint) -> String {
    let mut parts = vec![paint.green(&format!("{} delivered", number(counts.delivered)))];
    for (count, word) in [
        (counts.skipped, "skipped"),
        (counts.rejected, "rejected"),
        (counts.retry, "to retry"),
        (counts.in_doubt, "in doubt"),
    ] {
        if count > 0 {
            let text = format!("{} {word}", number(count));
            parts.push(if word == "skipped" { text } else { paint.yellow(&text) });
        }
    }
    parts.join(", ")
}

/// One mapping as `status` shows it.
#[derive(Debug, Serialize)]
pub(crate) struct StatusRow {
    pub(crate) mapping: String,
    pub(crate) model: String,
    pub(crate) destination: String,
    pub(crate) enabled: bool,
    /// Records the destination holds as far as we were told. None before the first sync.
    pub(crate) records: Option<u64>,
    pub(crate) last: Option<LastSync>,
}

/// The last sync of a mapping.
#[derive(Debug, Serialize)]
pub(crate) struct LastSync {
    pub(crate) sync: String,
    pub(crate) state: &'static str,
    pub(crate) started_at: String,
    pub(crate) finished_at: Option<String>,
    pub(crate) counts: Counts,
    pub(crate) reason: Option<String>,
    #[serde(skip)]
    started: Timestamp,
}

/// A sync in the form that `status` and `history` show.
pub(crate) fn outcome_of(row: &SyncRow) -> LastSync {
    let reason = match (&row.error, &row.held) {
        (Some(error), _) => Some(error.message.clone()),
        (None, Some(held)) => Some(held.message.clone()),
        (None, None) => None,
    };
    LastSync {
        sync: row.id.to_string(),
        state: row.state.name(),
        started_at: row.started_at.to_string(),
        finished_at: row.finished_at.map(|at| at.to_string()),
        counts: row.counts,
        reason,
        started: row.started_at,
    }
}

/// All mappings with their last sync.
pub(crate) fn status(rows: &[StatusRow], now: Timestamp, paint: Paint) -> String {
    if rows.is_empty() {
        return "The project has no mapping yet.\n".to_owned();
    }
    let mut table = plain_table();
    table.set_header(["mapping", "model → destination", "records", "last sync", "", "changes", "not delivered"]);
    for row in rows {
        let route = format!("{} → {}{}", row.model, row.destination, if row.enabled { "" } else { " (off)" });
        let records = row.records.map_or("–".to_owned(), number);
        let cells = match &row.last {
            None => ["never".to_owned(), String::new(), String::new(), String::new()],
            Some(last) => [last.state.to_owned(), ago(last.started, now), delta(&last.counts), open(&last.counts)],
        };
        let [state, ago, changes, open] = cells;
        table.add_row([row.mapping.clone(), route, records, state, ago, changes, open]);
    }
    let mut out = format!("{table}\n");
    for row in rows {
        if let Some(reason) = row.last.as_ref().and_then(|last| last.reason.as_ref()) {
            out.push_str(&format!("\n{} {reason}\n", paint.yellow(&format!("{}:", row.mapping))));
        }
    }
    out
}

fn delta(counts: &Counts) -> String {
    format!("+{} ~{} -{}", number(counts.added), number(counts.updated), number(counts.deleted))
}

fn open(counts: &Counts) -> String {
    let open = counts.rejected + counts.retry + counts.in_doubt + counts.unusable_key();
    if open == 0 { "–".to_owned() } else { number(open) }
}

/// The syncs of a project or a mapping, newest first.
pub(crate) fn history(rows: &[SyncRow], paint: Paint) -> String {
    if rows.is_empty() {
        return "No sync has run yet.\n".to_owned();
    }
    let mut table = plain_table();
    table.set_header(["started (UTC)", "mapping", "state", "took", "changes", "delivered", "not delivered", "sync"]);
    for row in rows {
        let state = match row.state {
            SyncState::Failed => paint.red(row.state.name()),
            _ => row.state.name().to_owned(),
        };
        table.add_row([
            time(row.started_at),
            row.mapping.clone(),
            state,
            row.finished_at.map_or("–".to_owned(), |end| duration(row.started_at, end)),
            delta(&row.counts),
            number(row.counts.delivered),
            open(&row.counts),
            row.id.to_string(),
        ]);
    }
    format!("{table}\n")
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table
}
