//! Frames: encoding a delta, which happens once per token, and reading what a client sends.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rivulet::{chat::RunId, dialect::chat_v1};

fn frames(c: &mut Criterion) {
    let run = RunId::random();
    let mut group = c.benchmark_group("codec");
    for (name, text) in [("a token", " token".to_owned()), ("2 KiB of text", "It is \"quoted\".\n".repeat(128))] {
        group.bench_function(format!("delta of {name}"), |b| {
            b.iter(|| chat_v1::delta(black_box(&run), black_box(1234), black_box(&text)));
        });
        let value = |text: &str| serde_json::json!({"type": "delta", "run": run.as_str(), "off": 1234, "text": text});
        group.bench_function(format!("the same through serde_json::Value, {name}"), |b| {
            b.iter(|| value(black_box(&text)).to_string());
        });
    }
    let send = r#"{"type":"send","id":"m_1","text":"How long can I return a tent?","mode":"queue"}"#;
    group.bench_function("parse send", |b| b.iter(|| chat_v1::parse(black_box(send))));
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
