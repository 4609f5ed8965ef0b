//! Lengths of time, read and added.

use proptest::prelude::*;

use super::*;

fn seconds(text: &str) -> u64 {
    Interval::parse(text).unwrap().seconds()
}

#[test]
fn a_length_of_time_is_numbers_with_units() {
    for (text, expected) in [
        ("1s", 1),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1d 12h", 129_600),
        (" 1 d ", 86_400),
        ("1w", 604_800),
        ("366d", 31_622_400),
    ] {
        assert_eq!(seconds(text), expected, "{text}");
    }
}

#[test]
fn what_is_not_a_length_of_time_is_told_with_what_would_be() {
    let example = "write it as `90s`, `15m`, `2h`, `1h30m` or `1d`";
    for (text, message) in [
        ("", format!("it must not be empty; {example}")),
        ("15", format!("`15` has no unit; {example}")),
        ("15 minutes", format!("`15 minutes` is not a length of time; {example}")),
        ("m", format!("`m` is not a length of time; {example}")),
        ("-5m", format!("`-5m` is not a length of time; {example}")),
        ("1.5h", format!("`1.5h` is not a length of time; {example}")),
        ("30m1h", format!("`30m1h` is not a length of time; {example}")),
        ("1h1h", format!("`1h1h` is not a length of time; {example}")),
        ("15µ", format!("`15µ` is not a length of time; {example}")),
        ("99999999999999999999s", format!("`99999999999999999999s` is not a length of time; {example}")),
        ("99999999999999999w", format!("`99999999999999999w` is not a length of time; {example}")),
        ("0m", "`0m` is too short; it must be at least `1s`".to_owned()),
        ("367d", "`367d` is too long; it may be at most `366d`".to_owned()),
    ] {
        assert_eq!(Interval::parse(text).unwrap_err(), message, "{text}");
    }
}

#[test]
fn a_length_of_time_is_told_in_its_largest_whole_unit() {
    for (text, words) in [
        ("1s", "second"),
        ("90s", "90 seconds"),
        ("15m", "15 minutes"),
        ("1h30m", "90 minutes"),
        ("60m", "hour"),
        ("24h", "day"),
        ("36h", "36 hours"),
        ("14d", "2 weeks"),
    ] {
        assert_eq!(Interval::parse(text).unwrap().words(), words, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_next_moment_is_the_first_one_a_whole_number_of_intervals_away(
        length in 1u64..=SECONDS_MAX,
        after in -2_000_000_000_000i64..4_000_000_000_000,
        anchor in -2_000_000_000_000i64..4_000_000_000_000,
    ) {
        let interval = Interval { seconds: length };
        let (after, anchor) = (Timestamp::from_millisecond(after).unwrap(), Timestamp::from_millisecond(anchor).unwrap());
        let next = interval.next_after(after, anchor).unwrap();
        prop_assert!(next > after);
        let length = i128::from(length) * 1_000_000_000;
        prop_assert!(next.as_nanosecond() - after.as_nanosecond() <= length);
        prop_assert_eq!((next.as_nanosecond() - anchor.as_nanosecond()).rem_euclid(length), 0);
    }
}
