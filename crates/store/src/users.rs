//! The people who may sign in: who they are, their role, and how they prove who they are.

use jiff::Timestamp;
use records::{SessionId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Author, Role, Store, StoreError, audit,
    database::{Row, Transaction, args},
};

/// What can go wrong with people beside the store itself.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error("somebody with the e-mail address `{0}` is there already")]
    EmailTaken(String),
    #[error("there is no user `{0}`")]
    Unknown(UserId),
    #[error("it is at version {current} now")]
    OtherVersion { current: u64 },
    #[error("`{0}` is the last owner; make somebody else an owner first")]
    LastOwner(String),
    #[error("the link was used already, has ended, or never was one")]
    LinkEnded,
    #[error("the account of `{0}` is tied to somebody else of the identity provider")]
    OtherIdentity(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who a person is to an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub issuer: String,
    /// The provider's own name for the person, which never goes to another.
    pub subject: String,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    /// In small letters; nobody else has the same.
    pub email: String,
    pub name: String,
    pub role: Role,
    /// Whether values of columns marked personal are shown; None is as the role has it.
    pub see_personal: Option<bool>,
    pub has_password: bool,
    pub identity: Option<Identity>,
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub signed_in_at: Option<Timestamp>,
}

impl User {
    pub fn sees_personal(&self) -> bool {
        self.see_personal.unwrap_or_else(|| self.role.sees_personal())
    }
}

/// A person about to be added.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub see_personal: Option<bool>,
    pub password_hash: Option<String>,
    pub identity: Option<Identity>,
}

/// What may be changed of a person; None leaves it.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    pub email: Option<String>,
    pub name: Option<String>,
    pub role: Option<Role>,
    /// None inside: as the role has it.
    pub see_personal: Option<Option<bool>>,
}

/// All columns but the password's hash.
pub(crate) const COLUMNS: &str = "users.id AS user_id, email, users.name AS user_name, users.role AS user_role, \
     users.see_personal AS user_sees, CAST(CASE WHEN password_hash IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_password, issuer, subject, version, \
     users.created_at AS user_created_at, updated_at, signed_in_at";

impl Store {
    /// Adds a person.
    ///
    /// # Errors
    /// Somebody has that e-mail address, or a statement fails.
    pub async fn create_user(&self, new: &NewUser, author: &Author) -> Result<User, PeopleError> {
        let mut transaction = self.begin("add a user").await?;
        let user = insert(&mut transaction, new, self.now(), author).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// The person of an id.
    ///
    /// # Errors
    /// There is none, or the statement fails.
    pub async fn user(&self, id: UserId) -> Result<User, PeopleError> {
        let sql = format!("SELECT {COLUMNS} FROM users WHERE id = $1");
        let row = self.read().await?.row("find a user", sqlx::AssertSqlSafe(sql), args![id.to_string()]).await?;
        Ok(user_row(&row.ok_or(PeopleError::Unknown(id))?)?)
    }

    /// The person of an e-mail address.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn user_of_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM users WHERE email = $1");
        let row = self.read().await?.row("find a user", sqlx::AssertSqlSafe(sql), args![small(email)]).await?;
        row.as_ref().map(user_row).transpose()
    }

