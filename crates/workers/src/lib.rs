//! What goes on without being asked: what is due is queued, what is queued is run, what was cut off is taken up again.
//! Definitions come from the store and are wired here, for whoever runs, tests, plans or shows them.

mod catalogue;
mod definitions;
mod ends;
mod error;
mod events;
mod following;
mod moments;
mod observing;
mod planning;
mod plans;
mod retention;
mod running;
mod scheduler;
mod sealing;
mod service;
mod takeover;
mod tokens;
mod worker;

pub use definitions::Wired;
pub use error::ServiceError;
pub use events::{Event, Happening, RunProgress};
pub use plans::PlanSettings;
pub use retention::RetentionSettings;
pub use scheduler::Scheduler;
pub use sealing::KeyringSeal;
pub use service::{Ask, Parts, Places, Service};
pub use worker::{Worker, WorkerSettings};
