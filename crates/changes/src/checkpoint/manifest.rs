//! The manifest: names the checkpoint's files, is replaced in one step, and thereby is the commit.

use std::{fs, io, io::Write as _, path::Path, sync::Arc};

use records::SyncId;
use serde::{Deserialize, Serialize};

use super::CheckpointError;
use crate::{
    Steps, Tracked,
    steps::{MANIFEST_RENAME, MANIFEST_SYNC, MANIFEST_WRITE, StepFile, settle},
};

pub(crate) const MANIFEST: &str = "manifest.json";
/// The format of the checkpoint this program reads and writes.
const FORMAT: u32 = 1;
/// How many commits a manifest remembers: enough for a crash between a commit and the control store's note of it.
const COMMITS_MAX: usize = 32;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) generation: u64,
    pub(crate) tracked: Option<Tracked>,
    /// Records that are live when all files are laid over each other.
    pub(crate) records: u64,
    /// A record may be there or not, or may have been so at some time.
    #[serde(default)]
    pub(crate) doubts: bool,
    /// The base, then the deltas, oldest first.
    pub(crate) files: Vec<FileEntry>,
    /// The last syncs whose changes are in.
    pub(crate) commits: Vec<SyncId>,
}

/// One data file with its file of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// Without an ending: `base-7` stands for `base-7.parquet` and `base-7.keys`.
    pub(crate) name: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// xxh3 of the Parquet file, in hex.
    #[serde(with = "hex")]
    pub(crate) checksum: u64,
}

mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{value:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(deserializer)?, 16).map_err(D::Error::custom)
    }
}

/// Read before anything else of the manifest, which may have a form we do not know.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl FileEntry {
    pub(crate) fn data_name(&self) -> String {
        format!("{}.parquet", self.name)
    }

    pub(crate) fn keys_name(&self) -> String {
        format!("{}.keys", self.name)
    }
}

/// Whether a file in the folder is one of ours, in use or left over.
pub(crate) fn is_ours(name: &str) -> bool {
    name.ends_with(".tmp")
        || ((name.starts_with("base-") || name.starts_with("delta-"))
            && (name.ends_with(".parquet") || name.ends_with(".keys")))
}

impl Manifest {
    pub(crate) fn empty() -> Self {
        Self {
            format: FORMAT,
            generation: 0,
            tracked: None,
            records: 0,
            doubts: false,
            files: Vec::new(),
            commits: Vec::new(),
        }
    }

    /// Reads the manifest of a folder; a folder without any of our files has none.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, CheckpointError> {
        let path = dir.join(MANIFEST);
        let damaged = |message: String| CheckpointError::Damaged { path: path.clone(), message };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Before the first data file is written an empty manifest is, so data without one is a loss.
                let names = match fs::read_dir(dir) {
                    Ok(entries) => entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect(),
                    Err(_) => Vec::new(),
                };
                return match names.iter().any(|name| is_ours(name) && name.ends_with(".parquet")) {
                    true => Err(damaged("is missing, though data files are there".to_owned())),
                    false => Ok(None),
                };
            }
            Err(source) => return Err(CheckpointError::Io { doing: "read", path, source }),
        };
        let version: Version =
            serde_json::from_slice(&text).map_err(|error| damaged(format!("is not a manifest ({error})")))?;
        if version.format > FORMAT {
            return Err(CheckpointError::Newer { path, found: version.format, known: FORMAT });
        }
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|error| damaged(format!("is not a manifest ({error})")))?;
        for file in &manifest.files {
            let path = dir.join(file.data_name());
            let damaged = |message: String| CheckpointError::Damaged { path: path.clone(), message };
            match fs::metadata(&path) {
                Ok(found) if found.len() == file.bytes => {}
                Ok(found) => return Err(damaged(format!("has {} bytes instead of {}", found.len(), file.bytes))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("is missing".to_owned())),
                Err(source) => return Err(CheckpointError::Io { doing: "read", path, source }),
            }
        }
        Ok(Some(manifest))
    }

    pub(crate) fn note_commit(&mut self, sync: SyncId) {
        self.commits.push(sync);
        let surplus = self.commits.len().saturating_sub(COMMITS_MAX);
        self.commits.drain(..surplus);
    }

    /// Puts the manifest in place. From then on the checkpoint is what it says.
    pub(crate) fn write(&self, dir: &Path, steps: &Arc<dyn Steps>) -> Result<(), CheckpointError> {
        let path = dir.join(MANIFEST);
        let write = || {
            let mut text = serde_json::to_vec_pretty(self)?;
            text.push(b'\n');
            let temporary = dir.join("manifest.json.tmp");
            let mut file = StepFile::create(&temporary, Arc::clone(steps), MANIFEST_WRITE)?;
            file.write_all(&text)?;
            settle(steps.as_ref(), &file.file, &temporary, &path, [MANIFEST_SYNC, MANIFEST_RENAME])
        };
        write().map_err(|source| CheckpointError::Io { doing: "write", path: path.clone(), source })
    }
}
