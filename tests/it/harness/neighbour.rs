//! Somebody whose answer is being written while others misbehave: whatever is done to the gateway, the next word comes.

use rivulet::mock_llm::{Fault, Options, Script, Stats};
use tokio::sync::watch;

use super::{Client, Gate, Setup, TestGateway, Upstream, upstream};

/// More than any table of misdeeds has rows.
const WORDS: usize = 800;

/// What there is of a neighbour before they have come.
pub(crate) struct Expected {
    gate: Gate,
    text: String,
    model: Upstream,
}

impl Expected {
    /// They have come, and asked before anybody else does.
    pub(crate) async fn comes(self, gateway: &TestGateway, token: Option<&str>) -> Neighbour {
        let mut client = match token {
            Some(token) => Client::connect_as(&gateway.socket(""), token).await,
            None => gateway.connect().await,
        };
        client.say("What do you know of words?").await;
        client.deltas(1).await;
        let Self { gate, text, model } = self;
        Neighbour { client, gate, told: 1, text, model }
    }
}

/// One who reads an answer that is written as fast as the test says.
pub(crate) struct Neighbour {
    client: Client,
    gate: Gate,
    told: usize,
    text: String,
    model: Upstream,
}

impl Neighbour {
    /// A gateway like `setup`, and one who has asked it something, with a token where one is needed. Who else asks the model
    /// is answered at once.
    pub(crate) async fn beside(
        setup: Setup,
        token: impl AsyncFnOnce(&TestGateway) -> Option<String>,
    ) -> (TestGateway, Self) {
        Self::among(setup, token, vec!["lump".parse().unwrap()]).await
    }

    /// The same, and every answer has as many words as the neighbour's.
    pub(crate) async fn in_step(
        setup: Setup,
        token: impl AsyncFnOnce(&TestGateway) -> Option<String>,
    ) -> (TestGateway, Self) {
        Self::among(setup, token, Vec::new()).await
    }

    /// The same, and the others are answered like this, one after the other.
    pub(crate) async fn among(
        setup: Setup,
        token: impl AsyncFnOnce(&TestGateway) -> Option<String>,
        others: Vec<Fault>,
    ) -> (TestGateway, Self) {
        let (setup, expected) = Self::expected(setup, others).await;
        let gateway = setup.start().await;
        let token = token(&gateway).await;
        let neighbour = expected.comes(&gateway, token.as_deref()).await;
        (gateway, neighbour)
    }

    /// One who is yet to come, to gateways like `setup`.
    pub(crate) async fn expected(setup: Setup, others: Vec<Fault>) -> (Setup, Expected) {
        let faults = [vec![Fault::None], others].concat();
        let text = (0..WORDS).map(|at| format!("w{at}")).collect::<Vec<_>>().join(" ");
        let (gate, allowed) = watch::channel(1);
        let script = Script::new(&text);
        let model = upstream(Options { script, rate: 0.0, faults, allowed: Some(allowed), ..Options::default() }).await;
        let setup = setup.set("RIVULET_LLM_BASE_URL", &model.url).set("RIVULET_LLM_GAP_S", "300");
        (setup, Expected { gate: Gate(gate), text, model })
    }

    /// The same where nobody needs a token.
    pub(crate) async fn of_nobody(setup: Setup) -> (TestGateway, Self) {
        Self::beside(setup, async |_| None).await
    }

    /// What the model has seen, the neighbour's question included.
    pub(crate) fn model(&self) -> &Stats {
        &self.model.stats
    }

    /// Reads on at another gateway, which does not write the answer.
    pub(crate) async fn goes_to(&mut self, gateway: &TestGateway, token: Option<&str>) {
        let url = gateway.socket(&self.client.session());
        self.client = match token {
            Some(token) => Client::connect_as(&url, token).await,
            None => Client::connect(&url).await,
        };
        self.client.until("snapshot").await;
    }

    /// Has another word, which comes at once.
    pub(crate) async fn goes_on(&mut self) {
        self.told += 1;
        self.gate.allow(self.told);
        self.client.deltas(1).await;
    }

    /// Has all of the answer, each word in its place.
    pub(crate) async fn has_all(&mut self) {
        self.gate.open();
        let answer = self.client.answer().await;
        assert_eq!((answer.status(), answer.text.as_str()), ("complete", self.text.as_str()));
    }
}
