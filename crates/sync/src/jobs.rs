//! Jobs that work on at a destination after it answered: noted beside the journal before they begin, so that a sync
//! that is cut off does not lose their results.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use async_trait::async_trait;
use changes::JournalEntries;
use kit::{DeliveryError, Job, JobLog};
use records::{Outcome, OutcomeKind, SyncId, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    Connection, Engine, LoadJournal, Mapping, News, Observer, Problem,
    blocking::blocking,
    codes::{SENDING, code},
    journal::{NotedJob, noted_jobs},
    problem::chain,
};

/// Notes jobs in the journal of their load.
#[derive(Debug)]
pub(crate) struct JobNotes(pub(crate) Arc<dyn LoadJournal>);

#[async_trait]
impl JobLog for JobNotes {
    async fn started(&self, records: &[u64], token: &str) -> Result<(), String> {
        self.0.note_job(records, token).await.map_err(|problem| problem.message)
    }
}

/// The jobs of which some record has no outcome yet.
fn unread(path: &Path, entries: &JournalEntries) -> io::Result<Vec<NotedJob>> {
    let open = |index: &u64| entries.code(*index) == Some(SENDING);
    let noted = noted_jobs(path)?;
    Ok(noted.into_iter().filter(|noted| noted.records.iter().any(open)).collect())
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
        (file, journal): (&Path, &dyn LoadJournal),
        entries: JournalEntries,
        cancel: &CancellationToken,
        observer: &dyn Observer,
    ) -> Result<JournalEntries, Problem> {
        let path = file.to_owned();
        let (jobs, mut entries) = blocking(move || Ok::<_, Problem>((unread(&path, &entries)?, entries))).await??;
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
        journal.append(&told).await?;
        for (index, code) in told {
            entries.note(index, code);
        }
        Ok(entries)
    }
}

fn unread_still(why: &str) -> Problem {
    let message =
        format!("the results of a job that an earlier sync left at the destination cannot be read yet: {why}");
    Problem::new("destination_job", message)
        .with_hint("run it again; `outflow reset` forgets what the destination holds, the job with it")
}
