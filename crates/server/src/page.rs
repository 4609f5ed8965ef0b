//! Lists come in pages: `?limit=&cursor=` → `{items, next_cursor}`. A cursor is opaque to callers; it says behind what
//! the next page begins, so that what is added or taken away meanwhile shifts nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use crate::ApiError;

pub(crate) const LIMIT_DEFAULT: u32 = 50;
pub(crate) const LIMIT_MAX: u32 = 500;

/// Which page of a list. Where a list has filters too, their parameters stand beside these two in a form of its own,
/// which makes one of these.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many items at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub(crate) limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

impl PageQuery {
    /// How many items the page has at most.
    pub(crate) fn limit(&self) -> Result<u32, ApiError> {
        match self.limit.unwrap_or(LIMIT_DEFAULT) {
            limit @ 1..=LIMIT_MAX => Ok(limit),
            other => Err(ApiError::invalid("limit", format!("{other} is not between 1 and {LIMIT_MAX}"))),
        }
    }

    /// Behind what the page begins. None for the first.
    pub(crate) fn after<C: DeserializeOwned>(&self) -> Result<Option<C>, ApiError> {
        let Some(cursor) = self.cursor.as_deref().filter(|cursor| !cursor.is_empty()) else { return Ok(None) };
        let read = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.map(Some).ok_or_else(|| {
            ApiError::invalid("cursor", "is none that this list gave").with_hint("begin again without one")
        })
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// For `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of rows of which one more than `limit` was asked for: whether there is a next page shows by that one.
    /// `place` is what the next page begins behind.
    pub(crate) fn of<R, C: Serialize>(
        mut rows: Vec<R>,
        limit: u32,
        place: impl Fn(&R) -> C,
        view: impl FnMut(R) -> T,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| cursor(&place(last)));
        Self { items: rows.into_iter().map(view).collect(), next_cursor }
    }
}

impl<T> Page<T> {
    /// A page whose next one begins at that place, if there is one.
    pub(crate) fn new<C: Serialize>(items: Vec<T>, next: Option<&C>) -> Self {
        Self { items, next_cursor: next.map(cursor) }
    }
}

fn cursor<C: Serialize>(place: &C) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

#[cfg(test)]
mod tests;
