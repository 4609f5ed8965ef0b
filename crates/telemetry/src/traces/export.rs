//! The way of traces to a collector: a bounded queue, and a task that sends what is in it in batches.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{protobuf, settings::ExportSettings, span::Span};
use crate::Metrics;

/// Traces that wait for their turn; more are dropped and counted.
const QUEUE_MAX: usize = 1024;
/// Spans of one request, give or take a trace.
const BATCH_SPANS: usize = 512;
/// How long a span waits for others to share its request.
const BATCH_WAIT: Duration = Duration::from_secs(5);
/// The longest a collector may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a batch is sent in all.
const ATTEMPTS_MAX: u32 = 5;
const DELAY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait that a collector can ask for.
const DELAY_MAX: Duration = Duration::from_secs(30);

/// One request to a collector, to be sent by `POST`.
#[derive(Debug)]
pub struct ExportRequest<'a> {
    pub settings: &'a ExportSettings,
    /// `Content-Type`.
    pub content_type: &'static str,
    pub body: Bytes,
}

/// What a collector answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportAnswer {
    pub status: u16,
    /// The header `Retry-After`, if there is one.
    pub retry_after: Option<Duration>,
}

/// Sends requests to a collector. An implementation has an HTTP client; this crate has none.
#[async_trait]
pub trait Post: Send + Sync + Debug {
    /// The answer, whatever its status, or why none came, without credentials.
    async fn post(&self, request: &ExportRequest<'_>) -> Result<ExportAnswer, String>;
}

/// Where traces are handed in. Cheap to clone; while traces are off it does nothing.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    queue: Option<mpsc::Sender<Vec<Span>>>,
    metrics: Option<Metrics>,
}

/// The task that sends traces.
#[derive(Debug)]
pub struct Exporting {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Traces {
    /// Nobody wants traces.
    pub fn off() -> Self {
        Self::default()
    }

    /// Traces are sent as `settings` say, by a task that runs until [`Exporting::finish`].
    pub fn start(settings: ExportSettings, version: &str, post: Arc<dyn Post>, metrics: Metrics) -> (Self, Exporting) {
        let (queue, spans) = mpsc::channel(QUEUE_MAX);
        let (stop, stopped) = oneshot::channel();
        let exporter =
            Exporter { settings, version: version.to_owned(), post, metrics: metrics.clone(), has_told: false };
        let task = tokio::spawn(exporter.run(spans, stopped));
        (Self { queue: Some(queue), metrics: Some(metrics) }, Exporting { task, stop })
    }

    /// Whether traces are worth making.
    pub fn are_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Hands in the spans of a trace. Never waits: when the queue is full they are dropped, and counted.
    pub fn send(&self, spans: Vec<Span>) {
        let Some(queue) = &self.queue else { return };
        if let Err(refused) = queue.try_send(spans)
            && let Some(metrics) = &self.metrics
        {
            metrics.spans_dropped(refused.into_inner().len());
        }
    }
}

impl Exporting {
    /// Sends what is still in the queue, once, and ends, at the latest after `within`.
    pub async fn finish(self, within: Duration) {
        // The task may have ended; then there is nobody to tell.
        let _ = self.stop.send(());
        let abort = self.task.abort_handle();
        if timeout(within, self.task).await.is_err() {
            abort.abort();
        }
    }
}

struct Exporter {
    settings: ExportSettings,
    version: String,
    post: Arc<dyn Post>,
    metrics: Metrics,
    /// Whether the log has the present trouble already.
    has_told: bool,
}

/// What became of one attempt.
enum Attempt {
    Taken,
    /// It may be taken later, at the earliest after this time.
    Later(String, Option<Duration>),
    Refused(String),
}

impl Exporter {
    async fn run(mut self, mut queue: mpsc::Receiver<Vec<Span>>, mut stopped: oneshot::Receiver<()>) {
        let mut batch: Vec<Span> = Vec::new();
        let mut due = Instant::now();
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                received = queue.recv() => match received {
                    Some(spans) => {
                        if batch.is_empty() {
                            due = Instant::now() + BATCH_WAIT;
                        }
                        batch.extend(spans);
                        if batch.len() < BATCH_SPANS {
                            continue;
                        }
                    }
                    None => break,
                },
                () = sleep_until(due), if !batch.is_empty() => {}
            }
            let spans = std::mem::take(&mut batch);
            tokio::select! {
                // The rest of the queue goes out below; this batch gets its last attempt there too.
                _ = &mut stopped => {
                    batch = spans;
                    break;
                }
                () = self.deliver(&spans, ATTEMPTS_MAX) => {}
            }
        }
        queue.close();
        while let Some(spans) = queue.recv().await {
            batch.extend(spans);
            if batch.len() >= BATCH_SPANS {
                self.deliver(&std::mem::take(&mut batch), 1).await;
            }
        }
        if !batch.is_empty() {
            self.deliver(&batch, 1).await;
        }
    }

    async fn deliver(&mut self, spans: &[Span], attempts_max: u32) {
        let body = Bytes::from(protobuf::request(&self.settings.resource, &self.version, spans));
        let mut delay = DELAY_FIRST;
        for attempt in 1..=attempts_max {
            let (why, after) = match self.attempt(body.clone()).await {
                Attempt::Taken => {
                    self.metrics.spans_sent(spans.len());
                    if std::mem::take(&mut self.has_told) {
                        tracing::info!("traces reach the collector again");
                    }
                    return;
                }
                Attempt::Later(why, after) => (why, after),
                Attempt::Refused(why) => return self.give_up(spans.len(), &why),
            };
            if attempt == attempts_max {
                return self.give_up(spans.len(), &why);
            }
            sleep(after.unwrap_or(delay).min(DELAY_MAX)).await;
            delay *= 2;
        }
    }

    async fn attempt(&self, body: Bytes) -> Attempt {
        let request = ExportRequest { settings: &self.settings, content_type: "application/x-protobuf", body };
        let answer = match timeout(ANSWER_TIMEOUT, self.post.post(&request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Attempt::Later(why, None),
            Err(_) => return Attempt::Later("no answer came in time".to_owned(), None),
        };
        let why = format!("it answered with status {}", answer.status);
        match answer.status {
            200..=299 => Attempt::Taken,
            429 | 502..=504 => Attempt::Later(why, answer.retry_after),
            _ => Attempt::Refused(why),
        }
    }

    fn give_up(&mut self, spans: usize, why: &str) {
        self.metrics.spans_dropped(spans);
        if !std::mem::replace(&mut self.has_told, true) {
            tracing::warn!(url = self.settings.url, why, "the collector does not take traces; they are dropped");
        }
    }
}
