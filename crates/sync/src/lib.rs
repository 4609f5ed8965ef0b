//! One sync from extract to commit: plan, guard, load, recover. It is given its sources and destinations.

mod definition;
mod report;

pub use definition::{Choice, Connection, Guards, Mapping, Model, OnFinding, RecordChoice, Settings};
pub use report::{
    Ending, FailureCount, FieldChange, Held, Observer, Plan, Problem, Progress, RefusedRecord, SampleChange,
    SampleRequest, SyncReport, UnusableRecord, Unobserved,
};
