//! Collections that others may read.

use super::*;

const SHOP: &str = "shop";

fn south() -> Tenant {
    Tenant::new("south")
}

fn shop() -> Place {
    (north(), SHOP.to_owned())
}

fn within(key: &str, blob: &str) -> NewVersion {
    NewVersion { target: Target::Key { collection: SHOP.to_owned(), key: key.to_owned() }, ..new(key, blob) }
}

async fn share(store: &dyn DocumentStore, name: &str, readers: &[&str]) -> bool {
    let readers = readers.iter().map(|name| Tenant::new(name)).collect();
    store.set_readers(&north(), name, readers, Timestamp(1)).await.expect("stored")
}

/// A document of the shop that answers.
async fn stocked(store: &dyn DocumentStore, key: &str) -> DocumentRecord {
    let (document, _) = queued(store, &north(), within(key, "b1")).await;
    let claimed = claim(store, Lane::Index).await.expect("due");
    end(store, &claimed.job, indexed(1)).await;
    store.document(&north(), &document.id).await.expect("read").expect("there")
}

async fn listed(store: &dyn DocumentStore, reader: &Tenant) -> Vec<DocumentRecord> {
    let page = store.shared_documents(reader, &shop(), DocumentFilter::default(), None, 9).await;
    page.expect("read").expect("a page").items
}

pub(super) async fn what_is_shared_is_read_and_not_changed(store: &dyn DocumentStore) {
    assert!(!share(store, SHOP, &["south"]).await, "there is none");
    let document = stocked(store, "a").await;
    let private = ready(store, &north(), "b", "b2").await;
    assert!(!store.is_shared(&south(), &shop()).await.expect("read"));
    assert!(share(store, SHOP, &["south", "west", "south"]).await);
    assert!(store.is_shared(&south(), &shop()).await.expect("read"));
    assert!(!store.is_shared(&Tenant::new("east"), &shop()).await.expect("read"));
    let own = store.collections(&north()).await.expect("read");
    assert_eq!(own[1].readers, [south(), Tenant::new("west")]);
    let told = SharedRecord { tenant: north(), name: SHOP.to_owned(), documents: 1 };
    assert_eq!(store.shared(&south()).await.expect("read"), [told]);
    assert_eq!(store.shared(&north()).await.expect("read"), []);

    let read = store.shared_document(&south(), &document.id).await.expect("read").expect("there");
    assert_eq!((read.tenant, read.title, read.newest.blob), (north(), "A title".to_owned(), "b1".to_owned()));
    assert_eq!(listed(store, &south()).await.len(), 1);
    assert_eq!(store.shared_document(&south(), &private.id).await.expect("read"), None);
    // What a collection's owner is told and can do is told to and done by nobody else.
    assert_eq!(store.document(&south(), &document.id).await.expect("read"), None);
    assert_eq!(store.versions(&south(), &document.id).await.expect("read"), None);
    assert_eq!(store.delete_document(&south(), &document.id, false, Timestamp(1)).await.expect("read"), None);
    assert_eq!(store.delete_collection(&south(), SHOP, Timestamp(1)).await.expect("read"), None);
    assert_eq!(store.release(&south(), &document.id, Timestamp(1)).await.expect("read"), None);
    let target = NewVersion { target: Target::Document(document.id.clone()), ..new("a", "b2") };
    assert_eq!(store.accept(&south(), target).await.expect("read"), Accepted::NotFound);
    assert!(!store.set_readers(&south(), SHOP, vec![Tenant::new("east")], Timestamp(1)).await.expect("stored"));
    assert_eq!(store.unused(&south(), vec!["b1".to_owned()]).await.expect("read"), ["b1"]);
}

