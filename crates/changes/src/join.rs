//! The end of a comparison: joins the rows that wait, in key order, with the records of the checkpoint.

use std::path::Path;

use records::{Operation, RecordView, Schema};

use crate::{
    CompareError, Compared, Comparison, Keep, Meta,
    change_set::Header,
    change_writer::{ChangeWriter, Pending},
    checkpoint::{Entries, Entry, OWN},
    hash::MAYBE,
    index::Index,
    spool::{Place, Rows, Spool, SpoolPlace},
};

/// The checkpoint's records, one after another, each with whether the extract showed it already.
struct Records<'a> {
    entries: Entries<'a>,
    next: Option<Entry>,
    place: u64,
}

impl Records<'_> {
    /// Goes on to the next record, and gives the current one.
    fn take(&mut self, index: &Index) -> Result<Option<(Entry, bool)>, CompareError> {
        let Some(entry) = self.next else { return Ok(None) };
        let seen = index.is_seen(self.place);
        self.place += 1;
        self.next = self.entries.next().map_err(CompareError::Checkpoint)?;
        Ok(Some((entry, seen)))
    }

    fn take_below(&mut self, key: u128, index: &Index) -> Result<Option<(Entry, bool)>, CompareError> {
        if self.next.is_some_and(|entry| entry.key < key) { self.take(index) } else { Ok(None) }
    }
}

impl Comparison {
    /// After the last batch: writes the change set, and `unusable.jsonl` beside it if there are such rows.
    ///
    /// # Errors
    /// A file cannot be read or written, or the disk limit does not suffice. There is then no change set.
    pub fn finish(mut self, change_set_path: &Path, meta: &Meta) -> Result<Compared, CompareError> {
        let (carried, key) = self.carried_key()?;
        let spool = self.take_spool();
        let header = Header::new(meta, self.generation, &self.tracked, &self.previous);
        let layers = std::mem::take(&mut self.layers);
        let mut writer = ChangeWriter::create(
            change_set_path,
            &header,
            &layers,
            key.clone(),
            carried.columns().to_vec(),
            self.previous.clone(),
            self.chunk_rows,
            &self.steps,
            std::sync::Arc::clone(&self.disk),
        )?;
        if spool.len() == 0 && self.index.seen_count() == self.records {
            self.counts.unchanged = self.records;
        } else {
            let entries = layers.entries().map_err(CompareError::Checkpoint)?;
            let mut records = Records { entries, next: None, place: 0 };
            records.next = records.entries.next().map_err(CompareError::Checkpoint)?;
            let mut ranges = spool.into_ranges()?;
            while let Some(rows) = ranges.next()? {
                self.join(&rows, &mut records, &mut writer, (&carried, &key), &layers)?;
                writer.flush(&rows)?;
            }
            let nothing = Rows::default();
            while let Some((entry, seen)) = records.take(&self.index)? {
                self.absent(entry, seen, &mut writer, &nothing)?;
            }
            writer.flush(&nothing)?;
        }
        let path = change_set_path.with_file_name("unusable.jsonl");
        let unusable = std::mem::take(&mut self.unusable)
            .finish(&path, &self.steps)
            .map_err(|source| CompareError::Io { doing: "write", path, source })?;
        let change_set = writer.finish(self.counts, &Rows::default())?;
        Ok(Compared {
            counts: self.counts,
            change_set,
            unusable,
            tracking_changed: self.change.take(),
            disk_bytes_peak: self.disk.peak(),
        })
    }

    /// Takes the spool out of `self`, which stays whole: it is dropped in the end.
    fn take_spool(&mut self) -> Spool {
        let empty = SpoolPlace {
            dir: std::path::PathBuf::new(),
            steps: std::sync::Arc::clone(&self.steps),
            disk: std::sync::Arc::clone(&self.disk),
            share: 0,
            files: std::sync::Arc::default(),
        };
        std::mem::replace(&mut self.spool, Spool::new(empty, &std::sync::Arc::new(arrow_schema::Schema::empty())))
    }

