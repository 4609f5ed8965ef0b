//! Tests of the connection, the facts and the limits.

mod facts;
mod limits;
mod oauth;
mod redaction;
mod simulator;
mod trust;
mod wire;