    /// The person an identity provider knows by that identity.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn user_of_identity(&self, identity: &Identity) -> Result<Option<User>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM users WHERE issuer = $1 AND subject = $2");
        let args = args![&identity.issuer, &identity.subject];
        let row = self.read().await?.row("find a user", sqlx::AssertSqlSafe(sql), args).await?;
        row.as_ref().map(user_row).transpose()
    }

    /// People by e-mail address, from the one after `after` on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn users(&self, after: Option<&str>, limit: u32) -> Result<Vec<User>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM users WHERE email > $1 ORDER BY email LIMIT $2");
        let args = args![after.unwrap_or_default(), limit];
        let rows = self.read().await?.rows("list users", sqlx::AssertSqlSafe(sql), args).await?;
        rows.iter().map(user_row).collect()
    }

    /// Changes a person. `version` is the one that was read; None for whichever it is.
    ///
    /// # Errors
    /// There is no such person, or at another version; the last owner would be none any more; or a statement fails.
    pub async fn update_user(
        &self,
        id: UserId,
        version: Option<u64>,
        change: &UserChange,
        author: &Author,
    ) -> Result<User, PeopleError> {
        let mut transaction = self.begin("change a user").await?;
        let mut user = of_version(&mut transaction, id, version).await?;
        let before = user.clone();
        if let Some(email) = &change.email {
            user.email = small(email);
        }
        if let Some(name) = &change.name {
            user.name.clone_from(name);
        }
        user.role = change.role.unwrap_or(user.role);
        user.see_personal = change.see_personal.unwrap_or(user.see_personal);
        if user == before {
            return Ok(user);
        }
        if before.role == Role::Owner && user.role != Role::Owner {
            not_the_last_owner(&mut transaction, &before).await?;
        }
        user.version += 1;
        user.updated_at = micro(self.now())?;
        let sql = "UPDATE users SET email = $1, name = $2, role = $3, see_personal = $4, version = $5, \
                   updated_at = $6 WHERE id = $7";
        let args = args![
            &user.email,
            &user.name,
            user.role.name(),
            user.see_personal,
            user.version,
            user.updated_at,
            id.to_string(),
        ];
        taken(transaction.execute(sql, args).await, &user.email)?;
        let details = json!({ "before": shown(&before), "after": shown(&user) });
        let entry = author.entry(self.now(), "user.update", "user", &user.email, details);
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Takes a person out, with sessions, tokens and links.
    ///
    /// # Errors
    /// There is no such person, or at another version; it is the last owner; or a statement fails.
    pub async fn delete_user(&self, id: UserId, version: Option<u64>, author: &Author) -> Result<(), PeopleError> {
        let mut transaction = self.begin("delete a user").await?;
        let user = of_version(&mut transaction, id, version).await?;
        if user.role == Role::Owner {
            not_the_last_owner(&mut transaction, &user).await?;
        }
        transaction.execute("DELETE FROM users WHERE id = $1", args![id.to_string()]).await?;
        let entry = author.entry(self.now(), "user.delete", "user", &user.email, shown(&user));
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The hash of a person's password, with the person.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn password_of(&self, email: &str) -> Result<Option<(User, Option<String>)>, StoreError> {
        let sql = format!("SELECT {COLUMNS}, password_hash FROM users WHERE email = $1");
        let row = self.read().await?.row("find a user", sqlx::AssertSqlSafe(sql), args![small(email)]).await?;
        row.map(|row| Ok((user_row(&row)?, row.optional_text("password_hash")?))).transpose()
    }

    /// Sets a person's password. Sessions other than `keep` end, and so do links.
    ///
    /// # Errors
    /// There is no such person, or a statement fails.
    pub async fn set_password(
        &self,
        id: UserId,
        hash: &str,
        keep: Option<SessionId>,
        author: &Author,
    ) -> Result<(), PeopleError> {
        let mut transaction = self.begin("set a password").await?;
        let user = of_version(&mut transaction, id, None).await?;
        write_password(&mut transaction, &user, hash, keep, self.now(), author).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Puts the hash of the same password by newer rules in place of `old`. It is no change that anybody sees.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn rehash_password(&self, id: UserId, old: &str, new: &str) -> Result<(), StoreError> {
        let sql = "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3";
        let args = args![new, id.to_string(), old];
        self.write().await?.execute("hash a password anew", sql, args).await.map(drop)
    }

    /// Ties a person to an identity, whatever it signed in with before.
    ///
    /// # Errors
    /// There is no such person; it is tied to another identity; or a statement fails.
    pub async fn tie_identity(&self, id: UserId, identity: &Identity, author: &Author) -> Result<User, PeopleError> {
        let mut transaction = self.begin("tie a user to an identity").await?;
        let mut user = of_version(&mut transaction, id, None).await?;
        match &user.identity {
            Some(tied) if tied == identity => return Ok(user),
            Some(_) => return Err(PeopleError::OtherIdentity(user.email)),
            None => {}
        }
        user.identity = Some(identity.clone());
        user.version += 1;
        user.updated_at = micro(self.now())?;
        let sql = "UPDATE users SET issuer = $1, subject = $2, version = $3, updated_at = $4 WHERE id = $5";
        let args = args![&identity.issuer, &identity.subject, user.version, user.updated_at, id.to_string()];
        transaction.execute(sql, args).await?;
        let details = json!({ "issuer": identity.issuer });
        let entry = author.entry(self.now(), "user.tie_identity", "user", &user.email, details);
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(user)
    }
}

/// Adds a person within a transaction.
pub(crate) async fn insert(
    transaction: &mut Transaction<'_>,
    new: &NewUser,
    now: Timestamp,
    author: &Author,
) -> Result<User, PeopleError> {
    let now = micro(now)?;
    let user = User {
        id: new.id,
        email: small(&new.email),
        name: new.name.clone(),
        role: new.role,
        see_personal: new.see_personal,
        has_password: new.password_hash.is_some(),
        identity: new.identity.clone(),
        version: 1,
        created_at: now,
        updated_at: now,
        signed_in_at: None,
    };
    let sql = "INSERT INTO users (id, email, name, role, see_personal, password_hash, issuer, subject, version, \
               created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9)";
    let args = args![
        user.id.to_string(),
        &user.email,
        &user.name,
        user.role.name(),
        user.see_personal,
        new.password_hash.as_ref(),
        user.identity.as_ref().map(|identity| &identity.issuer),
        user.identity.as_ref().map(|identity| &identity.subject),
        now,
    ];
    taken(transaction.execute(sql, args).await, &user.email)?;
    audit::write(transaction, &author.entry(now, "user.create", "user", &user.email, shown(&user))).await?;
    Ok(user)
}

/// Sets a password within a transaction, and ends what was opened with the one before.
pub(crate) async fn write_password(
    transaction: &mut Transaction<'_>,
    user: &User,
    hash: &str,
    keep: Option<SessionId>,
    now: Timestamp,
    author: &Author,
) -> Result<(), StoreError> {
    let id = user.id.to_string();
    let sql = "UPDATE users SET password_hash = $1, version = version + 1, updated_at = $2 WHERE id = $3";
    transaction.execute(sql, args![hash, now, &id]).await?;
    let keep = keep.map(|keep| keep.to_string()).unwrap_or_default();
    transaction.execute("DELETE FROM sessions WHERE user_id = $1 AND id <> $2", args![&id, keep]).await?;
    transaction.execute("DELETE FROM links WHERE user_id = $1", args![&id]).await?;
    audit::write(transaction, &author.entry(now, "user.set_password", "user", &user.email, json!({}))).await
}

/// A person at the version that was read, locked until the end of the transaction.
pub(crate) async fn of_version(
    transaction: &mut Transaction<'_>,
    id: UserId,
    version: Option<u64>,
) -> Result<User, PeopleError> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE id = $1{}", transaction.for_update());
    let row = transaction.row(sqlx::AssertSqlSafe(sql), args![id.to_string()]).await?;
    let user = user_row(&row.ok_or(PeopleError::Unknown(id))?)?;
    match version {
        Some(version) if version != user.version => Err(PeopleError::OtherVersion { current: user.version }),
        _ => Ok(user),
    }
}

