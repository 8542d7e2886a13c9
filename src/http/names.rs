//! Names as clients send them, one type for each kind, so that `/openapi.json` says of each alike what it must be. What is
//! made of a name checks it.

use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::auth::{InvalidPrincipal, Principal};

/// Text of so many characters, and no control character.
macro_rules! plain {
    ($(#[$doc:meta])* $name:ident, $most:tt) => {
        $(#[$doc])*
        #[derive(Deserialize, ToSchema)]
        #[schema(min_length = 1, max_length = $most, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
        pub(super) struct $name(pub(super) String);
    };
}

/// Letters of addresses, digits, and a few signs.
macro_rules! short {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Deserialize, ToSchema)]
        #[schema(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
        pub(super) struct $name(pub(super) String);
    };
}

plain!(
    /// A user of a tenant.
    User, 128
);
plain!(
    /// What a key is for.
    Purpose, 100
);
plain!(
    /// What its source calls a document.
    DocumentKey, 1024
);
plain!(
    /// Where the original of a document lies.
    Address, 1024
);
short!(
    /// A tenant.
    TenantName
);
short!(
    /// A collection of the own tenant.
    CollectionName
);

/// What a document is called, or a conversation.
#[derive(Deserialize, ToSchema)]
#[schema(
    min_length = 1,
    max_length = 200,
    pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$"
)]
pub(super) struct Title(pub(super) String);

/// What a principal may do, as RFC 6749 has it.
#[derive(Deserialize, ToSchema)]
#[schema(pattern = r"^[!#-\[\]-~]{1,64}$")]
pub(super) struct Scope(String);

/// The principal of these names.
pub(super) fn principal(tenant: &str, user: &str, scopes: Vec<Scope>) -> Result<Principal, Problem> {
    Ok(Principal::new(tenant, user, scopes.into_iter().map(|Scope(scope)| scope).collect())?)
}

impl From<InvalidPrincipal> for Problem {
    fn from(error: InvalidPrincipal) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_field", error.to_string())
    }
}
