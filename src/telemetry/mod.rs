//! What the gateway tells about itself: metrics and logs. Leaf of the house.

pub mod logging;
pub mod metrics;
