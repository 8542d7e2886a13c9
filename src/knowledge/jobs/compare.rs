//! What the index has, compared with what it should have. Used by the start and by who only wants to know.

use std::collections::{BTreeMap, HashMap};

use super::stages::OURS;
use crate::{
    chat::DocumentId,
    store::{
        MAX_PAGE, StoreError,
        documents::{DocumentStore, Known, Place},
    },
};

/// Documents of a collection, and the hash of the rows of the version that answers; `None`: it should have no rows.
pub(super) type Should = HashMap<DocumentId, Option<String>>;

/// What a comparison of one collection found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// Documents of the index that should not be there.
    pub(super) orphans: Vec<String>,
    /// Documents that should answer and are not there.
    pub(super) missing: Vec<DocumentId>,
    /// Documents that answer with another version than they should.
    pub(super) stale: Vec<DocumentId>,
}

/// What all collections with documents should have, or this one.
pub(super) async fn expected(
    store: &dyn DocumentStore,
    within: Option<&Place>,
) -> Result<BTreeMap<Place, Should>, StoreError> {
    let mut expected: BTreeMap<Place, Should> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.expected(within, after.as_ref(), MAX_PAGE).await?;
        after = page.last().map(|known| known.document.clone());
        let is_last = page.len() < MAX_PAGE;
        for Known { tenant, collection, document, doc_hash } in page {
            expected.entry((tenant, collection)).or_default().insert(document, doc_hash);
        }
        if is_last {
            return Ok(expected);
        }
    }
}

/// Compares document by document. `has` is id → hash; rows of another make are nobody's business.
pub(super) fn compare(should: &Should, has: &HashMap<String, String>) -> Compared {
    // Of a document that never answered there may be what a process wrote that could not say so any more.
    let answers = |id: &str| DocumentId::parse(id).is_ok_and(|id| should.get(&id).is_some_and(Option::is_some));
    let ours = has.iter().filter(|(_, hash)| hash.starts_with(OURS));
    let mut found =
        Compared { orphans: ours.map(|(id, _)| id.clone()).filter(|id| !answers(id)).collect(), ..Compared::default() };
    for (document, hash) in should {
        let Some(hash) = hash else { continue };
        match has.get(document.as_str()) {
            None => found.missing.push(document.clone()),
            Some(other) if other != hash => found.stale.push(document.clone()),
            Some(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_and_only_what_is_ours() {
        let [fine, missing, stale, unborn] = [0; 4].map(|_| DocumentId::random());
        let should: Should = [
            (fine.clone(), Some("v1-a")),
            (missing.clone(), Some("v1-b")),
            (stale.clone(), Some("v2-c")),
            (unborn.clone(), None),
        ]
        .map(|(id, hash)| (id, hash.map(str::to_owned)))
        .into();
        let deleted = DocumentId::random();
        let has = [(&fine, "v1-a"), (&stale, "v1-c"), (&unborn, "v1-d"), (&deleted, "v3-e")]
            .map(|(id, hash)| (id.as_str().to_owned(), hash.to_owned()));
        let mut has: HashMap<String, String> = has.into();
        has.insert("bypath".to_owned(), "0123".to_owned());
        let mut found = compare(&should, &has);
        found.orphans.sort();
        let mut orphans = vec![unborn.as_str().to_owned(), deleted.as_str().to_owned()];
        orphans.sort();
        assert_eq!(found, Compared { orphans, missing: vec![missing], stale: vec![stale] });
    }
}
