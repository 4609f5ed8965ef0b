//! The form of a file of recorded cases. What is not read here is for people.

use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CaseFile {
    pub destination: String,
    /// RFC 3339: what the clock says.
    pub frozen_time: String,
    pub cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Case {
    pub id: String,
    pub input: Input,
    pub expected: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Input {
    pub action: String,
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// The token of a destination with OAuth 2.
    #[serde(default)]
    pub auth: Option<Auth>,
    pub mapping: Map<String, Value>,
    /// The defaults of the fields lie under the mapping.
    #[serde(default)]
    pub use_default_mappings: bool,
    #[serde(default)]
    pub sync_mode: Option<String>,
    #[serde(default)]
    pub matching_key: Option<String>,
    /// All records as one batch, or one by one.
    #[serde(default)]
    pub batch: bool,
    /// A filter in FQL.
    #[serde(default)]
    pub subscribe: Option<String>,
    #[serde(default)]
    pub transaction_context: Map<String, Value>,
    pub records: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Auth {
    pub access_token: Option<String>,
    pub refresh_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Expected {
    pub effective_mapping: Option<Value>,
    pub mapped: Vec<Mapped>,
    pub settings_error: Option<Value>,
    pub performed: Vec<Performed>,
    /// One for each record that was sent by itself.
    pub results: Vec<Single>,
    /// One for each record of a batch.
    pub multistatus: Vec<Status>,
    pub requests: Vec<ExpectedRequest>,
    /// What ended the whole, if it did not end well.
    pub error: Option<Value>,
}

/// The payload before validation, or why there is none.
#[derive(Debug, Deserialize)]
pub(super) struct Mapped {
    #[serde(default)]
    pub ok: Option<Value>,
    #[serde(default)]
    pub error: Option<Value>,
}

/// The validated payload of a call of the action: one, or a list for a batch.
#[derive(Debug, Deserialize)]
pub(super) struct Performed {
    pub payload: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct Single {
    #[serde(default)]
    pub ok: bool,
    #[serde(default)]
    pub data: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub status: u16,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ExpectedRequest {
    pub method: String,
    pub url: String,
    #[serde(default)]
    pub headers: Map<String, Value>,
    pub body: Body,
    /// Requests of one group were under way together; groups follow one another.
    #[serde(default)]
    pub group: u64,
    pub response: Response,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Body {
    pub kind: String,
    #[serde(default)]
    pub value: Value,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Response {
    pub status: u16,
    #[serde(default)]
    pub headers: Map<String, Value>,
    #[serde(default)]
    pub body: Value,
}
