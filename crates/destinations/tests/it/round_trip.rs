//! Loads records through a destination into the simulator of its tool.

use std::sync::Arc;

use kit::simulator::{SimulatorServer, SimulatorSettings};
use kit::testing::{TestClock, load_all, load_plan, payload};
use kit::{Destination, Fate, LoadPlan, Wire};
use mapping::SyncMode;
use records::Value;
use serde_json::{Value as Json, json};

/// A destination whose tool is simulated.
pub(crate) struct Simulated {
    pub(crate) server: SimulatorServer,
    pub(crate) destination: Arc<dyn Destination>,
    pub(crate) wire: Wire,
}

impl Simulated {
    /// The destination of those settings over the simulator of its own (`tool`) and the server's (`faults`).
    pub(crate) async fn start(slug: &'static str, mut settings: Json, tool: Json, faults: Json) -> Self {
        let faults = SimulatorSettings::read(&faults).unwrap();
        let make = move || destinations::simulator(slug, &tool).unwrap();
        let server = SimulatorServer::start(0, faults, make).await.unwrap();
        settings["connection"] = json!({ "endpoint": server.url(), "limits": { "requests_per_second": 100_000 } });
        let destination = destinations::connect(slug, &settings, &Json::Null).unwrap();
        let wire = Wire::open(destination.wire_settings(), TestClock::new()).unwrap();
        Self { server, destination, wire }
    }

    /// Loads payloads of those fields; all must come to an end.
    pub(crate) async fn load(&self, action: &str, batching: bool, fields: impl IntoIterator<Item = Json>) -> Vec<Fate> {
        let plan = load_plan(Arc::clone(&self.destination), self.wire.clone(), action, SyncMode::Upsert);
        let plan = LoadPlan { batching, ..plan };
        let payloads = (0..).zip(fields).map(|(index, fields)| payload(index, Value::from(fields))).collect();
        let (fates, result) = load_all(&plan, payloads).await;
        assert_eq!(result, Ok(()));
        fates
    }
}

/// The keys of the records that were delivered, and of those that were rejected. There must be no others.
pub(crate) fn delivered_and_rejected(fates: &[Fate]) -> (Vec<String>, Vec<String>) {
    let (delivered, rejected): (Vec<_>, Vec<_>) = fates.iter().partition(|fate| fate.outcome.is_delivered());
    for fate in &rejected {
        assert_eq!(fate.outcome.kind(), records::OutcomeKind::Rejected, "{fate:?}");
    }
    let keys = |fates: Vec<&Fate>| fates.into_iter().map(|fate| fate.key.clone()).collect();
    (keys(delivered), keys(rejected))
}
