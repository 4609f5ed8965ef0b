//! The next moments of every kind of schedule.

use super::*;
use crate::ScheduleForm;

fn schedule(yaml: &str) -> Schedule {
    let form: ScheduleForm = serde_saphyr::from_str(yaml).unwrap();
    form.check().unwrap_or_else(|problems| panic!("{yaml}: {problems:?}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn an_interval_is_due_right_away_and_then_at_whole_intervals() {
    let every = schedule("{ every: 15m }");
    let now = at("2026-03-01T10:07:30Z");
    assert_eq!(every.next_after(now, None), Some(now));
    for (after, next) in [
        ("2026-03-01T10:07:30Z", "2026-03-01T10:22:30Z"),
        // A delayed start does not move the ones after it.
        ("2026-03-01T10:11:00Z", "2026-03-01T10:22:30Z"),
        // At a due moment the next one is meant: that one is being started.
        ("2026-03-01T10:22:30Z", "2026-03-01T10:37:30Z"),
        // However many went by, one is next.
        ("2026-03-04T20:00:00Z", "2026-03-04T20:07:30Z"),
        // A clock that was set back by a month.
        ("2026-02-01T10:00:00Z", "2026-02-01T10:07:30Z"),
    ] {
        assert_eq!(every.next_after(at(after), Some(now)), Some(at(next)), "{after}");
    }
}

#[test]
fn missed_times_of_day_are_made_up_for_by_one_sync() {
    let daily = schedule("{ at: 09:30, time_zone: Europe/Berlin }");
    let anchor = Some(at("2026-03-01T08:30:00Z"));
    assert_eq!(daily.next_after(at("2026-03-07T12:00:00Z"), anchor), Some(at("2026-03-08T08:30:00Z")));
}

#[test]
fn the_next_five_are_those_that_follow_one_another() {
    let now = at("2026-03-27T12:00:30Z");
    for (yaml, count, expected) in [
        ("{ every: 6h }", 3, vec!["2026-03-27T12:00:30Z", "2026-03-27T18:00:30Z", "2026-03-28T00:00:30Z"]),
        (
            "{ at: [09:30, \"17:00\"], days: [fri, sat, sun, mon], time_zone: Europe/Berlin }",
            6,
            vec![
                "2026-03-27T16:00:00Z",
                "2026-03-28T08:30:00Z",
                "2026-03-28T16:00:00Z",
                // Summer time begins.
                "2026-03-29T07:30:00Z",
                "2026-03-29T15:00:00Z",
                "2026-03-30T07:30:00Z",
            ],
        ),
        ("{ cron: 0 0 29 2 * }", 2, vec!["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ("{ cron: 0 0 13 * fri }", 3, vec!["2026-04-03T00:00:00Z", "2026-04-10T00:00:00Z", "2026-04-13T00:00:00Z"]),
        ("{ at: 09:30 }", 0, vec![]),
        ("manual", 5, vec![]),
        ("{ after: orders }", 5, vec![]),
        ("{ hook: { secret: abc } }", 5, vec![]),
    ] {
        let expected: Vec<Timestamp> = expected.into_iter().map(at).collect();
        assert_eq!(schedule(yaml).next_times(count, now, None), expected, "{yaml}");
    }
}

#[test]
fn time_ends_with_the_year_9999() {
    for yaml in ["{ every: 1h }", "{ at: 09:30 }", "{ cron: 30 9 * * *, time_zone: Asia/Tokyo }", "{ cron: 0 * * * * }"]
    {
        assert_eq!(schedule(yaml).next_after(Timestamp::MAX, Some(Timestamp::MAX)), None, "{yaml}");
    }
    let century = schedule("{ cron: 0 0 1 1 * }").next_times(10_000, at("9000-01-01T00:00:00Z"), None);
    assert_eq!(century.len(), 999);
}

#[test]
fn only_moments_make_a_timed_schedule_due() {
    for (yaml, is_timed, awaited) in [
        ("manual", false, &[][..]),
        ("{ every: 1s }", true, &[]),
        ("{ at: 09:30 }", true, &[]),
        ("{ cron: 30 9 * * * }", true, &[]),
        ("{ after: orders }", false, &["orders"]),
        ("{ after: [orders, customers] }", false, &["orders", "customers"]),
        ("{ hook: { secret: abc } }", false, &[]),
    ] {
        let schedule = schedule(yaml);
        assert_eq!(
            (schedule.is_timed(), schedule.awaited()),
            (is_timed, &awaited.iter().map(|&name| name.to_owned()).collect::<Vec<String>>()[..]),
            "{yaml}"
        );
        assert_eq!(schedule.next_after(at("2026-01-01T00:00:00Z"), None).is_some(), is_timed, "{yaml}");
    }
}
