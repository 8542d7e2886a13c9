//! Floods of log lines: of those that one place in the source writes, only so many a second are let through, so that
//! nobody can fill a disk with them. What was left out is counted, and told.

use std::sync::Arc;

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{Metadata, callsite::Identifier, warn};

use super::metrics::LOG_LINES_LEFT_OUT;

/// Lines of one place in a second.
const A_SECOND: u32 = 100;

/// What was written of late, by place. There are as many places as the program has.
#[derive(Debug)]
pub(super) struct Floods {
    begun: Instant,
    of: DashMap<Identifier, Arc<Mutex<Of>>>,
}

#[derive(Debug)]
struct Of {
    place: &'static Metadata<'static>,
    second: u64,
    lines: u32,
    left_out: u64,
}

impl Floods {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), of: DashMap::new() }
    }

    /// Whether a line of this place may be written now.
    pub(super) fn admit(&self, place: &Metadata<'_>) -> bool {
        let second = self.begun.elapsed().as_secs();
        let known = self.of.get(&place.callsite()).map(|of| of.clone());
        let of = known.unwrap_or_else(|| {
            let place = place.callsite().0.metadata();
            let new = || Arc::new(Mutex::new(Of { place, second, lines: 0, left_out: 0 }));
            self.of.entry(place.callsite()).or_insert_with(new).clone()
        });
        let mut of = of.lock();
        if of.second != second {
            (of.second, of.lines) = (second, 0);
        }
        of.lines = of.lines.saturating_add(1);
        let is_admitted = of.lines <= A_SECOND;
        of.left_out += u64::from(!is_admitted);
        is_admitted
    }

    /// Tells what was left out since the last time.
    pub(super) fn tell(&self) {
        let all: Vec<_> = self.of.iter().map(|of| of.clone()).collect();
        for of in all {
            let (place, lines) = {
                let mut of = of.lock();
                (of.place, std::mem::take(&mut of.left_out))
            };
            if lines > 0 {
                metrics::counter!(LOG_LINES_LEFT_OUT).increment(lines);
                warn!(lines, of = place.target(), line = place.line(), "log lines were left out: there were too many");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Level, callsite::Callsite, subscriber::Interest};

    use super::*;

    struct Place;

    static PLACE: Place = Place;
    static ABOUT: Metadata<'static> = tracing::metadata! {
        name: "a place",
        target: "here",
        level: Level::INFO,
        fields: &[],
        callsite: &PLACE,
        kind: tracing::metadata::Kind::EVENT,
    };

    impl Callsite for Place {
        fn set_interest(&self, _: Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            &ABOUT
        }
    }

    #[test]
    fn a_flood_is_cut_off_and_counted() {
        let floods = Floods::new();
        let written = (0..10_000).filter(|_| floods.admit(&ABOUT)).count();
        assert!((100..=300).contains(&written), "{written}: it may have taken more than a second");
        let left_out = floods.of.get(&ABOUT.callsite()).map(|of| of.lock().left_out);
        assert_eq!(left_out, Some(10_000 - written as u64));
        floods.tell();
        let left_out = floods.of.get(&ABOUT.callsite()).map(|of| of.lock().left_out);
        assert_eq!(left_out, Some(0));
    }
}
