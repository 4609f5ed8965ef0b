//! When a mapping is due: the form of schedules in files and requests, the next time across zones and clock changes,
//! and the waiting of one mapping for others. Nothing here reads a clock or keeps state: moments come in, moments go out.

mod after;
mod calendar;
mod check;
mod cron;
mod form;
mod hook;
mod interval;
mod problem;
mod schedule;
mod words;

pub use after::{After, Consumed, Finished, When, find_circle};
pub use calendar::Calendar;
pub use form::{HookForm, OneOrMore, SECRETS, ScheduleForm, SchedulePartsForm};
pub use hook::{DbtCloudEvent, DbtCloudRun, Hook, HookKind};
pub use interval::Interval;
pub use problem::Problem;
pub use schedule::Schedule;
