//! The models: each is fitted to a series, and goes on with it. Pure.
//!
//! The smoothing ones are of Holt and Winters (Hyndman and Athanasopoulos, Forecasting: Principles and Practice, chapter 8):
//! level, trend and season, each with its own weight for what is newest. Their weights are found on a grid, and then nearer
//! and nearer around the best of it.

/// A way to go on with a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Model {
    /// As one season ago; without seasons, as it was last.
    SeasonalNaive,
    /// On from the last one, as on average so far.
    Drift,
    /// A level and a trend that fades.
    DampedHolt,
    /// A level, a trend, and seasons that are added to them.
    HoltWintersAdditive,
    /// The same with seasons that they are multiplied by.
    HoltWintersMultiplicative,
}

/// How much a trend keeps from one point to the next.
const DAMPING: f64 = 0.95;
/// Weights at which the search begins.
const GRID: [f64; 5] = [0.02, 0.2, 0.4, 0.6, 0.9];
/// How often it goes nearer.
const REFINEMENTS: usize = 14;

impl Model {
    /// All of them; of two that do equally well the first is taken.
    pub(super) const ALL: [Self; 5] = [
        Self::SeasonalNaive,
        Self::Drift,
        Self::DampedHolt,
        Self::HoltWintersAdditive,
        Self::HoltWintersMultiplicative,
    ];

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SeasonalNaive => "as a season ago",
            Self::Drift => "drift",
            Self::DampedHolt => "damped Holt",
            Self::HoltWintersAdditive => "Holt-Winters, additive",
            Self::HoltWintersMultiplicative => "Holt-Winters, multiplicative",
        }
    }

    /// Whether it can be fitted to this series; `season` is 1 where there are none.
    pub(super) fn fits(self, series: &[f64], season: usize) -> bool {
        match self {
            Self::SeasonalNaive => series.len() > season,
            Self::Drift | Self::DampedHolt => series.len() > 3,
            Self::HoltWintersAdditive => season > 1 && series.len() >= 2 * season,
            // What is multiplied has to have a sign.
            Self::HoltWintersMultiplicative => {
                season > 1 && series.len() >= 2 * season && series.iter().all(|value| *value > 0.0)
            }
        }
    }

    /// Fits it to a series that it fits.
    pub(super) fn fit(self, series: &[f64], season: usize) -> Fitted {
        let weights = match self {
            Self::SeasonalNaive | Self::Drift => [0.0; 3],
            Self::DampedHolt => search(|weights| Fitted::new(self, series, season, weights).error(), 2),
            _ => search(|weights| Fitted::new(self, series, season, weights).error(), 3),
        };
        Fitted::new(self, series, season, weights)
    }
}

/// The weights with the least error: the best of a grid, then smaller steps from there.
fn search(error: impl Fn([f64; 3]) -> f64, many: usize) -> [f64; 3] {
    let mut best = ([0.2, 0.02, 0.2], f64::INFINITY);
    let try_one = |weights: [f64; 3], best: &mut ([f64; 3], f64)| {
        let error = error(weights);
        if error < best.1 {
            *best = (weights, error);
        }
    };
    let last: &[f64] = if many == 3 { &GRID } else { &GRID[..1] };
    for level in GRID {
        for trend in GRID {
            for season in last {
                try_one([level, trend, *season], &mut best);
            }
        }
    }
    let mut step = 0.1;
    for _ in 0..REFINEMENTS {
        let before = best.1;
        for at in 0..many {
            for sign in [-1.0, 1.0] {
                let mut weights = best.0;
                weights[at] = (weights[at] + sign * step).clamp(0.001, 0.999);
                try_one(weights, &mut best);
            }
        }
        if best.1 >= before {
            step /= 2.0;
        }
    }
    best.0
}

/// A model that was fitted: where it stands after the last figure, and what it was off by on the way.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    model: Model,
    weights: [f64; 3],
    state: State,
    residuals: Vec<f64>,
}

/// Where a model stands.
#[derive(Debug, Clone)]
struct State {
    level: f64,
    trend: f64,
    /// The last season, the oldest first: figures as they were, or what is added to the level or multiplied with it.
    seasons: Vec<f64>,
    /// Which of them is next.
    next: usize,
}

impl Fitted {
    fn new(model: Model, series: &[f64], season: usize, weights: [f64; 3]) -> Self {
        let (state, begun) = begin(model, series, season);
        let mut fitted = Self { model, weights, state, residuals: Vec::with_capacity(series.len()) };
        for value in &series[begun..] {
            let off = value - fitted.state.expected(model);
            fitted.residuals.push(off);
            fitted.state.take(model, &fitted.weights, *value);
        }
        fitted
    }

