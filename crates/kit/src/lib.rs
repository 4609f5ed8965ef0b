//! What a connector author uses: the traits, the HTTP client, the reader of facts, the loader.

mod answer;
mod auth;
mod destination;
mod exchange;
mod facts;
mod limiter;
mod load;
mod pace;
mod preview;
mod redaction;
mod signature;
mod source;
mod statuses;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod trust;
mod wire;

pub use answer::Answer;
pub use auth::{Auth, ClientCredentials};
pub use destination::{Batch, DeliveryError, Destination, Payload};
pub use exchange::{BODY_BYTES_MAX, Exchange};
pub use facts::{Action, BatchLimits, Facts, FactsError, Limits, Setting, SettingKind, SettingsError, SettingsProblem};
pub use limiter::Limiter;
pub use load::{Fate, LoadPlan, LoadStop, RetrySettings, json_bytes, load};
pub use pace::Pace;
pub use preview::preview_requests;
pub use redaction::{REDACTED, Redaction, form_encoded};
pub use signature::{Signature, SignatureAlgorithm, SignatureEncoding};
pub use source::{Place, Query, Source, SourceError};
pub use statuses::{Meaning, Statuses, StatusesError};
pub use wire::{Request, Wire, WireSettings, url_origin};
