//! Connectors that the tests of this crate know: a source with one table, and a tool that takes what it is given.

use std::{path::Path, sync::Arc};

use arrow_array::{Int64Array, RecordBatch, StringArray};
use async_trait::async_trait;
use kit::{
    Auth, Batch, ChoicePage, ChoiceQuery, DeliveryError, Destination, DynamicChoice, Facts, Grant, OAuth, Place, Query,
    SettingsError, Source, SourceError, Table, TableColumn, TableKind, TableName, Wire, WireSettings,
};
use project::Connectors;
use records::{Column, Kind, Outcome, Schema};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const CRM: &str = "
slug: crm
name: CRM
description: A tool that takes people.
settings:
  - { key: url, type: url, label: Address, required: true }
  - { key: api_key, type: text, label: Key, secret: true }
actions:
  - slug: upsert
    name: Upsert
    modes: [upsert, mirror]
    fields:
      - { key: email, label: E-mail, type: string, required: true }
      - { key: name, label: Name, type: string }
";

/// A tool that a person grants access to.
const PORTAL: &str = "
slug: portal
name: Portal
settings:
  - { key: url, type: url, label: Address, required: true }
actions:
  - slug: upsert
    name: Upsert
    modes: [upsert]
    fields: [{ key: email, label: E-mail, type: string }]
";

#[derive(Debug)]
pub(crate) struct Fakes;

impl Connectors for Fakes {
    fn source_types(&self) -> &[&str] {
        &["shop"]
    }

    fn source_settings_schema(&self, _kind: &str) -> Value {
        json!({
            "type": "object",
            "properties": {
                "host": { "description": "The server's name.", "type": "string" },
                "password": { "description": "The password.", "type": "string" },
            },
            "required": ["host"],
        })
    }

    fn source_secret_settings(&self, _kind: &str) -> &[&str] {
        &["password"]
    }

    fn source(&self, _kind: &str, settings: &Value, _folder: &Path) -> Result<Arc<dyn Source>, SourceError> {
        Ok(Arc::new(Shop(settings.clone())))
    }

    fn destination_facts(&self) -> Vec<Facts> {
        [CRM, PORTAL].iter().map(|facts| Facts::parse(facts).unwrap()).collect()
    }

    fn destination(
        &self,
        kind: &str,
        settings: &Value,
        options: Option<&Value>,
        _folder: &Path,
    ) -> Result<Arc<dyn Destination>, SettingsError> {
        let facts = self.facts(kind).unwrap();
        facts.check_settings(settings)?;
        facts.check_options(options.unwrap_or(&Value::Null))?;
        Ok(Arc::new(Crm { facts, settings: settings.clone() }))
    }
}

/// The host `down` is not reached; any other has three people, of which two share an id if the query says `double`.
#[derive(Debug)]
struct Shop(Value);

#[async_trait]
impl Source for Shop {
    async fn check(&self) -> Result<String, SourceError> {
        if self.0["host"] == "down" {
            let message =
                format!("`{}` was tried and nobody answered", self.0["password"].as_str().unwrap_or_default());
            return Err(SourceError::Unreachable { address: "down".to_owned(), message });
        }
        Ok("a shop".to_owned())
    }

    async fn describe(&self, query: &Query) -> Result<Schema, SourceError> {
        self.check().await?;
        if query.text.contains("wrong") {
            let place = Some(Place { line: 1, column: 8 });
            return Err(SourceError::QueryFailed { message: "there is no `wrong`".to_owned(), place, hint: None });
        }
        let columns = if query.text.contains("outflow_keys") {
            ["records", "keys_twice", "keys_missing"].map(|name| Column::new(name, Kind::Int)).to_vec()
        } else {
            vec![Column::new("id", Kind::Int), Column::new("email", Kind::Text)]
        };
        Ok(Schema::new(columns).unwrap())
    }

    async fn tables(&self) -> Result<Vec<Table>, SourceError> {
        self.check().await?;
        let table = |schema: &str, table: &str| Table {
            name: TableName { schema: Some(schema.to_owned()), table: table.to_owned() },
            kind: TableKind::Table,
            rows: Some(3),
        };
        Ok(vec![table("public", "people"), table("secret", "plans")])
    }

    async fn columns(&self, table: &TableName) -> Result<Option<Vec<TableColumn>>, SourceError> {
        let column = |name: &str, kind: Kind, is_key: bool| TableColumn {
            name: name.to_owned(),
            kind,
            type_name: kind.name().to_owned(),
            is_nullable: !is_key,
            is_key,
        };
        let columns = vec![column("id", Kind::Int, true), column("email", Kind::Text, false)];
        Ok((table.table == "people").then_some(columns))
    }

    async fn extract(
        &self,
        query: &Query,
        batches: mpsc::Sender<RecordBatch>,
        _cancel: CancellationToken,
    ) -> Result<(), SourceError> {
        let schema = self.describe(query).await?.to_arrow();
        let batch = if query.text.contains("outflow_keys") {
            let twice = i64::from(query.text.contains("double"));
            let number = |number: i64| Arc::new(Int64Array::from(vec![number])) as _;
            RecordBatch::try_new(schema, vec![number(3), number(twice), number(0)])
        } else {
            let ids = Arc::new(Int64Array::from(vec![1, 2, 3])) as _;
            let emails = Arc::new(StringArray::from(vec![Some("a@example.com"), None, Some("c@example.com")])) as _;
            RecordBatch::try_new(schema, vec![ids, emails])
        };
        batches.send(batch.unwrap()).await.map_err(|_| SourceError::Cancelled)
    }
}

#[derive(Debug)]
struct Crm {
    facts: Facts,
    settings: Value,
}

#[async_trait]
impl Destination for Crm {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        let limits = self.facts.limits;
        if self.facts.slug != "portal" {
            return WireSettings { limits, ..WireSettings::default() };
        }
        let url = self.settings["url"].as_str().unwrap();
        let auth = Auth::OAuth(Box::new(OAuth {
            token_url: format!("{url}/token"),
            client_id: "app".to_owned(),
            client_secret: Some("very-s3cret".to_owned()),
            client_in_body: false,
            scopes: Vec::new(),
            parameters: Vec::new(),
            grant: Grant::AuthorizationCode { authorize_url: format!("{url}/authorize"), parameters: Vec::new() },
            store: None,
        }));
        WireSettings { limits, auth, ..WireSettings::default() }
    }

    async fn check(&self, _wire: &Wire) -> Result<String, DeliveryError> {
        match self.settings["api_key"].as_str() {
            Some("good-key") => Ok("a CRM".to_owned()),
            other => Err(DeliveryError::CredentialsRefused { message: format!("not with {other:?}") }),
        }
    }

    async fn deliver(&self, batch: &Batch, _wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        Ok(batch.records.iter().map(|_| Outcome::Delivered).collect())
    }

    async fn choices(&self, query: &ChoiceQuery, _wire: &Wire) -> Result<ChoicePage, DeliveryError> {
        Ok(ChoicePage { choices: vec![DynamicChoice::new(&query.field, "A list")], next: None })
    }
}
