//! Runs recorded cases of what the original sends: settings, mapping and records in; payloads, requests and their
//! canned answers as they should be. Nothing goes over the network.

mod comparison;
mod form;
mod recording;
mod run;

pub(crate) use recording::Recording;
pub use run::{CaseReport, RecordedError, run};
