//! The journal of a load: which change fared how, appended as it happens, read after a crash.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Bits, Steps,
    steps::{JOURNAL_SYNC, JOURNAL_WRITE, sync_folder, take},
};

/// Starts every journal; its last byte is the format's version.
const MAGIC: [u8; 8] = *b"OFJRNL\0\x01";
/// Change index (8), code (1), checksum of both (4).
const ENTRY: usize = 13;

/// A journal that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot {doing} the journal `{}`", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` is not a journal, or one of a newer version; update Outflow, or move the file away", .path.display())]
    NotOurs { path: PathBuf },
}

/// An append-only file of (change index, code). What a code means is the caller's. After an error, open it again:
/// what a failed write left behind is cut off then.
pub struct Journal {
    file: File,
    path: PathBuf,
    steps: Arc<dyn Steps>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What a journal says. Of a change that stands in it more than once, the last entry counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalEntries {
    codes: BTreeMap<u8, Bits>,
}

impl JournalEntries {
    /// The changes with this code.
    pub fn with(&self, code: u8) -> Bits {
        self.codes.get(&code).cloned().unwrap_or_default()
    }

    /// Each code with its changes.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &Bits)> {
        self.codes.iter().map(|(code, changes)| (*code, changes))
    }

    /// The code of a change, if it has one.
    pub fn code(&self, change: u64) -> Option<u8> {
        self.codes.iter().find(|(_, changes)| changes.contains(change)).map(|(code, _)| *code)
    }

    /// Notes what became of a change, in place of what was known of it.
    pub fn note(&mut self, change: u64, code: u8) {
        for (other, changes) in &mut self.codes {
            if *other != code {
                changes.remove(change);
            }
        }
        self.codes.entry(code).or_default().insert(change);
    }
}

impl Journal {
    /// Opens a journal for appending, or starts it. A torn tail is cut off.
    ///
    /// # Errors
    /// The file cannot be written, or is something else.
    pub fn open(path: &Path, steps: Arc<dyn Steps>) -> Result<Self, JournalError> {
        let io = |doing| move |source| JournalError::Io { doing, path: path.to_owned(), source };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(io("read")(source)),
        };
        let (_, valid) = parse(path, &bytes)?;
        let open = || File::options().create(true).truncate(false).write(true).open(path);
        let mut file = take(steps.as_ref(), JOURNAL_WRITE, open).map_err(io("open"))?;
        if valid < MAGIC.len() {
            let start = |file: &mut File| {
                file.set_len(0)?;
                file.write_all(&MAGIC)?;
                file.sync_all()
            };
            take(steps.as_ref(), JOURNAL_WRITE, || start(&mut file)).map_err(io("start"))?;
            if let Some(folder) = path.parent() {
                sync_folder(steps.as_ref(), folder).map_err(io("start"))?;
            }
        } else if valid < bytes.len() {
            file.set_len(valid as u64).map_err(io("repair"))?;
        }
        file.seek(SeekFrom::End(0)).map_err(io("open"))?;
        Ok(Self { file, path: path.to_owned(), steps, buffer: Vec::new() })
    }

    /// Appends entries. They survive a crash of the program from now on, and of the machine after [`Self::sync`].
    ///
    /// # Errors
    /// The disk is full or broken. Some of the entries may have been written.
    pub fn append(&mut self, entries: &[(u64, u8)]) -> Result<(), JournalError> {
        self.buffer.clear();
        for &(change, code) in entries {
            self.buffer.extend_from_slice(&entry(change, code));
        }
        let (file, buffer) = (&mut self.file, &self.buffer);
        take(self.steps.as_ref(), JOURNAL_WRITE, || file.write_all(buffer)).map_err(|source| JournalError::Io {
            doing: "append to",
            path: self.path.clone(),
            source,
        })
    }

    /// Waits until all entries are on the disk.
    ///
    /// # Errors
    /// The disk is broken.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        let file = &self.file;
        take(self.steps.as_ref(), JOURNAL_SYNC, || file.sync_data()).map_err(|source| JournalError::Io {
            doing: "sync",
            path: self.path.clone(),
            source,
        })
    }

    /// Reads a journal up to its torn tail, if it has one. A missing file is an empty journal.
    ///
    /// # Errors
    /// The file cannot be read, or is something else.
    pub fn read(path: &Path) -> Result<JournalEntries, JournalError> {
        match fs::read(path) {
            Ok(bytes) => Ok(parse(path, &bytes)?.0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(JournalEntries::default()),
            Err(source) => Err(JournalError::Io { doing: "read", path: path.to_owned(), source }),
        }
    }
}

fn entry(change: u64, code: u8) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    bytes[..8].copy_from_slice(&change.to_le_bytes());
    bytes[8] = code;
    let checksum = xxh3_64(&bytes[..9]).to_le_bytes();
    bytes[9..].copy_from_slice(&checksum[..4]);
    bytes
}

/// The entries, and the length of the part that is whole.
fn parse(path: &Path, bytes: &[u8]) -> Result<(JournalEntries, usize), JournalError> {
    let mut entries = JournalEntries::default();
    let Some(body) = bytes.strip_prefix(&MAGIC) else {
        return match MAGIC.starts_with(bytes) {
            true => Ok((entries, 0)),
            false => Err(JournalError::NotOurs { path: path.to_owned() }),
        };
    };
    let mut valid = MAGIC.len();
    for found in body.chunks_exact(ENTRY) {
        let (mut change, code) = ([0; 8], found[8]);
        change.copy_from_slice(&found[..8]);
        let change = u64::from_le_bytes(change);
        if entry(change, code) != found {
            break;
        }
        entries.note(change, code);
        valid += ENTRY;
    }
    Ok((entries, valid))
}
