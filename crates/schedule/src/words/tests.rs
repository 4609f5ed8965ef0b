//! Schedules in words.

use crate::ScheduleForm;

#[test]
fn a_schedule_reads_as_a_person_would_say_it() {
    for (yaml, words) in [
        ("manual", "only when it is started"),
        ("{ every: 15m }", "every 15 minutes"),
        ("{ every: 1d }", "every day"),
        ("{ at: 09:30 }", "every day at 09:30 (UTC)"),
        ("{ at: 09:30, days: [fri, mon], time_zone: Europe/Berlin }", "Mondays and Fridays at 09:30 (Europe/Berlin)"),
        ("{ at: [\"17:00\", 9:30], days: mon-fri }", "Mondays to Fridays at 09:30 and 17:00 (UTC)"),
        ("{ at: 09:30, days: [sat, sun] }", "Saturdays and Sundays at 09:30 (UTC)"),
        ("{ at: 09:30, days: [sat, sun, mon] }", "Mondays, Saturdays and Sundays at 09:30 (UTC)"),
        ("{ cron: \"* * * * *\" }", "every minute (UTC)"),
        ("{ cron: \"0 * * * *\" }", "every hour (UTC)"),
        ("{ cron: \"5 * * * *\" }", "every hour, 5 minutes past (UTC)"),
        ("{ cron: \"1 * * * *\" }", "every hour, 1 minute past (UTC)"),
        ("{ cron: \"5,20,40 * * * *\" }", "every hour at :05, :20 and :40 (UTC)"),
        ("{ cron: \"*/10 * * * *\" }", "every 10 minutes (UTC)"),
        (
            "{ cron: \"*/10 8-18 * * mon-fri\", time_zone: America/New_York }",
            "every 10 minutes from 08:00 to 18:50, Mondays to Fridays (America/New_York)",
        ),
        ("{ cron: \"15 8-18 * * *\" }", "every hour, 15 minutes past from 08:15 to 18:15 (UTC)"),
        ("{ cron: \"0 */2 * * *\" }", "every 2 hours (UTC)"),
        ("{ cron: \"15 */2 * * *\" }", "every 2 hours, 15 minutes past (UTC)"),
        ("{ cron: \"*/15 8,12,16 * * *\" }", "every 15 minutes in the hours from 08:00, 12:00 and 16:00 (UTC)"),
        ("{ cron: \"30 9 * * *\" }", "every day at 09:30 (UTC)"),
        ("{ cron: \"0 6 1,15 * *\" }", "on the 1st and 15th at 06:00 (UTC)"),
        ("{ cron: \"0 6 2,3,11,22,23,31 * *\" }", "on the 2nd, 3rd, 11th, 22nd, 23rd and 31st at 06:00 (UTC)"),
        ("{ cron: \"0 6 1 1,7 *\" }", "on the 1st in January and July at 06:00 (UTC)"),
        ("{ cron: \"0 6 * 12 *\" }", "every day in December at 06:00 (UTC)"),
        ("{ cron: \"0 6 13 * fri\" }", "on the 13th or Fridays at 06:00 (UTC)"),
        ("{ cron: \"0 6 1-31 * fri\" }", "every day at 06:00 (UTC)"),
        ("{ cron: \"0 6 */15 * sun\" }", "on the 1st, 16th and 31st if it is one of the Sundays at 06:00 (UTC)"),
        ("{ after: orders }", "after `orders` has succeeded"),
        ("{ after: [orders, customers] }", "after `orders` and `customers` have all succeeded"),
        ("{ after: [a, b, c], when: all_finished }", "after `a`, `b` and `c` have all finished"),
        ("{ hook: { secret: abc } }", "when a signed request comes"),
        ("{ hook: { kind: dbt_cloud, secret: abc } }", "after any job of dbt Cloud that calls has succeeded"),
        ("{ hook: { kind: dbt_cloud, secret: abc, jobs: 7 } }", "after job 7 of dbt Cloud has succeeded"),
        (
            "{ hook: { kind: dbt_cloud, secret: abc, jobs: [7, 8] } }",
            "after one of the jobs 7 and 8 of dbt Cloud has succeeded",
        ),
    ] {
        let form: ScheduleForm = serde_saphyr::from_str(yaml).unwrap();
        let schedule = form.check().unwrap_or_else(|problems| panic!("{yaml}: {problems:?}"));
        assert_eq!(schedule.describe(), words, "{yaml}");
    }
}
