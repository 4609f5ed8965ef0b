//! What these tests share: a scene in a folder of its own, requests, and an observer that keeps what it is told.

use std::sync::{Arc, Mutex};

use records::SyncId;
use simulation::Scene;
use store::{NewSync, SyncState};
use sync::{Engine, Mapping, News, Observer, Phase, Progress, Request, SyncOptions, SyncReport, Unobserved};
use tokio_util::sync::CancellationToken;

/// A scene whose files go with it.
pub(crate) struct Stage {
    pub(crate) scene: Scene,
    _folder: tempfile::TempDir,
}

impl std::ops::Deref for Stage {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        &self.scene
    }
}

pub(crate) async fn stage(people: i64) -> Stage {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scene = Scene::new(folder.path()).await.expect("a scene");
    for id in 1..=people {
        scene.table.set(id, "free");
    }
    Stage { scene, _folder: folder }
}

pub(crate) fn request(mapping: Mapping) -> Request {
    let options = SyncOptions { trigger: "test".to_owned(), ..SyncOptions::default() };
    Request::new(Arc::new(mapping), options, &CancellationToken::new())
}

pub(crate) fn confirmed(mapping: Mapping) -> Request {
    let mut request = request(mapping);
    request.options.confirmed = true;
    request
}

pub(crate) async fn sync(engine: &Engine, request: Request) -> SyncReport {
    engine.sync(&[request], &Unobserved).await.pop().expect("a report")
}

impl Stage {
    /// A sync that waits in the queue.
    pub(crate) async fn queue(&self, number: u128, mapping: &str) -> SyncId {
        let id = SyncId::from_uuid(uuid::Uuid::from_u128(number));
        let new = NewSync { id, mapping: mapping.to_owned(), trigger: "schedule".to_owned(), change_set: None };
        self.store.begin_sync(&new).await.expect("a row");
        self.store.set_state(id, SyncState::Queued).await.expect("a state");
        id
    }

    pub(crate) async fn state(&self, id: SyncId) -> SyncState {
        self.store.sync(&id.to_string()).await.expect("a sync").state
    }
}

/// Keeps in words what it is told.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<(String, Option<SyncId>, String)>>);

impl Told {
    /// What was told of a mapping, each thing once in a row.
    pub(crate) fn of(&self, mapping: &str) -> Vec<String> {
        let told = self.0.lock().expect("a list");
        let mut words: Vec<String> =
            told.iter().filter(|told| told.0 == mapping).map(|(_, _, what)| what.clone()).collect();
        words.dedup();
        words
    }

    /// The ids it was told.
    pub(crate) fn ids(&self, mapping: &str) -> Vec<Option<SyncId>> {
        let told = self.0.lock().expect("a list");
        let mut ids: Vec<_> = told.iter().filter(|told| told.0 == mapping).map(|told| told.1).collect();
        ids.dedup();
        ids
    }
}

impl Observer for Told {
    fn progress(&self, progress: Progress<'_>) {
        let what = match progress.news {
            News::Started => "started",
            News::Collecting { .. } => "collecting",
            News::Recovered { .. } => "recovered",
            News::Phase(Phase::Extracting) => "extracting",
            News::Phase(Phase::Comparing) => "comparing",
            News::Phase(Phase::Loading) => "loading",
            News::Phase(Phase::Committing) => "committing",
            News::Extracting { .. } => "records read",
            News::Compared { .. } => "compared",
            News::Held { .. } => "held",
            News::Loading { .. } => "records sent",
            News::Finished { .. } => "finished",
        };
        self.0.lock().expect("a list").push((progress.mapping.to_owned(), progress.sync, what.to_owned()));
    }
}
