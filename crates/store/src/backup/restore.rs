//! Putting a backup back: all of it is unpacked and compared with its checksums before anything takes its place.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use records::Clock;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{BackupError, FILES, FORMAT, Heading, KEYS, MANIFEST, Manifest, TABLES, archive::Hashing};
use crate::{
    Store,
    database::{Arg, ColumnKind, schema_version, tables},
};

/// Where the archive is unpacked, in the data folder itself, so that moving from there never copies.
const STAGE: &str = ".restoring";
const STORE_FILE: &str = "control.db";
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// Values that one statement carries.
const VALUES_MAX: usize = 8_000;

/// Where a backup goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The data folder; new or empty.
    pub data: &'a Path,
    /// An empty PostgreSQL database for the control store. None: a file in the data folder.
    pub database_url: Option<&'a str>,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub manifest: Manifest,
    pub rows: u64,
    /// The file of the keys, if the backup had them.
    pub keys: Option<PathBuf>,
}

impl Store {
    /// Restores a backup into an empty place: also from one kind of database into the other.
    ///
    /// # Errors
    /// The place is not empty, or the backup is damaged, cut off, or of a newer version. Then nothing is there that was
    /// not before, but for a database whose server failed in the middle.
    pub async fn restore(
        archive: impl Read + Send + 'static,
        target: Target<'_>,
        clock: Arc<dyn Clock>,
    ) -> Result<Restored, BackupError> {
        let data = target.data.to_owned();
        let stage = data.join(STAGE);
        let unpacked = {
            let (data, stage) = (data.clone(), stage.clone());
            tokio::task::spawn_blocking(move || {
                begin(&data)?;
                unpack(archive, &stage)
            })
        };
        let unpacked = unpacked.await.map_err(|error| BackupError::Damaged(error.to_string()))?;
        let restored = match unpacked {
            Ok(manifest) => put_back(&stage, target, clock, manifest).await,
            Err(error) => Err(error),
        };
        // Whatever came of it, nothing unfinished stays. What was in use from before has no such folder.
        if !matches!(restored, Err(BackupError::FolderInUse(_))) {
            let _ = fs::remove_dir_all(&stage);
        }
        restored
    }
}

