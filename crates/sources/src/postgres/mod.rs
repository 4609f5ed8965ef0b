//! PostgreSQL from version 12 on: a binary `COPY` of the model's query, decoded straight to Arrow.
//!
//! What becomes of its types is a table in this folder's `README.md`.

mod binary;
mod catalog;
mod decode;
mod failures;
mod ledger;
mod settings;
mod structure;
mod tables;
mod tls;
mod wire;

use std::{fmt, sync::Arc};

use arrow_array::RecordBatch;
use async_trait::async_trait;
use kit::{Ledger, LedgerRows, Query, Source, SourceError, Table, TableColumn, TableName};
use records::{Column, Kind, Schema};
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    binary::Scalar,
    catalog::Catalog,
    decode::Decoder,
    settings::Target,
    structure::Form,
    wire::{Connection, Failure},
};
use crate::select::{Dialect, one_select};

pub(crate) use self::settings::Settings;

/// Settings that are secrets.
pub(crate) const SECRETS: &[&str] = &["url", "password", "tls_client_key"];

/// A PostgreSQL database.
pub(crate) struct Postgres {
    target: Target,
    tls: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("address", &self.target.address()).finish_non_exhaustive()
    }
}

/// How a column's value leaves the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// In its type's binary form.
    Plain,
    /// As the text the server makes of it.
    Text,
    /// As the JSON the server makes of it.
    Json,
}

/// The columns of a query: their schema, the form each has in binary, and how each is sent.
struct Shape {
    schema: Schema,
    forms: Vec<Form>,
    sent: Vec<Sent>,
}

impl Postgres {
    /// A source with these settings. Nothing is connected yet.
    ///
    /// # Errors
    /// Settings that contradict each other, certificates that are none.
    pub(crate) fn new(settings: Settings) -> Result<Self, SourceError> {
        let target = settings.target()?;
        let tls = tls::configure(&target)?;
        Ok(Self { target, tls })
    }

    async fn connect(&self) -> Result<Connection, SourceError> {
        let connection = Connection::open(&self.target, self.tls.as_ref()).await;
        connection.map_err(|failure| failures::while_connecting(failure, &self.target))
    }

    /// Begins the one read-only transaction, with the ways of printing that our decoder counts on.
    async fn begin(&self, connection: &mut Connection) -> Result<(), SourceError> {
        let timeout = self.target.statement_timeout_seconds.map_or(String::new(), |seconds| {
            format!("SET statement_timeout = {};", seconds.saturating_mul(1000).min(i32::MAX.cast_unsigned().into()))
        });
        // Such a server would refuse bytes that are not UTF-8 without naming the column; we name it.
        let encoding = if connection.has_no_encoding() { "SET client_encoding = SQL_ASCII;" } else { "" };
        let text = format!(
            "{timeout} {encoding} SET DateStyle = 'ISO, YMD'; SET IntervalStyle = iso_8601; SET TimeZone = 'UTC'; \
             SET extra_float_digits = 1; SET bytea_output = hex; \
             BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
        );
        let nothing = Query { text: String::new(), rows_max: None };
        let begun = connection.query(&text).await;
        begun.map_err(|failure| failures::while_querying(failure, &self.target, &nothing, usize::MAX))?;
        Ok(())
    }

    async fn shape(&self, connection: &mut Connection, query: &Query, select: &str) -> Result<Shape, SourceError> {
        let failed = |failure: Failure| failures::while_querying(failure, &self.target, query, 0);
        let (columns, parameters) = connection.describe(select).await.map_err(failed)?;
        if parameters > 0 {
            let message = "it has a parameter (`$1`); write the value itself".to_owned();
            return Err(SourceError::ModelRefused { message, place: None });
        }
        if columns.is_empty() {
            let message = "its result has no columns; select at least one".to_owned();
            return Err(SourceError::ModelRefused { message, place: None });
        }
        let types: Vec<u32> = columns.iter().map(|column| column.type_id).collect();
        let catalog = Catalog::load(connection, &types).await.map_err(failed)?;
        let mut shape = Vec::with_capacity(columns.len());
        let (mut forms, mut sent) = (Vec::new(), Vec::new());
        for column in columns {
            let (form, how) = match catalog.form(column.type_id) {
                Some(form) => (form, Sent::Plain),
                None if catalog.is_structure(column.type_id) => (Form::Scalar(Scalar::Json), Sent::Json),
                None => (Form::Scalar(Scalar::Text), Sent::Text),
            };
            let kind = match &form {
                Form::Scalar(scalar) => scalar.kind(),
                Form::Array(_) | Form::Composite(_) => Kind::Json,
            };
            shape.push(Column::new(column.name, kind));
            forms.push(form);
            sent.push(how);
        }
        let schema = Schema::new(shape)
            .map_err(|error| SourceError::ModelRefused { message: error.to_string(), place: None })?;
        Ok(Shape { schema, forms, sent })
    }

