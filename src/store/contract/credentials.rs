//! API keys and what was revoked.

use super::*;
use crate::store::credentials::{
    ApiKeyRecord, Changes, CredentialStore, MAX_REVOKED_OF_USER, Revocation, RevokedToken,
};

async fn all(store: &dyn CredentialStore) -> Changes {
    store.changes(0).await.expect("read")
}

fn key(id: &str, created_at: u64) -> ApiKeyRecord {
    ApiKeyRecord {
        id: id.to_owned(),
        name: "crm".to_owned(),
        hash: [7; 32],
        tenant: "north".to_owned(),
        user: "crm".to_owned(),
        scopes: vec!["chat".to_owned(), "unlimited".to_owned()],
        created_at: Timestamp(created_at),
        expires_at: Some(Timestamp(u64::MAX >> 1)),
        used_at: None,
        revoked_at: None,
    }
}

pub(super) async fn keys_come_back_as_they_were_stored(store: Arc<dyn CredentialStore>) {
    assert!(store.add_api_key(key("b", 2)).await.expect("stored"));
    let plain = ApiKeyRecord { scopes: Vec::new(), expires_at: None, ..key("a", 1) };
    assert!(store.add_api_key(plain.clone()).await.expect("stored"));
    assert!(store.add_api_key(key("a", 3)).await.is_err(), "an id is taken once");
    assert_eq!(all(&*store).await.keys, [plain.clone(), key("b", 2)]);
    let uses = vec![("b".to_owned(), Timestamp(9)), ("gone".to_owned(), Timestamp(9))];
    store.note_uses(uses).await.expect("stored");
    for at in [5, 6] {
        store.revoke_api_key("a", Timestamp(at)).await.expect("stored");
    }
    let revoked = ApiKeyRecord { revoked_at: Some(Timestamp(5)), ..plain };
    let used = ApiKeyRecord { used_at: Some(Timestamp(9)), ..key("b", 2) };
    assert_eq!(all(&*store).await.keys, [revoked, used]);
}

pub(super) async fn the_latest_revocation_holds_and_old_ones_go(store: Arc<dyn CredentialStore>) {
    let revocation = |user: Option<&str>, before| Revocation {
        tenant: "north".to_owned(),
        user: user.map(str::to_owned),
        before: Timestamp(before),
    };
    for (user, before) in [(Some("ann"), 5), (Some("ann"), 3), (None, 4), (Some("old"), 1)] {
        assert!(store.revoke(revocation(user, before), Timestamp(0)).await.expect("stored"));
    }
    assert!(store.revoke(revocation(Some("ben"), 6), Timestamp(2)).await.expect("stored"));
    let mut known = all(&*store).await.revocations;
    known.sort_by_key(|known| known.before);
    assert_eq!(known, [revocation(None, 4), revocation(Some("ann"), 5), revocation(Some("ben"), 6)]);
}

pub(super) async fn single_tokens_stay_until_they_are_over_and_are_bounded_by_user(store: Arc<dyn CredentialStore>) {
    let token = |n: usize, user: &str, until| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        RevokedToken { id, tenant: "north".to_owned(), user: user.to_owned(), until: Timestamp(until) }
    };
    for n in 0..MAX_REVOKED_OF_USER {
        assert!(store.revoke_token(token(n, "mallory", 9), Timestamp(1)).await.expect("stored"));
    }
    assert!(!store.revoke_token(token(5000, "mallory", 9), Timestamp(1)).await.expect("refused"));
    assert!(store.revoke_token(token(0, "mallory", 9), Timestamp(1)).await.expect("known already"));
    assert!(store.revoke_token(token(5000, "ann", 12), Timestamp(1)).await.expect("others have room"));
    assert!(store.revoke_token(token(5001, "mallory", 12), Timestamp(9)).await.expect("the others are over"));
    let mut known = all(&*store).await.tokens;
    known.sort_by_key(|token| token.id);
    assert_eq!(known, [token(5000, "ann", 12), token(5001, "mallory", 12)]);
}
