//! API keys and revocations. Each row has the number of the change that it came with, so that other gateways find what is
//! new.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::{
    PostgresStore,
    connect::Link,
    rows::{get, timestamp},
    writer::Failure,
};
use crate::{
    chat::Timestamp,
    store::{
        StoreError,
        columns::{integer, millis, time},
        credentials::{
            ApiKeyRecord, Changes, CredentialStore, MAX_API_KEYS, MAX_REVOCATIONS, MAX_REVOKED_OF_USER,
            MAX_REVOKED_TOKENS, Revocation, RevokedToken,
        },
    },
};

/// What all changes of credentials are in line behind.
const OF_CREDENTIALS: &str = "credentials";

#[async_trait]
impl CredentialStore for PostgresStore {
    async fn changes(&self, since: u64) -> Result<Changes, StoreError> {
        self.read("credentials", |link| changes(link, integer(since))).await
    }

    async fn add_api_key(&self, key: ApiKeyRecord) -> Result<bool, StoreError> {
        let key = Arc::new(key);
        self.write("add_api_key", OF_CREDENTIALS, move |link| add_key(link, key.clone())).await
    }

    async fn revoke_api_key(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write("revoke_api_key", OF_CREDENTIALS, move |link| revoke_key(link, id.clone(), at)).await
    }

    async fn note_uses(&self, uses: Vec<(String, Timestamp)>) -> Result<(), StoreError> {
        let uses = Arc::new(uses);
        self.write("note_uses", OF_CREDENTIALS, move |link| note_uses(link, uses.clone())).await
    }

    async fn revoke(&self, revocation: Revocation, forgotten: Timestamp) -> Result<bool, StoreError> {
        let work = move |link| revoke(link, revocation.clone(), forgotten);
        self.write("revoke", OF_CREDENTIALS, work).await
    }

    async fn revoke_token(&self, token: RevokedToken, now: Timestamp) -> Result<bool, StoreError> {
        let work = move |link| revoke_token(link, token.clone(), now);
        self.write("revoke_token", OF_CREDENTIALS, work).await
    }

    async fn ticket_key(&self, proposed: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.write("ticket_key", OF_CREDENTIALS, move |link| ticket_key(link, proposed)).await
    }
}

/// The number is read first: what comes in between is found again with the next look, and does no harm.
async fn changes(link: Arc<Link>, since: i64) -> Result<Changes, Failure> {
    let row = link.client.query_typed_one("SELECT number FROM changes WHERE id = 1", &[]).await?;
    let newest: i64 = get(&row, 0)?;
    let revision = u64::try_from(newest).unwrap_or(0);
    if newest == since {
        return Ok(Changes { revision, ..Changes::default() });
    }
    let since = [(&since as &(dyn ToSql + Sync), Type::INT8)];
    let keys = "SELECT id, name, hash, tenant, \"user\", scopes, created_at, expires_at, used_at, revoked_at
        FROM api_keys WHERE change > $1 ORDER BY created_at, id";
    let keys = link.client.query_typed(keys, &since).await?.iter().map(key).collect::<Result<_, _>>()?;
    let revocations = "SELECT tenant, \"user\", before FROM revocations WHERE change > $1";
    let revocations = link.client.query_typed(revocations, &since).await?;
    let revocations = revocations.iter().map(|row| {
        let user: String = get(row, 1)?;
        Ok(Revocation { tenant: get(row, 0)?, user: (!user.is_empty()).then_some(user), before: timestamp(row, 2)? })
    });
    let revocations = revocations.collect::<Result<_, StoreError>>()?;
    let tokens = "SELECT id, tenant, \"user\", until FROM revoked_tokens WHERE change > $1";
    let tokens = link.client.query_typed(tokens, &since).await?;
    let tokens = tokens.iter().map(|row| {
        let (id, tenant, user) = (hash(row, 0)?, get(row, 1)?, get(row, 2)?);
        Ok(RevokedToken { id, tenant, user, until: timestamp(row, 3)? })
    });
    Ok(Changes { revision, keys, revocations, tokens: tokens.collect::<Result<_, StoreError>>()? })
}

async fn ticket_key(link: Arc<Link>, proposed: [u8; 32]) -> Result<[u8; 32], Failure> {
    let insert = "INSERT INTO ticket_key (id, key) VALUES (1, $1) ON CONFLICT DO NOTHING";
    link.client.execute_typed(insert, &[(&proposed.as_slice(), Type::BYTEA)]).await?;
    let row = link.client.query_typed_one("SELECT key FROM ticket_key WHERE id = 1", &[]).await?;
    Ok(hash(&row, 0)?)
}

/// Those who change credentials do so one after the other, on all gateways: so counts are true, and numbers rise.
async fn next_change(link: &Link) -> Result<i64, Failure> {
    let row = link.client.query_typed_one("UPDATE changes SET number = number + 1 WHERE id = 1 RETURNING number", &[]);
    Ok(get(&row.await?, 0)?)
}

