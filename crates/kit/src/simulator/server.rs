//! A simulator behind its server: limits, credentials, latency, faults and counting come before the tool's own answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::report::Counts;
use super::settings::FaultCounts;
use super::{
    Answers, Broken, Fault, FaultRule, HttpListener, Received, Reply, Report, Simulator, SimulatorSettings, page,
};
use crate::SettingsError;

/// Where people and scripts look into a simulator and change its settings.
const INSPECTION: &str = "/_simulator";
const PAGE: &str = "<!DOCTYPE html><html><head><title>Service unavailable</title></head><body>Try later.</body></html>";

/// A simulator that listens until this is dropped.
pub struct SimulatorServer {
    listener: HttpListener,
    state: Shared,
}

type Make = Box<dyn Fn() -> Box<dyn Simulator> + Send + Sync>;

#[derive(Clone)]
struct Shared(Arc<Mutex<State>>);

struct State {
    make: Make,
    simulator: Box<dyn Simulator>,
    settings: SimulatorSettings,
    bucket: Bucket,
    faults: FaultCounts,
    counts: Counts,
}

/// Requests that may still come now.
struct Bucket {
    tokens: f64,
    looked_at: Instant,
}

/// What is done with a request once its latency is over.
enum Course {
    Reply(Reply),
    Fault(FaultRule),
    Answer,
}

impl std::fmt::Debug for SimulatorServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatorServer").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl SimulatorServer {
    /// Serves what `make` makes on a port of loopback; 0 is any that is free. `make` is called again when the
    /// simulator is to begin anew.
    ///
    /// # Errors
    /// The port cannot be listened on.
    pub async fn start(
        port: u16,
        settings: SimulatorSettings,
        make: impl Fn() -> Box<dyn Simulator> + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let state = Shared(Arc::new(Mutex::new(State {
            simulator: make(),
            make: Box::new(make),
            bucket: Bucket::full(&settings),
            settings,
            faults: FaultCounts::default(),
            counts: Counts::default(),
        })));
        let answering = state.clone();
        let listener = HttpListener::start(port, move |request| answering.clone().answer(request)).await?;
        Ok(Self { listener, state })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// What came so far and what the tool holds.
    pub fn report(&self) -> Report {
        self.state.lock().report()
    }

    /// What the tool holds.
    pub fn held(&self) -> Value {
        self.state.lock().simulator.held()
    }

    /// How many requests came so far, and how they were answered.
    pub fn counts(&self) -> (u64, Answers) {
        let state = self.state.lock();
        (state.counts.requests, state.counts.answers.clone())
    }

    /// Begins anew: nothing held, nothing counted, the settings in force.
    pub fn reset(&self) {
        self.state.lock().reset();
    }

    /// Changes settings by their keys, as [`SimulatorSettings::changed`] does.
    ///
    /// # Errors
    /// The settings are wrong; those in force stay.
    pub fn change(&self, over: &Value) -> Result<(), SettingsError> {
        self.state.lock().change(over)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self, request: Received) -> Reply {
        if let Some(reply) = self.inspection(&request) {
            return reply;
        }
        let (course, latency) = {
            let mut state = self.lock();
            (state.course(&request), state.settings.latency_of(request.number))
        };
        if latency > Duration::ZERO {
            sleep(latency).await;
        }
        let mut state = self.lock();
        let reply = match course {
            Course::Reply(reply) => reply,
            Course::Answer => state.taken(&request),
            Course::Fault(rule) => {
                let taken = rule.taken.then(|| state.taken(&request));
                state.broken(&rule, taken)
            }
        };
        state.counts.add(&request.method, request.path(), &reply.name());
        reply
    }

    /// The answers to those who look into the simulator; they are not counted, limited or broken.
    fn inspection(&self, request: &Received) -> Option<Reply> {
        let below = request.path().strip_prefix(INSPECTION)?;
        // A tool may have a path of its own that begins so.
        if !below.is_empty() && !below.starts_with('/') {
            return None;
        }
        if !is_of_this_computer(request) {
            let message = "only this computer may look here: by 127.0.0.1 or localhost, and from no other site's page";
            return Some(Reply::json(403, &json!({ "message": message })));
        }
        Some(match (request.method.as_str(), below) {
            ("GET", "") => Reply::json(200, &json!(self.lock().report())),
            ("GET", "/") => page::reply(&self.lock().report()),
            ("POST", "/reset") => {
                self.lock().reset();
                Reply::status(204)
            }
            ("POST", "/settings") => {
                let mut state = self.lock();
                match state.change(&request.json()) {
                    Ok(()) => Reply::json(200, &state.settings.shown()),
                    Err(error) => Reply::json(400, &json!({ "message": error.to_string() })),
                }
            }
            (_, "") | (_, "/") | (_, "/reset") | (_, "/settings") => Reply::status(405),
            _ => Reply::json(404, &json!({ "message": "look at /_simulator" })),
        })
    }
}

