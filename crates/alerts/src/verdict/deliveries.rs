//! How many of the records that were to be sent were delivered: by the newest sync, and over a window of time.

use jiff::Timestamp;
use serde_json::json;
use store::SyncState;

use super::Verdict;
use crate::{DeliveryRate, PartlyDelivered, SyncFacts, span};

pub(super) fn judge_partly(rule: PartlyDelivered, newest: &SyncFacts) -> Verdict {
    let (undelivered, attempted) = (newest.undelivered(), newest.attempted());
    match newest.state {
        SyncState::Done => Verdict::Fine(match attempted {
            0 => "nothing is left to deliver".to_owned(),
            _ => format!("all {attempted} records were delivered"),
        }),
        SyncState::Partly => {
            let percent = percent(undelivered, attempted);
            if undelivered < rule.records_min || percent < rule.percent_min {
                return Verdict::Fine(format!("{undelivered} of {attempted} records were not delivered"));
            }
            let counts = &newest.counts;
            let kinds = [
                (counts.rejected, "rejected"),
                (counts.retry, "to be tried again"),
                (counts.in_doubt, "in doubt"),
                (counts.unusable_key(), "with an unusable key"),
            ];
            let kinds: Vec<String> =
                kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
            let message = format!("{undelivered} of {attempted} records were not delivered: {}", kinds.join(", "));
            let details = json!({
                "undelivered": undelivered,
                "records": attempted,
                "rejected": counts.rejected,
                "retry": counts.retry,
                "in_doubt": counts.in_doubt,
                "unusable_key": counts.unusable_key(),
            });
            Verdict::trouble(message, details, newest.id)
        }
        // A sync that did not come to its end says nothing of what its records would have become.
        _ => Verdict::Unknown,
    }
}

pub(super) fn judge_rate(rule: DeliveryRate, syncs: &[SyncFacts], now: Timestamp) -> Verdict {
    let since = now - rule.window;
    let within = || syncs.iter().filter(|sync| sync.state.is_final() && sync.at > since);
    let (delivered, records) = within()
        .fold((0, 0), |(delivered, records), sync| (delivered + sync.counts.delivered, records + sync.attempted()));
    if records < rule.records_min {
        return Verdict::Unknown;
    }
    let rate = percent(delivered, records);
    let message = format!(
        "{rate:.1} % of {records} records were delivered in the last {}; the limit is {} %",
        span::words(rule.window),
        rule.below_percent
    );
    if rate >= rule.below_percent {
        return Verdict::Fine(message);
    }
    let details = json!({ "delivered": delivered, "records": records, "percent": rate });
    Verdict::trouble(message, details, within().next().map(|sync| sync.id))
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}
