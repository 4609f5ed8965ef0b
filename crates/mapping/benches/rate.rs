//! How many records a second one core maps: 15 columns to 10 fields, from an Arrow batch to a payload and to JSON text.
//! Prints one JSON line. `benches/mapping-original.mjs` does the same with the original.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark program")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use mapping::{DeletedValues, Event, Program};
use records::{ChangeView, Column, Kind, Operation, RecordView, Schema, Value};

/// The program's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MAPPING: &str = include_str!("../../../benches/mapping.json");
const ROWS: usize = 4096;

fn batch() -> (Schema, RecordBatch) {
    let text =
        |make: &dyn Fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..ROWS).map(make))) };
    let columns: Vec<(&str, Kind, ArrayRef)> = vec![
        ("id", Kind::Int, Arc::new(Int64Array::from_iter_values((0..ROWS as i64).map(|row| row + 1)))),
        ("email", Kind::Text, text(&|row| format!("person{row}@example.com"))),
        ("first_name", Kind::Text, text(&|row| format!("First{row}"))),
        ("last_name", Kind::Text, text(&|row| format!("Last{row}"))),
        ("phone", Kind::Text, text(&|row| format!("+1415555{:04}", row % 10_000))),
        ("plan", Kind::Text, text(&|row| ["free", "pro", "team"][row % 3].to_owned())),
        ("country", Kind::Text, text(&|row| ["DE", "FR", "US", "GB"][row % 4].to_owned())),
        ("city", Kind::Text, text(&|row| ["Berlin", "Paris", "Boston", "Leeds"][row % 4].to_owned())),
        ("postcode", Kind::Text, text(&|row| format!("{:05}", row))),
        ("seats", Kind::Int, Arc::new(Int64Array::from_iter_values((0..ROWS as i64).map(|row| row % 50)))),
        ("revenue", Kind::Float, Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| row as f64 * 1.25)))),
        ("active", Kind::Bool, Arc::new(BooleanArray::from((0..ROWS).map(|row| row % 2 == 0).collect::<Vec<_>>()))),
        (
            "signed_up",
            Kind::TimestampTz,
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    (0..ROWS as i64).map(|row| 1_709_212_455_016_000 + row * 1_000_000),
                )
                .with_timezone("UTC"),
            ),
        ),
        (
            "nickname",
            Kind::Text,
            Arc::new((0..ROWS).map(|row| (row % 2 == 0).then(|| format!("nick{row}"))).collect::<StringArray>()),
        ),
        ("notes", Kind::Text, text(&|row| format!("some words about person {row}"))),
    ];
    let schema = Schema::new(columns.iter().map(|(name, kind, _)| Column::new(*name, *kind)).collect()).unwrap();
    let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
    let batch = RecordBatch::try_new(schema.to_arrow(), arrays).unwrap();
    (schema, batch)
}

/// Records a second, the best of several rounds.
fn rate(mut work: impl FnMut(usize)) -> f64 {
    let mut best = f64::MAX;
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let start = Instant::now();
        (0..ROWS).for_each(&mut work);
        best = best.min(start.elapsed().as_secs_f64());
    }
    ROWS as f64 / best
}

fn main() {
    let (schema, batch) = batch();
    let program = Program::compile(&Value::parse(MAPPING).unwrap()).unwrap();
    let keys: Vec<String> = (0..ROWS).map(|row| (row + 1).to_string()).collect();
    let view = |row: usize| ChangeView {
        operation: Operation::Added,
        key: &keys[row],
        new: Some(RecordView { schema: &schema, batch: &batch, row }),
        previous: None,
        message_id: "0b0f4c1e-5d0a-5b9a-9c07-2f6ad3e0c001",
        timestamp: "2024-06-01T00:00:00.000Z",
    };
    let mut bytes = 0;
    let payload = rate(|row| {
        let value = program.evaluate(&Event::of_change(&view(row), DeletedValues::Last)).unwrap();
        bytes += usize::from(value.is_some());
        std::hint::black_box(value);
    });
    let mut json = String::new();
    let text = rate(|row| {
        json.clear();
        program.write_json(&Event::of_change(&view(row), DeletedValues::Last), &mut json).unwrap();
        std::hint::black_box(&json);
    });
    println!(
        r#"{{"bench":"mapping","fields":10,"columns":15,"payload_records_per_second":{payload:.0},"json_records_per_second":{text:.0},"last":{json}}}"#
    );
}
