//! The history: written, traced, cut short, pruned.

use std::time::Duration;

use super::*;
use crate::testing::{second, sync_id};

const DAY: i64 = 24 * 3600;

fn row(key: &str, at: i64) -> HistoryRow {
    HistoryRow {
        key: key.to_owned(),
        operation: Operation::Updated,
        outcome: OutcomeKind::Delivered,
        code: None,
        message: None,
        attempts: 1,
        at: second(at),
        payload: Some(format!(r#"{{"id":"{key}"}}"#)),
        before: None,
        after: None,
        exchange: None,
    }
}

fn exchange(number: u64) -> HistoryExchange {
    HistoryExchange {
        method: "POST".to_owned(),
        url: format!("https://tool.example/{number}"),
        request_headers: vec![("authorization".to_owned(), "***".to_owned())],
        request_body: "[{}]".to_owned(),
        status: Some(207),
        answer_headers: vec![("retry-after".to_owned(), "1".to_owned())],
        answer_body: Some("{}".to_owned()),
        started_at: second(4),
        millis: number,
    }
}

fn write(folder: &Path, sync: SyncId, mapping: &str, rows: impl IntoIterator<Item = HistoryRow>) {
    let mut writer = HistoryWriter::create(folder, sync, mapping).unwrap();
    for row in rows {
        writer.append(row).unwrap();
    }
    writer.finish().unwrap();
}

fn syncs(trace: &Trace) -> Vec<SyncId> {
    trace.entries.iter().map(|entry| entry.sync).collect()
}

#[test]
fn a_row_and_its_exchange_come_back_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(folder.path(), sync_id(1), "people").unwrap();
    let sent = writer.append_exchange(exchange(0)).unwrap();
    let unanswered = HistoryExchange { status: None, answer_body: None, answer_headers: Vec::new(), ..exchange(1) };
    let second_sent = writer.append_exchange(unanswered.clone()).unwrap();
    let full = HistoryRow {
        operation: Operation::Deleted,
        outcome: OutcomeKind::InDoubt,
        code: Some("no_answer".to_owned()),
        message: Some("the answer was cut short".to_owned()),
        attempts: 3,
        before: Some(r#"{"plan":"free"}"#.to_owned()),
        after: Some(r#"{"plan":"paid"}"#.to_owned()),
        exchange: Some(second_sent),
        ..row("a", 9)
    };
    writer.append(full.clone()).unwrap();
    writer.append(HistoryRow { exchange: Some(sent), ..row("b", 9) }).unwrap();
    writer.append(HistoryRow { payload: None, ..row("c", 9) }).unwrap();
    writer.finish().unwrap();

    let history = History::new(folder.path());
    let trace = |key: &str| history.trace("people", key, 10).unwrap().entries;
    assert_eq!(trace("a"), [TraceEntry { sync: sync_id(1), row: full, exchange: Some(unanswered) }]);
    assert_eq!(trace("b")[0].exchange, Some(exchange(0)));
    assert_eq!((trace("c")[0].exchange.clone(), trace("c")[0].row.payload.clone()), (None, None));
    assert_eq!(trace("d"), []);
    assert_eq!(history.trace("orders", "a", 10).unwrap(), Trace::default());
}

#[test]
fn a_trace_goes_across_syncs_newest_last_and_keeps_the_newest_of_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=60 {
        let others = (0..50).map(|other| row(&format!("{number}-{other}"), number));
        let wanted = (number % 3 == 0).then(|| row("wanted", number));
        write(folder.path(), sync_id(number), "people", others.chain(wanted));
        write(folder.path(), sync_id(number), "orders", [row("wanted", number)]);
    }
    let history = History::new(folder.path());
    let trace = history.trace("people", "wanted", 100).unwrap();
    assert_eq!(syncs(&trace), (1..=20).map(|number| sync_id(number * 3)).collect::<Vec<_>>());
    assert!(trace.unreadable.is_empty());
    let newest = history.trace("people", "wanted", 2).unwrap();
    assert_eq!(syncs(&newest), [sync_id(57), sync_id(60)]);
}

#[test]
fn two_rows_of_one_record_in_one_sync_are_in_the_order_of_time() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), sync_id(1), "people", [row("a", 1), row("b", 1), row("a", 5)]);
    let trace = History::new(folder.path()).trace("people", "a", 1).unwrap();
    assert_eq!(trace.entries.iter().map(|entry| entry.row.at).collect::<Vec<_>>(), [second(1), second(5)]);
}