    /// The rows of a question to the server's catalog.
    async fn looked_up(
        &self,
        connection: &mut Connection,
        text: &str,
    ) -> Result<Vec<Vec<Option<String>>>, SourceError> {
        let nothing = Query { text: String::new(), rows_max: None };
        let rows = connection.query(text).await;
        rows.map_err(|failure| failures::while_querying(failure, &self.target, &nothing, usize::MAX))
    }

    /// Signs in, begins, runs and sends; the connection is the caller's to close.
    async fn run(
        &self,
        connection: &mut Connection,
        query: &Query,
        batches: &mpsc::Sender<RecordBatch>,
    ) -> Result<(), SourceError> {
        let select = one_select(&query.text, Dialect::Postgres)?;
        self.begin(connection).await?;
        let shape = self.shape(connection, query, select).await?;
        let (copy, before) = copy_of(select, &shape, query.rows_max);
        let begun = connection.begin_copy(&copy).await;
        begun.map_err(|failure| failures::while_querying(failure, &self.target, query, before))?;
        let mut decoder = Decoder::new(&shape.schema, &shape.forms);
        loop {
            let chunk = connection.chunk().await;
            let chunk = chunk.map_err(|failure| failures::while_querying(failure, &self.target, query, before))?;
            let ended = self.take(chunk, &mut decoder, query, before)?;
            if (ended || decoder.is_full())
                && let Some(batch) = decoder.batch()?
            {
                batches.send(batch).await.map_err(|_| SourceError::Cancelled)?;
            }
            if ended {
                return decoder.end();
            }
        }
    }

    /// Decodes a chunk of whole messages. Whether it was the last.
    fn take(&self, chunk: &[u8], decoder: &mut Decoder, query: &Query, before: usize) -> Result<bool, SourceError> {
        let mut at = 0;
        let mut ended = false;
        while let Ok(Some(length)) = wire::message_length(&chunk[at..]) {
            let body = (at + 5).min(chunk.len())..(at + length).min(chunk.len());
            match chunk[at] {
                b'd' => decoder.measure(chunk, body.start, body.end)?,
                b'Z' => ended = true,
                b'E' => {
                    let error = wire::server_error(&chunk[body]);
                    return Err(failures::of_server(&error, &self.target, query, before));
                }
                _ => {}
            }
            at = (at + length).min(chunk.len());
        }
        decoder.decode(chunk)?;
        Ok(ended)
    }
}

/// The `COPY` of a query, and how many characters stand in it before the query's own.
fn copy_of(select: &str, shape: &Shape, rows_max: Option<u64>) -> (String, usize) {
    let mut head = "COPY (".to_owned();
    let mut tail = String::new();
    let is_plain = shape.sent.iter().all(|sent| *sent == Sent::Plain);
    if !is_plain {
        let columns = shape.schema.columns().iter().zip(&shape.sent).map(|(column, sent)| {
            let name = column.name.replace('"', "\"\"");
            match sent {
                Sent::Plain => format!("\"{name}\""),
                Sent::Text => format!("\"{name}\"::pg_catalog.text"),
                Sent::Json => format!("pg_catalog.to_json(\"{name}\")"),
            }
        });
        head.push_str(&format!("SELECT {} FROM (", columns.collect::<Vec<_>>().join(", ")));
        tail.push_str(") AS outflow_model");
    } else if rows_max.is_some() {
        head.push_str("SELECT * FROM (");
        tail.push_str(") AS outflow_model");
    }
    if let Some(rows) = rows_max {
        tail.push_str(&format!(" LIMIT {rows}"));
    }
    // A new line, because the query may end in a comment.
    let before = head.chars().count();
    (format!("{head}{select}\n{tail}) TO STDOUT (FORMAT binary)"), before)
}

