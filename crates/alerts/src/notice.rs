//! What is told of alerts, before it takes the form of a channel.

use jiff::Timestamp;
use serde_json::{Value, json};
use store::{AlertChange, AlertEventRow};

use crate::Kind;

/// Events that are told together, under an id that a repeat has again.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    pub id: String,
    pub created_at: Timestamp,
    /// Oldest first.
    pub events: Vec<AlertEventRow>,
    /// A message that a person has asked for, to see that a channel works. It has no events.
    pub is_test: bool,
    /// Where people find Outflow's pages: `https://outflow.example.com`.
    pub public_url: Option<String>,
}

impl Notice {
    /// A message to see that a channel works.
    pub fn test(id: String, created_at: Timestamp, public_url: Option<String>) -> Self {
        Self { id, created_at, events: Vec::new(), is_test: true, public_url }
    }

    /// One line for all of it.
    pub(crate) fn headline(&self) -> String {
        let count =
            |changes: &[AlertChange]| self.events.iter().filter(|event| changes.contains(&event.change)).count();
        match &self.events[..] {
            [] if self.is_test => "a test of this channel".to_owned(),
            [event] => headline(event),
            events => {
                let parts = [
                    (count(&[AlertChange::Raised]), "new"),
                    (count(&[AlertChange::Repeated]), "still there"),
                    (count(&[AlertChange::Recovered, AlertChange::Dropped]), "over"),
                ];
                let parts: Vec<String> = parts
                    .iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, what)| format!("{count} {what}"))
                    .collect();
                format!("{} alerts: {}", events.len(), parts.join(", "))
            }
        }
    }

    /// Where an alert is shown.
    pub(crate) fn link(&self, event: &AlertEventRow) -> Option<String> {
        let base = self.public_url.as_deref()?.trim_end_matches('/');
        Some(format!("{base}/alerts/{}", event.alert.id))
    }

    /// The body of a webhook. `docs/alerts.md` describes it; what stands there is not taken away.
    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "type": if self.is_test { "test" } else { "alerts" },
            "created_at": self.created_at,
            "message": self.headline(),
            "events": self.events.iter().map(|event| self.event_json(event)).collect::<Vec<_>>(),
        })
    }

    fn event_json(&self, event: &AlertEventRow) -> Value {
        let alert = &event.alert;
        json!({
            "id": event.id,
            "at": event.at,
            "change": event.change,
            "alert": alert.id,
            "rule": { "id": alert.rule, "name": alert.rule_name },
            "kind": alert.kind,
            "subject": alert.subject,
            "raised_at": alert.raised_at,
            "message": event.message,
            "details": event.details,
            "sync": event.sync,
            "url": self.link(event),
        })
    }
}

/// `over: people-to-crm: sync failed`
pub(crate) fn headline(event: &AlertEventRow) -> String {
    let title = match Kind::of_name(&event.alert.kind) {
        Some(kind) => kind.title(),
        None => &event.alert.kind,
    };
    let subject = subject(event);
    match event.change {
        AlertChange::Raised => format!("{subject}: {title}"),
        AlertChange::Repeated => format!("still: {subject}: {title}"),
        AlertChange::Recovered => format!("over: {subject}: {title}"),
        AlertChange::Dropped => format!("no longer watched: {subject}: {title}"),
    }
}

/// A mapping is what most is about, so it goes by its name alone.
pub(crate) fn subject(event: &AlertEventRow) -> String {
    let subject = &event.alert.subject;
    match subject.kind.as_str() {
        "mapping" => subject.name.clone(),
        kind => format!("{kind} {}", subject.name),
    }
}

/// `since 2026-01-31 12:05 UTC, by the rule production`
pub(crate) fn circumstances(event: &AlertEventRow) -> String {
    let alert = &event.alert;
    let time = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let when = match event.change {
        AlertChange::Raised | AlertChange::Repeated => format!("since {}", time(alert.raised_at)),
        AlertChange::Recovered | AlertChange::Dropped => {
            format!("from {} to {}", time(alert.raised_at), time(event.at))
        }
    };
    let sync = event.sync.map(|sync| format!(", {sync}")).unwrap_or_default();
    format!("{when}, by the rule {}{sync}", alert.rule_name)
}
