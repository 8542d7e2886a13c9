//! Principals: a user of a tenant, with scopes. Pure.

use crate::chat::Owner;

/// The tenant of those who name none.
pub const DEFAULT_TENANT: &str = "default";
/// The scope of those whose requests are not counted: back ends that ask for many people, and the operator's own tools.
pub const UNLIMITED: &str = "unlimited";

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Have conversations.
    Chat,
    /// Search the tenant's documents and read them.
    ReadKnowledge,
    /// Send, replace and delete them.
    WriteKnowledge,
    /// What an operator of the tenant may.
    Administer,
    /// The same for other tenants than the own.
    AdministerTenants,
}

impl Right {
    const ALL: [Self; 5] =
        [Self::Chat, Self::ReadKnowledge, Self::WriteKnowledge, Self::Administer, Self::AdministerTenants];

    /// The scope that gives it.
    #[must_use]
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::ReadKnowledge => "knowledge:read",
            Self::WriteKnowledge => "knowledge:write",
            Self::Administer => "admin",
            Self::AdministerTenants => "admin:tenants",
        }
    }
}

/// The longest tenant and the longest scope, in characters.
const MAX_NAME: usize = 64;
/// The longest user, in characters.
const MAX_USER: usize = 128;
/// The most scopes.
const MAX_SCOPES: usize = 32;

/// Why a principal cannot be called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrincipal {
    /// The tenant.
    #[error("a tenant has 1 to {MAX_NAME} of the characters A-Z a-z 0-9 - _ .")]
    Tenant,
    /// The user.
    #[error("a user has 1 to {MAX_USER} characters and no control character")]
    User,
    /// The scopes.
    #[error(
        "there are at most {MAX_SCOPES} scopes, each of 1 to {MAX_NAME} visible ASCII characters without quotes and \
         backslashes"
    )]
    Scopes,
}

/// Who somebody is: a user of a tenant, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    owner: Owner,
    tenant: String,
    user: String,
    scopes: Vec<String>,
}

impl Principal {
    /// A principal of this name.
    ///
    /// # Errors
    /// [`InvalidPrincipal`]: the first part that is out of bounds.
    pub fn new(tenant: &str, user: &str, scopes: Vec<String>) -> Result<Self, InvalidPrincipal> {
        check_tenant(tenant)?;
        let chars = user.chars().take(MAX_USER + 1).count();
        if chars == 0 || chars > MAX_USER || user.chars().any(char::is_control) {
            return Err(InvalidPrincipal::User);
        }
        // As RFC 6749 has it.
        let letter = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        let fits = |scope: &String| (1..=MAX_NAME).contains(&scope.len()) && scope.bytes().all(letter);
        if scopes.len() > MAX_SCOPES || !scopes.iter().all(fits) {
            return Err(InvalidPrincipal::Scopes);
        }
        // No tenant has a slash, so no two principals are one owner.
        let owner = Owner::new(&format!("{tenant}/{user}"));
        Ok(Self { owner, tenant: tenant.to_owned(), user: user.to_owned(), scopes })
    }

    /// The name under which its sessions are stored.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The user within the tenant.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What it may do beyond what everybody may.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether it may do this. Who has a scope of a right has what the scopes say, and an administrator what there is below;
    /// who has none, as tokens of other makers, has what everybody has: all but to administer.
    #[must_use]
    pub fn may(&self, right: Right) -> bool {
        let has = |right: Right| self.has_scope(right.scope());
        has(Right::AdministerTenants)
            || match right {
                Right::AdministerTenants => false,
                Right::Administer => has(right),
                _ => has(right) || has(Right::Administer) || !Right::ALL.into_iter().any(has),
            }
    }

    /// Whether it has this scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }
}

/// Whether a tenant can be called so.
///
/// # Errors
/// [`InvalidPrincipal::Tenant`].
pub fn check_tenant(name: &str) -> Result<(), InvalidPrincipal> {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let is_one = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(letter);
    if is_one { Ok(()) } else { Err(InvalidPrincipal::Tenant) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_give_rights() {
        let rights = |scopes: &[&str]| {
            let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let principal = Principal::new("t", "u", scopes).unwrap();
            Right::ALL.map(|right| u8::from(principal.may(right)))
        };
        assert_eq!(rights(&[]), [1, 1, 1, 0, 0]);
        assert_eq!(rights(&["openid", "unlimited"]), [1, 1, 1, 0, 0], "those say nothing of rights");
        assert_eq!(rights(&["chat", "openid"]), [1, 0, 0, 0, 0]);
        assert_eq!(rights(&["knowledge:read"]), [0, 1, 0, 0, 0]);
        assert_eq!(rights(&["knowledge:write"]), [0, 0, 1, 0, 0]);
        assert_eq!(rights(&["admin"]), [1, 1, 1, 1, 0]);
        assert_eq!(rights(&["admin:tenants"]), [1, 1, 1, 1, 1]);
    }

    #[test]
    fn names_are_bounded() {
        let of = |tenant: &str, user: &str, scope: &str| Principal::new(tenant, user, vec![scope.to_owned()]);
        assert!(of(&"t".repeat(64), &"ü".repeat(128), "chat:read").is_ok());
        for tenant in ["", "a/b", "a b", "ä", &"t".repeat(65)] {
            assert_eq!(of(tenant, "u", "s"), Err(InvalidPrincipal::Tenant), "{tenant:?}");
        }
        for user in ["", "a\nb", "\u{0}", &"u".repeat(129)] {
            assert_eq!(of("t", user, "s"), Err(InvalidPrincipal::User), "{user:?}");
        }
        for scope in ["", "a b", "a\"", "ä", &"s".repeat(65)] {
            assert_eq!(of("t", "u", scope), Err(InvalidPrincipal::Scopes), "{scope:?}");
        }
        assert_eq!(Principal::new("t", "u", vec!["s".to_owned(); 33]), Err(InvalidPrincipal::Scopes));
    }

    #[test]
    fn different_principals_are_different_owners() {
        let owner = |tenant, user| Principal::new(tenant, user, Vec::new()).unwrap().owner().clone();
        assert_ne!(owner("a", "b/c"), owner("a.b", "c"));
        assert_ne!(owner("a", "u"), owner("b", "u"));
        assert_eq!(owner("a", "u"), owner("a", "u"));
    }
}
