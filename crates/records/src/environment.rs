//! What comes from outside: the time of day and randomness, so that a whole sync can be simulated.

use jiff::Timestamp;

/// Tells the time of day.
pub trait Clock: Send + Sync + std::fmt::Debug {
    fn now(&self) -> Timestamp;
}

/// Gives unpredictable numbers, or in a simulation, numbers drawn from its seed.
pub trait Random: Send + Sync + std::fmt::Debug {
    fn next(&self) -> u64;
}
