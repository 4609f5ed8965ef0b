//! Passwords: argon2id, on threads for work that blocks, few at a time, since each takes memory on purpose.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version, password_hash::phc::PasswordHash,
};
use records::Random;
use tokio::sync::Semaphore;

use crate::{ApiError, Code, tickets};

/// What the OWASP Password Storage Cheat Sheet asks for at least: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A hash of nobody's password, by today's rules: what is checked where there is no person, so that it takes as long.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$tBJpwXM4ri66udeOSJyaow$1C0YXsUcpd+R6i4xwLhg8CgbsWa+8I869xI3IJEjS9k";

/// Passwords that are hashed at the same time; others wait.
const AT_A_TIME: usize = 4;
/// Others that may wait. More are told to come back.
const WAITING_MAX: usize = 100;
/// After how many seconds.
const WAITING_RETRY_SECONDS: u32 = 5;

const LENGTH_MIN: usize = 12;
/// Hashing takes longer the longer it is; a page of text is enough for anybody.
const BYTES_MAX: usize = 1_024;

/// Why a password cannot be hashed.
#[derive(Debug, thiserror::Error)]
enum HashError {
    #[error("argon2id cannot be set up")]
    Parameters(#[source] argon2::Error),
    #[error("a password could not be hashed")]
    Hash(#[source] argon2::password_hash::Error),
    #[error("the thread that hashes a password ended")]
    Thread(#[source] tokio::task::JoinError),
}

/// Hashes and checks passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    random: Arc<dyn Random>,
    room: Semaphore,
    places: Semaphore,
}

/// What came of checking a password.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Wrong,
    Right,
    /// Right, but its hash follows older rules: this is the one to keep.
    RightByOlderRules(String),
}

impl Passwords {
    pub(crate) fn new(random: Arc<dyn Random>) -> Self {
        let places = Semaphore::new(WAITING_MAX + AT_A_TIME);
        Self { random, room: Semaphore::new(AT_A_TIME), places }
    }

    /// The hash of a new password, with salt and parameters, as text.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, ApiError> {
        let (password, salt) = (password.to_owned(), tickets::bytes::<16>(&*self.random));
        self.on_a_thread(move || hash(&password, &salt)).await
    }

    /// Checks a password. Without a hash it is wrong, and that is found out no faster.
    pub(crate) async fn check(&self, password: &str, hash: Option<String>) -> Result<Checked, ApiError> {
        let is_somebodys = hash.is_some();
        let known = hash.unwrap_or_else(|| NOBODYS.to_owned());
        let (password, salt) = (password.to_owned(), tickets::bytes::<16>(&*self.random));
        self.on_a_thread(move || {
            // What is too long was never taken as a password, and is not worth its time.
            let fits = password.len() <= BYTES_MAX;
            let right = verify(if fits { &password } else { "" }, &known)? && fits && is_somebodys;
            Ok(match right {
                false => Checked::Wrong,
                true if is_current(&known) => Checked::Right,
                true => Checked::RightByOlderRules(self::hash(&password, &salt)?),
            })
        })
        .await
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let _place = self.places.try_acquire().map_err(|_| {
            ApiError::new(Code::TooManyAttempts, "too many people sign in at the same time")
                .with_hint("try again in a moment")
                .with_header(http::header::RETRY_AFTER, WAITING_RETRY_SECONDS)
        })?;
        let _room = self.room.acquire().await.map_err(ApiError::internal)?;
        let done = tokio::task::spawn_blocking(work).await.map_err(HashError::Thread);
        done.and_then(|result| result).map_err(ApiError::internal)
    }
}

/// Refuses what is no good password, before anything is hashed.
pub(crate) fn acceptable(field: &str, password: &str, email: &str) -> Result<(), ApiError> {
    let mut letters = password.chars();
    let first = letters.next();
    let message = if password.chars().count() < LENGTH_MIN {
        format!("has fewer than {LENGTH_MIN} characters")
    } else if password.len() > BYTES_MAX {
        format!("is longer than {BYTES_MAX} bytes")
    } else if letters.all(|letter| Some(letter) == first) {
        "is one character again and again".to_owned()
    } else if password.trim().eq_ignore_ascii_case(email.trim()) {
        "is the e-mail address".to_owned()
    } else {
        return Ok(());
    };
    Err(ApiError::invalid(field, message))
}

fn argon2() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(HashError::Parameters)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str, salt: &[u8]) -> Result<String, HashError> {
    let hash: PasswordHash = argon2()?.hash_password_with_salt(password.as_bytes(), salt).map_err(HashError::Hash)?;
    Ok(hash.to_string())
}

fn verify(password: &str, hash: &str) -> Result<bool, HashError> {
    let hash = PasswordHash::new(hash).map_err(|error| HashError::Hash(error.into()))?;
    match argon2()?.verify_password(password.as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(HashError::Hash(error)),
    }
}

/// Whether a hash was made by the rules of this version.
fn is_current(hash: &str) -> bool {
    hash.starts_with(&format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$"))
}

#[cfg(test)]
mod tests;
