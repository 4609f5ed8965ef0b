//! A rule that was checked: its thresholds as numbers, and what it watches.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    Kind, Problem,
    form::{
        ColumnChange, CredentialsExpiringForm, DeliveryRateForm, Direction, LateForm, PartlyDeliveredForm, RuleForm,
        SchemaChangedForm, Until, UnusualRowsForm, WatchForm,
    },
    span,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const REPEAT_MIN: Duration = Duration::from_secs(5 * 60);
const CHANNELS_MAX: usize = 20;
const NAMES_MAX: usize = 1_000;

/// What is watched, what is wrong with it, and who is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub enabled: bool,
    pub when: When,
    pub watch: Watch,
    /// Names of channels.
    pub channels: Vec<String>,
    pub repeat_every: Option<Duration>,
}

/// The kinds of trouble with their thresholds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct When {
    pub failed: Option<Failed>,
    pub partly_delivered: Option<PartlyDelivered>,
    pub held: bool,
    pub delivery_rate: Option<DeliveryRate>,
    pub late: Option<Late>,
    pub zero_rows: bool,
    pub unusual_rows: Option<UnusualRows>,
    pub schema_changed: Option<SchemaChanged>,
    pub credentials_expiring: Option<CredentialsExpiring>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    pub in_a_row: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartlyDelivered {
    pub records_min: u64,
    pub percent_min: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeliveryRate {
    pub below_percent: f64,
    pub window: Duration,
    pub records_min: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    pub tolerance: Duration,
    pub until: Until,
    pub silence: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnusualRows {
    pub direction: Direction,
    pub factor: f64,
    pub percent_min: f64,
    pub history: usize,
    pub history_min: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaChanged {
    pub added: bool,
    pub removed: bool,
    pub retyped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialsExpiring {
    pub within: Duration,
}

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    All,
    Named {
        mappings: BTreeSet<String>,
        models: BTreeSet<String>,
        destinations: BTreeSet<String>,
        sources: BTreeSet<String>,
    },
}

/// A mapping and what it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    pub mapping: &'a str,
    pub model: &'a str,
    pub destination: &'a str,
    pub source: &'a str,
}

impl Watch {
    /// Whether a mapping is watched.
    pub fn includes(&self, place: Place<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Named { mappings, models, destinations, sources } => {
                mappings.contains(place.mapping)
                    || models.contains(place.model)
                    || destinations.contains(place.destination)
                    || sources.contains(place.source)
            }
        }
    }

    /// Whether a connection is watched although no mapping may use it.
    pub fn includes_source(&self, source: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named { sources, .. } => sources.contains(source),
        }
    }

    /// As [`includes_source`](Self::includes_source).
    pub fn includes_destination(&self, destination: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named { destinations, .. } => destinations.contains(destination),
        }
    }
}

impl When {
    pub fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Failed => self.failed.is_some(),
            Kind::PartlyDelivered => self.partly_delivered.is_some(),
            Kind::Held => self.held,
            Kind::DeliveryRate => self.delivery_rate.is_some(),
            Kind::Late => self.late.is_some(),
            Kind::ZeroRows => self.zero_rows,
            Kind::UnusualRows => self.unusual_rows.is_some(),
            Kind::SchemaChanged => self.schema_changed.is_some(),
            Kind::CredentialsExpiring => self.credentials_expiring.is_some(),
        }
    }

    /// How many finished syncs must be known to judge a mapping by the last of them.
    pub fn history(&self) -> usize {
        let failed = self.failed.map_or(0, |failed| failed.in_a_row);
        // The extract that is judged, and those before it; syncs without an extract stand between.
        let rows = self.unusual_rows.map_or(0, |rows| 2 * (rows.history + 1));
        failed.max(rows).max(1)
    }

    /// How far back finished syncs must be known.
    pub fn window(&self) -> Option<Duration> {
        self.delivery_rate.map(|rate| rate.window)
    }
}

