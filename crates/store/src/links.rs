//! Links that work once: to set the first owner up, to accept an invitation, to set a forgotten password anew.
//! Only hashes of what stands in them are here.

use jiff::Timestamp;
use records::UserId;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Author, NewUser, PeopleError, Store, StoreError, User, audit,
    database::{args, variant},
    users,
};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkPurpose {
    /// To become the first owner.
    Setup,
    /// To set the first password of a person who was added.
    Invitation,
    /// To set a new password.
    Reset,
}

const PURPOSES: [(LinkPurpose, &str); 3] =
    [(LinkPurpose::Setup, "setup"), (LinkPurpose::Invitation, "invitation"), (LinkPurpose::Reset, "reset")];

impl LinkPurpose {
    /// The word in the store and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            LinkPurpose::Setup => "setup",
            LinkPurpose::Invitation => "invitation",
            LinkPurpose::Reset => "reset",
        }
    }
}

impl Store {
    /// Makes a link to set the first owner up. False if there are people already, and so nothing to set up.
    ///
    /// Links of earlier starts work until they end, for several processes may start at once.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn create_setup_link(&self, token_hash: &str, expires_at: Timestamp) -> Result<bool, StoreError> {
        let now = self.now();
        let mut transaction = self.begin("make a link to set up").await?;
        transaction.execute("DELETE FROM links WHERE expires_at <= $1", args![now]).await?;
        let needed = transaction.row("SELECT 1 AS one FROM users LIMIT 1", args![]).await?.is_none();
        if needed {
            let sql = "INSERT INTO links (token_hash, purpose, user_id, created_at, expires_at) \
                       VALUES ($1, 'setup', NULL, $2, $3)";
            transaction.execute(sql, args![token_hash, now, expires_at]).await?;
        }
        transaction.commit().await?;
        Ok(needed)
    }

    /// Whether nobody is there yet.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn needs_setup(&self) -> Result<bool, StoreError> {
        let row = self.read().await?.row("look for users", "SELECT 1 AS one FROM users LIMIT 1", args![]).await?;
        Ok(row.is_none())
    }

    /// Adds the first owner, whom a link let in. No link to set up works afterwards.
    ///
    /// # Errors
    /// The link has ended, somebody was first, or a statement fails.
    pub async fn set_up(&self, token_hash: &str, owner: &NewUser, author: &Author) -> Result<User, PeopleError> {
        let now = self.now();
        let mut transaction = self.begin("set the first owner up").await?;
        // Whoever deletes the links first is the one: the others find none.
        let sql = "DELETE FROM links WHERE purpose = 'setup' RETURNING token_hash, expires_at";
        let links = transaction.rows(sql, args![]).await?;
        let mut is_valid = false;
        for link in &links {
            is_valid |= link.text("token_hash")? == token_hash && link.time("expires_at")? > now;
        }
        let is_first = transaction.row("SELECT 1 AS one FROM users LIMIT 1", args![]).await?.is_none();
        if !is_valid || !is_first {
            return Err(PeopleError::LinkEnded);
        }
        let user = users::insert(&mut transaction, owner, now, author).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Makes a link for a person. Those made for the person before work no more.
    ///
    /// # Errors
    /// There is no such person, or a statement fails.
    pub async fn create_link(
        &self,
        user: UserId,
        purpose: LinkPurpose,
        token_hash: &str,
        expires_at: Timestamp,
        author: &Author,
    ) -> Result<(), PeopleError> {
        let now = self.now();
        let id = user.to_string();
        let mut transaction = self.begin("make a link").await?;
        let user = users::of_version(&mut transaction, user, None).await?;
        transaction.execute("DELETE FROM links WHERE user_id = $1 OR expires_at <= $2", args![&id, now]).await?;
        let sql =
            "INSERT INTO links (token_hash, purpose, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
        transaction.execute(sql, args![token_hash, purpose.name(), &id, now, expires_at]).await?;
        let details = json!({ "purpose": purpose, "expires_at": expires_at });
        audit::write(&mut transaction, &author.entry(now, "user.link", "user", &user.email, details)).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// What a link that works still is for, and for whom. None for the first owner's.
    ///
    /// # Errors
    /// The link has ended, or a statement fails.
    pub async fn link(&self, token_hash: &str) -> Result<(LinkPurpose, Option<User>), PeopleError> {
        let sql = "SELECT purpose, user_id FROM links WHERE token_hash = $1 AND expires_at > $2";
        let row = self.read().await?.row("find a link", sql, args![token_hash, self.now()]).await?;
        let row = row.ok_or(PeopleError::LinkEnded)?;
        let purpose = variant(&PURPOSES, "a link's purpose", &row.text("purpose")?)?;
        match row.optional_text("user_id")? {
            None => Ok((purpose, None)),
            Some(_) => {
                let id = row.parsed("user_id", "a user's id")?;
                Ok((purpose, Some(self.user(id).await?)))
            }
        }
    }

    /// Sets the password of the person a link was made for. The link works no more, and all sessions end.
    ///
    /// # Errors
    /// The link has ended, or a statement fails.
    pub async fn use_link(
        &self,
        token_hash: &str,
        password_hash: &str,
        author: impl FnOnce(&User) -> Author,
    ) -> Result<User, PeopleError> {
        let now = self.now();
        let mut transaction = self.begin("set a password by a link").await?;
        let sql = "DELETE FROM links WHERE token_hash = $1 AND user_id IS NOT NULL AND expires_at > $2 \
                   RETURNING user_id";
        let row = transaction.row(sql, args![token_hash, now]).await?.ok_or(PeopleError::LinkEnded)?;
        let id = row.parsed("user_id", "a user's id")?;
        let user = users::of_version(&mut transaction, id, None).await?;
        users::write_password(&mut transaction, &user, password_hash, None, now, &author(&user)).await?;
        let user = users::of_version(&mut transaction, id, None).await?;
        transaction.commit().await?;
        Ok(user)
    }
}

#[cfg(test)]
mod tests;
