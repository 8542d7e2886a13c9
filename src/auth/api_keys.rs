//! API keys: what programs prove themselves with that cannot get a token every hour.
//!
//! A key is `rk_`, its id, `_`, 160 random bits and a checksum, by which a scanner and a slip of the hand are known without
//! a look at any store. It is shown once; kept is a hash. All keys are in memory, so checking one costs no I/O; the store
//! has them for the next start, and when each was used last. Uses `store`.

use std::{
    collections::HashMap,
    fmt::{self, Write},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{
    grant::{Credential, Grant, Refused},
    principal::Principal,
};
use crate::{
    chat::Timestamp,
    store::{
        StoreError,
        credentials::{ApiKeyRecord, CredentialStore, MAX_API_KEYS},
    },
};

/// What every key begins with.
pub const PREFIX: &str = "rk_";
/// The most characters of a key's name.
pub const MAX_NAME: usize = 100;
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 20;
/// `rk_`, the id, `_`, the secret and its checksum, in hexadecimal digits.
const LENGTH: usize = PREFIX.len() + 2 * ID_BYTES + 1 + 2 * SECRET_BYTES + 8;
/// How late the store may know of uses.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// What it is to be called.
    #[error("a key's name has 1 to {MAX_NAME} characters and no control character")]
    Name,
    /// There are too many.
    #[error("there are as many keys as there may be, {MAX_API_KEYS}")]
    TooMany,
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All keys.
pub struct ApiKeys {
    store: Arc<dyn CredentialStore>,
    known: RwLock<HashMap<String, Known>>,
    used: Mutex<HashMap<String, Timestamp>>,
}

struct Known {
    record: ApiKeyRecord,
    principal: Arc<Principal>,
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("known", &self.known.read().len()).finish_non_exhaustive()
    }
}

impl ApiKeys {
    /// The keys that the store has.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn load(store: Arc<dyn CredentialStore>) -> Result<Self, StoreError> {
        let keys = Self::none(store.clone());
        keys.take_over(store.changes(0).await?.keys);
        Ok(keys)
    }

    /// None yet.
    pub(super) fn none(store: Arc<dyn CredentialStore>) -> Self {
        Self { known: RwLock::default(), store, used: Mutex::default() }
    }

    /// Keys as the store has them. One that is taken back here stays so.
    pub(super) fn take_over(&self, records: Vec<ApiKeyRecord>) {
        let mut known = self.known.write();
        for mut record in records {
            let Ok(principal) = Principal::new(&record.tenant, &record.user, record.scopes.clone()) else { continue };
            if let Some(Known { record: before, .. }) = known.get(&record.id) {
                record.used_at = record.used_at.max(before.used_at);
                record.revoked_at = record.revoked_at.or(before.revoked_at);
            }
            known.insert(record.id.clone(), Known { record, principal: Arc::new(principal) });
        }
    }

    /// Makes a key that stands for `principal`; it is shown this once.
    ///
    /// # Errors
    /// [`ApiKeyError`]
    pub async fn add(
        &self,
        name: &str,
        principal: Principal,
        expires_at: Option<Timestamp>,
    ) -> Result<(String, ApiKeyRecord), ApiKeyError> {
        let length = name.chars().take(MAX_NAME + 1).count();
        if length == 0 || length > MAX_NAME || name.chars().any(char::is_control) {
            return Err(ApiKeyError::Name);
        }
        let (id, key) = new_key();
        let record = ApiKeyRecord {
            id: id.clone(),
            name: name.to_owned(),
            hash: *blake3::hash(key.as_bytes()).as_bytes(),
            tenant: principal.tenant().to_owned(),
            user: principal.user().to_owned(),
            scopes: principal.scopes().to_vec(),
            created_at: Timestamp::now(),
            expires_at,
            used_at: None,
            revoked_at: None,
        };
        if !self.store.add_api_key(record.clone()).await? {
            return Err(ApiKeyError::TooMany);
        }
        self.known.write().insert(id, Known { record: record.clone(), principal: Arc::new(principal) });
        Ok((key, record))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.read().is_empty()
    }

    /// All keys of a tenant, or of all of them, oldest first.
    #[must_use]
    pub fn list(&self, tenant: Option<&str>) -> Vec<ApiKeyRecord> {
        let used = self.used.lock().clone();
        let known = self.known.read();
        let own = known.values().filter(|known| tenant.is_none_or(|tenant| known.record.tenant == tenant));
        let mut records: Vec<_> = own
            .map(|known| ApiKeyRecord {
                used_at: used.get(&known.record.id).copied().or(known.record.used_at),
                ..known.record.clone()
            })
            .collect();
        records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        records
    }

    /// Takes a key back; whether there is one of this id in the tenant, or in any.
    ///
    /// # Errors
    /// When that could not be stored; the key is not good any more all the same, until the next start.
    pub async fn revoke(&self, id: &str, tenant: Option<&str>) -> Result<bool, StoreError> {
        let now = Timestamp::now();
        match self.known.write().get_mut(id) {
            Some(Known { record, .. }) if tenant.is_none_or(|tenant| record.tenant == tenant) => {
                record.revoked_at.get_or_insert(now);
            }
            _ => return Ok(false),
        }
        self.store.revoke_api_key(id, now).await?;
        Ok(true)
    }

    /// Checks a key.
    pub(super) fn verify(&self, key: &str, now: Timestamp) -> Result<Grant, Refused> {
        let id = id_of(key).ok_or(Refused)?;
        let known = self.known.read();
        let Known { record, principal } = known.get(id).ok_or(Refused)?;
        // Hashes are compared, and in constant time.
        if blake3::hash(key.as_bytes()) != blake3::Hash::from_bytes(record.hash) || !is_good(record, now) {
            return Err(Refused);
        }
        let grant = Grant {
            principal: principal.clone(),
            expires_at: record.expires_at.unwrap_or(Timestamp(u64::MAX)),
            credential: Credential::ApiKey(record.id.clone()),
        };
        drop(known);
        self.used.lock().insert(id.to_owned(), now);
        Ok(grant)
    }

    /// Whether a key that was good still is.
    pub(super) fn stands(&self, id: &str, now: Timestamp) -> bool {
        self.known.read().get(id).is_some_and(|known| is_good(&known.record, now))
    }

    /// Tells the store when keys were used, until `stop`, and once more then.
    pub async fn keep(&self, stop: CancellationToken) {
        let mut ending = false;
        while !ending {
            ending = stop.run_until_cancelled(sleep(NOTED_EVERY)).await.is_none();
            let uses: Vec<_> = std::mem::take(&mut *self.used.lock()).into_iter().collect();
            if uses.is_empty() {
                continue;
            }
            {
                let mut known = self.known.write();
                for (id, at) in &uses {
                    if let Some(known) = known.get_mut(id) {
                        known.record.used_at = Some(*at);
                    }
                }
            }
            if let Err(error) = self.store.note_uses(uses).await {
                error!(%error, "when API keys were used could not be stored");
            }
        }
    }
}

