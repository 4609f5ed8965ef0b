//! Mappings over changes of records: what a mapping sees of columns, deletions and previous values.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use mapping::{Columns, Condition, DeletedValues, EvaluationError, Event, Program, SyncMode};
use records::{ChangeView, Column, Kind, Operation, RecordView, Schema, Value};

struct Table {
    schema: Schema,
    batch: RecordBatch,
}

impl Table {
    fn new(columns: Vec<(&str, Kind, ArrayRef)>) -> Self {
        let schema = Schema::new(columns.iter().map(|(name, kind, _)| Column::new(*name, *kind)).collect()).unwrap();
        let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
        let batch = RecordBatch::try_new(schema.to_arrow(), arrays).unwrap();
        Self { schema, batch }
    }

    fn row(&self, row: usize) -> RecordView<'_> {
        RecordView { schema: &self.schema, batch: &self.batch, row }
    }
}

/// Row 0 is as it was, row 1 as it is.
fn people() -> Table {
    Table::new(vec![
        ("id", Kind::Int, Arc::new(Int64Array::from(vec![9_007_199_254_740_993, 9_007_199_254_740_993]))),
        ("plan", Kind::Text, Arc::new(StringArray::from(vec!["free", "pro"]))),
        ("price", Kind::Decimal, Arc::new(StringArray::from(vec!["12.30", "12.3"]))),
        ("score", Kind::Float, Arc::new(Float64Array::from(vec![Some(1.5), None]))),
        ("active", Kind::Bool, Arc::new(BooleanArray::from(vec![true, false]))),
        ("born", Kind::Date, Arc::new(Date32Array::from(vec![0, 0]))),
        (
            "seen",
            Kind::TimestampTz,
            Arc::new(
                TimestampMicrosecondArray::from(vec![1_709_212_455_016_000, 1_709_212_455_016_001])
                    .with_timezone("UTC"),
            ),
        ),
        ("tags", Kind::Json, Arc::new(StringArray::from(vec![r#"{"a":[1,2]}"#, r#"{"a":[3]}"#]))),
        ("raw", Kind::Binary, Arc::new(BinaryArray::from(vec![&b"abc"[..], &b"\xff\x00"[..]]))),
    ])
}

fn change<'a>(operation: Operation, new: Option<RecordView<'a>>, previous: Option<RecordView<'a>>) -> ChangeView<'a> {
    ChangeView { operation, key: "k1", new, previous, message_id: "m1", timestamp: "2024-06-01T00:00:00.000Z" }
}

fn map(mapping: &str, view: &ChangeView<'_>, deleted: DeletedValues) -> Result<String, EvaluationError> {
    let program = Program::compile(&Value::parse(mapping).unwrap()).unwrap();
    let event = Event::of_change(view, deleted);
    let mut json = String::new();
    program.write_json(&event, &mut json)?;
    let value = program.evaluate(&event)?.unwrap();
    assert_eq!(Value::parse(&json).unwrap(), Value::parse(&value.to_json()).unwrap());
    Ok(json)
}

const ALL: &str = r#"{"all":{"@path":"$.properties"}}"#;

#[test]
fn columns_of_every_kind_come_as_json_shows_them() {
    let table = people();
    let view = change(Operation::Added, Some(table.row(1)), None);
    assert_eq!(
        map(ALL, &view, DeletedValues::Last).unwrap(),
        r#"{"all":{"id":9007199254740993,"plan":"pro","price":12.3,"score":null,"active":false,"born":"1970-01-01","seen":"2024-02-29T13:14:15.016001Z","tags":{"a":[3]},"raw":"/wA="}}"#
    );
    let paths = r#"{"n":{"@path":"$.properties.tags.a[0]"},"t":{"@template":"{{properties.id}}/{{properties.price}}/{{properties.seen}}"}}"#;
    assert_eq!(
        map(paths, &view, DeletedValues::Last).unwrap(),
        r#"{"n":3,"t":"9007199254740993/12.3/2024-02-29T13:14:15.016001Z"}"#
    );
}

#[test]
fn the_event_has_segments_keys() {
    let table = people();
    let view = change(Operation::Updated, Some(table.row(1)), Some(table.row(0)));
    let keys =
        r#"{"a":{"@template":"{{type}} {{event}} {{__segment_id}} {{messageId}} {{timestamp}} {{receivedAt}}"}}"#;
    assert_eq!(
        map(keys, &view, DeletedValues::Last).unwrap(),
        r#"{"a":"track updated k1 m1 2024-06-01T00:00:00.000Z 2024-06-01T00:00:00.000Z"}"#
    );
    let whole = map(r#"{"@path":"$."}"#, &view, DeletedValues::Last).unwrap();
    let whole = Value::parse(&whole).unwrap();
    let keys: Vec<&str> = whole.as_object().unwrap().iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["type", "event", "messageId", "__segment_id", "timestamp", "receivedAt", "properties"]);
}

#[test]
fn previous_values_and_changed_columns_can_be_asked_for() {
    let table = people();
    let mapping = r#"{"was":{"@path":"$.previous.plan"},"changed":{"@path":"$.changed"}}"#;
    let updated = change(Operation::Updated, Some(table.row(1)), Some(table.row(0)));
    // 12.30 and 12.3 are the same number.
    assert_eq!(
        map(mapping, &updated, DeletedValues::Last).unwrap(),
        r#"{"was":"free","changed":["plan","score","active","seen","tags","raw"]}"#
    );
    let added = change(Operation::Added, Some(table.row(1)), None);
    assert!(map(mapping, &added, DeletedValues::Last).unwrap().starts_with(r#"{"changed":["id","plan""#));
    let deleted = change(Operation::Deleted, None, Some(table.row(0)));
    assert_eq!(map(mapping, &deleted, DeletedValues::Null).unwrap(), r#"{"was":"free","changed":[]}"#);
    let keys_only = change(Operation::Updated, Some(table.row(1)), None);
    assert_eq!(map(mapping, &keys_only, DeletedValues::Last).unwrap(), "{}");
}

#[test]
fn a_deleted_record_shows_its_last_values_or_nulls() {
    let table = people();
    let view = change(Operation::Deleted, None, Some(table.row(0)));
    let mapping =
        r#"{"plan":{"@path":"$.properties.plan"},"id":{"@path":"$.__segment_id"},"x":{"@path":"$.properties.x"}}"#;
    assert_eq!(map(mapping, &view, DeletedValues::Last).unwrap(), r#"{"plan":"free","id":"k1"}"#);
    assert_eq!(map(mapping, &view, DeletedValues::Null).unwrap(), r#"{"plan":null,"id":"k1"}"#);
    let all = map(ALL, &view, DeletedValues::Null).unwrap();
    assert!(all.starts_with(r#"{"all":{"id":null,"plan":null"#), "{all}");
    let key_only = change(Operation::Deleted, None, None);
    assert_eq!(map(mapping, &key_only, DeletedValues::Last).unwrap(), r#"{"id":"k1"}"#);
}

#[test]
fn a_cell_without_a_json_value_is_an_error_that_names_its_column() {
    let table = Table::new(vec![
        ("nan", Kind::Float, Arc::new(Float64Array::from(vec![f64::NAN]))),
        ("word", Kind::Decimal, Arc::new(StringArray::from(vec!["NaN"]))),
        ("doc", Kind::Json, Arc::new(StringArray::from(vec!["{oops"]))),
        ("fine", Kind::Text, Arc::new(StringArray::from(vec!["x"]))),
    ]);
    let view = change(Operation::Added, Some(table.row(0)), None);
    for column in ["nan", "word", "doc"] {
        let mapping = format!(r#"{{"a":{{"@path":"$.properties.{column}"}}}}"#);
        let error = map(&mapping, &view, DeletedValues::Last).unwrap_err();
        assert!(error.to_string().starts_with(&format!("column `{column}`: ")), "{error}");
        let condition = Condition::parse(&format!("properties.{column} != null")).unwrap();
        assert!(condition.holds(&Event::of_change(&view, DeletedValues::Last)).is_err());
    }
    assert!(map(ALL, &view, DeletedValues::Last).is_err());
    let fine = r#"{"a":{"@path":"$.properties.fine"}}"#;
    assert_eq!(map(fine, &view, DeletedValues::Last).unwrap(), r#"{"a":"x"}"#);
}

#[test]
fn one_program_serves_records_of_different_schemas() {
    let first = Table::new(vec![
        ("a", Kind::Text, Arc::new(StringArray::from(vec!["1"])) as ArrayRef),
        ("b", Kind::Text, Arc::new(StringArray::from(vec!["2"]))),
    ]);
    let second = Table::new(vec![
        ("b", Kind::Int, Arc::new(Int64Array::from(vec![2])) as ArrayRef),
        ("a", Kind::Int, Arc::new(Int64Array::from(vec![1]))),
    ]);
    let program = Program::compile(&Value::parse(r#"{"b":{"@path":"$.properties.b"}}"#).unwrap()).unwrap();
    for _ in 0..2 {
        for (table, expected) in [(&first, r#"{"b":"2"}"#), (&second, r#"{"b":2}"#)] {
            let view = change(Operation::Added, Some(table.row(0)), None);
            let mut out = String::new();
            program.write_json(&Event::of_change(&view, DeletedValues::Last), &mut out).unwrap();
            assert_eq!(out, expected);
        }
    }
}

#[test]
fn a_mapping_tells_which_columns_it_reads() {
    let columns = |mapping: &str| match Program::compile(&Value::parse(mapping).unwrap()).unwrap().columns() {
        Columns::All => "all".to_owned(),
        Columns::Named(names) => names.into_iter().collect::<Vec<_>>().join(","),
    };
    assert_eq!(columns(r#"{"a":{"@path":"$.properties.x.y"},"b":{"@template":"{{properties.z}} {{event}}"}}"#), "x,z");
    assert_eq!(columns(r#"{"a":{"@path":"$.previous.p"},"b":{"@path":"$.__segment_id"}}"#), "p");
    assert_eq!(columns(r#"{"a":{"@path":"$.properties"}}"#), "all");
    assert_eq!(columns(r#"{"a":{"@path":"$."}}"#), "all");
    assert_eq!(columns(r#"{"a":{"@path":{"@path":"$.properties.x"}}}"#), "all");
    assert_eq!(columns(r#"{"a":{"@path":"$.changed"}}"#), "all");
    assert_eq!(columns(r#"{"a":{"@arrayPath":["$.properties.rows",{"q":{"@path":"$.properties"}}]}}"#), "rows");
    assert_eq!(
        columns(
            r#"{"a":{"@liquid":"{% if properties.x > 1 %}{{ properties['y'] | append: properties.z }}{% endif %}"}}"#
        ),
        "x,y,z"
    );
    assert_eq!(columns(r#"{"a":{"@liquid":"{{ properties[event] }}"}}"#), "all");
    assert_eq!(
        columns(
            r#"{"a":{"@coalesce":[{"@path":"$.properties.m"},1]},"b":{"@when":{"condition":"properties.w = 1","then":2}}}"#
        ),
        "m,w"
    );
    assert_eq!(columns(r#"{"a":1}"#), "");
    let condition = Condition::parse("event = \"new\" and properties.x.y = 1 and previous.z = null").unwrap();
    assert_eq!(condition.columns(), Columns::Named(["x".to_owned(), "z".to_owned()].into()));
}

#[test]
fn now_in_liquid_is_when_the_change_was_found() {
    let table = people();
    let view = change(Operation::Added, Some(table.row(1)), None);
    let mapping = r#"{"a":{"@liquid":"{{ 'now' | date: '%Y-%m-%d' }}"}}"#;
    assert_eq!(map(mapping, &view, DeletedValues::Last).unwrap(), r#"{"a":"2024-06-01"}"#);
}

#[test]
fn a_sync_mode_acts_on_its_operations() {
    let acts = |mode: SyncMode| {
        [Operation::Added, Operation::Updated, Operation::Deleted].map(|operation| mode.acts_on(operation))
    };
    assert_eq!(acts(SyncMode::Add), [true, false, false]);
    assert_eq!(acts(SyncMode::Update), [false, true, false]);
    assert_eq!(acts(SyncMode::Upsert), [true, true, false]);
    assert_eq!(acts(SyncMode::Delete), [false, false, true]);
    assert_eq!(acts(SyncMode::Mirror), [true, true, true]);
    assert!(SyncMode::ALL.into_iter().all(|mode| SyncMode::from_name(mode.name()) == Some(mode)));
}

#[test]
fn a_wrong_condition_says_where_and_why() {
    let refused = |text: &str| Condition::parse(text).unwrap_err()[0].message.clone();
    assert_eq!(
        refused("event = \"new\" and event = \"x\" or type = \"track\""),
        "`and` and `or` are mixed at column 31; put one of them in parentheses"
    );
    assert_eq!(refused("event ="), "expected a value after `event`");
    assert_eq!(refused("plan = 1").split(';').next().unwrap(), "`plan` at column 1 is not known");
    assert_eq!(refused("event = \"new"), "the text that begins at column 9 has no end");
    assert_eq!(refused("(event = \"new\""), "expected `)` after the group");
    assert_eq!(refused("event = \"a\" event"), "unexpected `event` at column 13");
    let tree =
        Value::parse(r#"{"all":[{"path":"$.a","operator":"~"},{"any":[]},{"path":"$.a","operator":"=","x":1}]}"#);
    let places: Vec<String> =
        Condition::compile(&tree.unwrap()).unwrap_err().into_iter().map(|problem| problem.place).collect();
    assert_eq!(places, ["all.0", "all.1.any", "all.2"]);
}
