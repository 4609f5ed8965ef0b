//! What a definition is called: its kind, its name, its id.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use records::{DestinationId, IdError, MappingId, ModelId, Random, SourceId};
use serde::{Deserialize, Serialize};

const NAME_BYTES_MAX: usize = 100;

/// The four kinds of definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    Source,
    Model,
    Destination,
    Mapping,
}

pub(super) const KINDS: [(ResourceKind, &str); 4] = [
    (ResourceKind::Source, "source"),
    (ResourceKind::Model, "model"),
    (ResourceKind::Destination, "destination"),
    (ResourceKind::Mapping, "mapping"),
];

impl ResourceKind {
    /// In the order in which one can be made after the other.
    pub const ALL: [ResourceKind; 4] =
        [ResourceKind::Source, ResourceKind::Model, ResourceKind::Destination, ResourceKind::Mapping];

    /// The word in the store, in messages and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            ResourceKind::Source => "source",
            ResourceKind::Model => "model",
            ResourceKind::Destination => "destination",
            ResourceKind::Mapping => "mapping",
        }
    }

    /// The word for several, which is also the folder of their files.
    pub fn plural(self) -> &'static str {
        match self {
            ResourceKind::Source => "sources",
            ResourceKind::Model => "models",
            ResourceKind::Destination => "destinations",
            ResourceKind::Mapping => "mappings",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A definition by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceRef {
    pub kind: ResourceKind,
    pub name: String,
}

impl ResourceRef {
    pub fn new(kind: ResourceKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} `{}`", self.kind, self.name)
    }
}

/// The id of a definition, which tells its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceId {
    Source(SourceId),
    Model(ModelId),
    Destination(DestinationId),
    Mapping(MappingId),
}

impl ResourceId {
    pub(super) fn new(kind: ResourceKind, now: Timestamp, random: &dyn Random) -> Self {
        match kind {
            ResourceKind::Source => ResourceId::Source(SourceId::new(now, random)),
            ResourceKind::Model => ResourceId::Model(ModelId::new(now, random)),
            ResourceKind::Destination => ResourceId::Destination(DestinationId::new(now, random)),
            ResourceKind::Mapping => ResourceId::Mapping(MappingId::new(now, random)),
        }
    }

    pub fn kind(self) -> ResourceKind {
        match self {
            ResourceId::Source(_) => ResourceKind::Source,
            ResourceId::Model(_) => ResourceKind::Model,
            ResourceId::Destination(_) => ResourceKind::Destination,
            ResourceId::Mapping(_) => ResourceKind::Mapping,
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourceId::Source(id) => id.fmt(f),
            ResourceId::Model(id) => id.fmt(f),
            ResourceId::Destination(id) => id.fmt(f),
            ResourceId::Mapping(id) => id.fmt(f),
        }
    }
}

impl FromStr for ResourceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let source = || text.parse().map(ResourceId::Source);
        let model = || text.parse().map(ResourceId::Model);
        let destination = || text.parse().map(ResourceId::Destination);
        source().or_else(|_| model()).or_else(|_| destination()).or_else(|_| text.parse().map(ResourceId::Mapping))
    }
}

impl Serialize for ResourceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResourceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The id that a text is, if it is one of that kind.
pub(super) fn id_of_kind(kind: ResourceKind, text: &str) -> Option<ResourceId> {
    text.parse().ok().filter(|id: &ResourceId| id.kind() == kind)
}

/// A name that reads as an id would be mistaken for one.
pub(super) fn is_name(kind: ResourceKind, name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && id_of_kind(kind, name).is_none()
}
