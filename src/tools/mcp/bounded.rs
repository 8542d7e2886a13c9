//! A connection on which the other side may ask little, and whose small words do not wait for ever. `rmcp` answers whatever a
//! server asks, and keeps each answer until it is gone: a server that asks and does not listen would fill the memory.

use std::{future::Future, time::Duration};

use rmcp::{
    RoleClient,
    model::JsonRpcMessage,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::time::{Instant, timeout};

/// A server may ask so much (for a sign of life, above all) in so long; one that asks more is hung up on.
const MAX_ASKED: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// The longest id of what it asks, in bytes.
const MAX_ID: usize = 128;
/// Until what is no request has to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection with these bounds.
pub(super) struct Bounded<T> {
    inner: T,
    asked: u32,
    since: Instant,
}

/// Why something was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError<E> {
    /// The connection.
    #[error(transparent)]
    Connection(E),
    /// Nobody takes it.
    #[error("it takes nothing")]
    Slow,
}

impl<T> Bounded<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, asked: 0, since: Instant::now() }
    }

    /// Whether it may ask this, too.
    fn may_ask(&mut self, id: &str) -> bool {
        if self.since.elapsed() >= WINDOW {
            (self.asked, self.since) = (0, Instant::now());
        }
        self.asked += 1;
        self.asked <= MAX_ASKED && id.len() <= MAX_ID
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Bounded<T> {
    type Error = SendError<T::Error>;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        // Over HTTP a request is gone when its answer begins. Whoever asks has a clock of their own.
        let is_request = matches!(message, JsonRpcMessage::Request(_));
        let sending = self.inner.send(message);
        async move {
            let sent = if is_request { Ok(sending.await) } else { timeout(PATIENCE, sending).await };
            sent.map_err(|_| SendError::Slow)?.map_err(SendError::Connection)
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.inner.receive().await?;
        match &message {
            JsonRpcMessage::Request(asked) if !self.may_ask(&asked.id.to_string()) => {
                tracing::warn!("a server of tools asks too much, and is hung up on");
                None
            }
            _ => Some(message),
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await.map_err(SendError::Connection)
    }
}
