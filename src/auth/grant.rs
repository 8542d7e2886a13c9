//! What a credential proves: a principal, for a while. Plain values.

use std::{sync::Arc, time::Duration};

use super::principal::{DEFAULT_TENANT, Principal, Right, UNLIMITED};
use crate::{
    chat::{CallId, Decision, Owner, Timestamp},
    config::{Assistant, Visibility},
    limits::Visitor,
    run::Assistants,
};

/// Clocks differ: a token counts for so much longer than it says, and so much earlier.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// The credentials prove nothing. Why is not told: whoever tries them out shall learn nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the credentials are not valid")]
pub struct Refused;

/// A principal that was proven, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// When the proof ends, without the [`LEEWAY`].
    pub expires_at: Timestamp,
    /// What proves it.
    pub credential: Credential,
}

/// By what a token is known that was taken back.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId([u8; 32]);

impl TokenId {
    /// Of a token of this tenant: by its name (`jti`), or else by what is signed of it. Not by its signature, which for some
    /// algorithms whoever has the token can put into another form.
    pub(super) fn of(tenant: &str, jti: Option<&str>, message: &str) -> Self {
        let (kind, text) = jti.map_or(("message", message), |jti| ("jti", jti));
        let mut hash = blake3::Hasher::new();
        // No tenant has a blank.
        hash.update(tenant.as_bytes()).update(b" ").update(kind.as_bytes()).update(b" ").update(text.as_bytes());
        Self(*hash.finalize().as_bytes())
    }

    /// The token of this name that some principal of the tenant has.
    #[must_use]
    pub fn named(tenant: &str, jti: &str) -> Self {
        Self::of(tenant, Some(jti), "")
    }

    /// As the store has it.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl From<[u8; 32]> for TokenId {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for TokenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex()[..8])
    }
}

/// What proves a principal, as far as it takes to take it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token.
    Token {
        /// Which one.
        id: TokenId,
        /// When it was made, if it says so.
        made: Option<Timestamp>,
    },
    /// The API key of this id.
    ApiKey(String),
}

/// How long a proof that says to end at `expires_at` still counts, [`LEEWAY`] included; zero when it is over.
#[must_use]
pub fn left(expires_at: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(expires_at.plus_seconds(LEEWAY.as_secs()).0.saturating_sub(now.0))
}

/// Who makes a request: a principal, or nobody in particular where that is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller(pub Option<Grant>);

impl Caller {
    /// To whom belongs what this caller makes, and who must own what it is to see.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.0.as_ref().map(|grant| grant.principal.owner())
    }

    /// Whose documents and credentials are its own; the default tenant's where it is not known who it is.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.0.as_ref().map_or(DEFAULT_TENANT, |grant| grant.principal.tenant())
    }

    /// Whether it may do this. Where nobody need say who they are, everybody may do everything.
    #[must_use]
    pub fn may(&self, right: Right) -> bool {
        self.0.as_ref().is_none_or(|grant| grant.principal.may(right))
    }

    /// The assistant of this name, or the default one, when it is on offer and shown to it.
    #[must_use]
    pub fn assistant(&self, offered: &Assistants, name: Option<&str>) -> Option<Arc<Assistant>> {
        offered.get(name).filter(|assistant| self.is_shown(&assistant.visibility))
    }

    /// Those that it is shown, the default one first.
    pub fn assistants(&self, offered: &Assistants) -> impl Iterator<Item = Arc<Assistant>> {
        offered.all().into_iter().filter(|assistant| self.is_shown(&assistant.visibility))
    }

    /// Whether it may ask in a conversation with this one. Of one that is not on offer the conversation itself tells.
    #[must_use]
    pub fn may_ask(&self, offered: &Assistants, name: &str) -> bool {
        offered.get(Some(name)).is_none_or(|assistant| self.is_shown(&assistant.visibility))
    }

    /// Whether it is shown what these may see. Where nobody need say who they are, everybody sees everything.
    fn is_shown(&self, visibility: &Visibility) -> bool {
        self.0.as_ref().is_none_or(|grant| match visibility {
            Visibility::Everybody => true,
            Visibility::Tenant(tenant) => grant.principal.tenant() == tenant,
            Visibility::Scope(scope) => grant.principal.has_scope(scope),
        })
    }

    /// What it says to a call that has to be allowed.
    #[must_use]
    pub fn decision(&self, call: CallId, digest: String, is_approved: bool, comment: Option<String>) -> Decision {
        let principal = self.0.as_ref().map(|grant| &grant.principal);
        Decision {
            call,
            digest,
            is_approved,
            comment,
            by: principal.map(|principal| principal.user().to_owned()),
            is_owner: true,
            scopes: principal.map(|principal| principal.scopes().to_vec()),
        }
    }

    /// Whose requests are counted; `unknown`, when it is not known who makes them.
    #[must_use]
    pub fn visitor(&self, unknown: Visitor) -> Visitor {
        match &self.0 {
            None => unknown,
            Some(grant) if grant.principal.has_scope(UNLIMITED) => Visitor::Unlimited,
            Some(grant) => Visitor::Principal(grant.principal.owner().clone()),
        }
    }
}
