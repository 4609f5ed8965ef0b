//! Files cut short, changed or of a newer version: an error that names the file, or a repair, never wrong data.

use std::fs;

use records::{Kind, Schema};

use super::{Dice, Run, batch, list, open, schema, tracking};
use crate::{Bits, ChangeSet, Checkpoint, CheckpointError, NoSteps};

fn shop() -> Schema {
    schema(&[("id", Kind::Int), ("name", Kind::Text), ("seats", Kind::Int)])
}

/// A checkpoint with a base and a delta, and what a third comparison finds.
fn prepare(dir: &std::path::Path) -> Vec<String> {
    let of = tracking(&["id"], &["name", "seats"]);
    let mut rows: Vec<_> = (0..200).map(|id| vec![Some(id), Some(id), Some(1)]).collect();
    for number in 1..3 {
        let compared = Run::new(dir, number).compare(&open(dir), &of, &shop(), &[batch(&shop(), &rows)]).unwrap();
        open(dir).commit(&compared.change_set, &Bits::below(compared.change_set.len())).unwrap();
        rows[7][1] = Some(99);
        rows.pop();
    }
    found(dir).unwrap()
}

fn found(dir: &std::path::Path) -> Option<Vec<String>> {
    let of = tracking(&["id"], &["name", "seats"]);
    let rows: Vec<_> = (3..210).map(|id| vec![Some(id), Some(id), Some(1)]).collect();
    let checkpoint = Checkpoint::open(&dir.join("checkpoint"), std::sync::Arc::new(NoSteps)).ok()?;
    let compared = Run::new(dir, 9).compare(&checkpoint, &of, &shop(), &[batch(&shop(), &rows)]).ok()?;
    Some(list(&compared.change_set))
}

#[test]
fn a_checkpoint_file_cut_short_or_changed_is_an_error_or_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let right = prepare(dir.path());
    assert!(right.len() > 10);
    let mut dice = Dice::new(1);
    let names: Vec<_> =
        fs::read_dir(dir.path().join("checkpoint")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names.len(), 5, "manifest, base, delta, their keys");
    for path in names {
        let whole = fs::read(&path).unwrap();
        let derived = path.extension().is_some_and(|ending| ending == "keys");
        for turn in 0..40 {
            let cut = dice.below(whole.len() as u64) as usize;
            fs::write(&path, &whole[..if turn == 0 { 0 } else { cut }]).unwrap();
            match found(dir.path()) {
                Some(found) => {
                    // A manifest lacks nothing without its last line break.
                    assert!(derived || cut + 1 == whole.len(), "{}", path.display());
                    assert_eq!(found, right);
                }
                None => assert!(!derived, "a file of keys is made anew"),
            }
        }
        if derived {
            for _ in 0..40 {
                let mut changed = whole.clone();
                changed[dice.below(whole.len() as u64) as usize] ^= 1 << dice.below(8);
                fs::write(&path, &changed).unwrap();
                assert_eq!(found(dir.path()).unwrap(), right);
            }
            fs::remove_file(&path).unwrap();
            assert_eq!(found(dir.path()).unwrap(), right);
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(found(dir.path()).unwrap(), right);
    }
}

#[test]
fn the_message_names_the_file_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let folder = dir.path().join("checkpoint");
    let fails = || Checkpoint::open(&folder, std::sync::Arc::new(NoSteps)).unwrap_err().to_string();
    let base = folder.join("base-1.parquet");
    let whole = fs::read(&base).unwrap();
    fs::write(&base, &whole[..100]).unwrap();
    let text = fails();
    assert!(text.contains("base-1.parquet` has 100 bytes instead of "), "{text}");
    assert!(text.ends_with("or reset the mapping and adopt the current result with `outflow baseline`"), "{text}");
    fs::remove_file(&base).unwrap();
    assert!(fails().contains("base-1.parquet` is missing"));
    fs::write(&base, &whole).unwrap();

    let mut changed = whole;
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&base, &changed).unwrap();
    let error = open(dir.path()).verify().unwrap_err();
    assert!(error.to_string().contains("does not have the checksum"), "{error}");

    let manifest = folder.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("\"format\": 1", "\"format\": 7, \"unknown\": true", 1)).unwrap();
    let newer = Checkpoint::open(&folder, std::sync::Arc::new(NoSteps)).unwrap_err();
    assert!(matches!(newer, CheckpointError::Newer { found: 7, known: 1, .. }));
    fs::remove_file(&manifest).unwrap();
    assert!(fails().contains("is missing, though data files are there"));
}

#[test]
fn a_change_set_cut_anywhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let path = dir.path().join("changes-1.arrow");
    let whole = fs::read(&path).unwrap();
    let mut dice = Dice::new(2);
    for turn in 0..200 {
        let cut = if turn < 20 { whole.len() - 1 - turn } else { dice.below(whole.len() as u64) as usize };
        fs::write(&path, &whole[..cut]).unwrap();
        let error = ChangeSet::open(&path).unwrap_err();
        assert!(error.to_string().contains("changes-1.arrow` is not whole: "), "{cut}: {error}");
    }
}
