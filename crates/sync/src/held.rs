//! Syncs that a guard holds: a person releases them, with the very changes that were held, or dismisses them.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    sync::Arc,
};

use changes::{ChangeSet, Checkpoint, Compared, Unusable};
use records::SyncId;
use serde::{Deserialize, Serialize};
use store::{SyncError, SyncRow, SyncState};
use tokio_util::sync::CancellationToken;

use crate::{
    Engine, Held, Mapping, News, Observer, Problem, SyncReport,
    blocking::blocking,
    compare::{Comparing, Extracted},
    engine::Begun,
    guard::Findings,
    places,
    problem::chain,
};

/// What a mapping read when a change set was made for it. An edited one would find other columns in it than it reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reads {
    key: Vec<String>,
    /// None: all of them.
    columns: Option<Vec<String>>,
}

impl Reads {
    pub(crate) fn of(mapping: &Mapping) -> Self {
        let columns = match mapping.columns() {
            mapping::Columns::All => None,
            mapping::Columns::Named(names) => Some(names.into_iter().collect()),
        };
        Self { key: mapping.model.key.clone(), columns }
    }
}

/// What stands beside the change set of a held sync.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    held: Held,
    findings: Findings,
    reads: Reads,
}

impl Engine {
    /// Sends what a held sync found: its very change set. It goes on under its own id.
    ///
    /// # Errors
    /// The sync is not held, its mapping runs, was edited or has moved on since, or no yes can let it go on. It stays
    /// what it was.
    pub async fn release(
        &self,
        mapping: &Arc<Mapping>,
        sync: SyncId,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<SyncReport, Problem> {
        let lock = self.lock(&mapping.name, "release").await?;
        self.recover(&mapping.name, Some((mapping, sync)), observer, cancel).await?;
        let row = self.held_row(sync).await?;
        if row.mapping != mapping.name {
            let message = format!("`{sync}` is a sync of `{}`, not of `{}`", row.mapping, mapping.name);
            return Err(Problem::new("other_mapping", message));
        }
        let folder = places::sync(&self.settings.folder, &mapping.name, sync);
        let (from, reads) = (folder.clone(), Reads::of(mapping));
        let checkpoint = self.open_checkpoint(&mapping.name).await?;
        let comparing = blocking(move || read(&from, sync, &reads, checkpoint)).await??;
        let begun = Begun {
            mapping: mapping.clone(),
            id: sync,
            folder,
            confirmed: true,
            cancel: cancel.clone(),
            phases: Arc::default(),
            _lock: lock,
        };
        self.tell(observer, &mapping.name, Some(sync), News::Started);
        Ok(self.finish_sync(begun, Ok(Extracted::Compared(Box::new(comparing))), observer).await)
    }

    /// Ends a held sync without sending anything. The next sync finds its changes again.
    ///
    /// # Errors
    /// The sync is not held, or its mapping runs.
    pub async fn dismiss(&self, sync: SyncId) -> Result<(), Problem> {
        let mapping = self.held_row(sync).await?.mapping;
        let _lock = self.lock(&mapping, "dismiss").await?;
        let row = self.held_row(sync).await?;
        self.end_held(&row, "dismissed", "a person chose not to send it").await?;
        self.tidy_up(&mapping).await
    }

    /// Ends the syncs of a mapping that a guard holds, but for `by`: it has seen what the model shows now.
    pub(crate) async fn supersede(&self, mapping: &str, by: Option<SyncId>) -> Result<(), Problem> {
        let open = self.store.unfinished(mapping).await.map_err(|error| Problem::of_store(&error))?;
        let message = match by {
            Some(by) => format!("`{by}`, a later sync of the mapping, took its place"),
            None => "the mapping was reset since".to_owned(),
        };
        // One that waits in the queue to be released is out of date as well.
        for row in open.iter().filter(|row| Some(row.id) != by && is_held(row)) {
            self.end_held(row, "superseded", &message).await?;
        }
        Ok(())
    }

    async fn end_held(&self, row: &SyncRow, code: &str, message: &str) -> Result<(), Problem> {
        let error = SyncError { code: code.to_owned(), message: message.to_owned(), hint: None };
        self.step("store: finish held sync")?;
        let ended = self.store.finish(row.id, SyncState::Cancelled, &row.counts, Some(&error)).await;
        ended.map_err(|error| Problem::of_store(&error))
    }

    async fn held_row(&self, sync: SyncId) -> Result<SyncRow, Problem> {
        let row = self.store.sync(&sync.to_string()).await.map_err(|error| Problem::of_store(&error))?;
        if is_held(&row) {
            return Ok(row);
        }
        let why = row.error.filter(|error| error.code == "superseded").map(|error| format!(": {}", error.message));
        let message = format!("`{sync}` is not held any more{}", why.unwrap_or_default());
        Err(Problem::new("not_held", message))
    }
}

/// Whether a person may release it: it waits for that, or for a worker who shall do it.
fn is_held(row: &SyncRow) -> bool {
    row.state == SyncState::Held || (row.state == SyncState::Queued && row.held.is_some())
}

/// Notes beside the change set of a sync that it is held, and for which mapping it was made.
pub(crate) fn note(folder: &Path, held: &Held, findings: &Findings, reads: Reads) -> io::Result<()> {
    let noted = Noted { held: held.clone(), findings: findings.clone(), reads };
    let (path, temporary) = (places::held(folder), places::held(folder).with_extension("unfinished"));
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(&noted)?)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    File::open(folder)?.sync_all()
}

