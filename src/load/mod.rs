//! A load generator that is also a judge: many sessions over `chat.v1`, every text checked by offset, length and
//! checksum, sockets cut at random and resumed. Uses nothing of the gateway: it knows the protocol only, so that a
//! mistake in the gateway's own code cannot hide itself here.
//!
//! `text.rs`, `proof.rs` and `transcript.rs` are pure: frames in, text and faults out. `session.rs` is one session on the
//! network, `stored.rs` asks over HTTP what the gateway kept, `report.rs` adds up. `scenario/` does other things to the
//! gateway than asking. `history.rs` is the written trace of a load, and `judge.rs` (pure) compares it, also later and in
//! another process, with what is stored.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};
use tokio::{
    net::lookup_host,
    task::JoinSet,
    time::{Instant, sleep_until},
};

pub use self::{
    endpoint::{BadUrl, Endpoint},
    faults::Faults,
    history::BadHistory,
    judge::{Verdict, Violation},
    plan::Plan,
    report::Report,
};
use self::{history::Recorder, report::Board, session::Session, stored::FetchError};

mod endpoint;
mod faults;
mod frame;
mod history;
mod judge;
mod plan;
mod proof;
mod report;
pub mod scenario;
mod session;
mod stored;
mod text;
mod transcript;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The host has no address.
    #[error("cannot find {host}: {reason}")]
    Host {
        /// The host, with the port.
        host: String,
        /// Why.
        reason: String,
    },
    /// No HTTP client for the comparison at the end.
    #[error("cannot make an HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    /// The file of the history cannot be made.
    #[error("cannot write {}: {source}", path.display())]
    History {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a history could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error(transparent)]
    History(#[from] BadHistory),
    /// No HTTP client.
    #[error("cannot make an HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    /// The gateway did not tell what is stored.
    #[error("session {session}: {reason}")]
    Fetch {
        /// Of which session.
        session: String,
        /// Why.
        reason: String,
    },
}

/// Sessions whose messages are fetched at the same time.
const FETCHES: usize = 16;

/// Runs the plan to its end.
///
/// # Errors
/// [`LoadError`] when it could not even begin; whatever goes wrong later is in the report.
pub async fn run(plan: Plan) -> Result<Report, LoadError> {
    let addresses: Arc<[SocketAddr]> = try_join_all(plan.endpoints.iter().map(resolve)).await?.into();
    let http = http_client()?;
    let history = plan.history.as_deref().map(Recorder::create).transpose();
    let history =
        history.map_err(|source| LoadError::History { path: plan.history.clone().unwrap_or_default(), source })?;
    let plan = Arc::new(plan);
    let board = Arc::new(Board::new(history));
    let started = Instant::now();
    let mut sessions = JoinSet::new();
    for index in 0..plan.sessions {
        let (plan, board, http) = (Arc::clone(&plan), Arc::clone(&board), http.clone());
        let addresses = addresses.clone();
        sessions.spawn(async move {
            sleep_until(started + plan.ramp.mul_f64(index as f64 / plan.sessions as f64)).await;
            Session::new(plan, board, addresses, index).run(&http).await
        });
    }
    let mut report = Report::default();
    while let Some(ended) = sessions.join_next().await {
        match ended {
            Ok(tally) => report.add(tally),
            Err(error) => report.add_failure(format!("a session of the load generator failed: {error}")),
        }
    }
    report.finish(&board, started.elapsed());
    Ok(report)
}

/// Judges a history by what the gateway has stored of its sessions; of several, the first that answers is asked.
///
/// # Errors
/// [`VerifyError`] when there is nothing to judge by; whatever the judge finds is in the verdict.
pub async fn verify(endpoints: &[Endpoint], history: &str) -> Result<Verdict, VerifyError> {
    let records = history::read(history)?;
    let http = &http_client()?;
    let sessions: BTreeSet<_> = records.iter().filter_map(|record| record.session.clone()).collect();
    // A gateway that has no end of messages is cut off here, and found to have stored too many.
    let most = 4 * records.len();
    let fetched = stream::iter(sessions).map(|session| async move {
        match stored::fetch(http, endpoints, &session, most).await {
            Ok(stored) => Ok(Some((session, stored.messages))),
            Err(FetchError::NotStored) => Ok(None),
            Err(error) => Err(VerifyError::Fetch { session, reason: error.to_string() }),
        }
    });
    let stored: Vec<_> = fetched.buffer_unordered(FETCHES).try_collect().await?;
    let stored: HashMap<_, _> = stored.into_iter().flatten().collect();
    Ok(judge::judge(&records, &stored))
}

fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build()
}

async fn resolve(endpoint: &Endpoint) -> Result<SocketAddr, LoadError> {
    let failed = |reason: String| LoadError::Host { host: endpoint.authority(), reason };
    let mut addresses = lookup_host(endpoint.authority()).await.map_err(|error| failed(error.to_string()))?;
    addresses.next().ok_or_else(|| failed("it has no address".to_owned()))
}

#[cfg(test)]
mod tests;
