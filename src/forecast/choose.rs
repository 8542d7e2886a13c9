//! Which model goes on with a series: the one that would have been nearest to what came, had it been asked earlier. Pure.

use super::{
    draw,
    model::Model,
    series::{self, Unfit},
};

/// The most points that are forecast.
pub const MAX_HORIZON: usize = 366;
/// From so many earlier points on it is looked what each model would have said.
const ORIGINS: usize = 4;
/// A model that is better than the values of a season ago by less is no better.
const NO_BETTER: f64 = 0.95;

/// What may follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Whose it is.
    pub model: Model,
    /// In the order in which they follow.
    pub points: Vec<Point>,
    /// How far off the model was, by that of the values of a season ago (MASE): less than 1 is better than these.
    /// `None` where these were never off.
    pub error: Option<f64>,
    /// Whether it is better than they are.
    pub is_better: bool,
    /// So many figures make a season; 1: there are none.
    pub season: usize,
    /// Figures that were missing and put between their neighbours.
    pub missing: usize,
}

/// One point, and where it lies with a likelihood of 80 and of 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "as they are named")]
pub struct Point {
    pub value: f64,
    pub low_80: f64,
    pub high_80: f64,
    pub low_95: f64,
    pub high_95: f64,
}

/// The most points that can be forecast from so many figures: half as many, and two seasons where there are some.
fn furthest(figures: usize, season: usize) -> usize {
    let most = figures / 2;
    if season > 1 { most.max(1).min(2 * season).min(MAX_HORIZON) } else { most.min(MAX_HORIZON) }
}

/// Goes on with a series whose seasons have so many figures (1: it has none). Without a horizon, one season, or as far as
/// can be.
///
/// # Errors
/// [`Unfit`] when it cannot be gone on with.
pub fn forecast(figures: &[Option<f64>], season: usize, horizon: Option<usize>) -> Result<Forecast, Unfit> {
    let whole = series::whole(figures)?;
    // Less than two seasons do not show that they are some.
    let season = if season > 1 && whole.len() >= 2 * season { season } else { 1 };
    let most = furthest(whole.len(), season);
    let horizon = match horizon {
        Some(wanted) if wanted == 0 || wanted > most => return Err(Unfit::Far(most)),
        Some(wanted) => wanted,
        None => (if season > 1 { season } else { 12 }).min(most),
    };
    let tested = Model::ALL.into_iter().filter_map(|model| Some((model, backtest(model, &whole, season, horizon)?)));
    let tested: Vec<(Model, f64)> = tested.collect();
    let naive = tested.iter().find(|(model, _)| *model == Model::SeasonalNaive).map(|(_, error)| *error);
    let (model, error) =
        tested.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((Model::SeasonalNaive, f64::INFINITY));
    let error = naive.filter(|naive| *naive > 0.0).map(|naive| error / naive);
    let is_better = error.is_some_and(|error| error < NO_BETTER);
    // Of two that are as good, the one that anybody can follow.
    let model = if is_better { model } else { Model::SeasonalNaive };
    let error = if is_better { error } else { error.map(|_| 1.0) };
    let fitted = model.fit(&whole, season);
    let values = fitted.ahead(horizon);
    let bounds = draw::bounds(&fitted, &values);
    let points: Vec<Point> = values
        .iter()
        .zip(bounds)
        .map(|(value, bounds)| Point {
            value: *value,
            low_80: bounds.of_80.0,
            high_80: bounds.of_80.1,
            low_95: bounds.of_95.0,
            high_95: bounds.of_95.1,
        })
        .collect();
    if points.iter().any(|point| !(point.low_95.is_finite() && point.high_95.is_finite())) {
        return Err(Unfit::Large);
    }
    let missing = whole.len().saturating_sub(figures.iter().flatten().count().min(whole.len()));
    Ok(Forecast { model, points, error, is_better, season, missing })
}

/// How far off a model would have been on average, asked at several earlier points for what came then.
fn backtest(model: Model, whole: &[f64], season: usize, horizon: usize) -> Option<f64> {
    let ahead = horizon.min(whole.len() / 3).max(1);
    let (mut off, mut many) = (0.0, 0_usize);
    // All models are asked at the same points: where there are two seasons before them, if that can be.
    let least = if whole.len() - ahead >= 2 * season { 2 * season } else { 0 };
    for origin in 0..ORIGINS {
        let end = whole.len() - ahead - origin * ahead.div_ceil(ORIGINS);
        let (known, came) = (whole.get(..end)?, whole.get(end..end + ahead)?);
        if end < least || !model.fits(known, season) {
            break;
        }
        let said = model.fit(known, season).ahead(ahead);
        off += said.iter().zip(came).map(|(said, came)| (said - came).abs()).sum::<f64>();
        many += ahead;
    }
    (many > 0).then(|| off / many as f64).filter(|off| off.is_finite())
}
