//! A file in the making: lines go to a hidden file beside the one to be, which takes its place when all is there.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use kit::DeliveryError;
use records::Value;

use super::io_failed;
use super::options::{Format, Options};
use super::table::{Columns, write_csv, write_parquet};

const PREFIX: &str = ".outflow-";
const SUFFIX: &str = ".part";

/// The lines of one sync so far. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Spool {
    file: Unfinished,
    columns: Columns,
    /// A step failed, so the file may end in half a line.
    broken: bool,
}

/// A hidden file that is removed on drop. While it is open it is locked, so that another process can tell it from a
/// leftover of one that was killed.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
    file: fs::File,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It has been renamed, or nobody can do more about it than the next run, which removes it.
        let _ = fs::remove_file(&self.path);
    }
}

impl Unfinished {
    fn create(folder: &Path, name: &str) -> Result<Self, DeliveryError> {
        let name: String =
            name.chars().map(|c| if c.is_alphanumeric() || "_-".contains(c) { c } else { '_' }).collect();
        let path = folder.join(format!("{PREFIX}{name}{SUFFIX}"));
        let failed = |error: &std::io::Error| io_failed(&path, "cannot be made", error);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| failed(&e))?;
        if file.try_lock().is_err() {
            return Err(super::failed(&path, "is being written by another process"));
        }
        file.set_len(0).map_err(|error| failed(&error))?;
        Ok(Self { path, file })
    }

    /// Puts it in its place, durably.
    fn finish(self, target: &Path) -> Result<(), DeliveryError> {
        self.file.sync_all().map_err(|error| io_failed(&self.path, "cannot be written", &error))?;
        fs::rename(&self.path, target).map_err(|error| io_failed(target, "cannot be put in its place", &error))?;
        let folder = target.parent().unwrap_or(Path::new("."));
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| io_failed(folder, "cannot be written", &error))
    }
}

impl Spool {
    /// Begins the file of a sync, in a folder that is made if it is missing. Leftovers of killed runs are removed.
    pub(super) fn create(folder: &Path, sync: &str) -> Result<Self, DeliveryError> {
        fs::create_dir_all(folder).map_err(|error| io_failed(folder, "cannot be made", &error))?;
        remove_leftovers(folder);
        Ok(Self { file: Unfinished::create(folder, sync)?, columns: Columns::default(), broken: false })
    }

    /// Adds lines, all or none.
    pub(super) fn append(&mut self, lines: &[u8], columns: Option<Columns>) -> Result<(), DeliveryError> {
        if self.broken {
            return Err(super::failed(&self.file.path, "could not be written before; start the sync again"));
        }
        if let Err(error) = self.file.file.write_all(lines) {
            self.broken = true;
            return Err(io_failed(&self.file.path, "cannot be written", &error));
        }
        if let Some(columns) = columns {
            self.columns.merge(columns);
        }
        Ok(())
    }

    /// Turns the lines into the file that was asked for, and puts it in its place.
    pub(super) fn finish(self, target: &Path, options: &Options) -> Result<(), DeliveryError> {
        if options.format == Format::Jsonl {
            return self.file.finish(target);
        }
        let folder = target.parent().unwrap_or(Path::new("."));
        let name = format!("{}-table", self.file.path.file_name().unwrap_or_default().to_string_lossy());
        let table = Unfinished::create(folder, name.trim_start_matches('.'))?;
        let names = options.columns.clone().unwrap_or_else(|| self.columns.names());
        let read =
            fs::File::open(&self.file.path).map_err(|error| io_failed(&self.file.path, "cannot be read", &error))?;
        let rows = BufReader::new(read).lines().map(|line| Value::parse(&line?).map_err(std::io::Error::other));
        let mut out = BufWriter::with_capacity(256 * 1024, &table.file);
        let written = match options.format {
            Format::Csv => write_csv(&mut out, &names, options, rows),
            _ => write_parquet(&mut out, &self.columns.typed(&names), rows),
        };
        let written = written.and_then(|()| out.flush());
        written.map_err(|error| io_failed(&table.path, "cannot be written", &error))?;
        drop(out);
        table.finish(target)
    }
}

/// Removes files of runs that were killed: those that nobody holds a lock on.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX)
            && name.ends_with(SUFFIX)
            && let Ok(file) = OpenOptions::new().read(true).write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}
