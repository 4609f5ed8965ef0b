//! Looks at what has happened and writes down what the rules find: at syncs as they end, and from time to time at what
//! happens without one.

mod open;
mod rules;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use records::{Clock, Random, SyncId};
use store::{AlertStep, Store, StoreError, Subject, WatchedSync};

use self::{
    open::OpenAlerts,
    rules::{Rules, WatchedRule},
};
use crate::{
    ColumnFacts, ColumnsFacts, CredentialFacts, DueFacts, Kind, Place, SyncFacts, Verdict, judge_columns,
    judge_credential, judge_lateness, judge_syncs, verdict::RELEASED,
};

/// Who has not looked for so long is relieved by another process.
const LEASE: Duration = Duration::from_secs(30);
/// A sync's end may be written a while after the moment that it names: the store is tried again when it cannot be
/// reached.
const OVERLAP: Duration = Duration::from_secs(90);
/// Syncs that are looked at in one go.
const SYNCS_MAX: u32 = 1_000;
/// Syncs of one mapping that a window of time looks at, at most.
const WINDOW_SYNCS_MAX: u32 = 1_000;
/// What comes within this time is told in one message.
const GATHER: Duration = Duration::from_secs(10);

/// A mapping as it is defined now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedMapping {
    pub model: String,
    pub destination: String,
    pub source: String,
    /// Whether it, its model and its destination are.
    pub is_enabled: bool,
}

/// All mappings by name.
pub type WatchedMappings = BTreeMap<String, WatchedMapping>;

/// Credentials of a source or destination whose end is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedCredential {
    /// `source` or `destination`.
    pub subject: Subject,
    pub facts: CredentialFacts,
}

/// What a look around needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// A rule asks how mappings stand to their schedule.
    pub due: bool,
    /// A rule asks when credentials end.
    pub credentials: bool,
}

