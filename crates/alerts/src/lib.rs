//! Alerts: rules that find trouble in plain facts, what is told of it and when, and the channels by which people and
//! programs are told.

mod alerting;
mod attempt;
mod channel;
mod credentials;
mod dispatcher;
mod email;
mod facts;
mod form;
mod kind;
mod notice;
mod problem;
mod rule;
mod slack;
mod span;
mod step;
mod verdict;
mod watcher;
mod webhook;

pub use alerting::Alerting;
pub use attempt::{Attempt, End, Sender};
pub use channel::{
    ChannelForm, EmailForm, KEPT, Security, SlackForm, SmtpForm, WebhookForm, hide_channel, open_channel,
    open_document, seal_channel,
};
pub use credentials::{certificate_ends, granted_end};
pub use dispatcher::Dispatcher;
pub use facts::{ColumnFacts, ColumnsFacts, CredentialFacts, DueFacts, SyncFacts};
pub use form::{
    ColumnChange, CredentialsExpiringForm, DeliveryRateForm, Direction, FailedForm, HeldForm, LateForm,
    PartlyDeliveredForm, RuleForm, SchemaChangedForm, Until, UnusualRowsForm, WatchForm, WhenForm, ZeroRowsForm,
};
pub use kind::Kind;
pub use notice::Notice;
pub use problem::Problem;
pub use rule::{
    CredentialsExpiring, DeliveryRate, Failed, Late, PartlyDelivered, Place, Rule, SchemaChanged, UnusualRows, Watch,
    When,
};
pub use step::{Known, Step, Telling, step};
pub use verdict::{Finding, Verdict, judge_columns, judge_credential, judge_lateness, judge_syncs};
pub use watcher::{Wants, WatchedCredential, WatchedMapping, WatchedMappings, Watcher};
