//! Texts that nobody can guess: what sessions, tokens and links are known by. The store keeps hashes of them, so that
//! whoever reads it cannot act as anybody.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use records::Random;
use sha2::{Digest as _, Sha256};

/// What tokens begin with, so that people and scanners of code know them.
pub(crate) const TOKEN_PREFIX: &str = "of_";

/// A new text of 256 random bits.
pub(crate) fn ticket(random: &dyn Random) -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>(random))
}

/// A new API token.
pub(crate) fn token(random: &dyn Random) -> String {
    format!("{TOKEN_PREFIX}{}", ticket(random))
}

pub(crate) fn bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
    }
    bytes
}

/// What the store knows a text by. The texts are random, so no salt is needed; and whoever measures how long a look-up
/// takes learns about hashes, which lead nowhere.
pub(crate) fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests;
