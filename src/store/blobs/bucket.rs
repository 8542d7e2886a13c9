//! Contents and texts as objects, beside the index in the same object storage. The client is the one that the index has:
//! lancedb makes it, of the same environment.
//!
//! An object is whole or not there. A content that is put there has a name that nothing had before, and only rows of its own
//! document come to refer to it, so what no row refers to any more never comes back: it can be removed whoever else is about to
//! place the same bytes. Content comes in as a file of this machine first, so nothing goes out before it is whole and known.

use std::{
    io::{self, ErrorKind},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream, try_unfold},
};
use lancedb::ObjectStoreRegistry;
use object_store::{
    Error, GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, Result as Answer,
    path::Path as Location,
};
use reqwest::Url;
use tokio::{fs::File, io::AsyncReadExt, sync::Semaphore, time::timeout};

use super::{
    folder::{Folder, GRACE},
    names::{Kind, PLACE, folder_of},
    part::Part,
};
use crate::store::documents::{Tenant, fresh_name};

/// How long one request may take, with those that repeat it.
const DEADLINE: Duration = Duration::from_secs(15);
/// Content that is longer goes out in parts of so many bytes, one after the other.
const PART_BYTES: u64 = 8 << 20;
/// Contents that go out at a time, each with a part of it in memory.
const PLACED_AT_ONCE: usize = 8;
/// Objects that are removed at a time.
const REMOVED_AT_ONCE: usize = 8;
/// How long it may take to remove what goes at once: others wait for that.
const REMOVED_WITHIN: Duration = Duration::from_secs(60);

/// The objects of all tenants below an address.
#[derive(Debug)]
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Location,
    /// Where content comes in.
    incoming: Folder,
    placing: Semaphore,
}

impl Bucket {
    /// Asks the storage for nothing, but perhaps where it is and who may use it.
    pub(super) async fn open(address: &str, data_dir: &Path) -> io::Result<Self> {
        let url = Url::parse(address).map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let prefix = Location::from_url_path(url.path()).map_err(|error| io::Error::from(Error::from(error)))?;
        let registry = ObjectStoreRegistry::default();
        let made = timeout(DEADLINE, registry.get_store(url, &Default::default())).await.map_err(|_| late())?;
        let store = Arc::clone(&made.map_err(io::Error::other)?.inner);
        let placing = Semaphore::new(PLACED_AT_ONCE);
        Ok(Self { store, prefix, incoming: Folder::new(data_dir, GRACE), placing })
    }

    fn of(&self, tenant: &Tenant, kind: Kind) -> Location {
        self.prefix.clone().join(kind.folder()).join(folder_of(tenant))
    }

    fn location(&self, tenant: &Tenant, name: &str) -> Location {
        self.of(tenant, Kind::of(name)).join(name)
    }

    pub(super) async fn begin(&self, tenant: &Tenant) -> io::Result<Part> {
        self.incoming.begin(tenant).await
    }

    /// The name under which it lies from now on.
    pub(super) async fn place(&self, tenant: &Tenant, mut part: Part) -> io::Result<String> {
        let (name, bytes) = (fresh_name(&part.hash()), part.bytes());
        let location = self.location(tenant, &name);
        let _place = timeout(DEADLINE, self.placing.acquire()).await.map_err(|_| late())?;
        let mut file = File::open(part.flushed().await?).await?;
        if bytes <= PART_BYTES {
            within(self.store.put(&location, piece(&mut file, bytes).await?)).await?;
        } else {
            self.place_in_parts(&location, &mut file, bytes).await?;
        }
        Ok(name)
    }

    async fn place_in_parts(&self, location: &Location, file: &mut File, bytes: u64) -> io::Result<()> {
        let mut upload = within(self.store.put_multipart(location)).await?;
        let mut left = bytes;
        let sent = async {
            while left > 0 {
                let bytes = left.min(PART_BYTES);
                within(upload.put_part(piece(file, bytes).await?)).await?;
                left -= bytes;
            }
            within(upload.complete()).await
        };
        let Err(error) = sent.await else { return Ok(()) };
        if let Err(error) = within(upload.abort()).await {
            tracing::warn!(%location, %error, "parts of an upload are left in the object storage");
        }
        Err(error)
    }

    pub(super) async fn hold(&self, tenant: &Tenant, name: &str) -> io::Result<Option<u64>> {
        let about = within(self.store.head(&self.location(tenant, name))).await;
        self.none_when_missing(about.map(|about| about.size)).await
    }

