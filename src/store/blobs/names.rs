//! What contents and texts are called, in a folder and in an object storage. Pure.

use std::time::{Duration, SystemTime};

use crate::store::documents::Tenant;

/// The name of what has the id of a place.
pub(super) const PLACE: &str = "rivulet.place";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Content,
    Text,
}

impl Kind {
    /// A text has a version in its name, behind a point.
    pub(super) fn of(name: &str) -> Self {
        if name.contains('.') { Self::Text } else { Self::Content }
    }

    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Content => "blobs",
            Self::Text => "texts",
        }
    }
}

/// The folder of a tenant: no name of a client becomes a path.
pub(super) fn folder_of(tenant: &Tenant) -> String {
    blake3::hash(tenant.as_str().as_bytes()).to_hex()[..32].to_owned()
}

/// How long ago that was; `None` when it is yet to come, by the clock of whoever noted it.
pub(super) fn age(modified: SystemTime) -> Option<Duration> {
    SystemTime::now().duration_since(modified).ok()
}
