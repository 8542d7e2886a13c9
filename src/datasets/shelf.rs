//! All datasets of a gateway: a folder for each owner, with two files for each dataset, and those of the operator, which
//! everybody can ask. What is in the folder is all there is: nothing of it is remembered.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::RwLock;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

use super::{
    dataset::{ABOUT, About, Dataset, delete, failed},
    error::DatasetError,
};
use crate::{
    chat::{DatasetId, Owner, Timestamp, printable},
    config::DatasetsConfig,
    knowledge::{
        extract::{Grid, Kind},
        fields,
        parser::Parsers,
    },
};

/// Files that come in at a time: they are in memory until they are written.
const MAX_COMING_IN: usize = 4;
/// The longest name, in characters.
const MAX_NAME: usize = 80;
/// The folder of the operator's, and of those who need not say who they are.
const PRELOADED: &str = "preloaded";
const EVERYBODY: &str = "everybody";
const DAY_MS: u64 = 24 * 3_600_000;
/// What was begun and is not whole after this is taken away.
const ORPHANED: Duration = Duration::from_secs(3600);

/// The datasets of a gateway.
#[derive(Debug)]
pub struct Datasets {
    /// Where they are; `None`: there are none.
    folder: Option<PathBuf>,
    /// Where those of the operator are: the gateway's own, whoever shares the folder.
    own: Option<PathBuf>,
    /// Whether users may bring some.
    takes_files: bool,
    config: DatasetsConfig,
    parsers: Parsers,
    preloaded: RwLock<Arc<[Dataset]>>,
    coming_in: Arc<Semaphore>,
    writing: Arc<Mutex<()>>,
}

impl Default for Datasets {
    /// There are none, and there can be none.
    fn default() -> Self {
        Self::of(None, DatasetsConfig::default(), Parsers::of_this_program())
    }
}

impl Datasets {
    fn of(folder: Option<PathBuf>, config: DatasetsConfig, parsers: Parsers) -> Self {
        Self {
            takes_files: folder.is_some(),
            own: folder.as_ref().map(|folder| folder.join(PRELOADED)),
            folder,
            config,
            parsers,
            preloaded: RwLock::new(Arc::from([])),
            coming_in: Arc::new(Semaphore::new(MAX_COMING_IN)),
            writing: Arc::default(),
        }
    }

    /// Those in the folder that the configuration names, or in the data folder; the store is shared with other gateways or not.
    /// The operator's are always in the data folder: each gateway takes away those that it was not told of.
    #[must_use]
    pub fn kept(config: &DatasetsConfig, data_dir: &Path, is_shared: bool) -> Self {
        let in_data = data_dir.join("datasets");
        let own = Some(in_data.join(PRELOADED));
        let folder = config.dir.clone().unwrap_or(in_data);
        let takes_files = config.dir.is_some() || !is_shared;
        Self { takes_files, own, ..Self::of(Some(folder), config.clone(), Parsers::of_this_program()) }
    }

    /// The most bytes of a file.
    #[must_use]
    pub const fn upload_bytes(&self) -> u64 {
        self.config.upload_bytes
    }

    /// A place for a file that comes in.
    ///
    /// # Errors
    /// [`DatasetError::Busy`], and [`DatasetError::NoPlace`] where none may.
    pub fn enter(&self) -> Result<OwnedSemaphorePermit, DatasetError> {
        if !self.takes_files {
            return Err(DatasetError::NoPlace);
        }
        self.coming_in.clone().try_acquire_owned().map_err(|_| DatasetError::Busy)
    }

    /// Takes a file in, at the place that it has.
    ///
    /// # Errors
    /// [`DatasetError`]; then nothing of it is kept.
    pub async fn add(
        &self,
        place: OwnedSemaphorePermit,
        owner: Option<&Owner>,
        name: &str,
        bytes: &[u8],
    ) -> Result<About, DatasetError> {
        let grid = self.read(name, bytes).await?;
        let folder = self.folder_of(owner)?;
        // One after the other: a table takes memory and time, and they are counted.
        let writing = self.writing.clone().lock_owned().await;
        let (most, name, bytes) = (self.config.per_user, label(name), bytes.to_vec());
        let stay = self.stay();
        let written = blocking(move || {
            // Whoever has sent it may go: what is written goes on, and keeps its place and its turn.
            let _held = (place, writing);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
            let all = all_in(&folder)?;
            let now = Timestamp::now().0;
            // What has had its days is not there, whether it was swept or not.
            if all.iter().filter(|one| is_current(one, now, stay)).count() >= most {
                return Err(DatasetError::TooMany(most));
            }
            // The newest is the one that came last, also within a millisecond.
            let after = all.first().map_or(0, |newest| newest.about.created_at.0 + 1);
            Dataset::write(&folder, name, Timestamp(Timestamp::now().0.max(after)), &bytes, &grid)
        });
        Ok(written.await?.about)
    }

