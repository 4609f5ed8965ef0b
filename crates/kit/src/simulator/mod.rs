//! Tools served from memory on loopback, with their limits, refusals, latency and faults: for demos, tests, benchmarks
//! and users' own CI.

mod listener;
mod message;
mod page;
mod refusals;
mod report;
mod server;
mod settings;

use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use listener::HttpListener;
pub use message::{Received, Reply};
pub(crate) use page::escaped;
pub use refusals::{Pattern, Refusals, Refuse};
pub use report::{Answers, Report};
pub use server::SimulatorServer;
pub use settings::{Broken, Credentials, Fault, FaultRule, Latency, Percent, SimulatorSettings, Status};

/// A tool's API, and what the tool holds.
///
/// `answer` does what the tool would: it takes records, refuses what the tool would refuse and every record that
/// `refusals` names, and answers in the tool's own form. Limits, latency, faults and counting are the server's.
pub trait Simulator: Send {
    /// Takes a request and gives the tool's answer.
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply;

    /// What the tool holds now, as a person would like to see it.
    fn held(&self) -> Value;

    /// How the tool says that it is called too fast.
    fn rate_limited(&self, after: Option<Duration>) -> Reply {
        let reply = Reply::json(429, &json!({ "message": "too many requests" }));
        match after {
            Some(after) => reply.with_header("retry-after", &whole_seconds(after).to_string()),
            None => reply,
        }
    }

    /// How the tool says that the credentials are wrong.
    fn unauthorized(&self) -> Reply {
        Reply::json(401, &json!({ "message": "the credentials are missing or wrong" }))
    }

    /// How the tool says that it failed.
    fn failed(&self, status: u16) -> Reply {
        Reply::json(status, &json!({ "message": "a fault of the simulator's settings" }))
    }
}

/// Seconds as `Retry-After` has them: whole, and never too few.
pub fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
