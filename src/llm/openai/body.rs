//! The body of an answer: a response with a reading of it.

use reqwest::Response;

use crate::{
    chat::Usage,
    llm::{
        http::chain,
        reading::{Read, Reading},
    },
};

/// The body of an answer, as the steps in it.
pub(super) struct Body {
    /// None when all of it has come.
    response: Option<Response>,
    reading: Reading,
    /// What the provider calls this request, for the log.
    pub(super) id: Option<String>,
}

impl Body {
    /// The body of this response.
    pub(super) fn new(response: Response, reading: Reading) -> Self {
        Self { response: Some(response), reading, id: None }
    }

    /// A body that has come already.
    pub(super) fn whole(reading: Reading) -> Self {
        Self { response: None, reading, id: None }
    }

    /// What comes next, and from the end on [`Read::Over`]. Nothing is lost when it is dropped while it waits.
    pub(super) async fn next(&mut self) -> Read {
        loop {
            if let Some(read) = self.reading.take() {
                return read;
            }
            let Some(response) = &mut self.response else { return Read::Over };
            match response.chunk().await {
                Ok(Some(bytes)) => self.reading.push(&bytes),
                Ok(None) => self.reading.finish(),
                Err(error) => self.reading.broken(chain(&error.without_url())),
            }
        }
    }

    /// What the provider said last about the cost.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.reading.usage()
    }
}
