//! Tokens that a person granted or a tool renewed, one set a destination, sealed. Whoever renews them holds them
//! meanwhile, across processes: a refresh token is often good for one use.

use std::{future::Future, time::Duration};

use records::Random;
use serde_json::Value;
use tokio::{runtime::Handle, time::Instant};

use crate::{
    Keyring, KeyringError, Store, StoreError,
    database::{args, to_micros},
};

const SEALED: &str = "${sealed:";
/// A holder that was cut off loses them after this long. To renew takes seconds.
const HELD_MAX: Duration = Duration::from_secs(120);
/// How long one waits for another that holds them.
const WAIT_MAX: Duration = Duration::from_secs(150);
const WAIT_PAUSE: Duration = Duration::from_millis(200);

/// Why tokens could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum GrantedError {
    #[error("the access granted to `{destination}` cannot be read; connect it again")]
    Sealed {
        destination: String,
        #[source]
        source: KeyringError,
    },
    #[error("another process has been renewing the access to `{destination}` for too long; try again later")]
    Busy { destination: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the tokens of one destination are kept.
#[derive(Debug, Clone)]
pub struct GrantedTokens {
    store: Store,
    keyring: Keyring,
    destination: String,
}

/// Held until it is dropped.
#[derive(Debug)]
pub struct HeldTokens {
    tokens: GrantedTokens,
    holder: String,
    runtime: Option<Handle>,
}

impl Store {
    /// The tokens of a destination.
    pub fn granted_tokens(&self, destination: &str, keyring: &Keyring) -> GrantedTokens {
        GrantedTokens { store: self.clone(), keyring: keyring.clone(), destination: destination.to_owned() }
    }

    /// The destinations that access was granted to, by name.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn granted_destinations(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT destination FROM granted_tokens WHERE tokens IS NOT NULL ORDER BY destination";
        let rows = self.read().await?.rows("list granted access", sql, args![]).await?;
        rows.iter().map(|row| row.text("destination")).collect()
    }
}

impl GrantedTokens {
    fn about(&self) -> String {
        format!("granted/{}", self.destination)
    }

    /// What is kept, as it was given.
    ///
    /// # Errors
    /// It cannot be opened, or the statement fails.
    pub async fn load(&self) -> Result<Option<String>, GrantedError> {
        let sql = "SELECT tokens FROM granted_tokens WHERE destination = $1";
        let row = self.store.read().await?.row("find granted access", sql, args![&self.destination]).await?;
        let Some(kept) = row.map(|row| row.optional_json::<Value>("tokens", "granted access")).transpose()?.flatten()
        else {
            return Ok(None);
        };
        let sealed = kept.as_str().and_then(|text| text.strip_prefix(SEALED)?.strip_suffix('}')).unwrap_or_default();
        let opened = self.keyring.open(&self.about(), sealed);
        let failed = |source| GrantedError::Sealed { destination: self.destination.clone(), source };
        opened.map(Some).map_err(failed)
    }

    /// Keeps this in the place of what was kept.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn save(&self, tokens: &str) -> Result<(), GrantedError> {
        let sealed = Value::from(format!("{SEALED}{}}}", self.keyring.seal(&self.about(), tokens)));
        let sql = "INSERT INTO granted_tokens (destination, tokens, updated_at) VALUES ($1, $2, $3) \
             ON CONFLICT (destination) DO UPDATE SET tokens = $2, updated_at = $3";
        let args = args![&self.destination, sealed.to_string(), self.store.now()];
        self.store.write().await?.execute("keep granted access", sql, args).await?;
        Ok(())
    }

    /// Forgets what is kept. Gives whether there was something.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn remove(&self) -> Result<bool, GrantedError> {
        let sql = "DELETE FROM granted_tokens WHERE destination = $1";
        Ok(self.store.write().await?.execute("forget granted access", sql, args![&self.destination]).await? > 0)
    }

    /// Waits until nobody else renews them, and keeps others from it.
    ///
    /// # Errors
    /// Another does not come to an end, or a statement fails.
    pub async fn hold(&self, random: &dyn Random) -> Result<HeldTokens, GrantedError> {
        let holder = format!("{:016x}{:016x}", random.next(), random.next());
        let begun = Instant::now();
        while !self.try_hold(&holder).await? {
            if begun.elapsed() > WAIT_MAX {
                return Err(GrantedError::Busy { destination: self.destination.clone() });
            }
            tokio::time::sleep(WAIT_PAUSE).await;
        }
        Ok(HeldTokens { tokens: self.clone(), holder, runtime: Handle::try_current().ok() })
    }

    async fn try_hold(&self, holder: &str) -> Result<bool, StoreError> {
        let now = self.store.now();
        let until = to_micros(now).saturating_add(i64::try_from(HELD_MAX.as_micros()).unwrap_or(i64::MAX));
        let sql = "INSERT INTO granted_tokens (destination, updated_at, holder, held_until) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (destination) DO UPDATE SET holder = $3, held_until = $4 WHERE granted_tokens.holder IS NULL \
             OR granted_tokens.holder = $3 OR granted_tokens.held_until < $2";
        let args = args![&self.destination, now, holder, until];
        Ok(self.store.write().await?.execute("hold granted access", sql, args).await? > 0)
    }

    fn release(&self, holder: &str) -> impl Future<Output = Result<u64, StoreError>> + Send + use<> {
        let (store, destination, holder) = (self.store.clone(), self.destination.clone(), holder.to_owned());
        async move {
            let sql =
                "UPDATE granted_tokens SET holder = NULL, held_until = NULL WHERE destination = $1 AND holder = $2";
            store.write().await?.execute("let go of granted access", sql, args![destination, holder]).await
        }
    }
}

impl Drop for HeldTokens {
    fn drop(&mut self) {
        // Without a runtime it ends by itself, later.
        if let Some(runtime) = &self.runtime {
            runtime.spawn(self.tokens.release(&self.holder));
        }
    }
}

#[cfg(test)]
mod tests;