pub(super) async fn readers_see_what_answers_and_no_more(store: &dyn DocumentStore) {
    let remembered = Some(serde_json::json!({ "price": 7 }));
    let content = Content { uri: Some("shop/a".to_owned()), ..within("/secret/a", "b1").content };
    let first = NewVersion { metadata: remembered, content, ..within("/secret/a", "b1") };
    let (document, _) = queued(store, &north(), first).await;
    assert!(share(store, SHOP, &["south"]).await);
    assert_eq!(store.shared_document(&south(), &document.id).await.expect("read"), None, "nothing answers yet");
    assert_eq!(listed(store, &south()).await, []);
    let claimed = claim(store, Lane::Index).await.expect("due");
    end(store, &claimed.job, indexed(1)).await;
    let seen = store.shared_document(&south(), &document.id).await.expect("read").expect("there");
    assert_eq!((seen.key.as_str(), seen.metadata.as_ref(), seen.job.as_ref()), ("shop/a", None, None));
    // Of a newer version that is held back, readers learn nothing.
    queued(store, &north(), within("/secret/a", "b2")).await;
    assert_eq!(store.shared_document(&south(), &document.id).await.expect("read").as_ref(), Some(&seen));
    let claimed = claim(store, Lane::Index).await.expect("due");
    end(store, &claimed.job, Outcome::Quarantined(vec!["sly".to_owned()])).await;
    assert_eq!(listed(store, &south()).await, [seen]);
    let of = async |state, key: Option<&str>| {
        let filter = DocumentFilter { state, key: key.map(str::to_owned), collection: None };
        let page = store.shared_documents(&south(), &shop(), filter, None, 9).await;
        page.expect("read").expect("a page").items.len()
    };
    let failed = Some(DocumentState::Quarantined);
    let counts = [of(failed, None).await, of(None, Some("/secret/a")).await, of(None, Some("shop/a")).await];
    assert_eq!(counts, [0, 0, 1], "a key that is not shown cannot be guessed");
}

pub(super) async fn what_is_not_shared_any_more_is_not_there(store: &dyn DocumentStore) {
    let (a, b) = (stocked(store, "a").await, stocked(store, "b").await);
    assert!(share(store, SHOP, &["south"]).await);
    let page = async |before: &DocumentId| {
        store.shared_documents(&south(), &shop(), DocumentFilter::default(), Some(before), 9).await.expect("read")
    };
    assert_eq!(page(&b.id).await.expect("a page").items[0].id, a.id);
    store.delete_document(&north(), &b.id, false, Timestamp(1)).await.expect("stored").expect("there");
    assert_eq!(store.shared_document(&south(), &b.id).await.expect("read"), None);
    assert_eq!(page(&b.id).await, None);
    for ended in ["taken back", "deleted"] {
        assert!(share(store, SHOP, &["south"]).await);
        assert_eq!(listed(store, &south()).await.len(), 1);
        match ended {
            "deleted" => drop(store.delete_collection(&north(), SHOP, Timestamp(1)).await.expect("stored")),
            _ => drop(share(store, SHOP, &[]).await),
        }
        assert!(!store.is_shared(&south(), &shop()).await.expect("read"), "{ended}");
        assert_eq!(store.shared(&south()).await.expect("read"), [], "{ended}");
        assert_eq!(store.shared_document(&south(), &a.id).await.expect("read"), None, "{ended}");
        assert_eq!(listed(store, &south()).await, [], "{ended}");
        assert_eq!(page(&a.id).await, None, "{ended}");
    }
    assert!(!share(store, SHOP, &["south"]).await, "it is being deleted");
    while let Some(claimed) = claim(store, Lane::Remove).await {
        end(store, &claimed.job, Outcome::Removed).await;
    }
    store.create_collection(&north(), SHOP, Timestamp(1)).await.expect("stored");
    assert!(!store.is_shared(&south(), &shop()).await.expect("read"), "another one of this name is another one");
}

pub(super) async fn readers_are_told_of_so_many_collections(store: &dyn DocumentStore) {
    assert!(share(store, DEFAULT_COLLECTION, &["south"]).await, "it is always there");
    for n in 0..MAX_COLLECTIONS {
        let name = n.to_string();
        store.create_collection(&north(), &name, Timestamp(1)).await.expect("stored");
        assert!(share(store, &name, &["south"]).await);
    }
    assert_eq!(store.shared(&south()).await.expect("read").len(), MAX_SHARED);
    let last = (north(), DEFAULT_COLLECTION.to_owned());
    assert!(store.is_shared(&south(), &last).await.expect("read"), "it can be read all the same");
}
