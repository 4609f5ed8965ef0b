//! What the tests share: a clock set by hand, a store with one rule, notices to send.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use alerts::{ChannelForm, Notice, Sender};
use jiff::Timestamp;
use kit::Reach;
use records::{AlertId, Clock, EventId, Random, RuleId};
use serde_json::{Value, json};
use store::{Actor, AlertChange, AlertEventRow, AlertRow, Author, Subject};

#[derive(Debug)]
pub(crate) struct HandClock(pub(crate) AtomicI64);

impl HandClock {
    pub(crate) fn new(seconds: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(seconds)))
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicU64);

impl Random for Counting {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst).swap_bytes()
    }
}

pub(crate) const NOW: i64 = 1_700_000_000;

pub(crate) fn sender(reach: Reach) -> Sender {
    Sender { clock: HandClock::new(NOW), reach }
}

pub(crate) fn channel(json: Value) -> ChannelForm {
    let form: ChannelForm = serde_json::from_value(json).unwrap();
    form.check().unwrap();
    form
}

/// Somebody who changes something, with ids that nobody else has.
pub(crate) fn author() -> Author {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let actor = Actor { id: "user_1".to_owned(), name: "Anna".to_owned() };
    let first = NEXT.fetch_add(1_000, Ordering::SeqCst);
    Author::new(actor, None, Arc::new(Counting(first.into())))
}

/// An event of a mapping of that name.
pub(crate) fn event(mapping: &str, change: AlertChange, message: &str) -> AlertEventRow {
    let now = HandClock::new(NOW).now();
    let random = Counting::default();
    let alert = AlertRow {
        id: AlertId::new(now, &random),
        rule: RuleId::new(now, &random),
        rule_name: "production".to_owned(),
        kind: "failed".to_owned(),
        subject: Subject { kind: "mapping".to_owned(), name: mapping.to_owned() },
        raised_at: now,
        ended_at: None,
        ending: None,
        message: message.to_owned(),
        details: json!({ "code": "unreachable" }),
        sync: None,
        told_at: Some(now),
        acknowledged_at: None,
        acknowledged_by: None,
        muted_until: None,
    };
    AlertEventRow {
        id: EventId::new(now, &random),
        at: now,
        change,
        message: message.to_owned(),
        details: alert.details.clone(),
        sync: None,
        alert,
        is_read: false,
    }
}

pub(crate) fn notice(events: Vec<AlertEventRow>) -> Notice {
    Notice {
        id: "dispatch_018bcfe5687b7a0000000000000000aa".to_owned(),
        created_at: HandClock::new(NOW).now(),
        events,
        is_test: false,
        public_url: Some("https://outflow.example.com/".to_owned()),
    }
}

pub(crate) fn one_notice() -> Notice {
    notice(vec![event("people-to-crm", AlertChange::Raised, "the sync failed: <crm> & co. did not answer")])
}
