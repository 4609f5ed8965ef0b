//! A fault at every step that outlasts the process: no checkpoint is broken, nothing is lost.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use records::{Kind, Schema};

use super::{Run, batch, list, open, schema, tracking};
use crate::{Bits, Checkpoint, Compared, Limits, STEPS, Steps, Tracking};

/// Fails at the given step, and at all after it, as a crash does.
struct FailFrom {
    left: AtomicU64,
}

impl Steps for FailFrom {
    fn reach(&self, step: &'static str) -> io::Result<()> {
        assert!(STEPS.contains(&step), "`{step}` is in the list");
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 0 { Err(io::Error::new(io::ErrorKind::StorageFull, "no space left")) } else { Ok(()) }
    }
}

fn shop() -> Schema {
    schema(&[("id", Kind::Int), ("name", Kind::Text), ("seats", Kind::Int)])
}

fn rows(change: u8) -> Vec<Vec<Option<u8>>> {
    (0..60).filter(|id| change == 0 || id % 9 != 0).map(|id| vec![Some(id), Some(id % 5 * change), Some(id)]).collect()
}

/// Calls `act` with a fault at the first step, the second, … until none is hit; says how many there were.
fn at_every_step(mut act: impl FnMut(Arc<dyn Steps>) -> bool) -> u64 {
    for step in 0.. {
        let steps = Arc::new(FailFrom { left: AtomicU64::new(step) });
        if act(steps) {
            return step;
        }
    }
    unreachable!("the loop has no other end");
}

#[test]
fn a_comparison_that_fails_at_any_step_leaves_no_change_set_that_is_not_whole() {
    let dir = tempfile::tempdir().unwrap();
    let of = tracking(&["id"], &["name", "seats"]);
    let mut run = Run::new(dir.path(), 1);
    run.limits = Limits { memory_bytes: 3000, disk_bytes: 1 << 30 };
    run.chunk_rows = 10;
    let batches: Vec<_> = rows(0).chunks(20).map(|rows| batch(&shop(), rows)).collect();
    let whole = list(&run.compare(&open(dir.path()), &of, &shop(), &batches).unwrap().change_set);
    let path = dir.path().join("changes-1.arrow");
    let count = at_every_step(|steps| {
        std::fs::remove_file(&path).ok();
        let failing = Run { steps, ..run.clone() };
        let compared = failing.compare(&open(dir.path()), &of, &shop(), &batches);
        if path.exists() {
            assert_eq!(list(&crate::ChangeSet::open(&path).unwrap()), whole);
        }
        compared.is_ok()
    });
    assert!(count > 20, "{count} steps");
}

fn commit_all(run: &Run<'_>, checkpoint: &Checkpoint, of: &Tracking, change: u8) -> Compared {
    run.compare(checkpoint, of, &shop(), &[batch(&shop(), &rows(change))]).unwrap()
}

/// The checkpoint after a crash at any step of `act` is the one before or the one after, and `act` succeeds then.
fn check(act: impl Fn(&Checkpoint, &crate::ChangeSet) -> Result<Checkpoint, crate::CheckpointError>, retrack: bool) {
    let dir = tempfile::tempdir().unwrap();
    let of = tracking(&["id"], &["name", "seats"]);
    let first = commit_all(&Run::new(dir.path(), 1), &open(dir.path()), &of, 0);
    open(dir.path()).commit(&first.change_set, &Bits::below(60)).unwrap();
    let now = if retrack { tracking(&["id"], &["name"]) } else { of };
    let changes = commit_all(&Run::new(dir.path(), 2), &open(dir.path()), &now, 1).change_set;
    let saved = tempfile::tempdir().unwrap();
    copy(&dir.path().join("checkpoint"), saved.path());

    let count = at_every_step(|steps| {
        std::fs::remove_dir_all(dir.path().join("checkpoint")).unwrap();
        copy(saved.path(), &dir.path().join("checkpoint"));
        let crashing = Checkpoint::open(&dir.path().join("checkpoint"), steps).unwrap();
        let before = crashing.generation();
        let acted = act(&crashing, &changes);
        let found = open(dir.path());
        found.verify().unwrap();
        assert!(found.generation() == before || found.generation() == before + 1);
        let listed = list(&commit_all(&Run::new(dir.path(), 3), &found, &now, 1).change_set);
        if found.generation() == before {
            assert_eq!(listed, list(&changes), "all changes are still to be made");
        }
        // The program starts again, and does it again.
        let done = act(&found, &changes).unwrap();
        done.verify().unwrap();
        assert_eq!(open(dir.path()).generation(), done.generation());
        let names = std::fs::read_dir(done.dir()).unwrap();
        assert!(names.flatten().all(|entry| !entry.file_name().to_string_lossy().contains("tmp")), "no leftovers");
        acted.is_ok()
    });
    assert!(count >= 20, "{count} steps");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_commit_that_crashes_at_any_step_is_made_whole_by_the_next() {
    check(|checkpoint, changes| checkpoint.commit(changes, &Bits::below(changes.len())), false);
    // Few enough changes for a delta.
    check(|checkpoint, changes| checkpoint.commit(changes, &Bits::below(3)), false);
}

#[test]
fn a_commit_of_another_tracking_that_crashes_at_any_step_is_made_whole_by_the_next() {
    check(|checkpoint, changes| checkpoint.commit(changes, &Bits::below(3)), true);
}

#[test]
fn a_reset_that_crashes_at_any_step_is_made_whole_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let of = tracking(&["id"], &["name", "seats"]);
    at_every_step(|steps| {
        std::fs::remove_dir_all(dir.path().join("checkpoint")).ok();
        let first = commit_all(&Run::new(dir.path(), 1), &open(dir.path()), &of, 0);
        open(dir.path()).commit(&first.change_set, &Bits::below(60)).unwrap();
        let acted = Checkpoint::open(&dir.path().join("checkpoint"), steps).unwrap().reset();
        assert!([0, 60].contains(&open(dir.path()).len()));
        assert_eq!(open(dir.path()).reset().unwrap().len(), 0);
        acted.is_ok()
    });
}
