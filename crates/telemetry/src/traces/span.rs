//! The spans of one sync: the whole of it, and one for each phase.

use jiff::Timestamp;
use records::{Counts, SyncId};

use crate::Phase;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    Text(String),
    Int(i64),
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// One span as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub(crate) trace_id: [u8; 16],
    pub(crate) id: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) name: &'static str,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) attributes: Vec<(String, AttributeValue)>,
    /// The code of what went wrong.
    pub(crate) error: Option<String>,
}

/// Texts of attributes are cut to this many bytes.
const TEXT_BYTES_MAX: usize = 1024;
/// A sync does not come near it; what is over it is left out.
const SPANS_MAX: usize = 64;

/// The trace of a sync while it runs. The moments come from its caller.
///
/// The id of the trace is the UUID of the sync, so that who knows one knows the other.
#[derive(Debug)]
pub struct SyncTrace {
    root: Span,
    phases: Vec<Span>,
    is_open: bool,
}

impl SyncTrace {
    pub fn begin(sync: SyncId, mapping: &str, at: Timestamp) -> Self {
        let trace_id = *sync.uuid().as_bytes();
        let root = Span {
            trace_id,
            id: span_id(trace_id, 0),
            parent: None,
            name: "sync",
            start: at,
            end: at,
            attributes: Vec::new(),
            error: None,
        };
        let mut trace = Self { root, phases: Vec::new(), is_open: false };
        trace.about("outflow.sync", sync.to_string().as_str());
        trace.about("outflow.mapping", mapping);
        trace
    }

    /// Adds what there is to know of the whole sync: `outflow.destination`, `outflow.trigger`.
    pub fn about(&mut self, key: &str, value: impl Into<AttributeValue>) {
        self.root.attributes.push((key.to_owned(), cut(value.into())));
    }

    /// Ends the phase that went on, if one did, and begins this one.
    pub fn phase(&mut self, phase: Phase, at: Timestamp) {
        self.end_phase(at);
        if self.phases.len() + 1 >= SPANS_MAX {
            return;
        }
        let number = u64::try_from(self.phases.len()).unwrap_or(0) + 1;
        self.phases.push(Span {
            trace_id: self.root.trace_id,
            id: span_id(self.root.trace_id, number),
            parent: Some(self.root.id),
            name: phase.name(),
            start: at,
            end: at,
            attributes: Vec::new(),
            error: None,
        });
        self.is_open = true;
    }

    /// Adds what there is to know of the phase that goes on, or went on last: `outflow.records.extracted`.
    pub fn about_phase(&mut self, key: &str, value: impl Into<AttributeValue>) {
        if let Some(phase) = self.phases.last_mut() {
            phase.attributes.push((key.to_owned(), cut(value.into())));
        }
    }

    /// Ends the phase that goes on, for what follows belongs to none: the wait for a person, say.
    pub fn end_phase(&mut self, at: Timestamp) {
        if let Some(phase) = self.phases.last_mut().filter(|_| self.is_open) {
            // A clock may be set back meanwhile; no span ends before its start.
            phase.end = at.max(phase.start);
        }
        self.is_open = false;
    }

    /// The spans of the sync, which ended like this. A failed one tells the code of its problem, which marks the phase
    /// it failed in too.
    pub fn end(mut self, at: Timestamp, ending: &str, problem: Option<&str>, counts: &Counts) -> Vec<Span> {
        if let Some(code) = problem {
            if let Some(phase) = self.phases.last_mut().filter(|_| self.is_open) {
                phase.error = Some(code.to_owned());
            }
            self.root.error = Some(code.to_owned());
        }
        self.end_phase(at);
        let last = self.phases.iter().map(|phase| phase.end).max().unwrap_or(at);
        self.root.end = at.max(last).max(self.root.start);
        self.about("outflow.ending", ending);
        let numbers = [
            ("extracted", counts.extracted),
            ("unchanged", counts.unchanged),
            ("added", counts.added),
            ("updated", counts.updated),
            ("deleted", counts.deleted),
            ("unusable_key", counts.unusable_key()),
            ("skipped", counts.skipped),
            ("delivered", counts.delivered),
            ("rejected", counts.rejected),
            ("retry", counts.retry),
            ("in_doubt", counts.in_doubt),
        ];
        for (name, number) in numbers {
            self.about(&format!("outflow.records.{name}"), number);
        }
        let mut spans = vec![self.root];
        spans.append(&mut self.phases);
        spans
    }
}

/// Unique in its trace and never zero: the second half of a UUID begins with a bit that is set.
fn span_id(trace_id: [u8; 16], number: u64) -> [u8; 8] {
    let [.., a, b, c, d, e, f, g, h] = trace_id;
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]) ^ number).to_be_bytes()
}

fn cut(value: AttributeValue) -> AttributeValue {
    match value {
        AttributeValue::Text(mut text) if text.len() > TEXT_BYTES_MAX => {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            AttributeValue::Text(text)
        }
        value => value,
    }
}
