//! The lock that keeps two processes from running one mapping: the operating system's, so it ends with its process.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::file_name;

/// Held as long as it lives; the operating system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct MappingLock {
    file: File,
    mapping: String,
}

/// Another process, or another part of this one, runs the mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mapping `{mapping}` is being run by {owner}; wait for it to end, or stop it")]
pub struct Locked {
    pub mapping: String,
    /// Who it is, as far as the lock's file tells.
    pub owner: String,
    pub since: Option<Timestamp>,
}

/// Why a lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(transparent)]
    Locked(#[from] Locked),
    #[error("cannot lock `{}`; check that the folder may be written to and its file system has locks", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What stands in a lock's file, for people and for [`Locked`].
#[derive(Serialize, Deserialize)]
struct Owner {
    owner: String,
    pid: u32,
    host: String,
    since: Timestamp,
}

impl MappingLock {
    /// Takes the lock of a mapping, at once or not at all. `owner` says what it is for: `outflow sync`.
    ///
    /// # Errors
    /// Another holds it, or the file system refuses.
    pub fn acquire(locks_dir: &Path, mapping: &str, owner: &str, now: Timestamp) -> Result<Self, LockError> {
        let path = locks_dir.join(format!("{}.lock", file_name(mapping)));
        let failed = |source| LockError::File { path: path.clone(), source };
        fs::create_dir_all(locks_dir).map_err(failed)?;
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(&mut file, mapping).into()),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let owner = Owner { owner: owner.to_owned(), pid: std::process::id(), host: host(), since: now };
        write_owner(&mut file, &owner).map_err(failed)?;
        // The file stays when the lock is given back: removing it would let two processes lock two files of one name.
        Ok(Self { file, mapping: mapping.to_owned() })
    }

    /// The mapping it is for.
    pub fn mapping(&self) -> &str {
        &self.mapping
    }
}

impl Drop for MappingLock {
    fn drop(&mut self) {
        // A child process may hold the file open still; the lock must end here all the same.
        if let Err(error) = self.file.unlock() {
            tracing::warn!(mapping = self.mapping, error = &error as &dyn std::error::Error, "lock not given back");
        }
    }
}

fn write_owner(file: &mut File, owner: &Owner) -> io::Result<()> {
    let text = serde_json::to_string(owner)?;
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")
}

fn locked(file: &mut File, mapping: &str) -> Locked {
    let mut text = String::new();
    let owner = file.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str::<Owner>(&text).ok());
    match owner {
        Some(Owner { owner, pid, host, since }) => Locked {
            mapping: mapping.to_owned(),
            owner: format!("`{owner}` (process {pid} on {host}, since {since:.0})"),
            since: Some(since),
        },
        // It has the lock and is about to write its name.
        None => Locked { mapping: mapping.to_owned(), owner: "another process".to_owned(), since: None },
    }
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| fs::read_to_string("/etc/hostname"));
    match name {
        Ok(name) if !name.trim().is_empty() => name.trim().to_owned(),
        _ => "this host".to_owned(),
    }
}

#[cfg(test)]
mod tests;
