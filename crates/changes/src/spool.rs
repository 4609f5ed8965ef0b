//! Rows that wait for the end of the extract: in memory up to a share, then on disk, parted by key hash so that the
//! parts fit in memory one after another.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow_array::{Array as _, FixedSizeBinaryArray, RecordBatch, UInt64Array, cast::AsArray, types::UInt64Type};
use arrow_ipc::{
    CompressionType,
    reader::StreamReader,
    writer::{IpcWriteOptions, StreamWriter},
};
use arrow_schema::{ArrowError, DataType, Field, Schema as ArrowSchema, SchemaRef};
use arrow_select::interleave::interleave_record_batch;

use crate::{
    CompareError, Steps,
    steps::{SPOOL_WRITE, take},
};

/// Parts that each level of the spool has, as a power of two.
const PART_BITS: u32 = 6;
const PARTS: usize = 1 << PART_BITS;
/// Levels below which a part is not parted again: then it is one key many times.
const LEVELS_MAX: u32 = 5;
/// Of one key that fills a part, how many rows are looked at; of the others it only matters how many they are.
const ROWS_OF_KEY_MAX: usize = 1000;

/// What a comparison has on disk, and may.
#[derive(Debug)]
pub(crate) struct DiskUse {
    limit: u64,
    used: AtomicU64,
    peak: AtomicU64,
    path: PathBuf,
}

impl DiskUse {
    pub(crate) fn new(limit: u64, path: &Path) -> Self {
        Self { limit, used: AtomicU64::new(0), peak: AtomicU64::new(0), path: path.to_owned() }
    }

    pub(crate) fn add(&self, bytes: u64) -> Result<(), CompareError> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(used, Ordering::Relaxed);
        match used > self.limit {
            true => Err(CompareError::DiskLimit { limit: self.limit, used, path: self.path.clone() }),
            false => Ok(()),
        }
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

/// Rows with their keys and fingerprints.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) keys: Vec<u128>,
    pub(crate) fingerprints: Vec<u64>,
    pub(crate) rows: RecordBatch,
}

impl Part {
    fn bytes(&self) -> usize {
        self.keys.len() * 24 + slice_bytes(&self.rows)
    }
}

/// Bytes of the rows themselves, not of what they were sliced from.
fn slice_bytes(batch: &RecordBatch) -> usize {
    let bytes = |array: &arrow_array::ArrayRef| array.to_data().get_slice_memory_size().unwrap_or(0);
    batch.columns().iter().map(bytes).sum::<usize>() + 64 * batch.num_columns()
}

/// A range of key hashes, in memory.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) parts: Vec<Part>,
    /// How many more rows there are of a key that fills the range alone.
    pub(crate) more: HashMap<u128, u64>,
}

/// A place in a row of [`Rows`]: part, row.
pub(crate) type Place = (u32, u32);

impl Rows {
    pub(crate) fn key(&self, place: Place) -> u128 {
        self.parts[place.0 as usize].keys[place.1 as usize]
    }

    pub(crate) fn fingerprint(&self, place: Place) -> u64 {
        self.parts[place.0 as usize].fingerprints[place.1 as usize]
    }

    /// All places, in the order of their keys.
    pub(crate) fn sorted(&self) -> Vec<Place> {
        // The upper half of the hash decides nearly always, and keeps what is sorted small.
        let mut order: Vec<(u64, Place)> = Vec::with_capacity(self.parts.iter().map(|part| part.keys.len()).sum());
        for (number, part) in self.parts.iter().enumerate() {
            let places = part.keys.iter().enumerate();
            order.extend(places.map(|(row, key)| ((key >> 64) as u64, (number as u32, row as u32))));
        }
        order.sort_unstable_by(|(a, place_a), (b, place_b)| {
            a.cmp(b).then_with(|| self.key(*place_a).cmp(&self.key(*place_b))).then_with(|| place_a.cmp(place_b))
        });
        order.into_iter().map(|(_, place)| place).collect()
    }
}

#[derive(Debug)]
struct Segment {
    file: Arc<SpoolFile>,
    offset: u64,
    length: u64,
    rows: u64,
    /// Bytes in memory.
    bytes: u64,
}

/// One file of segments, removed when the last of them is dropped.
#[derive(Debug)]
struct SpoolFile {
    file: File,
    path: PathBuf,
    disk: Arc<DiskUse>,
    length: AtomicU64,
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "a spool file was not removed");
        }
        self.disk.give_back(self.length.load(Ordering::Relaxed));
    }
}

/// Where a spool and the spools of its parts write.
#[derive(Clone)]
pub(crate) struct SpoolPlace {
    pub(crate) dir: PathBuf,
    pub(crate) steps: Arc<dyn Steps>,
    pub(crate) disk: Arc<DiskUse>,
    /// Bytes of rows that may be in memory.
    pub(crate) share: usize,
    pub(crate) files: Arc<AtomicU64>,
}

