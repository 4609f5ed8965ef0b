//! What goes into a statement and what comes out, the same for both databases.

use jiff::Timestamp;
use sqlx::{Row as _, postgres::PgRow, sqlite::SqliteRow};

use crate::StoreError;

/// One value of a statement. What is missing has a type too, which PostgreSQL asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arg {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// The values of a statement, `$1` first.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::database::Arg::from($value)),*] };
}
pub(crate) use args;

/// How a type stands in the store.
macro_rules! arg_of {
    ($variant:ident, $type:ty, |$value:ident| $stored:expr) => {
        impl From<$type> for Arg {
            fn from($value: $type) -> Self {
                Arg::$variant(Some($stored))
            }
        }

        impl From<Option<$type>> for Arg {
            fn from(value: Option<$type>) -> Self {
                Arg::$variant(value.map(|$value| $stored))
            }
        }
    };
}

arg_of!(Integer, i64, |value| value);
arg_of!(Integer, u64, |value| to_integer(value));
arg_of!(Integer, u32, |value| i64::from(value));
arg_of!(Integer, bool, |value| i64::from(value));
arg_of!(Integer, Timestamp, |value| to_micros(value));
arg_of!(Text, &str, |value| value.to_owned());
arg_of!(Text, &String, |value| value.clone());
arg_of!(Text, String, |value| value);
arg_of!(Bytes, Vec<u8>, |value| value);
arg_of!(Bytes, &[u8], |value| value.to_owned());

/// One row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! read {
    ($row:expr, $column:expr, $type:ty) => {
        match $row {
            Row::Sqlite(row) => row.try_get::<$type, _>($column),
            Row::Postgres(row) => row.try_get::<$type, _>($column),
        }
        .map_err(|source| StoreError::Statement { doing: "read a row", source })
    };
}

impl Row {
    pub(crate) fn text(&self, column: &str) -> Result<String, StoreError> {
        read!(self, column, String)
    }

    pub(crate) fn optional_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        read!(self, column, Option<String>)
    }

    pub(crate) fn integer(&self, column: &str) -> Result<i64, StoreError> {
        read!(self, column, i64)
    }

    pub(crate) fn optional_integer(&self, column: &str) -> Result<Option<i64>, StoreError> {
        read!(self, column, Option<i64>)
    }

    pub(crate) fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        read!(self, column, Vec<u8>)
    }

    pub(crate) fn optional_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError> {
        read!(self, column, Option<Vec<u8>>)
    }

    pub(crate) fn flag(&self, column: &str) -> Result<bool, StoreError> {
        Ok(self.integer(column)? != 0)
    }

    pub(crate) fn count(&self, column: &str) -> Result<u64, StoreError> {
        let number = self.integer(column)?;
        u64::try_from(number).map_err(|_| StoreError::Unreadable { what: "a count", value: number.to_string() })
    }

    pub(crate) fn optional_count(&self, column: &str) -> Result<Option<u64>, StoreError> {
        self.optional_integer(column)?.map(|_| self.count(column)).transpose()
    }

    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        from_micros(self.integer(column)?)
    }

    pub(crate) fn optional_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        self.optional_integer(column)?.map(from_micros).transpose()
    }

    /// Reads text that a type parses itself from: an id, for instance.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, column: &str, what: &'static str) -> Result<T, StoreError> {
        let text = self.text(column)?;
        text.parse().map_err(|_| StoreError::Unreadable { what, value: text })
    }

    /// The same for what may be missing.
    pub(crate) fn optional_parsed<T: std::str::FromStr>(
        &self,
        column: &str,
        what: &'static str,
    ) -> Result<Option<T>, StoreError> {
        self.optional_text(column)?.map(|_| self.parsed(column, what)).transpose()
    }

    /// Reads a column of JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(
        &self,
        column: &str,
        what: &'static str,
    ) -> Result<T, StoreError> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|_| StoreError::Unreadable { what, value: text })
    }

    /// Reads a column of JSON that may be missing.
    pub(crate) fn optional_json<T: serde::de::DeserializeOwned>(
        &self,
        column: &str,
        what: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let Some(text) = self.optional_text(column)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|_| StoreError::Unreadable { what, value: text })
    }
}

pub(crate) fn to_micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

pub(crate) fn from_micros(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros)
        .map_err(|_| StoreError::Unreadable { what: "a time", value: micros.to_string() })
}

/// The databases' integers are signed; a count beyond their range is kept as the largest.
pub(crate) fn to_integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Reads a word that stands for a variant: `words` pairs each variant with its word.
pub(crate) fn variant<T: Copy>(words: &[(T, &str)], what: &'static str, word: &str) -> Result<T, StoreError> {
    words
        .iter()
        .find(|(_, known)| *known == word)
        .map(|(variant, _)| *variant)
        .ok_or_else(|| StoreError::Unreadable { what, value: word.to_owned() })
}
