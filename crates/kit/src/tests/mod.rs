//! Tests of the connection, the facts and the limits.

mod facts;
mod limits;
mod redaction;
mod trust;
mod wire;
