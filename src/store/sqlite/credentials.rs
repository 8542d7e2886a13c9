//! API keys and revocations.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use super::{SqliteStore, rows::millis};
use crate::{
    chat::Timestamp,
    store::{
        StoreError,
        credentials::{
            ApiKeyRecord, CredentialStore, MAX_API_KEYS, MAX_REVOCATIONS, MAX_REVOKED_OF_USER, MAX_REVOKED_TOKENS,
            Revocation, RevokedToken,
        },
    },
};

#[async_trait]
impl CredentialStore for SqliteStore {
    async fn api_keys(&self) -> Result<Vec<ApiKeyRecord>, StoreError> {
        self.read("api_keys", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, hash, tenant, user, scopes, created_at, expires_at, used_at, revoked_at
                 FROM api_keys ORDER BY created_at, id",
            )?;
            let keys = statement.query_map([], key)?.collect::<Result<_, _>>()?;
            Ok(keys)
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

    async fn revocations(&self) -> Result<Vec<Revocation>, StoreError> {
        self.read("revocations", |connection| {
            let mut statement = connection.prepare_cached("SELECT tenant, user, before FROM revocations")?;
            let revocations = statement.query_map([], |row| {
                let user: String = row.get(1)?;
                let user = (!user.is_empty()).then_some(user);
                Ok(Revocation { tenant: row.get(0)?, user, before: time(row.get(2)?) })
            })?;
            Ok(revocations.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn revoke(&self, revocation: Revocation, forgotten: Timestamp) -> Result<bool, StoreError> {
        self.write("revoke", move |connection| revoke(connection, &revocation, forgotten)).await
    }

    async fn revoked_tokens(&self) -> Result<Vec<RevokedToken>, StoreError> {
        self.read("revoked_tokens", |connection| {
            let mut statement = connection.prepare_cached("SELECT id, tenant, user, until FROM revoked_tokens")?;
            let tokens = statement.query_map([], |row| {
                let (id, tenant, user) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(RevokedToken { id, tenant, user, until: time(row.get(3)?) })
            })?;
            Ok(tokens.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn revoke_token(&self, token: RevokedToken, now: Timestamp) -> Result<bool, StoreError> {
        self.write("revoke_token", move |connection| revoke_token(connection, &token, now)).await
    }
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

fn time(millis: i64) -> Timestamp {
    Timestamp(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, created_at: u64) -> ApiKeyRecord {
        ApiKeyRecord {
            id: id.to_owned(),
            name: "crm".to_owned(),
            hash: [7; 32],
            tenant: "north".to_owned(),
            user: "crm".to_owned(),
            scopes: vec!["chat".to_owned(), "unlimited".to_owned()],
            created_at: Timestamp(created_at),
            expires_at: Some(Timestamp(u64::MAX >> 1)),
            used_at: None,
            revoked_at: None,
        }
    }

    #[tokio::test]
    async fn keys_come_back_as_they_were_stored() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("rivulet.db")).expect("opens");
        assert!(store.add_api_key(record("b", 2)).await.expect("stored"));
        let plain = ApiKeyRecord { scopes: Vec::new(), expires_at: None, ..record("a", 1) };
        assert!(store.add_api_key(plain.clone()).await.expect("stored"));
        assert!(store.add_api_key(record("a", 3)).await.is_err(), "an id is taken once");
        assert_eq!(store.api_keys().await.expect("read"), [plain.clone(), record("b", 2)]);
        let uses = vec![("b".to_owned(), Timestamp(9)), ("gone".to_owned(), Timestamp(9))];
        store.note_uses(uses).await.expect("stored");
        for at in [5, 6] {
            store.revoke_api_key("a", Timestamp(at)).await.expect("stored");
        }
        let revoked = ApiKeyRecord { revoked_at: Some(Timestamp(5)), ..plain };
        let used = ApiKeyRecord { used_at: Some(Timestamp(9)), ..record("b", 2) };
        assert_eq!(store.api_keys().await.expect("read"), [revoked, used]);
    }

    #[tokio::test]
    async fn the_latest_revocation_holds_and_old_ones_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("rivulet.db")).expect("opens");
        let revocation = |user: Option<&str>, before| Revocation {
            tenant: "north".to_owned(),
            user: user.map(str::to_owned),
            before: Timestamp(before),
        };
        for (user, before) in [(Some("ann"), 5), (Some("ann"), 3), (None, 4), (Some("old"), 1)] {
            assert!(store.revoke(revocation(user, before), Timestamp(0)).await.expect("stored"));
        }
        assert!(store.revoke(revocation(Some("ben"), 6), Timestamp(2)).await.expect("stored"));
        let mut known = store.revocations().await.expect("read");
        known.sort_by_key(|known| known.before);
        assert_eq!(known, [revocation(None, 4), revocation(Some("ann"), 5), revocation(Some("ben"), 6)]);
    }

    #[tokio::test]
    async fn single_tokens_stay_until_they_are_over_and_are_bounded_by_user() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("rivulet.db")).expect("opens");
        let token = |n: usize, user: &str, until| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            RevokedToken { id, tenant: "north".to_owned(), user: user.to_owned(), until: Timestamp(until) }
        };
        for n in 0..MAX_REVOKED_OF_USER {
            assert!(store.revoke_token(token(n, "mallory", 9), Timestamp(1)).await.expect("stored"));
        }
        assert!(!store.revoke_token(token(5000, "mallory", 9), Timestamp(1)).await.expect("refused"));
        assert!(store.revoke_token(token(0, "mallory", 9), Timestamp(1)).await.expect("known already"));
        assert!(store.revoke_token(token(5000, "ann", 12), Timestamp(1)).await.expect("others have room"));
        assert!(store.revoke_token(token(5001, "mallory", 12), Timestamp(9)).await.expect("the others are over"));
        let mut known = store.revoked_tokens().await.expect("read");
        known.sort_by_key(|token| token.id);
        assert_eq!(known, [token(5000, "ann", 12), token(5001, "mallory", 12)]);
    }
}
