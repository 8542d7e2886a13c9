//! Files that tools have made.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::{
    OF_NO_SESSION, PostgresStore,
    connect::Link,
    rows::{get, id, name, timestamp},
    writer::Failure,
};
use crate::{
    chat::{Artifact, ArtifactId, Owner, SessionId, Timestamp},
    store::{
        StoreError,
        artifacts::{ArtifactStore, KeptArtifact, MAX_OLD_ARTIFACTS, refuse_long},
        columns::millis,
    },
};

#[async_trait]
impl ArtifactStore for PostgresStore {
    async fn keep_artifact(&self, session: &SessionId, new: KeptArtifact, most: usize) -> Result<(), StoreError> {
        refuse_long(&new)?;
        let (id, new) = (session.clone(), Arc::new(new));
        self.write("keep_artifact", session, move |link| keep(link, id.clone(), new.clone(), most)).await
    }

    async fn artifact(&self, owner: Option<&Owner>, id: &ArtifactId) -> Result<Option<KeptArtifact>, StoreError> {
        self.read("artifact", |link| find(link, owner.cloned(), id.clone())).await
    }

    async fn delete_old_artifacts(&self, cutoff: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = limit.min(MAX_OLD_ARTIFACTS);
        let delete = move |link| delete_old(link, cutoff, limit);
        self.write("delete_old_artifacts", OF_NO_SESSION, delete).await
    }
}

async fn keep(link: Arc<Link>, session: SessionId, new: Arc<KeptArtifact>, most: usize) -> Result<(), Failure> {
    let KeptArtifact { artifact, content, created_at } = &*new;
    let sql = "INSERT INTO artifacts (id, session_id, owner, kind, title, media, content, created_at)
        SELECT $1, id, owner, $3, $4, $5, $6, $7 FROM sessions WHERE id = $2 RETURNING owner";
    let values: [(&(dyn ToSql + Sync), Type); 7] = [
        (&artifact.artifact.as_str(), Type::TEXT),
        (&session.as_str(), Type::TEXT),
        (&artifact.kind.as_str(), Type::TEXT),
        (&artifact.title, Type::TEXT),
        (&artifact.media, Type::TEXT),
        (&&**content, Type::BYTEA),
        (&millis(*created_at), Type::INT8),
    ];
    let Some(row) = link.client.query_typed_opt(sql, &values).await? else {
        return Err(StoreError::NoSession.into());
    };
    let owner: Option<&str> = get(&row, 0)?;
    let whose = if owner.is_some() { ("owner", owner) } else { ("session_id", Some(session.as_str())) };
    // What another transaction holds is about to go: nobody waits for it.
    let sql = format!(
        "WITH older AS (SELECT position FROM artifacts WHERE {} = $1 ORDER BY position DESC OFFSET $2),
            free AS (SELECT position FROM artifacts WHERE position IN (SELECT position FROM older) FOR UPDATE SKIP LOCKED)
        DELETE FROM artifacts USING free WHERE artifacts.position = free.position",
        whose.0
    );
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    link.client.execute_typed(&sql, &[(&whose.1, Type::TEXT), (&most, Type::INT8)]).await?;
    Ok(())
}

async fn find(link: Arc<Link>, owner: Option<Owner>, id: ArtifactId) -> Result<Option<KeptArtifact>, Failure> {
    let sql = "SELECT id, kind, title, media, content, created_at FROM artifacts
        WHERE id = $1 AND owner IS NOT DISTINCT FROM $2";
    let owner = owner.as_ref().map(Owner::as_str);
    let row = link.client.query_typed_opt(sql, &[(&id.as_str(), Type::TEXT), (&owner, Type::TEXT)]).await?;
    Ok(row.as_ref().map(kept).transpose()?)
}

async fn delete_old(link: Arc<Link>, cutoff: Timestamp, limit: usize) -> Result<usize, Failure> {
    let sql = "WITH old AS (
            SELECT position FROM artifacts WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ) DELETE FROM artifacts USING old WHERE artifacts.position = old.position";
    let deleted =
        link.client.execute_typed(sql, &[(&millis(cutoff), Type::INT8), (&(limit as i64), Type::INT8)]).await?;
    Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
}

fn kept(row: &Row) -> Result<KeptArtifact, StoreError> {
    let content: &[u8] = get(row, 4)?;
    let artifact = Artifact {
        artifact: id(row, 0, ArtifactId::parse)?,
        kind: name(row, 1)?,
        title: get(row, 2)?,
        media: get(row, 3)?,
        bytes: content.len() as u64,
    };
    Ok(KeptArtifact { artifact, content: content.into(), created_at: timestamp(row, 5)? })
}
