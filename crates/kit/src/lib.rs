//! What a connector author uses: the traits, the HTTP client, the reader of facts, the loader.

mod answer;
mod auth;
mod certificate;
mod choices;
mod connection;
mod destination;
mod exchange;
mod facts;
mod job;
mod ledger;
mod limiter;
mod load;
mod oauth;
mod pace;
mod preview;
mod reach;
pub mod recorded;
mod redaction;
mod request;
mod signature;
pub mod simulator;
mod source;
mod statuses;
mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod trust;
mod wire;

pub use answer::Answer;
pub use auth::Auth;
pub use certificate::certificate_end;
pub use choices::{ChoicePage, ChoiceQuery, DynamicChoice};
pub use connection::wire_settings;
pub use destination::{Batch, DeliveryError, Destination, MappingSettings, Payload};
pub use exchange::{BODY_BYTES_MAX, Exchange};
pub use facts::{
    Action, AuthFacts, AuthScheme, BatchLimits, Difference, Facts, FactsError, Hook, Limits, Setting, SettingKind,
    SettingsError, SettingsProblem,
};
pub use job::{Job, JobLog};
pub use ledger::{Ledger, LedgerKind, LedgerRows};
pub use limiter::Limiter;
pub use load::{Fate, LoadPlan, LoadStop, RetrySettings, json_bytes, load};
pub use oauth::{Authorization, Declined, Grant, OAuth, Redirected, Redirects, TokenStore, Tokens};
pub use pace::Pace;
pub use preview::{preview_divided, preview_requests};
pub use reach::Reach;
pub use redaction::{REDACTED, Redaction, form_encoded};
pub use request::Request;
pub use signature::{Signature, SignatureAlgorithm, SignatureEncoding, hmac_hex};
pub use source::{Place, Query, Source, SourceError};
pub use statuses::{Meaning, Statuses, StatusesError};
pub use tables::{TABLES_MAX, Table, TableColumn, TableKind, TableName};
pub use wire::{Traffic, Wire, WireSettings, url_origin};
