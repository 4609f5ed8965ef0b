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

/// What mapping made of one change, before it is on its way.
#[derive(Debug)]
pub(crate) enum Considered {
    Skipped,
    Refused(Refusal),
    /// The action's fields, validated.
    Fields(Value),
}

/// Why a change cannot be made into a payload.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub code: &'static str,
    /// Field and reason; the field is empty where it is the whole.
    pub problems: Vec<(String, String)>,
}

impl Refusal {
    fn whole(code: &'static str, error: &dyn std::error::Error) -> Self {
        Self { code, problems: vec![(String::new(), error.to_string())] }
    }

    fn message(&self) -> String {
        let reason = |(field, message): &(String, String)| match field.as_str() {
            "" => message.clone(),
            field => format!("{field}: {message}"),
        };
        self.problems.iter().map(reason).collect::<Vec<_>>().join("; ")
    }
}

/// Maps one change. `index` is its place in the change set.
pub(crate) fn map(mapping: &Mapping, change: &ChangeView<'_>, index: u64) -> Mapped {
    match consider(mapping, change) {
        Considered::Skipped => Mapped::Skipped,
        Considered::Refused(refusal) => Mapped::Refused { code: refusal.code, message: refusal.message() },
        Considered::Fields(fields) => Mapped::Payload(Payload {
            index,
            key: change.key.to_owned(),
            operation: change.operation,
            message_id: change.message_id.to_owned(),
            fields,
        }),
    }
}

/// Whether choice and condition let a change through; one that the condition fails on is not left out.
pub(crate) fn lets_through(mapping: &Mapping, change: &ChangeView<'_>) -> bool {
    let event = Event::of_change(change, mapping.deleted_values);
    mapping.choice.acts_on(change.operation)
        && mapping.condition.as_ref().is_none_or(|condition| condition.holds(&event).unwrap_or(true))
}

/// Makes the fields of a change's payload.
pub(crate) fn consider(mapping: &Mapping, change: &ChangeView<'_>) -> Considered {
    if !mapping.choice.acts_on(change.operation) {
        return Considered::Skipped;
    }
    let event = Event::of_change(change, mapping.deleted_values);
    if let Some(condition) = &mapping.condition {
        match condition.holds(&event) {
            Ok(true) => {}
            Ok(false) => return Considered::Skipped,
            Err(error) => return Considered::Refused(Refusal::whole("condition", &error)),
        }
    }
    let value = match mapping.program.evaluate(&event) {
        Ok(value) => value.unwrap_or(Value::Object(records::Object::new())),
        Err(error) => return Considered::Refused(Refusal::whole("mapping", &error)),
    };
    match mapping.fields.validate(value, Options { batch: mapping.batching }) {
        Ok(fields) => Considered::Fields(fields),
        Err(problems) => {
            let problems = problems.into_iter().map(|problem| (problem.field, problem.message)).collect();
            Considered::Refused(Refusal { code: "invalid", problems })
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
