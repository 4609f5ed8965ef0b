//! What cron expressions say, and what is wrong with those that say nothing.

use proptest::prelude::*;

use super::*;
use crate::calendar::{EVERY_DAY_OF_MONTH, EVERY_DAY_OF_WEEK, EVERY_MONTH};

fn parse(text: &str) -> Cron {
    Cron::parse(text).unwrap_or_else(|message| panic!("{text}: {message}"))
}

fn numbers(set: u64) -> Vec<u32> {
    (0..64).filter(|number| set >> number & 1 == 1).collect()
}

#[test]
fn a_star_is_every_number() {
    let cron = parse("* * * * *");
    assert_eq!(cron.times, (0..1440).collect::<Vec<u16>>());
    assert_eq!((cron.days.months, cron.days.of_month), (EVERY_MONTH, EVERY_DAY_OF_MONTH));
    assert_eq!((cron.days.of_week, cron.days.either, cron.every_hour), (EVERY_DAY_OF_WEEK, false, true));
}

#[test]
fn minutes_and_hours_are_lists_ranges_and_steps() {
    for (text, expected) in [
        ("30 9 * * *", vec![570]),
        ("0,30 9,17 * * *", vec![540, 570, 1020, 1050]),
        ("0 8-10 * * *", vec![480, 540, 600]),
        ("*/20 0 * * *", vec![0, 20, 40]),
        ("10-50/20 0 * * *", vec![10, 30, 50]),
        ("45/10 0 * * *", vec![45, 55]),
        ("5,5,5-6 23 * * *", vec![1385, 1386]),
        ("0 */12 * * *", vec![0, 720]),
    ] {
        assert_eq!(parse(text).times, expected, "{text}");
    }
}

#[test]
fn months_and_days_have_names() {
    for (text, months, of_week) in [
        ("0 0 * jan,MAR-May mon-fri", vec![1, 3, 4, 5], vec![1, 2, 3, 4, 5]),
        ("0 0 * */6 sun", vec![1, 7], vec![0]),
        ("0 0 * 12 7", vec![12], vec![0]),
        ("0 0 * 1 fri-sun", vec![1], vec![0, 5, 6]),
        ("0 0 * 1 5-7", vec![1], vec![0, 5, 6]),
        ("0 0 * 1 0-7", vec![1], vec![0, 1, 2, 3, 4, 5, 6]),
        ("0 0 * 1 */2", vec![1], vec![0, 2, 4, 6]),
        ("0 0 * 1 mon/3", vec![1], vec![1, 4]),
    ] {
        let days = parse(text).days;
        assert_eq!((numbers(days.months), numbers(days.of_week)), (months, of_week), "{text}");
    }
}

#[test]
fn days_are_either_of_month_or_of_week_only_if_both_are_restricted() {
    for (text, either) in [
        ("0 0 1 * mon", true),
        ("0 0 1 * *", false),
        ("0 0 * * mon", false),
        ("0 0 */2 * mon", false),
        ("0 0 1-15 * */2", false),
    ] {
        assert_eq!(parse(text).days.either, either, "{text}");
    }
}

#[test]
fn whether_each_hour_is_meant_does_not_depend_on_how_it_is_written() {
    for (text, every_hour) in [
        ("0 * * * *", true),
        ("0 */1 * * *", true),
        ("0 0-23 * * *", true),
        ("0 */2 * * *", false),
        ("* 1 * * *", false),
    ] {
        assert_eq!(parse(text).every_hour, every_hour, "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_with_the_field_and_what_it_takes() {
    for (text, message) in [
        (
            "0 0 * *",
            "`0 0 * *` has 4 fields; write five: minute, hour, day of month, month, day of week, as in `30 9 * * mon-fri`",
        ),
        (
            "0 0 0 * * *",
            "`0 0 0 * * *` has 6 fields; write five: minute, hour, day of month, month, day of week, as in `30 9 * * mon-fri`",
        ),
        ("@daily", "`@daily` is not known; write `0 0 * * *`"),
        ("60 0 * * *", "`60` is not a minute; it takes numbers from 0 to 59, `*`, ranges, lists and steps"),
        ("0 24 * * *", "`24` is not an hour; it takes numbers from 0 to 23, `*`, ranges, lists and steps"),
        ("0 0 0 * *", "`0` is not a day of month; it takes numbers from 1 to 31, `*`, ranges, lists and steps"),
        ("0 0 L * *", "`L` is not a day of month; it takes numbers from 1 to 31, `*`, ranges, lists and steps"),
        (
            "0 0 * foo *",
            "`foo` is not a month; it takes numbers from 1 to 12 (or `jan` to `dec`), `*`, ranges, lists and steps",
        ),
        (
            "0 0 * * 8",
            "`8` is not a day of week; it takes numbers from 0 to 7 (or `sun` to `sat`), `*`, ranges, lists and steps",
        ),
        (
            "0 0 * * mon#1",
            "`mon#1` is not a day of week; it takes numbers from 0 to 7 (or `sun` to `sat`), `*`, ranges, lists and steps",
        ),
        ("1, 0 * * *", "`1,` is not a minute; it takes numbers from 0 to 59, `*`, ranges, lists and steps"),
        ("+1 0 * * *", "`+1` is not a minute; it takes numbers from 0 to 59, `*`, ranges, lists and steps"),
        ("*/0 0 * * *", "`*/0` is not a minute; after `/` stands a number from 1 on, as in `*/15`"),
        ("*/x 0 * * *", "`*/x` is not a minute; after `/` stands a number from 1 on, as in `*/15`"),
        ("0 17-8 * * *", "`17-8` is not an hour; the range runs backwards; write its two halves, with a comma between"),
        (
            "0 0 * * sat-mon",
            "`sat-mon` is not a day of week; the range runs backwards; write its two halves, with a comma between",
        ),
        ("0 0 30 2 *", "`0 0 30 2 *` is never due: no month in it has such a day"),
        ("0 0 31 feb,apr *", "`0 0 31 feb,apr *` is never due: no month in it has such a day"),
    ] {
        assert_eq!(Cron::parse(text).unwrap_err(), message, "{text}");
    }
    // With either, the days of the week are left.
    assert!(Cron::parse("0 0 30 2 mon").is_ok());
    assert!(Cron::parse("0 0 29 2 *").is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "[0-9*/,a-zA-Z -]{0,24}") {
        let _ = Cron::parse(&text);
    }
}