impl RuleForm {
    /// The rule that this is the form of.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(&self) -> Result<Rule, Vec<Problem>> {
        let mut problems = Vec::new();
        let when = self.when(&mut problems);
        let watch = self.watch.check(&mut problems);
        names(&self.channels, "channels", CHANNELS_MAX, &mut problems);
        let repeat_every = self
            .repeat_every
            .as_deref()
            .and_then(|text| length(Some(text), REPEAT_MIN, REPEAT_MIN..=31 * DAY, "repeat_every", &mut problems));
        match problems.is_empty() {
            true => Ok(Rule {
                enabled: self.enabled.unwrap_or(true),
                when,
                watch,
                channels: self.channels.clone(),
                repeat_every,
            }),
            false => Err(problems),
        }
    }

    fn when(&self, problems: &mut Vec<Problem>) -> When {
        let form = &self.when;
        let when = When {
            failed: form.failed.as_ref().map(|failed| Failed {
                in_a_row: count(failed.in_a_row, 1, 1..=100, "when.failed.in_a_row", problems),
            }),
            partly_delivered: form.partly_delivered.as_ref().map(|form| form.check(problems)),
            held: form.held.is_some(),
            delivery_rate: form.delivery_rate.as_ref().and_then(|form| form.check(problems)),
            late: form.late.as_ref().and_then(|form| form.check(problems)),
            zero_rows: form.zero_rows.is_some(),
            unusual_rows: form.unusual_rows.as_ref().map(|form| form.check(problems)),
            schema_changed: form.schema_changed.as_ref().map(SchemaChangedForm::check),
            credentials_expiring: form.credentials_expiring.as_ref().and_then(|form| form.check(problems)),
        };
        if problems.is_empty() && !Kind::ALL.into_iter().any(|kind| when.has(kind)) {
            let kinds: Vec<String> = Kind::ALL.iter().map(|kind| format!("`{}`", kind.name())).collect();
            let message = format!("it names nothing to tell about; give at least one of {}", kinds.join(", "));
            problems.push(Problem::new("when", message));
        }
        when
    }
}

impl WatchForm {
    fn check(&self, problems: &mut Vec<Problem>) -> Watch {
        let lists = [
            (&self.mappings, "watch.mappings"),
            (&self.models, "watch.models"),
            (&self.destinations, "watch.destinations"),
            (&self.sources, "watch.sources"),
        ];
        for (list, field) in lists {
            names(list, field, NAMES_MAX, problems);
        }
        if self.is_all() {
            return Watch::All;
        }
        let [mappings, models, destinations, sources] = lists.map(|(list, _)| list.iter().cloned().collect());
        Watch::Named { mappings, models, destinations, sources }
    }
}

impl PartlyDeliveredForm {
    fn check(&self, problems: &mut Vec<Problem>) -> PartlyDelivered {
        let records_min = self.records_min.unwrap_or(1);
        if records_min == 0 {
            problems.push(Problem::new("when.partly_delivered.records_min", "it must be at least 1"));
        }
        let percent_min = number(self.percent_min, 0.0, 0.0..=100.0, "when.partly_delivered.percent_min", problems);
        PartlyDelivered { records_min, percent_min }
    }
}

impl DeliveryRateForm {
    fn check(&self, problems: &mut Vec<Problem>) -> Option<DeliveryRate> {
        let below_percent =
            number(Some(self.below_percent), 0.0, 0.0..=100.0, "when.delivery_rate.below_percent", problems);
        let window = length(self.window.as_deref(), DAY, MINUTE..=31 * DAY, "when.delivery_rate.window", problems)?;
        let records_min = self.records_min.unwrap_or(100);
        if records_min == 0 {
            problems.push(Problem::new("when.delivery_rate.records_min", "it must be at least 1"));
        }
        Some(DeliveryRate { below_percent, window, records_min })
    }
}

