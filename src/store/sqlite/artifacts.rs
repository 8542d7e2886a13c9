//! Files that tools have made.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteStore,
    rows::{id, name, timestamp},
};
use crate::{
    chat::{Artifact, ArtifactId, Owner, SessionId, Timestamp},
    store::{
        StoreError,
        artifacts::{ArtifactStore, KeptArtifact, MAX_OLD_ARTIFACTS, refuse_long},
        columns::{integer, millis},
    },
};

#[async_trait]
impl ArtifactStore for SqliteStore {
    async fn keep_artifact(&self, session: &SessionId, new: KeptArtifact, most: usize) -> Result<(), StoreError> {
        refuse_long(&new)?;
        let session = session.clone();
        self.write("keep_artifact", move |connection| keep(connection, &session, &new, most)).await
    }

    async fn artifact(&self, owner: Option<&Owner>, id: &ArtifactId) -> Result<Option<KeptArtifact>, StoreError> {
        let (owner, id) = (owner.cloned(), id.clone());
        self.read("artifact", move |connection| find(connection, owner.as_ref(), &id)).await
    }

    async fn delete_old_artifacts(&self, cutoff: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = limit.min(MAX_OLD_ARTIFACTS);
        self.write("delete_old_artifacts", move |connection| delete_old(connection, cutoff, limit)).await
    }
}

fn keep(connection: &Connection, session: &SessionId, new: &KeptArtifact, most: usize) -> Result<(), StoreError> {
    let KeptArtifact { artifact, content, created_at } = new;
    let owner: Option<String> = connection
        .prepare_cached("SELECT owner FROM sessions WHERE id = ?1")?
        .query_row([session.as_str()], |row| row.get(0))
        .optional()?
        .ok_or(StoreError::NoSession)?;
    connection
        .prepare_cached(
            "INSERT INTO artifacts (id, session_id, owner, kind, title, media, content, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            artifact.artifact.as_str(),
            session.as_str(),
            owner,
            artifact.kind.as_str(),
            artifact.title,
            artifact.media,
            &**content,
            millis(*created_at),
        ])?;
    // Each in a form that leads straight to the rows.
    let whose = if owner.is_some() { ("owner", owner.as_deref()) } else { ("session_id", Some(session.as_str())) };
    let sql = format!(
        "DELETE FROM artifacts WHERE position IN
         (SELECT position FROM artifacts WHERE {} = ?1 ORDER BY position DESC LIMIT -1 OFFSET ?2)",
        whose.0
    );
    connection.prepare_cached(&sql)?.execute(params![whose.1, i64::try_from(most).unwrap_or(i64::MAX)])?;
    Ok(())
}

fn find(connection: &Connection, owner: Option<&Owner>, id: &ArtifactId) -> Result<Option<KeptArtifact>, StoreError> {
    let sql = "SELECT id, kind, title, media, content, created_at FROM artifacts WHERE id = ?1 AND owner IS ?2";
    let values = params![id.as_str(), owner.map(Owner::as_str)];
    Ok(connection.prepare_cached(sql)?.query_row(values, kept).optional()?)
}

fn delete_old(connection: &Connection, cutoff: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let sql = "DELETE FROM artifacts WHERE position IN
        (SELECT position FROM artifacts WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)";
    Ok(connection.prepare_cached(sql)?.execute(params![millis(cutoff), integer(limit as u64)])?)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<KeptArtifact> {
    let content = row.get_ref(4)?.as_blob()?;
    let artifact = Artifact {
        artifact: id(row, 0, ArtifactId::parse)?,
        kind: name(row, 1)?,
        title: row.get(2)?,
        media: row.get(3)?,
        bytes: content.len() as u64,
    };
    Ok(KeptArtifact { artifact, content: content.into(), created_at: timestamp(row, 5)? })
}
