//! From the form of a schedule to a schedule: everything that is wrong, each with its place.

use jiff::tz::TimeZone;

use crate::{
    After, Calendar, Hook, HookKind, Interval, OneOrMore, Problem, Schedule, ScheduleForm, SchedulePartsForm,
    calendar::{Days, EVERY_DAY_OF_WEEK},
    cron::Cron,
    form::HookForm,
};

const KINDS: [&str; 5] = ["every", "at", "cron", "after", "hook"];
const WEEK: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const TIMES_MAX: usize = 24 * 60;
const AFTER_MAX: usize = 100;

impl ScheduleForm {
    /// The schedule that this is the form of.
    ///
    /// # Errors
    /// All that is wrong, in the order of the form's fields.
    pub fn check(&self) -> Result<Schedule, Vec<Problem>> {
        let Self::Parts(parts) = self else { return Ok(Schedule::Manual) };
        let mut problems = Vec::new();
        let schedule = parts.schedule(&mut problems);
        match schedule {
            Some(schedule) if problems.is_empty() => Ok(schedule),
            _ => Err(problems),
        }
    }
}

impl SchedulePartsForm {
    fn schedule(&self, problems: &mut Vec<Problem>) -> Option<Schedule> {
        let is_given =
            [self.every.is_some(), self.at.is_some(), self.cron.is_some(), self.after.is_some(), self.hook.is_some()];
        let given: Vec<&str> =
            KINDS.into_iter().zip(is_given).filter(|(_, given)| *given).map(|(kind, _)| kind).collect();
        let kind = match given[..] {
            [kind] => kind,
            [] => {
                let message =
                    "it does not say when; give one of `every`, `at`, `cron`, `after`, `hook`, or write `manual`";
                let message = match self.days {
                    Some(_) => "it has days but no times; add `at`, as in `at: \"09:30\"`",
                    None => message,
                };
                problems.push(Problem::new("", message));
                return None;
            }
            _ => {
                let given: Vec<String> = given.iter().map(|kind| format!("`{kind}`")).collect();
                let message = format!("it has {}; a schedule has one of them", given.join(" and "));
                problems.push(Problem::new("", message));
                return None;
            }
        };
        let companions: [(&str, bool, &[&str]); 3] = [
            ("days", self.days.is_some(), &["at"]),
            ("time_zone", self.time_zone.is_some(), &["at", "cron"]),
            ("when", self.when.is_some(), &["after"]),
        ];
        for (field, is_given, with) in companions {
            if is_given && !with.contains(&kind) {
                let with = with.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
                problems.push(Problem::new(field, format!("it goes with {with}, not with `{kind}`; take it out")));
            }
        }
        if let Some(every) = &self.every {
            return note(Interval::parse(every), "every", problems).map(Schedule::Every);
        }
        if let Some(at) = &self.at {
            let times = times(at, problems);
            let days = self.days.as_ref().map_or(EVERY_DAY_OF_WEEK, |days| days_of_week(days, problems));
            let (zone, zone_name) = self.zone(problems)?;
            return Some(Schedule::At(Calendar {
                times,
                days: Days::of_week(days),
                every_hour: false,
                zone,
                zone_name,
            }));
        }
        if let Some(cron) = &self.cron {
            let parsed = note(Cron::parse(cron), "cron", problems);
            let (zone, zone_name) = self.zone(problems)?;
            let Cron { times, days, every_hour } = parsed?;
            return Some(Schedule::Cron(Calendar { times, days, every_hour, zone, zone_name }));
        }
        if let Some(after) = &self.after {
            let mappings = mappings(after, problems);
            return Some(Schedule::After(After { mappings, when: self.when.unwrap_or_default() }));
        }
        self.hook.as_ref().map(|hook| Schedule::Hook(hook.hook(problems)))
    }

    fn zone(&self, problems: &mut Vec<Problem>) -> Option<(TimeZone, String)> {
        let Some(name) = &self.time_zone else { return Some((TimeZone::UTC, "UTC".to_owned())) };
        let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown());
        match zone {
            Some(zone) => {
                let name = zone.iana_name().unwrap_or(name).to_owned();
                Some((zone, name))
            }
            None => {
                let advice = match place_in_zone(name) {
                    Some(zone) => format!("did you mean `{zone}`?"),
                    None => "write an IANA name such as `Europe/Berlin` or `UTC`".to_owned(),
                };
                problems.push(Problem::new("time_zone", format!("`{name}` is not a time zone; {advice}")));
                None
            }
        }
    }
}

/// The zone that is named after a place: `Europe/Berlin` for `Berlin` and for `Germany/Berlin`.
fn place_in_zone(name: &str) -> Option<String> {
    let place = |zone: &str| zone.rsplit('/').next().unwrap_or(zone).replace(' ', "_").to_ascii_lowercase();
    let wanted = place(name);
    jiff::tz::db().available().map(|zone| zone.to_string()).find(|zone| zone.contains('/') && place(zone) == wanted)
}

fn note<T>(parsed: Result<T, String>, field: &str, problems: &mut Vec<Problem>) -> Option<T> {
    parsed.map_err(|message| problems.push(Problem::new(field, message))).ok()
}

