//! Typed ids. In text each carries its noun: `sync_0192f…`.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Random;

/// Text that is not an id of the expected noun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form `{prefix}_…`")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// The id of an existing UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or_else(|| IdError { text: text.to_owned(), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// An id whose text sorts by when it was made.
macro_rules! made_id {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal;)+) => {$(
        typed_id!($(#[$doc])* $name, $prefix);

        impl $name {
            /// A new id whose text sorts by `now` (UUID version 7).
            pub fn new(now: Timestamp, random: &dyn Random) -> Self {
                Self(sortable(now, random))
            }
        }
    )+};
}

typed_id!(
    /// One change of one record, the same in every run that finds the same change.
    MessageId,
    "msg"
);

made_id!(
    /// A connection to a warehouse, as a server keeps it.
    SourceId, "src";
    /// A query on a source, as a server keeps it.
    ModelId, "model";
    /// A connection to a tool, as a server keeps it.
    DestinationId, "dest";
    /// What goes where, as a server keeps it.
    MappingId, "map";
    /// One run of a mapping. Sorts by the time it began.
    SyncId, "sync";
    /// A person who may sign in.
    UserId, "user";
    /// What a program signs in with.
    TokenId, "token";
    /// A person's stay between signing in and signing out.
    SessionId, "session";
    /// What a sync would do, worked out without doing it.
    PlanId, "plan";
    /// A state of a mapping that somebody should know of.
    AlertId, "alert";
    /// What says which alerts there are, and who is told.
    RuleId, "rule";
    /// What is sent through one channel at once.
    DispatchId, "dispatch";
    /// A way to tell people of alerts.
    ChannelId, "channel";
    /// A process that runs syncs.
    WorkerId, "worker";
    /// Something that happened, as the audit log tells it.
    EventId, "event";
);

fn sortable(now: Timestamp, random: &dyn Random) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&random.next().to_le_bytes());
    bytes[8..].copy_from_slice(&random.next().to_le_bytes()[..2]);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}