/// Locks all owners, so that two of them cannot be taken away at the same time.
async fn not_the_last_owner(transaction: &mut Transaction<'_>, user: &User) -> Result<(), PeopleError> {
    let sql = format!("SELECT id FROM users WHERE role = 'owner' ORDER BY id{}", transaction.for_update());
    let owners = transaction.rows(sqlx::AssertSqlSafe(sql), args![]).await?;
    if owners.len() > 1 { Ok(()) } else { Err(PeopleError::LastOwner(user.email.clone())) }
}

fn taken<T>(result: Result<T, StoreError>, email: &str) -> Result<T, PeopleError> {
    result.map_err(
        |error| {
            if error.is_taken() { PeopleError::EmailTaken(email.to_owned()) } else { PeopleError::Store(error) }
        },
    )
}

/// What the audit log tells of a person.
fn shown(user: &User) -> Value {
    json!({ "email": user.email, "name": user.name, "role": user.role, "see_personal": user.see_personal })
}

/// Addresses are compared as people write them.
pub(crate) fn small(email: &str) -> String {
    email.trim().to_lowercase()
}

/// A time as the store keeps it.
pub(crate) fn micro(time: Timestamp) -> Result<Timestamp, StoreError> {
    crate::database::from_micros(crate::database::to_micros(time))
}

pub(crate) fn user_row(row: &Row) -> Result<User, StoreError> {
    let identity = match (row.optional_text("issuer")?, row.optional_text("subject")?) {
        (Some(issuer), Some(subject)) => Some(Identity { issuer, subject }),
        _ => None,
    };
    Ok(User {
        id: row.parsed("user_id", "a user's id")?,
        email: row.text("email")?,
        name: row.text("user_name")?,
        role: row.parsed("user_role", "a role")?,
        see_personal: row.optional_integer("user_sees")?.map(|flag| flag != 0),
        has_password: row.flag("has_password")?,
        identity,
        version: row.count("version")?,
        created_at: row.time("user_created_at")?,
        updated_at: row.time("updated_at")?,
        signed_in_at: row.optional_time("signed_in_at")?,
    })
}

#[cfg(test)]
mod tests;
