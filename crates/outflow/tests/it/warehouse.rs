//! A project whose source is a real PostgreSQL server.

use postgres_server::PostgresServer;

use super::support::{Project, Sink};

/// A mapping `people` that mirrors the table `people (id, name)` to the sink. The server's URL comes from the
/// environment.
pub(crate) fn project(server: &PostgresServer, sink: &Sink, records_max: usize, concurrency: usize) -> Project {
    let mut project = Project::empty();
    project.variable("DATABASE_URL", &server.url());
    project.write("outflow.yaml", "version: 1\nname: warehouse\n");
    project.write("sources/warehouse.yaml", "type: postgres\nurl: ${env:DATABASE_URL}\n");
    project.write("models/people.sql", "-- source: warehouse\n-- key: id\nselect id, name from people\n");
    project.write(
        "destinations/crm.yaml",
        &format!(
            "type: http\nbase_url: {}\nconnection: {{limits: {{concurrency: {concurrency}}}}}\noptions:\n  \
             batch: {{records_max: {records_max}}}\n  results: {{path: results, error_path: error}}\n",
            sink.url
        ),
    );
    project.write(
        "mappings/people.yaml",
        r#"model: people
destination: crm
mode: mirror
fields:
  url: /people
  body:
    id: { "@path": "$.properties.id" }
    name: { "@path": "$.properties.name" }
    event: { "@path": "$.event" }
    message: { "@path": "$.messageId" }
retry: { attempts_max: 1 }
"#,
    );
    project
}
