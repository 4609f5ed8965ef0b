//! What every destination that speaks HTTP must do when things go wrong, checked against a server that makes them go
//! wrong.

use std::sync::Arc;
use std::time::Duration;

use mapping::SyncMode;
use records::{Outcome, OutcomeKind, Value};

use super::{Received, Reply, Server, TestClock, batch, load_all, load_plan, payload};
use crate::{Destination, Fate, LoadPlan, LoadStop, RetrySettings, Wire, WireSettings, preview_requests};

/// Makes a destination that calls a server at that URL.
pub type Connect = dyn Fn(&str) -> Arc<dyn Destination>;

/// A destination to be checked, and what its tool does when all is well.
pub struct Subject {
    pub connect: Box<Connect>,
    pub action: String,
    pub mode: SyncMode,
    /// The fields of a good payload.
    pub fields: Box<dyn Fn(u64) -> Value>,
    /// What the tool answers to a good request.
    pub accept: Arc<dyn Fn(&Received) -> Reply + Send + Sync>,
    /// How many records a request carries.
    pub count: Box<dyn Fn(&Received) -> usize>,
    /// Secrets of the settings, at least eight characters long.
    pub secrets: Vec<String>,
    /// A success without a body is one.
    pub empty_is_fine: bool,
}

/// How many payloads each check sends.
const COUNT: u64 = 7;

struct Run {
    fates: Vec<Fate>,
    result: Result<(), LoadStop>,
    received: Vec<Received>,
}

impl Run {
    fn all(&self, kind: OutcomeKind) -> bool {
        self.fates.len() == COUNT as usize && self.fates.iter().all(|fate| fate.outcome.kind() == kind)
    }

    fn none_delivered(&self) -> bool {
        !self.fates.iter().any(|fate| fate.outcome.is_delivered())
    }

    fn told(&self) -> String {
        let outcomes: Vec<_> = self.fates.iter().map(|fate| &fate.outcome).collect();
        format!("{:?}, {outcomes:?}, {} requests", self.result, self.received.len())
    }

    /// Everything of it that is kept or shown.
    fn recorded(&self) -> String {
        let mut text = format!("{:?}", self.result);
        if let Err(stop) = &self.result {
            text.push_str(&stop.to_string());
        }
        for fate in &self.fates {
            text.push_str(&format!("{:?}", fate.outcome));
            if let Some(exchange) = &fate.exchange {
                text.push_str(&serde_json::to_string(exchange.as_ref()).unwrap_or_default());
            }
        }
        text
    }
}

/// Runs all checks and gives a sentence for each that failed.
pub async fn check(subject: &Subject) -> Vec<String> {
    let mut failures = Vec::new();
    let mut expect = |name: &str, run: &Run, holds: bool| {
        if !holds {
            failures.push(format!("{name}: {}", run.told()));
        }
        for secret in &subject.secrets {
            if run.recorded().contains(secret.as_str()) {
                failures.push(format!("{name}: a secret is recorded"));
            }
        }
    };
    let delivered = OutcomeKind::Delivered;

    let run = subject.run(None, 6, |_| None).await;
    expect("all is well", &run, run.all(delivered) && run.result.is_ok());
    let most =
        (subject.connect)("http://127.0.0.1:1").facts().action(&subject.action).map_or(0, |a| a.batch.records_max);
    let within = run.received.iter().all(|request| (subject.count)(request) <= most);
    let carried: usize = run.received.iter().map(|request| (subject.count)(request)).sum();
    expect("batch limits are kept and no record is sent twice", &run, within && carried == COUNT as usize);
    let again = subject.run(None, 6, |_| None).await;
    let mut bodies =
        [&run, &again].map(|run| run.received.iter().map(|request| request.body.clone()).collect::<Vec<_>>());
    bodies.iter_mut().for_each(|bodies| bodies.sort());
    expect("the same payloads make the same requests", &again, bodies[0] == bodies[1]);

    for status in [401, 403] {
        let run = subject.run(None, 6, move |request| Some(echo(request, status))).await;
        let stopped = matches!(run.result, Err(LoadStop::CredentialsRefused { .. }));
        expect("wrong credentials stop the load", &run, stopped && run.none_delivered());
    }
    for header in [None, Some(("retry-after", "0")), Some(("retry-after", "Thu, 01 Jan 2026 00:00:00 GMT"))] {
        let slow = Reply::status(429);
        let slow = header.map_or(slow.clone(), |(name, value)| slow.with_header(name, value));
        let run = subject.run(None, 6, move |request| (request.number == 0).then(|| slow.clone())).await;
        expect("a 429 is waited for", &run, run.all(delivered));
    }
    let run = subject.run(None, 6, |request| (request.number == 0).then(|| echo(request, 500))).await;
    expect("a 500 is tried again", &run, run.all(delivered));
    let run = subject.run(None, 2, |request| Some(echo(request, 500))).await;
    expect(
        "a lasting 500 means later",
        &run,
        run.none_delivered() && run.fates.iter().all(|fate| fate.outcome.kind() == OutcomeKind::Retry),
    );
    let run = subject.run(None, 6, |request| Some(echo(request, 400))).await;
    expect("a lasting 400 rejects", &run, run.all(OutcomeKind::Rejected));
    let run = subject.run(None, 6, |request| (request.number == 0).then_some(Reply::Drop)).await;
    expect("a dropped connection is tried again", &run, run.all(delivered));

    let in_doubt = |run: &Run| {
        run.none_delivered()
            && !run.fates.is_empty()
            && run.fates.iter().all(|fate| fate.outcome.kind() == OutcomeKind::InDoubt)
    };
    let faults = [
        ("a connection dropped after the request", Reply::Drop),
        ("no answer in time", Reply::Silence),
        ("an answer cut short", Reply::CutShort { status: 200, body: b"{\"results\": [".to_vec() }),
        ("truncated JSON", Reply::typed(200, "application/json", "{\"results\": [{\"sta")),
        ("a page", Reply::typed(200, "text/html", "<!DOCTYPE html><title>Sign in</title>")),
        ("a redirection", Reply::status(302).with_header("location", "/elsewhere")),
    ];
    for (name, reply) in faults {
        let run = subject.run(None, 1, move |_| Some(reply.clone())).await;
        expect(&format!("{name} leaves records in doubt"), &run, in_doubt(&run));
    }
    let run = subject.run(None, 1, |_| Some(Reply::status(200))).await;
    expect("an empty success", &run, if subject.empty_is_fine { run.all(delivered) } else { in_doubt(&run) });

    let run = subject.run(Some("http://127.0.0.1:1"), 2, |_| None).await;
    let stopped = matches!(run.result, Err(LoadStop::Unreachable { .. }));
    expect("an unreachable server stops the load and sends nothing", &run, stopped && run.fates.is_empty());

    let (preview, sent) = subject.preview().await;
    if sent > 0 || preview.is_empty() {
        failures.push(format!("a preview made {sent} requests and showed `{preview}`"));
    }
    if subject.secrets.iter().any(|secret| preview.contains(secret.as_str())) {
        failures.push("a preview shows a secret".to_owned());
    }
    failures
}

