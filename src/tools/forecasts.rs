//! Forecasts that were made already: a repeat costs a look. Who asks, which figures, and what was asked of them, is the whole
//! key, so that nobody needs to be told of what is changed, and nobody learns what figures another has.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use moka::sync::Cache;
use tokio::sync::Semaphore;

use crate::{
    chat::Owner,
    forecast::{Forecast, Unfit, forecast},
    telemetry::caches::{CacheReport, FORECASTS, Lookup, Lookups},
};

/// How long a forecast is kept, and how many are.
const KEPT: Duration = Duration::from_secs(15 * 60);
const ENTRIES: u64 = 100;

/// Makes forecasts, and keeps them for a while.
#[derive(Debug)]
pub(super) struct Forecasts {
    known: Cache<[u8; 32], Arc<Forecast>>,
    lookups: Lookups,
    /// So many are made at a time.
    places: Arc<Semaphore>,
}

/// Places for work that takes a core: half of what the machine can do is for answers.
pub(super) fn places() -> Arc<Semaphore> {
    let cores = available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new((cores / 2).max(1)))
}

impl Default for Forecasts {
    fn default() -> Self {
        Self {
            known: Cache::builder().max_capacity(ENTRIES).time_to_live(KEPT).build(),
            lookups: Lookups::new(FORECASTS),
            places: places(),
        }
    }
}

impl Forecasts {
    /// Goes on with a series; whether that was known already.
    pub(super) async fn make(
        &self,
        owner: Option<&Owner>,
        figures: Vec<Option<f64>>,
        season: usize,
        horizon: Option<usize>,
    ) -> Result<(Arc<Forecast>, bool), Unfit> {
        let key = key(owner, &figures, season, horizon);
        if let Some(known) = self.known.get(&key) {
            self.lookups.count(Lookup::Hit);
            return Ok((known, true));
        }
        self.lookups.count(Lookup::Miss);
        let place = self.places.clone().acquire_owned().await;
        let work = move || {
            // The work keeps its place, also when nobody waits for it any more.
            let _place = place;
            forecast(&figures, season, horizon)
        };
        let made = tokio::task::spawn_blocking(work).await;
        let made = Arc::new(made.unwrap_or(Err(Unfit::Large))?);
        self.known.insert(key, made.clone());
        Ok((made, false))
    }

    pub(super) fn report(&self) -> CacheReport {
        self.known.run_pending_tasks();
        self.lookups.report(self.known.entry_count(), ENTRIES, Some(KEPT))
    }
}

fn key(owner: Option<&Owner>, figures: &[Option<f64>], season: usize, horizon: Option<usize>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[u8::from(owner.is_some())]);
    if let Some(owner) = owner {
        // Of one length, whatever the name is.
        hasher.update(blake3::hash(owner.as_str().as_bytes()).as_bytes());
    }
    for figure in figures {
        hasher.update(&[u8::from(figure.is_some())]);
        hasher.update(&figure.unwrap_or_default().to_le_bytes());
    }
    hasher.update(&(season as u64).to_le_bytes());
    hasher.update(&horizon.map_or(u64::MAX, |horizon| horizon as u64).to_le_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_is_told_of_the_forecasts_of_another() {
        let (ann, bob) = (Owner::new("north/ann"), Owner::new("south/bob"));
        let forecasts = Forecasts::default();
        let figures: Vec<Option<f64>> = (0..20).map(|i| Some(f64::from(i))).collect();
        for (owner, expected) in [(Some(&ann), false), (Some(&ann), true), (Some(&bob), false), (None, false)] {
            let (_, cached) = forecasts.make(owner, figures.clone(), 1, None).await.unwrap();
            assert_eq!(cached, expected, "{owner:?}");
        }
    }
}
