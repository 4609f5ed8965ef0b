//! Times of day where clocks change, and against a scan of every minute.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::cron::Cron;

fn calendar(cron: &str, zone: &str) -> Calendar {
    let Cron { times, days, every_hour } = Cron::parse(cron).unwrap();
    Calendar { times, days, every_hour, zone: TimeZone::get(zone).unwrap(), zone_name: zone.to_owned() }
}

/// The due moments from `after` until `before`, as a clock in the zone shows them.
fn due(cron: &str, zone: &str, after: &str, before: &str) -> Vec<String> {
    let calendar = calendar(cron, zone);
    let before: Timestamp = before.parse().unwrap();
    let next = |last: &Timestamp| calendar.next_after(*last).filter(|next| *next < before);
    let first = next(&after.parse().unwrap());
    let shown = |moment: Timestamp| {
        let offset = calendar.zone.to_offset(moment);
        format!("{}{offset}", calendar.zone.to_datetime(moment).strftime("%d %H:%M"))
    };
    std::iter::successors(first, next).map(shown).collect()
}

#[test]
fn a_time_that_the_day_does_not_have_is_due_after_the_gap() {
    // Clocks go from 02:00 to 03:00.
    let berlin = |cron| due(cron, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
    assert_eq!(berlin("30 2 * * *"), ["29 03:00+02", "30 02:30+02"]);
    // Two in the gap, and one at its end, are one.
    assert_eq!(
        berlin("0,15 2,3 * * *"),
        ["29 03:00+02", "29 03:15+02", "30 02:00+02", "30 02:15+02", "30 03:00+02", "30 03:15+02"]
    );
    assert_eq!(
        berlin("0 */2 29 * *"),
        [
            "29 00:00+01",
            "29 03:00+02",
            "29 04:00+02",
            "29 06:00+02",
            "29 08:00+02",
            "29 10:00+02",
            "29 12:00+02",
            "29 14:00+02",
            "29 16:00+02",
            "29 18:00+02",
            "29 20:00+02",
            "29 22:00+02",
        ]
    );
}

#[test]
fn a_time_that_the_day_has_twice_is_due_the_first_time() {
    // Clocks go from 03:00 to 02:00.
    let berlin = |cron, after| due(cron, "Europe/Berlin", after, "2026-10-26T12:00:00Z");
    assert_eq!(berlin("30 2 * * *", "2026-10-24T12:00:00Z"), ["25 02:30+02", "26 02:30+01"]);
    // Asked between the first and the second time, and in the second.
    assert_eq!(berlin("30 2 * * *", "2026-10-25T00:45:00Z"), ["26 02:30+01"]);
    assert_eq!(berlin("30 2 * * *", "2026-10-25T01:10:00Z"), ["26 02:30+01"]);
    assert_eq!(berlin("30 2,3 25 * *", "2026-10-25T00:30:00Z"), ["25 03:30+01"]);
    assert_eq!(berlin("0 3 * * *", "2026-10-25T00:59:00Z"), ["25 03:00+01", "26 03:00+01"]);
}

#[test]
fn what_is_due_every_hour_follows_the_hours_that_go_by() {
    assert_eq!(
        due("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", "2026-03-29T02:01:00Z"),
        ["29 01:30+01", "29 03:00+02", "29 03:30+02", "29 04:00+02"]
    );
    assert_eq!(
        due("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z"),
        ["29 01:30+01", "29 03:30+02"]
    );
    assert_eq!(
        due("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", "2026-10-25T02:01:00Z"),
        ["25 02:00+02", "25 02:30+02", "25 02:00+01", "25 02:30+01", "25 03:00+01"]
    );
}

#[test]
fn clocks_change_at_midnight_by_half_an_hour_and_by_a_day() {
    // Cuba has no midnight that day.
    assert_eq!(
        due("0 0 * * *", "America/Havana", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z"),
        ["08 01:00-04", "09 00:00-04"]
    );
    // Nor has Lebanon; the minute before is there.
    assert_eq!(due("59 23 * * sun", "Asia/Beirut", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"), ["29 23:59+03"]);
    // Lord Howe Island changes by 30 minutes.
    assert_eq!(
        due("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-05T00:00:00Z"),
        ["04 02:30+11", "05 02:15+11"]
    );
    // Samoa left out 30 December 2011.
    assert_eq!(
        due("30 9 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", "2012-01-01T00:00:00Z"),
        ["29 09:30-10", "31 00:00+14", "31 09:30+14", "01 09:30+14"]
    );
    // In Newfoundland the repeated hour began on the day before.
    assert_eq!(
        due("30 * 6 11 *", "America/St_Johns", "2010-11-07T01:15:00Z", "2010-11-08T12:00:00Z"),
        ["06 23:30-02:30", "06 23:30-03:30"]
    );
}

#[test]
fn a_zone_without_changes_is_arithmetic() {
    assert_eq!(
        due("0 9 * * mon-fri", "Asia/Kolkata", "2026-01-02T03:30:00Z", "2026-01-07T00:00:00Z"),
        ["05 09:00+05:30", "06 09:00+05:30"]
    );
}

#[test]
fn seconds_do_not_hide_the_next_minute() {
    let calendar = calendar("* * * * *", "UTC");
    for (after, next) in [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
        ("2026-01-01T00:00:00.000000001Z", "2026-01-01T00:01:00Z"),
        ("2026-01-01T00:00:59.999999999Z", "2026-01-01T00:01:00Z"),
    ] {
        assert_eq!(calendar.next_after(after.parse().unwrap()), Some(next.parse().unwrap()), "{after}");
    }
}

const ZONES: [&str; 11] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "America/Santiago",
];

fn field(least: u32, most: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        1 => (2..=most).prop_map(|step| format!("*/{step}")),
        2 => (least..=most).prop_map(|one| one.to_string()),
        1 => (least..=most, least..=most).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => prop::collection::vec(least..=most, 1..4)
            .prop_map(|list| list.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7))
        .prop_map(|(minute, hour, of_month, month, of_week)| format!("{minute} {hour} {of_month} {month} {of_week}"))
        .prop_filter("is due at some time", |text| Cron::parse(text).is_ok())
}

/// Half of the moments are near a change of the clock.
fn moment() -> impl Strategy<Value = (&'static str, Timestamp)> {
    let zones = prop::sample::select(&ZONES[..]);
    (zones, 1_100_000_000i64..2_200_000_000, any::<bool>(), -200_000i64..100_000).prop_map(
        |(zone, second, near, shift)| {
            let moment = Timestamp::from_second(second).unwrap();
            let time_zone = TimeZone::get(zone).unwrap();
            let change = time_zone.following(moment).next().filter(|_| near).map(|change| change.timestamp());
            let moment =
                change.and_then(|change| change.checked_add(SignedDuration::from_secs(shift)).ok()).unwrap_or(moment);
            (zone, moment)
        },
    )
}

/// Whether a date and time of a clock is one that `text` names, told from the text by other means than the program's.
fn names(text: &str, shown: DateTime) -> bool {
    let fields: Vec<&str> = text.split(' ').collect();
    let has = |field: &str, number: i8, least: i8| {
        field.split(',').any(|part| {
            let (range, step) = part.split_once('/').map_or((part, 1), |(range, step)| (range, step.parse().unwrap()));
            let (first, last) = match range.split_once('-') {
                Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap()),
                None if range == "*" => (least, i8::MAX),
                None => (range.parse().unwrap(), range.parse().unwrap()),
            };
            first <= number && number <= last && (number - first) % step == 0
        })
    };
    let week = shown.weekday().to_sunday_zero_offset();
    let of_week = has(fields[4], week, 0)
        || week == 0 && fields[4] != "*" && !fields[4].starts_with("*/") && has(fields[4], 7, 0);
    let of_month = has(fields[2], shown.day(), 1);
    let either = !fields[2].starts_with('*') && !fields[4].starts_with('*');
    has(fields[0], shown.minute(), 0)
        && has(fields[1], shown.hour(), 0)
        && has(fields[3], shown.month(), 1)
        && if either { of_month || of_week } else { of_month && of_week }
}

/// The first due moment within `minutes` after `after`, found by looking at the clock every minute.
fn scan(text: &str, calendar: &Calendar, after: Timestamp, minutes: i64) -> Option<Timestamp> {
    let start = after.as_second().div_euclid(60);
    let shown = |minute: i64| calendar.zone.to_datetime(Timestamp::from_second(minute * 60).unwrap());
    // The latest time that the clock has shown so far.
    let mut reached = (start - 3000..=start).map(shown).max().unwrap();
    for minute in start + 1..=start + minutes {
        let now = shown(minute);
        let is_due = if calendar.every_hour {
            names(text, now)
        } else {
            let mut passed = Vec::new();
            let mut next = reached + SignedDuration::from_mins(1);
            while next <= now {
                passed.push(next);
                next += SignedDuration::from_mins(1);
            }
            passed.into_iter().any(|passed| names(text, passed))
        };
        reached = reached.max(now);
        if is_due {
            return Timestamp::from_second(minute * 60).ok();
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_next_moment_is_the_one_that_a_look_at_every_minute_finds(text in expression(), (zone, after) in moment()) {
        let calendar = calendar(&text, zone);
        let next = calendar.next_after(after).unwrap();
        prop_assert!(next > after);
        let days = 4;
        let soon = (next.as_second() - after.as_second() <= days * 86_400).then_some(next);
        let found = scan(&text, &calendar, after, days * 1440 + 1);
        let found = found.filter(|found| found.as_second() - after.as_second() <= days * 86_400);
        prop_assert_eq!(soon, found);
    }

    #[test]
    fn moments_follow_one_another_and_no_question_in_between_finds_others(text in expression(), (zone, after) in moment(), part in 0.0f64..1.0) {
        let calendar = calendar(&text, zone);
        let first = calendar.next_after(after).unwrap();
        let second = calendar.next_after(first).unwrap();
        prop_assert!(after < first && first < second);
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any moment in between will do")]
        let between = Timestamp::from_second(first.as_second() + ((second.as_second() - first.as_second()) as f64 * part) as i64).unwrap();
        prop_assert_eq!(calendar.next_after(between), Some(second));
    }
}