/// The folder must be empty; from here on it is not.
fn begin(data: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::Place { path: data.to_owned(), source };
    fs::create_dir_all(data).map_err(failed)?;
    if fs::read_dir(data).map_err(failed)?.next().is_some() {
        return Err(BackupError::FolderInUse(data.to_owned()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(data, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    fs::create_dir(data.join(STAGE)).map_err(failed)
}

fn damaged(why: impl Into<String>) -> BackupError {
    BackupError::Damaged(why.into())
}

/// Writes each entry below `stage` and compares all with the manifest.
fn unpack(archive: impl Read, stage: &Path) -> Result<Manifest, BackupError> {
    let unreadable = |error: io::Error| damaged(format!("it cannot be unpacked ({error})"));
    let decoder = zstd::Decoder::new(archive).map_err(unreadable)?;
    let mut tar = tar::Archive::new(decoder);
    let mut found: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let mut manifest: Option<Manifest> = None;
    for entry in tar.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let path = entry.path().map_err(unreadable)?.into_owned();
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        let (true, true, Some(name)) = (is_plain, entry.header().entry_type().is_file(), path.to_str()) else {
            return Err(damaged(format!("`{}` is no plain file of a backup", path.display())));
        };
        if name == MANIFEST {
            let mut text = Vec::new();
            entry.by_ref().take(MANIFEST_BYTES_MAX).read_to_end(&mut text).map_err(unreadable)?;
            let version: Value = serde_json::from_slice(&text).map_err(|_| damaged("its manifest cannot be read"))?;
            if version["format"].as_u64().is_some_and(|format| format > u64::from(FORMAT)) {
                let made_by = version["made_by"].as_str().unwrap_or("unknown").to_owned();
                return Err(BackupError::Newer { made_by });
            }
            manifest = Some(serde_json::from_value(version).map_err(|_| damaged("its manifest cannot be read"))?);
            continue;
        }
        let place = stage.join(&path);
        let failed = |source| BackupError::Place { path: place.clone(), source };
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = File::create_new(&place).map_err(failed)?;
        let mut hashing = Hashing::new(&mut entry);
        io::copy(&mut hashing, &mut file).map_err(unreadable)?;
        file.sync_all().map_err(failed)?;
        found.insert(name.to_owned(), hashing.finish());
    }
    let manifest = manifest.ok_or_else(|| damaged("it ends too early"))?;
    if manifest.schema > schema_version() {
        return Err(BackupError::Newer { made_by: manifest.made_by });
    }
    for entry in &manifest.entries {
        match found.remove(&entry.path) {
            Some((bytes, sha256)) if bytes == entry.bytes && sha256 == entry.sha256 => {}
            Some(_) => return Err(damaged(format!("`{}` is not what it was", entry.path))),
            None => return Err(damaged(format!("`{}` is missing", entry.path))),
        }
    }
    match found.keys().next() {
        Some(stray) => Err(damaged(format!("`{stray}` does not belong to it"))),
        None => Ok(manifest),
    }
}

async fn put_back(
    stage: &Path,
    target: Target<'_>,
    clock: Arc<dyn Clock>,
    manifest: Manifest,
) -> Result<Restored, BackupError> {
    let data = target.data;
    let store_file = stage.join(STORE_FILE);
    let store = match target.database_url {
        None => Store::make_sqlite(&store_file, manifest.schema, clock).await?,
        Some(url) => {
            let made = Store::make_postgres(url, manifest.schema, clock).await?;
            made.ok_or(BackupError::DatabaseInUse)?
        }
    };
    let rows = load(&store, stage, &manifest).await?;
    store.close().await?;

    let mut moves = Vec::new();
    let files = stage.join(FILES);
    if files.exists() {
        let failed = |source| BackupError::Place { path: files.clone(), source };
        for entry in fs::read_dir(&files).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            moves.push((entry.path(), data.join(entry.file_name())));
        }
    }
    let keys = manifest.has_keys.then(|| data.join(KEYS));
    if let Some(keys) = &keys {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let failed = |source| BackupError::Place { path: keys.clone(), source };
            fs::set_permissions(stage.join(KEYS), fs::Permissions::from_mode(0o600)).map_err(failed)?;
        }
        moves.push((stage.join(KEYS), keys.clone()));
    }
    // The store comes last: without it the folder is nobody's state.
    if target.database_url.is_none() {
        moves.push((store_file, data.join(STORE_FILE)));
    }
    for (from, to) in moves {
        fs::rename(&from, &to).map_err(|source| BackupError::Place { path: to, source })?;
    }
    #[cfg(unix)]
    {
        let failed = |source| BackupError::Place { path: data.to_owned(), source };
        File::open(data).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(Restored { manifest, rows, keys })
}

/// Writes all rows, in one transaction.
async fn load(store: &Store, stage: &Path, manifest: &Manifest) -> Result<u64, BackupError> {
    let mut rows = 0;
    let mut transaction = store.begin("restore the control store").await?;
    for table in tables(manifest.schema) {
        let folder = format!("{TABLES}/{table}/");
        // The entries of a table stand in order.
        for entry in manifest.entries.iter().filter(|entry| entry.path.starts_with(&folder)) {
            let path = stage.join(&entry.path);
            let text = fs::read_to_string(&path).map_err(|source| BackupError::File { path, source })?;
            let mut lines = text.lines();
            let unreadable = || damaged(format!("`{}` cannot be read", entry.path));
            let heading = lines.next().and_then(|line| serde_json::from_str::<Heading>(line).ok());
            let columns = heading.filter(|heading| heading.columns.iter().all(is_column)).ok_or_else(unreadable)?;
            let columns = columns.columns;
            let rows_max = (VALUES_MAX / columns.len().max(1)).max(1);
            let mut args: Vec<Arg> = Vec::new();
            let mut waiting = 0;
            for line in lines {
                let values: Vec<Value> = serde_json::from_str(line).map_err(|_| unreadable())?;
                if values.len() != columns.len() {
                    return Err(unreadable());
                }
                for (value, (_, kind)) in values.into_iter().zip(&columns) {
                    args.push(arg(value, *kind).ok_or_else(unreadable)?);
                }
                waiting += 1;
                if waiting == rows_max {
                    let sql = AssertSqlSafe(insert(&table, &columns, waiting));
                    rows += transaction.execute(sql, &std::mem::take(&mut args)).await?;
                    waiting = 0;
                }
            }
            if waiting > 0 {
                rows += transaction.execute(AssertSqlSafe(insert(&table, &columns, waiting)), &args).await?;
            }
        }
    }
    transaction.commit().await?;
    Ok(rows)
}

/// Names go into statements as they are.
fn is_column((name, _): &(String, ColumnKind)) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn insert(table: &str, columns: &[(String, ColumnKind)], rows: usize) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let places = (0..rows).map(|row| {
        let places: Vec<String> =
            (1..=columns.len()).map(|column| format!("${}", row * columns.len() + column)).collect();
        format!("({})", places.join(", "))
    });
    let places: Vec<String> = places.collect();
    format!("INSERT INTO {table} ({}) VALUES {}", names.join(", "), places.join(", "))
}

fn arg(value: Value, kind: ColumnKind) -> Option<Arg> {
    Some(match (kind, value) {
        (ColumnKind::Integer, Value::Null) => Arg::Integer(None),
        (ColumnKind::Integer, Value::Number(number)) => Arg::Integer(Some(number.as_i64()?)),
        (ColumnKind::Text, Value::Null) => Arg::Text(None),
        (ColumnKind::Text, Value::String(text)) => Arg::Text(Some(text)),
        (ColumnKind::Bytes, Value::Null) => Arg::Bytes(None),
        (ColumnKind::Bytes, Value::String(text)) => Arg::Bytes(Some(STANDARD.decode(text).ok()?)),
        _ => return None,
    })
}
