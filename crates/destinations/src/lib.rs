//! The tools that Outflow delivers to: one folder each, and one line each in the list below.

mod braze;
mod customerio;
mod file;
mod http;
mod hubspot;
mod intercom;
mod iterable;
mod klaviyo;
mod loops;
mod mixpanel;
mod salesforce;
mod segment;
#[path = "segment-profiles/mod.rs"]
mod segment_profiles;
mod slack;
mod tracking;
mod tracking_simulator;
mod webhook;

use std::sync::Arc;

use kit::simulator::Simulator;
use kit::{Destination, Facts, FactsError, SettingsError};
use serde_json::Value;

/// Makes a destination from its facts, settings and options.
type Connect = fn(Facts, &Value, &Value) -> Result<Arc<dyn Destination>, SettingsError>;

/// Makes the tool that a destination calls, served from memory, with the tool's own settings.
type Simulate = fn(&Value) -> Box<dyn Simulator>;

/// A destination's folder: its facts, and how it is made from settings and a mapping's options.
struct Listed {
    slug: &'static str,
    facts: &'static str,
    /// `README.md` and `example.yaml`; none where the whole page is written by hand, in `docs`.
    texts: Option<(&'static str, &'static str)>,
    connect: Connect,
    simulator: Option<Simulate>,
}

/// A line of the list: the folder, whose name is the slug, and its module.
macro_rules! listed {
    ($slug:literal, $module:ident) => {
        Listed {
            texts: Some((include_str!(concat!($slug, "/README.md")), include_str!(concat!($slug, "/example.yaml")))),
            ..listed!($slug, $module, page_by_hand)
        }
    };
    ($slug:literal, $module:ident, simulated) => {
        Listed { simulator: Some($module::simulator), ..listed!($slug, $module) }
    };
    ($slug:literal, $module:ident, page_by_hand) => {
        Listed {
            slug: $slug,
            facts: include_str!(concat!($slug, "/destination.yaml")),
            texts: None,
            connect: $module::connect,
            simulator: None,
        }
    };
}

/// One line per folder.
const LIST: [Listed; 15] = [
    listed!("braze", braze, simulated),
    listed!("customerio", customerio, simulated),
    listed!("file", file, page_by_hand),
    Listed { simulator: Some(http::simulator), ..listed!("http", http, page_by_hand) },
    listed!("hubspot", hubspot, simulated),
    listed!("intercom", intercom, simulated),
    listed!("iterable", iterable, simulated),
    listed!("klaviyo", klaviyo, simulated),
    listed!("loops", loops, simulated),
    listed!("mixpanel", mixpanel, simulated),
    listed!("salesforce", salesforce, simulated),
    listed!("segment", segment, simulated),
    listed!("segment-profiles", segment_profiles, simulated),
    listed!("slack", slack, simulated),
    listed!("webhook", webhook, simulated),
];

/// The names of all destinations, as project files have them.
pub const SLUGS: [&str; LIST.len()] = {
    let mut slugs = [""; LIST.len()];
    let mut index = 0;
    while index < LIST.len() {
        slugs[index] = LIST[index].slug;
        index += 1;
    }
    slugs
};

/// The facts of a destination, as its folder has them; none if there is no such destination.
///
/// # Errors
/// The folder's facts are wrong, which a test rules out.
pub fn facts(slug: &str) -> Option<Result<Facts, FactsError>> {
    LIST.iter().find(|listed| listed.slug == slug).map(|listed| Facts::parse(listed.facts))
}

/// What a destination's page says beside its facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts {
    /// What users are told about it, in Markdown.
    pub readme: &'static str,
    /// Its file of a project, in YAML; the file's name stands in the first line.
    pub destination: &'static str,
    /// A file of a mapping to it, of the same form.
    pub mapping: &'static str,
}

/// What the page of a destination says beside its facts. None if there is no such destination, or its page is written
/// by hand.
pub fn texts(slug: &str) -> Option<Texts> {
    let (readme, example) = LIST.iter().find(|listed| listed.slug == slug)?.texts?;
    let (destination, mapping) = example.split_once("---\n").unwrap_or((example, ""));
    Some(Texts { readme, destination, mapping })
}

/// The tool behind a destination, served from memory: see [`kit::simulator`]. None if there is no such destination, or
/// no tool behind it.
pub fn simulator(slug: &str, settings: &Value) -> Option<Box<dyn Simulator>> {
    let listed = LIST.iter().find(|listed| listed.slug == slug)?;
    listed.simulator.map(|simulate| simulate(settings))
}

/// Makes that simulator again and again, for one that is to begin anew.
pub fn simulator_maker(slug: &str, settings: Value) -> Option<impl Fn() -> Box<dyn Simulator> + Send + Sync + use<>> {
    let simulate = LIST.iter().find(|listed| listed.slug == slug)?.simulator?;
    Some(move || simulate(&settings))
}

/// The names of the destinations whose tools can be simulated.
pub fn simulated() -> impl Iterator<Item = &'static str> {
    LIST.iter().filter(|listed| listed.simulator.is_some()).map(|listed| listed.slug)
}

/// Makes a destination from its settings, with secrets already in place, and the options of a mapping (null if it
/// has none). Nothing is connected to yet; open its connection with [`kit::Wire::open`] and its `wire_settings()`,
/// once for all mappings of one destination, so that they share its limits.
///
/// # Errors
/// All that is wrong with the settings, each with what is right. Fields of options begin with `options.`.
pub fn connect(slug: &str, settings: &Value, options: &Value) -> Result<Arc<dyn Destination>, SettingsError> {
    let Some(listed) = LIST.iter().find(|listed| listed.slug == slug) else {
        let known = SLUGS.map(|slug| format!("`{slug}`")).join(", ");
        return Err(SettingsError::one("type", format!("there is no destination `{slug}`; known: {known}")));
    };
    let facts = Facts::parse(listed.facts).map_err(|error| SettingsError::one("", error.to_string()))?;
    let mut problems = Vec::new();
    if let Err(error) = facts.check_settings(settings) {
        problems.extend(error.problems);
    }
    if let Err(mut error) = facts.check_options(options) {
        for problem in &mut error.problems {
            problem.field = ["options", &problem.field].join(".").trim_end_matches('.').to_owned();
        }
        problems.extend(error.problems);
    }
    if problems.is_empty() { (listed.connect)(facts, settings, options) } else { Err(SettingsError { problems }) }
}

#[cfg(test)]
mod tests;
