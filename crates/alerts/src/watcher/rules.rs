//! The rules of the store, read as forms once for each of their versions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use records::{ChannelId, RuleId};
use store::{AlertChange, AlertRuleRow, AlertStep, NewAlert, Store, StoreError, Subject};

use super::{WatchedMappings, place};
use crate::{Finding, Kind, Place, Rule, RuleForm, Telling, When};

/// More rules than anybody has.
const RULES_MAX: u32 = 10_000;

/// A rule of the store.
#[derive(Debug)]
pub(super) struct WatchedRule {
    pub(super) id: RuleId,
    name: String,
    version: u64,
    pub(super) rule: Rule,
    muted_until: Option<Timestamp>,
    channels: Vec<ChannelId>,
}

/// All rules.
#[derive(Debug, Default)]
pub(super) struct Rules {
    is_loaded: bool,
    rules: Vec<WatchedRule>,
}

impl Rules {
    pub(super) async fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        let rows = store.alert_rules(None, RULES_MAX).await?;
        let channels: BTreeMap<String, ChannelId> =
            store.channels(None, RULES_MAX).await?.into_iter().map(|channel| (channel.name, channel.id)).collect();
        let mut known: BTreeMap<(RuleId, u64), WatchedRule> =
            std::mem::take(&mut self.rules).into_iter().map(|rule| ((rule.id, rule.version), rule)).collect();
        for row in rows {
            let rule = match known.remove(&(row.id, row.version)) {
                Some(rule) => Some(rule),
                None => WatchedRule::of(&row),
            };
            if let Some(mut rule) = rule {
                let named = rule.rule.channels.iter().filter_map(|name| channels.get(name).copied());
                rule.channels = named.collect();
                self.rules.push(rule);
            }
        }
        self.is_loaded = true;
        Ok(())
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    pub(super) fn enabled(&self) -> impl Iterator<Item = &WatchedRule> {
        self.rules.iter().filter(|rule| rule.rule.enabled)
    }

    pub(super) fn any(&self, wants: impl Fn(&When) -> bool) -> bool {
        self.enabled().any(|rule| wants(&rule.rule.when))
    }

    pub(super) fn watching(&self, place: Place<'_>) -> Vec<&WatchedRule> {
        self.enabled().filter(|rule| rule.rule.watch.includes(place)).collect()
    }

    pub(super) fn find(&self, id: RuleId) -> Option<&WatchedRule> {
        self.enabled().find(|rule| rule.id == id)
    }
}

impl WatchedRule {
    /// None for a document that this version cannot read, which another has written.
    fn of(row: &AlertRuleRow) -> Option<Self> {
        let form: Result<RuleForm, _> = serde_json::from_value(row.document.clone());
        let Some(rule) = form.ok().and_then(|form| form.check().ok()) else {
            tracing::warn!(rule = row.name, "an alert rule cannot be read and watches nothing");
            return None;
        };
        Some(Self {
            id: row.id,
            name: row.name.clone(),
            version: row.version,
            rule,
            muted_until: row.muted_until,
            channels: Vec::new(),
        })
    }

    pub(super) fn telling(&self) -> Telling {
        Telling { repeat_every: self.rule.repeat_every, muted_until: self.muted_until }
    }

    /// The channels if it is told, none if not.
    pub(super) fn channels(&self, is_told: bool) -> Vec<ChannelId> {
        if is_told { self.channels.clone() } else { Vec::new() }
    }

    pub(super) fn raise(
        &self,
        kind: Kind,
        subject: &Subject,
        finding: Finding,
        is_told: bool,
        happened_at: Option<Timestamp>,
    ) -> AlertStep {
        let alert = NewAlert {
            rule: self.id,
            rule_name: self.name.clone(),
            kind: kind.name().to_owned(),
            subject: subject.clone(),
            message: finding.message,
            details: finding.details,
            sync: finding.sync,
        };
        AlertStep::Raise { alert, happened_at, is_told, channels: self.channels(is_told) }
    }

    /// Whether it watches a source or destination, by its name or by a mapping that uses it.
    pub(super) fn watches_connection(&self, subject: &Subject, mappings: &WatchedMappings) -> bool {
        let watch = &self.rule.watch;
        let is_source = subject.kind == "source";
        let is_named = match is_source {
            true => watch.includes_source(&subject.name),
            false => watch.includes_destination(&subject.name),
        };
        is_named
            || mappings.iter().any(|(name, mapping)| {
                let used = if is_source { &mapping.source } else { &mapping.destination };
                *used == subject.name && watch.includes(place(name, mapping))
            })
    }

    /// Whether it still looks for that kind of trouble with that subject.
    pub(super) fn watches(&self, kind: &str, subject: &Subject, mappings: &WatchedMappings) -> bool {
        if !Kind::of_name(kind).is_some_and(|kind| self.rule.when.has(kind)) {
            return false;
        }
        match subject.kind.as_str() {
            "mapping" => mappings
                .get(&subject.name)
                .is_some_and(|mapping| mapping.is_enabled && self.rule.watch.includes(place(&subject.name, mapping))),
            _ => self.watches_connection(subject, mappings),
        }
    }
}

/// The change that a telling is: the first, or one more.
pub(super) fn telling_change(is_first: bool) -> AlertChange {
    if is_first { AlertChange::Raised } else { AlertChange::Repeated }
}
