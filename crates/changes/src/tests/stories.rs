//! What a person would tell: single behaviours, each by name.

use std::fs;

use records::{Kind, Operation, Schema};

use super::{ROOMY, Run, batch, list, open, schema, tracking};
use crate::{Bits, ChangeSet, Checkpoint, CompareError, Compared, Keep, Limits, Tracking};

fn shop() -> Schema {
    schema(&[("id", Kind::Int), ("name", Kind::Text), ("seats", Kind::Int), ("note", Kind::Text)])
}

fn ours() -> Tracking {
    tracking(&["id"], &["name", "seats"])
}

fn row(id: u8, name: u8, seats: u8) -> Vec<Option<u8>> {
    vec![Some(id), Some(name), Some(seats), Some(id.wrapping_mul(7))]
}

fn compare(run: &Run<'_>, checkpoint: &Checkpoint, tracking: &Tracking, rows: &[Vec<Option<u8>>]) -> Compared {
    run.compare(checkpoint, tracking, &shop(), &[batch(&shop(), rows)]).unwrap()
}

/// A checkpoint that holds these rows.
fn holding(run: &Run<'_>, rows: &[Vec<Option<u8>>]) -> Checkpoint {
    let compared = compare(run, &open(run.dir), &ours(), rows);
    open(run.dir).commit(&compared.change_set, &Bits::below(compared.change_set.len())).unwrap()
}

#[test]
fn a_column_that_is_not_used_makes_no_change() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = holding(&Run::new(dir.path(), 1), &[row(1, 1, 1), row(2, 2, 2)]);
    let mut other = row(1, 1, 1);
    other[3] = None;
    let compared = compare(&Run::new(dir.path(), 2), &checkpoint, &ours(), &[other, row(2, 2, 2)]);
    assert_eq!((compared.counts.unchanged, compared.counts.changed()), (2, 0));
    assert!(compared.change_set.is_empty());
}

#[test]
fn the_same_change_has_the_same_message_id_in_every_run() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = holding(&Run::new(dir.path(), 1), &[row(1, 1, 1), row(2, 2, 2)]);
    let now = [row(1, 9, 1), row(3, 3, 3)];
    let ids = |number| {
        let compared = compare(&Run::new(dir.path(), number), &checkpoint, &ours(), &now);
        let chunk = compared.change_set.chunks(0).unwrap().next().unwrap().unwrap();
        (0..chunk.len()).map(|row| chunk.view(row).message_id.to_owned()).collect::<Vec<_>>()
    };
    let first = ids(2);
    assert_eq!(first, ids(3));
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|id| id.parse::<records::MessageId>().unwrap().to_string() == *id), "{first:?}");
}

#[test]
fn a_key_that_stands_twice_is_refused_with_all_its_rows_and_its_record_stays() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = holding(&Run::new(dir.path(), 1), &[row(1, 1, 1), row(2, 2, 2), row(3, 3, 3)]);
    let rows = [row(1, 1, 1), row(1, 1, 1), row(2, 8, 2), row(2, 9, 2), row(3, 3, 3), row(4, 4, 4), row(4, 4, 4)];
    let mut rows = rows.to_vec();
    rows.push(vec![None, Some(1), Some(1), Some(1)]);
    let compared = compare(&Run::new(dir.path(), 2), &checkpoint, &ours(), &rows);
    assert_eq!((compared.counts.duplicate_key, compared.counts.null_key, compared.counts.unchanged), (6, 1, 1));
    assert!(compared.change_set.is_empty());
    let text = fs::read_to_string(compared.unusable.path.unwrap()).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort();
    assert_eq!(lines.len(), 7);
    assert_eq!(lines[0], r#"{"reason":"duplicate_key","key":"1","row":{"id":1,"name":"text 1","seats":1}}"#);
    assert_eq!(
        lines[6],
        r#"{"reason":"null_key","key":null,"row":{"id":null,"name":"text 1","seats":1,"note":"text 1"}}"#
    );
    let after = checkpoint.commit(&compared.change_set, &Bits::new()).unwrap();
    assert_eq!(after.len(), 3);
}

#[test]
fn one_key_many_times_is_counted_within_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::new(dir.path(), 1);
    run.limits.memory_bytes = 20_000;
    let rows: Vec<_> = (0..5000).map(|number| row(7, (number % 200) as u8, 1)).chain([row(8, 1, 1)]).collect();
    let compared = compare(&run, &open(dir.path()), &ours(), &rows);
    assert_eq!((compared.counts.duplicate_key, compared.counts.added), (5000, 1));
    assert_eq!((compared.unusable.rows, compared.unusable.listed), (5000, 1000));
    assert_eq!(list(&compared.change_set), ["added 8"]);
}

