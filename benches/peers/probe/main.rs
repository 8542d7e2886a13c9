//! Asks a server with OpenAI's chat completions over many streams at a time, and tells how long the first token took.
//!
//! Cheap on purpose: of the JSON that comes only the marks of text are looked for. Arguments: the base URL, the model,
//! streams, questions per stream, tokens that every answer must have, and seconds over which the streams begin. The
//! first question of a stream opens its connection and is not timed.

#![expect(clippy::print_stdout, reason = "the result is what this program is for")]

use std::{env, error::Error, sync::Arc, time::Duration};

use memchr::memmem::Finder;
use reqwest::{Client, Response};
use tokio::{
    sync::Barrier,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

type Failure = Box<dyn Error + Send + Sync>;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(300);
const QUESTION: &str =
    r#"{"model":"%","stream":true,"messages":[{"role":"user","content":"What is a rivulet, number @?"}]}"#;

#[derive(Debug, Clone)]
struct Job {
    completions: String,
    model: String,
    streams: usize,
    questions: usize,
    tokens: usize,
    ramp: Duration,
}

/// What one stream has seen.
#[derive(Default)]
struct Seen {
    first: Vec<Duration>,
    tokens: usize,
    faults: usize,
    fault: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [base, model, streams, questions, tokens, ramp] = &arguments[..] else {
        return Err("arguments: BASE_URL MODEL STREAMS QUESTIONS TOKENS RAMP_S".into());
    };
    let job = Arc::new(Job {
        completions: format!("{base}/chat/completions"),
        model: model.clone(),
        streams: streams.parse()?,
        questions: questions.parse()?,
        tokens: tokens.parse()?,
        ramp: Duration::try_from_secs_f64(ramp.parse()?)?,
    });
    let http = Client::builder().no_proxy().tcp_nodelay(true).pool_max_idle_per_host(job.streams).build()?;
    let warm = Arc::new(Barrier::new(job.streams + 1));
    let mut streams = JoinSet::new();
    for at in 0..job.streams {
        let (job, http, warm) = (Arc::clone(&job), http.clone(), Arc::clone(&warm));
        streams.spawn(async move { stream(&job, at, &http, &warm).await });
    }
    warm.wait().await;
    println!("warm");
    let began = Instant::now();
    let mut all = Seen::default();
    while let Some(seen) = streams.join_next().await {
        let seen = seen?;
        all.first.extend(seen.first);
        all.tokens += seen.tokens;
        all.faults += seen.faults;
        all.fault = all.fault.or(seen.fault);
    }
    all.first.sort_unstable();
    let first_ms = |share: f64| {
        let at = (all.first.len() as f64 * share) as usize;
        all.first.get(at.min(all.first.len().saturating_sub(1))).map_or(0.0, |first| first.as_secs_f64() * 1000.0)
    };
    let result = serde_json::json!({
        "first_p50": first_ms(0.5), "first_p99": first_ms(0.99), "answers": all.first.len(), "tokens": all.tokens,
        "seconds": began.elapsed().as_secs_f64(), "faults": all.faults, "fault": all.fault,
    });
    println!("{result}");
    Ok(())
}

async fn stream(job: &Job, at: usize, http: &Client, warm: &Barrier) -> Seen {
    let mut seen = Seen::default();
    for question in 0..=job.questions {
        // No two alike, so that nothing is answered out of a cache.
        let body = QUESTION.replace('%', &job.model).replace('@', &format!("{at}.{question}"));
        if question < 2 {
            sleep(job.ramp.mul_f64(at as f64 / job.streams as f64)).await;
        }
        let answered = timeout(PATIENCE, ask(job, http, body)).await.unwrap_or_else(|_| Err("no end".into()));
        match answered {
            Ok((first, tokens)) if question > 0 => {
                seen.first.push(first);
                seen.tokens += tokens;
            }
            Ok(_) => {}
            Err(error) => {
                seen.faults += 1;
                seen.fault.get_or_insert(error.to_string());
            }
        }
        if question == 0 {
            warm.wait().await;
        }
    }
    seen
}

/// The time to the first token, and the tokens.
async fn ask(job: &Job, http: &Client, body: String) -> Result<(Duration, usize), Failure> {
    let asked = Instant::now();
    let request = http.post(&job.completions).header("content-type", "application/json").body(body);
    let mut response: Response = request.send().await?.error_for_status()?;
    let (text, no_text, done) =
        (Finder::new(r#""content":""#), Finder::new(r#""content":"""#), Finder::new("data: [DONE]"));
    let (mut first, mut tokens, mut is_whole) = (None, 0, false);
    let mut lines = Vec::new();
    while let Some(bytes) = response.chunk().await? {
        lines.extend_from_slice(&bytes);
        let Some(end) = memchr::memrchr(b'\n', &lines) else { continue };
        tokens += text.find_iter(&lines[..end]).count() - no_text.find_iter(&lines[..end]).count();
        is_whole |= done.find(&lines[..end]).is_some();
        if tokens > 0 {
            first.get_or_insert_with(|| asked.elapsed());
        }
        lines.drain(..=end);
    }
    match first {
        Some(first) if is_whole && tokens == job.tokens => Ok((first, tokens)),
        _ => Err(format!("{tokens} tokens of {}, whole: {is_whole}", job.tokens).into()),
    }
}
