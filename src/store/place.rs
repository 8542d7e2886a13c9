//! Where the index and the files of documents lie whose rows are in a database: a folder that all gateways have. It holds an id
//! that the database has noted, too. So a gateway with another folder, which would look for what others wrote where it is
//! not, does not start. Uses `postgres` and `blobs`.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use tokio::fs::{self, DirBuilder};

use super::{StoreError, blobs::Blobs, postgres::PostgresStore};

/// The file with the id.
const FILE: &str = "rivulet.place";

/// The files of the documents of `database`, once it is certain that they lie in `folder`. The first folder that is opened is
/// theirs from then on.
///
/// # Errors
/// [`StoreError::Unavailable`], also when they lie elsewhere.
pub async fn open(database: &PostgresStore, folder: &Path) -> Result<Blobs, StoreError> {
    let refused = |error: io::Error| StoreError::Unavailable(format!("{} cannot be used: {error}", folder.display()));
    let found = read(folder).await.map_err(refused)?;
    if found.is_none() && database.known_place_of_documents().await?.is_some() {
        return Err(elsewhere(folder));
    }
    let found = match found {
        Some(found) => found,
        None => make(folder).await.map_err(refused)?,
    };
    if database.place_of_documents(&found).await? != found {
        return Err(elsewhere(folder));
    }
    Ok(Blobs::shared(folder))
}

/// Says that the documents of `database` lie in `folder` from now on, whatever was before.
///
/// # Errors
/// [`StoreError::Unavailable`]
pub async fn adopt(database: &PostgresStore, folder: &Path) -> Result<(), StoreError> {
    let refused = |error: io::Error| StoreError::Unavailable(format!("{} cannot be used: {error}", folder.display()));
    let found = match read(folder).await.map_err(refused)? {
        Some(found) => found,
        None => make(folder).await.map_err(refused)?,
    };
    database.move_documents(&found).await
}

/// Whether [`open`] would take a folder for that of which the database has noted `known`. Changes nothing.
///
/// # Errors
/// As [`open`].
pub async fn inspect(known: Option<&str>, folder: &Path) -> Result<(), StoreError> {
    let refused = |error: io::Error| StoreError::Unavailable(format!("{} cannot be used: {error}", folder.display()));
    let found = read(folder).await.map_err(refused)?;
    if known.is_none_or(|known| found.as_deref() == Some(known)) { Ok(()) } else { Err(elsewhere(folder)) }
}

fn elsewhere(folder: &Path) -> StoreError {
    StoreError::Unavailable(format!(
        "{} is not where the documents of the database lie: set knowledge.uri to the folder that all gateways share, or \
         knowledge.enabled to false; when that folder is lost, `rivulet knowledge adopt` begins with this one",
        folder.display()
    ))
}

async fn read(folder: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(folder.join(FILE)).await {
        Ok(id) => Ok(Some(id.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Of several who make one at the same moment all have the same afterwards.
async fn make(folder: &Path) -> io::Result<String> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).await?;
    let id = uuid::Uuid::new_v4().simple().to_string();
    let beside = folder.join(format!("{FILE}.{id}"));
    fs::write(&beside, format!("{id}\n")).await?;
    fs::File::open(&beside).await?.sync_all().await?;
    let linked = fs::hard_link(&beside, folder.join(FILE)).await;
    fs::remove_file(&beside).await?;
    match linked {
        Ok(()) => fs::File::open(folder).await?.sync_all().await?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    read(folder).await?.ok_or_else(|| io::Error::from(ErrorKind::NotFound))
}
