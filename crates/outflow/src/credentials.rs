//! Where tokens are kept that a person granted or a tool renewed: one file a destination in the data folder.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use kit::{TokenStore, Tokens};
use store::file_name;

const FOLDER: &str = "credentials";
/// Tells the unfinished files of one program apart.
static PARTS: AtomicU64 = AtomicU64::new(0);

/// The file of one destination.
#[derive(Debug)]
pub(crate) struct CredentialsFile {
    folder: PathBuf,
    name: String,
}

impl CredentialsFile {
    pub(crate) fn new(data: &Path, destination: &str) -> Self {
        Self { folder: data.join(FOLDER), name: file_name(destination) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }

    fn make_folder(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
}

impl TokenStore for CredentialsFile {
    fn load(&self) -> io::Result<Option<Tokens>> {
        let told = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", self.path().display()));
        match fs::read(self.path()) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                // The message must not repeat what the file holds.
                let place = format!("line {}, column {}", error.line(), error.column());
                told(io::Error::other(format!("it is damaged at {place}; remove it and connect again")))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(told(error)),
        }
    }

    fn save(&self, tokens: &Tokens) -> io::Result<()> {
        self.make_folder()?;
        // Of this call alone: whoever else saves must not write into it.
        let number = PARTS.fetch_add(1, Ordering::Relaxed);
        let part = self.folder.join(format!("{}.json.{}-{number}.part", self.name, std::process::id()));
        // One that an earlier program left behind may have other rights.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let text = serde_json::to_vec_pretty(tokens)?;
        let placed = options.open(&part).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&part, self.path())
        });
        if let Err(error) = placed {
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        // The new name is durable only with its folder.
        #[cfg(unix)]
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn Send>> {
        self.make_folder()?;
        let path = self.folder.join(format!("{}.lock", self.name));
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        // It is given back when the file is closed.
        Ok(Box::new(file))
    }
}
