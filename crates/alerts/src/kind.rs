//! The kinds of trouble that alerts tell about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "alert_kind")]
pub enum Kind {
    Failed,
    PartlyDelivered,
    Held,
    DeliveryRate,
    Late,
    ZeroRows,
    UnusualRows,
    SchemaChanged,
    CredentialsExpiring,
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Failed,
        Kind::PartlyDelivered,
        Kind::Held,
        Kind::DeliveryRate,
        Kind::Late,
        Kind::ZeroRows,
        Kind::UnusualRows,
        Kind::SchemaChanged,
        Kind::CredentialsExpiring,
    ];

    /// The word in the store and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::PartlyDelivered => "partly_delivered",
            Kind::Held => "held",
            Kind::DeliveryRate => "delivery_rate",
            Kind::Late => "late",
            Kind::ZeroRows => "zero_rows",
            Kind::UnusualRows => "unusual_rows",
            Kind::SchemaChanged => "schema_changed",
            Kind::CredentialsExpiring => "credentials_expiring",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What it is called at the head of a message.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Failed => "sync failed",
            Kind::PartlyDelivered => "not all records were delivered",
            Kind::Held => "a guard holds a sync",
            Kind::DeliveryRate => "too few records are delivered",
            Kind::Late => "sync is late",
            Kind::ZeroRows => "the model gave no records",
            Kind::UnusualRows => "unusual number of records",
            Kind::SchemaChanged => "columns changed",
            Kind::CredentialsExpiring => "credentials end",
        }
    }

    /// Whether it is over as soon as it has happened, so that there is no end to tell about.
    pub fn is_momentary(self) -> bool {
        self == Kind::SchemaChanged
    }
}
