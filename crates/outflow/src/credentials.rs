//! Where tokens are kept that a person granted or a tool renewed: one sealed file a destination in the data folder.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use kit::{TokenStore, Tokens};
use serde::{Deserialize, Serialize};
use store::{Keyring, file_name};

use crate::keys;

const FOLDER: &str = "credentials";
/// Tells the unfinished files of one program apart.
static PARTS: AtomicU64 = AtomicU64::new(0);

/// The file of one destination.
#[derive(Debug, Clone)]
pub(crate) struct CredentialsFile {
    data: PathBuf,
    folder: PathBuf,
    destination: String,
    name: String,
}

/// What stands in a file. Before there were keys it was the tokens themselves.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Sealed { sealed: String },
    Plain(Tokens),
}

impl CredentialsFile {
    pub(crate) fn new(data: &Path, destination: &str) -> Self {
        Self {
            data: data.to_owned(),
            folder: data.join(FOLDER),
            destination: destination.to_owned(),
            name: file_name(destination),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }

    fn keyring(&self) -> io::Result<Keyring> {
        keys::keyring(&self.data).map_err(io::Error::other)
    }

    /// What is bound to the sealed text: it opens as no other destination's.
    fn about(&self) -> String {
        format!("granted/{}", self.destination)
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

    fn kept(&self) -> io::Result<Option<Kept>> {
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

    fn opened(&self) -> io::Result<Option<Tokens>> {
        let sealed = match self.kept()? {
            None => return Ok(None),
            Some(Kept::Plain(tokens)) => return Ok(Some(tokens)),
            Some(Kept::Sealed { sealed }) => sealed,
        };
        let told = |why: String| {
            let path = self.path();
            io::Error::other(format!("`{}`: {why}; give the key it was sealed with, or connect again", path.display()))
        };
        let text = self.keyring()?.open(&self.about(), &sealed).map_err(|error| told(error.to_string()))?;
        serde_json::from_str(&text).map(Some).map_err(|_| told("what was sealed are no tokens".to_owned()))
    }

    fn seal(&self, tokens: &Tokens) -> io::Result<()> {
        self.make_folder()?;
        let sealed = self.keyring()?.seal(&self.about(), &serde_json::to_string(tokens)?);
        let text = serde_json::to_vec(&Kept::Sealed { sealed })?;
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

    fn locked(&self) -> io::Result<File> {
        self.make_folder()?;
        let path = self.folder.join(format!("{}.lock", self.name));
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        // Only under the lock: another process may just be renewing what stands here.
        if let Some(Kept::Plain(tokens)) = self.kept()? {
            self.seal(&tokens)?;
        }
        Ok(file)
    }
}

#[async_trait]
impl TokenStore for CredentialsFile {
    async fn load(&self) -> io::Result<Option<Tokens>> {
        self.opened()
    }

    async fn save(&self, tokens: &Tokens) -> io::Result<()> {
        self.seal(tokens)
    }

    async fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        let file = self.clone();
        // Waiting for it keeps no other task from going on.
        let locked = tokio::task::spawn_blocking(move || file.locked()).await.map_err(io::Error::other)??;
        // It is given back when the file is closed.
        Ok(Box::new(locked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(access: &str) -> Tokens {
        serde_json::from_value(serde_json::json!({ "access_token": access, "origin": "o" })).unwrap()
    }

    #[tokio::test]
    async fn tokens_are_sealed_and_old_plain_ones_are_sealed_when_they_are_next_held() {
        let folder = tempfile::tempdir().unwrap();
        let file = CredentialsFile::new(folder.path(), "crm");
        file.make_folder().unwrap();
        fs::write(file.path(), serde_json::to_string_pretty(&tokens("pl4in")).unwrap()).unwrap();
        assert_eq!(file.load().await.unwrap().unwrap(), tokens("pl4in"));
        let held = file.lock().await.unwrap();
        assert!(!fs::read_to_string(file.path()).unwrap().contains("pl4in"));
        assert_eq!(file.load().await.unwrap().unwrap(), tokens("pl4in"));
        file.save(&tokens("n3xt")).await.unwrap();
        drop(held);
        assert!(!fs::read_to_string(file.path()).unwrap().contains("n3xt"));
        assert_eq!(CredentialsFile::new(folder.path(), "crm").load().await.unwrap().unwrap(), tokens("n3xt"));

        let other = CredentialsFile::new(folder.path(), "other");
        fs::copy(file.path(), other.path()).unwrap();
        let error = other.load().await.unwrap_err().to_string();
        assert!(error.contains("belongs to something else; give the key"), "{error}");
        fs::remove_file(folder.path().join("key")).unwrap();
        let error = file.load().await.unwrap_err().to_string();
        assert!(error.contains("which is not among those given"), "{error}");
    }
}
