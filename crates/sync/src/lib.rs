//! One sync from extract to commit: plan, guard, load, recover. It is given its sources and destinations.

mod blocking;
mod codes;
mod commit;
mod compare;
mod definition;
mod engine;
mod failed;
mod give_up;
mod guard;
mod held;
mod jobs;
mod journal;
mod load;
mod manage;
mod map;
mod pages;
mod places;
mod plan;
mod plan_file;
mod problem;
mod progress;
mod recording;
mod report;
mod request;
mod running;
mod sending;
mod try_record;

pub use definition::{Choice, Connection, Guards, Mapping, Model, OnFinding, RecordChoice, Settings};
pub use engine::Engine;
pub use failed::{FailedOptions, FailedPage, ToldRecord};
pub use give_up::GiveUp;
pub use journal::LoadJournal;
pub use pages::{ChangePage, PageOptions, ShownChange};
pub use plan::PlanOptions;
pub use progress::{News, Observer, Phase, PhaseTime, Progress, Unobserved};
pub use report::{
    Ending, FailureCount, FieldChange, Held, Plan, Problem, RefusedRecord, SampleChange, SampleRequest, SyncReport,
    UnusableRecord,
};
pub use request::{Request, SyncOptions};
pub use try_record::{RefusedField, SentOutcome, SentRecord, TriedPayload, TriedRecord, TryOptions};
