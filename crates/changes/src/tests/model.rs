//! Random edits, duplicates, null keys, partial commits and changes of tracking, against a naive model in memory.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::RecordBatch;
use records::{Kind, Operation, RecordView, Schema, cell};

use super::{Dice, Run, batch, open, schema};
use crate::{Bits, Checkpoint, Compared, Keep, Limits, Tracking};

type Row = Vec<Option<u8>>;

/// A delivered record: its kept values by column, and whether it must be found updated whatever they are.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    values: BTreeMap<String, Option<u8>>,
    /// The used columns' values that its fingerprint was taken of.
    printed: BTreeMap<String, Option<u8>>,
    dirty: bool,
}

struct World {
    schema: Schema,
    key: Vec<String>,
    /// The model's result: key numbers to rows. Duplicates and null keys come on top.
    rows: BTreeMap<(u8, u8), Row>,
    held: BTreeMap<String, Held>,
    tracking: Option<Tracking>,
}

impl World {
    fn new(dice: &mut Dice) -> Self {
        let key_kind = dice.one_of(&[Kind::Int, Kind::Text, Kind::Date]);
        let mut columns = vec![("k", key_kind), ("l", dice.one_of(&[Kind::Text, Kind::Int]))];
        for name in ["a", "b", "c", "d"] {
            columns.push((name, dice.one_of(&Kind::ALL)));
        }
        let key = if dice.chance(50) { vec!["k".to_owned()] } else { vec!["l".to_owned(), "k".to_owned()] };
        Self { schema: schema(&columns), key, rows: BTreeMap::new(), held: BTreeMap::new(), tracking: None }
    }

    fn edit(&mut self, dice: &mut Dice, keys: u64) {
        for number in 0..keys {
            let id = match self.key.len() {
                1 => (number as u8, 0),
                _ => ((number % 16) as u8, (number / 16) as u8),
            };
            match self.rows.get_mut(&id) {
                Some(_) if dice.chance(10) => drop(self.rows.remove(&id)),
                Some(row) if dice.chance(20) => row[2 + dice.below(4) as usize] = random_cell(dice),
                None if dice.chance(40) => {
                    let mut row = vec![Some(id.0), Some(id.1)];
                    row.extend((0..4).map(|_| random_cell(dice)));
                    self.rows.insert(id, row);
                }
                _ => {}
            }
        }
    }

    /// What counts as this column's value; booleans have but two.
    fn value(&self, column: &str, row: &Row) -> Option<u8> {
        let index = self.schema.index_of(column).unwrap();
        let bool = self.schema.columns()[index].kind == Kind::Bool;
        row[index].map(|value| if bool { value % 2 } else { value })
    }

    fn text(&self, row: &Row) -> String {
        let key = records::KeyColumns::find(&self.schema, &self.key).unwrap();
        let mut plain = row.clone();
        plain.resize(self.schema.columns().len(), None);
        key.text(&batch(&self.schema, &[plain]), 0)
    }

    fn kept(&self, tracking: &Tracking) -> BTreeSet<String> {
        let used = if tracking.keep == Keep::Values { &tracking.used[..] } else { &[] };
        self.key.iter().chain(used).cloned().collect()
    }
}

fn random_cell(dice: &mut Dice) -> Option<u8> {
    if dice.chance(15) { None } else { Some(dice.below(5) as u8) }
}

fn view_value(record: RecordView<'_>, column: &str) -> Option<Vec<u8>> {
    record.schema.index_of(column).map(|index| {
        let mut bytes = Vec::new();
        records::canonical_bytes(record.cell(index), &mut bytes);
        bytes
    })
}

fn bytes_of(schema: &Schema, column: &str, value: Option<u8>) -> Vec<u8> {
    let kind = schema.get(column).unwrap().kind;
    let mut bytes = Vec::new();
    records::canonical_bytes(cell(super::array(kind, &[value]).as_ref(), kind, 0), &mut bytes);
    bytes
}

