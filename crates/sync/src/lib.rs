//! One sync from extract to commit: plan, guard, load, recover. It is given its sources and destinations.

mod commit;
mod compare;
mod definition;
mod engine;
mod guard;
mod jobs;
mod load;
mod manage;
mod map;
mod plan;
mod plan_file;
mod problem;
mod report;
mod sending;
mod try_record;

pub use definition::{Choice, Connection, Guards, Mapping, Model, OnFinding, RecordChoice, Settings};
pub use engine::{Engine, SyncOptions};
pub use plan::PlanOptions;
pub use report::{
    Ending, FailureCount, FieldChange, Held, Observer, Plan, Problem, Progress, RefusedRecord, SampleChange,
    SampleRequest, SyncReport, Unobserved, UnusableRecord,
};
pub use try_record::{RefusedField, SentOutcome, SentRecord, TriedPayload, TriedRecord, TryOptions};
