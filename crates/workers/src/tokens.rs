//! Tokens that a person granted or a tool renewed, as the kit asks for them: kept in the store, sealed.

use std::{io, sync::Arc};

use async_trait::async_trait;
use kit::{TokenStore, Tokens};
use records::Random;
use store::GrantedTokens;

/// The tokens of one destination.
#[derive(Debug)]
pub(crate) struct StoredTokens {
    pub(crate) granted: GrantedTokens,
    pub(crate) random: Arc<dyn Random>,
}

#[async_trait]
impl TokenStore for StoredTokens {
    async fn load(&self) -> io::Result<Option<Tokens>> {
        let kept = self.granted.load().await.map_err(io::Error::other)?;
        let damaged = |_| io::Error::other("the access that is kept cannot be understood; connect the tool again");
        kept.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()
    }

    async fn save(&self, tokens: &Tokens) -> io::Result<()> {
        let text = serde_json::to_string(tokens)?;
        self.granted.save(&text).await.map_err(io::Error::other)
    }

    async fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        let held = self.granted.hold(self.random.as_ref()).await.map_err(io::Error::other)?;
        Ok(Box::new(held))
    }
}
