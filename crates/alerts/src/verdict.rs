//! What a rule finds in the facts: for each kind of trouble, whether it is there now, with a sentence that says so.

mod columns;
mod deliveries;
mod lateness;
mod rows;

use jiff::Timestamp;
use records::SyncId;
use serde_json::{Value, json};
use store::SyncState;

use crate::{CredentialFacts, CredentialsExpiring, Failed, Kind, SyncFacts, When, span};
pub use columns::judge_columns;
pub use lateness::judge_lateness;

/// The longest sentence of another part that is repeated.
const REASON_CHARS_MAX: usize = 400;

/// Whether there is trouble of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Trouble(Finding),
    /// There is none; the sentence tells it to those who knew of some.
    Fine(String),
    /// The facts do not tell: what was known stays known.
    Unknown,
}

/// Trouble, in words and in figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// One sentence without its full stop.
    pub message: String,
    /// The figures in it, for programs.
    pub details: Value,
    /// The sync that showed it.
    pub sync: Option<SyncId>,
}

impl Verdict {
    fn trouble(message: String, details: Value, sync: impl Into<Option<SyncId>>) -> Self {
        Self::Trouble(Finding { message, details, sync: sync.into() })
    }
}

/// Judges a mapping by its syncs: those that have come to an end, newest first, and before them the one that is held,
/// if one is. Kinds that other facts decide are not among the answers.
pub fn judge_syncs(when: &When, syncs: &[SyncFacts], now: Timestamp) -> Vec<(Kind, Verdict)> {
    let mut verdicts = Vec::new();
    let Some(newest) = syncs.first() else { return verdicts };
    if let Some(failed) = when.failed {
        verdicts.push((Kind::Failed, judge_failed(failed, syncs)));
    }
    if let Some(partly) = when.partly_delivered {
        verdicts.push((Kind::PartlyDelivered, deliveries::judge_partly(partly, newest)));
    }
    if when.held {
        verdicts.push((Kind::Held, judge_held(newest)));
    }
    if let Some(rate) = when.delivery_rate {
        verdicts.push((Kind::DeliveryRate, deliveries::judge_rate(rate, syncs, now)));
    }
    if when.zero_rows {
        verdicts.push((Kind::ZeroRows, rows::judge_zero(newest)));
    }
    if let Some(unusual) = when.unusual_rows {
        verdicts.push((Kind::UnusualRows, rows::judge_unusual(unusual, syncs)));
    }
    verdicts
}

/// Cancelled and held syncs say nothing of whether syncs fail, nor do those that others go on with.
fn judge_failed(failed: Failed, syncs: &[SyncFacts]) -> Verdict {
    let is_failure = |sync: &SyncFacts| matches!(sync.state, SyncState::Failed | SyncState::Interrupted);
    let ended = || {
        let says =
            |state| matches!(state, SyncState::Done | SyncState::Partly | SyncState::Failed | SyncState::Interrupted);
        syncs.iter().filter(move |sync| says(sync.state) && !sync.is_taken_over)
    };
    let Some(newest) = ended().next() else { return Verdict::Unknown };
    if !is_failure(newest) {
        return Verdict::Fine("a sync came to its end again".to_owned());
    }
    let in_a_row = ended().take_while(|sync| is_failure(sync)).count();
    if in_a_row < failed.in_a_row {
        return Verdict::Unknown;
    }
    let code = newest.reason.as_ref().map_or("interrupted", |(code, _)| code.as_str());
    let why = match &newest.reason {
        Some((_, reason)) => shortened(reason),
        None => "its process ended without a word; the next sync takes up what is left".to_owned(),
    };
    let message = match failed.in_a_row {
        1 => format!("the sync failed: {why}"),
        count => format!("the last {count} syncs failed, the newest because {why}"),
    };
    Verdict::trouble(message, json!({ "code": code }), newest.id)
}

fn judge_held(newest: &SyncFacts) -> Verdict {
    match newest.state {
        SyncState::Held => {
            let (code, reason) = newest.reason.clone().unwrap_or_default();
            let message = format!("a guard holds the sync, and nothing was sent: {}", shortened(&reason));
            Verdict::trouble(message, json!({ "code": code }), newest.id)
        }
        _ => Verdict::Fine(RELEASED.to_owned()),
    }
}

/// What is told when a sync is held no longer.
pub(crate) const RELEASED: &str = "no sync is held any more";

/// Judges one credential.
pub fn judge_credential(rule: CredentialsExpiring, credential: &CredentialFacts, now: Timestamp) -> Verdict {
    let CredentialFacts { what, ends_at } = credential;
    let details = json!({ "ends_at": ends_at });
    let day = ends_at.strftime("%Y-%m-%d %H:%M UTC");
    match std::time::Duration::try_from(ends_at.duration_since(now)) {
        Err(_) => Verdict::trouble(format!("{what} ended on {day}"), details, None),
        Ok(left) if left <= rule.within => {
            Verdict::trouble(format!("{what} ends in {} ({day})", span::words(left)), details, None)
        }
        Ok(_) => Verdict::Fine(format!("{what} is good until {day}")),
    }
}

/// A sentence of another part, cut where it is too long.
fn shortened(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    match text.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
