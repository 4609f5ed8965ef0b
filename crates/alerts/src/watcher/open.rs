//! The alerts that are going on, and the steps that verdicts make of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use records::RuleId;
use store::{AlertChange, AlertRow, AlertStep, Store, StoreError, Subject};

use super::{
    WatchedMappings,
    rules::{Rules, WatchedRule, telling_change},
};
use crate::{Kind, Known, Step, Verdict, step};

type Key = (RuleId, String, Subject);

/// The alerts that are going on, each with whether it was looked at.
#[derive(Debug)]
pub(super) struct OpenAlerts(BTreeMap<Key, (AlertRow, bool)>);

impl OpenAlerts {
    pub(super) async fn load(store: &Store) -> Result<Self, StoreError> {
        let rows = store.open_alerts().await?;
        let keyed = rows.into_iter().map(|row| ((row.rule, row.kind.clone(), row.subject.clone()), (row, false)));
        Ok(Self(keyed.collect()))
    }

    /// Rules and subjects of the alerts of a kind.
    pub(super) fn of_kind(&self, kind: Kind) -> Vec<(RuleId, Subject)> {
        let of_kind = self.0.keys().filter(|(_, found, _)| found == kind.name());
        of_kind.map(|(rule, _, subject)| (*rule, subject.clone())).collect()
    }

    /// The alerts that were not looked at, with their rules.
    pub(super) fn rest<'a>(&self, rules: &'a Rules) -> Vec<(&'a WatchedRule, (Kind, Subject))> {
        let rest = self.0.values().filter(|(_, is_seen)| !is_seen);
        rest.filter_map(|(alert, _)| {
            let kind = Kind::of_name(&alert.kind)?;
            Some((rules.find(alert.rule)?, (kind, alert.subject.clone())))
        })
        .collect()
    }

    /// Ends the alerts that nobody watches for any more: the rule is another or gone, or the mapping is.
    pub(super) fn drop_unwatched(&mut self, rules: &Rules, mappings: &WatchedMappings, steps: &mut Vec<AlertStep>) {
        self.0.retain(|(rule, kind, subject), (alert, _)| {
            let is_watched = rules.find(*rule).is_some_and(|rule| rule.watches(kind, subject, mappings));
            if !is_watched {
                steps.push(AlertStep::End {
                    alert: alert.id,
                    change: AlertChange::Dropped,
                    message: "nobody watches for it any more".to_owned(),
                    channels: Vec::new(),
                });
            }
            is_watched
        });
    }

    /// Adds the steps that a verdict makes.
    pub(super) fn step(
        &mut self,
        rule: &WatchedRule,
        kind: Kind,
        subject: &Subject,
        verdict: Verdict,
        now: Timestamp,
        steps: &mut Vec<AlertStep>,
    ) {
        let key = (rule.id, kind.name().to_owned(), subject.clone());
        let mut found = self.0.get_mut(&key);
        let known = found.as_mut().map(|(alert, is_seen)| {
            *is_seen = true;
            Known {
                message: alert.message.clone(),
                told_at: alert.told_at,
                is_acknowledged: alert.acknowledged_at.is_some(),
                muted_until: alert.muted_until,
            }
        });
        let Some(next) = step(kind, known.as_ref(), verdict, rule.telling(), now) else { return };
        match (next, found) {
            (Step::Raise { finding, is_told }, _) => {
                steps.push(rule.raise(kind, subject, finding, is_told, None));
            }
            (_, None) => {}
            (Step::Reword(finding), Some((alert, _))) => steps.push(reworded(alert, finding)),
            (Step::Tell { finding, is_first }, Some((alert, _))) => {
                let message = finding.as_ref().map_or(&alert.message, |finding| &finding.message).clone();
                if let Some(finding) = finding.filter(|finding| finding.message != alert.message) {
                    steps.push(reworded(alert, finding));
                }
                let change = telling_change(is_first);
                steps.push(AlertStep::Tell { alert: alert.id, change, message, channels: rule.channels(true) });
            }
            (Step::Recover { message, is_told }, Some((alert, _))) => {
                let channels = rule.channels(is_told);
                steps.push(AlertStep::End { alert: alert.id, change: AlertChange::Recovered, message, channels });
                self.0.remove(&key);
            }
        }
    }
}

fn reworded(alert: &AlertRow, finding: crate::Finding) -> AlertStep {
    AlertStep::Reword {
        alert: alert.id,
        message: finding.message,
        details: finding.details,
        sync: finding.sync.or(alert.sync),
    }
}