#[test]
fn many_rows_become_parts_that_all_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(folder.path(), sync_id(1), "people").unwrap();
    for number in 0..150_000 {
        // Exchanges fill their own row groups: their numbers must still meet.
        let sent = if number % 5 == 0 { Some(writer.append_exchange(exchange(number)).unwrap()) } else { None };
        writer.append(HistoryRow { exchange: sent, ..row(&format!("key {number}"), 1) }).unwrap();
    }
    writer.finish().unwrap();
    let sync_folder = folder.path().join("people").join(sync_id(1).to_string());
    assert_eq!(parts(&sync_folder, RECORDS).unwrap().len(), 2);
    let history = History::new(folder.path());
    for number in [0, 5, 16_383, 16_385, 131_071, 131_075, 149_995] {
        let trace = history.trace("people", &format!("key {number}"), 10).unwrap();
        assert_eq!(trace.entries.len(), 1, "{number}");
        let millis = trace.entries[0].exchange.as_ref().map(|exchange| exchange.millis);
        assert_eq!(millis, (number % 5 == 0).then_some(number), "{number}");
    }
    assert_eq!(history.trace("people", "key 150000", 10).unwrap(), Trace::default());
}

#[test]
fn large_values_are_written_before_they_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(folder.path(), sync_id(1), "people").unwrap();
    let large = "x".repeat(3 << 20);
    for number in 0..8 {
        writer.append(HistoryRow { payload: Some(large.clone()), ..row(&number.to_string(), 1) }).unwrap();
        assert!(writer.buffered_bytes() < 2 * (4 << 20), "{}", writer.buffered_bytes());
    }
    writer.finish().unwrap();
    let trace = History::new(folder.path()).trace("people", "7", 10).unwrap();
    assert_eq!(trace.entries[0].row.payload.as_ref(), Some(&large));
}

#[test]
fn nothing_is_written_for_a_sync_without_rows() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), sync_id(1), "people", []);
    assert_eq!(entries(folder.path()).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn a_writer_that_ends_early_leaves_its_finished_parts_and_another_goes_on_after_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(folder.path(), sync_id(1), "people").unwrap();
    let first = writer.append_exchange(exchange(0)).unwrap();
    writer.append(HistoryRow { exchange: Some(first), ..row("a", 1) }).unwrap();
    writer.finish_part().unwrap();
    writer.append(row("lost", 2)).unwrap();
    drop(writer);

    let mut writer = HistoryWriter::create(folder.path(), sync_id(1), "people").unwrap();
    let later = writer.append_exchange(exchange(1)).unwrap();
    assert_eq!((first, later), (0, 1));
    writer.append(HistoryRow { exchange: Some(later), ..row("a", 3) }).unwrap();
    writer.finish().unwrap();
    let history = History::new(folder.path());
    let trace = history.trace("people", "a", 10).unwrap();
    let urls: Vec<_> = trace.entries.iter().map(|entry| entry.exchange.as_ref().unwrap().millis).collect();
    assert_eq!(urls, [0, 1]);
    assert_eq!(history.trace("people", "lost", 10).unwrap(), Trace::default());
}

#[test]
fn an_unreadable_file_is_named_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=5 {
        write(folder.path(), sync_id(number), "people", [row("a", number)]);
    }
    let part = |number| folder.path().join("people").join(sync_id(number).to_string()).join("records-00000.parquet");
    // Cut short, empty, not Parquet at all: each is one that is skipped.
    let bytes = fs::read(part(2)).unwrap();
    fs::write(part(2), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(part(3), "").unwrap();
    fs::write(part(4), "{}".repeat(500)).unwrap();
    let trace = History::new(folder.path()).trace("people", "a", 10).unwrap();
    assert_eq!(syncs(&trace), [sync_id(1), sync_id(5)]);
    let mut unreadable: Vec<_> = trace.unreadable.iter().map(|unreadable| unreadable.path.clone()).collect();
    unreadable.sort();
    assert_eq!(unreadable, [part(2), part(3), part(4)]);
    assert!(trace.unreadable.iter().all(|unreadable| !unreadable.reason.is_empty()));
}

#[test]
fn a_file_damaged_inside_is_named_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), sync_id(1), "people", (0..200).map(|number| row(&format!("k{number}"), 1)));
    let path = folder.path().join("people").join(sync_id(1).to_string()).join("records-00000.parquet");
    let bytes = fs::read(&path).unwrap();
    let history = History::new(folder.path());
    for place in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0xff;
        fs::write(&path, &damaged).unwrap();
        // Compression has no checksum here: some damage reads as other text. It must not stop a trace.
        history.trace("people", "k77", 10).unwrap();
    }
}

