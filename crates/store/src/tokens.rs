//! API tokens: what programs sign in with in a person's name. Only hashes of them are here.

use std::time::Duration;

use jiff::Timestamp;
use records::{TokenId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Author, Role, Store, StoreError, User, audit,
    database::{Row, args},
    sessions::before,
    users::{self, micro, user_row},
};

/// How exact the time is at which a token was last used: not every request is worth a write.
const USED_PRECISION: Duration = Duration::from_secs(60);

/// A token, without what makes it one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: TokenId,
    /// In whose name it acts. It has no right that the person has not.
    pub user: UserId,
    pub name: String,
    /// Its last characters.
    pub ending: String,
    /// The most it may do.
    pub role: Role,
    /// Whether it is shown values of columns marked personal.
    pub see_personal: bool,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
}

/// A token about to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub id: TokenId,
    pub token_hash: String,
    pub user: UserId,
    pub name: String,
    pub ending: String,
    pub role: Role,
    pub see_personal: bool,
    pub expires_at: Option<Timestamp>,
}

const COLUMNS: &str = "tokens.id AS token_id, user_id AS token_user, tokens.name AS token_name, ending, \
     tokens.role AS token_role, tokens.see_personal AS token_sees, tokens.created_at AS token_created_at, expires_at, \
     used_at";

impl Store {
    /// Makes a token.
    ///
    /// # Errors
    /// A statement fails; one reason is that there is no such person any more.
    pub async fn create_token(&self, new: &NewToken, author: &Author) -> Result<Token, StoreError> {
        let now = micro(self.now())?;
        let token = Token {
            id: new.id,
            user: new.user,
            name: new.name.clone(),
            ending: new.ending.clone(),
            role: new.role,
            see_personal: new.see_personal,
            created_at: now,
            expires_at: new.expires_at.map(micro).transpose()?,
            used_at: None,
        };
        let mut transaction = self.begin("make a token").await?;
        let sql = "INSERT INTO tokens (id, token_hash, user_id, name, ending, role, see_personal, created_at, \
                   expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let args = args![
            token.id.to_string(),
            &new.token_hash,
            token.user.to_string(),
            &token.name,
            &token.ending,
            token.role.name(),
            token.see_personal,
            token.created_at,
            token.expires_at,
        ];
        transaction.execute(sql, args).await?;
        let entry = author.entry(now, "token.create", "token", &token.name, shown(&token));
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(token)
    }

    /// The token that a hash belongs to, with its person, unless it has expired. It counts as used.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn token_of_hash(&self, token_hash: &str) -> Result<Option<(Token, User)>, StoreError> {
        let now = self.now();
        let sql = format!(
            "SELECT {COLUMNS}, {} FROM tokens JOIN users ON users.id = user_id WHERE token_hash = $1 \
             AND (expires_at IS NULL OR expires_at > $2)",
            users::COLUMNS
        );
        let row = self.read().await?.row("find a token", sqlx::AssertSqlSafe(sql), args![token_hash, now]).await?;
        let Some(row) = row else { return Ok(None) };
        let (mut token, user) = (token_row(&row)?, user_row(&row)?);
        if token.used_at.is_none_or(|used_at| used_at <= before(now, USED_PRECISION)) {
            let sql = "UPDATE tokens SET used_at = $1 WHERE id = $2";
            self.write().await?.execute("note a token's use", sql, args![now, token.id.to_string()]).await?;
            token.used_at = Some(micro(now)?);
        }
        Ok(Some((token, user)))
    }

    /// The tokens of one person or of all, newest first, from the one after `after` on, expired ones too.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn tokens(
        &self,
        user: Option<UserId>,
        after: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError> {
        // Ids go on in hexadecimal digits, which all come before `g`.
        let after = after.map_or_else(|| "token_g".to_owned(), |after| after.to_string());
        let mut connection = self.read().await?;
        let rows = match user {
            Some(user) => {
                let sql =
                    format!("SELECT {COLUMNS} FROM tokens WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
                let args = args![user.to_string(), after, limit];
                connection.rows("list tokens", sqlx::AssertSqlSafe(sql), args).await?
            }
            None => {
                let sql = format!("SELECT {COLUMNS} FROM tokens WHERE id < $1 ORDER BY id DESC LIMIT $2");
                connection.rows("list tokens", sqlx::AssertSqlSafe(sql), args![after, limit]).await?
            }
        };
        rows.iter().map(token_row).collect()
    }

    /// The token of an id.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn token(&self, id: TokenId) -> Result<Option<Token>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM tokens WHERE id = $1");
        let row = self.read().await?.row("find a token", sqlx::AssertSqlSafe(sql), args![id.to_string()]).await?;
        row.as_ref().map(token_row).transpose()
    }

    /// Takes a token back. False if it is gone already.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn delete_token(&self, token: &Token, author: &Author) -> Result<bool, StoreError> {
        let mut transaction = self.begin("take a token back").await?;
        if transaction.execute("DELETE FROM tokens WHERE id = $1", args![token.id.to_string()]).await? == 0 {
            return Ok(false);
        }
        let entry = author.entry(self.now(), "token.delete", "token", &token.name, shown(token));
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// What the audit log tells of a token.
fn shown(token: &Token) -> Value {
    json!({
        "token": token.id,
        "user": token.user,
        "role": token.role,
        "see_personal": token.see_personal,
        "expires_at": token.expires_at,
    })
}

fn token_row(row: &Row) -> Result<Token, StoreError> {
    Ok(Token {
        id: row.parsed("token_id", "a token's id")?,
        user: row.parsed("token_user", "a user's id")?,
        name: row.text("token_name")?,
        ending: row.text("ending")?,
        role: row.parsed("token_role", "a role")?,
        see_personal: row.flag("token_sees")?,
        created_at: row.time("token_created_at")?,
        expires_at: row.optional_time("expires_at")?,
        used_at: row.optional_time("used_at")?,
    })
}

#[cfg(test)]
mod tests;
