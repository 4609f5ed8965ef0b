//! `outflow simulate`: a destination's tool, served from memory on this computer.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use kit::{
    Facts, Setting, SettingKind, SettingsError,
    simulator::{Report, SimulatorServer, SimulatorSettings},
};
use project::suggestion;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Context;
use crate::{
    connectors,
    failure::{Exit, Failure},
    render,
};

/// Serve a destination's tool from memory, to try syncs without an account: it holds what it is sent, until Ctrl-C.
///
/// It answers as the tool does, at the speed, with the refusals and faults that the options ask for. Look into it at
/// /_simulator on its address.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow simulate http
  outflow simulate hubspot --port 8080 --requests-per-second 10 --refuse-percent 5
  outflow simulate http --refuse email=ada@example.com --fail-percent 2 --latency 50
  outflow simulate http --settings simulator.yaml

The file of --settings may hold the same settings and more, such as faults of other kinds; see docs/simulators.md.")]
pub(crate) struct Simulate {
    /// The kind of destination, as `type` in its file: `http`, `hubspot`.
    #[arg(value_name = "TYPE")]
    slug: String,
    /// The port to listen on; without it, one that is free.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// More requests than this are answered with 429.
    #[arg(long, value_name = "RATE")]
    requests_per_second: Option<f64>,
    /// Requests that may come at once after a pause; default: as many as in a second.
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// Refuse records whose field has that value. May be given several times.
    #[arg(long, value_name = "FIELD=VALUE")]
    refuse: Vec<String>,
    /// Refuse so many records in a hundred, the same ones each time.
    #[arg(long, value_name = "PERCENT")]
    refuse_percent: Option<f64>,
    /// How long each answer takes.
    #[arg(long, value_name = "MILLISECONDS")]
    latency: Option<u64>,
    /// Up to this much longer, differently for each request.
    #[arg(long, value_name = "MILLISECONDS")]
    jitter: Option<u64>,
    /// Answer so many requests in a hundred with status 500, and do not take them.
    #[arg(long, value_name = "PERCENT")]
    fail_percent: Option<f64>,
    /// Take so many requests in a hundred and end their connection without an answer.
    #[arg(long, value_name = "PERCENT")]
    drop_percent: Option<f64>,
    /// Draw refusals, faults and jitter differently.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// A YAML or JSON file with all settings of the simulator; options go before it.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// How often it is told what came.
const TELLING: Duration = Duration::from_secs(1);
/// The endpoints that the summary lists.
const ENDPOINTS_SHOWN: usize = 20;

impl Simulate {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let (settings, destination) = self.settings()?;
        let facts = connectors::destination_facts().into_iter().find(|facts| facts.slug == self.slug);
        let make = connectors::simulator_maker(&self.slug, destination.clone());
        let (Some(facts), Some(make)) = (facts, make) else {
            let known = connectors::simulated();
            let message = format!("there is no simulator for `{}`; {}", self.slug, suggestion(&self.slug, &known));
            return Err(Failure::usage(message));
        };
        let server = SimulatorServer::start(self.port, settings, make).await.map_err(|error| {
            Failure::new(format!("the simulator cannot listen on port {}", self.port)).because(error)
        })?;
        let url = server.url();
        let output = context.output;
        if !output.is_json() {
            let paint = output.paint();
            output.line(&format!("{} is simulated at {}", facts.name, paint.bold(&url)));
            output.line(&format!("What it holds and what came: {url}/_simulator/\n"));
            output.line("A destination that leads there, for a file such as `destinations/simulated.yaml`:\n");
            output.line(&render::indented(&destination_file(&facts, &destination, &url), 2));
            output.line("Ctrl-C ends it.\n");
        }
        let mut told = 0;
        let mut ticks = interval_at(Instant::now() + TELLING, TELLING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = context.cancel.cancelled() => break,
                _ = ticks.tick() => {
                    let (requests, answers) = server.counts();
                    if requests > told && !output.is_json() {
                        let answers: Vec<_> =
                            answers.iter().map(|(answer, count)| format!("{answer}: {}", render::number(*count))).collect();
                        let new = render::counted(requests - told, "request");
                        output.line(&format!("{new}; in all {} ({})", render::number(requests), answers.join(", ")));
                    }
                    // After a reset from outside it begins at 0 again.
                    told = requests;
                }
            }
        }
        let report = server.report();
        let mut result = json!(report);
        result["url"] = json!(url);
        output.result(&result, |_| summary(&report));
        Ok(Exit::Done)
    }

    /// The settings of the file with the options over them, and those of the destination to expect.
    fn settings(&self) -> Result<(SimulatorSettings, Value), Failure> {
        let mut settings = match &self.settings {
            None => Map::new(),
            Some(path) => {
                let cannot = format!("the settings `{}` cannot be read", path.display());
                let text = std::fs::read_to_string(path).map_err(|error| Failure::new(&cannot).because(error))?;
                let value: Value =
                    serde_saphyr::from_str(&text).map_err(|error| Failure::new(&cannot).because(error))?;
                match value {
                    Value::Object(settings) => settings,
                    Value::Null => Map::new(),
                    _ => return Err(Failure::new(format!("{cannot}: it must hold a map of settings"))),
                }
            }
        };
        let destination = settings.remove("destination").unwrap_or_default();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                settings.insert(key.to_owned(), value);
            }
        };
        set("requests_per_second", self.requests_per_second.map(Value::from));
        set("burst", self.burst.map(Value::from));
        set("refuse_percent", self.refuse_percent.map(Value::from));
        set("seed", self.seed.map(Value::from));
        for (key, value) in [("millis", self.latency), ("jitter_millis", self.jitter)] {
            // What is no map is left for whoever checks it.
            let latency = value.map(|_| settings.entry("latency").or_insert_with(|| Value::Object(Map::new())));
            if let (Some(Value::Object(latency)), Some(value)) = (latency, value) {
                latency.insert(key.to_owned(), value.into());
            }
        }
        let mut refused = Vec::new();
        for rule in &self.refuse {
            let Some((field, value)) = rule.split_once('=').filter(|(field, _)| !field.is_empty()) else {
                return Err(Failure::usage(format!("`--refuse {rule}` is not FIELD=VALUE")));
            };
            refused.push(json!({ "field": field, "equals": value }));
        }
        add(&mut settings, "refuse", refused);
        let failed = self.fail_percent.map(|percent| json!({ "fault": 500, "percent": percent }));
        let dropped = self.drop_percent.map(|percent| json!({ "fault": "drop", "taken": true, "percent": percent }));
        add(&mut settings, "faults", failed.into_iter().chain(dropped).collect());
        let settings = SimulatorSettings::read(&Value::Object(settings)).map_err(|error: SettingsError| {
            let about =
                self.settings.as_ref().map_or("of the options".to_owned(), |path| format!("in `{}`", path.display()));
            Failure::usage(format!("the settings {about} are wrong: {error}")).hint("see docs/simulators.md")
        })?;
        Ok((settings, destination))
    }
}