#[test]
fn forgotten_records_are_added_again_and_a_reset_forgets_all() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [row(1, 1, 1), row(2, 2, 2), row(3, 3, 3)];
    let checkpoint = holding(&Run::new(dir.path(), 1), &rows);
    let two = checkpoint.find("2").unwrap().unwrap().key_hash;
    let checkpoint = checkpoint.forget(&[two, records::KeyHash(5)]).unwrap();
    assert_eq!((checkpoint.len(), open(dir.path()).len()), (2, 2));
    assert!(checkpoint.find("2").unwrap().is_none());
    let compared = compare(&Run::new(dir.path(), 2), &checkpoint, &ours(), &rows);
    assert_eq!(list(&compared.change_set), ["added 2"]);
    let empty = checkpoint.reset().unwrap();
    assert_eq!((empty.len(), empty.tracking(), empty.disk_bytes()), (0, None, 0));
    assert_eq!(fs::read_dir(empty.dir()).unwrap().count(), 1, "only the manifest is left");
    let compared = compare(&Run::new(dir.path(), 3), &open(dir.path()), &ours(), &rows);
    assert_eq!(compared.counts.added, 3);
}

#[test]
fn records_marked_dirty_are_updated_once() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [row(1, 1, 1), row(2, 2, 2)];
    let checkpoint = holding(&Run::new(dir.path(), 1), &rows);
    let one = checkpoint.find("1").unwrap().unwrap().key_hash;
    let checkpoint = checkpoint.mark_dirty(&[one]).unwrap();
    let compared = compare(&Run::new(dir.path(), 2), &checkpoint, &ours(), &rows);
    assert_eq!(list(&compared.change_set), ["updated 1"]);
    let checkpoint = checkpoint.commit(&compared.change_set, &Bits::below(1)).unwrap();
    assert!(compare(&Run::new(dir.path(), 3), &checkpoint, &ours(), &rows).change_set.is_empty());
}

#[test]
fn a_change_in_doubt_is_found_again_under_its_message_id_whatever_the_record_shows() {
    let dir = tempfile::tempdir().unwrap();
    let all = |set: &ChangeSet| Bits::below(set.len());
    let ids = |set: &ChangeSet| -> Vec<String> {
        let chunks = set.chunks(0).unwrap().map(Result::unwrap);
        chunks
            .flat_map(|chunk| (0..chunk.len()).map(|row| chunk.message_id(row).to_owned()).collect::<Vec<_>>())
            .collect()
    };
    // Sent as new, no answer: added again, or deleted if it is gone.
    let first = compare(&Run::new(dir.path(), 1), &open(dir.path()), &ours(), &[row(1, 1, 1)]).change_set;
    let checkpoint = open(dir.path()).commit_with_doubt(&first, &Bits::new(), &all(&first)).unwrap();
    let again = compare(&Run::new(dir.path(), 2), &checkpoint, &ours(), &[row(1, 1, 1)]).change_set;
    assert_eq!((list(&again), ids(&again)), (vec!["added 1".to_owned()], ids(&first)));
    let gone = compare(&Run::new(dir.path(), 3), &checkpoint, &ours(), &[]).change_set;
    assert_eq!(list(&gone), ["deleted 1"]);
    let checkpoint = checkpoint.commit(&again, &all(&again)).unwrap();
    assert_eq!((checkpoint.len(), open(dir.path()).len()), (1, 1));
    // An update in doubt: found even if the row is as it was before.
    let update = compare(&Run::new(dir.path(), 4), &checkpoint, &ours(), &[row(1, 2, 2)]).change_set;
    let checkpoint = checkpoint.commit_with_doubt(&update, &Bits::new(), &all(&update)).unwrap();
    let back = compare(&Run::new(dir.path(), 5), &checkpoint, &ours(), &[row(1, 1, 1)]).change_set;
    assert_eq!(list(&back), ["updated 1"]);
    let again = compare(&Run::new(dir.path(), 6), &checkpoint, &ours(), &[row(1, 2, 2)]).change_set;
    assert_eq!((list(&again), ids(&again)), (vec!["updated 1".to_owned()], ids(&update)));
    let checkpoint = checkpoint.commit(&again, &all(&again)).unwrap();
    assert!(compare(&Run::new(dir.path(), 7), &checkpoint, &ours(), &[row(1, 2, 2)]).change_set.is_empty());
    // A deletion in doubt: deleted again, or updated if the record is back as it was.
    let deletion = compare(&Run::new(dir.path(), 8), &checkpoint, &ours(), &[]).change_set;
    let checkpoint = checkpoint.commit_with_doubt(&deletion, &Bits::new(), &all(&deletion)).unwrap();
    let back = compare(&Run::new(dir.path(), 9), &checkpoint, &ours(), &[row(1, 2, 2)]).change_set;
    assert_eq!(list(&back), ["updated 1"]);
    let again = compare(&Run::new(dir.path(), 10), &checkpoint, &ours(), &[]).change_set;
    assert_eq!((list(&again), ids(&again)), (vec!["deleted 1".to_owned()], ids(&deletion)));
    assert_eq!(checkpoint.commit(&again, &all(&again)).unwrap().len(), 0);
}

