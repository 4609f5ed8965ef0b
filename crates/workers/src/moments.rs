//! When a mapping is due next: from its schedule, its switches and what is known of it. Nothing is read or written here.

use jiff::Timestamp;
use schedule::{Finished, HookForm, Schedule, ScheduleForm};
use serde_json::Value;
use store::{Cause, DueRow};

/// What definitions say about when a mapping starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) model: String,
    /// Mapping, model and destination are all switched on.
    pub(crate) enabled: bool,
    /// As [`written`] gives it.
    pub(crate) schedule: String,
}

/// The schedule as it is kept beside the moments that follow from it: without its secret.
pub(crate) fn written(form: &ScheduleForm) -> String {
    let mut form = form.clone();
    if let ScheduleForm::Parts(parts) = &mut form
        && let Some(HookForm { secret, .. }) = &mut parts.hook
    {
        "kept".clone_into(secret);
    }
    serde_json::to_string(&form).unwrap_or_default()
}

/// The schedule of a text that [`written`] gave. What cannot be read is never due by itself.
pub(crate) fn read(text: &str) -> Schedule {
    let form = serde_json::from_str::<ScheduleForm>(text).ok();
    form.and_then(|form| form.check().ok()).unwrap_or_default()
}

/// The schedule of a mapping's document, if it can be told without looking at anything else.
pub(crate) fn of_document(document: &Value) -> Option<ScheduleForm> {
    let form: ScheduleForm = match document.get("schedule") {
        None | Some(Value::Null) => ScheduleForm::Manual,
        Some(written) => serde_json::from_value(written.clone()).ok()?,
    };
    form.check().ok()?;
    Some(form)
}

/// What makes a mapping with this schedule due.
pub(crate) fn reason(schedule: &Schedule) -> Cause {
    match schedule {
        Schedule::After(_) => Cause::After,
        Schedule::Hook(_) => Cause::Hook,
        _ => Cause::Schedule,
    }
}

/// The first moment after `now` at which a mapping is due that was started last for the moment `last`.
///
/// A clock that is set back a little makes nothing due a second time: what was started for a moment to come goes on
/// from there. If that moment is farther away than the schedule ever waits, the clock had been wrong before, and what
/// counts is what it shows now.
pub(crate) fn next_due(schedule: &Schedule, now: Timestamp, last: Option<Timestamp>) -> Option<Timestamp> {
    if let Some(last) = last.filter(|last| *last > now)
        && let Some(following) = schedule.next_after(last, Some(last))
        && last.duration_since(now) <= following.duration_since(last)
    {
        return Some(following);
    }
    schedule.next_after(now, last)
}

/// What is to be written down about when a mapping is due. None: what is known holds.
pub(crate) fn updated(
    known: Option<&DueRow>,
    mapping: &str,
    wanted: &Wanted,
    now: Timestamp,
    finished: impl Fn(&str) -> Option<Finished>,
) -> Option<DueRow> {
    let schedule = read(&wanted.schedule);
    let row = |next_due_at, last_due_at, consumed: String, waits| DueRow {
        mapping: mapping.to_owned(),
        model: wanted.model.clone(),
        schedule: wanted.schedule.clone(),
        enabled: wanted.enabled,
        next_due_at,
        last_due_at,
        reason: reason(&schedule),
        waits,
        consumed,
        revision: known.map_or(0, |known| known.revision),
    };
    let seen = || match &schedule {
        Schedule::After(after) => serde_json::to_string(&after.consume(&finished)).unwrap_or_default(),
        _ => "{}".to_owned(),
    };
    let updated = match known {
        _ if !wanted.enabled => row(None, None, "{}".to_owned(), false),
        Some(known) if known.enabled => {
            let is_same = known.schedule == wanted.schedule;
            let is_overdue = known.next_due_at.is_some_and(|due| due <= now);
            let next = match schedule.is_timed() {
                // What has come already is not lost by an edit.
                true if is_overdue => known.next_due_at,
                true => match next_due(&schedule, now, known.last_due_at) {
                    // A moment once set stays, unless the clock was set back since.
                    next if !is_same => next,
                    next => known.next_due_at.into_iter().chain(next).min(),
                },
                false if is_same => known.next_due_at,
                false => None,
            };
            let consumed = if is_same { known.consumed.clone() } else { seen() };
            row(next, known.last_due_at, consumed, known.waits && next.is_some())
        }
        // It is switched on: an interval begins at once, and what others have done before does not count.
        _ => row(next_due(&schedule, now, None), None, seen(), false),
    };
    (known != Some(&updated)).then_some(updated)
}

#[cfg(test)]
mod tests;
