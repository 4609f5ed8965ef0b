//! `outflow backup` and `outflow restore`: a server's whole state in one file, and back.

use std::{
    fs::{self, File},
    io::BufReader,
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use serde_json::json;
use store::{BackupOptions, Store, Target};

use super::Context;
use crate::{
    failure::{Exit, Failure},
    installation::{Installation, Places},
    surroundings::SystemClock,
};

/// Write a server's whole state into one file. The server may run meanwhile.
///
/// Definitions, people, syncs, checkpoints and history go into it. The keys that secrets are sealed with do not, unless
/// you ask for them: keep a copy of the key file in another place.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  outflow backup --data /var/lib/outflow outflow-2026-03-01.backup")]
pub(crate) struct Backup {
    #[command(flatten)]
    places: Places,
    /// The file to write. It must not be there yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Put the keys in too: then whoever has the file can read the secrets.
    #[arg(long)]
    with_keys: bool,
}

/// Bring a server's state back from a backup, into an empty data folder and, if it is named, an empty database.
///
/// A backup of either kind of store can be restored into the other.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  outflow restore --data /var/lib/outflow-new outflow-2026-03-01.backup")]
pub(crate) struct Restore {
    #[command(flatten)]
    places: Places,
    /// The backup.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let installation = Installation::beside(&self.places).await?;
        let failed = |what: &str| format!("the backup `{}` {what}", self.file.display());
        let file = File::create_new(&self.file).map_err(|error| {
            Failure::new(failed("cannot be made")).because(error).hint("name a file that is not there")
        })?;
        let keys = self.places.key_file(&installation.folder).filter(|_| self.with_keys);
        let options =
            BackupOptions { data: &installation.folder, keys: keys.as_deref(), made_by: env!("CARGO_PKG_VERSION") };
        let written = installation.store.backup(options, file).await;
        let manifest = written.map_err(|error| {
            // Half a backup is none.
            let _ = fs::remove_file(&self.file);
            Failure::new(failed("was not written")).because(error)
        })?;
        context.output.result(&json!({ "file": self.file, "manifest": manifest }), |_| {
            let keys = if self.with_keys { "" } else { " The keys are not in it: keep a copy of them elsewhere." };
            format!("Written to {}.{keys}", self.file.display())
        });
        Ok(Exit::Done)
    }
}

impl Restore {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let folder = self.places.folder();
        let failed = || Failure::new(format!("the backup `{}` was not restored", self.file.display()));
        let file = File::open(&self.file).map_err(|error| failed().because(error))?;
        let url = self.places.database_url();
        let target = Target { data: &folder, database_url: url.as_deref() };
        let restored = Store::restore(BufReader::new(file), target, Arc::new(SystemClock)).await;
        let restored = restored.map_err(|error| failed().because(error))?;
        let shown =
            json!({ "folder": folder, "rows": restored.rows, "keys": restored.keys, "manifest": restored.manifest });
        context.output.result(&shown, |_| {
            let keys = match restored.keys {
                Some(_) => "",
                None => " Put the key file of the old server there before you start it.",
            };
            format!("Restored into {}.{keys}", folder.display())
        });
        Ok(Exit::Done)
    }
}
