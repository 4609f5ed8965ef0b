//! The file destination: one file a sync, in a local folder, whole or nothing.

mod options;
mod spool;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kit::{Batch, DeliveryError, Destination, Exchange, Facts, SettingsError, Wire};
use records::{Outcome, Value};
use tokio::task::spawn_blocking;

use options::{Format, Options};
use spool::Spool;

#[derive(Debug)]
struct File {
    facts: Facts,
    folder: PathBuf,
    options: Options,
    /// The file of each sync under way, by action and sync.
    spools: Spools,
}

type Spools = Arc<Mutex<HashMap<(String, String), Spool>>>;

/// Makes the destination. Settings and options were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let own = settings.get("options").unwrap_or(&serde_json::Value::Null);
    facts.check_options(own)?;
    let options = Options::read(own, options)?;
    let folder = PathBuf::from(settings.get("folder").and_then(|folder| folder.as_str()).unwrap_or_default());
    Ok(Arc::new(File { facts, folder, options, spools: Spools::default() }))
}

#[async_trait]
impl Destination for File {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn check(&self, _wire: &Wire) -> Result<String, DeliveryError> {
        let folder = self.folder.clone();
        blocking(move || {
            // Nothing may change, so the folder is not made and nothing is written.
            match std::fs::metadata(&folder) {
                Ok(found) if !found.is_dir() => Err(failed(&folder, "is not a folder")),
                Ok(found) if found.permissions().readonly() => Err(failed(&folder, "may not be written to")),
                Ok(_) => Ok(format!("the folder `{}` is there", folder.display())),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Ok(format!("the folder `{}` will be made by the first sync", folder.display()))
                }
                Err(error) => Err(io_failed(&folder, "cannot be looked at", &error)),
            }
        })
        .await
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let mut outcomes = Vec::with_capacity(batch.records.len());
        let mut lines = String::new();
        let mut rows = Vec::with_capacity(batch.records.len());
        for payload in &batch.records {
            match payload.fields.get("record") {
                Some(Value::Object(record)) => {
                    let record = if self.options.format == Format::Jsonl {
                        Value::Object(record.clone())
                    } else {
                        table::flat(record)
                    };
                    record.write_json(&mut lines);
                    lines.push('\n');
                    rows.push(record);
                    outcomes.push(Outcome::Delivered);
                }
                other => {
                    let kind = other.map_or("missing", Value::type_name);
                    outcomes
                        .push(Outcome::rejected("bad_record", format!("`record` must be an object, and is {kind}")));
                }
            }
        }
        let target = self.target(&batch.sync, wire);
        if wire.is_preview() {
            wire.record(self.preview(&target, &lines, &rows, wire));
            return Err(DeliveryError::Preview);
        }
        if rows.is_empty() {
            return Ok(outcomes);
        }
        let columns = if self.options.format == Format::Jsonl { None } else { Some(table::Columns::of(&rows)) };
        let (spools, folder) = (Arc::clone(&self.spools), self.folder.clone());
        let key = (batch.action.clone(), batch.sync.clone());
        blocking(move || {
            let mut spools = spools.lock().unwrap_or_else(PoisonError::into_inner);
            let spool = match spools.entry(key) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    let name = entry.key().1.clone();
                    entry.insert(Spool::create(&folder, &name)?)
                }
            };
            spool.append(lines.as_bytes(), columns)
        })
        .await?;
        Ok(outcomes)
    }

    async fn finish(&self, action: &str, sync: &str, wire: &Wire) -> Result<(), DeliveryError> {
        let key = (action.to_owned(), sync.to_owned());
        let spool = self.spools.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let Some(spool) = spool else { return Ok(()) };
        let (target, options) = (self.target(sync, wire), self.options.clone());
        blocking(move || spool.finish(&target, &options)).await
    }

    async fn abandon(&self, action: &str, sync: &str) {
        let key = (action.to_owned(), sync.to_owned());
        // Dropping it removes the file.
        drop(self.spools.lock().unwrap_or_else(PoisonError::into_inner).remove(&key));
    }
}

impl File {
    fn target(&self, sync: &str, wire: &Wire) -> PathBuf {
        let date = wire.clock().now().to_string();
        self.folder.join(self.options.file_name(sync, date.get(..10).unwrap_or(&date)))
    }

    fn preview(&self, target: &Path, lines: &str, rows: &[Value], wire: &Wire) -> Exchange {
        let body = match self.options.format {
            Format::Jsonl | Format::Parquet => lines.to_owned(),
            Format::Csv => {
                let columns = self.options.columns.clone().unwrap_or_else(|| table::Columns::of(rows).names());
                let mut text = Vec::new();
                let written = table::write_csv(&mut text, &columns, &self.options, rows.iter().cloned().map(Ok));
                match written {
                    Ok(()) => String::from_utf8_lossy(&text).into_owned(),
                    Err(_) => lines.to_owned(),
                }
            }
        };
        let mut exchange = Exchange {
            method: "WRITE".to_owned(),
            url: target.display().to_string(),
            request_headers: Vec::new(),
            request_body: String::new(),
            status: None,
            answer_headers: Vec::new(),
            answer_body: String::new(),
            error: None,
            started_at: wire.clock().now().to_string(),
            millis: 0,
        };
        exchange.request_body = kit::Redaction::default().head(body.as_bytes(), kit::BODY_BYTES_MAX);
        exchange
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DeliveryError> + Send + 'static,
) -> Result<T, DeliveryError> {
    spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(DeliveryError::Settings {
            message: "writing the file was broken off by a fault of this program".to_owned(),
        })
    })
}

fn failed(path: &Path, what: &str) -> DeliveryError {
    DeliveryError::Settings { message: format!("`{}` {what}", path.display()) }
}

/// The error of a step on a file. It stops the sync: what is wrong with a folder is wrong for all records.
fn io_failed(path: &Path, what: &str, error: &std::io::Error) -> DeliveryError {
    let why = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "no space is left there; free some and sync again".to_owned()
        }
        std::io::ErrorKind::PermissionDenied => "this program has no right to do that there".to_owned(),
        _ => error.to_string(),
    };
    DeliveryError::Settings { message: format!("`{}` {what}: {why}", path.display()) }
}
