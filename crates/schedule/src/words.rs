//! A schedule in English words.

use crate::{After, Calendar, Hook, HookKind, Schedule, When, calendar};

const DAYS: [&str; 7] = ["Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Times of day that are told one by one.
const TIMES_MAX: usize = 6;

impl Schedule {
    /// The schedule in words, to stand after "it is synced": `every 15 minutes`, `Mondays and Fridays at 09:30
    /// (Europe/Berlin)`.
    pub fn describe(&self) -> String {
        match self {
            Self::Manual => "only when it is started".to_owned(),
            Self::Every(interval) => format!("every {}", interval.words()),
            Self::At(calendar) | Self::Cron(calendar) => calendar.words(),
            Self::After(after) => after.words(),
            Self::Hook(hook) => hook.words(),
        }
    }
}

impl Calendar {
    fn words(&self) -> String {
        let (is_frequent, times) = self.times_in_words();
        let days = match (self.days_in_words(), is_frequent) {
            (Some(days), true) => format!("{times}, {days}"),
            (Some(days), false) => format!("{days} {times}"),
            (None, true) => times,
            (None, false) => format!("every day {times}"),
        };
        format!("{days} ({})", self.zone_name)
    }

    /// The times of a day, and whether they need no "every day" beside them.
    fn times_in_words(&self) -> (bool, String) {
        let hours = distinct(self.times.iter().map(|time| time / 60));
        let minutes = distinct(self.times.iter().map(|time| time % 60));
        // A cron expression names hours and minutes; each hour has the same minutes.
        let is_grid = hours.len() * minutes.len() == self.times.len();
        if self.times.len() <= TIMES_MAX || !is_grid {
            let times = self.times.iter().map(|time| format!("{:02}:{:02}", time / 60, time % 60));
            return (false, format!("at {}", listed(times.collect())));
        }
        let every = match &minutes[..] {
            all if all.len() == 60 => "every minute".to_owned(),
            [0] => "every hour".to_owned(),
            [1] => "every hour, 1 minute past".to_owned(),
            [one] => format!("every hour, {one} minutes past"),
            several => match step(several, 60) {
                Some(step) => format!("every {step} minutes"),
                None => {
                    let minutes = several.iter().map(|minute| format!(":{minute:02}"));
                    format!("every hour at {}", listed(minutes.collect()))
                }
            },
        };
        let last = minutes.last().copied().unwrap_or(0);
        let within = match &hours[..] {
            all if all.len() == 24 => String::new(),
            [first, .., end] if usize::from(end - first) + 1 == hours.len() => {
                format!(" from {first:02}:{:02} to {end:02}:{last:02}", minutes.first().copied().unwrap_or(0))
            }
            several => match step(several, 24) {
                Some(step) if minutes.len() == 1 => {
                    let past = every.strip_prefix("every hour").unwrap_or_default();
                    return (true, format!("every {step} hours{past}"));
                }
                _ => {
                    let hours = several.iter().map(|hour| format!("{hour:02}:00"));
                    format!(" in the hours from {}", listed(hours.collect()))
                }
            },
        };
        (true, every + &within)
    }

    fn days_in_words(&self) -> Option<String> {
        let calendar::Days { months, of_month, of_week, either } = self.days;
        let of_week_words = (of_week != calendar::EVERY_DAY_OF_WEEK).then(|| days_of_week(of_week));
        let of_month_words = (of_month != calendar::EVERY_DAY_OF_MONTH).then(|| {
            let days: Vec<String> = (1..=31).filter(|day| of_month >> day & 1 == 1).map(ordinal).collect();
            format!("on the {}", listed(days))
        });
        let days = match (of_month_words, of_week_words) {
            (Some(of_month), Some(of_week)) if either => Some(format!("{of_month} or {of_week}")),
            // Each day is one of either.
            _ if either => None,
            (Some(of_month), Some(of_week)) => Some(format!("{of_month} if it is one of the {of_week}")),
            (of_month, of_week) => of_month.or(of_week),
        };
        let is_all_year = months == calendar::EVERY_MONTH;
        let months = (1..=12).filter(|month| months >> month & 1 == 1).map(|month: usize| MONTHS[month - 1].to_owned());
        match (days, is_all_year) {
            (days, true) => days,
            (Some(days), false) => Some(format!("{days} in {}", listed(months.collect()))),
            (None, false) => Some(format!("every day in {}", listed(months.collect()))),
        }
    }
}

/// `Mondays to Fridays`, `Mondays and Thursdays`. The week begins on Monday.
fn days_of_week(set: u64) -> String {
    let days: Vec<usize> = (1..=7).filter(|day| set >> (day % 7) & 1 == 1).collect();
    match days[..] {
        [first, _, .., last] if last - first + 1 == days.len() => {
            format!("{} to {}", DAYS[first % 7], DAYS[last % 7])
        }
        _ => listed(days.into_iter().map(|day| DAYS[day % 7].to_owned()).collect()),
    }
}

fn ordinal(number: u16) -> String {
    let ending = match (number % 10, number / 10 % 10) {
        (1, tens) if tens != 1 => "st",
        (2, tens) if tens != 1 => "nd",
        (3, tens) if tens != 1 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// The distance of numbers from 0 on that divide a whole turn evenly.
fn step(numbers: &[u16], turn: u16) -> Option<u16> {
    let [0, step, ..] = *numbers else { return None };
    let is_even = numbers.iter().zip((0..turn).step_by(usize::from(step))).all(|(number, even)| *number == even);
    (is_even && turn.is_multiple_of(step) && numbers.len() == usize::from(turn / step)).then_some(step)
}

fn distinct(numbers: impl Iterator<Item = u16>) -> Vec<u16> {
    numbers.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

impl After {
    fn words(&self) -> String {
        let names = listed(self.mappings.iter().map(|name| format!("`{name}`")).collect());
        let done = match self.when {
            When::AllSucceeded => "succeeded",
            When::AllFinished => "finished",
        };
        match self.mappings.len() {
            1 => format!("after {names} has {done}"),
            _ => format!("after {names} have all {done}"),
        }
    }
}

impl Hook {
    fn words(&self) -> String {
        match (self.kind, &self.jobs[..]) {
            (HookKind::Signed, _) => "when a signed request comes".to_owned(),
            (HookKind::DbtCloud, []) => "after any job of dbt Cloud that calls has succeeded".to_owned(),
            (HookKind::DbtCloud, [job]) => format!("after job {job} of dbt Cloud has succeeded"),
            (HookKind::DbtCloud, jobs) => {
                let jobs = jobs.iter().map(u64::to_string).collect();
                format!("after one of the jobs {} of dbt Cloud has succeeded", listed(jobs))
            }
        }
    }
}

/// `a, b and c`
fn listed(mut words: Vec<String>) -> String {
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} and {last}", words.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
