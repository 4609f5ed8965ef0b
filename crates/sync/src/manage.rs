//! What a person may do to a checkpoint: adopt the current result, forget, send again.

use changes::{Bits, ChangeSet, Journal};
use records::{KeyHash, OutcomeKind, SyncId};
use store::SyncState;
use tokio_util::sync::CancellationToken;

use crate::{
    Ending, Engine, Observer, Problem, Request, SyncReport,
    blocking::blocking,
    codes::{GIVEN_UP, code},
    compare::{Comparing, Extracted},
    engine::Begun,
    places,
    problem::chain,
};

impl Engine {
    /// Adopts the model's current result as what the destination holds. Nothing is sent.
    pub async fn baseline(&self, request: &Request, observer: &dyn Observer) -> SyncReport {
        let begun = match self.start(request, observer).await {
            Ok(begun) => begun,
            Err(problem) => return self.not_begun(request, problem, observer).await,
        };
        let mut report = SyncReport::new(&request.mapping.name, Some(begun.id));
        match self.adopt(&begun, observer).await {
            Ok(counts) => {
                report.counts = counts;
                report.ending = Ending::Done;
            }
            Err(problem) => report.stop(problem),
        }
        self.close(&begun, &mut report).await;
        self.finished(&begun, &mut report, observer);
        report
    }

    async fn adopt(&self, begun: &Begun, observer: &dyn Observer) -> Result<records::Counts, Problem> {
        let mapping = &begun.mapping;
        let target = [self.target(begun)];
        let mut extracted = self.compare(&mapping.model, &target, observer).await;
        if let Some(Ok(Extracted::Held(_))) = extracted.first() {
            // Another key: nothing of the old checkpoint can be found again, so there is nothing to compare with.
            let checkpoint = self.open_checkpoint(&mapping.name).await?;
            let emptied = blocking(move || checkpoint.reset()).await?;
            emptied.map_err(|error| Problem::of_checkpoint(&error))?;
            extracted = self.compare(&mapping.model, &target, observer).await;
        }
        match extracted.pop() {
            Some(Ok(Extracted::Compared(comparing))) => {
                self.supersede(&mapping.name, Some(begun.id)).await?;
                let Comparing { checkpoint, compared, .. } = *comparing;
                let all = Bits::below(compared.change_set.len());
                let mut counts = compared.counts;
                counts.skipped = compared.change_set.len();
                self.commit(&mapping.name, begun.id, checkpoint, compared.change_set, (all, Bits::new())).await?;
                Ok(counts)
            }
            Some(Ok(Extracted::Held(held))) => Err(Problem::new(held.code(), held.to_string())),
            Some(Err(problem)) => Err(problem),
            None => Err(Problem::new("internal", "the comparison has no result")),
        }
    }

    /// Brings syncs of a mapping that were cut off to their end, without beginning another: what they delivered goes into
    /// the checkpoint, the rest stays pending.
    ///
    /// # Errors
    /// The mapping runs, or what they left cannot be read.
    pub async fn settle(&self, mapping: &str, observer: &dyn Observer) -> Result<(), Problem> {
        let _lock = self.lock(mapping, "recovery").await?;
        self.recover(mapping, None, observer, &CancellationToken::new()).await
    }

    /// Forgets records, so that the next sync finds them added: those with these key texts, or, of an empty list, all.
    /// Gives how many were forgotten.
    ///
    /// # Errors
    /// The mapping runs, or a key is not in the checkpoint.
    pub async fn reset(&self, mapping: &str, keys: &[String], observer: &dyn Observer) -> Result<u64, Problem> {
        let _lock = self.lock(mapping, "reset").await?;
        let opened = match self.recover(mapping, None, observer, &CancellationToken::new()).await {
            Ok(()) => self.open_checkpoint(mapping).await,
            Err(problem) => Err(problem),
        };
        let checkpoint = match opened {
            Ok(checkpoint) => checkpoint,
            // A damaged checkpoint can be forgotten, and is put aside for whoever wants to look.
            Err(problem) if keys.is_empty() && problem.code == "checkpoint_unreadable" => {
                let folder = self.checkpoint_folder(mapping);
                let aside = folder.with_extension(format!("damaged-{}", self.clock.now().as_second()));
                blocking(move || std::fs::rename(folder, aside)).await??;
                self.open_checkpoint(mapping).await?
            }
            Err(problem) => return Err(problem),
        };
        let before = checkpoint.len();
        let keys = keys.to_vec();
        let after = blocking(move || {
            if keys.is_empty() {
                return checkpoint.reset().map_err(|error| Problem::of_checkpoint(&error));
            }
            let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
            let found = checkpoint.find_all(&texts).map_err(|error| Problem::of_checkpoint(&error))?;
            let unknown: Vec<String> = texts
                .iter()
                .filter(|text| !found.iter().any(|record| record.key == **text))
                .map(|text| format!("`{text}`"))
                .collect();
            if !unknown.is_empty() {
                let message = format!("the checkpoint has no record with the key {}", unknown.join(", "));
                return Err(Problem::new("key_unknown", message)
                    .with_hint("a key of several columns is written as a JSON array: `[\"eu\",42]`"));
            }
            let hashes: Vec<KeyHash> = found.iter().map(|record| record.key_hash).collect();
            checkpoint.forget(&hashes).map_err(|error| Problem::of_checkpoint(&error))
        });
        let after = after.await??;
        self.note_checkpoint(mapping, &after, None).await?;
        self.supersede(mapping, None).await?;
        Ok(before.saturating_sub(after.len()))
    }

