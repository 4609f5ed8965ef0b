//! When a mapping is due next.

use jiff::SignedDuration;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn wanted(schedule: &str, enabled: bool) -> Wanted {
    let form: ScheduleForm = serde_json::from_str(schedule).unwrap();
    Wanted { model: "people".to_owned(), enabled, schedule: written(&form) }
}

fn none(_: &str) -> Option<Finished> {
    None
}

const HOURLY: &str = r#"{"every":"1h"}"#;
const QUARTERS: &str = r#"{"cron":"*/15 * * * *"}"#;

#[test]
fn an_interval_starts_at_once_when_it_is_switched_on_and_never_when_it_is_off() {
    let now = at("2026-03-01T10:07:00Z");
    let off = updated(None, "people", &wanted(HOURLY, false), now, none).unwrap();
    assert_eq!((off.enabled, off.next_due_at), (false, None));
    let on = updated(Some(&off), "people", &wanted(HOURLY, true), now, none).unwrap();
    assert_eq!((on.enabled, on.next_due_at), (true, Some(now)));
    let started = DueRow { next_due_at: Some(at("2026-03-01T11:07:00Z")), last_due_at: Some(now), ..on };
    let later = at("2026-03-01T10:20:00Z");
    assert_eq!(updated(Some(&started), "people", &wanted(HOURLY, true), later, none), None, "nothing changed");
    let off = updated(Some(&started), "people", &wanted(HOURLY, false), later, none).unwrap();
    let again = updated(Some(&off), "people", &wanted(HOURLY, true), later, none).unwrap();
    assert_eq!(again.next_due_at, Some(later), "it is switched on anew");
}

#[test]
fn an_edit_goes_on_from_the_last_start_and_loses_nothing_that_was_due() {
    let last = at("2026-03-01T10:00:00Z");
    let known = updated(None, "people", &wanted(HOURLY, true), last, none).unwrap();
    let known = DueRow { next_due_at: Some(at("2026-03-01T11:00:00Z")), last_due_at: Some(last), ..known };
    let now = at("2026-03-01T10:10:00Z");
    let faster = updated(Some(&known), "people", &wanted(r#"{"every":"20m"}"#, true), now, none).unwrap();
    assert_eq!(faster.next_due_at, Some(at("2026-03-01T10:20:00Z")));
    let late = at("2026-03-01T11:30:00Z");
    let overdue = updated(Some(&known), "people", &wanted(QUARTERS, true), late, none).unwrap();
    assert_eq!(overdue.next_due_at, known.next_due_at);
    let manual = updated(Some(&known), "people", &wanted("\"manual\"", true), late, none).unwrap();
    assert_eq!(manual.next_due_at, None);
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_due_twice_and_nothing_wait_long() {
    for schedule in [HOURLY, QUARTERS] {
        let schedule = read(&wanted(schedule, true).schedule);
        let last = at("2026-03-01T10:00:00Z");
        let regular = schedule.next_after(last, Some(last)).unwrap();
        for seconds_back in [1, 3, 600] {
            let now = last - SignedDuration::from_secs(seconds_back);
            assert_eq!(next_due(&schedule, now, Some(last)), Some(regular), "{seconds_back} seconds back");
        }
        let now = at("2025-03-01T10:07:00Z");
        let next = next_due(&schedule, now, Some(last)).unwrap();
        assert!(next > now && next.duration_since(now) <= SignedDuration::from_hours(1), "a year back: {next}");
    }
}

#[test]
fn a_moment_that_a_wrong_clock_had_set_is_corrected() {
    let right = at("2026-03-01T10:07:00Z");
    for schedule in [HOURLY, QUARTERS] {
        let known = updated(None, "people", &wanted(schedule, true), right, none).unwrap();
        // The clock had jumped a month ahead, and what was due then started then.
        let known = DueRow { next_due_at: Some(at("2026-04-01T10:15:00Z")), last_due_at: Some(right), ..known };
        let corrected = updated(Some(&known), "people", &wanted(schedule, true), right, none).unwrap();
        let next = corrected.next_due_at.unwrap();
        assert!(next > right && next.duration_since(right) <= SignedDuration::from_hours(1), "{next}");
    }
}

#[test]
fn one_that_waits_for_others_waits_for_what_comes_after_it_was_switched_on() {
    let now = at("2026-03-01T10:00:00Z");
    let finished = |name: &str| Some(Finished { sync: format!("sync of {name}"), at: now, succeeded: true });
    let row = updated(None, "people", &wanted(r#"{"after":"orders"}"#, true), now, finished).unwrap();
    assert_eq!((row.next_due_at, row.reason), (None, Cause::After));
    assert_eq!(row.consumed, r#"{"orders":"sync of orders"}"#);
    let due = DueRow { next_due_at: Some(now), ..row };
    assert_eq!(updated(Some(&due), "people", &wanted(r#"{"after":"orders"}"#, true), now, none), None);
}

#[test]
fn the_secret_of_a_hook_is_not_kept_with_it() {
    let wanted = wanted(r#"{"hook":{"secret":"s3cret-of-the-hook"}}"#, true);
    assert!(!wanted.schedule.contains("s3cret"));
    assert_eq!(reason(&read(&wanted.schedule)), Cause::Hook);
}