    pub(super) async fn has(&self, tenant: &Tenant, name: &str) -> io::Result<bool> {
        Ok(self.hold(tenant, name).await?.is_some())
    }

    pub(super) async fn open_one(
        &self,
        tenant: &Tenant,
        name: &str,
    ) -> io::Result<Option<BoxStream<'static, io::Result<Bytes>>>> {
        let got = within(self.store.get(&self.location(tenant, name))).await;
        Ok(self.none_when_missing(got.map(GetResult::into_stream)).await?.map(in_time))
    }

    pub(super) async fn keep_text(&self, tenant: &Tenant, name: &str, text: &str) -> io::Result<()> {
        let text = PutPayload::from(text.as_bytes().to_vec());
        within(self.store.put(&self.location(tenant, name), text)).await.map(drop)
    }

    pub(super) async fn entries(&self, tenant: &Tenant, kind: Kind) -> io::Result<Vec<(String, SystemTime)>> {
        let mut listed = in_time(self.store.list(Some(&self.of(tenant, kind))));
        let mut found = Vec::new();
        while let Some(about) = listed.next().await.transpose()? {
            let name = about.location.filename().unwrap_or_default().to_owned();
            found.push((name, about.last_modified.into()));
        }
        Ok(found)
    }

    /// Removes objects. When one cannot be removed, or all of it takes too long, the rest is left for the next sweep.
    pub(super) async fn remove(&self, tenant: &Tenant, names: &[String]) {
        let locations: Vec<Location> = names.iter().map(|name| self.location(tenant, name)).collect();
        let removals = stream::iter(locations)
            .map(Ok)
            .try_for_each_concurrent(REMOVED_AT_ONCE, |location| self.remove_one(location));
        if let Err(error) = timeout(REMOVED_WITHIN, removals).await.unwrap_or_else(|_| Err(late())) {
            tracing::warn!(objects = names.len(), %error, "objects that nobody needs go later");
        }
    }

    async fn remove_one(&self, location: Location) -> io::Result<()> {
        match within(self.store.delete(&location)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) async fn clear(&self) -> io::Result<()> {
        self.incoming.clear().await
    }

    pub(super) async fn id(&self) -> io::Result<Option<String>> {
        let got = within(self.store.get(&self.prefix.clone().join(PLACE))).await;
        let Some(got) = self.none_when_missing(got).await? else { return Ok(None) };
        let id = within(got.bytes()).await?;
        Ok(Some(String::from_utf8_lossy(&id).into_owned()))
    }

    /// Of several who make one at the same moment all have the same afterwards.
    pub(super) async fn make_id(&self, id: &str) -> io::Result<()> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let id = PutPayload::from(format!("{id}\n").into_bytes());
        match timeout(DEADLINE, self.store.put_opts(&self.prefix.clone().join(PLACE), id, options)).await {
            Ok(Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. })) => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(late()),
        }
    }

    /// Where no such bucket is there is no such object either, and that is another thing.
    async fn none_when_missing<T>(&self, found: io::Result<T>) -> io::Result<Option<T>> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut listed = in_time(self.store.list(Some(&self.prefix.clone().join(PLACE))));
                match listed.next().await.transpose() {
                    Ok(_) => Ok(None),
                    Err(missing) => Err(io::Error::other(missing)),
                }
            }
            Err(error) => Err(error),
        }
    }
}

/// One request, or all that repeat it.
async fn within<T>(request: impl Future<Output = Answer<T>>) -> io::Result<T> {
    Ok(timeout(DEADLINE, request).await.map_err(|_| late())??)
}

/// The same for each piece of an answer.
fn in_time<T: Send + 'static>(pieces: BoxStream<'static, Answer<T>>) -> BoxStream<'static, io::Result<T>> {
    let pieces = try_unfold(pieces, |mut pieces| async move {
        let next = timeout(DEADLINE, pieces.next()).await.map_err(|_| late())?;
        Ok(next.transpose()?.map(|next| (next, pieces)))
    });
    pieces.boxed()
}

fn late() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, format!("the object storage did not answer within {} s", DEADLINE.as_secs()))
}

/// The next bytes of a file.
async fn piece(file: &mut File, bytes: u64) -> io::Result<PutPayload> {
    let mut piece = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
    file.take(bytes).read_to_end(&mut piece).await?;
    if piece.len() as u64 == bytes { Ok(piece.into()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}