/// An answer that repeats the request, credentials and all, as some debug pages do.
fn echo(request: &Received, status: u16) -> Reply {
    let headers: serde_json::Map<_, _> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let said = format!("you sent {} with {}", request.target, serde_json::Value::Object(headers));
    Reply::json(status, &serde_json::json!({ "message": said }))
}

impl Subject {
    async fn run(
        &self,
        url: Option<&str>,
        attempts_max: u32,
        fault: impl Fn(&Received) -> Option<Reply> + Send + Sync + 'static,
    ) -> Run {
        let accept = Arc::clone(&self.accept);
        let server = match Server::start(move |request| fault(request).unwrap_or_else(|| accept(request))).await {
            Ok(server) => server,
            Err(error) => return Run::unstarted(&error.to_string()),
        };
        let destination = (self.connect)(url.unwrap_or(&server.url()));
        let own = destination.wire_settings();
        // How fast the tool may be called is the kit's doing, and would only make the suite slow.
        let limits = crate::Limits { requests_per_second: None, ..own.limits };
        let settings = WireSettings { total_timeout: Duration::from_millis(400), limits, ..own };
        let wire = match Wire::open(settings, TestClock::new()) {
            Ok(wire) => wire,
            Err(error) => return Run::unstarted(&error.to_string()),
        };
        let plan = LoadPlan {
            retry: RetrySettings {
                attempts_max,
                delay_first: Duration::from_millis(2),
                delay_max: Duration::from_millis(5),
                failing_batches_max: 1000,
                ..RetrySettings::default()
            },
            ..load_plan(destination, wire, &self.action, self.mode)
        };
        let (fates, result) =
            load_all(&plan, (0..COUNT).map(|index| payload(index, (self.fields)(index))).collect()).await;
        Run { fates, result, received: server.received() }
    }

    async fn preview(&self) -> (String, usize) {
        let Ok(server) = Server::start(|_| Reply::status(500)).await else { return (String::new(), 1) };
        let destination = (self.connect)(&server.url());
        let Ok(wire) = Wire::open(destination.wire_settings(), TestClock::new()) else { return (String::new(), 1) };
        let records = (0..COUNT).map(|index| payload(index, (self.fields)(index))).collect();
        let batch = batch(&self.action, self.mode, records);
        let shown = match preview_requests(destination.as_ref(), &wire, &batch).await {
            Ok(exchanges) => serde_json::to_string(&exchanges).unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        (shown, server.received().len())
    }
}

impl Run {
    fn unstarted(why: &str) -> Self {
        let stop = LoadStop::Settings { message: why.to_owned() };
        Self { fates: Vec::new(), result: Err(stop), received: Vec::new() }
    }
}

/// The outcome in one word and its message, for comparison with what a case says.
pub(super) fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered => "delivered".to_owned(),
        other => {
            let (code, message) = (other.code().unwrap_or_default(), other.message().unwrap_or_default());
            format!("{} {code}: {message}", other.kind().name())
        }
    }
}
