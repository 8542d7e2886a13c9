//! What is kept where: in the file of the data folder, or, but for the documents, in a database that several gateways share.

use std::sync::Arc;

use crate::{
    config::Config,
    store::{
        SessionStore, SpendingStore, StoreError,
        audit::AuditStore,
        credentials::CredentialStore,
        postgres::PostgresStore,
        sqlite::{self, SqliteStore},
    },
};

/// The stores of a gateway.
#[derive(Debug)]
pub(super) struct Stores {
    pub(super) sessions: Arc<dyn SessionStore>,
    pub(super) spending: Arc<dyn SpendingStore>,
    pub(super) credentials: Arc<dyn CredentialStore>,
    pub(super) audit: Arc<dyn AuditStore>,
    /// What is in the data folder: the documents, and without a database everything.
    pub(super) folder: Arc<SqliteStore>,
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
        S: SessionStore + SpendingStore + CredentialStore + AuditStore,
    {
        let (sessions, spending, credentials) = (store.clone(), store.clone(), store.clone());
        Self { sessions, spending, credentials, audit: store, folder, database }
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
