//! What is wrong in schedules, and what is right.

use super::*;

fn check(yaml: &str) -> Result<Schedule, Vec<Problem>> {
    serde_saphyr::from_str::<ScheduleForm>(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}")).check()
}

#[test]
fn each_mistake_is_told_with_its_place_and_what_is_right() {
    let when = "it does not say when; give one of `every`, `at`, `cron`, `after`, `hook`, or write `manual`";
    for (yaml, expected) in [
        ("{}", vec![when]),
        ("{ time_zone: UTC }", vec![when]),
        ("{ days: mon }", vec!["it has days but no times; add `at`, as in `at: \"09:30\"`"]),
        ("{ every: 1h, at: 09:30 }", vec!["it has `every` and `at`; a schedule has one of them"]),
        (
            "{ every: 1 hour }",
            vec!["`every`: `1 hour` is not a length of time; write it as `90s`, `15m`, `2h`, `1h30m` or `1d`"],
        ),
        (
            "{ every: 1h, days: mon, time_zone: UTC, when: all_finished }",
            vec![
                "`days`: it goes with `at`, not with `every`; take it out",
                "`time_zone`: it goes with `at` or `cron`, not with `every`; take it out",
                "`when`: it goes with `after`, not with `every`; take it out",
            ],
        ),
        ("{ at: [] }", vec!["`at`: it needs at least 1"]),
        ("{ at: \"24:00\" }", vec!["`at`: `24:00` is not a time of day; write it as `09:30`, from `00:00` to `23:59`"]),
        (
            "{ at: [09:30, 9.30, \"09:60\", 930, \"9:30\"], days: [mon, funday], time_zone: Berlin }",
            vec![
                "`at[1]`: `9.30` is not a time of day; write it as `09:30`, from `00:00` to `23:59`",
                "`at[2]`: `09:60` is not a time of day; write it as `09:30`, from `00:00` to `23:59`",
                "`at[3]`: `930` is not a time of day; write it as `09:30`, from `00:00` to `23:59`",
                "`at[4]`: `9:30` stands there twice; take one out",
                "`days[1]`: `funday` is not a day; write `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`, or a range such as `mon-fri`",
                "`time_zone`: `Berlin` is not a time zone; did you mean `Europe/Berlin`?",
            ],
        ),
        ("{ at: 09:30, days: [] }", vec!["`days`: it needs at least 1"]),
        (
            "{ at: 09:30, time_zone: Mars }",
            vec!["`time_zone`: `Mars` is not a time zone; write an IANA name such as `Europe/Berlin` or `UTC`"],
        ),
        (
            "{ cron: \"0 25 * * *\", time_zone: new york }",
            vec![
                "`cron`: `25` is not an hour; it takes numbers from 0 to 23, `*`, ranges, lists and steps",
                "`time_zone`: `new york` is not a time zone; did you mean `America/New_York`?",
            ],
        ),
        ("{ after: [] }", vec!["`after`: it needs at least 1"]),
        (
            "{ after: [orders, \"\", orders] }",
            vec![
                "`after[1]`: it must not be empty; write the name of a mapping",
                "`after[2]`: `orders` stands there twice; take one out",
            ],
        ),
        (
            "{ hook: { secret: \" \" } }",
            vec!["`hook.secret`: it must not be empty; write a long random text that the caller knows too"],
        ),
        (
            "{ hook: { secret: abc, header: \"X Signature\", jobs: 1 } }",
            vec![
                "`hook.header`: `X Signature` is not the name of a header; write it as `X-Signature`",
                "`hook.jobs`: it goes with `kind: dbt_cloud`; take it out",
            ],
        ),
        (
            "{ hook: { kind: dbt_cloud, secret: abc, header: X-Signature, jobs: [] } }",
            vec![
                "`hook.header`: it goes with `kind: signed`; dbt Cloud signs in a header of its own; take it out",
                "`hook.jobs`: it needs at least 1",
            ],
        ),
    ] {
        let problems: Vec<String> = check(yaml).unwrap_err().iter().map(Problem::to_string).collect();
        assert_eq!(problems, expected, "{yaml}");
    }
}

#[test]
fn days_are_words_and_ranges() {
    let days = |yaml: &str| match check(yaml).unwrap() {
        Schedule::At(calendar) => calendar.days.of_week,
        other => panic!("{other:?}"),
    };
    for (yaml, expected) in [
        ("{ at: 09:30 }", 0b111_1111),
        ("{ at: 09:30, days: mon }", 0b000_0010),
        ("{ at: 09:30, days: [Sunday, SAT] }", 0b100_0001),
        ("{ at: 09:30, days: mon-fri }", 0b011_1110),
        ("{ at: 09:30, days: [fri-mon, wed] }", 0b110_1011),
        ("{ at: 09:30, days: mon-sun }", 0b111_1111),
    ] {
        assert_eq!(days(yaml), expected, "{yaml}");
    }
}

#[test]
fn a_zone_has_its_own_spelling_and_utc_is_the_default() {
    for (yaml, zone) in [
        ("{ at: 09:30 }", "UTC"),
        ("{ at: 09:30, time_zone: europe/berlin }", "Europe/Berlin"),
        ("{ cron: 0 9 * * *, time_zone: America/New_York }", "America/New_York"),
    ] {
        assert_eq!(check(yaml).unwrap().time_zone(), Some(zone), "{yaml}");
    }
}

#[test]
fn a_hook_knows_where_its_signature_stands() {
    for (yaml, header, jobs) in [
        ("{ hook: { secret: abc } }", "X-Outflow-Signature", vec![]),
        ("{ hook: { kind: signed, secret: abc, header: X-Hub-Signature-256 } }", "X-Hub-Signature-256", vec![]),
        ("{ hook: { kind: dbt_cloud, secret: abc, jobs: 7 } }", "Authorization", vec![7]),
    ] {
        let Schedule::Hook(hook) = check(yaml).unwrap() else { panic!("{yaml}") };
        assert_eq!((hook.signature_header(), hook.jobs(), hook.secret()), (header, &jobs[..], "abc"), "{yaml}");
    }
}
