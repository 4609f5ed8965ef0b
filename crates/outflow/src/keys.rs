//! The keys that secrets at rest are sealed with: from the environment, or from a file in the data folder.

use std::{io, path::Path, sync::Arc};

use rand::TryRng as _;
use store::{Keyring, KeyringError};

use crate::surroundings::{SystemRandom, variable};

/// Holds the keys themselves, one a line or between commas, the newest first.
const KEY_VARIABLE: &str = "OUTFLOW_KEY";
/// Names the file that holds them.
const FILE_VARIABLE: &str = "OUTFLOW_KEY_FILE";
/// The file in the data folder.
const FILE: &str = "key";

/// The keys of a data folder. If there are none yet and none are given, a file is made with one.
pub(crate) fn keyring(data: &Path) -> Result<Keyring, KeyringError> {
    let random = Arc::new(SystemRandom);
    if let Some(text) = variable(KEY_VARIABLE).filter(|text| !text.trim().is_empty()) {
        return Keyring::of_text(&text, random);
    }
    match variable(FILE_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => Keyring::of_file(Path::new(&path), new_key, random),
        None => Keyring::of_file(&data.join(FILE), new_key, random),
    }
}

/// Of the system's randomness and nothing else.
pub(crate) fn new_key() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
