//! What a search looks at, as a predicate of the query engine: built of values, never written as a text. Pure.

use lancedb::expr::{DfExpr, col, lit};

use crate::knowledge::{
    filter::{Filter, Pages},
    index::within::Within,
};

/// The most documents that a search is told to leave out; it reads more than it needs, and what remains is left out
/// afterwards.
const MAX_WITHOUT: usize = 1000;

/// `None` when it looks at everything.
pub(super) fn predicate(within: &Within) -> Option<DfExpr> {
    let dead = within.without.iter().take(MAX_WITHOUT);
    let living = (!within.without.is_empty()).then(|| col("document").in_list(dead.map(text).collect(), true));
    let wanted = within.filter.as_ref().map(condition);
    match (living, wanted) {
        (Some(living), Some(wanted)) => Some(living.and(wanted)),
        (living, wanted) => living.or(wanted),
    }
}

/// True or false for every row, and never unknown: what a row does not have is asked for first.
fn condition(filter: &Filter) -> DfExpr {
    match filter {
        Filter::All(parts) => parts.iter().map(condition).reduce(DfExpr::and).unwrap_or_else(|| lit(true)),
        Filter::Any(parts) => parts.iter().map(condition).reduce(DfExpr::or).unwrap_or_else(|| lit(false)),
        Filter::Not(part) => !condition(part),
        Filter::Document(ids) if ids.is_empty() => lit(false),
        Filter::Document(ids) => col("document").in_list(ids.iter().map(text).collect(), false),
        Filter::UriPrefix(prefix) => {
            let begins = col("uri").is_not_null().and(col("uri").gt_eq(text(prefix)));
            after(prefix).map_or(begins.clone(), |after| begins.and(col("uri").lt(text(&after))))
        }
        Filter::Title(title) => col("title").eq(text(title)),
        Filter::Pages(pages) => on(*pages),
    }
}

fn on(pages: Pages) -> DfExpr {
    let mut on = col("page").is_not_null();
    if let Some(from) = pages.from {
        let ends = |page: &str| col(page).is_not_null().and(col(page).gt_eq(lit(from)));
        on = on.and(ends("page").or(ends("page_end")));
    }
    if let Some(to) = pages.to {
        on = on.and(col("page").lt_eq(lit(to)));
    }
    on
}

fn text(value: impl AsRef<str>) -> DfExpr {
    lit(value.as_ref())
}

/// The first text after all that begin with `prefix`; `None` when none is.
fn after(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_begins_so_is_before_what_comes_after(prefix in any::<String>(), rest in any::<String>(), other in any::<String>()) {
            let is_within = |text: &str| text >= prefix.as_str() && after(&prefix).is_none_or(|after| *text < *after);
            prop_assert!(is_within(&(prefix.clone() + &rest)));
            prop_assert_eq!(is_within(&other), other.starts_with(&prefix));
        }
    }
}