pub(crate) struct Spool {
    place: SpoolPlace,
    schema: SchemaRef,
    level: u32,
    memory: Rows,
    memory_bytes: usize,
    file: Option<Arc<SpoolFile>>,
    segments: Vec<Vec<Segment>>,
    rows: u64,
}

impl Spool {
    /// A spool for rows of these columns.
    pub(crate) fn new(place: SpoolPlace, rows: &SchemaRef) -> Self {
        let mut fields = vec![
            Arc::new(Field::new("_key_hash", DataType::FixedSizeBinary(16), false)),
            Arc::new(Field::new("_fingerprint", DataType::UInt64, false)),
        ];
        fields.extend(rows.fields().iter().cloned());
        Self::at_level(place, Arc::new(ArrowSchema::new(fields)), 0)
    }

    fn at_level(place: SpoolPlace, schema: SchemaRef, level: u32) -> Self {
        let segments = (0..PARTS).map(|_| Vec::new()).collect();
        Self { place, schema, level, memory: Rows::default(), memory_bytes: 0, file: None, segments, rows: 0 }
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows
    }

    pub(crate) fn push(&mut self, part: Part) -> Result<(), CompareError> {
        if part.keys.is_empty() {
            return Ok(());
        }
        self.rows += part.keys.len() as u64;
        self.memory_bytes += part.bytes();
        self.memory.parts.push(part);
        if self.memory_bytes > self.place.share { self.spill() } else { Ok(()) }
    }

    fn io(&self, doing: &'static str) -> impl FnOnce(io::Error) -> CompareError + use<> {
        let path = self.place.dir.clone();
        move |source| CompareError::Io { doing, path, source }
    }

    fn arrow(&self, doing: &'static str) -> impl FnOnce(ArrowError) -> CompareError + use<> {
        let path = self.place.dir.clone();
        move |source| CompareError::Arrow { doing, path, source }
    }

    /// Moves all rows in memory to disk, each part as a segment.
    fn spill(&mut self) -> Result<(), CompareError> {
        let rows = std::mem::take(&mut self.memory);
        self.memory_bytes = 0;
        if rows.parts.is_empty() {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let number = self.place.files.fetch_add(1, Ordering::Relaxed);
                let path = self.place.dir.join(format!("spool-{number}"));
                let open = || File::options().create(true).truncate(true).read(true).write(true).open(&path);
                let file = take(self.place.steps.as_ref(), SPOOL_WRITE, open).map_err(self.io("write"))?;
                let disk = Arc::clone(&self.place.disk);
                let file = Arc::new(SpoolFile { file, path, disk, length: AtomicU64::new(0) });
                self.file = Some(Arc::clone(&file));
                file
            }
        };
        let batches: Vec<&RecordBatch> = rows.parts.iter().map(|part| &part.rows).collect();
        let order = rows.sorted();
        let mut rest = &order[..];
        while let Some(first) = rest.first() {
            let number = self.part_of(rows.key(*first));
            let (places, others) =
                rest.split_at(rest.partition_point(|place| self.part_of(rows.key(*place)) == number));
            rest = others;
            let (bytes, memory) = self.encode(&rows, &batches, places).map_err(self.arrow("write"))?;
            self.place.disk.add(bytes.len() as u64)?;
            let offset = file.length.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            take(self.place.steps.as_ref(), SPOOL_WRITE, || file.file.write_all_at(&bytes, offset))
                .map_err(self.io("write"))?;
            self.segments[number].push(Segment {
                file: Arc::clone(&file),
                offset,
                length: bytes.len() as u64,
                rows: places.len() as u64,
                bytes: memory as u64,
            });
        }
        Ok(())
    }

    fn part_of(&self, key: u128) -> usize {
        (key >> (128 - PART_BITS * (self.level + 1))) as usize & (PARTS - 1)
    }

    fn encode(&self, rows: &Rows, batches: &[&RecordBatch], places: &[Place]) -> Result<(Vec<u8>, usize), ArrowError> {
        let indices: Vec<(usize, usize)> = places.iter().map(|(part, row)| (*part as usize, *row as usize)).collect();
        let values = interleave_record_batch(batches, &indices)?;
        let keys = places.iter().map(|place| rows.key(*place).to_be_bytes());
        let fingerprints = places.iter().map(|place| rows.fingerprint(*place));
        let mut columns: Vec<arrow_array::ArrayRef> = vec![
            Arc::new(FixedSizeBinaryArray::try_from_iter(keys)?),
            Arc::new(UInt64Array::from_iter_values(fingerprints)),
        ];
        columns.extend(values.columns().iter().cloned());
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::ZSTD))?
            .try_with_compression_level(Some(1))?;
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &self.schema, options)?;
        writer.write(&batch)?;
        Ok((writer.into_inner()?, slice_bytes(&batch)))
    }

    /// Gives all rows, in ranges of ascending key hashes.
    pub(crate) fn into_ranges(mut self) -> Result<Ranges, CompareError> {
        if self.file.is_none() {
            let memory = std::mem::take(&mut self.memory);
            let rest = if memory.parts.is_empty() { Vec::new() } else { vec![Waiting::Memory(memory)] };
            return Ok(Ranges { place: self.place, schema: self.schema, waiting: rest });
        }
        self.spill()?;
        let level = self.level;
        let segments = std::mem::take(&mut self.segments);
        let waiting = segments.into_iter().rev().filter(|segments| !segments.is_empty());
        let waiting = waiting.map(|segments| Waiting::Disk { level, segments }).collect();
        Ok(Ranges { place: self.place, schema: self.schema, waiting })
    }
}

