//! Services, schedulers and workers on real stores, between tables and tools of the simulation.

#![allow(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod ending;
mod plans;
mod scheduling;
mod support;
mod syncing;
mod takeover;