async fn add_key(link: Arc<Link>, key: Arc<ApiKeyRecord>) -> Result<bool, Failure> {
    let change = next_change(&link).await?;
    if count(&link, "SELECT count(*) FROM api_keys", &[]).await? >= MAX_API_KEYS {
        return Ok(false);
    }
    let values: [(&(dyn ToSql + Sync), Type); 9] = [
        (&key.id, Type::TEXT),
        (&key.name, Type::TEXT),
        (&key.hash.as_slice(), Type::BYTEA),
        (&key.tenant, Type::TEXT),
        (&key.user, Type::TEXT),
        (&key.scopes.join(" "), Type::TEXT),
        (&millis(key.created_at), Type::INT8),
        (&key.expires_at.map(millis), Type::INT8),
        (&change, Type::INT8),
    ];
    let sql = "INSERT INTO api_keys (id, name, hash, tenant, \"user\", scopes, created_at, expires_at, change)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    link.client.execute_typed(sql, &values).await?;
    Ok(true)
}

async fn revoke_key(link: Arc<Link>, id: String, at: Timestamp) -> Result<(), Failure> {
    let change = next_change(&link).await?;
    let sql = "UPDATE api_keys SET revoked_at = $2, change = $3 WHERE id = $1 AND revoked_at IS NULL";
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&id, Type::TEXT), (&millis(at), Type::INT8), (&change, Type::INT8)];
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}

async fn note_uses(link: Arc<Link>, uses: Arc<Vec<(String, Timestamp)>>) -> Result<(), Failure> {
    let change = next_change(&link).await?;
    let ids: Vec<&str> = uses.iter().map(|(id, _)| id.as_str()).collect();
    let ats: Vec<i64> = uses.iter().map(|(_, at)| millis(*at)).collect();
    let sql = "UPDATE api_keys SET used_at = greatest(used_at, used.at), change = $3
        FROM unnest($1, $2) AS used (id, at) WHERE api_keys.id = used.id";
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&ids, Type::TEXT_ARRAY), (&ats, Type::INT8_ARRAY), (&change, Type::INT8)];
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}

async fn revoke(link: Arc<Link>, revocation: Revocation, forgotten: Timestamp) -> Result<bool, Failure> {
    let change = next_change(&link).await?;
    let forget = "DELETE FROM revocations WHERE before < $1";
    link.client.execute_typed(forget, &[(&millis(forgotten), Type::INT8)]).await?;
    if count(&link, "SELECT count(*) FROM revocations", &[]).await? >= MAX_REVOCATIONS {
        return Ok(false);
    }
    let sql = "INSERT INTO revocations (tenant, \"user\", before, change) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant, \"user\")
        DO UPDATE SET before = greatest(revocations.before, excluded.before), change = excluded.change";
    let values: [(&(dyn ToSql + Sync), Type); 4] = [
        (&revocation.tenant, Type::TEXT),
        (&revocation.user.as_deref().unwrap_or_default(), Type::TEXT),
        (&millis(revocation.before), Type::INT8),
        (&change, Type::INT8),
    ];
    link.client.execute_typed(sql, &values).await?;
    Ok(true)
}

async fn revoke_token(link: Arc<Link>, token: RevokedToken, now: Timestamp) -> Result<bool, Failure> {
    let change = next_change(&link).await?;
    let forget = "DELETE FROM revoked_tokens WHERE until <= $1";
    link.client.execute_typed(forget, &[(&millis(now), Type::INT8)]).await?;
    let id = token.id.as_slice();
    let known = "SELECT FROM revoked_tokens WHERE id = $1";
    if link.client.query_typed_opt(known, &[(&id, Type::BYTEA)]).await?.is_some() {
        return Ok(true);
    }
    let of_user = "SELECT count(*) FROM revoked_tokens WHERE tenant = $1 AND \"user\" = $2";
    let of_user = count(&link, of_user, &[(&token.tenant, Type::TEXT), (&token.user, Type::TEXT)]).await?;
    let all = count(&link, "SELECT count(*) FROM revoked_tokens", &[]).await?;
    if all >= MAX_REVOKED_TOKENS || of_user >= MAX_REVOKED_OF_USER {
        return Ok(false);
    }
    let sql = "INSERT INTO revoked_tokens (id, tenant, \"user\", until, change) VALUES ($1, $2, $3, $4, $5)";
    let values: [(&(dyn ToSql + Sync), Type); 5] = [
        (&id, Type::BYTEA),
        (&token.tenant, Type::TEXT),
        (&token.user, Type::TEXT),
        (&millis(token.until), Type::INT8),
        (&change, Type::INT8),
    ];
    link.client.execute_typed(sql, &values).await?;
    Ok(true)
}

async fn count(link: &Link, sql: &str, values: &[(&(dyn ToSql + Sync), Type)]) -> Result<usize, Failure> {
    let row = link.client.query_typed_one(sql, values).await?;
    Ok(usize::try_from(get::<i64>(&row, 0)?).unwrap_or(usize::MAX))
}

fn key(row: &Row) -> Result<ApiKeyRecord, StoreError> {
    let moment = |column| get::<Option<i64>>(row, column).map(|at| at.map(time));
    Ok(ApiKeyRecord {
        id: get(row, 0)?,
        name: get(row, 1)?,
        hash: hash(row, 2)?,
        tenant: get(row, 3)?,
        user: get(row, 4)?,
        scopes: get::<&str>(row, 5)?.split_whitespace().map(str::to_owned).collect(),
        created_at: timestamp(row, 6)?,
        expires_at: moment(7)?,
        used_at: moment(8)?,
        revoked_at: moment(9)?,
    })
}

fn hash(row: &Row, column: usize) -> Result<[u8; 32], StoreError> {
    let bytes: &[u8] = get(row, column)?;
    bytes.try_into().map_err(|_| StoreError::Unavailable(format!("a stored hash has {} bytes", bytes.len())))
}
