//! What the status of an HTTP answer means: a table that says it for single statuses and for classes (`4xx`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// What a status says about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Taken. Results for single records, if the answer has them, are still read.
    Delivered,
    /// Understood and refused: sending the same again cannot succeed.
    #[serde(alias = "refused")]
    Rejected,
    /// A passing fault: sent again.
    Retry,
    /// Too fast: the whole destination waits.
    RateLimited,
    /// Nobody knows whether it was taken: sent again, and counted as in doubt.
    InDoubt,
    /// Stops the sync.
    CredentialsRefused,
}

/// A table of statuses. A single status goes before its class, and a later table before an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(with = "BTreeMap<String, Meaning>")]
pub struct Statuses(BTreeMap<String, Meaning>);

/// A key of a table that is neither a status nor a class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is not a status such as `409` or a class such as `4xx`")]
pub struct StatusesError {
    pub key: String,
}

impl Statuses {
    /// The table of those keys.
    ///
    /// # Errors
    /// A key is neither a status nor a class.
    pub fn new(entries: impl IntoIterator<Item = (String, Meaning)>) -> Result<Self, StatusesError> {
        let mut table = BTreeMap::new();
        for (key, meaning) in entries {
            let class = matches!(key.as_bytes(), [b'1'..=b'5', b'x', b'x']);
            let single = key.len() == 3 && key.parse::<u16>().is_ok_and(|status| (100..600).contains(&status));
            if !class && !single {
                return Err(StatusesError { key });
            }
            table.insert(key, meaning);
        }
        Ok(Self(table))
    }

    /// What a status means: as listed here for that very status, else as most APIs mean it, else as listed for its
    /// class, else as the class is meant. None: a status no rule speaks of, such as a redirection.
    pub fn meaning(&self, status: u16) -> Option<Meaning> {
        let single = self.0.get(&status.to_string()).copied().or(match status {
            401 | 403 => Some(Meaning::CredentialsRefused),
            408 | 423 | 425 => Some(Meaning::Retry),
            429 => Some(Meaning::RateLimited),
            // A gateway says these when it does not know what became of the request behind it.
            502 | 504 => Some(Meaning::InDoubt),
            _ => None,
        });
        let class = || self.0.get(&format!("{}xx", status / 100)).copied();
        single.or_else(class).or(match status {
            200..300 => Some(Meaning::Delivered),
            400..500 => Some(Meaning::Rejected),
            500..600 => Some(Meaning::Retry),
            _ => None,
        })
    }

    /// This table, with `over` before it.
    pub fn overlaid(&self, over: &Statuses) -> Self {
        let mut table = self.clone();
        table.0.extend(over.0.iter().map(|(key, meaning)| (key.clone(), *meaning)));
        table
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<Key, Meaning>::deserialize(deserializer)?;
        Self::new(entries.into_iter().map(|(key, meaning)| (key.0, meaning))).map_err(serde::de::Error::custom)
    }
}

/// A key of the table: `409` as a number or as text.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Key;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a status such as `409` or a class such as `4xx`")
            }

            fn visit_str<E>(self, text: &str) -> Result<Key, E> {
                Ok(Key(text.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Key, E> {
                Ok(Key(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Key, E> {
                Ok(Key(number.to_string()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}
