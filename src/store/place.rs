//! Where the index and the files of documents lie whose rows are in a database: a folder that all gateways have, or an object
//! storage. It holds an id that the database has noted, too. So a gateway with another one, which would look for what others
//! wrote where it is not, does not start. Uses `postgres` and `blobs`.

use std::{io, path::Path};

use super::{StoreError, blobs::Blobs, postgres::PostgresStore};

/// The files of the documents of `database`, once it is certain that they lie in `place`. The first place that is opened is
/// theirs from then on. `data_dir` is this gateway's own.
///
/// # Errors
/// [`StoreError::Unavailable`], also when they lie elsewhere.
pub async fn open(database: &PostgresStore, place: &str, data_dir: &Path) -> Result<Blobs, StoreError> {
    let (blobs, found) = look(place, data_dir).await?;
    if found.is_none() && database.known_place_of_documents().await?.is_some() {
        return Err(elsewhere(place));
    }
    let found = of(found, &blobs, place).await?;
    if database.place_of_documents(&found).await? != found {
        return Err(elsewhere(place));
    }
    Ok(blobs)
}

/// Says that the documents of `database` lie in `place` from now on, whatever was before.
///
/// # Errors
/// [`StoreError::Unavailable`]
pub async fn adopt(database: &PostgresStore, place: &str, data_dir: &Path) -> Result<(), StoreError> {
    let (blobs, found) = look(place, data_dir).await?;
    database.move_documents(&of(found, &blobs, place).await?).await
}

/// Whether [`open`] would take a place for that of which the database has noted `known`. Changes nothing.
///
/// # Errors
/// As [`open`].
pub async fn inspect(known: Option<&str>, place: &str, data_dir: &Path) -> Result<(), StoreError> {
    let (_, found) = look(place, data_dir).await?;
    if known.is_none_or(|known| found.as_deref() == Some(known)) { Ok(()) } else { Err(elsewhere(place)) }
}

/// What lies in a place, and its id.
async fn look(place: &str, data_dir: &Path) -> Result<(Blobs, Option<String>), StoreError> {
    let looked = async {
        let blobs = Blobs::shared(place, data_dir).await?;
        let found = blobs.id().await?;
        Ok((blobs, found))
    };
    looked.await.map_err(|error| refused(place, &error))
}

async fn of(found: Option<String>, blobs: &Blobs, place: &str) -> Result<String, StoreError> {
    match found {
        Some(found) => Ok(found),
        None => blobs.make_id().await.map_err(|error| refused(place, &error)),
    }
}

fn refused(place: &str, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{place} cannot be used: {error}"))
}

fn elsewhere(place: &str) -> StoreError {
    StoreError::Unavailable(format!(
        "{place} is not where the documents of the database lie: set knowledge.uri to the folder or the object storage that all \
         gateways share, or knowledge.enabled to false; when what they had is lost, `rivulet knowledge adopt` begins with this one"
    ))
}
