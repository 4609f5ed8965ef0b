//! Keeps the history within its settings by removing whole syncs, the oldest first.

use std::{
    fs::{self, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use records::SyncId;

use super::{HistoryError, LOCK_FILE, UNFINISHED, entries, sync_folders};

/// How much history to keep. `None` sets no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    pub days: Option<u32>,
    pub bytes: Option<u64>,
}

/// What pruning removed and left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    pub syncs_removed: u64,
    pub bytes_removed: u64,
    pub bytes_left: u64,
}

struct SyncFolder {
    id: SyncId,
    path: PathBuf,
    bytes: u64,
}

pub(super) fn prune(history: &Path, keep: Keep, now: Timestamp) -> Result<Pruned, HistoryError> {
    let mut pruned = Pruned::default();
    let mut syncs = Vec::new();
    let mappings: Vec<_> = entries(history)?.into_iter().filter(|path| path.is_dir()).collect();
    for mapping in &mappings {
        for (id, path) in sync_folders(mapping)? {
            if is_being_written(&path)? {
                pruned.bytes_left += folder_bytes(&path)?;
                continue;
            }
            remove_unfinished(&path)?;
            let bytes = folder_bytes(&path)?;
            pruned.bytes_left += bytes;
            syncs.push(SyncFolder { id, path, bytes });
        }
    }
    syncs.sort_by_key(|sync| sync.id);
    let oldest = keep.days.map(|days| oldest_kept(now, days));
    for sync in syncs {
        let too_old = oldest.is_some_and(|oldest| begun_millis(sync.id) < oldest);
        let too_much = keep.bytes.is_some_and(|most| pruned.bytes_left > most);
        if !too_old && !too_much {
            // Those that follow are newer, and there is room for them.
            break;
        }
        remove(&sync.path)?;
        pruned.syncs_removed += 1;
        pruned.bytes_removed += sync.bytes;
        pruned.bytes_left -= sync.bytes;
    }
    for mapping in mappings {
        // Succeeds for an empty folder only, which is what is meant.
        drop(fs::remove_dir(mapping));
    }
    Ok(pruned)
}

fn oldest_kept(now: Timestamp, days: u32) -> i64 {
    let age = SignedDuration::from_hours(24 * i64::from(days));
    now.checked_sub(age).map_or(i64::MIN, Timestamp::as_millisecond)
}

/// A sync's id begins with the milliseconds it began at (UUID version 7).
fn begun_millis(id: SyncId) -> i64 {
    let bytes = id.uuid().into_bytes();
    bytes[..6].iter().fold(0, |millis, byte| millis << 8 | i64::from(*byte))
}

fn is_being_written(sync: &Path) -> Result<bool, HistoryError> {
    let path = sync.join(LOCK_FILE);
    let failed = |source| HistoryError::File { doing: "look at", path: path.clone(), source };
    let file = match OpenOptions::new().write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn remove_unfinished(sync: &Path) -> Result<(), HistoryError> {
    for path in entries(sync)? {
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            gone(fs::remove_file(&path)).map_err(|source| HistoryError::File { doing: "remove", path, source })?;
        }
    }
    Ok(())
}

fn folder_bytes(folder: &Path) -> Result<u64, HistoryError> {
    let mut bytes = 0;
    for path in entries(folder)? {
        match fs::metadata(&path) {
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(HistoryError::File { doing: "look at", path, source }),
        }
    }
    Ok(bytes)
}

fn remove(folder: &Path) -> Result<(), HistoryError> {
    gone(fs::remove_dir_all(folder)).map_err(|source| HistoryError::File {
        doing: "remove",
        path: folder.to_owned(),
        source,
    })
}

/// Another process may prune at the same time: what is gone is gone.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
