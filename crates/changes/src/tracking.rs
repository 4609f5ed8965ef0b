//! What a mapping tracks of a model: its key, the columns it uses, and what is kept of them.

use records::{Column, Schema};
use serde::{Deserialize, Serialize};

use crate::HashError;

/// What the checkpoint keeps of a delivered record besides key and fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The last delivered values of the used columns.
    #[default]
    Values,
    /// The key alone: updates have no previous values, and a deleted record has its key columns only.
    Keys,
}

/// What a mapping tracks: the names of the key's columns in the key's order, of the columns it uses in any order
/// (each once; key columns may be among them), and what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    pub key: Vec<String>,
    pub used: Vec<String>,
    pub keep: Keep,
}

/// A [`Tracking`] with the kinds its columns had, as checkpoint and change set state it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    pub key: Vec<Column>,
    pub used: Vec<Column>,
    pub keep: Keep,
    /// The version of the rules in `docs/fingerprints.md`.
    pub rules: u32,
}

/// How the used columns differ from those the checkpoint was made with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrackingChange {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    /// The same name with another kind. Equal values stay equal, whatever integer or decimal type carries them.
    pub retyped: Vec<String>,
}

/// The rules of `docs/fingerprints.md` that this program follows.
pub(crate) const RULES: u32 = 1;

impl Tracked {
    /// # Errors
    /// A column that the schema lacks.
    pub(crate) fn find(tracking: &Tracking, schema: &Schema) -> Result<Self, HashError> {
        let find = |name: &String| {
            schema.get(name).cloned().ok_or_else(|| HashError::ColumnMissing {
                column: name.clone(),
                present: schema.columns().iter().map(|column| column.name.clone()).collect(),
            })
        };
        let mut used: Vec<Column> = tracking.used.iter().map(find).collect::<Result<_, _>>()?;
        used.sort_by(|a, b| a.name.cmp(&b.name));
        used.dedup();
        let key = tracking.key.iter().map(find).collect::<Result<_, _>>()?;
        Ok(Self { key, used, keep: tracking.keep, rules: RULES })
    }

    /// The columns whose values are kept: the key's, then, with [`Keep::Values`], the other used ones by name.
    pub(crate) fn kept(&self) -> Vec<Column> {
        let mut kept = self.key.clone();
        if self.keep == Keep::Values {
            kept.extend(self.used.iter().filter(|used| !self.key.iter().any(|key| key.name == used.name)).cloned());
        }
        kept
    }

    /// All columns a change carries of the new record: the key's, then the other used ones by name.
    pub(crate) fn carried(&self) -> Vec<Column> {
        Self { keep: Keep::Values, ..self.clone() }.kept()
    }

    /// How `now` differs in its used columns, if it does.
    pub(crate) fn change_to(&self, now: &Tracked) -> Option<TrackingChange> {
        let name = |column: &Column| column.name.clone();
        let lacks = |columns: &[Column], name: &str| !columns.iter().any(|column| column.name == name);
        let change = TrackingChange {
            added: now.used.iter().filter(|column| lacks(&self.used, &column.name)).map(name).collect(),
            removed: self.used.iter().filter(|column| lacks(&now.used, &column.name)).map(name).collect(),
            retyped: now
                .used
                .iter()
                .filter(|column| self.used.iter().any(|old| old.name == column.name && old.kind != column.kind))
                .map(name)
                .collect(),
        };
        (change != TrackingChange::default()).then_some(change)
    }

    /// Whether keys hashed under the two are comparable: the same columns, and kinds that share a form.
    pub(crate) fn same_key(&self, now: &Tracked) -> bool {
        let family = |column: &Column| match column.kind {
            records::Kind::Decimal => records::Kind::Int,
            kind => kind,
        };
        self.rules == now.rules
            && self.key.len() == now.key.len()
            && self.key.iter().zip(&now.key).all(|(old, new)| old.name == new.name && family(old) == family(new))
    }
}
