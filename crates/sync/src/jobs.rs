//! Jobs that work on at a destination after it answered: noted beside the journal before they begin, so that a sync
//! that is cut off does not lose their results.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use changes::{ChangeSet, Journal, JournalEntries};
use kit::{Job, JobLog, JobRecord};
use records::Value;
use serde::{Deserialize, Serialize};

use crate::{Connection, Engine, Problem, engine::blocking, load::code, problem::chain, sending::SENDING};

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    token: String,
    /// The places of its records in the change set, in the order of their batch.
    records: Vec<u64>,
}

/// The file of a sync's jobs: a line of JSON each.
#[derive(Debug)]
pub(crate) struct JobFile {
    path: PathBuf,
}

impl JobFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

#[async_trait]
impl JobLog for JobFile {
    async fn started(&self, records: &[u64], token: &str) -> Result<(), String> {
        let noted = Noted { token: token.to_owned(), records: records.to_vec() };
        let path = self.path.clone();
        let written = blocking(move || append(&path, &noted)).await;
        written.map_err(|problem| problem.message)?.map_err(|error| format!("`{}`: {error}", self.path.display()))
    }
}

fn append(path: &Path, noted: &Noted) -> io::Result<()> {
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

/// The jobs of which some record has no outcome yet. A torn last line is a job that never began.
fn unread(path: &Path, entries: &JournalEntries) -> io::Result<Vec<Noted>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let noted = text.lines().filter_map(|line| serde_json::from_str::<Noted>(line).ok());
    let open = |index: &u64| entries.code(*index) == Some(SENDING);
    Ok(noted.filter(|noted| noted.records.iter().any(open)).collect())
}

/// The keys of those changes, in the order of `wanted`.
fn keys(change_set: &ChangeSet, wanted: &[u64]) -> Result<Vec<String>, Problem> {
    let unreadable = |error: changes::ChangeSetError| Problem::new("change_set_unreadable", chain(&error));
    let mut keys = vec![String::new(); wanted.len()];
    for chunk in change_set.chunks(0).map_err(unreadable)? {
        let chunk = chunk.map_err(unreadable)?;
        for row in 0..chunk.len() {
            if let Some(place) = wanted.iter().position(|index| *index == chunk.index(row)) {
                keys[place] = chunk.key(row).to_owned();
            }
        }
    }
    Ok(keys)
}

impl Engine {
    /// Asks the destination what became of the jobs of a sync that was cut off, and journals what it says. A job that
    /// cannot be asked about leaves its records in doubt, as if there had been none.
    pub(crate) async fn collect_jobs(
        &self,
        (connection, action): (&Connection, &str),
        file: &Path,
        journal: &Path,
        change_set: &ChangeSet,
        entries: JournalEntries,
    ) -> Result<JournalEntries, Problem> {
        let (path, set) = (file.to_owned(), change_set.clone());
        let jobs = blocking(move || {
            let noted = unread(&path, &entries)?;
            let with_keys = |noted: Noted| {
                let keys = keys(&set, &noted.records)?;
                Ok::<_, Problem>((noted, keys))
            };
            let jobs = noted.into_iter().map(with_keys).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, Problem>((jobs, entries))
        });
        let (jobs, entries) = jobs.await??;
        if jobs.is_empty() {
            return Ok(entries);
        }
        let mut told: BTreeMap<u64, u8> = BTreeMap::new();
        for (noted, keys) in jobs {
            let token = Value::parse(&noted.token).unwrap_or_default();
            let records = noted.records.iter().zip(keys).map(|(index, key)| JobRecord { index: *index, key }).collect();
            let job = Job { action: action.to_owned(), token, records };
            match connection.destination.resume(&job, &connection.wire.for_call()).await {
                Ok(outcomes) if outcomes.len() == job.records.len() => {
                    for (index, outcome) in noted.records.iter().zip(&outcomes) {
                        // A record may have been in several jobs; one that took it is enough.
                        let kept = told.entry(*index).or_insert(code(outcome.kind()));
                        if outcome.is_delivered() {
                            *kept = code(outcome.kind());
                        }
                    }
                }
                Ok(outcomes) => {
                    tracing::warn!(records = job.records.len(), outcomes = outcomes.len(), "a job told of others");
                }
                Err(error) => tracing::warn!(error = chain(&error), "the results of a job cannot be read"),
            }
        }
        // What was journalled already stays as it is: the answer was heard.
        let told: Vec<(u64, u8)> =
            told.into_iter().filter(|(index, _)| entries.code(*index) == Some(SENDING)).collect();
        let (path, steps) = (journal.to_owned(), self.steps.clone());
        let written = blocking(move || {
            let mut journal = Journal::open(&path, steps)?;
            journal.append(&told)?;
            journal.sync()?;
            Journal::read(&path)
        });
        written.await?.map_err(|error| Problem::new("journal", chain(&error)))
    }
}
