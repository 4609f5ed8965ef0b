//! Every step that outlasts the process, named, so that a simulation can fail or stop the program at any of them.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::Arc,
};

/// Told of every step that outlasts the process, before it is taken and again after. An error stops the work there,
/// as a full disk or a crash would.
pub trait Steps: Send + Sync {
    /// # Errors
    /// Whatever the step shall fail with.
    fn reach(&self, step: &'static str) -> io::Result<()>;
}

/// Lets every step happen.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSteps;

impl Steps for NoSteps {
    fn reach(&self, _step: &'static str) -> io::Result<()> {
        Ok(())
    }
}

macro_rules! steps {
    ($($name:ident = $text:literal),* $(,)?) => {
        $(pub(crate) const $name: &str = $text;)*
        /// The names of all steps, in no order. Each is reached twice: before the step and after it.
        pub const STEPS: &[&str] = &[$($text),*];
    };
}

steps! {
    DATA_WRITE = "checkpoint data write",
    DATA_SYNC = "checkpoint data sync",
    DATA_RENAME = "checkpoint data rename",
    KEYS_WRITE = "checkpoint keys write",
    KEYS_SYNC = "checkpoint keys sync",
    KEYS_RENAME = "checkpoint keys rename",
    MANIFEST_WRITE = "manifest write",
    MANIFEST_SYNC = "manifest sync",
    MANIFEST_RENAME = "manifest rename",
    FOLDER_SYNC = "folder sync",
    REMOVE = "old file remove",
    SPOOL_WRITE = "spool write",
    CHANGE_SET_WRITE = "change set write",
    CHANGE_SET_SYNC = "change set sync",
    CHANGE_SET_RENAME = "change set rename",
    UNUSABLE_WRITE = "unusable rows write",
    JOURNAL_WRITE = "journal write",
    JOURNAL_SYNC = "journal sync",
}

/// Takes one step, telling of it before and after.
pub(crate) fn take<T>(steps: &dyn Steps, step: &'static str, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    steps.reach(step)?;
    let done = act()?;
    steps.reach(step)?;
    Ok(done)
}

/// Flushes a folder, so that a rename or a new file in it survives a power cut.
pub(crate) fn sync_folder(steps: &dyn Steps, folder: &Path) -> io::Result<()> {
    take(steps, FOLDER_SYNC, || File::open(folder)?.sync_all())
}

/// Flushes a finished temporary file and puts it in its place.
pub(crate) fn settle(
    steps: &dyn Steps,
    file: &File,
    from: &Path,
    to: &Path,
    [sync, rename]: [&'static str; 2],
) -> io::Result<()> {
    take(steps, sync, || file.sync_all())?;
    take(steps, rename, || fs::rename(from, to))?;
    match to.parent() {
        Some(folder) => sync_folder(steps, folder),
        None => Ok(()),
    }
}

/// A file whose every write is a step. Buffer in front of it.
pub(crate) struct StepFile {
    pub(crate) file: File,
    steps: Arc<dyn Steps>,
    step: &'static str,
    pub(crate) written: u64,
    checksum: xxhash_rust::xxh3::Xxh3Default,
}

impl StepFile {
    pub(crate) fn create(path: &Path, steps: Arc<dyn Steps>, step: &'static str) -> io::Result<Self> {
        let file = take(steps.as_ref(), step, || {
            File::options().read(true).write(true).create(true).truncate(true).open(path)
        })?;
        Ok(Self { file, steps, step, written: 0, checksum: xxhash_rust::xxh3::Xxh3Default::new() })
    }

    /// xxh3 of all bytes written.
    pub(crate) fn checksum(&self) -> u64 {
        self.checksum.digest()
    }
}

impl io::Write for StepFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (file, steps, step) = (&mut self.file, self.steps.as_ref(), self.step);
        take(steps, step, || file.write_all(bytes))?;
        self.written += bytes.len() as u64;
        self.checksum.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
