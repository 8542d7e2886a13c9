//! API keys and revocations.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use super::SqliteStore;
use crate::{
    chat::Timestamp,
    store::{
        StoreError,
        columns::{millis, time},
        credentials::{
            ApiKeyRecord, Changes, CredentialStore, MAX_API_KEYS, MAX_REVOCATIONS, MAX_REVOKED_OF_USER,
            MAX_REVOKED_TOKENS, Revocation, RevokedToken,
        },
    },
};

#[async_trait]
impl CredentialStore for SqliteStore {
    async fn changes(&self, since: u64) -> Result<Changes, StoreError> {
        self.read("credentials", move |connection| match since {
            0 => all(connection),
            // Nobody else changes anything.
            known => Ok(Changes { revision: known, ..Changes::default() }),
        })
        .await
    }

    async fn add_api_key(&self, key: ApiKeyRecord) -> Result<bool, StoreError> {
        self.write("add_api_key", move |connection| add_key(connection, &key)).await
    }

    async fn revoke_api_key(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write("revoke_api_key", move |connection| {
            let sql = "UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
            connection.prepare_cached(sql)?.execute(params![id, millis(at)])?;
            Ok(())
        })
        .await
    }

    async fn note_uses(&self, uses: Vec<(String, Timestamp)>) -> Result<(), StoreError> {
        self.write("note_uses", move |connection| {
            let mut statement = connection.prepare_cached("UPDATE api_keys SET used_at = ?2 WHERE id = ?1")?;
            for (id, at) in uses {
                statement.execute(params![id, millis(at)])?;
            }
            Ok(())
        })
        .await
    }

    async fn revoke(&self, revocation: Revocation, forgotten: Timestamp) -> Result<bool, StoreError> {
        self.write("revoke", move |connection| revoke(connection, &revocation, forgotten)).await
    }

    async fn revoke_token(&self, token: RevokedToken, now: Timestamp) -> Result<bool, StoreError> {
        self.write("revoke_token", move |connection| revoke_token(connection, &token, now)).await
    }
}

fn all(connection: &Connection) -> Result<Changes, StoreError> {
    let keys = connection
        .prepare_cached(
            "SELECT id, name, hash, tenant, user, scopes, created_at, expires_at, used_at, revoked_at
             FROM api_keys ORDER BY created_at, id",
        )?
        .query_map([], key)?
        .collect::<Result<_, _>>()?;
    let revocation = |row: &Row<'_>| {
        let user: String = row.get(1)?;
        Ok(Revocation { tenant: row.get(0)?, user: (!user.is_empty()).then_some(user), before: time(row.get(2)?) })
    };
    let revocations = connection
        .prepare_cached("SELECT tenant, user, before FROM revocations")?
        .query_map([], revocation)?
        .collect::<Result<_, _>>()?;
    let token = |row: &Row<'_>| {
        Ok(RevokedToken { id: row.get(0)?, tenant: row.get(1)?, user: row.get(2)?, until: time(row.get(3)?) })
    };
    let tokens = connection
        .prepare_cached("SELECT id, tenant, user, until FROM revoked_tokens")?
        .query_map([], token)?
        .collect::<Result<_, _>>()?;
    Ok(Changes { revision: 1, keys, revocations, tokens })
}

fn add_key(connection: &Connection, key: &ApiKeyRecord) -> Result<bool, StoreError> {
    if count(connection, "SELECT count(*) FROM api_keys")? >= MAX_API_KEYS {
        return Ok(false);
    }
    let scopes = key.scopes.join(" ");
    connection
        .prepare_cached(
            "INSERT INTO api_keys (id, name, hash, tenant, user, scopes, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            key.id,
            key.name,
            key.hash,
            key.tenant,
            key.user,
            scopes,
            millis(key.created_at),
            key.expires_at.map(millis),
        ])?;
    Ok(true)
}

fn revoke(connection: &Connection, revocation: &Revocation, forgotten: Timestamp) -> Result<bool, StoreError> {
    connection.prepare_cached("DELETE FROM revocations WHERE before < ?1")?.execute([millis(forgotten)])?;
    if count(connection, "SELECT count(*) FROM revocations")? >= MAX_REVOCATIONS {
        return Ok(false);
    }
    connection
        .prepare_cached(
            "INSERT INTO revocations (tenant, user, before) VALUES (?1, ?2, ?3)
             ON CONFLICT (tenant, user) DO UPDATE SET before = max(before, excluded.before)",
        )?
        .execute(params![
            revocation.tenant,
            revocation.user.as_deref().unwrap_or_default(),
            millis(revocation.before)
        ])?;
    Ok(true)
}

fn revoke_token(connection: &Connection, token: &RevokedToken, now: Timestamp) -> Result<bool, StoreError> {
    connection.prepare_cached("DELETE FROM revoked_tokens WHERE until <= ?1")?.execute([millis(now)])?;
    let of_user: i64 = connection
        .prepare_cached("SELECT count(*) FROM revoked_tokens WHERE tenant = ?1 AND user = ?2")?
        .query_row(params![token.tenant, token.user], |row| row.get(0))?;
    let all = count(connection, "SELECT count(*) FROM revoked_tokens")?;
    let is_known = connection.prepare_cached("SELECT 1 FROM revoked_tokens WHERE id = ?1")?.exists([token.id])?;
    if !is_known && (all >= MAX_REVOKED_TOKENS || usize::try_from(of_user).unwrap_or(usize::MAX) >= MAX_REVOKED_OF_USER)
    {
        return Ok(false);
    }
    connection
        .prepare_cached(
            "INSERT INTO revoked_tokens (id, tenant, user, until) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![token.id, token.tenant, token.user, millis(token.until)])?;
    Ok(true)
}

fn count(connection: &Connection, sql: &str) -> Result<usize, StoreError> {
    let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn key(row: &Row<'_>) -> rusqlite::Result<ApiKeyRecord> {
    let scopes: String = row.get(5)?;
    let moment = |column| row.get::<_, Option<i64>>(column).map(|at| at.map(time));
    Ok(ApiKeyRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        hash: row.get(2)?,
        tenant: row.get(3)?,
        user: row.get(4)?,
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        created_at: time(row.get(6)?),
        expires_at: moment(7)?,
        used_at: moment(8)?,
        revoked_at: moment(9)?,
    })
}
