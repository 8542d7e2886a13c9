//! The last question to the gateway: is what it stored what it sent?

use std::collections::HashSet;

use serde::Deserialize;

use super::{frame::Message, report::Tally, transcript::Transcript};

/// The answer to `GET /sessions/{id}`; of a long session perhaps the newest messages only.
#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    message_count: u64,
}

/// Asks for the session over HTTP.
pub(super) async fn fetch(http: &reqwest::Client, url: &str) -> Result<String, String> {
    let failed = |error: reqwest::Error| format!("cannot read the stored session: {error}");
    let response = http.get(url).send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(format!("cannot read the stored session: {}", response.status()));
    }
    response.text().await.map_err(failed)
}

/// Compares the stored session with what came over the socket. Between `answered` and `sent` questions must be
/// there: one that was sent and not acknowledged may or may not have arrived.
pub(super) fn compare(body: &str, transcript: &Transcript, tally: &mut Tally) {
    let stored: Stored<'_> = match serde_json::from_str(body) {
        Ok(stored) => stored,
        Err(error) => return tally.fail(format!("the stored session cannot be understood: {error}")),
    };
    let mut ids = HashSet::new();
    let twice = stored.messages.iter().filter(|message| !ids.insert(message.id.as_str())).count() as u64;
    let most = 2 * tally.sent;
    let least = 2 * tally.answered;
    let surplus = stored.message_count.saturating_sub(most);
    if twice + surplus > 0 {
        tally.note(format!(
            "{} messages are stored, at most {most} were made, {twice} ids come twice",
            stored.message_count
        ));
    }
    tally.faults.duplicated += twice.max(surplus);
    let missing = least.saturating_sub(stored.message_count);
    if missing > 0 {
        tally.faults.lost += missing;
        tally.note(format!("{} messages are stored, at least {least} were acknowledged", stored.message_count));
    }
    let complete = stored.messages.len() as u64 >= stored.message_count;
    for (id, proof) in transcript.proven() {
        match stored.messages.iter().find(|message| message.id.as_str() == id) {
            Some(message) if proof.holds(message.text.as_str()) => {}
            Some(_) => {
                tally.faults.altered += 1;
                tally.note(format!("answer {id} is stored with another text than was sent"));
            }
            None if complete && missing == 0 => {
                tally.faults.lost += 1;
                tally.note(format!("answer {id} is not stored"));
            }
            None => {}
        }
    }
}
