//! The file of keys beside a data file: 24 bytes a record, so that comparing loads without touching the values.
//! It is derived: one that is missing or damaged is made anew from the data file.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use xxhash_rust::xxh3::xxh3_64;

use super::CheckpointError;
use crate::{
    Steps,
    hash::DELETED,
    steps::{KEYS_RENAME, KEYS_SYNC, KEYS_WRITE, StepFile, settle},
};

/// Starts every file of keys; its last byte is the format's version.
const MAGIC: [u8; 8] = *b"OFKEYS\0\x01";
/// Magic, count of entries, checksum of the data file, checksum of these.
const HEADER: u64 = 32;
/// Key hash (16, big-endian), fingerprint (8, little-endian).
const ENTRY: usize = 24;
/// Entries of a block; a checksum of 8 bytes follows each.
const BLOCK: u64 = 4096;

/// Reads a file of keys, block by block.
#[derive(Debug)]
pub(crate) struct KeysFile {
    file: File,
    path: PathBuf,
    pub(crate) count: u64,
}

fn header(count: u64, data_checksum: u64) -> [u8; HEADER as usize] {
    let mut bytes = [0; HEADER as usize];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&count.to_le_bytes());
    bytes[16..24].copy_from_slice(&data_checksum.to_le_bytes());
    let checksum = xxh3_64(&bytes[..24]);
    bytes[24..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

impl KeysFile {
    /// Opens the file if it is whole and belongs to this data file; reads it once for that.
    pub(crate) fn open(path: &Path, count: u64, data_checksum: u64) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let blocks = count.div_ceil(BLOCK);
        if file.metadata()?.len() != HEADER + count * ENTRY as u64 + blocks * 8 {
            return Ok(None);
        }
        let mut found = [0; HEADER as usize];
        file.read_exact_at(&mut found, 0)?;
        if found != header(count, data_checksum) {
            return Ok(None);
        }
        let keys = Self { file, path: path.to_owned(), count };
        let mut block = Vec::new();
        for index in 0..blocks {
            if !keys.read_block(index, &mut block)? {
                return Ok(None);
            }
        }
        Ok(Some(keys))
    }

    /// Reads the entries of a block; says whether their checksum is right.
    fn read_block(&self, index: u64, block: &mut Vec<u8>) -> io::Result<bool> {
        let entries = BLOCK.min(self.count - index * BLOCK) as usize;
        block.resize(entries * ENTRY + 8, 0);
        self.file.read_exact_at(block, HEADER + index * (BLOCK * ENTRY as u64 + 8))?;
        let body = entries * ENTRY;
        let right = block[body..] == xxh3_64(&block[..body]).to_le_bytes();
        block.truncate(body);
        Ok(right)
    }
}

/// Writes a file of keys, entries in ascending order of their hashes.
pub(crate) struct KeysWriter {
    out: BufWriter<StepFile>,
    temporary: PathBuf,
    path: PathBuf,
    steps: Arc<dyn Steps>,
    block: Vec<u8>,
    count: u64,
}

impl KeysWriter {
    pub(crate) fn create(path: &Path, steps: &Arc<dyn Steps>) -> io::Result<Self> {
        // Two readers may make the same file anew at once.
        let temporary = path.with_extension(format!("keys-{}.tmp", std::process::id()));
        let file = StepFile::create(&temporary, Arc::clone(steps), KEYS_WRITE)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(&[0; HEADER as usize])?;
        Ok(Self { out, temporary, path: path.to_owned(), steps: Arc::clone(steps), block: Vec::new(), count: 0 })
    }

    pub(crate) fn push(&mut self, key: &[u8; 16], fingerprint: u64) -> io::Result<()> {
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(&fingerprint.to_le_bytes());
        self.count += 1;
        if self.count.is_multiple_of(BLOCK) { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        self.out.write_all(&self.block)?;
        self.out.write_all(&xxh3_64(&self.block).to_le_bytes())?;
        self.block.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self, data_checksum: u64) -> io::Result<KeysFile> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        self.out.flush()?;
        let written = self.out.get_ref();
        written.file.write_all_at(&header(self.count, data_checksum), 0)?;
        settle(self.steps.as_ref(), &written.file, &self.temporary, &self.path, [KEYS_SYNC, KEYS_RENAME])?;
        Ok(KeysFile { file: written.file.try_clone()?, path: self.path, count: self.count })
    }
}

/// A live record of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: u128,
    pub(crate) fingerprint: u64,
    /// Which file holds its values, and where in it.
    pub(crate) file: usize,
    pub(crate) row: u64,
}

/// Walks through the live records of files laid over each other, in the order of their key hashes.
pub(crate) struct Entries<'a> {
    cursors: Vec<Cursor<'a>>,
}

struct Cursor<'a> {
    keys: &'a KeysFile,
    block: Vec<u8>,
    /// Where in `block` the current entry stands.
    at: usize,
    row: u64,
    current: Option<(u128, u64)>,
}

impl<'a> Cursor<'a> {
    fn new(keys: &'a KeysFile) -> Result<Self, CheckpointError> {
        let mut cursor = Self { keys, block: Vec::new(), at: 0, row: 0, current: None };
        cursor.load()?;
        Ok(cursor)
    }

    fn load(&mut self) -> Result<(), CheckpointError> {
        if self.row >= self.keys.count {
            self.current = None;
            return Ok(());
        }
        if self.at >= self.block.len() {
            let path = || self.keys.path.clone();
            match self.keys.read_block(self.row / BLOCK, &mut self.block) {
                Ok(true) => self.at = 0,
                Ok(false) => {
                    let message = "changed while it was read".to_owned();
                    return Err(CheckpointError::Damaged { path: path(), message });
                }
                Err(source) => return Err(CheckpointError::Io { doing: "read", path: path(), source }),
            }
        }
        let (mut key, mut fingerprint) = ([0; 16], [0; 8]);
        let entry = &self.block[self.at..self.at + ENTRY];
        key.copy_from_slice(&entry[..16]);
        fingerprint.copy_from_slice(&entry[16..]);
        self.current = Some((u128::from_be_bytes(key), u64::from_le_bytes(fingerprint)));
        Ok(())
    }

    fn advance(&mut self) -> Result<(), CheckpointError> {
        self.row += 1;
        self.at += ENTRY;
        self.load()
    }
}

impl<'a> Entries<'a> {
    /// The files in the order of the manifest: later ones win.
    pub(crate) fn new(files: impl IntoIterator<Item = &'a KeysFile>) -> Result<Self, CheckpointError> {
        Ok(Self { cursors: files.into_iter().map(Cursor::new).collect::<Result<_, _>>()? })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Entry>, CheckpointError> {
        loop {
            let mut least: Option<(u128, usize)> = None;
            for (file, cursor) in self.cursors.iter().enumerate() {
                if let Some((key, _)) = cursor.current
                    && least.is_none_or(|(other, _)| key <= other)
                {
                    least = Some((key, file));
                }
            }
            let Some((key, file)) = least else { return Ok(None) };
            let (row, fingerprint) = (self.cursors[file].row, self.cursors[file].current.map_or(0, |found| found.1));
            for cursor in &mut self.cursors {
                if cursor.current.is_some_and(|found| found.0 == key) {
                    cursor.advance()?;
                }
            }
            if fingerprint != DELETED {
                return Ok(Some(Entry { key, fingerprint, file, row }));
            }
        }
    }
}
