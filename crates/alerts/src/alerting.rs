//! What a server runs for its alerts: it watches, and sends what is to be told, until it is stopped. Of several
//! processes that share a store, one watches at a time, and all of them send.

use std::{collections::BTreeMap, time::Duration};

use store::{ResourceFilter, ResourceKind, ResourceRef, StoreError, Subject};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Dispatcher, DueFacts, WatchedCredential, WatchedMapping, WatchedMappings, Watcher, certificate_ends, granted_end,
};

/// How often is looked at what has ended.
const LOOK_PAUSE: Duration = Duration::from_secs(2);
/// How often is looked at what happens without a sync.
const LOOK_AROUND_PAUSE: Duration = Duration::from_secs(60);
/// How often is looked for what is to be sent.
const SEND_PAUSE: Duration = Duration::from_secs(1);
/// How long nothing is done after the store has failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(10);
const FORGET_PAUSE: Duration = Duration::from_secs(3_600);
/// How long alerts that have ended are kept.
const KEPT: Duration = Duration::from_secs(90 * 86_400);
/// Definitions that are read at once.
const PAGE: u32 = 200;

/// Watches and sends for one process.
#[derive(Debug)]
pub struct Alerting {
    dispatcher: Dispatcher,
    watching: Watching,
}

#[derive(Debug)]
struct Watching {
    dispatcher: Dispatcher,
    watcher: Watcher,
    mappings: WatchedMappings,
    /// When each mapping was last made or changed.
    changed: BTreeMap<String, jiff::Timestamp>,
    /// The revision of the definitions that the mappings are of.
    revision: Option<u64>,
    looked_around: Option<Instant>,
}

impl Alerting {
    /// `name` tells this process from others.
    pub fn new(dispatcher: Dispatcher, name: impl Into<String>) -> Self {
        let (store, clock) = (dispatcher.store.clone(), dispatcher.sender.clock.clone());
        let watcher = Watcher::new(store, clock, dispatcher.random.clone(), name);
        let watching = Watching {
            dispatcher: dispatcher.clone(),
            watcher,
            mappings: WatchedMappings::new(),
            changed: BTreeMap::new(),
            revision: None,
            looked_around: None,
        };
        Self { dispatcher, watching }
    }

    /// Watches and sends until `stop` is cancelled. What is being sent then is brought to its end.
    pub async fn run(self, stop: CancellationToken) {
        let Self { dispatcher, mut watching } = self;
        let watched = async {
            loop {
                let pause = match watching.look().await {
                    Ok(()) => LOOK_PAUSE,
                    Err(error) => failed(&error, "what happened could not be looked at for alerts; trying again"),
                };
                if !rest(pause, &stop).await {
                    break;
                }
            }
            // Whoever is next looks right away; without this word, a little later.
            let _ = watching.watcher.leave().await;
        };
        let sent = async {
            let mut forgotten: Option<Instant> = None;
            loop {
                let pause = match dispatcher.send_due().await {
                    Ok(0) => SEND_PAUSE,
                    Ok(_) => Duration::ZERO,
                    Err(error) => failed(&error, "alerts could not be sent; trying again"),
                };
                if forgotten.is_none_or(|last| last.elapsed() >= FORGET_PAUSE) {
                    forgotten = Some(Instant::now());
                    let before = dispatcher.sender.clock.now() - KEPT;
                    if let Err(error) = dispatcher.store.forget_alerts_before(before).await {
                        failed(&error, "old alerts could not be forgotten; trying again");
                    }
                }
                if !rest(pause, &stop).await {
                    break;
                }
            }
        };
        tokio::join!(watched, sent);
    }
}

fn failed(error: &StoreError, what: &'static str) -> Duration {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
    FAILURE_PAUSE
}

/// Whether it goes on after the pause.
async fn rest(pause: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = tokio::time::sleep(pause) => true,
    }
}

impl Watching {
    async fn look(&mut self) -> Result<(), StoreError> {
        self.load_mappings().await?;
        if !self.watcher.look(&self.mappings).await? {
            self.looked_around = None;
            return Ok(());
        }
        if self.looked_around.is_none_or(|last| last.elapsed() >= LOOK_AROUND_PAUSE) {
            let wants = self.watcher.wants().await?;
            let due = if wants.due { Some(self.due().await?) } else { None };
            let credentials = if wants.credentials { Some(self.credentials().await?) } else { None };
            self.watcher.look_around(&self.mappings, due.as_ref(), credentials.as_deref()).await?;
            self.looked_around = Some(Instant::now());
        }
        Ok(())
    }

    /// Reads the mappings anew if a definition was changed.
    async fn load_mappings(&mut self) -> Result<(), StoreError> {
        let store = &self.dispatcher.store;
        let revision = store.resource_revision().await?;
        if self.revision == Some(revision) {
            return Ok(());
        }
        let places = store.mapping_places().await?;
        self.changed = places.iter().map(|place| (place.name.clone(), place.updated_at)).collect();
        let watched = places.into_iter().map(|place| {
            let mapping = WatchedMapping {
                model: place.model,
                destination: place.destination,
                source: place.source,
                is_enabled: place.enabled,
            };
            (place.name, mapping)
        });
        self.mappings = watched.collect();
        self.revision = Some(revision);
        Ok(())
    }

    /// How the enabled mappings stand to their schedules.
    async fn due(&self) -> Result<BTreeMap<String, DueFacts>, StoreError> {
        let stands = self.dispatcher.store.due_stands().await?;
        let facts = stands.into_iter().filter_map(|stand| {
            let facts = DueFacts {
                // Missing times are not earlier than others.
                waiting_since: [stand.next_due_at, stand.queued_since].into_iter().flatten().min(),
                running_since: stand.running_since,
                ended_at: None,
                enabled_since: *self.changed.get(&stand.mapping)?,
            };
            Some((stand.mapping, facts))
        });
        Ok(facts.collect())
    }

    /// When credentials of sources and destinations end.
    async fn credentials(&self) -> Result<Vec<WatchedCredential>, StoreError> {
        let store = &self.dispatcher.store;
        let mut credentials = Vec::new();
        for kind in [ResourceKind::Source, ResourceKind::Destination] {
            let mut after: Option<ResourceRef> = None;
            loop {
                let rows = store.resources(&ResourceFilter::of_kind(kind), after.as_ref(), PAGE).await?;
                for row in &rows {
                    let subject = Subject { kind: kind.name().to_owned(), name: row.name.clone() };
                    let ends = certificate_ends(&row.document).into_iter();
                    credentials.extend(ends.map(|facts| WatchedCredential { subject: subject.clone(), facts }));
                }
                match rows.last().filter(|_| rows.len() == PAGE as usize) {
                    Some(last) => after = Some(ResourceRef::new(kind, &last.name)),
                    None => break,
                }
            }
        }
        for destination in store.granted_destinations().await? {
            let tokens = store.granted_tokens(&destination, &self.dispatcher.keyring).load().await;
            // Tokens that cannot be opened are told of where they are used.
            if let Some(facts) = tokens.ok().flatten().as_deref().and_then(granted_end) {
                let subject = Subject { kind: ResourceKind::Destination.name().to_owned(), name: destination };
                credentials.push(WatchedCredential { subject, facts });
            }
        }
        Ok(credentials)
    }
}