#[async_trait]
impl Source for Postgres {
    async fn check(&self) -> Result<String, SourceError> {
        let connection = self.connect().await?;
        let found = format!("PostgreSQL {} at {}", connection.version(), self.target.address());
        connection.close().await;
        Ok(found)
    }

    async fn describe(&self, query: &Query) -> Result<Schema, SourceError> {
        let select = one_select(&query.text, Dialect::Postgres)?;
        let mut connection = self.connect().await?;
        self.begin(&mut connection).await?;
        let shape = self.shape(&mut connection, query, select).await?;
        connection.close().await;
        Ok(shape.schema)
    }

    async fn tables(&self) -> Result<Vec<Table>, SourceError> {
        let mut connection = self.connect().await?;
        self.begin(&mut connection).await?;
        let rows = self.looked_up(&mut connection, &tables::list()).await?;
        connection.close().await;
        Ok(rows.iter().filter_map(|row| tables::table(row)).collect())
    }

    async fn columns(&self, table: &TableName) -> Result<Option<Vec<TableColumn>>, SourceError> {
        let mut connection = self.connect().await?;
        self.begin(&mut connection).await?;
        let rows = self.looked_up(&mut connection, &tables::columns(table)).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let select = format!("SELECT * FROM {}", table.quoted());
        let query = Query { text: select.clone(), rows_max: None };
        let shape = self.shape(&mut connection, &query, &select).await?;
        connection.close().await;
        let column = |(row, column): (Vec<Option<String>>, &Column)| {
            let is = |index: usize| row.get(index).is_some_and(|cell| cell.as_deref() == Some("t"));
            TableColumn {
                name: column.name.clone(),
                kind: column.kind,
                type_name: row.get(1).cloned().flatten().unwrap_or_default(),
                is_nullable: is(2),
                is_key: is(3),
            }
        };
        Ok(Some(rows.into_iter().zip(shape.schema.columns()).map(column).collect()))
    }

    async fn extract(
        &self,
        query: &Query,
        batches: mpsc::Sender<RecordBatch>,
        cancel: CancellationToken,
    ) -> Result<(), SourceError> {
        one_select(&query.text, Dialect::Postgres)?;
        let mut connection = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(SourceError::Cancelled),
            connection = self.connect() => connection?,
        };
        let backend = connection.backend();
        let ended = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(SourceError::Cancelled),
            () = batches.closed() => Err(SourceError::Cancelled),
            ended = self.run(&mut connection, query, &batches) => ended,
        };
        match &ended {
            Ok(()) => connection.close().await,
            Err(SourceError::Cancelled | SourceError::Value { .. }) => {
                // The query may run on. Closing the connection alone would be noticed only with its next row.
                if let Err(failure) = wire::cancel(&self.target, self.tls.as_ref(), backend).await {
                    tracing::warn!(?failure, "the query could not be cancelled on the server");
                }
            }
            Err(_) => {}
        }
        ended
    }

    async fn record(
        &self,
        ledger: &Ledger,
        sync: &str,
        mut rows: mpsc::Receiver<LedgerRows>,
    ) -> Result<(), SourceError> {
        let mut connection = self.connect().await?;
        let nothing = Query { text: String::new(), rows_max: None };
        let mut run = async |text: String| {
            let done = connection.query(&text).await;
            done.map(drop).map_err(|failure| failures::while_querying(failure, &self.target, &nothing, usize::MAX))
        };
        run(ledger::begin(ledger, sync)).await?;
        while let Some(batch) = rows.recv().await {
            if let Some(text) = ledger::insert(ledger, batch) {
                run(text).await?;
            }
        }
        run("COMMIT".to_owned()).await?;
        connection.close().await;
        Ok(())
    }
}
