//! What a series of figures may come to next: several models, of which the one is taken that would have been nearest so far.
//!
//! [`forecast`] is the whole interface. Pure, and the same for the same figures: what is drawn is drawn with one seed. Uses
//! nothing of ours.

mod choose;
mod draw;
mod model;
mod series;
#[cfg(test)]
mod tests;

pub use self::{
    choose::{Forecast, MAX_HORIZON, Point, forecast},
    model::Model,
    series::{MAX_POINTS, MIN_POINTS, Unfit},
};
