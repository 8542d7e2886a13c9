//! What the plain load does not show: many idle sockets, all sockets cut at once, all runs stopped, readers that do not
//! read, and the delay of every token, measured with the smallest client there is.
//!
//! A scenario says on the way what it has come to (`stage`), so that whoever measures a process knows when.
//! `stream.rs` and `model.rs` speak so little that other servers than the gateway can be measured with them.

use std::sync::Arc;

use tokio::time::Instant;

pub use self::job::{Job, Measured, Scenario};
use self::seen::Seen;
use super::{LoadError, resolve};

mod client;
mod idle;
mod job;
mod model;
mod seen;
mod stalled;
mod stamped;
mod stop;
mod storm;
mod stream;
mod together;

/// Plays a scenario to its end; `stage` is told when it has come so far that measuring makes sense.
///
/// # Errors
/// [`LoadError`] when it could not even begin; whatever goes wrong later is in the outcome.
pub async fn run(job: Job, stage: impl Fn(&str)) -> Result<Measured, LoadError> {
    let address = resolve(&job.endpoint).await?;
    let job = Arc::new(job);
    let seen = Arc::new(Seen::default());
    let started = Instant::now();
    match job.scenario {
        Scenario::Stream => stream::run(&job, address, &seen, &stage).await,
        Scenario::Model => model::run(&job, &seen, &stage).await?,
        Scenario::Idle => idle::run(&job, address, &seen, &stage).await,
        Scenario::Storm => storm::run(&job, address, &seen, &stage).await,
        Scenario::Stop => stop::run(&job, address, &seen, &stage).await?,
        Scenario::Stalled => stalled::run(&job, address, &seen, &stage).await,
    }
    seen.figure("seconds", started.elapsed().as_secs_f64());
    Ok(seen.outcome(&job))
}
