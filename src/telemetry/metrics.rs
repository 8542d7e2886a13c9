//! Every metric of the house, by name, in one place (docs/metrics.md). Labels are bounded: never an id, a path
//! or a text that somebody chose. `recorder` sees to it that a series whose labels are known is there from the start.

use super::declare::{self, Kind, Label, Metric};

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
/// Tokens, as the OpenTelemetry convention has them: powers of 4.
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

declare::table! {
    /// HTTP requests answered; `route` is the pattern, not the path.
    counter HTTP_REQUESTS = "http_requests_total" { method, route, status }
    /// From a request to the head of its answer.
    histogram(SECONDS) HTTP_DURATION = "http_request_duration_seconds" { method, route }
    /// HTTP requests being answered.
    gauge HTTP_IN_PROGRESS = "http_requests_in_progress" {}
    /// What was refused because somebody had enough already.
    counter RATE_LIMITED = "rate_limited_total" {
        scope = [
            "connections", "connections_per_ip", "requests", "other_requests", "messages", "assistant", "new_sessions", "uploads", "sessions",
            "tokens", "waiting_runs",
        ],
    }

    /// Open sockets.
    gauge WS_CONNECTIONS = "ws_connections" { protocol = ["chat.v1"] }
    /// Closed sockets.
    counter WS_CLOSES = "ws_closes_total" {
        code = [
            "1000", "1001", "1002", "1003", "1006", "1007", "1009", "4001", "4003", "4004", "4010", "4100", "4108",
            "4111", "4129", "4201", "4203", "4204",
        ],
    }
    /// From a text's arrival in the session to its frame being written to a socket that was waiting for it.
    histogram(SECONDS) TOKEN_DELAY = "token_delay_seconds" {}

    /// Sessions in memory.
    gauge SESSIONS_ACTIVE = "sessions_active" {}
    /// Panics, wherever they happen.
    counter PANICS = "panics_total" {}
    /// Sessions ended by a panic.
    counter SESSION_PANICS = "session_panics_total" {}
    /// Answers being written or stored.
    gauge RUNS_ACTIVE = "runs_active" {}
    /// Answers that wait in line for their turn.
    gauge RUNS_WAITING = "runs_waiting" {}
    /// Ended runs.
    counter RUNS = "runs_total" {
        status = ["complete", "stopped", "length", "filtered", "incomplete", "error", "interrupted", "awaiting_approval"],
    }
    /// The same by who answered.
    counter ASSISTANT_RUNS = "assistant_runs_total" {
        assistant, version, variant,
        status = ["complete", "stopped", "length", "filtered", "incomplete", "error", "interrupted"],
    }
    /// Calls of tools; `none`: of what is no tool, or was not run.
    counter TOOL_CALLS = "tool_calls_total" { tool, status = ["ok", "error", "invalid", "timeout", "waiting", "denied"] }
    /// What was said to calls that had to be allowed.
    counter APPROVALS = "approvals_total" { decision = ["approved", "denied"] }
    /// What they took.
    histogram(SECONDS) TOOL_DURATION = "tool_duration_seconds" { tool }
    /// Calls of tools of servers that speak MCP.
    counter MCP_REQUESTS = "mcp_requests_total" {
        server, outcome = ["ok", "error", "off", "left_alone", "timeout", "unavailable"],
    }
    /// From a stop's arrival to the end of the generation; the connection to the model's server is closed with it.
    histogram(SECONDS) RUN_STOP = "run_stop_seconds" {}
    /// Pieces of answers that came in after the stop did.
    counter TOKENS_AFTER_STOP = "tokens_after_stop_total" {}
    /// From the start of a run to its first text.
    histogram(SECONDS) RUN_TTFT = "run_ttft_seconds" {}
    /// What the gateway itself added to the first text of a run.
    histogram(SECONDS) RUN_OVERHEAD = "run_overhead_seconds" { part = ["retrieval", "gateway"] }
    /// Pieces of answers handed to sessions, as the model's server cut them.
    counter TOKENS_DELIVERED = "tokens_delivered_total" {}

    /// Attempts at models' servers.
    counter LLM_REQUESTS = "llm_requests_total" {
        target,
        outcome = [
            "ok", "length", "filtered", "cancelled", "unavailable", "rejected", "context_length", "unusable", "truncated",
            "timeout_connect", "timeout_first_token", "timeout_gap", "timeout_total",
        ],
    }
    /// Runs that a target's rate limit kept from asking it at once.
    counter LLM_PACED = "llm_paced_total" { target, how = ["waited", "passed", "refused"] }
    /// The breaker of a target: 0 closed, 1 probing, 2 open.
    gauge BREAKER_STATE = "breaker_state" { target }
    /// Cost of calls by the configured prices, in their unit.
    histogram(COST) LLM_COST = "llm_cost" { target, gen_ai_request_model }
    /// Events of a stream that may have had text in them and could not be read.
    counter LLM_BAD_EVENTS = "llm_bad_events_total" { target }
    /// One call (OpenTelemetry `gen_ai.client.operation.duration`).
    histogram(CALL_SECONDS) GEN_AI_DURATION = "gen_ai_client_operation_duration_seconds" {
        target, gen_ai_operation_name, gen_ai_provider_name, gen_ai_request_model, error_type,
    }
    /// From a call to its first chunk (OpenTelemetry `gen_ai.client.operation.time_to_first_chunk`).
    histogram(CALL_SECONDS) GEN_AI_FIRST_CHUNK = "gen_ai_client_operation_time_to_first_chunk_seconds" {
        target, gen_ai_operation_name, gen_ai_provider_name, gen_ai_request_model,
    }
    /// Tokens of calls (OpenTelemetry `gen_ai.client.token.usage`).
    histogram(TOKENS) GEN_AI_TOKENS = "gen_ai_client_token_usage" {
        target, gen_ai_operation_name, gen_ai_provider_name, gen_ai_request_model,
        gen_ai_token_type = ["input", "output"],
    }

    /// Looks into the caches.
    counter CACHE_REQUESTS = "cache_requests_total" {
        cache = ["answers", "embeddings", "retrieval"], outcome = ["hit", "hit_shared", "joined", "miss", "passed"],
    }
    /// What became nothing of the answers that gateways give again for one another: the Redis was away or too slow, what lay
    /// there was none, one could not be put there, one was more than a gateway or a user may have there.
    counter CACHE_SHARED_FAILURES = "cache_shared_failures_total" { reason = ["away", "invalid", "put", "quota"] }

    /// Searches of the knowledge base made for runs.
    counter KNOWLEDGE_RETRIEVALS = "knowledge_retrievals_total" {}
    /// Looks into what a user has told, made for runs and by tools.
    counter MEMORY_RETRIEVALS = "memory_retrievals_total" {}
    /// Looks and writes that came to nothing because the store was away or slow.
    counter MEMORY_UNAVAILABLE = "memory_unavailable_total" {}
    /// What became of what was to be remembered.
    counter MEMORY_WRITES = "memory_writes_total" {
        origin = ["explicit", "rule", "turn"], outcome = ["added", "updated", "known", "forgotten", "full"],
    }
    /// How long it takes to look, to keep a turn, and to forget.
    histogram(SECONDS) MEMORY_DURATION = "memory_duration_seconds" { op = ["recall", "keep", "forget"] }
    /// What is remembered of all users.
    gauge MEMORY_ITEMS = "memory_items" { kind = ["fact", "episode"] }
    /// Parts of a search.
    histogram(SECONDS) RETRIEVAL_DURATION = "retrieval_duration_seconds" { stage = ["rewrite", "embed", "search"] }
    /// Bytes of the copies of collections in memory.
    gauge RAG_COPIES_BYTES = "rag_copies_bytes" {}
    /// Documents by the state of their newest version.
    gauge KNOWLEDGE_DOCUMENTS = "knowledge_documents" {
        state = ["queued", "indexing", "ready", "failed", "quarantined"],
    }
    /// Work on documents that waits or is under way.
    gauge KNOWLEDGE_JOBS = "knowledge_jobs" { state = ["queued", "running"] }
    /// Chunks in the indexes of all collections.
    gauge RAG_CHUNKS = "rag_index_chunks" {}
    /// Rows that an index of words or of vectors does not cover yet.
    gauge RAG_UNINDEXED = "rag_index_unindexed_rows" {}
    /// Bytes of the newest versions of the indexes.
    gauge RAG_BYTES = "rag_index_bytes" {}
    /// Collections whose index cannot be read, searched or written to.
    gauge RAG_FAILED = "rag_index_failed_collections" {}
    /// When the knowledge base was looked at last, in seconds since 1970.
    gauge RAG_UPKEEP = "rag_index_upkeep_timestamp_seconds" {}

    /// Whether the store takes writes, as of this answer: 1, or 0.
    gauge STORAGE_UP = "storage_up" {}
    /// One commit, fsync included.
    histogram(SECONDS) STORAGE_COMMIT = "storage_commit_seconds" {}
    /// Operations in one commit.
    histogram(OPERATIONS) STORAGE_BATCH = "storage_commit_operations" {}
    /// Commits that failed, with all operations in them.
    counter STORAGE_FAILURES = "storage_commit_failures_total" {}
    /// One storage operation, waiting included.
    histogram(SECONDS) DATABASE_DURATION = "database_query_duration_seconds" { op }

    /// Gateways that share the database and are alive; 0 where nothing is shared.
    gauge CLUSTER_NODES = "cluster_nodes" {}
    /// How often others have taken this gateway for dead.
    counter CLUSTER_LEASES_LOST = "cluster_leases_lost_total" {}
    /// Writes that were refused because another gateway has the session.
    counter CLUSTER_FENCED = "cluster_fenced_writes_total" {}
    /// 1 where this gateway works on the documents, alone or of those that share them; else 0.
    gauge CLUSTER_WORKS = "cluster_works_on_documents" {}

    /// Logs of sessions that moved: left for another gateway, not left as they were too large, as too much was left or as
    /// that failed, found, found although others had the session since, gone on with where they were shown.
    counter CLUSTER_MOVES = "cluster_moves_total" {
        outcome = ["left", "large", "full", "failed", "found", "stale", "inherited"],
    }

    /// Whether the Redis that limits and tickets are shared over can be asked.
    gauge REDIS_UP = "redis_up" {}
    /// What a gateway decided by itself, because that Redis was away or too slow.
    counter LIMITS_ALONE = "limits_alone_total" {
        scope = ["requests", "messages", "assistant", "new_sessions", "uploads", "tickets", "runs", "tokens"],
    }

    /// Gateways that live by the database and hear nothing of this one, although its way works.
    gauge CLUSTER_UNREACHED = "cluster_unreached" {}
    /// Whether the way to other gateways works.
    gauge CLUSTER_BUS_UP = "cluster_bus_up" {}
    /// How often the way to other gateways was given up and begun anew.
    counter CLUSTER_BUS_RECONNECTS = "cluster_bus_reconnects_total" {}
    /// Messages sent to other gateways, of any number of records.
    counter CLUSTER_BUS_MESSAGES = "cluster_bus_messages_total" {}
    /// Messages from other gateways that there was no room for; their sessions are told anew.
    counter CLUSTER_BUS_DROPPED = "cluster_bus_dropped_total" {}
    /// How often something was missing of what another gateway had sent.
    counter CLUSTER_BUS_GAPS = "cluster_bus_gaps_total" {}
    /// Sessions of other gateways that are watched here.
    gauge CLUSTER_MIRRORS = "cluster_mirrors" {}
    /// Sessions of this gateway that are watched at others, once for each of these.
    gauge CLUSTER_FOLLOWERS = "cluster_followers" {}

    /// Fetches of the set of keys at `auth.jwks_url`.
    counter JWKS_FETCHES = "jwks_fetches_total" { outcome = ["taken", "failed"] }
    /// Spans, by what became of them.
    counter OTLP_SPANS = "otlp_spans_total" { outcome = ["exported", "lost", "dropped"] }
    /// Configurations that were read again.
    counter CONFIG_RELOADS = "config_reloads_total" { outcome = ["taken", "refused"] }
    /// Lines left out of the log because there were too many.
    counter LOG_LINES_LEFT_OUT = "log_lines_left_out_total" {}
    /// Until when the certificate of the gateway's own ports is good, in seconds since 1970; 0 without one.
    gauge TLS_EXPIRY = "tls_certificate_expiry_timestamp_seconds" {}
    /// The version that runs, as a label; always 1.
    gauge BUILD_INFO = "rivulet_build_info" { version = [env!("CARGO_PKG_VERSION")] }
    /// When the process began, in seconds since 1970.
    gauge PROCESS_START = "process_start_time_seconds" {}
    /// Bytes of memory of the process.
    gauge PROCESS_MEMORY = "process_resident_memory_bytes" {}
}
