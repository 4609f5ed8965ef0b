//! From a change to a payload, or to the reason why there is none. Pure.

use kit::Payload;
use mapping::{Event, Options};
use records::{ChangeView, Operation, Value};

use crate::{FieldChange, Mapping};

/// What mapping made of one change.
#[derive(Debug)]
pub(crate) enum Mapped {
    /// The mapping's choice or condition leaves it out: nothing is sent, and the checkpoint takes it.
    Skipped,
    /// It cannot be made into a payload.
    Refused {
        code: &'static str,
        message: String,
    },
    Payload(Payload),
}

/// Maps one change. `index` is its place in the change set.
pub(crate) fn map(mapping: &Mapping, change: &ChangeView<'_>, index: u64) -> Mapped {
    if !mapping.choice.acts_on(change.operation) {
        return Mapped::Skipped;
    }
    let event = Event::of_change(change, mapping.deleted_values);
    if let Some(condition) = &mapping.condition {
        match condition.holds(&event) {
            Ok(true) => {}
            Ok(false) => return Mapped::Skipped,
            Err(error) => return Mapped::Refused { code: "condition", message: error.to_string() },
        }
    }
    let value = match mapping.program.evaluate(&event) {
        Ok(value) => value.unwrap_or(Value::Object(records::Object::new())),
        Err(error) => return Mapped::Refused { code: "mapping", message: error.to_string() },
    };
    match mapping.fields.validate(value, Options { batch: mapping.batching }) {
        Ok(fields) => Mapped::Payload(Payload {
            index,
            key: change.key.to_owned(),
            operation: change.operation,
            message_id: change.message_id.to_owned(),
            fields,
        }),
        Err(problems) => {
            let reasons: Vec<String> =
                problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
            Mapped::Refused { code: "invalid", message: reasons.join("; ") }
        }
    }
}

/// The used columns that a change touches, before and after. All of them for an added or deleted record.
pub(crate) fn field_changes(change: &ChangeView<'_>) -> Vec<FieldChange> {
    let Some(record) = change.record() else { return Vec::new() };
    let value = |view: records::RecordView<'_>, name: &str| match view.schema.index_of(name) {
        Some(index) => {
            let cell = view.cell(index);
            cell.to_value().unwrap_or_else(|_| Value::Text(cell.to_text()))
        }
        None => Value::Null,
    };
    let mut changes = Vec::new();
    for column in record.schema.columns() {
        let side = |view: Option<records::RecordView<'_>>| view.map_or(Value::Null, |view| value(view, &column.name));
        let (before, after) = (side(change.previous), side(change.new));
        if change.operation != Operation::Updated || before != after {
            changes.push(FieldChange { column: column.name.clone(), before, after });
        }
    }
    changes
}
