//! The file destination in a real folder.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use kit::testing::{TestClock, batch, load_all, load_plan, payload};
use kit::{Destination, Fate, LoadPlan, LoadStop, Payload, Wire, preview_requests};
use mapping::SyncMode;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

fn connect(folder: &Path, options: &Value) -> Arc<dyn Destination> {
    destinations::connect("file", &json!({ "folder": folder }), options).unwrap()
}

fn plan(destination: Arc<dyn Destination>, sync: &str) -> LoadPlan {
    let wire = Wire::detached(destination.facts().limits, TestClock::new());
    LoadPlan { sync: sync.to_owned(), ..load_plan(destination, wire, "write", SyncMode::Mirror) }
}

fn payloads(rows: &[Value]) -> Vec<Payload> {
    rows.iter().enumerate().map(|(index, row)| payload(index as u64, json!({ "record": row }).into())).collect()
}

async fn write(folder: &Path, options: Value, rows: &[Value]) -> (Vec<Fate>, Result<(), LoadStop>) {
    load_all(&plan(connect(folder, &options), "sync_1"), payloads(rows)).await
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn rows() -> Vec<Value> {
    vec![
        json!({ "id": 1, "name": "Ada, \"Countess\"", "tags": ["a", "b"] }),
        json!({ "id": 2, "name": "two\r\nlines", "score": 1.5 }),
        json!({ "id": 3, "name": "", "score": 2, "active": true }),
        json!({ "id": 4, "name": null, "address": { "city": "Ghent" } }),
    ]
}

#[tokio::test]
async fn json_lines_hold_one_record_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let (fates, result) = write(folder.path(), Value::Null, &rows()).await;
    assert_eq!(result, Ok(()));
    assert!(fates.len() == 4 && fates.iter().all(|fate| fate.outcome.is_delivered()));
    assert_eq!(names(folder.path()), ["sync_1.jsonl"]);
    let text = fs::read_to_string(folder.path().join("sync_1.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, rows());
}

#[tokio::test]
async fn csv_is_quoted_as_rfc_4180_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_, result) = write(folder.path(), json!({ "format": "csv", "name": "people-{date}.csv" }), &rows()).await;
    assert_eq!(result, Ok(()));
    assert_eq!(names(folder.path()), ["people-2026-01-01.csv"]);
    assert_eq!(
        fs::read_to_string(folder.path().join("people-2026-01-01.csv")).unwrap(),
        "id,name,tags,score,active,address\r\n\
         1,\"Ada, \"\"Countess\"\"\",\"[\"\"a\"\",\"\"b\"\"]\",,,\r\n\
         2,\"two\r\nlines\",,1.5,,\r\n\
         3,\"\",,2,true,\r\n\
         4,,,,,\"{\"\"city\"\":\"\"Ghent\"\"}\"\r\n"
    );
}

#[tokio::test]
async fn csv_keeps_declared_columns_and_exact_decimals() {
    let folder = tempfile::tempdir().unwrap();
    let options = json!({ "format": "csv", "columns": ["price", "id", "none"], "header": false, "delimiter": ";" });
    let mut record = records::Object::new();
    record.insert("id", 1_i64.into());
    record.insert("price", records::Value::Decimal("12345678901234567890.10".into()));
    let mut fields = records::Object::new();
    fields.insert("record", record.into());
    let plan = plan(connect(folder.path(), &options), "sync_1");
    let (_, result) = load_all(&plan, vec![payload(0, fields.into())]).await;
    assert_eq!(result, Ok(()));
    assert_eq!(fs::read_to_string(folder.path().join("sync_1.csv")).unwrap(), "12345678901234567890.10;1;\r\n");
}

#[tokio::test]
async fn parquet_has_the_type_that_holds_all_values() {
    let folder = tempfile::tempdir().unwrap();
    let (_, result) = write(folder.path(), json!({ "format": "parquet" }), &rows()).await;
    assert_eq!(result, Ok(()));
    let file = fs::File::open(folder.path().join("sync_1.parquet")).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let types: Vec<_> =
        builder.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    assert_eq!(types, ["id Int64", "name Utf8", "tags Utf8", "score Float64", "active Boolean", "address Utf8"]);
    let count: usize = builder.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(count, 4);
    assert_eq!(names(folder.path()), ["sync_1.parquet"]);
}

#[tokio::test]
async fn many_batches_make_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..12_000).map(|id| json!({ "id": id })).collect();
    let (fates, result) = write(folder.path(), Value::Null, &rows).await;
    assert_eq!((fates.len(), result), (12_000, Ok(())));
    let text = fs::read_to_string(folder.path().join("sync_1.jsonl")).unwrap();
    assert!(text.lines().enumerate().all(|(index, line)| line == format!("{{\"id\":{index}}}")));
}

#[tokio::test]
async fn nothing_is_seen_before_the_end_and_leftovers_of_killed_runs_go() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".outflow-sync_0.part"), "half a li").unwrap();
    fs::write(folder.path().join("mine.txt"), "kept").unwrap();
    let destination = connect(folder.path(), &Value::Null);
    let plan = plan(Arc::clone(&destination), "sync_1");
    let batch = batch("write", SyncMode::Mirror, payloads(&[json!({ "id": 1 })]));
    destination.deliver(&batch, &plan.wire).await.unwrap();
    assert_eq!(names(folder.path()), [".outflow-sync_1.part", "mine.txt"]);
    // Another sync beside it leaves the one under way alone.
    let (_, other) = write(folder.path(), json!({ "name": "other.jsonl" }), &[json!({ "id": 2 })]).await;
    assert!(matches!(other, Err(LoadStop::Settings { .. })), "the same sync twice: {other:?}");
    destination.abandon("write", "sync_1").await;
    assert_eq!(names(folder.path()), ["mine.txt"]);
}

#[tokio::test]
async fn a_preview_shows_the_lines_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let destination = connect(folder.path(), &json!({ "format": "csv" }));
    let plan = plan(Arc::clone(&destination), "sync_1");
    let records = payloads(&[json!({ "id": 1, "name": "Ada" })]);
    let batch = batch("write", SyncMode::Mirror, records);
    let shown = preview_requests(destination.as_ref(), &plan.wire, &batch).await.unwrap();
    assert_eq!(shown[0].request_body, "id,name\r\n1,Ada\r\n");
    assert!(shown[0].url.ends_with("sync_1.csv"));
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_stops_the_sync_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let (fates, result) = write(&file.join("below"), Value::Null, &rows()).await;
    let Err(LoadStop::Settings { message }) = result else { panic!("{result:?}") };
    assert!(message.contains("file/below` cannot be made"), "{message}");
    assert!(fates.is_empty());
}

#[test]
fn wrong_options_name_the_field_and_what_is_right() {
    let problems =
        |options: Value| destinations::connect("file", &json!({ "folder": "/x" }), &options).unwrap_err().to_string();
    assert_eq!(
        problems(json!({ "format": "xls" })),
        "`options.format`: must be one of `jsonl`, `csv`, `parquet`, not `xls`"
    );
    assert!(problems(json!({ "name": "../x" })).starts_with("`options.name`: must be the name of a file"));
    assert!(problems(json!({ "name": "{what}" })).contains("no other `{…}`"));
    let missing = destinations::connect("file", &json!({}), &Value::Null).unwrap_err().to_string();
    assert!(missing.starts_with("`folder`: is required"), "{missing}");
}
