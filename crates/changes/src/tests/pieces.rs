//! The small parts: bits, journal, index.

use std::{fs, sync::Arc};

use crate::{Bits, Journal, JournalError, NoSteps};

#[test]
fn bits_hold_what_was_put_in() {
    let mut bits: Bits = [3, 64, 200, 63].into_iter().collect();
    assert_eq!(bits.iter().collect::<Vec<_>>(), [3, 63, 64, 200]);
    assert_eq!(bits.len(), 4);
    assert!(bits.contains(64) && !bits.contains(65) && !bits.contains(10_000));
    assert!(!bits.insert(3) && bits.insert(4) && bits.remove(4) && !bits.remove(4) && !bits.remove(10_000));
    assert_eq!(Bits::below(130).iter().collect::<Vec<_>>(), (0..130).collect::<Vec<_>>());
    assert_eq!(Bits::below(64).len(), 64);
    let mut more = Bits::below(2);
    more.union_with(&bits);
    assert_eq!(more.iter().collect::<Vec<_>>(), [0, 1, 3, 63, 64, 200]);
    for gone in [0, 1, 200] {
        more.remove(gone);
    }
    bits.remove(200);
    assert_eq!(more, bits);
    assert!(Bits::new().is_empty() && !bits.is_empty());
}

#[test]
fn a_journal_tells_what_was_written_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    assert_eq!(Journal::read(&path).unwrap(), Default::default());
    let mut journal = Journal::open(&path, Arc::new(NoSteps)).unwrap();
    journal.append(&[(0, 1), (7, 2), (1 << 20, 1)]).unwrap();
    journal.sync().unwrap();
    drop(journal);
    let mut journal = Journal::open(&path, Arc::new(NoSteps)).unwrap();
    journal.append(&[(7, 1)]).unwrap();
    let entries = Journal::read(&path).unwrap();
    assert_eq!(entries.with(1).iter().collect::<Vec<_>>(), [0, 7, 1 << 20]);
    assert!(entries.with(2).is_empty() && entries.with(9).is_empty());
    assert_eq!([entries.code(7), entries.code(8)], [Some(1), None]);
}

#[test]
fn a_journal_cut_anywhere_tells_a_beginning_of_what_was_written_and_can_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::open(&path, Arc::new(NoSteps)).unwrap();
    let entries: Vec<(u64, u8)> = (0..20).map(|change| (change, 1)).collect();
    journal.append(&entries).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        for last in [0, 1] {
            let mut torn = whole[..length].to_vec();
            if let Some(byte) = torn.last_mut() {
                *byte ^= last;
            }
            fs::write(&path, &torn).unwrap();
            let Ok(read) = Journal::read(&path) else {
                assert!(length <= 8 && last == 1, "only a damaged beginning is refused");
                continue;
            };
            let known = read.with(1).len();
            assert_eq!(read.with(1), Bits::below(known));
            Journal::open(&path, Arc::new(NoSteps)).unwrap().append(&[(99, 1)]).unwrap();
            let read = Journal::read(&path).unwrap();
            assert_eq!(read.with(1).len(), known + 1, "{length}");
            assert!(read.with(1).contains(99));
        }
    }
}

#[test]
fn a_file_that_is_no_journal_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    fs::write(&path, "something else").unwrap();
    assert!(matches!(Journal::read(&path), Err(JournalError::NotOurs { .. })));
    assert!(Journal::open(&path, Arc::new(NoSteps)).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"something else");
}
