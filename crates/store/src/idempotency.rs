//! Answers of requests that may come a second time: whoever repeats one under its key is given the first answer.

use jiff::Timestamp;

use crate::{Store, StoreError, database::args};

/// What tells one request from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestKey<'a> {
    /// Who asks: an actor's id. Keys of others are others.
    pub caller: &'a str,
    /// The operation it is for.
    pub route: &'a str,
    /// The `Idempotency-Key`.
    pub key: &'a str,
}

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It is to be done, about this subject: the one proposed, or that of a first attempt that was cut off.
    Do { subject: String },
    /// It was done; this was the answer.
    Done { status: u16, answer: String },
    /// It is being done.
    UnderWay,
    /// The key was used for a request with another body.
    Other,
}

impl Store {
    /// Begins a request, or finds that it was begun before. `subject` is the id of what it is about to make, so that a
    /// request that was cut off and comes again makes the same and no second one. One that was begun before
    /// `given_up_before` and has no answer counts as cut off.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn ask_once(
        &self,
        request: &RequestKey<'_>,
        request_hash: &str,
        subject: &str,
        given_up_before: Timestamp,
    ) -> Result<Asked, StoreError> {
        let RequestKey { caller, route, key } = *request;
        let mut transaction = self.begin("begin a request that may come again").await?;
        let insert = "INSERT INTO idempotency (caller, route, key, request_hash, subject, begun_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (caller, route, key) DO NOTHING";
        let args = args![caller, route, key, request_hash, subject, self.now()];
        if transaction.execute(insert, args).await? > 0 {
            transaction.commit().await?;
            return Ok(Asked::Do { subject: subject.to_owned() });
        }
        let find = format!(
            "SELECT * FROM idempotency WHERE caller = $1 AND route = $2 AND key = $3{}",
            transaction.for_update()
        );
        let found = transaction.row(sqlx::AssertSqlSafe(find), args![caller, route, key]).await?;
        // Given up by its first caller in this very moment: whoever asks again begins anew.
        let Some(found) = found else { return Ok(Asked::UnderWay) };
        if found.text("request_hash")? != request_hash {
            return Ok(Asked::Other);
        }
        let status = found.optional_integer("status")?.and_then(|status| u16::try_from(status).ok());
        if let Some(status) = status {
            let answer = found.optional_text("answer")?.unwrap_or_default();
            return Ok(Asked::Done { status, answer });
        }
        if found.time("begun_at")? >= given_up_before {
            return Ok(Asked::UnderWay);
        }
        let again = "UPDATE idempotency SET begun_at = $4 WHERE caller = $1 AND route = $2 AND key = $3";
        transaction.execute(again, args![caller, route, key, self.now()]).await?;
        transaction.commit().await?;
        Ok(Asked::Do { subject: found.text("subject")? })
    }

    /// Keeps the answer of a request.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn answered(&self, request: &RequestKey<'_>, status: u16, answer: &str) -> Result<(), StoreError> {
        let RequestKey { caller, route, key } = *request;
        let sql = "UPDATE idempotency SET status = $4, answer = $5 WHERE caller = $1 AND route = $2 AND key = $3";
        let args = args![caller, route, key, i64::from(status), answer];
        self.write().await?.execute("keep an answer", sql, args).await?;
        Ok(())
    }

    /// Forgets a request that came to nothing, so that it can be asked again under its key.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn give_up(&self, request: &RequestKey<'_>) -> Result<(), StoreError> {
        let RequestKey { caller, route, key } = *request;
        let sql = "DELETE FROM idempotency WHERE caller = $1 AND route = $2 AND key = $3 AND status IS NULL";
        self.write().await?.execute("give a request up", sql, args![caller, route, key]).await?;
        Ok(())
    }

    /// Forgets the requests that were begun before a time. Gives how many.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn forget_requests_before(&self, time: Timestamp) -> Result<u64, StoreError> {
        let sql = "DELETE FROM idempotency WHERE begun_at < $1";
        self.write().await?.execute("forget old requests", sql, args![time]).await
    }
}

#[cfg(test)]
mod tests;
