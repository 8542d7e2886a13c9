//! Who gets which variant of an assistant. Pure: what is drawn follows from who asks, so that nothing need be kept, and all
//! gateways draw the same.

use std::sync::Arc;

use crate::{
    chat::{Owner, SessionId, digest},
    config::{Assistant, DrawnBy},
};

/// The assistant, or the variant of it that `owner` gets in this conversation. Whoever is neither known nor in a conversation
/// gets none.
#[must_use]
pub fn drawn(assistant: &Arc<Assistant>, owner: Option<&Owner>, session: Option<&SessionId>) -> Arc<Assistant> {
    let session = session.map(SessionId::as_str);
    let drawn_for = match assistant.experiment.by {
        DrawnBy::User => owner.map(Owner::as_str).or(session),
        DrawnBy::Session => session,
    };
    let Some(drawn_for) = drawn_for.filter(|_| !assistant.variants.is_empty()) else { return assistant.clone() };
    let mut left = draw(&[&assistant.name, &assistant.experiment.name, drawn_for]);
    for variant in &assistant.variants {
        if left < variant.share {
            return variant.assistant.clone();
        }
        left -= variant.share;
    }
    assistant.clone()
}

/// A number from 0 to less than 1 that always is the same for these texts, and even over many.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what a number has")]
fn draw(texts: &[&str]) -> f64 {
    let [a, b, c, d, e, f, g, h, ..] = *digest(texts.iter().map(|text| text.as_bytes())).as_bytes();
    (u64::from_le_bytes([a, b, c, d, e, f, g, h]) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Experiment, Variant};

    fn tried(by: DrawnBy, name: &str, shares: &[f64]) -> Arc<Assistant> {
        let variant = |(at, share): (usize, &f64)| Variant {
            share: *share,
            assistant: Arc::new(Assistant { variant: Some(format!("v{at}")), ..Assistant::plain() }),
        };
        Arc::new(Assistant {
            experiment: Experiment { name: name.to_owned(), by },
            variants: shares.iter().enumerate().map(variant).collect(),
            ..Assistant::plain()
        })
    }

    fn of(assistant: &Arc<Assistant>, user: u32) -> Option<String> {
        drawn(assistant, Some(&Owner::new(&format!("t/{user}"))), None).variant.clone()
    }

    #[test]
    fn each_gets_their_share_and_always_the_same() {
        let assistant = tried(DrawnBy::User, "", &[0.5, 0.25]);
        let all: Vec<_> = (0..4000).map(|user| of(&assistant, user)).collect();
        for (variant, expected) in [(Some("v0"), 2000_i64), (Some("v1"), 1000), (None, 1000)] {
            let count = all.iter().filter(|one| one.as_deref() == variant).count();
            let count = i64::try_from(count).unwrap();
            assert!((count - expected).abs() < 150, "{variant:?}: {count} of 4000");
        }
        assert!((0..100).all(|user| of(&assistant, user) == all[user as usize]));
        let anew = tried(DrawnBy::User, "second", &[0.5, 0.25]);
        let same = (0..4000).filter(|user| of(&anew, *user) == all[*user as usize]).count();
        assert!((1200..1800).contains(&same), "{same}: another experiment draws independently");
    }

    #[test]
    fn a_conversation_counts_where_nobody_is_known_or_it_says_so() {
        let (ann, session) = (Owner::new("t/ann"), SessionId::random());
        let all = tried(DrawnBy::Session, "", &[1.0]);
        assert!(drawn(&all, Some(&ann), None).variant.is_none(), "there is no conversation");
        assert!(drawn(&all, None, Some(&session)).variant.is_some());
        let some = |by| {
            let assistant = tried(by, "", &[0.5]);
            let sessions: Vec<_> = (0..64).map(|_| SessionId::random()).collect();
            sessions.iter().filter(|one| drawn(&assistant, Some(&ann), Some(one)).variant.is_some()).count()
        };
        assert!([0, 64].contains(&some(DrawnBy::User)), "she has one in all of them");
        assert!((10..54).contains(&some(DrawnBy::Session)));
        assert!(drawn(&tried(DrawnBy::User, "", &[1.0]), None, Some(&session)).variant.is_some());
        assert!(drawn(&tried(DrawnBy::User, "", &[0.0]), Some(&ann), None).variant.is_none());
    }
}
