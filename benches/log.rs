//! The session log: appending a token, and reading it by 1, 10 and 100 viewers.

use std::{hint::black_box, sync::Arc};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rivulet::{
    chat::{Message, MessageId, RunId, Timestamp},
    session::log::{By, Cursor, Log, Step},
};

const TOKENS: u64 = 500;

fn question() -> Message {
    Message::question(MessageId::random(), String::new(), RunId::random(), Timestamp(0))
}

fn live_log() -> Log {
    let mut log = Log::new("e", Vec::new(), false, 50, 0);
    let question = Arc::new(question());
    let answer = Message::pending(MessageId::random(), Some(question.id.clone()), RunId::random(), Timestamp(0));
    let answer = Arc::new(answer);
    log.append_turn(question.clone(), answer.clone(), 0);
    log.start_run(
        (RunId::random(), answer.id.clone(), question.id.clone()),
        By { model: "m".into(), version: None, variant: None },
        0,
    );
    log
}

fn read_all(log: &Log, cursor: &mut Cursor) {
    loop {
        match log.next(cursor, 32 << 10) {
            Step::UpToDate => return,
            step => {
                black_box(step);
            }
        }
    }
}

fn append_and_read(c: &mut Criterion) {
    for (script, token) in [("ascii", " token"), ("emoji", " 🌧️öké")] {
        let mut group = c.benchmark_group(format!("log/{script}"));
        group.throughput(Throughput::Elements(TOKENS));
        for viewers in [0, 1, 10, 100] {
            group.bench_with_input(BenchmarkId::new("append+read by viewers", viewers), &viewers, |b, &viewers| {
                b.iter_batched(
                    || (live_log(), vec![Cursor::default(); viewers]),
                    |(mut log, mut cursors)| {
                        for now in 0..TOKENS {
                            log.append_text(token, now);
                            for cursor in &mut cursors {
                                read_all(&log, cursor);
                            }
                        }
                        log
                    },
                    BatchSize::SmallInput,
                );
            });
        }
        group.finish();
    }
}

fn resume(c: &mut Criterion) {
    let mut log = live_log();
    for now in 0..20_000 {
        log.append_text(" 🌧️öké", now);
    }
    let (_, cursor) = log.snapshot();
    let text = log.cursor_text(&cursor);
    c.bench_function("log/resume into 20,000 tokens", |b| b.iter(|| log.attach(Some(black_box(&text)))));
}

criterion_group!(benches, append_and_read, resume);
criterion_main!(benches);
