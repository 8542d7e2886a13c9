//! Names of collections. Pure.

use std::fmt;

use crate::{
    chat::Owner,
    knowledge::KnowledgeError,
    store::documents::{DEFAULT_COLLECTION, Place, Tenant},
};

/// The most characters of a collection's name.
const MAX_NAME_CHARS: usize = 64;

/// A collection of one tenant. Can only be made from a valid name, so whoever holds one may use it as a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Collection {
    tenant: Tenant,
    name: String,
}

impl Collection {
    /// The collection `name` of the tenant of those who name none: what the operator ingests goes there.
    ///
    /// # Errors
    /// See [`of`](Self::of).
    pub fn parse(name: &str) -> Result<Self, KnowledgeError> {
        Self::of(Tenant::new(Tenant::DEFAULT), name)
    }

    /// The collection `name` of `tenant`.
    ///
    /// # Errors
    /// [`KnowledgeError::InvalidCollection`] unless the name has 1 to 64 of the characters a-z, A-Z, 0-9, `-`, `_`, `.`.
    pub fn of(tenant: Tenant, name: &str) -> Result<Self, KnowledgeError> {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.bytes().all(is_valid) {
            return Err(KnowledgeError::InvalidCollection);
        }
        Ok(Self { tenant, name: name.to_owned() })
    }

    /// The collection that answers to `owner` come from: the one that every tenant has.
    #[must_use]
    pub fn of_answers(owner: Option<&Owner>) -> Self {
        Self { tenant: Tenant::of(owner), name: DEFAULT_COLLECTION.to_owned() }
    }

    /// Whether answers come from it.
    #[must_use]
    pub fn is_of_answers(&self) -> bool {
        self.name == DEFAULT_COLLECTION
    }

    /// Whose it is.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// As the store has it.
    #[must_use]
    pub fn place(&self) -> Place {
        (self.tenant.clone(), self.name.clone())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// The one that every tenant has, of the tenant of those who name none.
impl Default for Collection {
    fn default() -> Self {
        Self::of_answers(None)
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_plain() {
        for good in ["default", "a", "shop-2026_v1.2", &"x".repeat(64)] {
            assert_eq!(Collection::parse(good).expect("valid").as_str(), good);
        }
        for bad in ["", "a b", "../x", "a/b", "é", "a\0", &"x".repeat(65)] {
            assert!(matches!(Collection::parse(bad), Err(KnowledgeError::InvalidCollection)), "{bad:?}");
        }
    }
}
