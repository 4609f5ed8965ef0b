//! Backups: the control store and the files of a data folder in one archive, taken while syncs go on, and put back
//! into an empty place.
//!
//! The store is read as of one moment, the files after it, so what is restored is a state that a crash could have left
//! behind: the next sync of each mapping brings it to its end. Of a mapping, what its syncs noted comes before its
//! checkpoint, so nothing that was delivered is in neither.

mod archive;
mod files;
mod restore;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::archive::Archive;
pub use self::restore::{Restored, Target};
use crate::{
    Store, StoreError,
    database::{ColumnKind, Row, Snapshot, schema_version, tables},
};

/// Grows when an archive can no longer be read by earlier versions.
const FORMAT: u32 = 1;
/// Rows of a table stand in pieces of this size.
const PIECE_BYTES: usize = 4 << 20;
const MANIFEST: &str = "manifest.json";
const TABLES: &str = "tables";
const FILES: &str = "files";
/// The keys, if they are in the archive.
const KEYS: &str = "keys";

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("cannot write the backup")]
    Write(#[source] io::Error),
    #[error("cannot read `{}` for the backup", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the checkpoint in `{}` changes faster than it can be copied; try again", .0.display())]
    Restless(PathBuf),
    #[error("a store in memory cannot be backed up")]
    InMemory,
    #[error("this is no backup of Outflow, or it is damaged: {0}; nothing was restored")]
    Damaged(String),
    #[error(
        "the backup was made by a newer version of Outflow ({made_by}); restore it with that version or a newer one"
    )]
    Newer { made_by: String },
    #[error("`{}` is not empty; restore into a folder that is new or empty", .0.display())]
    FolderInUse(PathBuf),
    #[error("the database has a control store already; restore into an empty one")]
    DatabaseInUse,
    #[error("cannot write `{}`", path.display())]
    Place {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an archive says of itself. It is its last entry, so an archive that was cut off has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The version of the program.
    pub made_by: String,
    pub made_at: Timestamp,
    /// The version of the control store's schema.
    pub schema: i64,
    pub has_keys: bool,
    pub entries: Vec<ManifestEntry>,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

/// What goes into a backup.
#[derive(Debug, Clone, Copy)]
pub struct BackupOptions<'a> {
    /// The data folder. Where checkpoints stand in an object store, they are not in it and not in the backup.
    pub data: &'a Path,
    /// The file of the keys, to put it beside what is sealed with them. Then the backup alone gives the secrets away.
    pub keys: Option<&'a Path>,
    /// The version of the program.
    pub made_by: &'a str,
}

/// The first line of a piece of a table.
#[derive(Serialize, Deserialize)]
struct Heading {
    columns: Vec<(String, ColumnKind)>,
}

impl Store {
    /// Writes a backup to `out`, beside whatever goes on, and gives what is in it.
    ///
    /// # Errors
    /// Something cannot be read, or the backup cannot be written.
    pub async fn backup<W: Write + Send + 'static>(
        &self,
        options: BackupOptions<'_>,
        out: W,
    ) -> Result<Manifest, BackupError> {
        let mut archive = Archive::new(out, self.now()).map_err(BackupError::Write)?;
        let mut snapshot = self.snapshot().await?.ok_or(BackupError::InMemory)?;
        let schema = schema_version();
        for table in tables(schema) {
            copy_table(&mut snapshot, &table, &mut archive).await?;
        }
        drop(snapshot);
        let (data, keys) = (options.data.to_owned(), options.keys.map(Path::to_owned));
        let manifest = Manifest {
            format: FORMAT,
            made_by: options.made_by.to_owned(),
            made_at: self.now(),
            schema,
            has_keys: keys.is_some(),
            entries: Vec::new(),
        };
        let written = tokio::task::spawn_blocking(move || {
            files::copy(&data, &mut archive)?;
            if let Some(keys) = keys {
                files::copy_file(&keys, KEYS, &mut archive)?;
            }
            archive.finish(manifest)
        });
        written.await.map_err(|error| BackupError::Write(io::Error::other(error)))?
    }
}

async fn copy_table<W: Write>(
    snapshot: &mut Snapshot,
    table: &str,
    archive: &mut Archive<W>,
) -> Result<(), BackupError> {
    let columns = snapshot.columns(table).await?;
    let heading =
        serde_json::to_vec(&Heading { columns: columns.clone() }).map_err(|error| BackupError::Write(error.into()))?;
    let mut number = 0_u32;
    let mut piece = heading.clone();
    let mut finish = |piece: &mut Vec<u8>| {
        let full = std::mem::replace(piece, heading.clone());
        number += 1;
        archive.add(&format!("{TABLES}/{table}/{number:06}.jsonl"), &full).map_err(BackupError::Write)
    };
    snapshot
        .each_row(table, |row| {
            let values = columns.iter().map(|(name, kind)| value(row, name, *kind)).collect::<Result<Vec<_>, _>>()?;
            piece.push(b'\n');
            serde_json::to_writer(&mut piece, &values).map_err(|error| BackupError::Write(error.into()))?;
            if piece.len() >= PIECE_BYTES { finish(&mut piece) } else { Ok(()) }
        })
        .await?;
    finish(&mut piece)
}

/// Bytes stand as base64: which column holds bytes is known by the schema.
fn value(row: &Row, column: &str, kind: ColumnKind) -> Result<Value, StoreError> {
    Ok(match kind {
        ColumnKind::Integer => row.optional_integer(column)?.into(),
        ColumnKind::Text => row.optional_text(column)?.into(),
        ColumnKind::Bytes => row.optional_bytes(column)?.map(|bytes| STANDARD.encode(bytes)).into(),
    })
}
