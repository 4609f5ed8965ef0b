//! The first start: nobody is there to add anybody, so whoever reads the server's output becomes the first owner, by a
//! link that works once.

use std::time::Duration;

use store::StoreError;

use crate::{AppState, tickets};

/// How long the link works.
const LASTS: Duration = Duration::from_secs(24 * 3_600);

/// Makes a link to set the first owner up, to be shown to whoever started the server. None if there are people already.
///
/// # Errors
/// The store fails.
pub async fn setup_link(state: &AppState) -> Result<Option<String>, StoreError> {
    let ticket = tickets::ticket(&*state.random);
    let expires_at = state.clock.now().checked_add(LASTS).unwrap_or(jiff::Timestamp::MAX);
    let needed = state.store.create_setup_link(&tickets::hash(&ticket), expires_at).await?;
    Ok(needed.then(|| state.settings.public_url.at(&format!("/setup?token={ticket}"))))
}
