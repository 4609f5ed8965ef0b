//! What a simulator is told: limits, refusals, latency, faults, credentials. Everything drawn comes from the seed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::refusals::first_number;
use super::{Received, Refusals, Refuse};
use crate::{REDACTED, SettingsError};

/// The settings of a running simulator. They can be changed while it runs.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatorSettings {
    /// More requests than this are answered with 429.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// Requests that may come at once after a pause; without it as many as in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Whether a 429 says when to come again; it does if nothing is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<bool>,
    /// Records that are refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refuse: Vec<Refuse>,
    /// How many records in a hundred are refused whatever they hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse_percent: Option<Percent>,
    /// What is said of refused records that no rule has a message for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse_message: Option<String>,
    pub latency: Latency,
    /// What goes wrong; of several that fit, the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultRule>,
    /// What every request must bring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// The beginning of everything drawn.
    pub seed: u64,
}

/// A share of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "f64")]
pub struct Percent(f64);

impl Default for Percent {
    fn default() -> Self {
        Self(100.0)
    }
}

impl TryFrom<f64> for Percent {
    type Error = String;

    fn try_from(percent: f64) -> Result<Self, String> {
        if (0.0..=100.0).contains(&percent) { Ok(Self(percent)) } else { Err("must be between 0 and 100".to_owned()) }
    }
}

impl Percent {
    /// Whether a number drawn from the whole range of `u64` falls into the share.
    pub(super) fn takes(self, drawn: u64) -> bool {
        (drawn >> 11) as f64 / (1_u64 << 53) as f64 * 100.0 < self.0
    }
}

/// How long an answer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    pub millis: u64,
    /// Up to this much more, drawn anew for each request.
    pub jitter_millis: u64,
}

/// Something that goes wrong, and when. Without `every`, `percent` and `first`: always.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    pub fault: Fault,
    /// The nth request, and each nth after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// So many requests in a hundred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// The first so many requests, and none after them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Only requests whose path begins so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The request is taken all the same: what it holds is in the tool when its answer goes wrong.
    #[serde(default)]
    pub taken: bool,
    /// With a status: the seconds after which to come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// What goes wrong: a status such as 500, or a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Fault {
    Status(Status),
    Other(Broken),
}

/// A status of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "u16")]
pub struct Status(u16);

impl TryFrom<u16> for Status {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        if (200..600).contains(&status) { Ok(Self(status)) } else { Err("must be a status from 200 to 599".to_owned()) }
    }
}

impl Status {
    pub fn number(self) -> u16 {
        self.0
    }
}

/// Ways to go wrong other than by a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// The connection ends without an answer.
    Drop,
    /// The connection stays open without an answer.
    Silence,
    /// The answer breaks off in its middle.
    CutShort,
    /// A page for people comes, with status 200.
    Html,
}

/// What every request must bring.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Credentials {
    Bearer(String),
    Basic { username: String, password: String },
    Header { name: String, value: String },
    Query { name: String, value: String },
}

/// Without the secrets.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Credentials::Bearer(_) => "Bearer",
            Credentials::Basic { .. } => "Basic",
            Credentials::Header { .. } => "Header",
            Credentials::Query { .. } => "Query",
        })
    }
}

impl Credentials {
    pub(super) fn are_with(&self, request: &Received) -> bool {
        match self {
            Credentials::Bearer(token) => request.bearer() == Some(token),
            Credentials::Basic { username, password } => {
                request.basic().is_some_and(|(user, word)| user == *username && word == *password)
            }
            Credentials::Header { name, value } => request.header(&name.to_ascii_lowercase()) == Some(value),
            Credentials::Query { name, value } => request.parameter(name).as_ref() == Some(value),
        }
    }
}