/// Looks for one process. Of all that share a store, one looks at a time.
pub struct Watcher {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Tells this process from others.
    name: String,
    rules: Rules,
    /// What was looked at and may come again, with its end.
    seen: HashMap<SyncId, Timestamp>,
    /// When the last sync of each mapping ended, as far as anybody has asked.
    ended: HashMap<String, Option<Timestamp>>,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Watcher {
    pub fn new(store: Store, clock: Arc<dyn Clock>, random: Arc<dyn Random>, name: impl Into<String>) -> Self {
        Self {
            store,
            clock,
            random,
            name: name.into(),
            rules: Rules::default(),
            seen: HashMap::new(),
            ended: HashMap::new(),
        }
    }

    /// Looks at the syncs that have ended since the last look, at those that are held and at columns that changed. To
    /// be called every few seconds. Gives whether this process is the one who looks.
    ///
    /// # Errors
    /// The store fails. The next look begins where this one did.
    pub async fn look(&mut self, mappings: &WatchedMappings) -> Result<bool, StoreError> {
        let Some(looked_up_to) = self.store.hold_alert_watch(&self.name, LEASE).await? else {
            self.seen.clear();
            self.ended.clear();
            return Ok(false);
        };
        let now = self.clock.now();
        let mut since = (looked_up_to - OVERLAP, None);
        let held = self.store.held_syncs().await?;
        let mut held_by_mapping: BTreeMap<&str, &WatchedSync> = BTreeMap::new();
        held_by_mapping.extend(held.iter().map(|held| (held.sync.mapping.as_str(), held)));
        let mut is_first = true;
        loop {
            let ended = self.store.ended_syncs(since.0, since.1, SYNCS_MAX).await?;
            let mut news: BTreeMap<String, ()> = BTreeMap::new();
            let mut seen_now = Vec::new();
            for sync in &ended {
                // One that was seen while it was held is looked at once more.
                if self.seen.get(&sync.id).is_none_or(|at| *at == Timestamp::MAX) {
                    news.insert(sync.mapping.clone(), ());
                    seen_now.push((sync.id, sync.at));
                    if let Some(last) = self.ended.get_mut(&sync.mapping) {
                        *last = Some(sync.at).max(*last);
                    }
                }
            }
            if is_first {
                for WatchedSync { sync, .. } in held.iter().filter(|held| !self.seen.contains_key(&held.sync.id)) {
                    news.insert(sync.mapping.clone(), ());
                    seen_now.push((sync.id, Timestamp::MAX));
                }
            }
            let mut steps = Vec::new();
            if is_first {
                self.look_at_columns(mappings, looked_up_to - OVERLAP, &mut steps).await?;
                self.look_at_released(&held_by_mapping, &mut steps).await?;
            }
            let names: Vec<String> = news.into_keys().collect();
            self.look_at_syncs(mappings, &names, &held_by_mapping, now, &mut steps).await?;
            self.take(&steps).await?;
            self.seen.extend(seen_now);
            is_first = false;
            match ended.last().filter(|_| ended.len() == SYNCS_MAX as usize) {
                Some(last) => {
                    since = (last.at, Some(last.id));
                    // It may take a while: others are told that somebody is at it.
                    self.store.move_alert_watch(&self.name, last.at).await?;
                    if self.store.hold_alert_watch(&self.name, LEASE).await?.is_none() {
                        return Ok(false);
                    }
                }
                None => break,
            }
        }
        self.store.move_alert_watch(&self.name, now).await?;
        let oldest = now - OVERLAP * 2;
        let still_held: Vec<SyncId> = held.iter().map(|held| held.sync.id).collect();
        self.seen.retain(|id, at| match *at == Timestamp::MAX {
            true => still_held.contains(id),
            false => *at >= oldest,
        });
        Ok(true)
    }

    /// What must be found out before [`look_around`](Self::look_around).
    ///
    /// # Errors
    /// The store fails.
    pub async fn wants(&mut self) -> Result<Wants, StoreError> {
        self.rules.load(&self.store).await?;
        Ok(Wants {
            due: self.rules.any(|when| when.late.is_some()),
            credentials: self.rules.any(|when| when.credentials_expiring.is_some()),
        })
    }

    /// Looks at what happens without a sync: at mappings that are late, at credentials, at windows of time, at what is
    /// to be told once more, and at alerts that nobody watches for any more. To be called every minute or so, by who
    /// looks. `due` tells of all enabled mappings how they stand to their schedule; what is None was not found out.
    ///
    /// # Errors
    /// The store fails.
    pub async fn look_around(
        &mut self,
        mappings: &WatchedMappings,
        due: Option<&BTreeMap<String, DueFacts>>,
        credentials: Option<&[WatchedCredential]>,
    ) -> Result<(), StoreError> {
        self.rules.load(&self.store).await?;
        let now = self.clock.now();
        let mut open = OpenAlerts::load(&self.store).await?;
        let mut steps = Vec::new();
        open.drop_unwatched(&self.rules, mappings, &mut steps);
        if let Some(due) = due {
            self.look_at_lateness(mappings, due, now, &mut open, &mut steps).await?;
        }
        if let Some(credentials) = credentials {
            self.look_at_credentials(mappings, credentials, now, &mut open, &mut steps);
        }
        self.look_at_windows(now, &mut open, &mut steps).await?;
        for (rule, (kind, subject)) in open.rest(&self.rules) {
            open.step(rule, kind, &subject, Verdict::Unknown, now, &mut steps);
        }
        self.take(&steps).await
    }

    /// Lets another process look right away. To be called when this one ends.
    ///
    /// # Errors
    /// The store fails.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.store.leave_alert_watch(&self.name).await
    }

    async fn take(&self, steps: &[AlertStep]) -> Result<(), StoreError> {
        if !steps.is_empty() {
            let taken = self.store.take_alert_steps(steps, GATHER, &*self.random).await?;
            tracing::debug!(steps = steps.len(), taken, "alerts changed");
        }
        Ok(())
    }