impl LateForm {
    fn check(&self, problems: &mut Vec<Problem>) -> Option<Late> {
        let second = Duration::from_secs(1);
        let tolerance =
            length(self.tolerance.as_deref(), 15 * MINUTE, second..=31 * DAY, "when.late.tolerance", problems)?;
        let silence = match &self.silence {
            None => None,
            Some(text) => Some(length(Some(text), DAY, MINUTE..=366 * DAY, "when.late.silence", problems)?),
        };
        Some(Late { tolerance, until: self.until.unwrap_or_default(), silence })
    }
}

impl UnusualRowsForm {
    fn check(&self, problems: &mut Vec<Problem>) -> UnusualRows {
        let history = count(self.history, 30, 3..=200, "when.unusual_rows.history", problems);
        let history_min =
            count(self.history_min, 7.min(history as u32), 3..=200, "when.unusual_rows.history_min", problems);
        if history_min > history {
            let message = format!("it is {history_min}, more than the {history} extracts that are looked at");
            problems.push(Problem::new("when.unusual_rows.history_min", message));
        }
        UnusualRows {
            direction: self.direction.unwrap_or_default(),
            factor: number(self.factor, 4.0, 1.0..=100.0, "when.unusual_rows.factor", problems),
            percent_min: number(self.percent_min, 25.0, 0.0..=1_000.0, "when.unusual_rows.percent_min", problems),
            history,
            history_min,
        }
    }
}

impl SchemaChangedForm {
    fn check(&self) -> SchemaChanged {
        let has = |change| self.changes.is_empty() || self.changes.contains(&change);
        SchemaChanged {
            added: has(ColumnChange::Added),
            removed: has(ColumnChange::Removed),
            retyped: has(ColumnChange::Retyped),
        }
    }
}

impl CredentialsExpiringForm {
    fn check(&self, problems: &mut Vec<Problem>) -> Option<CredentialsExpiring> {
        let field = "when.credentials_expiring.within";
        let within = length(self.within.as_deref(), 14 * DAY, HOUR..=366 * DAY, field, problems)?;
        Some(CredentialsExpiring { within })
    }
}

fn count(
    given: Option<u32>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> usize {
    let number = given.unwrap_or(default);
    if !range.contains(&number) {
        let message = format!("it is {number}; it must be from {} to {}", range.start(), range.end());
        problems.push(Problem::new(field, message));
    }
    number as usize
}

fn number(
    given: Option<f64>,
    default: f64,
    range: std::ops::RangeInclusive<f64>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> f64 {
    let number = given.unwrap_or(default);
    if !range.contains(&number) {
        let message = format!("it is {number}; it must be from {} to {}", range.start(), range.end());
        problems.push(Problem::new(field, message));
    }
    number
}

fn length(
    given: Option<&str>,
    default: Duration,
    range: std::ops::RangeInclusive<Duration>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<Duration> {
    let Some(text) = given else { return Some(default) };
    let message = match span::parse(text) {
        Some(length) if range.contains(&length) => return Some(length),
        Some(_) => format!(
            "`{text}` is out of its range, which is from {} to {}",
            span::words(*range.start()),
            span::words(*range.end())
        ),
        None => format!("`{text}` is not a length of time; write it as `90s`, `15m`, `1h30m` or `7d`"),
    };
    problems.push(Problem::new(field, message));
    None
}

fn names(list: &[String], field: &str, most: usize, problems: &mut Vec<Problem>) {
    if list.len() > most {
        let message = format!("it has {} names; it may have at most {most}", list.len());
        problems.push(Problem::new(field, message));
    }
    for (index, name) in list.iter().enumerate() {
        let message = match name.trim().is_empty() {
            true => "it must not be empty; write a name".to_owned(),
            false if list[..index].contains(name) => format!("`{name}` stands there twice; take one out"),
            false => continue,
        };
        problems.push(Problem::new(format!("{field}[{index}]"), message));
    }
}

#[cfg(test)]
mod tests;
