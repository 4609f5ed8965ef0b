//! The lock within one process. Between processes: `tests/it/locks.rs`.

use super::*;
use crate::testing::second;

#[test]
fn a_mapping_is_locked_once_and_free_again_when_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let locks = folder.path().join("locks");
    let lock = MappingLock::acquire(&locks, "people", "outflow sync", second(60)).unwrap();
    assert_eq!(lock.mapping(), "people");
    let error = MappingLock::acquire(&locks, "people", "outflow plan", second(61)).unwrap_err();
    let LockError::Locked(locked) = &error else { panic!("{error:?}") };
    assert_eq!((&locked.mapping[..], locked.since), ("people", Some(second(60))));
    let message = error.to_string();
    assert!(message.contains("`outflow sync`"), "{message}");
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    assert!(message.contains("1970-01-01T00:01:00Z"), "{message}");

    MappingLock::acquire(&locks, "orders", "outflow sync", second(61)).unwrap();
    drop(lock);
    MappingLock::acquire(&locks, "people", "outflow sync", second(62)).unwrap();
}

#[test]
fn a_lock_file_that_says_nothing_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.lock");
    fs::write(&path, "rubbish that is longer than an owner would ever be ".repeat(20)).unwrap();
    let lock = MappingLock::acquire(folder.path(), "people", "outflow sync", second(60)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("{\"owner\":\"outflow sync\"") && text.ends_with("}\n"), "{text}");
    fs::write(&path, "").unwrap();
    let error = MappingLock::acquire(folder.path(), "people", "outflow sync", second(61)).unwrap_err();
    assert!(error.to_string().contains("run by another process"), "{error}");
    drop(lock);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = MappingLock::acquire(&file.join("locks"), "people", "outflow sync", second(60)).unwrap_err();
    assert!(error.to_string().contains("people.lock"), "{error}");
}
