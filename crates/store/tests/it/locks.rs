//! The lock of a mapping between processes.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
};

use jiff::Timestamp;
use store::{LockError, MappingLock};

/// Tells [`holds_the_lock_for_another_test`] which folder to lock a mapping in.
const FOLDER: &str = "OUTFLOW_TEST_LOCKS_FOLDER";

/// Does nothing, unless this process was started by a test below: then it holds a lock until its input ends.
#[test]
fn holds_the_lock_for_another_test() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let _lock = MappingLock::acquire(Path::new(&folder), "people", "the other process", Timestamp::UNIX_EPOCH).unwrap();
    println!("\nlocked");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn other_process(folder: &Path) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "locks::holds_the_lock_for_another_test", "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "locked"), "the other process has no lock");
    child
}

fn acquire(folder: &Path) -> Result<MappingLock, LockError> {
    MappingLock::acquire(folder, "people", "this process", Timestamp::UNIX_EPOCH)
}

#[test]
fn a_mapping_locked_by_another_process_is_free_once_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = other_process(folder.path());
    let error = acquire(folder.path()).unwrap_err();
    let LockError::Locked(locked) = &error else { panic!("{error:?}") };
    assert!(locked.owner.contains(&format!("`the other process` (process {} on ", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    acquire(folder.path()).unwrap();
}

#[test]
fn a_mapping_locked_by_another_process_is_free_once_that_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = other_process(folder.path());
    acquire(folder.path()).unwrap_err();
    drop(child.stdin.take());
    child.wait().unwrap();
    acquire(folder.path()).unwrap();
}

#[test]
fn a_lock_left_in_a_read_only_folder_says_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("people.lock");
    fs::create_dir(&blocked).unwrap();
    let error = acquire(folder.path()).unwrap_err();
    assert!(error.to_string().contains(&blocked.display().to_string()), "{error}");
}
