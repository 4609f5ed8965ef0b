//! What must always hold (the design's section 2), stated over one story.

use std::collections::{BTreeMap, BTreeSet};

use sync::{Ending, SyncReport};

use crate::{
    destination::{Truth, is_poison},
    scenario::{BATCH_RECORDS, CONCURRENCY},
    warehouse::{Row, Warehouse},
};

/// What a checkpoint says: key → column and value's JSON; nothing for a record in doubt.
pub(crate) type Remembered = BTreeMap<String, Option<Vec<(String, String)>>>;

/// One sync and the truth around it.
pub(crate) struct Story<'a> {
    pub report: &'a SyncReport,
    pub before: &'a Truth,
    pub truth: &'a Truth,
    pub checkpoint: Remembered,
    /// The mapping mirrors: what the checkpoint holds and the destination holds are the same set.
    pub mirror: bool,
    /// Records that were given up: the checkpoint took them as they are, the destination did not.
    pub claimed: &'a BTreeSet<String>,
}

/// Holds after every sync, whatever went wrong in it.
pub(crate) fn after_sync(story: &Story<'_>) -> Result<(), String> {
    same_change_same_payload(story.truth)?;
    limits_kept(story.truth)?;
    counts_add_up(story)?;
    nothing_sent_unless_loaded(story)?;
    if story.mirror {
        checkpoint_is_true(story)?;
    }
    resent_at_most_what_was_in_flight(story)
}

fn same_change_same_payload(truth: &Truth) -> Result<(), String> {
    match truth.altered.first() {
        Some(altered) => Err(format!("one message id came with two payloads: {altered}")),
        None => Ok(()),
    }
}

fn limits_kept(truth: &Truth) -> Result<(), String> {
    if truth.batch_records_max > BATCH_RECORDS {
        return Err(format!("a batch had {} records", truth.batch_records_max));
    }
    if truth.at_once_max > CONCURRENCY {
        return Err(format!("{} calls at once", truth.at_once_max));
    }
    Ok(())
}

fn counts_add_up(story: &Story<'_>) -> Result<(), String> {
    let counts = &story.report.counts;
    let ended = counts.delivered + counts.rejected + counts.retry + counts.in_doubt + counts.skipped;
    if ended > counts.changed() {
        return Err(format!("{ended} outcomes for {} changes", counts.changed()));
    }
    let all = matches!(story.report.ending, Ending::Done | Ending::Partly);
    if all && ended != counts.changed() {
        return Err(format!("the sync ended with {ended} outcomes for {} changes", counts.changed()));
    }
    // An update is one row and one record; what is deleted is no row.
    let seen = counts.unchanged + counts.added + counts.updated + counts.unusable_key();
    if all && seen != counts.extracted {
        return Err(format!("{seen} rows are accounted for of {}", counts.extracted));
    }
    let more = story.truth.taken.values().sum::<u64>() - story.before.taken.values().sum::<u64>();
    if counts.delivered > more {
        return Err(format!("{} counted delivered, and the destination took {more}", counts.delivered));
    }
    Ok(())
}

fn nothing_sent_unless_loaded(story: &Story<'_>) -> Result<(), String> {
    if story.report.ending == Ending::Held && story.truth.calls != story.before.calls {
        return Err("a held sync called the destination".to_owned());
    }
    Ok(())
}

/// No false success: what the checkpoint holds, the destination holds, but for what it took unheard.
fn checkpoint_is_true(story: &Story<'_>) -> Result<(), String> {
    for (key, columns) in &story.checkpoint {
        let unknown = story.truth.unanswered.contains(key) || story.claimed.contains(key);
        let Some(columns) = columns.as_ref().filter(|_| !unknown) else { continue };
        let Some(held) = story.truth.records.get(key) else {
            return Err(format!("the checkpoint has `{key}`, the destination does not"));
        };
        for (column, value) in columns {
            // An edited mapping may not send the column any more; a record delivered before the edit keeps none of it.
            let sent = format!("\"{column}\":");
            let kept = column != "note" || value != "null";
            if kept && held.contains(&sent) && !held.contains(&format!("{sent}{value}")) {
                return Err(format!("`{key}`: the checkpoint says {column} = {value}, the destination holds {held}"));
            }
        }
    }
    for key in story.truth.records.keys() {
        let unknown = story.truth.unanswered.contains(key) || story.claimed.contains(key);
        if !story.checkpoint.contains_key(key) && !unknown {
            return Err(format!("the destination has `{key}`, and nothing remembers it"));
        }
    }
    Ok(())
}

/// Each change is taken once, but for those whose answer was lost, or was not written down by a process that died.
fn resent_at_most_what_was_in_flight(story: &Story<'_>) -> Result<(), String> {
    let again = |(id, times): (&String, &u64)| {
        let before = story.before.taken.get(id).copied().unwrap_or(0);
        (before > 0 && *times > before).then_some(())
    };
    let resent = story.truth.taken.iter().filter_map(again).count();
    let doubtful = story.before.unanswered.len();
    if resent > doubtful + BATCH_RECORDS * (CONCURRENCY + 2) {
        return Err(format!("{resent} changes were taken again, and {doubtful} were in doubt"));
    }
    Ok(())
}

pub(crate) fn payload(id: i64, row: &Row, edited: bool) -> String {
    let text = |text: &str| records::Value::from(text).to_json();
    let plan = row.plan.as_deref().map_or("null".to_owned(), text);
    let score = records::Value::Float(row.score).to_json();
    let note = if edited { format!(",\"note\":{}", text(&row.note)) } else { String::new() };
    format!(
        "{{\"id\":{id},\"email\":{},\"plan\":{plan},\"score\":{score},\"active\":{}{note}}}",
        text(&row.email),
        row.active
    )
}

/// No loss: the faults are over and what was given up was tried again, so the destination is level with the model, and
/// a further sync finds nothing but what the destination never takes, if that was not given up. What is given up in
/// the end is of that kind, or a deletion whose values are not kept any more.
pub(crate) fn at_the_end(
    report: &SyncReport,
    (truth, warehouse): (&Truth, &Warehouse),
    given_up: &BTreeSet<String>,
    condition: bool,
    edited: bool,
) -> Result<(), String> {
    let mut poison = 0;
    for (id, row) in &warehouse.rows {
        let wanted = payload(*id, row, edited);
        if is_poison(&wanted) {
            poison += 1;
            continue;
        }
        if condition && !row.active {
            continue;
        }
        match truth.records.get(&id.to_string()) {
            Some(held) if same(held, &wanted) => {}
            Some(held) => return Err(format!("in the end `{id}` is {held} there and {wanted} here")),
            None => return Err(format!("in the end `{id}` is missing there")),
        }
    }
    if !condition {
        for key in truth.records.keys() {
            if key.parse().is_ok_and(|id: i64| !warehouse.rows.contains_key(&id)) && !given_up.contains(key) {
                return Err(format!("in the end `{key}` is there still"));
            }
        }
    }
    let counts = &report.counts;
    if counts.changed() > poison || counts.delivered > 0 {
        return Err(format!("in the end a sync still finds {counts:?}, and {poison} records are poison"));
    }
    Ok(())
}

/// An edit of the mapping that took a column out sends nothing, so the destination may hold that column still.
fn same(held: &str, wanted: &str) -> bool {
    let (Ok(held), Ok(wanted)) = (records::Value::parse(held), records::Value::parse(wanted)) else { return false };
    let Some(wanted) = wanted.as_object() else { return false };
    wanted.iter().all(|(key, value)| {
        held.get(key) == Some(value) || key == "note" && value.as_str() == Some("") && held.get(key).is_none()
    })
}
