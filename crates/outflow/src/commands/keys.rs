//! `outflow keys`: the keys that a server seals secrets with.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    installation::{self, Installation, Places},
};

/// How long a write of a running server may take from sealing to its end.
const SETTLING: std::time::Duration = std::time::Duration::from_secs(2);

/// Look at and change the keys that a server seals secrets with.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    List(List),
    Rotate(Rotate),
}

/// List the ids of the keys, the newest first. The keys themselves are never shown.
#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    places: Places,
}

/// Seal every secret with a new key. The server may run meanwhile.
///
/// Where the keys stand in a file, a new one is put before the others, everything is sealed with it, and the old ones
/// are dropped. Where they come from OUTFLOW_KEY, put the new key before the old one there, separated by a comma, and
/// restart the server first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow keys rotate --data /var/lib/outflow
  outflow keys rotate --keep-old            # backups that were made before can still be read with this file")]
struct Rotate {
    #[command(flatten)]
    places: Places,
    /// Keep the old keys in the file, to open older backups.
    #[arg(long)]
    keep_old: bool,
}

impl Keys {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        match self.command {
            KeysCommand::List(command) => command.run(context).await,
            KeysCommand::Rotate(command) => command.run(context).await,
        }
    }
}

impl List {
    async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let installation = Installation::beside(&self.places).await?;
        let ids = installation.keyring.ids();
        context.output.result(&json!({ "keys": ids }), |_| ids.join("\n"));
        Ok(Exit::Done)
    }
}

impl Rotate {
    async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let Installation { store, keyring, .. } = Installation::beside(&self.places).await?;
        let failed = |error: store::KeyringError| Failure::new("the keys cannot be changed").because(error);
        if keyring.is_file() {
            let key = installation::new_key().map_err(|error| Failure::new("no new key can be made").because(error))?;
            keyring.add(key).map_err(failed)?;
            // What a server sealed a moment ago with the old key is in the store by then.
            tokio::time::sleep(SETTLING).await;
        }
        let resealed = store.reseal(&keyring).await.map_err(|error| {
            Failure::new("not every secret is sealed with the new key yet")
                .because(error)
                .hint("run it again: it goes on where it was; the old keys are still there")
        })?;
        if !resealed.unopened.is_empty() {
            let message = format!("these secrets cannot be opened with any key: {}", resealed.unopened.join(", "));
            return Err(Failure::new(message).hint("enter them anew, then rotate again; no key was dropped"));
        }
        let ids = keyring.ids();
        let (newest, old) = ids.split_first().map_or((String::new(), &[][..]), |(newest, old)| (newest.clone(), old));
        if keyring.is_file() && !self.keep_old {
            for id in old {
                keyring.drop_key(id).map_err(failed)?;
            }
        }
        context.output.result(&json!({ "key": newest, "resealed": resealed.rows }), |_| {
            format!("Every secret is sealed with the key {newest} now.")
        });
        Ok(Exit::Done)
    }
}
