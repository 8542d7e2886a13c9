//! What is kept where: in the data folder, or in a database that several gateways share, with the files of the documents in a
//! folder or an object storage that they share, too.

use std::sync::Arc;

use crate::{
    config::Config,
    store::{
        ArtifactStore, DocumentStore, MemoryStore, SessionStore, SpendingStore, StoreError,
        audit::AuditStore,
        blobs::Blobs,
        credentials::CredentialStore,
        place,
        postgres::PostgresStore,
        sqlite::{self, SqliteStore},
    },
};

/// The stores of a gateway.
#[derive(Debug)]
pub(super) struct Stores {
    pub(super) sessions: Arc<dyn SessionStore>,
    pub(super) artifacts: Arc<dyn ArtifactStore>,
    pub(super) memories: Arc<dyn MemoryStore>,
    pub(super) spending: Arc<dyn SpendingStore>,
    pub(super) credentials: Arc<dyn CredentialStore>,
    pub(super) audit: Arc<dyn AuditStore>,
    documents: Arc<dyn DocumentStore>,
    /// What is in the data folder: without a database everything, with one nothing, but it is this gateway's.
    folder: Arc<SqliteStore>,
    database: Option<Arc<PostgresStore>>,
}

impl Stores {
    /// Opens them; the data folder is there.
    pub(super) async fn open(config: &Config) -> Result<Self, StoreError> {
        let folder = Arc::new(SqliteStore::open(config.server.data_dir.join(sqlite::FILE_NAME))?);
        let Some(url) = &config.store.database_url else { return Ok(Self::of(folder.clone(), folder, None)) };
        let opened = PostgresStore::open(url.expose()).await;
        let named = |error| StoreError::Unavailable(format!("store.database_url: {error}"));
        let database = Arc::new(opened.map_err(named)?);
        Ok(Self::of(database.clone(), folder, Some(database)))
    }

    fn of<S>(store: Arc<S>, folder: Arc<SqliteStore>, database: Option<Arc<PostgresStore>>) -> Self
    where
        S: SessionStore + ArtifactStore + MemoryStore + SpendingStore + CredentialStore + AuditStore + DocumentStore,
    {
        let (sessions, artifacts, memories, spending) = (store.clone(), store.clone(), store.clone(), store.clone());
        let (credentials, audit, documents) = (store.clone(), store.clone(), store);
        Self { sessions, artifacts, memories, spending, credentials, audit, documents, folder, database }
    }

    /// The documents and their files.
    pub(super) async fn documents(&self, config: &Config) -> Result<(Arc<dyn DocumentStore>, Blobs), StoreError> {
        let data_dir = &config.server.data_dir;
        let blobs = match &self.database {
            None => Blobs::new(data_dir),
            Some(database) => place::open(database, &config.knowledge.place(data_dir), data_dir).await?,
        };
        Ok((self.documents.clone(), blobs))
    }

    /// Whether other gateways may write to them.
    pub(super) fn are_shared(&self) -> bool {
        self.database.is_some()
    }

    /// Finishes what waits, and closes them.
    pub(super) async fn close(&self) {
        if let Some(database) = &self.database {
            database.close().await;
        }
        self.folder.close().await;
    }
}
