//! Where a load writes down what it does before anyone hears of it, so that a process that dies leaves behind which
//! records may have been taken.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use changes::{Journal, Steps};
use serde::{Deserialize, Serialize};

use crate::{Problem, blocking::blocking, places, problem::chain};

/// The journal of one sync's load.
#[async_trait]
pub trait LoadJournal: Send + Sync + std::fmt::Debug {
    /// Appends what became of changes, by their places in the change set, and comes back when it is durable.
    ///
    /// # Errors
    /// It could not be written, or this process may not write it any more. What it announces must not be sent then.
    async fn append(&self, entries: &[(u64, u8)]) -> Result<(), Problem>;

    /// Notes a job at the destination, just as durably: the places of its records and its token, compact JSON.
    ///
    /// # Errors
    /// As for [`Self::append`]; the job must not begin then.
    async fn note_job(&self, records: &[u64], token: &str) -> Result<(), Problem>;
}

/// A job, as it is noted: a line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NotedJob {
    pub token: String,
    /// The places of its records in the change set, in the order of their batch.
    pub records: Vec<u64>,
}

/// A journal in two files beside the change set.
#[derive(Debug)]
pub(crate) struct FileJournal {
    journal: Arc<Mutex<Journal>>,
    jobs: PathBuf,
}

impl FileJournal {
    pub(crate) async fn open(sync_folder: &Path, steps: Arc<dyn Steps>) -> Result<Self, Problem> {
        let (journal, jobs) = (places::journal(sync_folder), places::jobs(sync_folder));
        let opened = blocking(move || Journal::open(&journal, steps)).await?;
        let journal = opened.map_err(|error| failed(&error))?;
        Ok(Self { journal: Arc::new(Mutex::new(journal)), jobs })
    }
}

#[async_trait]
impl LoadJournal for FileJournal {
    async fn append(&self, entries: &[(u64, u8)]) -> Result<(), Problem> {
        let (journal, entries) = (self.journal.clone(), entries.to_vec());
        let written = blocking(move || {
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            journal.append(&entries)?;
            journal.sync()
        });
        written.await?.map_err(|error| failed(&error))
    }

    async fn note_job(&self, records: &[u64], token: &str) -> Result<(), Problem> {
        let noted = NotedJob { token: token.to_owned(), records: records.to_vec() };
        let path = self.jobs.clone();
        let written = blocking(move || append_line(&path, &noted).map_err(|error| (path, error))).await?;
        written.map_err(|(path, error)| Problem::new("journal", format!("cannot write `{}`: {error}", path.display())))
    }
}

fn append_line(path: &Path, noted: &NotedJob) -> io::Result<()> {
    let mut line = serde_json::to_string(noted)?;
    line.push('\n');
    let is_new = !path.exists();
    let mut file = File::options().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_data()?;
    match path.parent().filter(|_| is_new) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// The jobs that a sync noted. A torn last line is a job that never began.
pub(crate) fn noted_jobs(path: &Path) -> io::Result<Vec<NotedJob>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn failed(error: &changes::JournalError) -> Problem {
    Problem::new("journal", chain(error)).with_hint("free the disk; what was delivered is not sent again")
}
