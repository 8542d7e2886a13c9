//! What accounts have spent.

use super::*;

pub(super) async fn what_was_spent_comes_back(store: &dyn SpendingStore) {
    let spent = |account: &str, tokens| Spent { account: account.to_owned(), tokens };
    let on = async |day| {
        let mut found = store.spent(day, 9).await.expect("read");
        found.sort_by(|a, b| a.account.cmp(&b.account));
        found
    };
    store.spend(10, vec![spent("a/u", 5), spent("b", 7)]).await.expect("noted");
    let mut noted = store.spend(10, vec![spent("a/u", 9), spent("b", -2)]).await.expect("noted");
    noted.sort_by(|a, b| a.account.cmp(&b.account));
    assert_eq!(noted, [spent("a/u", 14), spent("b", 5)], "what others have noted is in it");
    assert_eq!(on(10).await, [spent("a/u", 14), spent("b", 5)], "all that was noted");
    assert_eq!(store.spent(10, 1).await.expect("read").len(), 1);
    store.spend(11, vec![spent("b", 1)]).await.expect("noted");
    assert_eq!((on(10).await.len(), on(11).await), (2, vec![spent("b", 1)]), "yesterday is known");
    store.spend(12, Vec::new()).await.expect("noted");
    assert_eq!((on(10).await.len(), on(11).await.len()), (0, 1), "what was before is not");
}
