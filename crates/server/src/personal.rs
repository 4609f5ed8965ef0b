//! Values of columns that a model marks as personal: hidden from those who have no right to see them.
//!
//! A payload, a request or an answer may hold any column's value anywhere, so where a model has personal columns all of
//! their texts are hidden, not parts of them.

use crate::{ApiError, AppState, caller::Caller, rights::Right};

/// What stands in place of what is hidden.
pub(crate) const HIDDEN: &str = "[personal]";

/// Something that can be shown without the values of records.
pub(crate) trait Hides {
    fn hide(&mut self);
}

/// Hides values of a mapping's records, if its model has personal columns and the caller has no right to see them. A
/// mapping whose definition is gone or cannot be read is taken to have some.
pub(crate) async fn hide(
    state: &AppState,
    caller: &Caller,
    mapping: &str,
    items: &mut [impl Hides],
) -> Result<(), ApiError> {
    if caller.has(Right::SeePersonal) {
        return Ok(());
    }
    let has_personal = state.personal_columns(mapping).await.map_or(true, |columns| !columns.is_empty());
    if has_personal {
        items.iter_mut().for_each(Hides::hide);
    }
    Ok(())
}
