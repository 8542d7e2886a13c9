//! Who lets agents in to `/mcp`, as RFC 9728 has clients told. Pure.

use std::sync::Arc;

use axum::http::HeaderValue;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::Right,
    config::{Config, server_url},
};

/// Where that is described.
const DESCRIBED: &str = "/.well-known/oauth-protected-resource";

/// Whether agents are served, and what they are told of who lets them in.
#[derive(Debug, Clone, Default)]
pub struct Mcp {
    /// Whether they are.
    pub(super) is_served: bool,
    resource: Option<Arc<Resource>>,
}

/// Who lets somebody in, for clients that can ask there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProtectedResource)]
pub(super) struct Resource {
    /// The address that is protected.
    resource: String,
    authorization_servers: Vec<String>,
    scopes_supported: [&'static str; 1],
    bearer_methods_supported: [&'static str; 1],
    resource_name: &'static str,
    /// For those who come without.
    #[serde(skip)]
    challenge: Option<HeaderValue>,
}

impl Mcp {
    /// With `mcp.serve`, `mcp.resource` and `auth.issuer`.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let described = config.mcp.resource.as_ref().zip(config.auth.issuer.as_ref());
        let resource = described.map(|(resource, issuer)| Resource {
            challenge: challenge_of(resource),
            resource: resource.clone(),
            authorization_servers: vec![issuer.clone()],
            scopes_supported: [Right::ReadKnowledge.scope()],
            bearer_methods_supported: ["header"],
            resource_name: "Rivulet",
        });
        Self { is_served: config.mcp.serve, resource: resource.map(Arc::new) }
    }

    /// Who lets somebody in, where that is known.
    pub(super) fn resource(&self) -> Option<&Resource> {
        self.resource.as_deref()
    }
}

impl Resource {
    /// What those are told who come without a token.
    pub(super) fn challenge(&self) -> Option<HeaderValue> {
        self.challenge.clone()
    }
}

/// The well-known part stands between host and path.
fn challenge_of(resource: &str) -> Option<HeaderValue> {
    let mut url = server_url(resource).ok()?;
    let path = format!("{DESCRIBED}{}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    HeaderValue::from_str(&format!("Bearer resource_metadata=\"{url}\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_stands_between_host_and_path() {
        let at = |resource| challenge_of(resource).unwrap().to_str().unwrap().to_owned();
        let of = |path: &str| format!("Bearer resource_metadata=\"https://chat.example{DESCRIBED}{path}\"");
        assert_eq!(at("https://chat.example/mcp"), of("/mcp"));
        assert_eq!(at("https://chat.example/"), of(""));
    }
}
