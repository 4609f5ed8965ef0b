//! Records that were delivered provisionally, packed: there may be millions until a whole is finished.

use std::collections::VecDeque;

const CHUNK_BYTES: usize = 64 * 1024;

/// A queue of (index, key, attempts).
#[derive(Debug, Default)]
pub(super) struct Held {
    chunks: VecDeque<Vec<u8>>,
    read: usize,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) fn push(&mut self, index: u64, key: &str, attempts: u32) {
        let bytes = 16 + key.len();
        if self.chunks.back().is_none_or(|chunk| chunk.len() + bytes > CHUNK_BYTES) {
            self.chunks.push_back(Vec::with_capacity(CHUNK_BYTES.max(bytes)));
        }
        let Some(chunk) = self.chunks.back_mut() else { return };
        chunk.extend_from_slice(&index.to_le_bytes());
        chunk.extend_from_slice(&attempts.to_le_bytes());
        chunk.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes());
        chunk.extend_from_slice(key.as_bytes());
    }
}

impl Iterator for Held {
    type Item = (u64, String, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.chunks.front()?;
        let (index, rest) = chunk[self.read..].split_first_chunk::<8>()?;
        let (attempts, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let key = String::from_utf8_lossy(rest.get(..length)?).into_owned();
        let item = (u64::from_le_bytes(*index), key, u32::from_le_bytes(*attempts));
        self.read += 16 + length;
        if self.read >= chunk.len() {
            self.chunks.pop_front();
            self.read = 0;
        }
        Some(item)
    }
}