#[test]
fn deletions_put_back_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = holding(&Run::new(dir.path(), 1), &[row(1, 1, 1), row(2, 2, 2), row(3, 3, 3)]);
    let gone = compare(&Run::new(dir.path(), 2), &checkpoint, &ours(), &[row(1, 1, 1)]).change_set;
    assert_eq!(list(&gone), ["deleted 2", "deleted 3"]);
    let checkpoint = checkpoint.commit(&gone, &Bits::below(2)).unwrap();
    assert_eq!(checkpoint.len(), 1);
    let checkpoint = checkpoint.reinsert(&gone, &Bits::below(2)).unwrap();
    assert_eq!(checkpoint.len(), 3);
    assert_eq!(checkpoint.reinsert(&gone, &Bits::below(2)).unwrap().generation(), checkpoint.generation());
    // 2 is still gone; 3 came back meanwhile, and the destination, which deleted it, must get it.
    let compared = compare(&Run::new(dir.path(), 3), &checkpoint, &ours(), &[row(1, 1, 1), row(3, 3, 3)]);
    assert_eq!(list(&compared.change_set), ["deleted 2", "updated 3"]);
    let deleted = compared.change_set.sample(Operation::Deleted, 5).unwrap();
    let previous = deleted[0].view(0).previous.unwrap();
    assert_eq!(previous.cell(previous.schema.index_of("name").unwrap()), records::Cell::Text("text 2"));
}

#[test]
fn another_primary_key_is_held_instead_of_replacing_everything() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = holding(&Run::new(dir.path(), 1), &[row(1, 1, 1)]);
    let run = Run::new(dir.path(), 2);
    for key in [vec!["name"], vec!["id", "name"]] {
        let error = run.compare(&checkpoint, &tracking(&key, &["name"]), &shop(), &[]).unwrap_err();
        assert!(matches!(error, CompareError::KeyChanged { .. }));
        assert!(error.to_string().starts_with("the primary key was `id` (int) and is now "), "{error}");
    }
    let text = schema(&[("id", Kind::Text), ("name", Kind::Text), ("seats", Kind::Int)]);
    assert!(matches!(run.compare(&checkpoint, &ours(), &text, &[]), Err(CompareError::KeyChanged { .. })));
}

#[test]
fn an_integer_key_and_column_may_become_decimals() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = holding(&Run::new(dir.path(), 1), &[row(1, 1, 1), row(2, 2, 2)]);
    let schema = schema(&[("id", Kind::Decimal), ("name", Kind::Text), ("seats", Kind::Decimal)]);
    let column = |texts: [&str; 2]| std::sync::Arc::new(arrow_array::StringArray::from(texts.to_vec())) as _;
    let columns = vec![column(["1", "2.00"]), column(["text 1", "text 2"]), column(["1.0", "3"])];
    let batch = arrow_array::RecordBatch::try_new(schema.to_arrow(), columns).unwrap();
    let compared =
        Run::new(dir.path(), 2).compare(&checkpoint, &ours(), &schema, std::slice::from_ref(&batch)).unwrap();
    assert_eq!(compared.tracking_changed.clone().unwrap().retyped, ["seats"]);
    assert_eq!((compared.counts.unchanged, list(&compared.change_set)), (1, vec!["updated 2.00".to_owned()]));
    let checkpoint = checkpoint.commit(&compared.change_set, &Bits::below(1)).unwrap();
    let again = Run::new(dir.path(), 3).compare(&checkpoint, &ours(), &schema, &[batch]).unwrap();
    assert_eq!((again.counts.unchanged, again.tracking_changed), (2, None));
}

