//! What the gateway tells about itself: metrics and logs. Leaf of the house.

pub mod caches;
pub mod logging;
pub mod metrics;
