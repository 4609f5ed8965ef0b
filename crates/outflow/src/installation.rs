//! Where a server keeps things: its data folder, its control store and its keys, said by options or the environment.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use rand::TryRng as _;
use store::{Keyring, Store};

use crate::{
    failure::Failure,
    surroundings::{SystemClock, SystemRandom, variable},
};

/// The file of the control store in the data folder, where no database is named.
const STORE_FILE: &str = "control.db";
const KEY_FILE: &str = "keys";
const LOCK_FILE: &str = "server.lock";

/// The options of every command that works on a server's own state.
#[derive(Debug, Clone, Args)]
pub(crate) struct Places {
    /// The folder of the server's state. Environment: OUTFLOW_DATA. Default: `outflow-data`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Keep the control store in this PostgreSQL database instead of a file: `postgres://USER:PASSWORD@HOST/DATABASE`.
    /// Environment: OUTFLOW_DATABASE_URL, which no list of processes shows.
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// The file of the keys that secrets are sealed with. Environment: OUTFLOW_KEY_FILE, or OUTFLOW_KEY for the key
    /// itself. Default: `keys` in the data folder, made at the first start.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

impl Places {
    pub(crate) fn folder(&self) -> PathBuf {
        let folder = self.data.clone().or_else(|| variable("OUTFLOW_DATA").map(PathBuf::from));
        let folder = folder.unwrap_or_else(|| PathBuf::from("outflow-data"));
        std::path::absolute(&folder).unwrap_or(folder)
    }

    pub(crate) fn database_url(&self) -> Option<String> {
        self.database_url.clone().or_else(|| variable("OUTFLOW_DATABASE_URL")).filter(|url| !url.is_empty())
    }

    /// Where the key file is, if the keys stand in one.
    pub(crate) fn key_file(&self, folder: &Path) -> Option<PathBuf> {
        let named = self.key_file.clone().or_else(|| variable("OUTFLOW_KEY_FILE").map(PathBuf::from));
        match named {
            Some(file) => Some(file),
            None if variable("OUTFLOW_KEY").is_some() => None,
            None => Some(folder.join(KEY_FILE)),
        }
    }
}

/// A server's state, opened.
pub(crate) struct Installation {
    pub(crate) folder: PathBuf,
    pub(crate) store: Store,
    pub(crate) keyring: Keyring,
    /// Held as long as this process works on a data folder that it cannot share. None over PostgreSQL.
    _lock: Option<File>,
}

impl Installation {
    /// Opens the state for a server; what is missing is made. A data folder without PostgreSQL is one process's alone.
    pub(crate) async fn open(places: &Places) -> Result<Self, Failure> {
        let folder = places.folder();
        make_folder(&folder).map_err(|error| {
            Failure::new(format!("the data folder `{}` cannot be made", folder.display())).because(error)
        })?;
        let url = places.database_url();
        let lock = if url.is_none() { Some(lock(&folder)?) } else { None };
        let keyring = keyring(places, &folder)?;
        let store = open_store(&folder, url.as_deref()).await?;
        Ok(Self { folder, store, keyring, _lock: lock })
    }

    /// Opens the state that is there, beside a server that may be running.
    pub(crate) async fn beside(places: &Places) -> Result<Self, Failure> {
        let (folder, url) = (places.folder(), places.database_url());
        if url.is_none() && !folder.join(STORE_FILE).exists() {
            let message = format!("there is no server's state in `{}`", folder.display());
            return Err(
                Failure::new(message).hint("name its folder with `--data`, or its database with `--database-url`")
            );
        }
        let keyring = keyring(places, &folder)?;
        let store = open_store(&folder, url.as_deref()).await?;
        Ok(Self { folder, store, keyring, _lock: None })
    }
}

pub(crate) async fn open_store(folder: &Path, url: Option<&str>) -> Result<Store, Failure> {
    let clock = Arc::new(SystemClock);
    let opened = match url {
        Some(url) => Store::open_postgres(url, clock).await,
        None => Store::open(&folder.join(STORE_FILE), clock).await,
    };
    opened.map_err(|error| Failure::new("the control store cannot be opened").because(error))
}

pub(crate) fn keyring(places: &Places, folder: &Path) -> Result<Keyring, Failure> {
    let random = Arc::new(SystemRandom);
    let keys = match places.key_file(folder) {
        Some(file) => Keyring::of_file(&file, new_key, random),
        None => Keyring::of_text(&variable("OUTFLOW_KEY").unwrap_or_default(), random),
    };
    keys.map_err(|error| Failure::new("the keys that secrets are sealed with cannot be read").because(error))
}

/// Bytes for a new key, from the system: nothing else will do.
pub(crate) fn new_key() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut key).map_err(io::Error::other)?;
    Ok(key)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let is_new = !folder.exists();
    fs::create_dir_all(folder)?;
    #[cfg(unix)]
    if is_new {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The operating system's lock, so it ends with its process, however that ends.
fn lock(folder: &Path) -> Result<File, Failure> {
    let path = folder.join(LOCK_FILE);
    let failed = |error: io::Error| Failure::new(format!("`{}` cannot be locked", path.display())).because(error);
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("another process of Outflow works on the data folder `{}`", folder.display());
            Err(Failure::new(message).hint("stop it first; several processes can share a PostgreSQL database"))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
