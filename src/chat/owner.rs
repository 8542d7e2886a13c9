//! Whose a session is, and who may be given what was made for another. Pure.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::SessionId;

/// To whom a session belongs: the name of a principal, made by `auth`. Shown to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner(Arc<str>);

impl Owner {
    /// An owner of this name. The caller sees to it that different principals have different names.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name for the log that shows nobody's: who has the principal's can find its lines, and who reads them does not
    /// see whose they are. Not a secret: names can be tried out.
    #[must_use]
    pub fn digest(&self) -> String {
        blake3::hash(self.0.as_bytes()).to_hex()[..16].to_owned()
    }

    /// The tenant it belongs to: what stands before the first slash.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Its name within the tenant: what stands behind that slash.
    #[must_use]
    pub fn user(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, user)| user)
    }
}

/// Those among whom what was made for one may be given to another, so that nobody outside learns from it what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Circle(String);

impl Circle {
    /// The circle of who asks. By default that is one user alone; of those who need not say who they are, who are
    /// strangers to one another, one session; and outside of any session, nobody. Where the operator lets them share,
    /// it is everybody of a tenant, and all who need not say who they are.
    #[must_use]
    pub fn of(owner: Option<&Owner>, session: Option<&SessionId>, is_shared: bool) -> Option<Self> {
        Some(Self(match (owner, session) {
            (Some(owner), _) if is_shared => format!("tenant {}", owner.tenant()),
            (None, _) if is_shared => "everybody".to_owned(),
            (Some(owner), _) => format!("user {}", owner.as_str()),
            (None, Some(session)) => format!("session {session}"),
            (None, None) => return None,
        }))
    }

    /// Its name, which no other circle has.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_circle_is_as_small_as_it_is_told_to_be() {
        let (ann, bob, eve) = (Owner::new("north/ann"), Owner::new("north/bob"), Owner::new("south/ann"));
        let (one, two) = (SessionId::parse("one").unwrap(), SessionId::parse("two").unwrap());
        let own = |owner, session| Circle::of(owner, session, false);
        assert_eq!(own(Some(&ann), Some(&one)), own(Some(&ann), None), "in all conversations of one user");
        let all = [own(Some(&ann), None), own(Some(&bob), None), own(Some(&eve), None), own(None, Some(&one))];
        let names: HashSet<_> = all.into_iter().chain([own(None, Some(&two))]).flatten().collect();
        assert_eq!((names.len(), own(None, None)), (5, None));
        let shared = |owner| Circle::of(owner, Some(&one), true);
        assert_eq!(shared(Some(&ann)), shared(Some(&bob)));
        let names: HashSet<_> = [shared(Some(&ann)), shared(Some(&eve)), shared(None)].into_iter().flatten().collect();
        assert_eq!(names.len(), 3);
        assert_eq!(shared(None), Circle::of(None, None, true));
    }
}
