//! Documents in a folder that anybody may have made, and that `rivulet knowledge import` takes in.

use std::{cell::RefCell, fs, path::Path, sync::Arc};

use rivulet::{
    config::KnowledgeConfig,
    knowledge::{
        Knowledge,
        archive::{ArchiveError, Imported, import},
        fields::{file_name, key},
        jobs::{Bounds, Documents},
        parser::Parsers,
    },
    store::{
        blobs::Blobs,
        documents::{DocumentFilter, DocumentRecord, Page, Tenant},
        sqlite::SqliteStore,
    },
};
use tempfile::TempDir;

use super::{
    data::{folder, holds_nothing_half, runtime},
    parts::parts,
};

/// The most documents that are looked at.
const PAGE: usize = 200;
/// How many reasons are told, and the most bytes of one.
const REASONS: usize = 100;
const REASON: usize = 1000;
/// The length of a hash that is written down.
const HASH: usize = 64;
/// After so many inputs a new store is begun, so that a long run does not fill the machine.
const INPUTS: usize = 500;

/// Every line of a list is a document, or is refused for a reason; what was taken in is sound, nothing is left of the
/// rest, and the same folder brings nothing new. The input is `=== list` and the list, then contents: each under the
/// hash that is its name, or under its own, for which `@NAME@` stands in the list.
pub fn archive(bytes: &[u8]) {
    let Some(mut parts) = parts(bytes).filter(|parts| !parts.is_empty()) else { return };
    let list = parts.remove(0).1;
    let from = folder();
    write(from.path(), &list, &parts);
    WORLD.with_borrow_mut(|(world, inputs)| {
        if *inputs == 0 {
            *world = Some(World::begin());
        }
        *inputs = (*inputs + 1) % INPUTS;
        let world = world.as_ref().expect("it has begun");
        runtime().block_on(world.take_in(&Tenant::new(&blake3::hash(bytes).to_string()), from.path(), &list));
    });
}

fn write(folder: &Path, list: &[u8], contents: &[(String, Vec<u8>)]) {
    let files = folder.join("files");
    fs::create_dir(&files).expect("made");
    let mut list = String::from_utf8(list.to_vec());
    for (name, content) in contents {
        let hash = if name.len() == HASH { name.clone() } else { blake3::hash(content).to_string() };
        list = list.map(|list| list.replace(&format!("@{name}@"), &hash));
        let is_name = !hash.contains(['/', '\0']);
        is_name.then(|| fs::write(files.join(&hash), content).expect("written"));
    }
    let list = list.map_or_else(|error| error.into_bytes(), String::into_bytes);
    fs::write(folder.join("documents.jsonl"), list).expect("written");
}

/// What documents are taken into; nobody works on them.
struct World {
    documents: Documents,
    folder: TempDir,
}

thread_local! {
    static WORLD: RefCell<(Option<World>, usize)> = const { RefCell::new((None, 0)) };
}

impl World {
    fn begin() -> Self {
        let folder = folder();
        let config = KnowledgeConfig { model_dir: None, ..KnowledgeConfig::default() };
        let knowledge = Knowledge::open(&config, folder.path(), Parsers::of_this_program());
        let store = SqliteStore::open(folder.path().join("rivulet.db")).expect("a store");
        let open =
            Documents::open(Arc::new(store), Arc::new(knowledge), Blobs::new(folder.path()), Bounds::of(&config));
        let documents = runtime().block_on(open).expect("documents");
        Self { documents, folder }
    }

    async fn take_in(&self, tenant: &Tenant, from: &Path, list: &[u8]) {
        let done = match import(&self.documents, tenant, from).await {
            Ok(done) => done,
            Err(error) => return assert!(matches!(error, ArchiveError::NotOurs(_)), "{error}"),
        };
        let lines = list.split(|byte| *byte == b'\n').count();
        assert!(done.accepted + done.unchanged + done.refused < lines.max(2), "{done:?}");
        assert_eq!(done.reasons.len(), done.refused.min(REASONS), "{done:?}");
        assert!(done.reasons.iter().all(|reason| is_a_line(reason)), "{done:?}");
        let page = self.page(tenant).await;
        assert!(page.items.len() <= done.accepted, "{done:?}");
        page.items.iter().for_each(sound);
        holds_nothing_half(self.folder.path());
        let again = import(&self.documents, tenant, from).await.expect("it was read");
        let taken = |done: &Imported| done.accepted + done.unchanged;
        assert_eq!((again.refused, taken(&again)), (done.refused, taken(&done)));
        let has_one_line_each = page.items.len() == done.accepted;
        let versions = |page: &Page<DocumentRecord>| -> Vec<_> {
            page.items.iter().map(|document| (document.id.clone(), document.newest.clone())).collect()
        };
        assert!(!has_one_line_each || versions(&self.page(tenant).await) == versions(&page), "{page:?}");
    }

    async fn page(&self, tenant: &Tenant) -> Page<DocumentRecord> {
        let page = self.documents.store().documents(tenant, DocumentFilter::default(), None, PAGE).await;
        page.expect("the store tells").expect("from the beginning")
    }
}

fn is_a_line(reason: &str) -> bool {
    !reason.is_empty() && reason.len() <= REASON && !reason.contains(char::is_control)
}

fn sound(document: &DocumentRecord) {
    assert_eq!(key(&document.key).as_deref(), Ok(&*document.key));
    let name = &document.newest.name;
    assert_eq!(file_name(name).as_deref(), Ok(&**name));
    assert!(!document.title.contains(char::is_control) && document.newest.bytes > 0, "{document:?}");
}
