//! The tables of a source, for people who write a model and want to see what there is.

use records::Kind;

/// How many tables a source lists at most.
pub const TABLES_MAX: usize = 10_000;

/// A table or view that models may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: TableName,
    pub kind: TableKind,
    /// How many rows it has, as far as the source knows without counting.
    pub rows: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    Table,
    View,
}

/// What a table is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    /// None where a source has no schemas.
    pub schema: Option<String>,
    pub table: String,
}

impl TableName {
    /// As it is written in a query.
    pub fn quoted(&self) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.table)),
            None => quoted(&self.table),
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    pub name: String,
    /// What a model that selects it gets.
    pub kind: Kind,
    /// The source's own word for its type.
    pub type_name: String,
    pub is_nullable: bool,
    /// It is one of the columns of the primary key.
    pub is_key: bool,
}