    /// The mean of the squared errors.
    fn error(&self) -> f64 {
        self.residuals.iter().map(|off| off * off).sum::<f64>() / self.residuals.len().max(1) as f64
    }

    /// What it was off by, one step ahead each.
    pub(super) fn residuals(&self) -> &[f64] {
        &self.residuals
    }

    /// What follows.
    pub(super) fn ahead(&self, horizon: usize) -> Vec<f64> {
        self.path(horizon, || 0.0)
    }

    /// What follows if each step is off by so much.
    pub(super) fn path(&self, horizon: usize, mut off: impl FnMut() -> f64) -> Vec<f64> {
        let mut state = self.state.clone();
        let path = (0..horizon).map(|_| {
            let value = state.expected(self.model) + off();
            state.take(self.model, &self.weights, value);
            value
        });
        path.collect()
    }
}

/// Where a model stands before the first figure that it is held against, and which one that is.
fn begin(model: Model, series: &[f64], season: usize) -> (State, usize) {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    match model {
        Model::SeasonalNaive => (State { level: 0.0, trend: 0.0, seasons: series[..season].to_vec(), next: 0 }, season),
        Model::Drift => {
            let trend = (series[series.len() - 1] - series[0]) / (series.len() - 1) as f64;
            (State { level: series[0], trend, seasons: Vec::new(), next: 0 }, 1)
        }
        Model::DampedHolt => {
            let trend = series[1] - series[0];
            (State { level: series[0], trend, seasons: Vec::new(), next: 0 }, 1)
        }
        Model::HoltWintersAdditive | Model::HoltWintersMultiplicative => {
            let trend = (mean(&series[season..2 * season]) - mean(&series[..season])) / season as f64;
            // The line through the middle of the first season, and how each figure of it, and its like a season on, is off it.
            let middle = mean(&series[..season]);
            let line = |at: usize| middle + trend * (at as f64 - (season as f64 - 1.0) / 2.0);
            let is_added = model == Model::HoltWintersAdditive;
            let off = |at: usize| if is_added { series[at] - line(at) } else { ratio(series[at], line(at)) };
            let mut seasons: Vec<f64> = (0..season).map(|at| (off(at) + off(at + season)) / 2.0).collect();
            let all = mean(&seasons);
            seasons.iter_mut().for_each(|one| if is_added { *one -= all } else { *one = ratio(*one, all) });
            (State { level: line(0) - trend, trend, seasons, next: 0 }, 0)
        }
    }
}

fn ratio(a: f64, b: f64) -> f64 {
    if b.abs() < f64::EPSILON { 1.0 } else { a / b }
}

impl State {
    /// What is expected next.
    fn expected(&self, model: Model) -> f64 {
        match model {
            Model::SeasonalNaive => self.seasons[self.next],
            Model::Drift => self.level + self.trend,
            Model::DampedHolt => self.level + DAMPING * self.trend,
            Model::HoltWintersAdditive => self.level + self.trend + self.seasons[self.next],
            Model::HoltWintersMultiplicative => (self.level + self.trend) * self.seasons[self.next],
        }
    }

    /// What came next.
    fn take(&mut self, model: Model, weights: &[f64; 3], value: f64) {
        let [alpha, beta, gamma] = *weights;
        let damping = if model == Model::DampedHolt { DAMPING } else { 1.0 };
        let (level, ahead) = (self.level, self.level + damping * self.trend);
        let season = self.seasons.get(self.next).copied().unwrap_or_default();
        match model {
            Model::SeasonalNaive => self.seasons[self.next] = value,
            Model::Drift => self.level = value,
            Model::DampedHolt => self.level = alpha * value + (1.0 - alpha) * ahead,
            Model::HoltWintersAdditive => {
                self.level = alpha * (value - season) + (1.0 - alpha) * ahead;
                self.seasons[self.next] = gamma * (value - ahead) + (1.0 - gamma) * season;
            }
            Model::HoltWintersMultiplicative => {
                self.level = alpha * ratio(value, season) + (1.0 - alpha) * ahead;
                self.seasons[self.next] = gamma * ratio(value, ahead) + (1.0 - gamma) * season;
            }
        }
        if !matches!(model, Model::SeasonalNaive | Model::Drift) {
            self.trend = beta * (self.level - level) + (1.0 - beta) * damping * self.trend;
        }
        if !self.seasons.is_empty() {
            self.next = (self.next + 1) % self.seasons.len();
        }
    }
}
