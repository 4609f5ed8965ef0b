//! The keys that secrets are sealed with at rest. They stand outside the database: in a file, or in a text that the
//! program was given.

mod file;
mod reseal;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use records::Random;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

pub use self::reseal::Resealed;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// How many keys one text holds at most.
const KEYS_MAX: usize = 32;
/// Goes before a key where its id is made, so that the id says nothing of the key.
const ID_OF: &[u8] = b"outflow key id:";

/// Why a key could not be read, or a text not opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("{place}: line {line} is not a key; a key is 32 random bytes as base64: `openssl rand -base64 32`")]
    Malformed { place: String, line: usize },
    #[error("{place} holds no key; a key is 32 random bytes as base64: `openssl rand -base64 32`")]
    Empty { place: String },
    #[error("{place} holds more than {KEYS_MAX} keys")]
    TooMany { place: String },
    #[error("the key file `{}` cannot be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the key file `{}` cannot be written", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the keys come from the environment; put the new key before the others there")]
    NotInFile,
    #[error("it was sealed with the key `{id}`, which is not among those given ({})", known.join(", "))]
    UnknownKey { id: String, known: Vec<String> },
    #[error("it cannot be opened: it was changed, or belongs to something else")]
    Damaged,
    #[error("key `{id}` seals new secrets; add another before it is dropped")]
    Newest { id: String },
}

/// The keys, the newest first: it seals, and each of them opens. Cheap to clone; all clones see a key that is added.
#[derive(Clone)]
pub struct Keyring {
    shared: Arc<Shared>,
}

struct Shared {
    keys: RwLock<Vec<SealingKey>>,
    file: Option<PathBuf>,
    random: Arc<dyn Random>,
}

#[derive(Clone)]
struct SealingKey {
    id: String,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// Nothing of the keys but their ids.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("ids", &self.ids()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// The keys of a text that the program was given: one a line or between commas, the newest first. `random` makes
    /// nonces.
    ///
    /// # Errors
    /// It holds no key, or something else.
    pub fn of_text(text: &str, random: Arc<dyn Random>) -> Result<Self, KeyringError> {
        let keys = parse(text, "the text of the keys")?;
        Ok(Self { shared: Arc::new(Shared { keys: RwLock::new(keys), file: None, random }) })
    }

    /// The ids of the keys, the newest first.
    pub fn ids(&self) -> Vec<String> {
        self.keys().into_iter().map(|key| key.id).collect()
    }

    /// Seals a text with the newest key. What it is about (`destination/crm`) is bound to it: it opens nowhere else.
    pub fn seal(&self, about: &str, plain: &str) -> String {
        // Another process may have changed the keys, and is about to drop the one that was the newest here.
        if let Err(error) = self.read_again() {
            tracing::warn!(error = &error as &dyn std::error::Error, "sealing with the keys as they were read before");
        }
        let keys = self.keys();
        let mut nonce = [0; NONCE_BYTES];
        for part in nonce.chunks_exact_mut(8) {
            part.copy_from_slice(&self.shared.random.next().to_le_bytes());
        }
        #[expect(clippy::expect_used, reason = "a keyring is made with a key, and its newest cannot be dropped")]
        let newest = keys.first().expect("a keyring has a key");
        let payload = Payload { msg: plain.as_bytes(), aad: about.as_bytes() };
        #[expect(clippy::expect_used, reason = "it fails only on texts of more than 256 GB")]
        let mut sealed = newest.cipher().encrypt(&XNonce::from(nonce), payload).expect("a text can be sealed");
        let mut bytes = nonce.to_vec();
        bytes.append(&mut sealed);
        format!("{}.{}", newest.id, general_purpose::URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Opens what was sealed about the same.
    ///
    /// # Errors
    /// Its key is not there, it was changed, or it is about something else.
    pub fn open(&self, about: &str, sealed: &str) -> Result<String, KeyringError> {
        let (id, text) = sealed.split_once('.').ok_or(KeyringError::Damaged)?;
        let key = self.key(id)?;
        let bytes = general_purpose::URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyringError::Damaged)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(KeyringError::Damaged)?;
        let payload = Payload { msg: sealed, aad: about.as_bytes() };
        let plain = key.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| KeyringError::Damaged)?;
        String::from_utf8(plain).map_err(|error| {
            error.into_bytes().zeroize();
            KeyringError::Damaged
        })
    }

    fn keys(&self) -> Vec<SealingKey> {
        self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn key(&self, id: &str) -> Result<SealingKey, KeyringError> {
        let of = |keys: Vec<SealingKey>| keys.into_iter().find(|key| key.id == id);
        if let Some(key) = of(self.keys()) {
            return Ok(key);
        }
        // Another process may have added one meanwhile.
        if self.shared.file.is_some() {
            self.read_again()?;
        }
        of(self.keys()).ok_or_else(|| KeyringError::UnknownKey { id: id.to_owned(), known: self.ids() })
    }
}

impl SealingKey {
    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let digest = Sha256::new().chain_update(ID_OF).chain_update(*bytes).finalize();
        Self { id: digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect(), bytes }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.bytes).into())
    }
}

/// `place` tells where the text stands; nothing of the text itself goes into an error.
fn parse(text: &str, place: &str) -> Result<Vec<SealingKey>, KeyringError> {
    let mut keys: Vec<SealingKey> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let malformed = || KeyringError::Malformed { place: place.to_owned(), line: index + 1 };
        let code = line.split('#').next().unwrap_or_default();
        for word in code.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let mut bytes = Zeroizing::new([0; KEY_BYTES]);
            let length = general_purpose::STANDARD.decode_slice(word, &mut *bytes).map_err(|_| malformed())?;
            if length != KEY_BYTES {
                return Err(malformed());
            }
            let key = SealingKey::new(bytes);
            if !keys.iter().any(|known| known.id == key.id) {
                keys.push(key);
            }
        }
    }
    match keys.len() {
        0 => Err(KeyringError::Empty { place: place.to_owned() }),
        many if many > KEYS_MAX => Err(KeyringError::TooMany { place: place.to_owned() }),
        _ => Ok(keys),
    }
}
