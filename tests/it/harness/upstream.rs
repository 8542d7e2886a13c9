//! A model server of ours, over real HTTP.

use std::convert::Infallible;

use rivulet::mock_llm::{Fault, MockLlm, Options, Stats};
use tokio::{sync::watch, task::JoinSet};

/// A mock that serves until it is dropped.
pub(crate) struct Upstream {
    pub(crate) url: String,
    pub(crate) stats: Stats,
    _server: JoinSet<Infallible>,
}

/// A model server with these options.
pub(crate) async fn upstream(options: Options) -> Upstream {
    let mock = MockLlm::bind(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let (addr, stats) = (mock.addr(), mock.stats());
    let mut server = JoinSet::new();
    server.spawn(mock.serve());
    Upstream { url: format!("http://{addr}/v1"), stats, _server: server }
}

impl Upstream {
    /// One that says its whole text at `rate` tokens a second; 0 is as fast as it can.
    pub(crate) async fn saying(text: &str, rate: f64) -> Self {
        upstream(Options { script: rivulet::mock_llm::Script::new(text), rate, ..Options::default() }).await
    }

    /// One that says of every answer as many tokens as the gate allows.
    pub(crate) async fn gated(text: &str, allowed: usize) -> (Self, Gate) {
        let (gate, allowed) = watch::channel(allowed);
        let script = rivulet::mock_llm::Script::new(text);
        let options = Options { script, rate: 0.0, allowed: Some(allowed), ..Options::default() };
        (upstream(options).await, Gate(gate))
    }

    /// One that stops saying anything after `tokens` tokens, and keeps the connection.
    pub(crate) async fn stalling(tokens: usize) -> Self {
        upstream(Options { rate: 0.0, faults: vec![Fault::Stall(tokens)], ..Options::default() }).await
    }
}

/// Holds answers where a test wants them.
pub(crate) struct Gate(pub(super) watch::Sender<usize>);

impl Gate {
    /// Lets every answer go on to its `tokens`th token.
    pub(crate) fn allow(&self, tokens: usize) {
        self.0.send_replace(tokens);
    }

    /// Lets every answer go on to its end.
    pub(crate) fn open(&self) {
        self.allow(usize::MAX);
    }
}
