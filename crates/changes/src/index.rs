//! Membership in memory: which (key, fingerprint) pairs the checkpoint holds, in under nine bytes a record.

use records::KeyHash;

use crate::checkpoint::{CheckpointError, Entries};

/// Records in a bucket, on average.
const BUCKET: u64 = 8;
/// Bytes of memory a record takes: its tag, its share of a bucket's offset, its bit.
pub(crate) const RECORD_BYTES: f64 = 8.0 + 4.0 / BUCKET as f64 + 1.0 / 8.0;

/// The records of a checkpoint up to a limit of the key hash, in the order of their key hashes.
#[derive(Debug)]
pub(crate) struct Index {
    /// Key hashes whose upper half is below this are in the index; all if there is no limit.
    end: Option<u64>,
    /// Buckets of the whole range of key hashes, in the index or not.
    buckets: u64,
    /// Where each bucket begins in `tags`.
    starts: Vec<u32>,
    /// One hash of key and fingerprint for each record.
    tags: Vec<u64>,
    /// One bit for each record.
    seen: Vec<u64>,
    seen_count: u64,
}

fn upper(key: u128) -> u64 {
    (key >> 64) as u64
}

/// Two records with one key have different tags if their fingerprints differ, and only then.
fn tag(key: u128, fingerprint: u64) -> u64 {
    key as u64 ^ fingerprint
}

impl Index {
    /// Loads at most `records_max` of the `records` there are.
    pub(crate) fn load(mut entries: Entries<'_>, records: u64, records_max: u64) -> Result<Self, CheckpointError> {
        let records_max = records_max.min(u64::from(u32::MAX) - 1);
        let buckets = (records / BUCKET).max(1);
        let expected = records.min(records_max) as usize;
        let mut index = Self {
            end: None,
            buckets,
            starts: Vec::new(),
            tags: Vec::with_capacity(expected),
            seen: Vec::new(),
            seen_count: 0,
        };
        index.starts.reserve((buckets.min(records_max / BUCKET + 1)) as usize + 2);
        let mut last = Vec::new();
        while let Some(entry) = entries.next()? {
            let upper = upper(entry.key);
            if index.tags.len() as u64 >= records_max {
                // Records that share the limit's upper half belong to the other side.
                while last.last() == Some(&upper) {
                    last.pop();
                    index.tags.pop();
                }
                index.end = Some(upper);
                break;
            }
            if index.tags.len() as u64 + 4 >= records_max {
                last.push(upper);
            }
            let bucket = index.bucket(upper);
            while index.starts.len() <= bucket {
                index.starts.push(index.tags.len() as u32);
            }
            index.tags.push(tag(entry.key, entry.fingerprint));
        }
        let buckets = index.bucket(index.end.map_or(u64::MAX, |end| end.saturating_sub(1))) + 1;
        index.starts.truncate(buckets);
        index.starts.resize(buckets + 1, index.tags.len() as u32);
        let end = index.tags.len() as u32;
        index.starts.iter_mut().for_each(|start| *start = (*start).min(end));
        index.seen = vec![0; index.tags.len().div_ceil(64)];
        Ok(index)
    }

    fn bucket(&self, upper: u64) -> usize {
        ((u128::from(upper) * u128::from(self.buckets)) >> 64) as usize
    }

    /// How many records are in it.
    pub(crate) fn len(&self) -> u64 {
        self.tags.len() as u64
    }

    /// How many of them were seen.
    pub(crate) fn seen_count(&self) -> u64 {
        self.seen_count
    }

    /// Whether the record at this place, in the order of the checkpoint, was seen.
    pub(crate) fn is_seen(&self, place: u64) -> bool {
        self.seen.get((place / 64) as usize).is_some_and(|word| word & (1 << (place % 64)) != 0)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.tags.capacity() * 8 + self.starts.capacity() * 4 + self.seen.capacity() * 8
    }

    /// Marks the rows that the checkpoint holds as seen, and appends to `missed` those that it does not, or that are
    /// outside the index, or whose record was seen before. Rows without a key are passed over.
    pub(crate) fn probe(&mut self, keys: &[Option<KeyHash>], fingerprints: &[u64], missed: &mut Vec<u32>) {
        const BATCH: usize = 256;
        let mut from = [0_u32; BATCH];
        let mut to = [0_u32; BATCH];
        for (number, keys) in keys.chunks(BATCH).enumerate() {
            let first = number * BATCH;
            // Three passes, so that the waits for memory of many rows overlap.
            for ((from, to), key) in from.iter_mut().zip(&mut to).zip(keys) {
                (*from, *to) = (0, 0);
                if let Some(key) = key {
                    let upper = upper(key.0);
                    if self.end.is_none_or(|end| upper < end) {
                        let bucket = self.bucket(upper);
                        (*from, *to) = (self.starts[bucket], self.starts[bucket + 1]);
                    }
                }
            }
            let mut touched = 0;
            for (from, to) in from.iter().zip(&to).take(keys.len()) {
                if from < to {
                    touched ^= self.tags[*from as usize];
                }
            }
            std::hint::black_box(touched);
            for (row, key) in keys.iter().enumerate() {
                let Some(key) = key else { continue };
                let wanted = tag(key.0, fingerprints[first + row]);
                let (from, to) = (from[row] as usize, to[row] as usize);
                let found = self.tags[from..to].iter().position(|tag| *tag == wanted).map(|at| from + at);
                match found {
                    Some(place) if self.seen[place / 64] & (1 << (place % 64)) == 0 => {
                        self.seen[place / 64] |= 1 << (place % 64);
                        self.seen_count += 1;
                    }
                    _ => missed.push((first + row) as u32),
                }
            }
        }
    }
}
