//! What a run tells about itself: the metrics of its calls, and what of its time was the gateway's own.

use std::time::Duration;

use rivulet::mock_llm::{Fault, Options};
use serde_json::json;

use crate::harness::{Setup, upstream};

#[tokio::test]
async fn calls_are_counted_by_the_conventions_names() {
    let failing = Fault::Status { status: 503, headers: Vec::new(), body: String::new() };
    let first = upstream(Options { faults: vec![failing], ..Options::default() }).await;
    let second = upstream(Options { rate: 0.0, ..Options::default() }).await;
    let targets = json!([
        { "name": "a", "preset": "vllm", "base_url": first.url, "model": "x" },
        { "name": "b", "base_url": second.url, "model": "y" },
    ]);
    let setup = Setup::bare().set("RIVULET_LLM_TARGETS", &targets.to_string()).set("RIVULET_LLM_RETRIES", "0");
    let gateway = setup.start().await;
    assert_eq!(gateway.connect().await.ask("one").await.status(), "complete");
    let failed = r#"target="a",gen_ai_operation_name="chat",gen_ai_provider_name="vllm",gen_ai_request_model="x",error_type="unavailable""#;
    let good = r#"target="b",gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="y""#;
    for line in [
        format!("gen_ai_client_operation_duration_seconds_count{{{failed}}}"),
        format!("gen_ai_client_operation_duration_seconds_count{{{good}}}"),
        format!("gen_ai_client_operation_duration_seconds_bucket{{{good},le=\"81.92\"}}"),
        format!("gen_ai_client_operation_time_to_first_chunk_seconds_bucket{{{good},le=\"20.48\"}}"),
        format!("gen_ai_client_token_usage_count{{{good},gen_ai_token_type=\"output\"}}"),
    ] {
        assert_eq!(gateway.metric(&line).await, 1.0, "{line}");
    }
}

#[tokio::test]
async fn the_upstreams_time_is_not_the_gateways() {
    const SILENCE: Duration = Duration::from_millis(700);
    let silent = upstream(Options { faults: vec![Fault::StallHeaders], ..Options::default() }).await;
    let slow = upstream(Options { rate: 0.0, first_token: SILENCE, ..Options::default() }).await;
    let targets = json!([
        { "name": "a", "base_url": silent.url, "model": "x", "first_token_s": SILENCE.as_secs_f64() },
        { "name": "b", "base_url": slow.url, "model": "y" },
    ]);
    let gateway = Setup::bare().set("RIVULET_LLM_TARGETS", &targets.to_string()).start().await;
    assert_eq!(gateway.connect().await.ask("one").await.status(), "complete");
    let waited = gateway.metric("run_ttft_seconds_sum").await;
    assert!(waited >= 2.0 * SILENCE.as_secs_f64(), "the failed attempt and the slow one: {waited} s");
    for part in ["gateway", "retrieval"] {
        assert_eq!(gateway.metric(&format!("run_overhead_seconds_count{{part=\"{part}\"}}")).await, 1.0);
        let own = gateway.metric(&format!("run_overhead_seconds_sum{{part=\"{part}\"}}")).await;
        assert!(own > 0.0 && own < SILENCE.as_secs_f64() / 2.0, "{part}: {own} s of {waited} s");
    }
}
