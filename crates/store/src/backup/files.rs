//! The files of a data folder, copied while syncs write them.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{Archive, BackupError, FILES};

/// What is not copied: the store, which is copied as rows, what is worth nothing later, and the keys.
const LEFT_OUT: [&str; 8] =
    ["control.db", "control.db-wal", "control.db-shm", "locks", "scratch", "key", "keys", "server.lock"];
/// Ends of names of files that are being written.
const UNFINISHED: [&str; 4] = [".part", ".tmp", ".lock", ".restoring"];
const MAPPINGS: &str = "mappings";
const SYNCS: &str = "syncs";
/// A checkpoint is what this file says, and it is replaced as a whole.
const CHECKPOINT_MANIFEST: &str = "manifest.json";
/// How many times a checkpoint is looked at that changes meanwhile.
const ATTEMPTS_MAX: u32 = 50;

pub(super) fn copy<W: Write>(data: &Path, archive: &mut Archive<W>) -> Result<(), BackupError> {
    for (name, path) in entries(data)? {
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let place = format!("{FILES}/{name}");
        if name == MAPPINGS {
            for (mapping, path) in entries(&path)? {
                copy_mapping(&path, &format!("{place}/{mapping}"), archive)?;
            }
        } else {
            copy_any(&path, &place, archive)?;
        }
    }
    Ok(())
}

/// What syncs noted first, then the checkpoint.
fn copy_mapping<W: Write>(folder: &Path, place: &str, archive: &mut Archive<W>) -> Result<(), BackupError> {
    let mut parts = entries(folder)?;
    parts.sort_by_key(|(name, _)| name != SYNCS);
    for (name, path) in parts {
        copy_any(&path, &format!("{place}/{name}"), archive)?;
    }
    Ok(())
}

fn copy_any<W: Write>(path: &Path, place: &str, archive: &mut Archive<W>) -> Result<(), BackupError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() && path.join(CHECKPOINT_MANIFEST).exists() => copy_whole(path, place, archive),
        Ok(found) if found.is_dir() => {
            for (name, path) in entries(path)? {
                copy_any(&path, &format!("{place}/{name}"), archive)?;
            }
            Ok(())
        }
        Ok(_) => copy_file(path, place, archive),
        // It came to its end meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(BackupError::File { path: path.to_owned(), source }),
    }
}

/// A folder whose manifest names its files: all of one moment. They are opened before any is read, and if the manifest
/// is the same before and after, none that it names was gone.
fn copy_whole<W: Write>(folder: &Path, place: &str, archive: &mut Archive<W>) -> Result<(), BackupError> {
    let manifest = folder.join(CHECKPOINT_MANIFEST);
    let read = || fs::read(&manifest).map_err(|source| BackupError::File { path: manifest.clone(), source });
    for _ in 0..ATTEMPTS_MAX {
        let before = read()?;
        let mut opened = Vec::new();
        for (name, path) in entries(folder)? {
            if name == CHECKPOINT_MANIFEST {
                continue;
            }
            match open(&path) {
                Ok(Some((file, length))) => opened.push((name, path, file, length)),
                // A folder, or it is gone already.
                Ok(None) => {}
                Err(source) => return Err(BackupError::File { path, source }),
            }
        }
        if read()? != before {
            continue;
        }
        for (name, path, file, length) in opened {
            let added = archive.add_from(&format!("{place}/{name}"), length, file);
            added.map_err(|source| BackupError::File { path, source })?;
        }
        return archive.add(&format!("{place}/{CHECKPOINT_MANIFEST}"), &before).map_err(BackupError::Write);
    }
    Err(BackupError::Restless(folder.to_owned()))
}

pub(super) fn copy_file<W: Write>(path: &Path, place: &str, archive: &mut Archive<W>) -> Result<(), BackupError> {
    let failed = |source| BackupError::File { path: path.to_owned(), source };
    match open(path).map_err(failed)? {
        Some((file, length)) => archive.add_from(place, length, file).map_err(failed),
        None => Ok(()),
    }
}

/// A file with its length now. None for what is no file, or gone.
fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    match File::open(path) {
        Ok(file) => {
            let found = file.metadata()?;
            Ok(found.is_file().then_some((file, found.len())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What stands in a folder, by name. Nothing, if the folder is gone.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, BackupError> {
    let failed = |source| BackupError::File { path: folder.to_owned(), source };
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut entries = Vec::new();
    for entry in listed {
        let entry = entry.map_err(failed)?;
        // All names here are our own, which are plain.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !UNFINISHED.iter().any(|end| name.ends_with(end)) {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}
