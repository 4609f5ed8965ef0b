//! Spans as the bytes of an `ExportTraceServiceRequest`, version 1 of OTLP.

use jiff::Timestamp;

use super::span::{AttributeValue, Span};

const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const BYTES: u32 = 2;

const KIND_INTERNAL: u64 = 1;
const STATUS_ERROR: u64 = 2;

/// One message on its way to bytes. What has the value that a reader assumes anyway is left out.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn tag(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    fn number(&mut self, field: u32, number: u64) {
        self.tag(field, VARINT);
        self.varint(number);
    }

    fn fixed(&mut self, field: u32, number: u64) {
        self.tag(field, FIXED_64);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, BYTES);
        self.varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn attribute(&mut self, field: u32, key: &str, value: &AttributeValue) {
        self.message(field, |attribute| {
            attribute.text(1, key);
            attribute.message(2, |any| match value {
                // A choice is written even when it is empty: it tells the kind.
                AttributeValue::Text(text) => any.bytes(1, text.as_bytes()),
                AttributeValue::Int(number) => any.number(3, number.cast_unsigned()),
            });
        });
    }
}

/// The request that delivers `spans` of the resource that these attributes describe.
pub(super) fn request(resource: &[(String, String)], version: &str, spans: &[Span]) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |resource_spans| {
        resource_spans.message(1, |described| {
            for (key, value) in resource {
                described.attribute(1, key, &AttributeValue::Text(value.clone()));
            }
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| {
                scope.text(1, "outflow");
                scope.text(2, version);
            });
            for span in spans {
                scope_spans.message(2, |message| write_span(message, span));
            }
        });
    });
    request.0
}

fn write_span(message: &mut Message, span: &Span) {
    message.bytes(1, &span.trace_id);
    message.bytes(2, &span.id);
    if let Some(parent) = &span.parent {
        message.bytes(4, parent);
    }
    message.text(5, span.name);
    message.number(6, KIND_INTERNAL);
    message.fixed(7, nanoseconds(span.start));
    message.fixed(8, nanoseconds(span.end));
    for (key, value) in &span.attributes {
        message.attribute(9, key, value);
    }
    if let Some(error) = &span.error {
        message.message(15, |status| {
            status.text(2, error);
            status.number(3, STATUS_ERROR);
        });
    }
}

/// Since 1970. Moments before it are none that a sync ran at.
fn nanoseconds(moment: Timestamp) -> u64 {
    u64::try_from(moment.as_nanosecond()).unwrap_or(0)
}
