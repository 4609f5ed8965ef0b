//! What stands between `tracing` and a place for events: it times them and finds out what they belong to.

use std::{fmt::Debug, sync::Arc};

use records::Clock;
use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer, registry::LookupSpan};

use super::event::{Context, LogEvent, Reading};

/// A place where events go. It is called by whoever logs, so it must be quick.
pub trait LogSink: Send + Sync + Debug + 'static {
    fn take(&self, event: LogEvent);
}

/// A layer of `tracing` that hands events to a [`LogSink`]. What an event belongs to (`sync`, `mapping`, `worker`,
/// `request_id`) is read from its own fields, then from the spans around it, the inner ones first.
#[derive(Debug)]
pub struct LogLayer<K> {
    sink: K,
    clock: Arc<dyn Clock>,
    process: Context,
}

impl<K: LogSink> LogLayer<K> {
    pub fn new(sink: K, clock: Arc<dyn Clock>) -> Self {
        Self { sink, clock, process: Context::default() }
    }

    /// All events of this process are of this worker.
    #[must_use]
    pub fn of_worker(mut self, worker: &str) -> Self {
        self.process.worker = Some(worker.to_owned());
        self
    }
}

impl<K: LogSink, S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer<K> {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: layer::Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut reading = Reading::default();
        attributes.record(&mut reading);
        // Another layer of this kind may have been here.
        span.extensions_mut().replace(reading.context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: layer::Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut reading = Reading::default();
        values.record(&mut reading);
        let mut extensions = span.extensions_mut();
        if let Some(known) = extensions.get_mut::<Context>() {
            reading.context.fill_from(known);
            *known = reading.context;
        }
    }

    fn on_event(&self, event: &Event<'_>, context: layer::Context<'_, S>) {
        let mut reading = Reading::default();
        event.record(&mut reading);
        let Reading { message, context: mut belongs_to, fields } = reading;
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(wider) = span.extensions().get::<Context>() {
                belongs_to.fill_from(wider);
            }
        }
        belongs_to.fill_from(&self.process);
        self.sink.take(LogEvent {
            number: 0,
            time: self.clock.now(),
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            message,
            context: belongs_to,
            fields,
        });
    }
}