fn is_good(record: &ApiKeyRecord, now: Timestamp) -> bool {
    record.revoked_at.is_none() && record.expires_at.is_none_or(|end| now < end)
}

/// A new key, and its id.
fn new_key() -> (String, String) {
    let id = hex(&rand::random::<[u8; ID_BYTES]>());
    let mut key = format!("{PREFIX}{id}_{}", hex(&rand::random::<[u8; SECRET_BYTES]>()));
    let sum = crc32fast::hash(key.as_bytes());
    key.push_str(&hex(&sum.to_be_bytes()));
    (id, key)
}

/// The id of what is a key by its form.
#[must_use]
pub fn id_of(key: &str) -> Option<&str> {
    if key.len() != LENGTH || !key.is_ascii() {
        return None;
    }
    let (body, sum) = key.split_at(LENGTH - 8);
    let (id, _) = body.strip_prefix(PREFIX)?.split_once('_')?;
    (id.len() == 2 * ID_BYTES && hex(&crc32fast::hash(body.as_bytes()).to_be_bytes()) == sum).then_some(id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _writing_to_a_string_never_fails = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::sqlite::SqliteStore;

    #[test]
    fn a_key_is_known_by_its_form() {
        let (id, key) = new_key();
        assert_eq!((key.len(), id_of(&key)), (LENGTH, Some(id.as_str())));
        assert_ne!(new_key().1, key);
        for bad in ["", "rk_", &key[1..], &format!("{key}0"), &key.to_uppercase(), &format!("{}ä", &key[..LENGTH - 2])]
        {
            assert_eq!(id_of(bad), None, "{bad}");
        }
    }

    /// What is compared is the hash of what was shown with the hash that is kept, and the library's comparison takes the
    /// same time whatever they are. And had it not: a guess that is right but for one digit has a hash like any other's.
    #[tokio::test]
    async fn how_near_a_guess_is_does_not_show() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("keys.db")).unwrap());
        let keys = ApiKeys::load(store).await.unwrap();
        let (key, record) = keys.add("crm", Principal::new("t", "u", Vec::new()).unwrap(), None).await.unwrap();
        for at in LENGTH - 8 - 2 * SECRET_BYTES..LENGTH - 8 {
            let mut guess = key[..LENGTH - 8].to_owned();
            let digit = if &guess[at..=at] == "0" { "1" } else { "0" };
            guess.replace_range(at..=at, digit);
            guess.push_str(&hex(&crc32fast::hash(guess.as_bytes()).to_be_bytes()));
            assert_eq!(id_of(&guess), id_of(&key), "it is one by its form, and its id is known");
            assert!(keys.verify(&guess, Timestamp::now()).is_err());
            let hash = blake3::hash(guess.as_bytes());
            let alike = hash.as_bytes().iter().zip(&record.hash).take_while(|(a, b)| a == b).count();
            assert!(alike < 4, "{alike} bytes alike of a digit wrong at {at}");
        }
        assert!(keys.verify(&key, Timestamp::now()).is_ok());
    }

    proptest! {
        #[test]
        fn a_slip_of_the_hand_is_noticed(at in PREFIX.len()..LENGTH, letter in "[0-9a-f]") {
            let (_, key) = new_key();
            let mut changed = key.clone();
            changed.replace_range(at..=at, &letter);
            prop_assert!(changed == key || id_of(&changed).is_none());
        }
    }
}
