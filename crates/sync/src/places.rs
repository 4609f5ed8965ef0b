//! Where an engine's files are, below its folder.

use std::path::{Path, PathBuf};

use records::SyncId;

pub(crate) fn mapping(folder: &Path, mapping: &str) -> PathBuf {
    folder.join("mappings").join(store::file_name(mapping))
}

pub(crate) fn checkpoint(folder: &Path, name: &str) -> PathBuf {
    mapping(folder, name).join("checkpoint")
}

pub(crate) fn syncs(folder: &Path, name: &str) -> PathBuf {
    mapping(folder, name).join("syncs")
}

pub(crate) fn sync(folder: &Path, name: &str, sync: SyncId) -> PathBuf {
    syncs(folder, name).join(sync.to_string())
}

pub(crate) fn change_set(sync_folder: &Path) -> PathBuf {
    sync_folder.join("changes.arrow")
}

pub(crate) fn journal(sync_folder: &Path) -> PathBuf {
    sync_folder.join("journal")
}

pub(crate) fn jobs(sync_folder: &Path) -> PathBuf {
    sync_folder.join("jobs")
}

/// The rows whose key could not be used: the comparison writes them beside the change set.
pub(crate) fn unusable(sync_folder: &Path) -> PathBuf {
    sync_folder.join("unusable.jsonl")
}

/// What is noted of a sync that a guard holds.
pub(crate) fn held(sync_folder: &Path) -> PathBuf {
    sync_folder.join("held.json")
}

pub(crate) fn history(folder: &Path) -> PathBuf {
    folder.join("history")
}

pub(crate) fn locks(folder: &Path) -> PathBuf {
    folder.join("locks")
}

/// The scratch folder of a mapping's syncs. Whoever holds its lock may empty it.
pub(crate) fn scratch(folder: &Path, name: &str) -> PathBuf {
    folder.join("scratch").join("syncs").join(store::file_name(name))
}

pub(crate) fn plan_scratch(folder: &Path, plan: SyncId) -> PathBuf {
    folder.join("scratch").join("plans").join(plan.to_string())
}
