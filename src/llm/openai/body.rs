//! The body of an answer: a response with the event parser around it.

use reqwest::Response;

use crate::llm::{
    http::chain,
    sse::{BodyEnd, Events},
};

/// The body of an answer, as events.
pub(super) struct Body {
    /// None when all of it has come.
    response: Option<Response>,
    events: Events,
}

impl Body {
    /// The body of this response, of which at most `limit` bytes are read.
    pub(super) fn new(response: Response, limit: usize) -> Self {
        Self { response: Some(response), events: Events::new(limit) }
    }

    /// A body of one event with this data.
    pub(super) fn whole(data: &str) -> Self {
        let mut events = Events::new(usize::MAX);
        events.push(format!("data: {data}\n\ndata: [DONE]\n\n").as_bytes());
        Self { response: None, events }
    }

    /// The data of the next event, or how the body ended. Nothing is lost when it is dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<String, BodyEnd> {
        loop {
            if let Some(next) = self.events.take() {
                return next;
            }
            let Some(response) = &mut self.response else { return Err(BodyEnd::Eof) };
            match response.chunk().await {
                Ok(Some(bytes)) => self.events.push(&bytes),
                Ok(None) => self.events.finish(),
                Err(error) => self.events.broken(chain(&error.without_url())),
            }
        }
    }
}
