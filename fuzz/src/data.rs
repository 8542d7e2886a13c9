//! Data folders that the checks give to the gateway.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A folder where `TMPDIR` says, or else in memory, where there is any: what is written has to be synced each time.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let is_in_memory = env::var_os("TMPDIR").is_none() && memory.is_dir();
    if is_in_memory { TempDir::new_in(memory) } else { TempDir::new() }.expect("a folder")
}

/// What the gateway runs on. It is never let go: what it has spawned may last as long as the process.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_current_thread().enable_all().build().expect("a runtime"))
}

/// Every content in a data folder is whole.
pub(crate) fn holds_nothing_half(data: &Path) {
    for file in entries(&data.join("blobs")).iter().flat_map(|tenant| entries(tenant)) {
        assert!(file.extension().is_none(), "{file:?} is left");
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}
