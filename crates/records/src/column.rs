//! Columns of a model's result and their Arrow form.

use std::sync::Arc;

use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

/// The metadata key of an Arrow field that tells its [`Kind`], so that files explain themselves.
const KIND: &str = "outflow.kind";

/// What a column holds. A closed set: every source maps its own types onto it, and what it cannot map is `Text`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Bool,
    /// All integer types, to 64 bits.
    Int,
    Float,
    /// Exact decimal digits as text: `-12.30`, or `NaN`, `Infinity`, `-Infinity`.
    Decimal,
    Text,
    /// JSON text; arrays, composites and documents.
    Json,
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since midnight.
    Time,
    /// Microseconds since 1970-01-01T00:00:00 without a zone; `i64::MAX` and `i64::MIN` are ±infinity.
    Timestamp,
    /// Microseconds since 1970-01-01T00:00:00Z; `i64::MAX` and `i64::MIN` are ±infinity.
    TimestampTz,
    Binary,
}

impl Kind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Kind; 11] = [
        Kind::Bool,
        Kind::Int,
        Kind::Float,
        Kind::Decimal,
        Kind::Text,
        Kind::Json,
        Kind::Date,
        Kind::Time,
        Kind::Timestamp,
        Kind::TimestampTz,
        Kind::Binary,
    ];

    /// The one Arrow type that carries this kind.
    pub fn arrow(self) -> DataType {
        match self {
            Kind::Bool => DataType::Boolean,
            Kind::Int => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Decimal | Kind::Text | Kind::Json => DataType::Utf8,
            Kind::Date => DataType::Date32,
            Kind::Time => DataType::Time64(TimeUnit::Microsecond),
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Binary => DataType::Binary,
        }
    }

    /// The word for it in messages and files.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Decimal => "decimal",
            Kind::Text => "text",
            Kind::Json => "json",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::Timestamp => "timestamp",
            Kind::TimestampTz => "timestamp_tz",
            Kind::Binary => "binary",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One column of a model's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

/// An Arrow schema that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    #[error("column `{column}` has no `{KIND}` in its metadata, or one that does not fit {found}")]
    NotOurs { column: String, found: String },
    #[error("column `{column}` stands twice in the result; give one of them another name")]
    Duplicate { column: String },
}

/// The columns of a model's result, in its order. Names are unique.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schema {
    columns: Arc<[Column]>,
}

impl Schema {
    /// A schema of these columns.
    ///
    /// # Errors
    /// A name that stands twice.
    pub fn new(columns: Vec<Column>) -> Result<Self, SchemaError> {
        for (index, column) in columns.iter().enumerate() {
            if columns[..index].iter().any(|other| other.name == column.name) {
                return Err(SchemaError::Duplicate { column: column.name.clone() });
            }
        }
        Ok(Self { columns: columns.into() })
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    pub fn get(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The Arrow form, every field nullable, its kind in the metadata.
    pub fn to_arrow(&self) -> SchemaRef {
        let fields: Vec<Field> = self.columns.iter().map(Column::to_arrow).collect();
        Arc::new(arrow_schema::Schema::new(fields))
    }

    /// Reads a schema back from its Arrow form.
    ///
    /// # Errors
    /// A field without a kind, or with a kind that its type does not carry.
    pub fn from_arrow(schema: &arrow_schema::Schema) -> Result<Self, SchemaError> {
        let columns = schema.fields().iter().map(|field| Column::from_arrow(field));
        Self::new(columns.collect::<Result<_, _>>()?)
    }
}

impl Column {
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind }
    }

    /// The Arrow field, nullable, its kind in the metadata.
    pub fn to_arrow(&self) -> Field {
        Field::new(&self.name, self.kind.arrow(), true).with_metadata([(KIND.to_owned(), self.kind.name().to_owned())])
    }

    /// Reads a column back from its Arrow field.
    ///
    /// # Errors
    /// No kind in the metadata, or one that the field's type does not carry.
    pub fn from_arrow(field: &Field) -> Result<Self, SchemaError> {
        let kind = field.metadata().get(KIND).and_then(|name| Kind::from_name(name));
        match kind {
            Some(kind) if kind.arrow() == *field.data_type() => Ok(Self::new(field.name(), kind)),
            _ => Err(SchemaError::NotOurs { column: field.name().clone(), found: field.data_type().to_string() }),
        }
    }
}
