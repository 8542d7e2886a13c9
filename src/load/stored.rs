//! The last question to the gateway: is what it stored what it sent?

use std::collections::HashSet;

use serde::Deserialize;

use super::{endpoint::Endpoint, report::Tally, transcript::Transcript};

/// Messages asked for at a time; a gateway gives no more.
const PAGE: usize = 200;

/// All that is stored of a session.
pub(super) struct Stored {
    /// Oldest first.
    pub(super) messages: Vec<StoredMessage>,
    /// How many the gateway says there are.
    message_count: u64,
}

/// An answer to `GET /sessions/{id}`, oldest message first.
#[derive(Deserialize)]
struct Page {
    messages: Vec<StoredMessage>,
    message_count: u64,
    more: bool,
}

/// One message of it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StoredMessage {
    pub(super) id: String,
    pub(super) role: String,
    pub(super) text: String,
    pub(super) status: Option<String>,
    pub(super) run: Option<String>,
}

/// Why a stored session cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchError {
    /// Nobody answers, or not now.
    #[error("cannot read the stored session: {0}")]
    Unreachable(String),
    /// The gateway has no such session.
    #[error("the session is not stored")]
    NotStored,
    /// The answer makes no sense.
    #[error("{0}")]
    Wrong(String),
}

/// Asks for the session over HTTP, one gateway after the other until one answers. Stops after `most` messages: a gateway
/// that has more doubled some, and may have no end of them.
pub(super) async fn fetch(
    http: &reqwest::Client,
    endpoints: &[Endpoint],
    session: &str,
    most: usize,
) -> Result<Stored, FetchError> {
    let mut fetched = Err(FetchError::Unreachable("there is no gateway".to_owned()));
    for endpoint in endpoints {
        fetched = fetch_from(http, endpoint, session, most).await;
        if !matches!(fetched, Err(FetchError::Unreachable(_))) {
            break;
        }
    }
    fetched
}

/// Page by page from its end.
async fn fetch_from(
    http: &reqwest::Client,
    endpoint: &Endpoint,
    session: &str,
    most: usize,
) -> Result<Stored, FetchError> {
    let mut stored = Stored { messages: Vec::new(), message_count: 0 };
    loop {
        let before = stored.messages.first().map(|message| message.id.as_str());
        let page = fetch_page(http, &endpoint.session(session, PAGE, before)).await?;
        if page.more && page.messages.is_empty() {
            let what = "a page of the stored session is empty and says that there is more";
            return Err(FetchError::Wrong(what.to_owned()));
        }
        stored.message_count = page.message_count;
        stored.messages.splice(0..0, page.messages);
        if !page.more || stored.messages.len() > most {
            return Ok(stored);
        }
    }
}

async fn fetch_page(http: &reqwest::Client, url: &str) -> Result<Page, FetchError> {
    let failed = |error: reqwest::Error| FetchError::Unreachable(error.to_string());
    let response = http.get(url).send().await.map_err(failed)?;
    match response.status() {
        status if status.is_success() => {}
        reqwest::StatusCode::NOT_FOUND => return Err(FetchError::NotStored),
        status => return Err(FetchError::Unreachable(status.to_string())),
    }
    let body = response.text().await.map_err(failed)?;
    let wrong = |error| FetchError::Wrong(format!("the stored session cannot be understood: {error}"));
    serde_json::from_str(&body).map_err(wrong)
}

/// Compares the stored session with what came over the socket. Between `answered` and `sent` questions must be
/// there: one that was sent and not acknowledged may or may not have arrived.
pub(super) fn compare(stored: &Stored, transcript: &Transcript, tally: &mut Tally) {
    let mut ids = HashSet::new();
    let twice = stored.messages.iter().filter(|message| !ids.insert(message.id.as_str())).count() as u64;
    let most = 2 * tally.sent;
    let least = 2 * tally.answered;
    let count = stored.messages.len() as u64;
    // While a question is open, one may come between two pages.
    if tally.sent == tally.answered && stored.message_count != count && count <= most {
        tally.fail(format!("a session says that it has {} messages and shows {count}", stored.message_count));
    }
    let surplus = count.saturating_sub(most);
    if twice + surplus > 0 {
        tally.note(format!("{count} messages are stored, at most {most} were made, {twice} ids come twice"));
    }
    tally.faults.duplicated += twice.max(surplus);
    let missing = least.saturating_sub(count);
    if missing > 0 {
        tally.faults.lost += missing;
        tally.note(format!("{count} messages are stored, at least {least} were acknowledged"));
    }
    for (id, proof) in transcript.proven() {
        match stored.messages.iter().find(|message| message.id == id) {
            Some(message) if proof.holds(&message.text) => {}
            Some(_) => {
                tally.faults.altered += 1;
                tally.note(format!("answer {id} is stored with another text than was sent"));
            }
            // Some are not shown when there are too many, and not counted twice when there are too few.
            None if surplus == 0 && missing == 0 => {
                tally.faults.lost += 1;
                tally.note(format!("answer {id} is not stored"));
            }
            None => {}
        }
    }
}
