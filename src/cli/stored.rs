//! The documents of this configuration, for commands that need no gateway: in the data folder, or in a database with the folder
//! or object storage that its gateways share.

use std::{path::PathBuf, sync::Arc};

use crate::{
    config::Config,
    store::{
        DocumentStore, StoreError,
        blobs::Blobs,
        place,
        postgres::PostgresStore,
        sqlite::{self, SqliteStore},
    },
};

/// What a command works with.
pub(super) struct Stored {
    pub(super) store: Arc<dyn DocumentStore>,
    pub(super) blobs: Blobs,
    file: Option<Arc<SqliteStore>>,
    database: Option<Arc<PostgresStore>>,
}

impl Stored {
    /// To look at, also while a gateway works.
    pub(super) async fn to_read(config: &Config) -> Result<Self, StoreError> {
        let file = |path| SqliteStore::open_to_read(path).map(Arc::new);
        Self::open(config, file).await
    }

    /// To work on: a data folder no gateway may have then, with a database any may.
    pub(super) async fn to_write(config: &Config) -> Result<Self, StoreError> {
        let file = |path| SqliteStore::open(path).map(Arc::new);
        Self::open(config, file).await
    }

    async fn open(
        config: &Config,
        file: impl FnOnce(PathBuf) -> Result<Arc<SqliteStore>, StoreError>,
    ) -> Result<Self, StoreError> {
        let data_dir = &config.server.data_dir;
        if config.store.database_url.is_none() {
            let file = file(data_dir.join(sqlite::FILE_NAME))?;
            return Ok(Self { store: file.clone(), blobs: Blobs::new(data_dir), file: Some(file), database: None });
        }
        let database = Arc::new(database(config).await?);
        let blobs = place::open(&database, &config.knowledge.place(data_dir), data_dir).await?;
        Ok(Self { store: database.clone(), blobs, file: None, database: Some(database) })
    }
}

/// The database of this configuration.
pub(super) async fn database(config: &Config) -> Result<PostgresStore, StoreError> {
    let Some(url) = &config.store.database_url else {
        return Err(StoreError::Unavailable("store.database_url is not set".to_owned()));
    };
    let named = |error| StoreError::Unavailable(format!("store.database_url: {error}"));
    PostgresStore::open_beside(url.expose()).await.map_err(named)
}

/// Closes what a command has worked with.
pub(super) struct Closing(Option<Arc<SqliteStore>>, Option<Arc<PostgresStore>>);

impl Stored {
    /// What is worked with, and what closes it afterwards.
    pub(super) fn taken(self) -> (Arc<dyn DocumentStore>, Blobs, Closing) {
        (self.store, self.blobs, Closing(self.file, self.database))
    }
}

impl Closing {
    /// Finishes what waits.
    pub(super) async fn close(self) {
        if let Some(file) = self.0 {
            file.close().await;
        }
        if let Some(database) = self.1 {
            database.close().await;
        }
    }
}
