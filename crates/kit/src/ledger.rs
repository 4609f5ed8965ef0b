//! A table in a warehouse that tells what syncs did, for those who want it beside their data.

/// The type of a column of such a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerKind {
    Text,
    Integer,
    /// As RFC 3339 text.
    Timestamp,
}

/// A table of ours in a warehouse, made when it is missing. Its first column is the id of the sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    pub schema: Option<String>,
    pub name: String,
    pub columns: &'static [(&'static str, LedgerKind)],
}

impl Ledger {
    /// The table's name with its schema, each in double quotes, which SQL takes everywhere but in MySQL.
    pub fn quoted(&self) -> String {
        let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        match &self.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(&self.name)),
            None => quote(&self.name),
        }
    }
}

/// The rows of one sync as they are written: batches of JSON objects, whose keys are the ledger's columns.
pub type LedgerRows = Vec<serde_json::Map<String, serde_json::Value>>;
