//! A scene without chance, for tests that tell one thing: a table, a tool, and engines between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use async_trait::async_trait;
use kit::{Batch, DeliveryError, Destination, Facts, Query, RetrySettings, Source, SourceError, Wire};
use mapping::{DeletedValues, Fields, Program, SyncMode};
use records::{Clock, Column, Kind, Operation, Outcome, Schema, Value};
use store::Store;
use sync::{Choice, Connection, Engine, Guards, Mapping, Model, Settings};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Dice, FakeClock},
    faults::lock,
};

const FACTS: &str = "
slug: scene
name: Scene
settings:
  - { key: name, type: text, label: Name }
actions:
  - slug: record
    name: Record
    modes: [add, update, upsert, delete, mirror]
    fields:
      id: { type: integer, required: true }
      email: { type: string }
      plan: { type: string, allow_null: true }
    batch: { records_max: 2, bytes_max: 100000 }
limits: { concurrency: 1 }
";

/// Both sides, and what they share.
#[derive(Debug)]
pub struct Scene {
    pub table: Arc<Table>,
    pub tool: Arc<Tool>,
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    dice: Arc<Dice>,
    folder: PathBuf,
}

/// Something that waits until it is opened. Open at first.
#[derive(Debug)]
pub struct Gate {
    closed: tokio::sync::watch::Sender<bool>,
    waiting: AtomicU64,
}

/// The table `people`: an id, an e-mail address and a plan.
#[derive(Debug, Default)]
pub struct Table {
    rows: Mutex<BTreeMap<i64, (String, String)>>,
    /// How often it was read.
    pub extracts: AtomicU64,
    /// Closed, an extract waits after its first batch.
    pub gate: Gate,
    /// Reading it fails.
    pub lost: std::sync::atomic::AtomicBool,
    /// A column that the result does not have.
    without: Mutex<Option<String>>,
}

/// What the tool was given, and how it takes it.
#[derive(Debug, Default)]
pub struct Tool {
    records: Mutex<BTreeMap<String, String>>,
    calls: Mutex<Vec<Vec<String>>>,
    refused: Mutex<BTreeSet<String>>,
    busy: Mutex<BTreeSet<String>>,
    /// Closed, a call waits before anything is taken.
    pub gate: Gate,
}

impl Default for Gate {
    fn default() -> Self {
        Self { closed: tokio::sync::watch::Sender::new(false), waiting: AtomicU64::new(0) }
    }
}

impl Gate {
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    pub fn open(&self) {
        self.closed.send_replace(false);
    }

    async fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut closed = self.closed.subscribe();
        let opened = closed.wait_for(|closed| !closed).await.map(|_| ());
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        drop(opened);
    }

    /// Waits until someone stands before it.
    pub async fn reached(&self) {
        while self.waiting.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Table {
    pub fn set(&self, id: i64, plan: &str) {
        lock(&self.rows).insert(id, (format!("person{id}@example.com"), plan.to_owned()));
    }

    /// What a tool holds that was given all of it: key → payload, as JSON.
    pub fn payloads(&self) -> BTreeMap<String, String> {
        let payload = |(id, (email, plan)): (&i64, &(String, String))| {
            let payload = records::object! { "id" => *id, "email" => email.as_str(), "plan" => plan.as_str() };
            (id.to_string(), payload.to_json())
        };
        lock(&self.rows).iter().map(payload).collect()
    }

    pub fn remove(&self, id: i64) {
        lock(&self.rows).remove(&id);
    }

    pub fn without(&self, column: Option<&str>) {
        *lock(&self.without) = column.map(str::to_owned);
    }

    fn columns(&self) -> Vec<(&'static str, Kind)> {
        let all = [("id", Kind::Int), ("email", Kind::Text), ("plan", Kind::Text)];
        let without = lock(&self.without).clone();
        all.into_iter().filter(|(name, _)| without.as_deref() != Some(name)).collect()
    }

    fn schema(&self) -> Schema {
        let columns = self.columns().into_iter().map(|(name, kind)| Column::new(name, kind)).collect();
        Schema::new(columns).unwrap_or_else(|error| unreachable!("the names are unique: {error}"))
    }

    fn batches(&self) -> Vec<RecordBatch> {
        let rows: Vec<(i64, (String, String))> = lock(&self.rows).iter().map(|(id, row)| (*id, row.clone())).collect();
        let batch = |rows: &[(i64, (String, String))]| {
            let column = |name: &str| -> ArrayRef {
                match name {
                    "id" => Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>()),
                    "email" => Arc::new(rows.iter().map(|row| Some(row.1.0.as_str())).collect::<StringArray>()),
                    _ => Arc::new(rows.iter().map(|row| Some(row.1.1.as_str())).collect::<StringArray>()),
                }
            };
            let columns = self.columns().into_iter().map(|(name, _)| column(name)).collect();
            RecordBatch::try_new(self.schema().to_arrow(), columns)
                .unwrap_or_else(|error| unreachable!("the columns are those of the schema: {error}"))
        };
        rows.chunks((rows.len() / 50).max(3)).map(batch).collect()
    }
}

#[derive(Debug)]
pub(crate) struct TableSource(pub(crate) Arc<Table>);

#[async_trait]
impl Source for TableSource {
    async fn check(&self) -> Result<String, SourceError> {
        Ok("the table".to_owned())
    }

    async fn describe(&self, _: &Query) -> Result<Schema, SourceError> {
        Ok(self.0.schema())
    }

