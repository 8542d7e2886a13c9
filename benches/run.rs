//! One whole run: a message in, commit, a scripted model over real HTTP, every delta read, the end committed. The same
//! where answers are kept, with a new question each time and with one whose answer is known.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up should stop")]

use std::{sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rivulet::{
    config::LlmConfig,
    hub::{Hub, Policy},
    knowledge::NoKnowledge,
    limits::Visitor,
    llm::{ChatModel, cache::Cached, targets::Targets},
    mock_llm::{DEFAULT_TEXT, MockLlm, Options, Script},
    run::{Retrieval, Runner},
    session::{
        NewMessage, SendMode, SessionHandle, Viewer,
        log::{Event, Step},
    },
    store::{SessionStore, sqlite::SqliteStore, volatile::VolatileStore},
};
use tokio::{runtime::Runtime, task::JoinSet};

/// Asks, and reads the whole answer.
async fn run(session: &SessionHandle, viewer: &mut Viewer, question: &str) {
    let message = NewMessage {
        id: None,
        text: question.to_owned(),
        mode: SendMode::Reject,
        by: Visitor::at([127, 0, 0, 1].into()),
    };
    session.send(message).await.expect("accepted");
    let mut done = false;
    while !done {
        viewer.changed().await;
        viewer.read(32 << 10, |step| {
            done |= matches!(step, Step::Event(_, Event::RunDone(_)));
            true
        });
    }
}

fn whole_runs(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let mut upstream = JoinSet::new();
    let tokens = Script::new(DEFAULT_TEXT).len() as u64;
    let base_url = runtime.block_on(async {
        let options = Options { rate: 0.0, ..Options::default() };
        let mock = MockLlm::bind(([127, 0, 0, 1], 0).into(), options).await.expect("a port");
        let url = format!("http://{}/v1", mock.addr());
        upstream.spawn(mock.serve());
        url
    });
    let config = LlmConfig { base_url: Some(base_url), model: Some("mock".to_owned()), ..LlmConfig::default() };
    let sqlite: Arc<dyn SessionStore> = Arc::new(SqliteStore::open(folder.path().join("bench.db")).expect("a store"));
    let memory: Arc<dyn SessionStore> = Arc::new(VolatileStore::new(10, 10_000_000));
    let mut group = c.benchmark_group("run");
    group.throughput(Throughput::Elements(tokens));
    let cases = [
        ("memory", &memory, None),
        ("sqlite", &sqlite, None),
        ("memory, answers kept", &memory, Some("")),
        ("memory, answer known", &memory, Some("Why?")),
    ];
    for (name, store, kept) in cases {
        let (session, mut viewer) = runtime.block_on(async {
            let targets = Targets::from_config(&config).expect("targets").expect("one target");
            let rule = config.cache().expect("on by default");
            let model: Arc<dyn ChatModel> = Arc::new(targets);
            let runner = Arc::new(Runner {
                retriever: Arc::new(NoKnowledge),
                model: if kept.is_some() { Arc::new(Cached::new(model, rule)) } else { model },
                retrieval: Retrieval { top_k: 5, min_score: 0.0, rewrite: false },
                max_output_tokens: 1024,
                line: Arc::default(),
                budgets: Arc::default(),
                rates: Arc::default(),
                assistants: Arc::default(),
                artifacts: Arc::default(),
                tools: Arc::default(),
            });
            let hour = Duration::from_secs(3600);
            let policy = Policy { idle: hour, ttl: hour, abandon: None, history_messages: 2, sessions: 0 };
            let hub = Hub::new(Arc::clone(store), runner, policy);
            let record = hub.create("default", None, None, false).await.expect("a session");
            let session = hub.get(&record.id).await.expect("the session");
            let (viewer, _) = session.attach(None);
            (session, viewer)
        });
        group.bench_with_input(BenchmarkId::new("whole run, store in", name), &(), |b, ()| {
            let mut number = 0;
            b.iter(|| {
                number += 1;
                let question =
                    kept.filter(|question| !question.is_empty()).map_or(format!("Why {number}?"), str::to_owned);
                runtime.block_on(run(&session, &mut viewer, &question));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, whole_runs);
criterion_main!(benches);