/// One round: edit, compare, check against the model, commit a part, check the checkpoint.
fn round(
    world: &mut World,
    dice: &mut Dice,
    dir: &std::path::Path,
    number: u64,
    checkpoint: &Checkpoint,
) -> Checkpoint {
    let keys = dice.one_of(&[0, 3, 40, 200]);
    world.edit(dice, keys);
    let old = world.tracking.clone();
    let tracking = match &old {
        Some(old) if dice.chance(75) => old.clone(),
        _ => {
            let keep = if dice.chance(80) { Keep::Values } else { Keep::Keys };
            let used = world.schema.columns().iter().map(|column| column.name.clone()).filter(|_| dice.chance(60));
            Tracking { key: world.key.clone(), used: used.collect(), keep: old.as_ref().map_or(keep, |old| old.keep) }
        }
    };

    // The result: all rows in some order, some of them twice, some without a key.
    let mut rows: Vec<Row> = world.rows.values().cloned().collect();
    let mut duplicates = BTreeMap::new();
    for row in world.rows.values() {
        if dice.chance(3) {
            let times = 1 + dice.below(3);
            for _ in 0..times {
                let mut again = row.clone();
                if dice.chance(50) {
                    again[3] = random_cell(dice);
                }
                rows.push(again);
            }
            duplicates.insert(world.text(row), times + 1);
        }
    }
    let nulls = if dice.chance(30) { dice.below(4) } else { 0 };
    for _ in 0..nulls {
        let mut row: Row = (0..6).map(|_| random_cell(dice)).collect();
        row[0] = None;
        rows.push(row);
    }
    for at in (1..rows.len()).rev() {
        rows.swap(at, dice.below(at as u64 + 1) as usize);
    }
    let batches: Vec<RecordBatch> =
        rows.chunks(1 + dice.below(100) as usize).map(|rows| batch(&world.schema, rows)).collect();

    let mut run = Run::new(dir, number);
    run.limits = Limits { memory_bytes: dice.one_of(&[0, 200, 2_000, 30_000, 64 << 20]), disk_bytes: 1 << 30 };
    run.chunk_rows = dice.one_of(&[1, 7, 4096]);
    let compared = run.compare(checkpoint, &tracking, &world.schema, &batches).unwrap();
    let expected = check(world, &tracking, &compared, &rows, &duplicates, nulls);

    // Some of the changes are delivered.
    let share = dice.one_of(&[0, 50, 100, 100]);
    let committed: Bits = (0..compared.change_set.len()).filter(|_| dice.chance(share)).collect();
    let after = checkpoint.commit(&compared.change_set, &committed).unwrap();
    if after.generation() > checkpoint.generation() {
        let again = after.commit(&compared.change_set, &Bits::below(compared.change_set.len())).unwrap();
        assert_eq!(again.generation(), after.generation(), "a second commit of one sync changes nothing");
        take_tracking(world, old.as_ref(), &tracking);
    }
    for chunk in compared.change_set.chunks(0).unwrap() {
        let chunk = chunk.unwrap();
        for row in (0..chunk.len()).filter(|row| committed.contains(chunk.index(*row))) {
            match expected[chunk.key(row)].clone() {
                (Operation::Deleted, _) => drop(world.held.remove(chunk.key(row))),
                (_, row_now) => {
                    let now = |columns: Vec<String>| -> BTreeMap<_, _> {
                        columns.into_iter().map(|column| (column.clone(), world.value(&column, &row_now))).collect()
                    };
                    let values = now(world.kept(&tracking).into_iter().collect());
                    let printed = now(tracking.used.clone());
                    world.held.insert(chunk.key(row).to_owned(), Held { values, printed, dirty: false });
                }
            }
        }
    }
    let reopened = open(dir);
    assert_eq!(reopened.len(), world.held.len() as u64);
    assert_eq!(reopened.generation(), after.generation());
    let keys: Vec<&str> = world.held.keys().map(String::as_str).collect();
    let kept = reopened.find_all(&keys).unwrap();
    let kept: BTreeMap<&str, _> = kept.iter().map(|record| (record.key.as_str(), record)).collect();
    for (key, held) in &world.held {
        let found = kept[key.as_str()];
        for (column, value) in &held.values {
            assert_eq!(
                view_value(found.record(), column),
                Some(bytes_of(&world.schema, column, *value)),
                "{key} {column}"
            );
        }
    }
    reopened
}

/// What a commit under another tracking does to the records it does not touch.
fn take_tracking(world: &mut World, old: Option<&Tracking>, now: &Tracking) {
    if let Some(old) = old.filter(|old| old.used != now.used || old.keep != now.keep) {
        let (before, kept) = (world.kept(old), world.kept(now));
        let lacks = now.used.iter().any(|column| !before.contains(column)) || old.keep == Keep::Keys;
        for held in world.held.values_mut() {
            held.dirty |= old.used != now.used && lacks;
            held.values.retain(|column, _| kept.contains(column));
            for column in &kept {
                held.values.entry(column.clone()).or_insert(None);
            }
            if old.used != now.used {
                held.printed = held.values.clone();
            }
        }
    }
    world.tracking = Some(now.clone());
}

