//! Rivulet: a real-time streaming chat gateway between browsers and language models.
//!
//! **The one idea**: a session is an append-only log ([`session::log`]), and a socket is a cursor into it.
//!
//! # The house
//! From top to bottom; a module uses only what stands below it, no file uses one that uses it, and a test holds them to
//! that.
//!
//! | module | what lives there |
//! |---|---|
//! | [`cli`] | one command per file: arguments in, text out |
//! | [`app`] | the composition root: names the concrete parts, start order, drain order |
//! | [`backup`] | a data folder in one file, and back |
//! | [`load`], [`mock_llm`] | the load generator and the mock model server, for tests, demos and benchmarks |
//! | [`http`] | accept loop, routes, extractors, problem+json; one file per resource |
//! | [`ws`] | one socket: handshake checks, reader half, writer half, heartbeat |
//! | [`hub`] | the sessions in memory: get or start, let go, drain |
//! | [`auth`] | who is asking: principals, tokens, tickets |
//! | [`dialect`] | wire formats over the same events: `chat.v1` |
//! | [`session`] | the log, the actor that writes it, the viewers that read it |
//! | [`run`] | one answer as a stream: retrieve → prompt → model → events |
//! | [`memory`] | what users tell of themselves, and finding it again |
//! | [`limits`] | how much: budgets of tokens, how many answers at once |
//! | [`tools`] | what models may have done: the tools of an assistant |
//! | [`datasets`] | tables that somebody has brought, and questions to them |
//! | [`llm`] | models that answer: any OpenAI-compatible server, or sentences of the passages |
//! | [`knowledge`] | documents cut, embedded, indexed, found |
//! | [`store`] | what outlives the process |
//! | [`ephemeral`] | what gateways share and may lose |
//! | [`telemetry`], [`config`], [`chat`] | metrics and logs; settings; ids and value types |
//! | [`letter`] | documents that tools write: a text form, pages, PDF |
//! | [`formula`] | what tools take, and arithmetic |
//! | [`forecast`] | how a series of figures may go on |
//!
//! # A token's way
//! upstream bytes → `llm::sse`, `llm::reading` → `llm::attempt` (clocks) → `llm::targets` (who is asked) → `run` → the session's actor appends it to
//! `session::log` and wakes the viewers → `ws::writer` takes everything after its cursor → `dialect` encodes → socket.
//!
//! # A message's way
//! socket → `dialect` → `ws::reader` → [`session::SessionHandle::send`] → the actor: known already? may it come in?
//! → **store commit, then ack** → `run`.
//!
//! Cancelling is dropping the run's stream. Resuming is a viewer with an older cursor. Nothing flows back up.

pub mod app;
pub mod auth;
pub mod backup;
pub mod chat;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod datasets;
pub mod dialect;
pub mod ephemeral;
pub mod forecast;
pub mod formula;
pub mod http;
pub mod hub;
pub mod knowledge;
pub mod letter;
pub mod limits;
pub mod llm;
pub mod load;
pub mod memory;
pub mod mock_llm;
pub mod rules;
pub mod run;
pub mod session;
#[cfg(test)]
#[expect(clippy::print_stdout, reason = "a test that tells what happened")]
mod simulation;
pub mod store;
pub mod telemetry;
pub mod tools;
pub mod ws;
