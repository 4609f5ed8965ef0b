//! Sessions: a person's stays between signing in and signing out. Only a hash of what the browser holds is here.

use std::time::Duration;

use jiff::Timestamp;
use records::{SessionId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Author, PeopleError, Store, StoreError, User, audit,
    database::{Row, args},
    users::{self, micro, user_row},
};

/// Sessions of one person at a time. One more ends the oldest.
const SESSIONS_MAX: usize = 50;
/// How exact the time is at which a session was last used: not every request is worth a write.
const SEEN_PRECISION: Duration = Duration::from_secs(60);

/// How long sessions last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Without being used.
    pub idle: Duration,
    /// However much they are used.
    pub absolute: Duration,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// Where it was begun from.
    pub address: Option<String>,
    /// The browser, as it calls itself.
    pub agent: Option<String>,
}

/// A session about to begin.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub id: SessionId,
    pub token_hash: String,
    pub user: UserId,
    pub address: Option<String>,
    pub agent: Option<String>,
}

const COLUMNS: &str = "sessions.id AS session_id, user_id AS session_user, sessions.created_at AS session_created_at, seen_at, address, agent";

impl Store {
    /// Begins a session. The person's oldest ends if there are too many.
    ///
    /// # Errors
    /// There is no such person any more, or a statement fails.
    pub async fn begin_session(&self, new: &NewSession, author: &Author) -> Result<Session, PeopleError> {
        let now = micro(self.now())?;
        let user = new.user.to_string();
        let mut transaction = self.begin("begin a session").await?;
        let person = users::of_version(&mut transaction, new.user, None).await?;
        let sql = "INSERT INTO sessions (id, token_hash, user_id, created_at, seen_at, address, agent) \
                   VALUES ($1, $2, $3, $4, $4, $5, $6)";
        let args = args![new.id.to_string(), &new.token_hash, &user, now, new.address.as_ref(), new.agent.as_ref()];
        transaction.execute(sql, args).await?;
        let excess = "DELETE FROM sessions WHERE user_id = $1 AND id NOT IN \
                      (SELECT id FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT $2)";
        transaction.execute(excess, args![&user, u64::try_from(SESSIONS_MAX).unwrap_or(u64::MAX)]).await?;
        transaction.execute("UPDATE users SET signed_in_at = $1 WHERE id = $2", args![now, &user]).await?;
        let details = json!({ "session": new.id, "address": new.address });
        let entry = author.entry(now, "session.create", "user", &person.email, details);
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(Session {
            id: new.id,
            user: new.user,
            created_at: now,
            seen_at: now,
            address: new.address.clone(),
            agent: new.agent.clone(),
        })
    }

    /// The session that a hash belongs to, with its person, if it lasts still. It counts as used.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn session_of_hash(
        &self,
        token_hash: &str,
        limits: SessionLimits,
    ) -> Result<Option<(Session, User)>, StoreError> {
        let now = self.now();
        let sql = format!(
            "SELECT {COLUMNS}, {} FROM sessions JOIN users ON users.id = user_id WHERE token_hash = $1 \
             AND seen_at > $2 AND sessions.created_at > $3",
            users::COLUMNS
        );
        let args = args![token_hash, before(now, limits.idle), before(now, limits.absolute)];
        let row = self.read().await?.row("find a session", sqlx::AssertSqlSafe(sql), args).await?;
        let Some(row) = row else { return Ok(None) };
        let (mut session, user) = (session_row(&row)?, user_row(&row)?);
        if session.seen_at <= before(now, SEEN_PRECISION) {
            let sql = "UPDATE sessions SET seen_at = $1 WHERE id = $2 AND seen_at < $1";
            self.write().await?.execute("note a session's use", sql, args![now, session.id.to_string()]).await?;
            session.seen_at = micro(now)?;
        }
        Ok(Some((session, user)))
    }

    /// The sessions of a person that last still, newest first.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn sessions_of(&self, user: UserId, limits: SessionLimits) -> Result<Vec<Session>, StoreError> {
        let now = self.now();
        let sql = format!(
            "SELECT {COLUMNS} FROM sessions WHERE user_id = $1 AND seen_at > $2 AND created_at > $3 ORDER BY id DESC"
        );
        let args = args![user.to_string(), before(now, limits.idle), before(now, limits.absolute)];
        let rows = self.read().await?.rows("list sessions", sqlx::AssertSqlSafe(sql), args).await?;
        rows.iter().map(session_row).collect()
    }

    /// Ends a session of a person. False if there is none such.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn end_session(&self, user: UserId, id: SessionId, author: &Author) -> Result<bool, StoreError> {
        let mut transaction = self.begin("end a session").await?;
        let sql = "DELETE FROM sessions WHERE id = $1 AND user_id = $2 \
                   RETURNING (SELECT email FROM users WHERE users.id = user_id) AS email";
        let Some(row) = transaction.row(sql, args![id.to_string(), user.to_string()]).await? else {
            return Ok(false);
        };
        let entry = author.entry(self.now(), "session.end", "user", &row.text("email")?, json!({ "session": id }));
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Forgets the sessions that have ended. Gives how many.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn forget_ended_sessions(&self, limits: SessionLimits) -> Result<u64, StoreError> {
        let now = self.now();
        let sql = "DELETE FROM sessions WHERE seen_at <= $1 OR created_at <= $2";
        let args = args![before(now, limits.idle), before(now, limits.absolute)];
        self.write().await?.execute("forget ended sessions", sql, args).await
    }
}

/// So long before a time; the beginning of time if that is longer than there was.
pub(crate) fn before(time: Timestamp, long: Duration) -> Timestamp {
    time.checked_sub(long).unwrap_or(Timestamp::MIN)
}

fn session_row(row: &Row) -> Result<Session, StoreError> {
    Ok(Session {
        id: row.parsed("session_id", "a session's id")?,
        user: row.parsed("session_user", "a user's id")?,
        created_at: row.time("session_created_at")?,
        seen_at: row.time("seen_at")?,
        address: row.optional_text("address")?,
        agent: row.optional_text("agent")?,
    })
}

#[cfg(test)]
mod tests;
