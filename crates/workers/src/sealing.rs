//! The store's keyring as definitions are sealed and opened with it.

use project::Seal;
use store::Keyring;

use crate::error::told;

/// Seals the secrets of definitions with the store's keys.
#[derive(Debug, Clone)]
pub struct KeyringSeal(pub Keyring);

impl Seal for KeyringSeal {
    fn seal(&self, about: &str, plain: &str) -> String {
        self.0.seal(about, plain)
    }

    fn open(&self, about: &str, sealed: &str) -> Result<String, String> {
        self.0.open(about, sealed).map_err(|error| told(&error))
    }
}