/// Compares a result with what the model says; gives each changed key its operation and row.
fn check(
    world: &World,
    tracking: &Tracking,
    compared: &Compared,
    rows: &[Row],
    duplicates: &BTreeMap<String, u64>,
    nulls: u64,
) -> BTreeMap<String, (Operation, Row)> {
    let old = world.tracking.as_ref();
    let retracked = old.is_some_and(|old| old.used != tracking.used);
    let mut expected = BTreeMap::new();
    let mut unchanged = 0;
    let mut present = BTreeSet::new();
    for row in world.rows.values() {
        let key = world.text(row);
        present.insert(key.clone());
        if duplicates.contains_key(&key) {
            continue;
        }
        let same = |held: &Held| {
            let unknown = retracked && old.is_some_and(|old| old.keep == Keep::Keys);
            let known = if retracked { &held.values } else { &held.printed };
            let equal = |column: &String| known.get(column) == Some(&world.value(column, row));
            !held.dirty && !unknown && tracking.used.iter().all(equal)
        };
        match world.held.get(&key) {
            None => drop(expected.insert(key, (Operation::Added, row.clone()))),
            Some(held) if same(held) => unchanged += 1,
            Some(_) => drop(expected.insert(key, (Operation::Updated, row.clone()))),
        }
    }
    for key in world.held.keys().filter(|key| !present.contains(*key)) {
        expected.insert(key.clone(), (Operation::Deleted, Vec::new()));
    }

    let counts = compared.counts;
    let count = |operation| expected.values().filter(|change| change.0 == operation).count() as u64;
    assert_eq!(counts.extracted, rows.len() as u64);
    assert_eq!(counts.null_key, nulls);
    assert_eq!(counts.duplicate_key, duplicates.values().sum::<u64>());
    assert_eq!(counts.unchanged, unchanged);
    assert_eq!(
        [counts.added, counts.updated, counts.deleted],
        [count(Operation::Added), count(Operation::Updated), count(Operation::Deleted)]
    );
    assert_eq!(compared.unusable.rows, counts.unusable_key());
    assert_eq!(compared.unusable.listed, counts.unusable_key());
    assert_eq!(compared.tracking_changed.is_some(), retracked && !world.held.is_empty());

    let mut seen = BTreeSet::new();
    let mut last = None;
    for chunk in compared.change_set.chunks(0).unwrap() {
        let chunk = chunk.unwrap();
        for at in 0..chunk.len() {
            let view = chunk.view(at);
            let (operation, row) = &expected[view.key];
            assert_eq!(view.operation, *operation, "{}", view.key);
            assert!(seen.insert(view.key.to_owned()), "each key once");
            assert!(last.replace(chunk.key_hash(at)) < Some(chunk.key_hash(at)), "in the order of the hashes");
            if let Some(new) = view.new {
                for column in world.key.iter().chain(&tracking.used) {
                    let value = world.value(column, row);
                    assert_eq!(view_value(new, column), Some(bytes_of(&world.schema, column, value)));
                }
            }
            assert_eq!(view.new.is_none(), *operation == Operation::Deleted);
            let known = old.is_some_and(|old| old.keep == Keep::Values) || *operation == Operation::Deleted;
            assert_eq!(view.previous.is_some(), known && *operation != Operation::Added);
            if let Some(previous) = view.previous {
                for (column, value) in &world.held[view.key].values {
                    assert_eq!(view_value(previous, column), Some(bytes_of(&world.schema, column, *value)));
                }
            }
        }
    }
    assert_eq!(seen.len(), expected.len());
    expected
}

fn play(seed: u64) {
    let mut dice = Dice::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(&mut dice);
    let mut checkpoint = open(dir.path());
    for number in 0..dice.one_of(&[3, 6, 14]) {
        checkpoint = round(&mut world, &mut dice, dir.path(), number, &checkpoint);
    }
    checkpoint.verify().unwrap();
}

#[test]
fn applying_changes_to_the_checkpoint_gives_what_the_model_says() {
    for seed in 0..40 {
        let played = std::panic::catch_unwind(|| play(seed));
        assert!(played.is_ok(), "seed {seed}");
    }
}
