//! What tools say of how far they are, between what is waited for: the newest word, and not too often. Uses `tools`.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch::Receiver,
    time::{Instant, sleep_until},
};

use crate::{
    chat::{Doing, Phase, ToolProgress},
    tools::Newest,
};

/// Between two words. Nobody reads faster, and each is told to every viewer, here and at other gateways.
const PAUSE: Duration = Duration::from_millis(250);

/// Hears how far the calls of an answer are.
pub(super) struct Hearing {
    newest: Receiver<Option<Arc<ToolProgress>>>,
    /// Not before this.
    next: Instant,
}

impl Hearing {
    pub(super) fn of(newest: &Newest) -> Self {
        Self { newest: newest.subscribe(), next: Instant::now() }
    }

    /// What is waited for, or what is to be told before it has come.
    pub(super) async fn or<T>(&mut self, waited_for: impl Future<Output = T>) -> Result<T, Doing> {
        let progress = async {
            sleep_until(self.next).await;
            match self.newest.changed().await {
                Ok(()) => self.newest.borrow_and_update().clone(),
                Err(_) => std::future::pending().await, // Nobody is left who could say something.
            }
        };
        tokio::select! {
            biased;
            came = waited_for => Ok(came),
            progress = progress => {
                self.next = Instant::now() + PAUSE;
                Err(Doing { progress, ..Phase::Tool.into() })
            }
        }
    }
}
