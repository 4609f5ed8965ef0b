//! The archive: a tar file, compressed, with a checksum of each entry in its manifest.

use std::io::{self, Read, Write};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{BackupError, MANIFEST, Manifest, ManifestEntry};

/// Quick, and about as small as it gets: Parquet files are compressed already.
const LEVEL: i32 = 3;

/// An archive that is being written.
pub(super) struct Archive<W: Write> {
    tar: tar::Builder<zstd::Encoder<'static, W>>,
    made_at: u64,
    entries: Vec<ManifestEntry>,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W, made_at: Timestamp) -> io::Result<Self> {
        let mut encoder = zstd::Encoder::new(out, LEVEL)?;
        encoder.include_checksum(true)?;
        let made_at = u64::try_from(made_at.as_second()).unwrap_or(0);
        Ok(Self { tar: tar::Builder::new(encoder), made_at, entries: Vec::new() })
    }

    pub(super) fn add(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.add_from(path, bytes.len() as u64, bytes)
    }

    /// Adds the first `length` bytes of what is read; a file that grows meanwhile is as it was.
    pub(super) fn add_from(&mut self, path: &str, length: u64, from: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(length);
        header.set_mode(0o600);
        header.set_mtime(self.made_at);
        let mut hashing = Hashing { from: from.take(length), hash: Sha256::new(), bytes: 0 };
        self.tar.append_data(&mut header, path, &mut hashing)?;
        if hashing.bytes != length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("`{path}` became shorter")));
        }
        let sha256 = hex(&hashing.hash.finalize());
        self.entries.push(ManifestEntry { path: path.to_owned(), bytes: length, sha256 });
        Ok(())
    }

    pub(super) fn finish(mut self, manifest: Manifest) -> Result<Manifest, BackupError> {
        let manifest = Manifest { entries: std::mem::take(&mut self.entries), ..manifest };
        let finish = || {
            let text = serde_json::to_vec_pretty(&manifest)?;
            self.add(MANIFEST, &text)?;
            self.tar.into_inner()?.finish()?.flush()
        };
        finish().map_err(BackupError::Write)?;
        Ok(manifest)
    }
}

/// Hashes what is read through it.
pub(super) struct Hashing<R> {
    from: R,
    hash: Sha256,
    bytes: u64,
}

impl<R> Hashing<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, hash: Sha256::new(), bytes: 0 }
    }

    /// The length and checksum of what was read.
    pub(super) fn finish(self) -> (u64, String) {
        (self.bytes, hex(&self.hash.finalize()))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