#[test]
fn more_and_fewer_used_columns_are_told_and_only_real_differences_sent() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [row(1, 1, 1), row(2, 2, 2)];
    let checkpoint = holding(&Run::new(dir.path(), 1), &rows);
    let compared = compare(&Run::new(dir.path(), 2), &checkpoint, &tracking(&["id"], &["name"]), &rows);
    assert_eq!(compared.tracking_changed.unwrap().removed, ["seats"]);
    assert!(compared.change_set.is_empty());
    let narrow = checkpoint.commit(&compared.change_set, &Bits::new()).unwrap();
    assert_eq!(narrow.tracking().unwrap().used.len(), 1);
    let compared = compare(&Run::new(dir.path(), 3), &narrow, &ours(), &rows);
    assert_eq!(compared.tracking_changed.unwrap().added, ["seats"]);
    assert_eq!(compared.counts.updated, 2);
}

#[test]
fn keeping_only_keys_still_finds_every_change() {
    let dir = tempfile::tempdir().unwrap();
    let lean = Tracking { keep: Keep::Keys, ..ours() };
    let first =
        compare(&Run::new(dir.path(), 1), &open(dir.path()), &lean, &[row(1, 1, 1), row(2, 2, 2), row(3, 3, 3)]);
    let checkpoint = open(dir.path()).commit(&first.change_set, &Bits::below(3)).unwrap();
    let compared = compare(&Run::new(dir.path(), 2), &checkpoint, &lean, &[row(1, 1, 1), row(2, 9, 2)]);
    assert_eq!(list(&compared.change_set), ["deleted 3", "updated 2"]);
    let updated = compared.change_set.sample(Operation::Updated, 1).unwrap();
    assert!(updated[0].view(0).previous.is_none());
    let deleted = compared.change_set.sample(Operation::Deleted, 1).unwrap();
    let previous = deleted[0].view(0).previous.unwrap();
    assert_eq!((previous.schema.columns().len(), previous.cell(0)), (1, records::Cell::Int(3)), "the key is known");
}

#[test]
fn a_disk_limit_that_does_not_suffice_is_told_with_its_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::new(dir.path(), 1);
    run.limits = Limits { memory_bytes: 1000, disk_bytes: 2000 };
    let rows: Vec<_> = (0..250).map(|id| row(id, id, id)).collect();
    let error = run.compare(&open(dir.path()), &ours(), &shop(), &[batch(&shop(), &rows)]).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("comparing needs more than 2000 bytes on disk: "), "{text}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left over");
}

#[test]
fn many_small_commits_stay_few_files_and_a_million_rows_pass() {
    let dir = tempfile::tempdir().unwrap();
    let all: Vec<_> = (0..=255).map(|id| row(id, 1, 1)).collect();
    let mut checkpoint = holding(&Run::new(dir.path(), 0), &all);
    let mut rows = all;
    for number in 1..30 {
        rows[number][1] = Some(200);
        let compared = compare(&Run::new(dir.path(), number as u64), &checkpoint, &ours(), &rows);
        assert_eq!(compared.counts.updated, 1);
        checkpoint = checkpoint.commit(&compared.change_set, &Bits::below(1)).unwrap();
        assert!(fs::read_dir(checkpoint.dir()).unwrap().count() <= 1 + 2 * 8);
    }
    assert_eq!(checkpoint.len(), 256);

    let schema = schema(&[("id", Kind::Int), ("v", Kind::Int)]);
    let column = |of: fn(i64) -> i64, from: i64| {
        std::sync::Arc::new(arrow_array::Int64Array::from_iter_values((from..from + 50_000).map(of))) as _
    };
    let batches = |value: fn(i64) -> i64| -> Vec<_> {
        let batch = |number| {
            let columns = vec![column(|id| id, number * 50_000), column(value, number * 50_000)];
            arrow_array::RecordBatch::try_new(schema.to_arrow(), columns).unwrap()
        };
        (0..20_i64).map(batch).collect()
    };
    let dir = tempfile::tempdir().unwrap();
    let (mut run, of) = (Run::new(dir.path(), 1), tracking(&["id"], &["v"]));
    run.limits = Limits { memory_bytes: 4 << 20, ..ROOMY };
    let first = run.compare(&open(dir.path()), &of, &schema, &batches(|id| id % 100)).unwrap();
    assert_eq!(first.counts.added, 1_000_000);
    let checkpoint = open(dir.path()).commit(&first.change_set, &Bits::below(1_000_000)).unwrap();
    run.number = 2;
    let second = run.compare(&checkpoint, &of, &schema, &batches(|id| (id + i64::from(id % 1000 == 0)) % 100)).unwrap();
    assert_eq!((second.counts.updated, second.counts.unchanged), (1000, 999_000));
}