impl SimulatorSettings {
    /// Reads settings, null for none.
    ///
    /// # Errors
    /// A key is unknown, or a value is not what it must be.
    pub fn read(settings: &Value) -> Result<Self, SettingsError> {
        if settings.is_null() {
            return Ok(Self::default());
        }
        let read: Self =
            serde_json::from_value(settings.clone()).map_err(|error| SettingsError::one("", error.to_string()))?;
        if read.requests_per_second.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return Err(SettingsError::one("requests_per_second", "must be more than 0"));
        }
        if read.burst == Some(0) {
            return Err(SettingsError::one("burst", "must be at least 1"));
        }
        for (index, rule) in read.faults.iter().enumerate() {
            if rule.every == Some(0) {
                return Err(SettingsError::one(format!("faults[{index}].every"), "must be at least 1"));
            }
        }
        Ok(read)
    }

    /// These with the keys of `over` in place of their own. A key that is null there goes back to its default.
    ///
    /// # Errors
    /// As [`SimulatorSettings::read`].
    pub fn changed(&self, over: &Value) -> Result<Self, SettingsError> {
        let Value::Object(over) = over else {
            return Err(SettingsError::one("", "must be an object of settings"));
        };
        let mut settings = serde_json::to_value(self).map_err(|error| SettingsError::one("", error.to_string()))?;
        if let Value::Object(settings) = &mut settings {
            for (key, value) in over {
                if value.is_null() {
                    settings.remove(key);
                } else {
                    settings.insert(key.clone(), value.clone());
                }
            }
        }
        Self::read(&settings)
    }

    /// The settings for people: credentials are left out.
    pub fn shown(&self) -> Value {
        let mut shown = serde_json::to_value(self).unwrap_or_default();
        if let Some(credentials) = shown.get_mut("credentials") {
            hide(credentials);
        }
        shown
    }

    /// The records that these settings refuse.
    pub fn refusals(&self) -> Refusals {
        Refusals::new(self.refuse.clone(), self.refuse_percent, self.refuse_message.clone(), self.seed)
    }

    /// How long the answer to that request takes.
    pub(crate) fn latency_of(&self, number: usize) -> Duration {
        let Latency { millis, jitter_millis } = self.latency;
        let jitter = match jitter_millis {
            0 => 0,
            most => drawn(self.seed, "latency", number) % (most.saturating_add(1)),
        };
        Duration::from_millis(millis.saturating_add(jitter))
    }
}

fn hide(value: &mut Value) {
    match value {
        Value::String(text) => *text = REDACTED.to_owned(),
        Value::Object(map) => {
            map.iter_mut().filter(|(key, _)| !matches!(key.as_str(), "name" | "username")).for_each(|(_, v)| hide(v));
        }
        _ => {}
    }
}

/// When the rules of faults last applied: how many requests each has seen.
#[derive(Debug, Default)]
pub(super) struct FaultCounts(Vec<u64>);

impl FaultCounts {
    /// The first rule that fits the request. Every rule counts the requests of its path.
    pub(super) fn next<'a>(&mut self, settings: &'a SimulatorSettings, path: &str) -> Option<&'a FaultRule> {
        self.0.resize(settings.faults.len(), 0);
        let mut chosen = None;
        for (index, rule) in settings.faults.iter().enumerate() {
            if rule.path.as_ref().is_some_and(|start| !path.starts_with(start.as_str())) {
                continue;
            }
            self.0[index] += 1;
            let count = self.0[index];
            let drawn =
                || drawn(settings.seed, "fault", index.wrapping_mul(1 << 32) + usize::try_from(count).unwrap_or(0));
            let fits = rule.every.is_none_or(|every| count.is_multiple_of(every))
                && rule.first.is_none_or(|first| count <= first)
                && rule.percent.is_none_or(|percent| percent.takes(drawn()));
            if fits && chosen.is_none() {
                chosen = Some(rule);
            }
        }
        chosen
    }
}

/// A number for the nth request, the same in every run of one seed.
fn drawn(seed: u64, what: &str, number: usize) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(what.as_bytes());
    hash.update(number.to_be_bytes());
    first_number(&hash.finalize())
}