#[test]
fn exchanges_that_cannot_be_read_do_not_hide_their_records() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(folder.path(), sync_id(1), "people").unwrap();
    let sent = writer.append_exchange(exchange(0)).unwrap();
    writer.append(HistoryRow { exchange: Some(sent), ..row("a", 1) }).unwrap();
    writer.append(HistoryRow { exchange: Some(sent), ..row("a", 2) }).unwrap();
    writer.finish().unwrap();
    let path = folder.path().join("people").join(sync_id(1).to_string()).join("exchanges-0000000000.parquet");
    fs::write(&path, "PAR1").unwrap();
    let trace = History::new(folder.path()).trace("people", "a", 10).unwrap();
    assert_eq!(trace.entries.len(), 2);
    assert!(trace.entries.iter().all(|entry| entry.exchange.is_none()));
    assert_eq!(trace.unreadable.len(), 1);
}

#[test]
fn pruning_by_age_and_by_size_removes_the_oldest_syncs_first() {
    let folder = tempfile::tempdir().unwrap();
    for day in 1..=10 {
        let mapping = if day % 2 == 0 { "people" } else { "orders" };
        write(folder.path(), sync_id(day * DAY), mapping, [row("a", day)]);
    }
    let history = History::new(folder.path());
    let now = second(10 * DAY + 1);
    let left = || {
        let trace = |mapping| syncs(&history.trace(mapping, "a", 100).unwrap());
        let mut all = [trace("people"), trace("orders")].concat();
        all.sort();
        all
    };
    let days = |from: i64| (from..=10).map(|day| sync_id(day * DAY)).collect::<Vec<_>>();

    let pruned = history.prune(Keep::default(), now).unwrap();
    assert_eq!((pruned.syncs_removed, pruned.bytes_removed), (0, 0));
    assert_eq!(left(), days(1));

    let pruned = history.prune(Keep { days: Some(7), bytes: None }, now).unwrap();
    assert_eq!(pruned.syncs_removed, 3);
    assert_eq!(left(), days(4));

    let room = Keep { days: Some(365), bytes: Some(pruned.bytes_left - 1) };
    assert_eq!(history.prune(room, now).unwrap().syncs_removed, 1);
    assert_eq!(left(), days(5));

    let pruned = history.prune(Keep { days: None, bytes: Some(0) }, now).unwrap();
    assert_eq!((pruned.syncs_removed, pruned.bytes_left), (6, 0));
    assert_eq!(left(), []);
    assert_eq!(entries(folder.path()).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn pruning_leaves_the_sync_being_written_and_cleans_up_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = HistoryWriter::create(folder.path(), sync_id(1), "people").unwrap();
    writer.append(row("a", 1)).unwrap();
    writer.finish_part().unwrap();
    writer.append(row("a", 2)).unwrap();
    let crashed = folder.path().join("people").join(sync_id(2).to_string());
    fs::create_dir_all(&crashed).unwrap();
    fs::write(crashed.join("records-00000.unfinished"), "PAR1").unwrap();
    fs::write(crashed.join(LOCK_FILE), "").unwrap();

    let history = History::new(folder.path());
    let nothing = Keep { days: Some(0), bytes: Some(0) };
    let now = second(5).checked_add(Duration::from_secs(3600)).unwrap();
    assert_eq!(history.prune(nothing, now).unwrap().syncs_removed, 1);
    assert!(!crashed.exists());
    writer.finish().unwrap();
    assert_eq!(history.trace("people", "a", 10).unwrap().entries.len(), 2);
    assert_eq!(history.prune(nothing, now).unwrap().syncs_removed, 1);
}

#[test]
fn two_writers_of_one_sync_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = HistoryWriter::create(folder.path(), sync_id(1), "people").unwrap();
    first.append(row("a", 1)).unwrap();
    first.finish_part().unwrap();
    let mut other = HistoryWriter::create(folder.path(), sync_id(1), "people").unwrap();
    other.append(row("a", 1)).unwrap();
    assert!(matches!(other.finish_part(), Err(HistoryError::Busy { .. })));
}

#[test]
fn a_mappings_history_can_be_removed_whole() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), sync_id(1), "people", [row("a", 1)]);
    write(folder.path(), sync_id(1), "orders", [row("a", 1)]);
    let history = History::new(folder.path());
    history.remove_mapping("people").unwrap();
    history.remove_mapping("people").unwrap();
    assert_eq!(history.trace("people", "a", 10).unwrap().entries.len(), 0);
    assert_eq!(history.trace("orders", "a", 10).unwrap().entries.len(), 1);
}
