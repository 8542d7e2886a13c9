//! Every metric of the house, by name, in one place (docs/metrics.md). Labels are bounded: never an id, a path
//! or a text that somebody chose.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Requests by `method`, `route` (the pattern, not the path) and `status`.
pub const HTTP_REQUESTS: &str = "http_requests_total";
/// Seconds from request to response head, by `method` and `route`.
pub const HTTP_DURATION: &str = "http_request_duration_seconds";
/// Requests being answered.
pub const HTTP_IN_PROGRESS: &str = "http_requests_in_progress";
/// What was refused because somebody had enough already, by `scope` (docs/limits.md).
pub const RATE_LIMITED: &str = "rate_limited_total";
/// Attempts by `target` and `outcome`.
pub const LLM_REQUESTS: &str = "llm_requests_total";
/// Events of upstream streams that were not JSON, by `target`.
pub const LLM_BAD_EVENTS: &str = "llm_bad_events_total";
/// Looks into a `cache`, by `outcome`.
pub const CACHE_REQUESTS: &str = "cache_requests_total";
/// What was not asked at once because of a `target`'s rate limit, by `how`: waited, passed by, refused.
pub const LLM_PACED: &str = "llm_paced_total";
/// How the breaker of a `target` stands: 0 closed, 1 probing, 2 open.
pub const BREAKER_STATE: &str = "breaker_state";
/// What calls cost by the configured prices, by `target` and `gen_ai_request_model`.
pub const LLM_COST: &str = "llm_cost";
/// Searches made for runs.
pub const MEMORY_RETRIEVALS: &str = "memory_retrievals_total";
/// Seconds of one storage operation, by `op`, waiting included.
pub const DATABASE_DURATION: &str = "database_query_duration_seconds";
/// Open sockets, by `protocol`.
pub const WS_CONNECTIONS: &str = "ws_connections";
/// Closed sockets, by close `code`.
pub const WS_CLOSES: &str = "ws_closes_total";
/// Sessions in memory.
pub const SESSIONS_ACTIVE: &str = "sessions_active";
/// Sessions ended by a panic.
pub const SESSION_PANICS: &str = "session_panics_total";
/// Runs in progress.
pub const RUNS_ACTIVE: &str = "runs_active";
/// Ended runs, by `status`.
pub const RUNS: &str = "runs_total";
/// Pieces of answers handed to sessions, as the upstream cut them.
pub const TOKENS_DELIVERED: &str = "tokens_delivered_total";
/// Seconds from a stop's arrival to the end of the generation: the connection to the model's server is being closed.
pub const RUN_STOP: &str = "run_stop_seconds";
/// Pieces of answers that came in after the stop did.
pub const TOKENS_AFTER_STOP: &str = "tokens_after_stop_total";
/// Seconds from the start of a run to its first text.
pub const RUN_TTFT: &str = "run_ttft_seconds";
/// Seconds that the gateway itself added to the first text of a run, by `part` (docs/metrics.md says what is in it).
pub const RUN_OVERHEAD: &str = "run_overhead_seconds";
/// Seconds from a piece of text's arrival in the session to its frame being written.
pub const TOKEN_DELAY: &str = "token_delay_seconds";
/// Seconds of the parts of a search, by `stage`.
pub const RETRIEVAL_DURATION: &str = "retrieval_duration_seconds";
/// Documents by `state`.
pub const KNOWLEDGE_DOCUMENTS: &str = "knowledge_documents";
/// Work on documents by `state`: queued, running.
pub const KNOWLEDGE_JOBS: &str = "knowledge_jobs";
/// Chunks in the indexes of all collections.
pub const RAG_CHUNKS: &str = "rag_index_chunks";
/// Bytes of their newest versions.
pub const RAG_BYTES: &str = "rag_index_bytes";
/// Collections whose index cannot be read, searched or written to.
pub const RAG_FAILED: &str = "rag_index_failed_collections";
/// When the knowledge base was looked at last, in seconds since 1970.
pub const RAG_UPKEEP: &str = "rag_index_upkeep_timestamp_seconds";
/// Rows that an index of words or of vectors does not cover yet.
pub const RAG_UNINDEXED: &str = "rag_index_unindexed_rows";
/// Bytes of the copies of collections in memory.
pub const RAG_COPIES_BYTES: &str = "rag_copies_bytes";
/// Seconds of one commit, fsync included.
pub const STORAGE_COMMIT: &str = "storage_commit_seconds";
/// Operations in one commit.
pub const STORAGE_BATCH: &str = "storage_commit_operations";
/// Spans by `outcome`: `exported`, `lost` (the collector did not take them) or `dropped` (the queue was full).
pub const OTLP_SPANS: &str = "otlp_spans_total";
/// Until when the certificate of the gateway's own ports is good, in seconds since 1970.
pub const TLS_EXPIRY: &str = "tls_certificate_expiry_timestamp_seconds";
/// Lines that were left out of the log because there were too many.
pub const LOG_LINES_LEFT_OUT: &str = "log_lines_left_out_total";
/// Configurations that were read again, by `outcome`: `taken`, `refused`.
pub const CONFIG_RELOADS: &str = "config_reloads_total";
/// Seconds of one model call (OpenTelemetry `gen_ai.client.operation.duration`).
pub const GEN_AI_DURATION: &str = "gen_ai_client_operation_duration_seconds";
/// Tokens by `gen_ai_token_type` (OpenTelemetry `gen_ai.client.token.usage`).
pub const GEN_AI_TOKENS: &str = "gen_ai_client_token_usage";
/// Seconds to the first chunk (OpenTelemetry `gen_ai.client.operation.time_to_first_chunk`).
pub const GEN_AI_FIRST_CHUNK: &str = "gen_ai_client_operation_time_to_first_chunk_seconds";