/// Puts items at the end of a list among the settings. What is no list is left for whoever checks it.
fn add(settings: &mut Map<String, Value>, key: &str, items: Vec<Value>) {
    if items.is_empty() {
        return;
    }
    if let Value::Array(list) = settings.entry(key).or_insert_with(|| Value::Array(Vec::new())) {
        list.extend(items);
    }
}

/// The file of a destination that delivers to the simulator.
fn destination_file(facts: &Facts, given: &Value, url: &str) -> String {
    let mut file = format!("type: {}\n", facts.slug);
    let mut has_address = false;
    for setting in &facts.settings {
        let value = match given.get(&setting.key).filter(|value| !value.is_null()) {
            Some(value) => Some(value.clone()),
            None if setting.key == "base_url" => {
                has_address = true;
                Some(url.into())
            }
            None if setting.key == "oauth" => Some(json!({ "access_token": "simulated" })),
            None if setting.required && setting.default.is_none() => Some(made_up(setting)),
            None => None,
        };
        if let Some(value) = value.filter(|_| setting.key != "connection") {
            file.push_str(&format!("{}: {value}\n", setting.key));
        }
    }
    if !has_address {
        file.push_str(&format!("connection: {{endpoint: {url}}}\n"));
    }
    file
}

/// A value that a required setting may have.
fn made_up(setting: &Setting) -> Value {
    match setting.kind {
        _ if !setting.choices.is_empty() => setting.choices[0].clone().into(),
        SettingKind::Text | SettingKind::Any => "simulated".into(),
        SettingKind::Url => "https://simulated.example.com".into(),
        SettingKind::Integer | SettingKind::Number => 1.into(),
        SettingKind::Boolean => true.into(),
        SettingKind::List => json!([]),
        SettingKind::Object => {
            let required = setting.properties.iter().filter(|property| property.required);
            Value::Object(required.map(|property| (property.key.clone(), made_up(property))).collect())
        }
    }
}

fn summary(report: &Report) -> String {
    let mut text = format!("{} came.\n", render::counted(report.requests, "request"));
    let shown = report.endpoints.iter().take(ENDPOINTS_SHOWN);
    for (endpoint, answers) in shown {
        let answers: Vec<_> =
            answers.iter().map(|(answer, count)| format!("{answer}: {}", render::number(*count))).collect();
        text.push_str(&format!("  {endpoint}  {}\n", answers.join(", ")));
    }
    if report.endpoints.len() > ENDPOINTS_SHOWN {
        text.push_str(&format!("  and {} more\n", report.endpoints.len() - ENDPOINTS_SHOWN));
    }
    for (name, held) in report.held.as_object().into_iter().flatten() {
        let count = held.as_array().map(Vec::len).or_else(|| held.as_object().map(Map::len));
        // What the HTTP sink holds has a count of its own.
        let records = held.get("records").and_then(Value::as_u64);
        if let Some(count) = records.or_else(|| count.and_then(|count| u64::try_from(count).ok())) {
            text.push_str(&format!("It held of `{name}`: {}\n", render::number(count)));
        }
    }
    text
}
