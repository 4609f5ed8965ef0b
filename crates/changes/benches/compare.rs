//! How fast comparing is: rows a second, as JSON lines. `cargo bench -p changes -- [ROWS]`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::{path::Path, sync::Arc, time::Instant};

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use changes::{Bits, Checkpoint, Compared, Comparison, Hashed, Hasher, Keep, Limits, Meta, NoSteps, Tracking};
use records::{Column, Kind, Schema};

const BATCH: i64 = 8192;
const COLUMNS: [(&str, Kind); 12] = [
    ("id", Kind::Int),
    ("email", Kind::Text),
    ("name", Kind::Text),
    ("city", Kind::Text),
    ("active", Kind::Bool),
    ("orders", Kind::Int),
    ("spent", Kind::Decimal),
    ("score", Kind::Float),
    ("born", Kind::Date),
    ("created", Kind::TimestampTz),
    ("updated", Kind::TimestampTz),
    ("note", Kind::Text),
];

/// What is done with each batch and its hashes.
type Take<'a> = Box<dyn FnMut(&RecordBatch, &Hashed) + 'a>;

fn batch(schema: &Schema, first: i64, changed: i64) -> RecordBatch {
    let ids: Vec<i64> = (first..first + BATCH).collect();
    let text = |of: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(ids.iter().map(|id| Some(of(*id))).collect::<StringArray>())
    };
    let int =
        |of: &dyn Fn(i64) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| of(*id)))) };
    let instant = |by: i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(ids.iter().map(|id| id * by)).with_timezone("UTC"))
    };
    let columns = vec![
        int(&|id| id),
        text(&|id| format!("person.{id}@example.com")),
        text(&|id| format!("Person Number {}", id % 9973)),
        text(&|id| format!("City {}", id % 100)),
        Arc::new(ids.iter().map(|id| Some(id % 3 == 0)).collect::<BooleanArray>()),
        int(&|id| id % 50 + i64::from(changed > 0 && id % changed == 0)),
        text(&|id| format!("{}.{:02}", id % 10_000, id % 100)),
        Arc::new(Float64Array::from_iter_values(ids.iter().map(|id| *id as f64 / 7.0))),
        Arc::new(Date32Array::from_iter_values(ids.iter().map(|id| (*id % 20_000) as i32))),
        instant(1_000_003),
        instant(2_000_003),
        text(&|id| format!("a note on {} of some length", id % 1000)),
    ];
    RecordBatch::try_new(schema.to_arrow(), columns).unwrap()
}

fn finish(comparison: Comparison, dir: &Path, number: u32) -> Compared {
    let sync = format!("sync_{number:032x}").parse().unwrap();
    let meta = Meta { mapping: "bench".to_owned(), sync, timestamp: String::new() };
    comparison.finish(&dir.join(format!("changes-{number}.arrow")), &meta).unwrap()
}

fn main() {
    let rows = std::env::args().filter_map(|word| word.parse::<i64>().ok()).next().unwrap_or(1_000_000);
    let schema = Schema::new(COLUMNS.iter().map(|(name, kind)| Column::new(*name, *kind)).collect()).unwrap();
    let used: Vec<String> = COLUMNS[1..].iter().map(|(name, _)| (*name).to_owned()).collect();
    let tracking = Tracking { key: vec!["id".to_owned()], used: used.clone(), keep: Keep::Values };
    let hasher = Hasher::new(&schema, &tracking.key, &used).unwrap();
    let batches = rows / BATCH;
    let rows = batches * BATCH;
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { memory_bytes: 512 << 20, disk_bytes: u64::MAX };
    let begin = |checkpoint: &Checkpoint, number: usize| {
        let scratch = dir.path().join(format!("scratch-{number}"));
        Comparison::begin(checkpoint, &tracking, &schema, &scratch, limits, Arc::new(NoSteps)).unwrap()
    };
    let tell = |what: &str, mappings: usize, since: Instant| {
        let seconds = since.elapsed().as_secs_f64();
        let nanos = seconds * 1e9 / rows as f64;
        println!(
            r#"{{"what":"{what}","mappings":{mappings},"rows":{rows},"seconds":{seconds:.3},"rows_per_second":{:.0},"nanoseconds_per_row":{nanos:.0}}}"#,
            rows as f64 / seconds
        );
    };

    // The rows are made before the clock starts, a part at a time.
    let run = |changed: i64, mut take: Take<'_>| {
        let (mut hashing, mut taking) = (0.0, 0.0);
        for number in 0..batches {
            let batch = batch(&schema, number * BATCH, changed);
            let start = Instant::now();
            let hashed = hasher.hash(&batch).unwrap();
            hashing += start.elapsed().as_secs_f64();
            let start = Instant::now();
            take(&batch, &hashed);
            taking += start.elapsed().as_secs_f64();
        }
        println!(
            r#"{{"what":"  of which","hash_nanoseconds_per_row":{:.0},"push_nanoseconds_per_row":{:.0}}}"#,
            hashing * 1e9 / rows as f64,
            taking * 1e9 / rows as f64
        );
    };

    let empty = Checkpoint::open(&dir.path().join("checkpoint"), Arc::new(NoSteps)).unwrap();
    let mut comparison = begin(&empty, 0);
    run(0, Box::new(|batch, hashed| comparison.push(batch, hashed).unwrap()));
    let start = Instant::now();
    let first = finish(comparison, dir.path(), 0);
    tell("first sync, finish", 1, start);
    let start = Instant::now();
    let checkpoint = empty.commit(&first.change_set, &Bits::below(first.change_set.len())).unwrap();
    tell("first sync, commit", 1, start);

    for (what, changed) in [("no change", 0), ("1 % changed", 100)] {
        for mappings in [1, 10] {
            let start = Instant::now();
            let mut comparisons: Vec<Comparison> = (0..mappings).map(|number| begin(&checkpoint, number)).collect();
            tell(&format!("{what}, begin"), mappings, start);
            run(
                changed,
                Box::new(|batch, hashed| comparisons.iter_mut().for_each(|one| one.push(batch, hashed).unwrap())),
            );
            let start = Instant::now();
            let done: Vec<Compared> = comparisons.drain(..).map(|one| finish(one, dir.path(), 1)).collect();
            tell(&format!("{what}, finish"), mappings, start);
            if mappings == 1 && changed > 0 {
                let start = Instant::now();
                let set = &done[0].change_set;
                checkpoint.commit(set, &Bits::below(set.len())).unwrap();
                tell("1 % changed, commit", 1, start);
                // The next run compares with what was there before.
                break;
            }
        }
    }
}