    fn join(
        &mut self,
        rows: &Rows,
        records: &mut Records<'_>,
        writer: &mut ChangeWriter<'_>,
        (schema, key_columns): (&Schema, &records::KeyColumns),
        layers: &crate::checkpoint::Layers,
    ) -> Result<(), CompareError> {
        let order = rows.sorted();
        let mut rest = &order[..];
        while let Some(&first) = rest.first() {
            let key = rows.key(first);
            let (group, others) =
                rest.split_at(1 + rest[1..].iter().take_while(|place| rows.key(**place) == key).count());
            rest = others;
            while let Some((entry, seen)) = records.take_below(key, &self.index)? {
                self.absent(entry, seen, writer, rows)?;
            }
            let kept = match records.next {
                Some(entry) if entry.key == key => records.take(&self.index)?,
                _ => None,
            };
            let more = rows.more.get(&key).copied().unwrap_or(0);
            let seen = kept.filter(|(_, seen)| *seen).map(|(entry, _)| entry);
            if group.len() as u64 + more + u64::from(seen.is_some()) == 1 {
                self.compare(first, kept.map(|(entry, _)| entry), rows, writer)?;
                continue;
            }
            for &(part, row) in group {
                let batch = &rows.parts[part as usize].rows;
                let text = if self.unusable.is_full() { String::new() } else { key_columns.text(batch, row as usize) };
                self.unusable.add("duplicate_key", &text, RecordView { schema, batch, row: row as usize });
            }
            self.unusable.count(more);
            self.counts.duplicate_key += group.len() as u64 + more;
            if let Some(entry) = seen {
                // The first row with this key was taken for unchanged: it was as the checkpoint has it.
                self.counts.duplicate_key += 1;
                self.list_kept(entry, layers)?;
            }
        }
        Ok(())
    }

    fn compare(
        &mut self,
        place: Place,
        entry: Option<Entry>,
        rows: &Rows,
        writer: &mut ChangeWriter<'_>,
    ) -> Result<(), CompareError> {
        let fingerprint = rows.fingerprint(place);
        // Whether the destination has it is not known: for us it is still to be added, under the same message id.
        let entry = entry.filter(|entry| entry.fingerprint != MAYBE);
        let operation = match entry {
            Some(entry) if entry.fingerprint == fingerprint => {
                self.counts.unchanged += 1;
                return Ok(());
            }
            Some(_) => {
                self.counts.updated += 1;
                Operation::Updated
            }
            None => {
                self.counts.added += 1;
                Operation::Added
            }
        };
        let wanted = self.previous_keep == Keep::Values;
        let entry = entry.map(|entry| (entry, wanted));
        writer.push(Pending { operation, key: rows.key(place), fingerprint, new: Some(place), entry }, rows)
    }

    /// A record of the checkpoint that no row waits for.
    fn absent(
        &mut self,
        entry: Entry,
        seen: bool,
        writer: &mut ChangeWriter<'_>,
        rows: &Rows,
    ) -> Result<(), CompareError> {
        if seen {
            self.counts.unchanged += 1;
            return Ok(());
        }
        self.counts.deleted += 1;
        let pending = Pending {
            operation: Operation::Deleted,
            key: entry.key,
            fingerprint: 0,
            new: None,
            entry: Some((entry, true)),
        };
        writer.push(pending, rows)
    }

    fn list_kept(&mut self, entry: Entry, layers: &crate::checkpoint::Layers) -> Result<(), CompareError> {
        if self.unusable.is_full() {
            self.unusable.count(1);
            return Ok(());
        }
        let kept = layers.fetch(&[entry], &self.previous).map_err(CompareError::Checkpoint)?;
        let text = layers.fetch_keys(&[entry]).map_err(CompareError::Checkpoint)?.pop().unwrap_or_default();
        let arrow =
            |source| CompareError::Arrow { doing: "read", path: std::path::PathBuf::from("checkpoint"), source };
        let batch = kept.project(&(OWN..kept.num_columns()).collect::<Vec<_>>()).map_err(arrow)?;
        let schema = Schema::new(self.previous.clone())
            .map_err(|error| arrow(arrow_schema::ArrowError::SchemaError(error.to_string())))?;
        self.unusable.add("duplicate_key", &text, RecordView { schema: &schema, batch: &batch, row: 0 });
        Ok(())
    }
}
