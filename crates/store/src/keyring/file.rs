//! The file of the keys: made when there is none, added to when keys are changed, for its owner's eyes alone.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose};
use records::Random;
use zeroize::Zeroizing;

use super::{KEY_BYTES, Keyring, KeyringError, SealingKey, Shared, parse};

const HEADING: &str = "\
# The keys that secrets are sealed with, the newest first. Whoever has this file and the state can read them;
# without it nobody can. Keep a copy in a safe place, apart from backups.
";

impl Keyring {
    /// The keys of a file. If there is none yet, it is made with a key of these bytes, which must be unpredictable.
    ///
    /// # Errors
    /// It cannot be read or made, or it holds no keys.
    pub fn of_file(
        path: &Path,
        new_key: impl FnOnce() -> io::Result<[u8; KEY_BYTES]>,
        random: Arc<dyn Random>,
    ) -> Result<Self, KeyringError> {
        let read = |source| KeyringError::Read { path: path.to_owned(), source };
        if !path.try_exists().map_err(read)? {
            let write = |source| KeyringError::Write { path: path.to_owned(), source };
            let key = SealingKey::new(Zeroizing::new(new_key().map_err(write)?));
            match write_file(path, &[key], false) {
                // Another process was first; its key counts.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.map_err(write)?,
            }
        }
        let keys = read_file(path)?;
        Ok(Self { shared: Arc::new(Shared { keys: RwLock::new(keys), file: Some(path.to_owned()), random }) })
    }

    /// Whether keys can be added to it: those of a file can.
    pub fn is_file(&self) -> bool {
        self.shared.file.is_some()
    }

    /// Puts a new key before the others, in the file first. From now on it seals.
    ///
    /// # Errors
    /// The keys do not come from a file, or it cannot be written.
    pub fn add(&self, key: [u8; KEY_BYTES]) -> Result<String, KeyringError> {
        let key = SealingKey::new(Zeroizing::new(key));
        let id = key.id.clone();
        self.rewrite(|keys| {
            keys.retain(|known| known.id != key.id);
            keys.insert(0, key);
            Ok(())
        })?;
        Ok(id)
    }

    /// Drops a key that seals nothing any more. Whether that is so, [`crate::Store::reseal`] tells.
    ///
    /// # Errors
    /// It is the newest, the keys do not come from a file, or it cannot be written.
    pub fn drop_key(&self, id: &str) -> Result<(), KeyringError> {
        self.rewrite(|keys| {
            if keys.first().is_some_and(|newest| newest.id == id) {
                return Err(KeyringError::Newest { id: id.to_owned() });
            }
            keys.retain(|known| known.id != id);
            Ok(())
        })
    }

    fn rewrite(
        &self,
        change: impl FnOnce(&mut Vec<SealingKey>) -> Result<(), KeyringError>,
    ) -> Result<(), KeyringError> {
        let path = self.shared.file.as_deref().ok_or(KeyringError::NotInFile)?;
        let mut shared = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        let mut keys = read_file(path)?;
        change(&mut keys)?;
        write_file(path, &keys, true).map_err(|source| KeyringError::Write { path: path.to_owned(), source })?;
        *shared = keys;
        Ok(())
    }

    /// Takes up what another process wrote into the file.
    pub(super) fn read_again(&self) -> Result<(), KeyringError> {
        let Some(path) = self.shared.file.as_deref() else { return Ok(()) };
        let keys = read_file(path)?;
        *self.shared.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

fn read_file(path: &Path) -> Result<Vec<SealingKey>, KeyringError> {
    let text = fs::read_to_string(path).map_err(|source| KeyringError::Read { path: path.to_owned(), source })?;
    let text = Zeroizing::new(text);
    #[cfg(unix)]
    warn_of_readers(path);
    parse(&text, &format!("the key file `{}`", path.display()))
}

/// A mounted file may not be its reader's to change, so this is no error.
#[cfg(unix)]
fn warn_of_readers(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "others than its owner may read the key file");
    }
}

/// Beside its place first, then there as a whole.
fn write_file(path: &Path, keys: &[SealingKey], is_replacing: bool) -> io::Result<()> {
    let mut text = Zeroizing::new(String::from(HEADING));
    for key in keys {
        let word = Zeroizing::new(general_purpose::STANDARD.encode(*key.bytes));
        text.push_str(&word);
        text.push('\n');
    }
    let part = path.with_extension(format!("{}.part", std::process::id()));
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
    let placed = options.open(&part).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A link fails where a file is already, renaming would replace it.
        if is_replacing { fs::rename(&part, path) } else { fs::hard_link(&part, path) }
    });
    let _ = fs::remove_file(&part);
    placed?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}