fn times(at: &OneOrMore<String>, problems: &mut Vec<Problem>) -> Vec<u16> {
    if !has_some(at, TIMES_MAX, "at", problems) {
        return Vec::new();
    }
    let mut times = Vec::new();
    for (index, text) in at.0.iter().enumerate() {
        let field = place(at, "at", index);
        match time_of_day(text) {
            Some(time) if times.contains(&time) => {
                problems.push(Problem::new(field, format!("`{text}` stands there twice; take one out")));
            }
            Some(time) => times.push(time),
            None => {
                let message = format!("`{text}` is not a time of day; write it as `09:30`, from `00:00` to `23:59`");
                problems.push(Problem::new(field, message));
            }
        }
    }
    times.sort_unstable();
    times
}

/// Minutes since midnight.
fn time_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str, most: u16| {
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|number| is_number && *number <= most)
    };
    if !(1..=2).contains(&hour.len()) || minute.len() != 2 {
        return None;
    }
    Some(number(hour, 23)? * 60 + number(minute, 59)?)
}

/// A set of days, Sunday being bit 0.
fn days_of_week(days: &OneOrMore<String>, problems: &mut Vec<Problem>) -> u64 {
    if !has_some(days, 7, "days", problems) {
        return 0;
    }
    let mut set = 0;
    for (index, text) in days.0.iter().enumerate() {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (day_of_week(first), day_of_week(last)) {
            (Some(first), Some(last)) => {
                // A range may run over the end of the week: `sat-mon`.
                let length = (last + 7 - first) % 7;
                set = (0..=length).fold(set, |set, step| set | 1 << ((first + step) % 7));
            }
            _ => {
                let message = format!(
                    "`{text}` is not a day; write `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`, or a range such as `mon-fri`"
                );
                problems.push(Problem::new(place(days, "days", index), message));
            }
        }
    }
    set
}

/// The place in the week of `mon`, `Monday`; that of Sunday is 0.
fn day_of_week(text: &str) -> Option<usize> {
    let text = text.trim().to_ascii_lowercase();
    WEEK.iter().position(|day| text == *day || text == day[..3])
}

fn mappings(after: &OneOrMore<String>, problems: &mut Vec<Problem>) -> Vec<String> {
    if !has_some(after, AFTER_MAX, "after", problems) {
        return Vec::new();
    }
    let mut mappings: Vec<String> = Vec::new();
    for (index, name) in after.0.iter().enumerate() {
        let field = place(after, "after", index);
        if name.trim().is_empty() {
            problems.push(Problem::new(field, "it must not be empty; write the name of a mapping"));
        } else if mappings.contains(name) {
            problems.push(Problem::new(field, format!("`{name}` stands there twice; take one out")));
        } else {
            mappings.push(name.clone());
        }
    }
    mappings
}

fn has_some<T>(list: &OneOrMore<T>, most: usize, field: &str, problems: &mut Vec<Problem>) -> bool {
    let message = match list.0.len() {
        0 => "it needs at least 1".to_owned(),
        count if count > most => format!("it has {count}; it may have at most {most}"),
        _ => return true,
    };
    problems.push(Problem::new(field, message));
    false
}

/// `at` if it has one value, `at[1]` in a list.
fn place<T>(list: &OneOrMore<T>, field: &str, index: usize) -> String {
    if list.0.len() == 1 { field.to_owned() } else { format!("{field}[{index}]") }
}

impl HookForm {
    fn hook(&self, problems: &mut Vec<Problem>) -> Hook {
        let kind = self.kind.unwrap_or_default();
        if self.secret.trim().is_empty() {
            let message = match kind {
                HookKind::Signed => "it must not be empty; write a long random text that the caller knows too",
                HookKind::DbtCloud => "it must not be empty; dbt Cloud shows it once, when the webhook is made",
            };
            problems.push(Problem::new("hook.secret", message));
        }
        let header = match (kind, &self.header) {
            (HookKind::Signed, None) => Hook::HEADER,
            (HookKind::Signed, Some(header)) => {
                let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
                if header.is_empty() || !header.bytes().all(is_letter) {
                    let message = format!("`{header}` is not the name of a header; write it as `X-Signature`");
                    problems.push(Problem::new("hook.header", message));
                }
                header
            }
            (HookKind::DbtCloud, header) => {
                if header.is_some() {
                    let message = "it goes with `kind: signed`; dbt Cloud signs in a header of its own; take it out";
                    problems.push(Problem::new("hook.header", message));
                }
                Hook::DBT_CLOUD_HEADER
            }
        };
        let jobs = match (kind, &self.jobs) {
            (_, None) => Vec::new(),
            (HookKind::DbtCloud, Some(jobs)) => {
                has_some(jobs, 100, "hook.jobs", problems);
                jobs.0.clone()
            }
            (HookKind::Signed, Some(_)) => {
                problems.push(Problem::new("hook.jobs", "it goes with `kind: dbt_cloud`; take it out"));
                Vec::new()
            }
        };
        Hook { kind, secret: self.secret.clone(), header: header.to_owned(), jobs }
    }
}

#[cfg(test)]
mod tests;
