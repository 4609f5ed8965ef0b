//! The engine with its store, opened for a project, as the commands use it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    sync::Arc,
};

use changes::NoSteps;
use project::{Project, Settings};
use records::SyncId;
use serde::Deserialize;
use store::{History, Store};
use sync::{Engine, Mapping};

use crate::{
    failure::Failure,
    surroundings::{SystemClock, SystemRandom},
    wiring::wiring,
};

/// The file of the control store in the data folder.
const STORE_FILE: &str = "control.db";
/// The longest first line of a saved plan.
const PLAN_HEAD_BYTES_MAX: u64 = 16 << 20;

/// A project's engine.
pub(crate) struct Operations<'p> {
    project: &'p Project,
    pub(crate) engine: Engine,
    store: Store,
}

impl<'p> Operations<'p> {
    /// Opens the project's state; its data folder is made if it is missing.
    pub(crate) async fn open(project: &'p Project) -> Result<Self, Failure> {
        let settings = &project.settings;
        std::fs::create_dir_all(&settings.data).map_err(|error| {
            Failure::new(format!("the data folder `{}` cannot be made", settings.data.display())).because(error)
        })?;
        let store = Store::open(&settings.data.join(STORE_FILE), Arc::new(SystemClock))
            .await
            .map_err(|error| Failure::new("the state of the project cannot be opened").because(error))?;
        Ok(Self::of(project, store))
    }

    /// The same for what only looks: a project that has not run yet has no state afterwards either.
    pub(crate) async fn looking(project: &'p Project) -> Result<Self, Failure> {
        Ok(Self::of(project, open_store(&project.settings).await?))
    }

    fn of(project: &'p Project, store: Store) -> Self {
        let settings = &project.settings;
        let engine = Engine::new(
            store.clone(),
            sync::Settings {
                folder: settings.data.clone(),
                memory_bytes: settings.memory_bytes,
                disk_bytes: settings.disk_bytes,
                history_days: settings.history_days,
                history_bytes: settings.history_bytes,
            },
            Arc::new(SystemClock),
            Arc::new(SystemRandom),
            Arc::new(NoSteps),
        );
        Self { project, engine, store }
    }

    /// These mappings, compiled and ready.
    pub(crate) fn mappings(&self, names: &[String]) -> Result<Vec<Arc<Mapping>>, Failure> {
        let mappings = wiring(self.project).mappings(names)?;
        Ok(mappings.into_iter().map(Arc::new).collect())
    }

    /// The one mapping of that name.
    pub(crate) fn mapping(&self, name: &str) -> Result<Arc<Mapping>, Failure> {
        Ok(Arc::new(wiring(self.project).mapping(name)?))
    }

    /// The sync that is meant by an id or the beginning of one, and its mapping.
    pub(crate) async fn sync(&self, id: &str) -> Result<(SyncId, String), Failure> {
        let row = self.store.sync(id).await;
        let row = row.map_err(|error| Failure::new(format!("cannot replay `{id}`")).because(error))?;
        Ok((row.id, row.mapping))
    }
}

/// The store of a project, to look at. One that has not run yet is empty, and stays so.
pub(crate) async fn open_store(settings: &Settings) -> Result<Store, Failure> {
    let path = settings.data.join(STORE_FILE);
    let clock = Arc::new(SystemClock);
    let opened = if path.exists() { Store::open(&path, clock).await } else { Store::open_in_memory(clock).await };
    opened.map_err(|error| Failure::new("the state of the project cannot be opened").because(error))
}

/// The record-level history of a project.
pub(crate) fn history(settings: &Settings) -> History {
    History::new(settings.data.join("history"))
}

/// The names of the mappings that a saved plan holds.
pub(crate) fn planned(path: &Path) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct Head {
        mappings: Vec<Part>,
    }
    #[derive(Deserialize)]
    struct Part {
        mapping: String,
    }
    let file = std::fs::File::open(path)
        .map_err(|error| Failure::new(format!("the plan `{}` cannot be read", path.display())).because(error))?;
    let mut line = String::new();
    let read = BufReader::new(file).take(PLAN_HEAD_BYTES_MAX).read_line(&mut line);
    let head = read.ok().and_then(|_| serde_json::from_str::<Head>(&line).ok()).ok_or_else(|| {
        Failure::new(format!("`{}` is not a plan", path.display())).hint("make one with `outflow plan --save FILE`")
    })?;
    Ok(head.mappings.into_iter().map(|part| part.mapping).collect())
}