fn read(folder: &Path, sync: SyncId, reads: &Reads, checkpoint: Checkpoint) -> Result<Comparing, Problem> {
    let gone = |why: String| {
        Problem::new("change_set_gone", format!("the changes of `{sync}` cannot be read: {why}"))
            .with_hint("run a sync of the mapping, which finds them again")
    };
    let noted = match fs::read(places::held(folder)) {
        Ok(bytes) => serde_json::from_slice::<Noted>(&bytes).map_err(|error| gone(error.to_string()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("`{sync}` was held before anything could be compared, so it holds no changes");
            return Err(Problem::new("cannot_be_released", message)
                .with_hint("change what it was held for, and run a sync of the mapping"));
        }
        Err(error) => return Err(gone(error.to_string())),
    };
    if noted.reads != *reads {
        return Err(edited(&format!("`{sync}`")));
    }
    let change_set = ChangeSet::open(&places::change_set(folder)).map_err(|error| gone(chain(&error)))?;
    if change_set.generation() != checkpoint.generation() {
        let message = format!("`{sync}` is out of date: its mapping has been synced or changed since");
        return Err(Problem::new("out_of_date", message).with_hint("run a sync of the mapping"));
    }
    Ok(comparing(checkpoint, change_set, unusable(folder), noted.findings, None))
}

/// A comparison that was made before.
pub(crate) fn comparing(
    checkpoint: Checkpoint,
    change_set: ChangeSet,
    unusable: Unusable,
    findings: Findings,
    held: Option<Held>,
) -> Comparing {
    let disk_bytes_peak = fs::metadata(change_set.path()).map_or(0, |found| found.len());
    let counts = change_set.counts();
    let compared = Compared { counts, change_set, unusable, tracking_changed: None, disk_bytes_peak };
    Comparing { checkpoint, compared, findings, held }
}

/// The list of unusable rows that was left beside a change set.
fn unusable(folder: &Path) -> Unusable {
    let path = places::unusable(folder);
    Unusable { path: path.exists().then_some(path), ..Unusable::default() }
}

/// Why a change set is not sent for a mapping that reads other columns by now.
pub(crate) fn edited(what: &str) -> Problem {
    let message = format!("{what} was made before the mapping was edited: it now reads other columns or another key");
    Problem::new("mapping_edited", message).with_hint("run a sync of the mapping, or make a new plan")
}