    /// Forgets a mapping that is deleted: its checkpoint, change sets, history, syncs. What was forgotten before the
    /// program ended is no obstacle to doing it again.
    ///
    /// # Errors
    /// The mapping runs, or a file or row cannot be removed.
    pub async fn forget(&self, mapping: &str) -> Result<(), Problem> {
        let _lock = self.lock(mapping, "forget").await?;
        let folders =
            [places::mapping(&self.settings.folder, mapping), places::scratch(&self.settings.folder, mapping)];
        let (history, name) = (self.history(), mapping.to_owned());
        let removed = blocking(move || {
            for folder in folders {
                match std::fs::remove_dir_all(&folder) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Problem::from(error)),
                    _ => {}
                }
            }
            history.remove_mapping(&name).map_err(|error| Problem::new("history", chain(&error)))
        });
        removed.await??;
        let of_store = |error: store::StoreError| Problem::of_store(&error);
        self.step("store: forget mapping")?;
        self.store.forget_failing(mapping).await.map_err(of_store)?;
        self.store.remove_checkpoint(mapping).await.map_err(of_store)?;
        self.store.forget_syncs_of(mapping).await.map_err(of_store)
    }

    /// Sends again what an earlier sync sent or gave up (or, with `failed_only`, only what it could not deliver), with
    /// the newest values: a sync of its own, which finds these records changed.
    ///
    /// # Errors
    /// The sync is not known, is another mapping's, or its change set is no longer kept. The request's own sync, if it
    /// waits in the queue, has then failed.
    pub async fn replay(
        &self,
        request: &Request,
        sync: SyncId,
        failed_only: bool,
        observer: &dyn Observer,
    ) -> Result<SyncReport, Problem> {
        let marking = self.mark_again(&request.mapping.name, sync, failed_only);
        let begun = self.start_marked(request, observer, marking).await;
        self.run_marked(request, begun, observer).await
    }

    /// As [`Self::start`], with records marked so that the sync finds them changed.
    pub(crate) async fn start_marked(
        &self,
        request: &Request,
        observer: &dyn Observer,
        marking: impl Future<Output = Result<(), Problem>>,
    ) -> Result<Begun, Problem> {
        if request.cancel.is_cancelled() {
            return Err(Problem::new("cancelled", "cancelled before it began"));
        }
        let name = &request.mapping.name;
        let lock = self.lock(name, &request.options.trigger).await?;
        let id = self.id_of(request);
        self.recover(name, Some((&request.mapping, id)), observer, &request.cancel).await?;
        marking.await?;
        self.begin(lock, id, request, observer).await
    }

    /// Runs a sync whose records were marked, or says why it did not begin.
    pub(crate) async fn run_marked(
        &self,
        request: &Request,
        begun: Result<Begun, Problem>,
        observer: &dyn Observer,
    ) -> Result<SyncReport, Problem> {
        let begun = match begun {
            Ok(begun) => begun,
            Err(problem) => {
                let report = self.not_begun(request, problem, observer).await;
                return match report.problem {
                    Some(problem) if report.ending == Ending::Failed => Err(problem),
                    _ => Ok(report),
                };
            }
        };
        let extracted = self.compare(&request.mapping.model, &[self.target(&begun)], observer).await.pop();
        let missing = || Err(Problem::new("internal", "the comparison has no result"));
        Ok(self.finish_sync(begun, extracted.unwrap_or_else(missing), observer).await)
    }

    async fn mark_again(&self, mapping: &str, sync: SyncId, failed_only: bool) -> Result<(), Problem> {
        let row = self.store.sync(&sync.to_string()).await.map_err(|error| Problem::of_store(&error))?;
        if row.mapping != mapping {
            let message = format!("`{sync}` is a sync of `{}`, not of `{mapping}`", row.mapping);
            return Err(Problem::new("other_mapping", message));
        }
        if row.state == SyncState::Held {
            return Err(Problem::new("nothing_sent", format!("`{sync}` was held, so there is nothing to replay")));
        }
        let folder = places::sync(&self.settings.folder, mapping, sync);
        let checkpoint = self.open_checkpoint(mapping).await?;
        let marked = blocking(move || {
            let kept = |error: &dyn std::error::Error| {
                Problem::new("change_set_gone", format!("the changes of `{sync}` are no longer kept: {}", chain(error)))
                    .with_hint("`reset MAPPING --key KEY` sends single records again")
            };
            let change_set = ChangeSet::open(&places::change_set(&folder)).map_err(|error| kept(&error))?;
            let entries = Journal::read(&places::journal(&folder)).map_err(|error| kept(&error))?;
            let (delivered, given_up) = (entries.with(code(OutcomeKind::Delivered)), entries.with(GIVEN_UP));
            let wanted = |index: u64| given_up.contains(index) || (!failed_only && delivered.contains(index));
            let mut deleted = Bits::new();
            let mut dirty = Vec::new();
            for chunk in change_set.chunks(0).map_err(|error| kept(&error))? {
                let chunk = chunk.map_err(|error| kept(&error))?;
                for row in (0..chunk.len()).filter(|&row| wanted(chunk.index(row))) {
                    match chunk.operation(row) {
                        records::Operation::Deleted => {
                            deleted.insert(chunk.index(row));
                        }
                        _ => dirty.push(chunk.key_hash(row)),
                    }
                }
            }
            // What was neither delivered nor given up differs from the checkpoint still, so it needs no mark.
            let checkpoint = checkpoint.mark_dirty(&dirty).map_err(|error| Problem::of_checkpoint(&error))?;
            checkpoint.reinsert(&change_set, &deleted).map_err(|error| Problem::of_checkpoint(&error))
        });
        let checkpoint = marked.await??;
        self.note_checkpoint(mapping, &checkpoint, None).await
    }
}
