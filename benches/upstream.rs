//! What one event of a model's stream costs: to take it apart and to judge it, and the same at the end of a socket.
//!
//! The second is processor time of the reading thread alone, as the operating system counts it, for the writer would
//! cost as much again.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up should stop")]

use std::{
    fs,
    hint::black_box,
    io::{self, BufRead, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::StreamExt;
use rivulet::{
    config::LlmConfig,
    llm::{
        ChatModel, ChatRequest, ModelEvent, PromptMessage, PromptRole,
        reading::{Reading, Step},
        targets::Targets,
    },
};
use tokio::runtime::Builder;

/// A chunk as Groq sends them, 277 bytes with its line ends.
const EVENT: &str = concat!(
    r#"data: {"id":"chatcmpl-5b0b7c1e-9f0a-4d7e-8c8e-2f4a4b3f6a10","object":"chat.completion.chunk","#,
    r#""created":1763650000,"model":"llama-3.3-70b-versatile","system_fingerprint":"fp_3f3b593e33","#,
    r#""choices":[{"index":0,"delta":{"content":" river"},"logprobs":null,"finish_reason":null}]}"#,
    "\n\n"
);
const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const EVENTS: usize = 5120;
/// How many events come together.
const TOGETHER: [usize; 3] = [1, 64, 512];

fn reading(c: &mut Criterion) {
    assert_eq!(EVENT.len(), 277);
    let mut group = c.benchmark_group("upstream");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for together in TOGETHER {
        let bytes = EVENT.repeat(together);
        group.bench_with_input(BenchmarkId::new("parse, events per read", together), &bytes, |b, bytes| {
            b.iter_batched(
                || Reading::new(usize::MAX, usize::MAX, false),
                |mut reading| {
                    for _ in 0..EVENTS / together {
                        reading.push(black_box(bytes.as_bytes()));
                        while let Some(step) = reading.take() {
                            assert!(matches!(black_box(step), Step::Text(_)));
                        }
                    }
                    reading
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn endpoint(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = c.benchmark_group("upstream");
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(10);
    for together in TOGETHER {
        let addr = serve(together).expect("a port");
        let (base_url, model) = (Some(format!("http://{addr}/v1")), Some("m".to_owned()));
        let model = Targets::from_config(&LlmConfig { base_url, model, ..LlmConfig::default() });
        let model = model.expect("targets").expect("one target");
        group.bench_function(BenchmarkId::new("whole endpoint, events per write", together), |b| {
            b.iter_custom(|times| {
                let before = processor_time();
                for _ in 0..times {
                    runtime.block_on(answer(&model));
                }
                processor_time() - before
            });
        });
    }
    group.finish();
}

async fn answer(model: &Targets) {
    let prompt = [PromptMessage::new(PromptRole::User, "What is a rivulet?")];
    let mut events = model.stream(ChatRequest::new(prompt, "What is a rivulet?", 1_000_000));
    let mut bytes = 0;
    while let Some(event) = events.next().await {
        if let ModelEvent::Text(text) = event.expect("no failure") {
            bytes += text.len();
        }
    }
    assert_eq!(bytes, EVENTS * " river".len());
}

/// A model's server that is as cheap as can be: the same bytes for everybody, so many events in each write.
fn serve(together: usize) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let addr = listener.local_addr()?;
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let (events, end) = (chunk(&EVENT.repeat(together)), chunk(END) + "0\r\n\r\n");
    // Ends with the process.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (events, end) = (events.clone(), end.clone());
            thread::spawn(move || connection(stream, together, &events, &end));
        }
    });
    Ok(addr)
}

fn connection(mut stream: TcpStream, together: usize, events: &str, end: &str) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut requests = BufReader::new(stream.try_clone()?);
    loop {
        let (mut line, mut body) = (String::new(), 0);
        loop {
            line.clear();
            if requests.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                body = length.trim().parse().map_err(io::Error::other)?;
            }
        }
        io::copy(&mut requests.by_ref().take(body), &mut io::sink())?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
        for _ in 0..EVENTS / together {
            stream.write_all(events.as_bytes())?;
        }
        stream.write_all(end.as_bytes())?;
    }
}

/// What this thread has used so far.
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = text.split_whitespace().next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.expect("a number of nanoseconds"))
}

criterion_group!(benches, reading, endpoint);
criterion_main!(benches);
