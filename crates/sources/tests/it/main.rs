//! The sources against a real PostgreSQL and real SQLite files.

#![allow(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod connections;
mod extraction;
mod ledger;
mod refusals;
mod sqlite;
mod tables;

use std::sync::Arc;

use arrow_array::RecordBatch;
use kit::{Query, Source, SourceError};
use postgres_server::PostgresServer;
use records::{Schema, Value, cell};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn query(text: &str) -> Query {
    Query { text: text.to_owned(), rows_max: None }
}

fn source_of(server: &PostgresServer) -> Arc<dyn Source> {
    sources::connect("postgres", &json!({ "url": server.url() })).unwrap()
}

/// Runs a query to its end and gives its batches.
async fn batches(source: &dyn Source, query: &Query) -> Result<Vec<RecordBatch>, SourceError> {
    let (sender, mut receiver) = mpsc::channel(2);
    let collect = async {
        let mut all = Vec::new();
        while let Some(batch) = receiver.recv().await {
            all.push(batch);
        }
        all
    };
    let (result, all) = tokio::join!(source.extract(query, sender, CancellationToken::new()), collect);
    result.map(|()| all)
}

/// Runs a query, checks its batches against what `describe` says, and gives its rows as values of a payload.
async fn rows(source: &dyn Source, query: &Query) -> Result<(Schema, Vec<Vec<Value>>), SourceError> {
    let schema = source.describe(query).await?;
    let mut rows = Vec::new();
    for batch in batches(source, query).await? {
        assert_eq!(batch.schema(), schema.to_arrow(), "what is described is what comes");
        for row in 0..batch.num_rows() {
            let cells = schema.columns().iter().zip(batch.columns());
            let values = cells.map(|(column, array)| {
                let cell = cell(array, column.kind, row);
                cell.to_value().unwrap_or_else(|_| Value::Text(cell.to_text()))
            });
            rows.push(values.collect());
        }
    }
    Ok((schema, rows))
}