/// Seconds. The short end is for token delays, the long end for whole answers.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0,
];
/// Seconds of model calls: the OpenTelemetry convention's, and shorter ones for models that are faster than it expects.
const CALL_SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96,
    81.92, 163.84, 327.68,
];
/// Tokens, as the OpenTelemetry convention has them.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const OPERATIONS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Cost of one call; the unit is the operator's.
const COST: &[f64] = &[0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0, 10.0];

/// Installs the process-wide recorder. Call it once.
///
/// # Errors
/// When a recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Full(GEN_AI_DURATION.to_owned()), CALL_SECONDS)?
        .set_buckets_for_metric(Matcher::Full(GEN_AI_FIRST_CHUNK.to_owned()), CALL_SECONDS)?
        .set_buckets_for_metric(Matcher::Full(GEN_AI_TOKENS.to_owned()), TOKENS)?
        .set_buckets_for_metric(Matcher::Full(LLM_COST.to_owned()), COST)?
        .set_buckets_for_metric(Matcher::Full(STORAGE_BATCH.to_owned()), OPERATIONS)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    describe_counter!(HTTP_REQUESTS, "HTTP requests answered");
    describe_histogram!(HTTP_DURATION, Unit::Seconds, "From request to response head");
    describe_gauge!(HTTP_IN_PROGRESS, "HTTP requests being answered");
    describe_counter!(RATE_LIMITED, "Refused because a bound was reached");
    describe_counter!(LLM_REQUESTS, "Attempts at model targets");
    describe_counter!(LLM_BAD_EVENTS, "Events of upstream streams that were not JSON");
    describe_counter!(CACHE_REQUESTS, "Looks into the caches");
    describe_counter!(LLM_PACED, "Runs that a target's rate limit kept from asking it at once");
    describe_gauge!(BREAKER_STATE, "The breaker of a target: 0 closed, 1 probing, 2 open");
    describe_histogram!(LLM_COST, "Cost of model calls by the configured prices");
    describe_counter!(MEMORY_RETRIEVALS, "Searches made for runs");
    describe_histogram!(DATABASE_DURATION, Unit::Seconds, "One storage operation, waiting included");
    describe_gauge!(WS_CONNECTIONS, "Open sockets");
    describe_counter!(WS_CLOSES, "Closed sockets");
    describe_gauge!(SESSIONS_ACTIVE, "Sessions in memory");
    describe_counter!(SESSION_PANICS, "Sessions ended by a panic");
    describe_gauge!(RUNS_ACTIVE, "Runs in progress");
    describe_counter!(RUNS, "Ended runs");
    describe_counter!(TOKENS_DELIVERED, "Pieces of answers handed to sessions");
    describe_histogram!(RUN_STOP, Unit::Seconds, "From a stop's arrival to the end of the generation");
    describe_counter!(TOKENS_AFTER_STOP, "Pieces of answers that came in after the stop did");
    describe_histogram!(RUN_TTFT, Unit::Seconds, "From the start of a run to its first text");
    describe_histogram!(RUN_OVERHEAD, Unit::Seconds, "What the gateway itself added to the first text of a run");
    describe_histogram!(TOKEN_DELAY, Unit::Seconds, "From a text's arrival to its frame being written");
    describe_histogram!(RETRIEVAL_DURATION, Unit::Seconds, "Parts of a search");
    describe_gauge!(KNOWLEDGE_DOCUMENTS, "Documents by state");
    describe_gauge!(KNOWLEDGE_JOBS, "Work on documents that waits or is under way");
    describe_gauge!(RAG_CHUNKS, "Chunks in the index");
    describe_gauge!(RAG_BYTES, Unit::Bytes, "Bytes of the index's newest versions");
    describe_gauge!(RAG_FAILED, "Collections whose index cannot be used");
    describe_gauge!(RAG_UPKEEP, "When the knowledge base was looked at last");
    describe_gauge!(RAG_UNINDEXED, "Rows that an index of words or of vectors does not cover yet");
    describe_gauge!(RAG_COPIES_BYTES, Unit::Bytes, "Copies of collections in memory");
    describe_histogram!(STORAGE_COMMIT, Unit::Seconds, "One commit, fsync included");
    describe_histogram!(STORAGE_BATCH, "Operations in one commit");
    describe_counter!(OTLP_SPANS, "Spans exported, lost and dropped");
    describe_gauge!(TLS_EXPIRY, "Until when the certificate of the own ports is good, in seconds since 1970");
    describe_counter!(LOG_LINES_LEFT_OUT, "Lines left out of the log because there were too many");
    describe_counter!(CONFIG_RELOADS, "Configurations that were read again");
    describe_histogram!(GEN_AI_DURATION, Unit::Seconds, "One model call");
    describe_histogram!(GEN_AI_TOKENS, "Tokens of model calls");
    describe_histogram!(GEN_AI_FIRST_CHUNK, Unit::Seconds, "From the call to its first chunk");
}
