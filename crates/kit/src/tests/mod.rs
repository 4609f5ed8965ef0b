//! Tests of the connection, the facts and the limits.

mod facts;
mod limits;
mod redaction;
mod simulator;
mod trust;
mod wire;
