//! What a mapping is evaluated over: a change of a record as Segment shows it, or a plain JSON value.

use records::{ChangeView, Value};

/// What a deleted record's columns show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeletedValues {
    /// The values as last delivered.
    #[default]
    Last,
    /// Nulls, as Segment shows them.
    Null,
}

/// An event to map.
#[derive(Debug)]
pub struct Event<'a> {
    pub(crate) root: Root<'a>,
}

#[derive(Debug)]
pub(crate) enum Root<'a> {
    Change { _view: ChangeView<'a>, _deleted: DeletedValues },
    Value { _value: &'a Value },
}

impl<'a> Event<'a> {
    /// The event of a change.
    pub fn of_change(view: &ChangeView<'a>, deleted: DeletedValues) -> Self {
        Self { root: Root::Change { _view: *view, _deleted: deleted } }
    }

    /// An event that is a JSON value.
    pub fn of_value(value: &'a Value) -> Self {
        Self { root: Root::Value { _value: value } }
    }
}
