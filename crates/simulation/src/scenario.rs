//! One story: syncs under faults, with the truth on both sides checked after each.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use kit::{Facts, RetrySettings, Wire};
use mapping::{Condition, DeletedValues, Fields, Program, SyncMode};
use records::{SyncId, Value};
use store::Store;
use sync::{
    Choice, Connection, Ending, Engine, GiveUp, Guards, Mapping, Model, PlanOptions, Request, Settings, SyncOptions,
    SyncReport, Unobserved,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Dice, FakeClock},
    destination::{FakeDestination, Truth},
    faults::{Fate, Faults, lock},
    properties::{self, Remembered, Story},
    source::FakeSource,
    warehouse::Warehouse,
};

/// What one story was made of, for the summary of many.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    pub syncs: u64,
    pub crashes: u64,
    pub cancelled: u64,
    pub failed: u64,
    pub held: u64,
    /// Held syncs that a person let go on.
    pub released: u64,
    pub delivered: u64,
    /// Records that a mapping's policy gave up.
    pub given_up: u64,
    /// Changes that the destination took more than once.
    pub taken_again: u64,
    /// Changes whose fate a job told after a crash.
    pub collected: u64,
}

/// A property that did not hold, with the story up to there.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}: {what}\n{}", .story.join("\n"))]
pub struct Failure {
    pub seed: u64,
    pub what: String,
    pub story: Vec<String>,
}

pub(crate) const BATCH_RECORDS: usize = 7;
pub(crate) const CONCURRENCY: usize = 3;

const FACTS: &str = "
slug: fake
name: Fake
actions:
  - slug: record
    name: Record
    modes: [add, update, upsert, delete, mirror]
    fields:
      id: { type: integer, required: true }
      email: { type: string }
      plan: { type: string, allow_null: true }
      score: { type: number }
      active: { type: boolean }
      note: { type: string }
    batch: { records_max: 7, bytes_max: 100000 }
limits: { concurrency: 3 }
";

/// The two forms of the mapping's fields; the second reads one column more.
fn mapping_text(edited: bool) -> &'static str {
    if edited {
        r#"{"id":{"@path":"$.properties.id"},"email":{"@path":"$.properties.email"},"plan":{"@path":"$.properties.plan"},"score":{"@path":"$.properties.score"},"active":{"@path":"$.properties.active"},"note":{"@path":"$.properties.note"}}"#
    } else {
        r#"{"id":{"@path":"$.properties.id"},"email":{"@path":"$.properties.email"},"plan":{"@path":"$.properties.plan"},"score":{"@path":"$.properties.score"},"active":{"@path":"$.properties.active"}}"#
    }
}

/// Tells the story of a seed in `folder`, which should be new and in memory.
///
/// # Errors
/// A property did not hold.
pub fn run(seed: u64, folder: &Path) -> Result<Summary, Box<Failure>> {
    let fate = Arc::new(Fate::default());
    let failure = |what: String| Box::new(Failure { seed, what, story: fate.told() });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| failure(format!("no runtime: {error}")))?;
    runtime.block_on(tell(seed, folder, fate.clone())).map_err(failure)
}

/// What a process is started for.
#[derive(Clone, Copy)]
enum Deed {
    Sync { confirmed: bool },
    Release(SyncId),
}

/// What stays the same through a story.
struct World {
    warehouse: Arc<Mutex<Warehouse>>,
    truth: Arc<Mutex<Truth>>,
    fate: Arc<Fate>,
    dice: Arc<Dice>,
    clock: Arc<FakeClock>,
    store: Store,
    settings: Settings,
    condition: bool,
    /// Whether batches are jobs at the destination.
    jobs: bool,
    edited: bool,
    forgotten: BTreeSet<String>,
    give_up: Option<GiveUp>,
    /// Records that were given up and not taken since: the checkpoint has them, the destination does not.
    claimed: BTreeSet<String>,
    /// How many syncs have begun while this would be sent of a record.
    syncs_with: BTreeMap<(String, String), u32>,
    summary: Summary,
}