    async fn read(&self, name: &str, bytes: &[u8]) -> Result<Grid, DatasetError> {
        // What is no table at all is told without looking at it.
        let kind = Kind::promised(Path::new(name));
        if !matches!(kind, Some(Kind::Csv | Kind::Xlsx | Kind::Xls | Kind::Ods)) {
            return Err(DatasetError::NoTable);
        }
        let read = self.parsers.table(name, bytes).await;
        self.parsers.rest();
        Ok(read?)
    }

    /// Those of somebody, the newest first, and then those that everybody can ask.
    ///
    /// # Errors
    /// [`DatasetError::Files`].
    pub async fn list(&self, owner: Option<&Owner>) -> Result<(Vec<Dataset>, Arc<[Dataset]>), DatasetError> {
        let preloaded = self.preloaded.read().clone();
        let Ok(folder) = self.folder_of(owner) else { return Ok((Vec::new(), preloaded)) };
        let (now, stay) = (Timestamp::now().0, self.stay());
        let own = blocking(move || all_in(&folder)).await?;
        Ok((own.into_iter().filter(|one| is_current(one, now, stay)).collect(), preloaded))
    }

    /// The one of this id or name of somebody's, or of everybody's; without one, the newest, or the first of everybody's.
    ///
    /// # Errors
    /// [`DatasetError::None`], with those that there are.
    pub async fn find(&self, owner: Option<&Owner>, name: Option<&str>) -> Result<Dataset, DatasetError> {
        let (own, preloaded) = self.list(owner).await?;
        let mut all = own.into_iter().chain(preloaded.iter().cloned());
        let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
            return all
                .next()
                .ok_or_else(|| DatasetError::None("there is no dataset yet: upload a CSV or Excel file".to_owned()));
        };
        let all: Vec<Dataset> = all.collect();
        let lower = name.to_lowercase();
        let is_one =
            |dataset: &&Dataset| dataset.about.id.as_str() == name || dataset.about.name.to_lowercase() == lower;
        let stem = |dataset: &&Dataset| {
            let name = dataset.about.name.to_lowercase();
            name.rsplit_once('.').is_some_and(|(stem, _)| stem == lower)
        };
        let found = all.iter().find(is_one).or_else(|| all.iter().find(stem)).cloned();
        found.ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|dataset| dataset.about.name.as_str()).collect();
            DatasetError::None(format!("There is no dataset {}. Datasets: {}", printable(name, 80), names.join(", ")))
        })
    }

    /// Takes one away; whether it was there.
    ///
    /// # Errors
    /// [`DatasetError::Files`].
    pub async fn delete(&self, owner: Option<&Owner>, id: &DatasetId) -> Result<bool, DatasetError> {
        let (Ok(folder), true) = (self.folder_of(owner), is_made_here(id)) else { return Ok(false) };
        let id = id.clone();
        blocking(move || {
            let is_there = Dataset::open(&folder, &id)?.is_some();
            if is_there {
                delete(&folder, &id);
            }
            Ok(is_there)
        })
        .await
    }

    /// Reads the files of the operator; those that are as they were are there already. What cannot be read is told in the log.
    pub async fn preload(&self) {
        let Some(folder) = self.own.clone() else { return };
        let mut loaded = Vec::new();
        for path in &self.config.preload {
            match self.preload_one(&folder, path).await {
                Ok(dataset) => loaded.push(dataset),
                Err(error) => warn!(path = %path.display(), %error, "a dataset cannot be read"),
            }
        }
        info!(datasets = loaded.len(), "the operator's datasets are there");
        let kept: Vec<DatasetId> = loaded.iter().map(|dataset| dataset.about.id.clone()).collect();
        *self.preloaded.write() = loaded.into();
        let taken_away = blocking(move || {
            let others = all_in(&folder)?.into_iter().filter(|dataset| !kept.contains(&dataset.about.id));
            others.for_each(|dataset| delete(&folder, &dataset.about.id));
            Ok(())
        });
        if let Err(error) = taken_away.await {
            warn!(%error, "datasets that are the operator's no more stay on the disk");
        }
    }

    async fn preload_one(&self, folder: &Path, path: &Path) -> Result<Dataset, DatasetError> {
        let (folder, path) = (folder.to_owned(), path.to_owned());
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (at, called) = (folder.clone(), label(&name));
        let (bytes, known) = blocking(move || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&at).map_err(failed)?;
            let bytes = fs::read(&path).map_err(failed)?;
            let hash = blake3::hash(&bytes).to_hex().to_string();
            let known = all_in(&at)?;
            let known = known.into_iter().find(|known| known.about.hash == hash && known.about.name == called);
            Ok((bytes, known))
        })
        .await?;
        if let Some(known) = known {
            return Ok(known);
        }
        let grid = self.read(&name, &bytes).await?;
        blocking(move || Dataset::write(&folder, label(&name), Timestamp::now(), &bytes, &grid)).await
    }

    /// Deletes what has been there for long enough, and what never became whole.
    pub async fn sweep(&self) {
        let Some(folder) = self.folder.clone() else { return };
        let (now, stay) = (Timestamp::now().0, self.stay());
        let swept = blocking(move || {
            let folders = match fs::read_dir(&folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
                folders => folders.map_err(failed)?,
            };
            let mut swept = 0;
            for owner in folders.flatten().filter(|owner| owner.file_name() != PRELOADED) {
                let owner = owner.path();
                if !owner.is_dir() {
                    continue;
                }
                let all = match all_in(&owner) {
                    Ok(all) => all,
                    Err(error) => {
                        warn!(path = %owner.display(), ?error, "a folder of datasets cannot be read");
                        continue;
                    }
                };
                for old in all.iter().filter(|one| !is_current(one, now, stay)) {
                    delete(&owner, &old.about.id);
                    swept += 1;
                }
                take_orphans(&owner);
            }
            Ok(swept)
        });
        match swept.await {
            Ok(0) => {}
            Ok(datasets) => info!(datasets, "deleted old datasets"),
            Err(error) => warn!(%error, "old datasets could not be deleted"),
        }
    }

    /// How long they are there, in milliseconds.
    const fn stay(&self) -> u64 {
        self.config.ttl_days * DAY_MS
    }

    /// Those that everybody can ask.
    #[must_use]
    pub fn preloaded(&self) -> Arc<[Dataset]> {
        self.preloaded.read().clone()
    }

    fn folder_of(&self, owner: Option<&Owner>) -> Result<PathBuf, DatasetError> {
        let folder = self.folder.as_ref().ok_or(DatasetError::NoPlace)?;
        // Names of people are none of folders.
        let name = owner
            .map_or_else(|| EVERYBODY.to_owned(), |owner| blake3::hash(owner.as_str().as_bytes()).to_hex().to_string());
        Ok(folder.join(name))
    }
}

