//! Who has seen something happen. What one caller alone has seen may be that caller's own doing, and counts for nobody
//! else; what two have seen counts for everybody. Pure, a leaf; uses `chat`.

use crate::chat::Owner;

/// Who has seen something happen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Witnesses {
    /// Nobody has.
    #[default]
    None,
    /// One caller.
    One(Owner),
    /// Several, or somebody who cannot be told from others.
    Several,
}

impl Witnesses {
    /// One more, or the same again. Whether that changes anything.
    pub(super) fn add(&mut self, who: Option<&Owner>) -> bool {
        let now = match (&*self, who) {
            (Self::None, Some(who)) => Self::One(who.clone()),
            (Self::One(known), Some(who)) if known == who => return false,
            (Self::Several, _) => return false,
            _ => Self::Several,
        };
        *self = now;
        true
    }

    /// Whether what was seen counts for `who`.
    pub(super) fn bind(&self, who: Option<&Owner>) -> bool {
        match self {
            Self::None => false,
            Self::One(known) => who == Some(known),
            Self::Several => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_binds_nobody_else() {
        let (ann, bob) = (Owner::new("a/ann"), Owner::new("a/bob"));
        let mut seen = Witnesses::default();
        assert!(!seen.bind(Some(&ann)) && !seen.bind(None));
        assert!(seen.add(Some(&ann)) && !seen.add(Some(&ann)));
        assert!(seen.bind(Some(&ann)) && !seen.bind(Some(&bob)) && !seen.bind(None));
        assert!(seen.add(Some(&bob)) && seen.bind(None));
        let mut seen = Witnesses::default();
        assert!(seen.add(None) && seen.bind(Some(&ann)), "where nobody says who they are, all are one");
    }
}
