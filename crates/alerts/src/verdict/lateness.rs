//! Whether a mapping keeps to its schedule.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::Verdict;
use crate::{DueFacts, Late, form::Until, span};

/// Judges a mapping by when it was due.
pub fn judge_lateness(rule: Late, due: &DueFacts, now: Timestamp) -> Verdict {
    let waited = |since: Timestamp| Duration::try_from(now.duration_since(since)).unwrap_or_default();
    let late = |since: &Timestamp| waited(*since) > rule.tolerance;
    let told = |since: Timestamp, what: &str, state: &str| {
        let message = format!(
            "a sync was due on {}, {} ago, and {what}",
            since.strftime("%Y-%m-%d %H:%M UTC"),
            span::words(waited(since))
        );
        Verdict::trouble(message, json!({ "due_at": since, "state": state }), None)
    };
    if let Some(since) = due.waiting_since.filter(late) {
        return told(since, "has not started", "waiting");
    }
    if let Some(since) = due.running_since.filter(late).filter(|_| rule.until == Until::Ended) {
        return told(since, "has not ended", "running");
    }
    if let Some(silence) = rule.silence {
        let since = due.ended_at.map_or(due.enabled_since, |ended| ended.max(due.enabled_since));
        if waited(since) > silence {
            let message = match due.ended_at {
                Some(_) => format!("no sync has ended for {}", span::words(waited(since))),
                None => format!("no sync has ever ended, {} after it was enabled", span::words(waited(since))),
            };
            return Verdict::trouble(message, json!({ "last_ended_at": due.ended_at, "state": "silent" }), None);
        }
    }
    Verdict::Fine("it keeps to its schedule again".to_owned())
}