impl State {
    fn course(&mut self, request: &Received) -> Course {
        if let Some(after) = self.bucket.too_fast(&self.settings) {
            let told = self.settings.retry_after.unwrap_or(true).then_some(after);
            return Course::Reply(self.simulator.rate_limited(told));
        }
        if self.settings.credentials.as_ref().is_some_and(|wanted| !wanted.are_with(request)) {
            return Course::Reply(self.simulator.unauthorized());
        }
        match self.faults.next(&self.settings, request.path()) {
            Some(rule) => Course::Fault(rule.clone()),
            None => Course::Answer,
        }
    }

    fn taken(&mut self, request: &Received) -> Reply {
        self.simulator.answer(request, &self.settings.refusals())
    }

    fn broken(&self, rule: &FaultRule, taken: Option<Reply>) -> Reply {
        match rule.fault {
            Fault::Status(status) => {
                let reply = self.simulator.failed(status.number());
                match rule.retry_after {
                    Some(seconds) => reply.with_header("retry-after", &seconds.to_string()),
                    None => reply,
                }
            }
            Fault::Other(Broken::Drop) => Reply::Drop,
            Fault::Other(Broken::Silence) => Reply::Silence,
            Fault::Other(Broken::Html) => Reply::typed(200, "text/html", PAGE),
            Fault::Other(Broken::CutShort) => {
                taken.unwrap_or_else(|| Reply::json(200, &json!({ "message": "cut short" }))).cut_short()
            }
        }
    }

    fn report(&self) -> Report {
        let Counts { requests, answers, endpoints } = self.counts.clone();
        Report { requests, answers, endpoints, settings: self.settings.shown(), held: self.simulator.held() }
    }

    fn reset(&mut self) {
        self.simulator = (self.make)();
        self.bucket = Bucket::full(&self.settings);
        self.faults = FaultCounts::default();
        self.counts = Counts::default();
    }

    fn change(&mut self, over: &Value) -> Result<(), SettingsError> {
        self.settings = self.settings.changed(over)?;
        if over.get("requests_per_second").is_some() || over.get("burst").is_some() {
            self.bucket = Bucket::full(&self.settings);
        }
        if over.get("faults").is_some() {
            self.faults = FaultCounts::default();
        }
        Ok(())
    }
}

impl Bucket {
    fn full(settings: &SimulatorSettings) -> Self {
        Self { tokens: most(settings), looked_at: Instant::now() }
    }

    /// Takes a place for a request; if there is none, when there will be.
    fn too_fast(&mut self, settings: &SimulatorSettings) -> Option<Duration> {
        let rate = settings.requests_per_second?;
        let now = Instant::now();
        let earned = now.duration_since(self.looked_at).as_secs_f64() * rate;
        self.tokens = (self.tokens + earned).min(most(settings));
        self.looked_at = now;
        if self.tokens < 1.0 {
            return Some(Duration::from_secs_f64(((1.0 - self.tokens) / rate).min(86_400.0)));
        }
        self.tokens -= 1.0;
        None
    }
}

/// Whether no page of another site asks, neither as itself nor by a name of its own that leads to loopback.
fn is_of_this_computer(request: &Received) -> bool {
    let Some(host) = request.header("host") else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let is_own = ["127.0.0.1", "localhost", "[::1]"].iter().any(|own| name.eq_ignore_ascii_case(own));
    let origins = request.headers.iter().filter(|(key, _)| key == "origin");
    is_own && origins.into_iter().all(|(_, origin)| origin.eq_ignore_ascii_case(&format!("http://{host}")))
}

fn most(settings: &SimulatorSettings) -> f64 {
    let rate = settings.requests_per_second.unwrap_or(1.0);
    settings.burst.map_or(rate, f64::from).max(1.0)
}