enum Waiting {
    Memory(Rows),
    Disk { level: u32, segments: Vec<Segment> },
}

/// The rows of a spool, in ranges of ascending key hashes that fit in memory.
pub(crate) struct Ranges {
    place: SpoolPlace,
    schema: SchemaRef,
    /// The next one last.
    waiting: Vec<Waiting>,
}

impl Ranges {
    pub(crate) fn next(&mut self) -> Result<Option<Rows>, CompareError> {
        loop {
            let (level, segments) = match self.waiting.pop() {
                None => return Ok(None),
                Some(Waiting::Memory(rows)) => return Ok(Some(rows)),
                Some(Waiting::Disk { level, segments }) => (level, segments),
            };
            let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
            let rows: u64 = segments.iter().map(|segment| segment.rows).sum();
            if bytes <= self.place.share as u64 || rows <= 64 {
                return self.load(&segments, usize::MAX).map(Some);
            }
            if level == LEVELS_MAX {
                return self.load(&segments, ROWS_OF_KEY_MAX).map(Some);
            }
            let mut parted = Spool::at_level(self.place.clone(), Arc::clone(&self.schema), level + 1);
            for segment in segments {
                parted.push(self.read(&segment)?)?;
            }
            // Even what would fit in memory goes to disk, so that the ranges stay in order and small.
            self.waiting.extend(parted.into_ranges()?.waiting);
        }
    }

    fn load(&self, segments: &[Segment], rows_of_key_max: usize) -> Result<Rows, CompareError> {
        let mut rows = Rows::default();
        let mut counts: HashMap<u128, usize> = HashMap::new();
        for segment in segments {
            let mut part = self.read(segment)?;
            if rows_of_key_max < usize::MAX {
                let mut wanted = Vec::new();
                for (row, key) in part.keys.iter().enumerate() {
                    let count = counts.entry(*key).or_default();
                    *count += 1;
                    match *count > rows_of_key_max {
                        true => *rows.more.entry(*key).or_default() += 1,
                        false => wanted.push(row as u32),
                    }
                }
                let indices = arrow_array::UInt32Array::from(wanted.clone());
                part = Part {
                    keys: wanted.iter().map(|row| part.keys[*row as usize]).collect(),
                    fingerprints: wanted.iter().map(|row| part.fingerprints[*row as usize]).collect(),
                    rows: arrow_select::take::take_record_batch(&part.rows, &indices).map_err(self.arrow())?,
                };
            }
            rows.parts.push(part);
        }
        Ok(rows)
    }

    fn arrow(&self) -> impl FnOnce(ArrowError) -> CompareError + use<> {
        let path = self.place.dir.clone();
        move |source| CompareError::Arrow { doing: "read", path, source }
    }

    fn read(&self, segment: &Segment) -> Result<Part, CompareError> {
        let mut bytes = vec![0; segment.length as usize];
        segment.file.file.read_exact_at(&mut bytes, segment.offset).map_err(|source| CompareError::Io {
            doing: "read",
            path: segment.file.path.clone(),
            source,
        })?;
        let read = || {
            let end = || ArrowError::IpcError("a segment is empty".to_owned());
            let batch = StreamReader::try_new(&bytes[..], None)?.next().ok_or_else(end)??;
            let hashes = batch.column(0).as_fixed_size_binary_opt().ok_or_else(end)?;
            let mut keys = Vec::with_capacity(batch.num_rows());
            for row in 0..batch.num_rows() {
                let mut key = [0; 16];
                key.copy_from_slice(hashes.value(row));
                keys.push(u128::from_be_bytes(key));
            }
            let fingerprints = batch.column(1).as_primitive_opt::<UInt64Type>().ok_or_else(end)?.values().to_vec();
            let rows = batch.project(&(2..batch.num_columns()).collect::<Vec<_>>())?;
            Ok(Part { keys, fingerprints, rows })
        };
        read().map_err(self.arrow())
    }
}
