//! Jobs that work on at a destination after it answered: noted beside the journal before they begin, so that a sync
//! that is cut off does not lose their results.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use changes::{Journal, JournalEntries};
use kit::{DeliveryError, Job, JobLog};
use records::{Outcome, OutcomeKind, SyncId, Value};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    Connection, Engine, Mapping, News, Observer, Problem, blocking::blocking, load::code, problem::chain,
    sending::SENDING,
};

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

impl Engine {
    /// Asks the destination what became of the jobs of a sync that was cut off, and journals what it says. A job that
    /// the destination knows nothing of leaves its records in doubt, as if there had been none.
    ///
    /// # Errors
    /// A passing fault: the sync stays open, so that the jobs are asked about again.
    pub(crate) async fn collect_jobs(
        &self,
        (mapping, waiting): (&Mapping, SyncId),
        (file, journal): (&Path, &Path),
        entries: JournalEntries,
        cancel: &CancellationToken,
        observer: &dyn Observer,
    ) -> Result<JournalEntries, Problem> {
        let path = file.to_owned();
        let (jobs, entries) = blocking(move || Ok::<_, Problem>((unread(&path, &entries)?, entries))).await??;
        if jobs.is_empty() {
            return Ok(entries);
        }
        let Connection { destination, wire, .. } = &mapping.connection;
        // By the place of a record: a job that took it goes before one that refused it.
        let mut told: BTreeMap<u64, OutcomeKind> = BTreeMap::new();
        for (number, noted) in jobs.iter().enumerate() {
            let news = News::Collecting { job: number + 1, jobs: jobs.len() };
            self.tell(observer, &mapping.name, Some(waiting), news);
            let token = Value::parse(&noted.token).unwrap_or_default();
            let job = Job { action: mapping.action.clone(), token, records: noted.records.clone() };
            let wire = wire.for_call();
            let answer = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(unread_still("cancelled")),
                answer = destination.resume(&job, &wire) => answer.map_err(|error| wire.redact_error(error)),
            };
            match answer {
                Ok(outcomes) if outcomes.len() == job.records.len() => {
                    for (index, outcome) in job.records.iter().zip(&outcomes) {
                        match outcome {
                            Outcome::Delivered => {
                                told.insert(*index, OutcomeKind::Delivered);
                            }
                            Outcome::Rejected { .. } => {
                                told.entry(*index).or_insert(OutcomeKind::Rejected);
                            }
                            // It may have been under way in another job or request when the program ended.
                            Outcome::Retry { .. } | Outcome::InDoubt { .. } => {}
                        }
                    }
                }
                Ok(outcomes) => {
                    tracing::warn!(records = job.records.len(), outcomes = outcomes.len(), "a job told of others");
                }
                Err(
                    error @ (DeliveryError::Unreachable { .. }
                    | DeliveryError::RateLimited { .. }
                    | DeliveryError::Failed { .. }
                    | DeliveryError::NoAnswer { .. }
                    | DeliveryError::CredentialsRefused { .. }),
                ) => return Err(unread_still(&chain(&error))),
                Err(error) => tracing::warn!(error = chain(&error), "the results of a job cannot be read"),
            }
        }
        // What was journalled already stays as it is: the answer was heard.
        let told: Vec<(u64, u8)> = told
            .into_iter()
            .filter(|(index, _)| entries.code(*index) == Some(SENDING))
            .map(|(index, kind)| (index, code(kind)))
            .collect();
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

fn unread_still(why: &str) -> Problem {
    let message =
        format!("the results of a job that an earlier sync left at the destination cannot be read yet: {why}");
    Problem::new("destination_job", message)
        .with_hint("run it again; `outflow reset` forgets what the destination holds, the job with it")
}