async fn tell(seed: u64, folder: &Path, fate: Arc<Fate>) -> Result<Summary, String> {
    let dice = Arc::new(Dice::new(seed));
    let clock = Arc::new(FakeClock::new());
    let store = Store::open_in_memory(clock.clone()).await.map_err(|error| error.to_string())?;
    let settings = Settings {
        folder: folder.to_owned(),
        // Small enough now and then that comparing has to spill.
        memory_bytes: if dice.chance(30) { 64 * 1024 } else { 64 * 1024 * 1024 },
        disk_bytes: 1 << 30,
        history_days: None,
        history_bytes: None,
    };
    let mut world = World {
        warehouse: Arc::default(),
        truth: Arc::default(),
        fate,
        condition: dice.chance(25),
        jobs: dice.chance(30),
        dice,
        clock,
        store,
        settings,
        edited: false,
        forgotten: BTreeSet::new(),
        give_up: None,
        claimed: BTreeSet::new(),
        syncs_with: BTreeMap::new(),
        summary: Summary::default(),
    };
    if world.dice.chance(30) {
        let syncs = u32::try_from(world.dice.range(2, 3)).unwrap_or(2);
        world.give_up = Some(GiveUp { after_syncs: Some(syncs), after_days: None });
    }
    for round in 0..world.dice.range(2, 6) {
        lock(&world.warehouse).live(&world.dice);
        if world.dice.chance(8) {
            world.edited = !world.edited;
            // Another mapping makes another payload of the same change.
            lock(&world.truth).payloads.clear();
            world.fate.tell("the mapping is edited".to_owned());
        }
        if world.dice.chance(20) {
            world.plan().await?;
        }
        let faults = world.draw();
        world.fate.tell(format!("sync {round}: {} rows, {faults:?}", lock(&world.warehouse).rows.len()));
        let confirmed = world.dice.chance(60);
        let held = world.sync(faults, confirmed).await?.filter(|report| report.ending == Ending::Held);
        if let Some(sync) = held.and_then(|report| report.sync) {
            world.decide(sync).await?;
        }
        if world.dice.chance(10) {
            world.meddle().await?;
        }
    }
    world.settle().await?;
    Ok(world.summary)
}

impl World {
    fn draw(&self) -> Faults {
        let dice = &self.dice;
        let mut faults = Faults::default();
        if dice.chance(35) {
            faults.crash_at_step = Some(dice.range(1, 60));
        }
        if dice.chance(10) {
            faults.disk_full_at_step = Some(dice.range(1, 40));
        }
        if dice.chance(15) {
            faults.cancel_at_call = Some(dice.range(1, 6));
        }
        if dice.chance(20) {
            faults.crash_at_call = Some((dice.range(1, 8), dice.chance(50)));
        }
        if dice.chance(10) {
            faults.lost_after_batches = Some(dice.below(4));
        }
        if dice.chance(60) {
            faults.bad_calls = dice.range(5, 60);
        }
        faults
    }

