//! The body of an answer: a response with a reading of it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::body::Body as _;
use reqwest::Response;

use crate::{
    chat::Usage,
    llm::{
        http::{Lease, chain},
        reading::{Reading, Step},
    },
};

/// The body of an answer, as the steps in it. Dropping it closes the connection.
pub(in crate::llm) struct Body {
    body: reqwest::Body,
    reading: Reading,
    /// What the provider calls this request, for the log.
    id: Option<String>,
    /// Held for as long as it is read.
    _lease: Lease,
}

impl Body {
    pub(super) fn new(response: Response, reading: Reading, id: Option<String>, lease: Lease) -> Self {
        let body = http::Response::<reqwest::Body>::from(response).into_body();
        Self { body, reading, id, _lease: lease }
    }

    /// What comes next. Nothing comes after [`Step::End`].
    pub(in crate::llm) fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        loop {
            if let Some(step) = self.reading.take() {
                return Poll::Ready(step);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.reading.push(bytes);
                    }
                }
                Some(Err(error)) => self.reading.broken(chain(&error.without_url())),
                None => self.reading.finish(),
            }
        }
    }

    /// Whether nothing but usage is expected.
    pub(in crate::llm) fn has_finished(&self) -> bool {
        self.reading.has_finished()
    }

    /// Nothing came for as long as anybody waits.
    pub(in crate::llm) fn silent(&mut self) {
        self.reading.silent();
    }

    /// What the provider has counted so far.
    pub(in crate::llm) fn usage(&self) -> Option<Usage> {
        self.reading.usage()
    }

    /// Whether reasoning was closed that nothing had opened.
    pub(in crate::llm) fn closes_alone(&self) -> bool {
        self.reading.closes_alone()
    }

    /// What the provider calls this request.
    pub(in crate::llm) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}