/// Whether one has not had its days yet.
fn is_current(dataset: &Dataset, now: u64, stay: u64) -> bool {
    now.saturating_sub(dataset.about.created_at.0) <= stay
}

/// Whether an id is one that was made here, and so can be part of a path.
fn is_made_here(id: &DatasetId) -> bool {
    let digits = id.as_str().strip_prefix("d_").unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The datasets of a folder, the newest first; those that cannot be read are passed by.
fn all_in(folder: &Path) -> Result<Vec<Dataset>, DatasetError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut all = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let id = path.file_stem().and_then(|stem| DatasetId::parse(&stem.to_string_lossy()).ok());
        let Some(id) = id.filter(|_| path.extension().is_some_and(|end| end == ABOUT)) else { continue };
        match Dataset::open(folder, &id) {
            Ok(Some(dataset)) => all.push(dataset),
            Ok(None) => {}
            Err(error) => warn!(path = %path.display(), %error, "a dataset cannot be read"),
        }
    }
    all.sort_by(|a, b| (b.about.created_at.0, &b.about.id).cmp(&(a.about.created_at.0, &a.about.id)));
    Ok(all)
}

/// Takes away what belongs to no dataset, and is old.
fn take_orphans(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_whole = path.with_extension(ABOUT).exists();
        let age = entry.metadata().ok().and_then(|found| found.modified().ok()?.elapsed().ok());
        if !is_whole
            && age.is_some_and(|age| age > ORPHANED)
            && let Err(error) = fs::remove_file(&path)
        {
            warn!(path = %path.display(), %error, "what is left of a dataset stays");
        }
    }
}

/// What people call a file: its name leads nowhere, and is short.
fn label(name: &str) -> String {
    let name = fields::file_name(name).unwrap_or_else(|_| "dataset".to_owned());
    name.chars().take(MAX_NAME).collect()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DatasetError> + Send + 'static,
) -> Result<T, DatasetError> {
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

#[cfg(test)]
mod tests;