    async fn extract(
        &self,
        _: &Query,
        batches: mpsc::Sender<RecordBatch>,
        cancel: CancellationToken,
    ) -> Result<(), SourceError> {
        self.0.extracts.fetch_add(1, Ordering::SeqCst);
        if self.0.lost.load(Ordering::SeqCst) {
            return Err(SourceError::Lost { message: "the table is gone".to_owned() });
        }
        for batch in self.0.batches() {
            if batches.send(batch).await.is_err() {
                return Err(SourceError::Cancelled);
            }
            tokio::select! {
                () = self.0.gate.pass() => {}
                () = cancel.cancelled() => return Err(SourceError::Cancelled),
            }
        }
        Ok(())
    }
}

impl Tool {
    /// Key → payload, as JSON.
    pub fn records(&self) -> BTreeMap<String, String> {
        lock(&self.records).clone()
    }

    pub fn keys(&self) -> Vec<String> {
        self.records().into_keys().collect()
    }

    /// The keys of every call so far.
    pub fn calls(&self) -> Vec<Vec<String>> {
        lock(&self.calls).clone()
    }

    /// Refuses the record with this key from now on, or takes it again.
    pub fn refuse(&self, key: &str, refused: bool) {
        let mut all = lock(&self.refused);
        if refused {
            all.insert(key.to_owned())
        } else {
            all.remove(key)
        };
    }

    /// Tells the record with this key to come again from now on, or takes it.
    pub fn be_busy_for(&self, key: &str, busy: bool) {
        let mut all = lock(&self.busy);
        if busy {
            all.insert(key.to_owned())
        } else {
            all.remove(key)
        };
    }
}

#[derive(Debug)]
pub(crate) struct ToolDestination {
    pub(crate) facts: Facts,
    pub(crate) tool: Arc<Tool>,
}

pub(crate) fn facts() -> Facts {
    Facts::parse(FACTS).unwrap_or_else(|error| unreachable!("the facts are right: {error}"))
}

#[async_trait]
impl Destination for ToolDestination {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn check(&self, _: &Wire) -> Result<String, DeliveryError> {
        Ok("the tool".to_owned())
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        if wire.is_preview() {
            return Err(DeliveryError::Preview);
        }
        lock(&self.tool.calls).push(batch.records.iter().map(|payload| payload.key.clone()).collect());
        self.tool.gate.pass().await;
        let (refused, busy) = (lock(&self.tool.refused).clone(), lock(&self.tool.busy).clone());
        let mut records = lock(&self.tool.records);
        let outcomes = batch.records.iter().map(|payload| {
            if refused.contains(&payload.key) {
                return Outcome::rejected("refused", "the tool does not take it");
            }
            if busy.contains(&payload.key) {
                return Outcome::retry("busy", "come again");
            }
            match payload.operation {
                Operation::Deleted => drop(records.remove(&payload.key)),
                _ => drop(records.insert(payload.key.clone(), payload.fields.to_json())),
            }
            Outcome::Delivered
        });
        Ok(outcomes.collect())
    }
}

impl Scene {
    /// An empty table and an empty tool; engines keep their files below `folder`.
    ///
    /// # Errors
    /// There is no store.
    pub async fn new(folder: &Path) -> Result<Self, store::StoreError> {
        let clock: Arc<dyn Clock> = Arc::new(FakeClock::new());
        Ok(Self {
            table: Arc::default(),
            tool: Arc::default(),
            store: Store::open_in_memory(clock.clone()).await?,
            clock,
            dice: Arc::new(Dice::new(1)),
            folder: folder.to_owned(),
        })
    }

    /// An engine with its files in a folder of this name.
    pub fn engine(&self, name: &str) -> Engine {
        self.engine_with_steps(name, Arc::new(changes::NoSteps))
    }

    pub fn engine_with_steps(&self, name: &str, steps: Arc<dyn changes::Steps>) -> Engine {
        let settings = Settings {
            folder: self.folder.join(name),
            memory_bytes: 64 << 20,
            disk_bytes: 1 << 30,
            history_days: None,
            history_bytes: None,
        };
        Engine::new(self.store.clone(), settings, self.clock.clone(), self.dice.clone(), steps)
    }

    /// A mapping of the table to the tool, of all three columns.
    pub fn mapping(&self, name: &str) -> Mapping {
        self.mapping_of(name, &["id", "email", "plan"])
    }

    /// The same, of these columns.
    pub fn mapping_of(&self, name: &str, columns: &[&str]) -> Mapping {
        let facts = facts();
        let fields = facts.action("record").map(|action| action.fields.clone()).unwrap_or_default();
        let field = |column: &&str| format!(r#""{column}":{{"@path":"$.properties.{column}"}}"#);
        let program = format!("{{{}}}", columns.iter().map(field).collect::<Vec<_>>().join(","));
        let program = Value::parse(&program).ok().and_then(|program| Program::compile(&program).ok());
        let wire = Wire::detached(facts.limits, self.clock.clone());
        Mapping {
            name: name.to_owned(),
            model: Arc::new(Model {
                name: "people".to_owned(),
                source_name: "table".to_owned(),
                source: Arc::new(TableSource(self.table.clone())),
                query: "select * from people".to_owned(),
                key: vec!["id".to_owned()],
            }),
            connection: Connection {
                name: "tool".to_owned(),
                destination: Arc::new(ToolDestination { facts, tool: self.tool.clone() }),
                wire,
            },
            action: "record".to_owned(),
            choice: Choice::Mode(SyncMode::Mirror),
            condition: None,
            program: program.unwrap_or_else(|| unreachable!("the program is right")),
            fields: Fields::compile(fields),
            deleted_values: DeletedValues::Last,
            keep: changes::Keep::Values,
            guards: Guards { deletions_records_min: 2, ..Guards::default() },
            batching: true,
            settings: Arc::default(),
            batch_keys: Vec::new(),
            records_max: None,
            bytes_max: None,
            retry: RetrySettings { attempts_max: 2, elapsed_max: Duration::from_secs(5), ..RetrySettings::default() },
            give_up: None,
        }
    }
}
