//! The plain data that flows through Outflow: values, columns, cells, keys, changes, outcomes, ids.
//! No input or output, no clock, no randomness: whoever needs those is handed a [`Clock`] or [`Random`].

mod canonical;
mod cell;
mod change;
mod column;
mod environment;
mod ids;
mod json;
mod key;
mod moment;
mod outcome;
mod value;

pub use canonical::{canonical_bytes, column_seed};
pub use cell::{Cell, CellError, cell};
pub use change::{ChangeView, Counts, Operation, RecordView};
pub use column::{Column, Kind, Schema, SchemaError};
pub use environment::{Clock, Random};
pub use ids::{
    AlertId, ChannelId, DestinationId, DispatchId, EventId, IdError, MappingId, MessageId, ModelId, PlanId, RuleId,
    SessionId, SourceId, SyncId, TokenId, UserId, WorkerId,
};
pub use json::{JsonError, number_text, write_number, write_text};
pub use key::{KeyColumns, KeyError, KeyHash};
pub use moment::{civil, time_text, timestamp_text};
pub use outcome::{Outcome, OutcomeKind};
pub use value::{Object, Value};

#[cfg(test)]
mod tests;
