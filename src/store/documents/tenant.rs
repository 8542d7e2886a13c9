//! Tenants. Pure.

use std::{fmt, sync::Arc};

use crate::chat::Owner;

/// To whom documents belong: everybody of one tenant has them together.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// The tenant of those who name none, and of those who need not say who they are.
    pub const DEFAULT: &str = "default";

    /// The tenant of this name, which `auth` has checked.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The tenant of who asks.
    #[must_use]
    pub fn of(owner: Option<&Owner>) -> Self {
        Self::new(owner.map_or(Self::DEFAULT, Owner::tenant))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
