//! What the gateway tells about itself: metrics, logs and spans. Leaf of the house.

pub mod caches;
pub mod declare;
#[cfg(feature = "otlp")]
mod errors;
mod flood;
pub mod logging;
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(not(feature = "otlp"))]
#[path = "no_otlp.rs"]
pub mod otlp;
pub mod panics;
pub mod readings;
pub mod recorder;
pub mod spans;