    async fn look_at_syncs(
        &mut self,
        mappings: &WatchedMappings,
        names: &[String],
        held: &BTreeMap<&str, &WatchedSync>,
        now: Timestamp,
        steps: &mut Vec<AlertStep>,
    ) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        self.rules.load(&self.store).await?;
        let mut open = OpenAlerts::load(&self.store).await?;
        for name in names {
            let Some(mapping) = mappings.get(name).filter(|mapping| mapping.is_enabled) else { continue };
            let rules = self.rules.watching(place(name, mapping));
            let Some(needs) = Needs::of(&rules, now) else { continue };
            let syncs = self.syncs(name, needs, held.get(name.as_str()).copied()).await?;
            for rule in &rules {
                for (kind, verdict) in judge_syncs(&rule.rule.when, &syncs, now) {
                    open.step(rule, kind, &mapping_subject(name), verdict, now, steps);
                }
            }
        }
        Ok(())
    }

    /// The syncs that rules judge a mapping by, newest first.
    async fn syncs(
        &self,
        mapping: &str,
        needs: Needs,
        held: Option<&WatchedSync>,
    ) -> Result<Vec<SyncFacts>, StoreError> {
        let rows = self.store.finished_syncs(mapping, needs.count, needs.since, WINDOW_SYNCS_MAX).await?;
        // One that is held while a newer one has ended was given up.
        let held = held.filter(|held| rows.first().is_none_or(|newest| newest.sync.started_at < held.sync.started_at));
        Ok(held.into_iter().chain(&rows).map(SyncFacts::from).collect())
    }

    async fn look_at_columns(
        &mut self,
        mappings: &WatchedMappings,
        since: Timestamp,
        steps: &mut Vec<AlertStep>,
    ) -> Result<(), StoreError> {
        let changes = self.store.column_changes_since(since).await?;
        if changes.is_empty() {
            return Ok(());
        }
        self.rules.load(&self.store).await?;
        let now = self.clock.now();
        for change in changes {
            let facts = |columns: Vec<store::ModelColumn>| {
                columns.into_iter().map(|column| ColumnFacts { name: column.name, kind: column.kind }).collect()
            };
            let columns = ColumnsFacts { sync: change.sync, before: facts(change.before), now: facts(change.now) };
            let subject = Subject { kind: "model".to_owned(), name: change.model.clone() };
            let is_of_model = |rule: &WatchedRule| {
                let mut of_model = mappings.iter().filter(|(_, mapping)| mapping.model == change.model);
                of_model.any(|(name, mapping)| rule.rule.watch.includes(place(name, mapping)))
            };
            for rule in self.rules.enabled().filter(|rule| is_of_model(rule)) {
                let Some(schema_changed) = rule.rule.when.schema_changed else { continue };
                let verdict = judge_columns(schema_changed, &columns);
                let step = crate::step(Kind::SchemaChanged, None, verdict, rule.telling(), now);
                if let Some(crate::Step::Raise { finding, is_told }) = step {
                    let happened_at = Some(change.at);
                    steps.push(rule.raise(Kind::SchemaChanged, &subject, finding, is_told, happened_at));
                }
            }
        }
        Ok(())
    }

    /// A sync that is held no longer goes on, and has not ended yet.
    async fn look_at_released(
        &mut self,
        held: &BTreeMap<&str, &WatchedSync>,
        steps: &mut Vec<AlertStep>,
    ) -> Result<(), StoreError> {
        if self.rules.is_loaded() && !self.rules.any(|when| when.held) {
            return Ok(());
        }
        let mut open = OpenAlerts::load(&self.store).await?;
        let released = open.of_kind(Kind::Held).into_iter().filter(|(_, subject)| !held.contains_key(&*subject.name));
        let released: Vec<_> = released.collect();
        if released.is_empty() {
            return Ok(());
        }
        self.rules.load(&self.store).await?;
        let now = self.clock.now();
        for (id, subject) in released {
            if let Some(rule) = self.rules.find(id) {
                open.step(rule, Kind::Held, &subject, Verdict::Fine(RELEASED.to_owned()), now, steps);
            }
        }
        Ok(())
    }

    async fn look_at_lateness(
        &mut self,
        mappings: &WatchedMappings,
        due: &BTreeMap<String, DueFacts>,
        now: Timestamp,
        open: &mut OpenAlerts,
        steps: &mut Vec<AlertStep>,
    ) -> Result<(), StoreError> {
        for (name, facts) in due {
            let Some(mapping) = mappings.get(name).filter(|mapping| mapping.is_enabled) else { continue };
            for rule in self.rules.watching(place(name, mapping)) {
                let Some(late) = rule.rule.when.late else { continue };
                let mut facts = *facts;
                if late.silence.is_some() {
                    let ended = match self.ended.get(name) {
                        Some(ended) => *ended,
                        None => {
                            let last = self.store.finished_syncs(name, 1, None, 1).await?.pop();
                            let ended = last.and_then(|last| last.sync.finished_at);
                            self.ended.insert(name.clone(), ended);
                            ended
                        }
                    };
                    facts.ended_at = facts.ended_at.max(ended);
                }
                let verdict = judge_lateness(late, &facts, now);
                open.step(rule, Kind::Late, &mapping_subject(name), verdict, now, steps);
            }
        }
        for (rule, subject) in open.of_kind(Kind::Late) {
            if !due.contains_key(&subject.name)
                && let Some(rule) = self.rules.find(rule)
            {
                let verdict = Verdict::Fine("it has no schedule any more".to_owned());
                open.step(rule, Kind::Late, &subject, verdict, now, steps);
            }
        }
        Ok(())
    }

    fn look_at_credentials(
        &self,
        mappings: &WatchedMappings,
        credentials: &[WatchedCredential],
        now: Timestamp,
        open: &mut OpenAlerts,
        steps: &mut Vec<AlertStep>,
    ) {
        // Of several that a connection has, the first to end decides.
        let mut first: BTreeMap<&Subject, &CredentialFacts> = BTreeMap::new();
        for credential in credentials {
            let known = first.entry(&credential.subject).or_insert(&credential.facts);
            if credential.facts.ends_at < known.ends_at {
                *known = &credential.facts;
            }
        }
        for rule in self.rules.enabled() {
            let Some(expiring) = rule.rule.when.credentials_expiring else { continue };
            for (subject, facts) in first.iter().filter(|(subject, _)| rule.watches_connection(subject, mappings)) {
                let verdict = judge_credential(expiring, facts, now);
                open.step(rule, Kind::CredentialsExpiring, subject, verdict, now, steps);
            }
        }
        for (rule, subject) in open.of_kind(Kind::CredentialsExpiring) {
            if !first.contains_key(&subject)
                && let Some(rule) = self.rules.find(rule)
            {
                let verdict = Verdict::Fine("the credentials were replaced by others".to_owned());
                open.step(rule, Kind::CredentialsExpiring, &subject, verdict, now, steps);
            }
        }
    }

    /// A rate may recover as bad syncs leave the window.
    async fn look_at_windows(
        &self,
        now: Timestamp,
        open: &mut OpenAlerts,
        steps: &mut Vec<AlertStep>,
    ) -> Result<(), StoreError> {
        for (rule, subject) in open.of_kind(Kind::DeliveryRate) {
            let Some(rule) = self.rules.find(rule) else { continue };
            let when = crate::When { delivery_rate: rule.rule.when.delivery_rate, ..crate::When::default() };
            let Some(window) = when.window() else { continue };
            let needs = Needs { count: 1, since: Some(now - window) };
            let syncs = self.syncs(&subject.name, needs, None).await?;
            for (kind, verdict) in judge_syncs(&when, &syncs, now) {
                open.step(rule, kind, &subject, verdict, now, steps);
            }
        }
        Ok(())
    }
}

/// What must be known of a mapping's syncs.
#[derive(Debug, Clone, Copy)]
struct Needs {
    count: u32,
    since: Option<Timestamp>,
}

impl Needs {
    /// None if no rule judges syncs.
    fn of(rules: &[&WatchedRule], now: Timestamp) -> Option<Self> {
        let count = rules.iter().map(|rule| rule.rule.when.history()).max()?;
        let window = rules.iter().filter_map(|rule| rule.rule.when.window()).max();
        Some(Self { count: u32::try_from(count).unwrap_or(u32::MAX), since: window.map(|window| now - window) })
    }
}

fn place<'a>(name: &'a str, mapping: &'a WatchedMapping) -> Place<'a> {
    Place { mapping: name, model: &mapping.model, destination: &mapping.destination, source: &mapping.source }
}

fn mapping_subject(name: &str) -> Subject {
    Subject { kind: "mapping".to_owned(), name: name.to_owned() }
}