    fn mapping(&self) -> Result<Arc<Mapping>, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let facts = Facts::parse(FACTS).map_err(|error| text(&error))?;
        let fields = Fields::compile(facts.action("record").map(|action| action.fields.clone()).unwrap_or_default());
        let wire = Wire::detached(facts.limits, self.clock.clone());
        let destination = FakeDestination {
            facts,
            truth: self.truth.clone(),
            fate: self.fate.clone(),
            dice: self.dice.clone(),
            jobs: self.jobs,
        };
        let source = FakeSource { warehouse: self.warehouse.clone(), fate: self.fate.clone(), dice: self.dice.clone() };
        let program = Value::parse(mapping_text(self.edited)).map_err(|error| text(&error))?;
        let condition = "properties.active = true";
        Ok(Arc::new(Mapping {
            name: "customers".to_owned(),
            model: Arc::new(Model {
                name: "customers".to_owned(),
                source_name: "fake".to_owned(),
                source: Arc::new(source),
                query: "select * from customers".to_owned(),
                key: vec!["id".to_owned()],
            }),
            connection: Connection { name: "fake".to_owned(), destination: Arc::new(destination), wire },
            action: "record".to_owned(),
            choice: Choice::Mode(if self.condition { SyncMode::Upsert } else { SyncMode::Mirror }),
            condition: match self.condition {
                true => Some(Condition::parse(condition).map_err(|problems| format!("{problems:?}"))?),
                false => None,
            },
            program: Program::compile(&program).map_err(|problems| format!("{problems:?}"))?,
            fields,
            deleted_values: DeletedValues::Last,
            keep: changes::Keep::Values,
            guards: Guards { deletions_records_min: 20, ..Guards::default() },
            batching: true,
            settings: Arc::default(),
            batch_keys: Vec::new(),
            records_max: None,
            bytes_max: None,
            retry: RetrySettings { attempts_max: 3, elapsed_max: Duration::from_secs(120), ..RetrySettings::default() },
            give_up: self.give_up,
        }))
    }

    fn engine(&self) -> Engine {
        Engine::new(self.store.clone(), self.settings.clone(), self.clock.clone(), self.dice.clone(), self.fate.clone())
    }

    async fn sync(&mut self, faults: Faults, confirmed: bool) -> Result<Option<SyncReport>, String> {
        self.run(faults, Deed::Sync { confirmed }).await
    }

    /// A person decides over a held sync, at once or after the model has changed, or leaves it.
    async fn decide(&mut self, sync: SyncId) -> Result<(), String> {
        if self.dice.chance(50) {
            lock(&self.warehouse).live(&self.dice);
        }
        match self.dice.below(4) {
            0 => {
                self.fate.tell(format!("{sync} is dismissed"));
                self.fate.arm(Faults::default());
                self.engine().dismiss(sync).await.map_err(|problem| format!("dismiss: {}", problem.message))
            }
            1 | 2 => {
                let faults = self.draw();
                self.fate.tell(format!("{sync} is released: {faults:?}"));
                self.run(faults, Deed::Release(sync)).await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Does it in a new process, with these faults, and checks what must hold afterwards.
    async fn run(&mut self, faults: Faults, deed: Deed) -> Result<Option<SyncReport>, String> {
        let troubled = faults.crash_at_step.is_some() || faults.disk_full_at_step.is_some();
        let cancel = self.fate.arm(faults);
        lock(&self.truth).recent.clear();
        self.count_syncs();
        let before = lock(&self.truth).clone();
        let mapping = self.mapping()?;
        let engine = self.engine();
        let report = match deed {
            Deed::Sync { confirmed } => {
                let options = SyncOptions { confirmed, trigger: "simulation".to_owned(), ..SyncOptions::default() };
                engine.sync(&[Request::new(mapping, options, &cancel)], &Unobserved).await.pop()
            }
            Deed::Release(sync) => match engine.release(&mapping, sync, &Unobserved, &cancel).await {
                Ok(report) => Some(report),
                Err(problem) if troubled || problem.code == "mapping_edited" => {
                    self.fate.tell(format!("  not released: {}", problem.message));
                    return Ok(None);
                }
                Err(problem) => return Err(format!("release: {}", problem.message)),
            },
        };
        drop(engine);
        let report = report.ok_or("a sync has no report")?;
        let died = self.fate.is_dead();
        self.fate.tell(format!(
            "  {:?}{} {:?} {}",
            report.ending,
            if died { " (died)" } else { "" },
            report.counts,
            report.problem.as_ref().map_or(String::new(), |problem| format!("{}: {}", problem.code, problem.message)),
        ));
        self.summary.syncs += 1;
        self.summary.crashes += u64::from(died);
        self.summary.cancelled += u64::from(report.ending == Ending::Cancelled);
        self.summary.failed += u64::from(report.ending == Ending::Failed);
        self.summary.held += u64::from(report.ending == Ending::Held);
        self.summary.released += u64::from(matches!(deed, Deed::Release(_)));
        self.summary.delivered += report.counts.delivered;
        // A process that could not write down what it was told sends it again: those records are in doubt.
        let unwritten =
            |problem: &sync::Problem| problem.code != "cancelled" && !problem.code.starts_with("destination_");
        if died || report.problem.as_ref().is_some_and(unwritten) {
            let mut truth = lock(&self.truth);
            let recent = truth.recent.clone();
            truth.unanswered.extend(recent);
        }
        let truth = lock(&self.truth).clone();
        self.see_given_up(&report).await?;
        properties::after_sync(&Story {
            report: &report,
            before: &before,
            truth: &truth,
            checkpoint: self.checkpoint()?,
            mirror: !self.condition,
            claimed: &self.claimed,
        })?;
        Ok(Some(report))
    }

    /// What would be sent of a record now.
    fn now(&self, key: &str) -> String {
        let row = key.parse().ok().and_then(|id: i64| Some((id, lock(&self.warehouse).rows.get(&id)?.clone())));
        row.map_or("gone".to_owned(), |(id, row)| properties::payload(id, &row, self.edited))
    }

    fn count_syncs(&mut self) {
        let there: Vec<String> = lock(&self.warehouse).rows.keys().map(i64::to_string).collect();
        let known = self.syncs_with.keys().map(|(key, _)| key.clone());
        for key in known.chain(there).collect::<BTreeSet<String>>() {
            let now = self.now(&key);
            *self.syncs_with.entry((key, now)).or_default() += 1;
        }
    }

    /// The records that are not tried any more.
    async fn given_up(&self) -> Result<BTreeSet<String>, String> {
        let records = self.engine().given_up("customers", None, u32::MAX).await.map_err(|problem| problem.message)?;
        Ok(records.into_iter().map(|record| record.key).collect())
    }

    /// No record is given up before the mapping's policy says so, and none without one.
    async fn see_given_up(&mut self, report: &SyncReport) -> Result<(), String> {
        let Some(sync) = report.sync else { return Ok(()) };
        for key in &lock(&self.truth).recent {
            self.claimed.remove(key);
        }
        self.claimed.extend(self.given_up().await?);
        let failures = self.store.failures(sync, u32::MAX, 0).await.map_err(|error| error.to_string())?;
        for failure in failures.iter().filter(|failure| failure.given_up) {
            self.summary.given_up += 1;
            self.claimed.insert(failure.key.clone());
            let so = (failure.key.clone(), self.now(&failure.key));
            let syncs = self.syncs_with.get(&so).copied().unwrap_or(0);
            let after = self.give_up.and_then(|policy| policy.after_syncs).unwrap_or(u32::MAX);
            if syncs < after {
                return Err(format!("`{}` was given up after {syncs} of {after} syncs", failure.key));
            }
        }
        Ok(())
    }

    /// A plan says what a sync would do, and changes nothing here or there.
    async fn plan(&self) -> Result<(), String> {
        let cancel = self.fate.arm(Faults::default());
        let (calls, remembered) = (lock(&self.truth).calls, self.checkpoint()?);
        let syncs = self.store.syncs(None, u32::MAX).await.map_err(|error| error.to_string())?;
        let plans = self.engine().plan(&[self.mapping()?], &PlanOptions::default(), &Unobserved, &cancel).await;
        if let Some(Err(problem)) = plans.first() {
            return Err(format!("a plan fails: {}", problem.message));
        }
        let syncs_now = self.store.syncs(None, u32::MAX).await.map_err(|error| error.to_string())?;
        let same = calls == lock(&self.truth).calls && remembered == self.checkpoint()? && syncs == syncs_now;
        if same { Ok(()) } else { Err("a plan changed something".to_owned()) }
    }

    /// The checkpoint's records, read as a new process would.
    fn checkpoint(&self) -> Result<Remembered, String> {
        let steps = Arc::new(changes::NoSteps);
        let engine = Engine::new(
            self.store.clone(),
            self.settings.clone(),
            self.clock.clone(),
            self.dice.clone(),
            steps.clone(),
        );
        let folder = engine.checkpoint_folder("customers");
        let checkpoint = changes::Checkpoint::open(&folder, steps).map_err(|error| format!("broken: {error}"))?;
        let keys: Vec<String> = (0..2000).map(|id: i64| id.to_string()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let found = checkpoint.find_all(&keys).map_err(|error| format!("broken: {error}"))?;
        if found.len() as u64 != checkpoint.len() {
            return Err(format!("the checkpoint says {} records and has {}", checkpoint.len(), found.len()));
        }
        let columns = |kept: &changes::KeptRecord| -> Vec<(String, String)> {
            let record = kept.record();
            let column = |(index, column): (usize, &records::Column)| {
                (column.name.clone(), record.cell(index).to_value().unwrap_or_default().to_json())
            };
            record.schema.columns().iter().enumerate().map(column).collect()
        };
        let column = |kept: &changes::KeptRecord| (!kept.in_doubt).then(|| columns(kept));
        Ok(found.iter().map(|kept| (kept.key.clone(), column(kept))).collect())
    }

    fn warehouse_has(&self, key: &str) -> bool {
        key.parse().is_ok_and(|id| lock(&self.warehouse).rows.contains_key(&id))
    }

    /// A person forgets a few records, or sends a sync again.
    async fn meddle(&mut self) -> Result<(), String> {
        self.fate.arm(Faults::default());
        let engine = self.engine();
        let keys: Vec<String> = self.checkpoint()?.into_keys().take(3).collect();
        if self.dice.chance(50) && !keys.is_empty() {
            self.fate.tell(format!("reset of {keys:?}"));
            match engine.reset("customers", &keys, &Unobserved).await {
                Ok(_) => {}
                // Its deletion was delivered by a sync that was cut off, and is now known.
                Err(problem) if problem.code == "key_unknown" => return Ok(()),
                Err(problem) => return Err(problem.message),
            }
            let kept = self.checkpoint()?;
            return match keys.iter().find(|key| kept.contains_key(*key)) {
                Some(key) => Err(format!("`{key}` was forgotten and is still there")),
                None => {
                    // Whoever forgets a record forgets to delete it, too.
                    self.forgotten.extend(keys.iter().cloned());
                    lock(&self.truth).unanswered.extend(keys);
                    Ok(())
                }
            };
        }
        if self.dice.chance(30) {
            return self.retry_given_up().await;
        }
        let last = self.store.last_sync("customers").await.map_err(|error| error.to_string())?;
        if let Some(row) = last.filter(|row| row.state != store::SyncState::Held) {
            self.fate.tell(format!("replay of {}", row.id));
            self.count_syncs();
            // What is sent again may differ from what the destination holds until it is delivered.
            let request = Request::new(self.mapping()?, SyncOptions::default(), &CancellationToken::new());
            let replayed = engine.replay(&request, row.id, self.dice.chance(50), &Unobserved).await;
            match replayed {
                Ok(report) => self.see_given_up(&report).await?,
                Err(problem) if problem.code == "change_set_gone" => {}
                Err(problem) => return Err(format!("replay: {}", problem.message)),
            }
        }
        Ok(())
    }

    /// A person has records tried again that were given up.
    async fn retry_given_up(&mut self) -> Result<(), String> {
        let given_up = self.given_up().await?;
        self.fate.tell(format!("{given_up:?} are tried again"));
        self.count_syncs();
        let request = Request::new(self.mapping()?, SyncOptions::default(), &CancellationToken::new());
        let report = self.engine().retry_given_up(&request, &[], &Unobserved).await;
        let report = report.map_err(|problem| format!("retry: {}", problem.message))?;
        self.see_given_up(&report).await
    }

    /// The faults are over: a few syncs must bring the destination level with the model.
    async fn settle(&mut self) -> Result<(), String> {
        lock(&self.warehouse).heal();
        if self.give_up.is_some() {
            self.fate.arm(Faults::default());
            self.retry_given_up().await?;
        }
        for round in 0..3 {
            self.fate.tell(format!("settling {round}"));
            let report = self.sync(Faults::default(), true).await?.ok_or("a sync has no report")?;
            if let Some(problem) = &report.problem {
                return Err(format!("without faults a sync fails: {}", problem.message));
            }
        }
        let report = self.sync(Faults::default(), false).await?.ok_or("a sync has no report")?;
        let mut truth = lock(&self.truth).clone();
        truth.records.retain(|key, _| !self.forgotten.contains(key) || self.warehouse_has(key));
        self.summary.collected += truth.collected;
        self.summary.taken_again += truth.taken.values().map(|times| times - 1).sum::<u64>();
        let given_up = self.given_up().await?;
        let sides = (&truth, &*lock(&self.warehouse));
        properties::at_the_end(&report, sides, &given_up, self.condition, self.edited)
    }
}
